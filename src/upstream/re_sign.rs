//! Re-signing: the crate `aws-sigv4` signs a request with the gate's own credentials.

use std::time::SystemTime;

use http::header::{
    AUTHORIZATION, COOKIE, DATE, HOST, HeaderName, HeaderValue, PROXY_AUTHORIZATION,
};
use http::{Request, Uri, Version};

use crate::credentials::SigningCredentials;
use crate::sigv4::BodyHash;

use super::error::UpstreamError;
use super::request_body::RequestBody;

/// Signs one request.
pub struct Signer<'a> {
    /// The credentials.
    pub credentials: &'a SigningCredentials,
    /// The region of the endpoint.
    pub region: &'a str,
    /// The host name of the endpoint.
    pub host: &'a str,
    /// The hash of the body, over the very bytes that the policy decided.
    pub body_hash: &'a BodyHash,
    /// The time of the signature.
    pub time: SystemTime,
}

const AMZ_DATE: &str = "x-amz-date";

/// Headers that carry or belong to the client's signature. Neither these headers nor the query is
/// forwarded.
const CLIENT_SIGNATURE: [HeaderName; 8] = [
    AUTHORIZATION,
    HeaderName::from_static("x-amz-security-token"),
    HeaderName::from_static(AMZ_DATE),
    HeaderName::from_static("x-amz-content-sha256"),
    DATE,
    HOST,
    COOKIE,
    PROXY_AUTHORIZATION,
];

impl Signer<'_> {
    /// Removes the client's signature, and signs. The signed host is [`Signer::host`], not the host
    /// that the client signed.
    ///
    /// # Errors
    /// If `aws-sigv4` does not sign the request.
    pub fn sign(&self, request: &mut Request<RequestBody>) -> Result<(), UpstreamError> {
        request.body_mut().drop_raw_head();
        for name in &CLIENT_SIGNATURE {
            request.headers_mut().remove(name);
        }
        // The path stays: under Smithy RPC v2 it names the operation.
        let path = request.uri().path().to_owned();
        for (name, value) in self.signature_headers(&path, request)? {
            request.headers_mut().insert(name, value);
        }
        let mut uri = Uri::builder();
        if request.version() == Version::HTTP_2 {
            uri = uri.scheme("https").authority(self.host);
        } else {
            let host = HeaderValue::from_str(self.host).map_err(failed)?;
            request.headers_mut().insert(HOST, host);
        }
        *request.uri_mut() = uri.path_and_query(path).build().map_err(failed)?;
        Ok(())
    }

    /// `Authorization`, `X-Amz-Date` and, with temporary credentials, `X-Amz-Security-Token`.
    ///
    /// At trace level the crate logs the canonical request, with the session token redacted, and
    /// neither secrets nor bodies. This program installs no subscriber.
    #[cfg(feature = "re-sign")]
    fn signature_headers(
        &self,
        path: &str,
        request: &Request<RequestBody>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, UpstreamError> {
        use aws_sigv4::http_request::{
            PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
            UriPathNormalizationMode, sign,
        };
        use aws_sigv4::sign::v4;
        use http::header::CONTENT_TYPE;

        const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
        const SMITHY_PROTOCOL: HeaderName = HeaderName::from_static("smithy-protocol");

        let headers = request.headers();
        let text = |name: &HeaderName| {
            let value = headers.get(name).and_then(|value| value.to_str().ok());
            value.ok_or_else(|| failed(format!("no `{name}`")))
        };
        let operation = match headers.contains_key(TARGET) {
            true => TARGET,
            false => SMITHY_PROTOCOL,
        };
        // With `host` among the headers, the crate needs no authority in the URI, where it would panic.
        let signed_headers = [
            (CONTENT_TYPE.as_str(), text(&CONTENT_TYPE)?),
            (HOST.as_str(), self.host),
            (operation.as_str(), text(&operation)?),
        ];
        let body = SignableBody::Precomputed(crate::sigv4::hex(self.body_hash));
        let signable = SignableRequest::new("POST", path, signed_headers.into_iter(), body);
        let mut settings = SigningSettings::default();
        settings.excluded_headers = None;
        // The path is signed as it is sent.
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let params = v4::SigningParams::builder()
            .identity(self.credentials.identity())
            .region(self.region)
            .name("kinesis")
            .time(self.time)
            .settings(settings)
            .build()
            .map_err(failed)?
            .into();
        let signed = sign(signable.map_err(failed)?, &params).map_err(failed)?;
        let (instructions, _) = signed.into_parts();
        let (headers, _) = instructions.into_parts();
        headers
            .iter()
            .map(|header| {
                let name = HeaderName::from_bytes(header.name().as_bytes()).map_err(failed)?;
                let mut value = HeaderValue::from_str(header.value()).map_err(failed)?;
                value.set_sensitive(header.name() != AMZ_DATE);
                Ok((name, value))
            })
            .collect()
    }

    #[cfg(not(feature = "re-sign"))]
    fn signature_headers(
        &self,
        _: &str,
        _: &Request<RequestBody>,
    ) -> Result<Vec<(HeaderName, HeaderValue)>, UpstreamError> {
        Err(failed(
            "this program is built without the feature `re-sign`",
        ))
    }
}

fn failed(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> UpstreamError {
    UpstreamError::Sign(error.into())
}

#[cfg(test)]
#[cfg(feature = "re-sign")]
mod tests;
