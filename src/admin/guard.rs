//! The guard of the admin port: bearer token or client certificate, and no pages of other sites.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Method};

/// Decides which requests are admitted.
pub struct Guard {
    token: Option<Digest>,
    accepts_certificates: bool,
    is_loopback: bool,
}

/// The reason that a request is not admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The request names another host: DNS rebinding by a page that a person visits.
    Host,
    /// A page of another origin sent the request.
    Origin,
    /// The request has neither the token nor a certificate.
    Credentials,
    /// The request changes state, and a form on any page could have sent it.
    Header,
}

/// A header that no form can send.
const INTENT: HeaderName = HeaderName::from_static("x-kinesis-gate");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Guard {
    /// A guard that accepts a token or verified client certificates. With neither, it admits
    /// everyone who can reach the port.
    pub fn new(is_loopback: bool, token: Option<&[u8]>, accepts_certificates: bool) -> Guard {
        Guard {
            token: token.map(|token| digest(&SHA256, token)),
            accepts_certificates,
            is_loopback,
        }
    }

    /// Admits or refuses a request. `has_certificate`: its connection has a verified certificate.
    pub(super) fn admit(&self, head: &Parts, has_certificate: bool) -> Result<(), Refusal> {
        let host = host(head);
        // Any domain name can resolve to loopback; an address cannot.
        if self.is_loopback && !host.as_ref().is_some_and(is_address_or_localhost) {
            return Err(Refusal::Host);
        }
        if is_cross_origin(&head.headers, host.as_ref()) {
            return Err(Refusal::Origin);
        }
        // The console's page is the same for all and holds no data; probes have no credentials.
        let is_public = matches!(head.uri.path(), "/livez" | "/readyz" | "/")
            && matches!(head.method, Method::GET | Method::HEAD);
        let is_unprotected = self.token.is_none() && !self.accepts_certificates;
        let has_token = self.has_token(&head.headers);
        let is_admitted =
            has_token || is_unprotected || (has_certificate && self.accepts_certificates);
        if !is_public && !is_admitted {
            return Err(Refusal::Credentials);
        }
        let changes = !matches!(head.method, Method::GET | Method::HEAD);
        if changes && !has_token && !head.headers.contains_key(INTENT) {
            return Err(Refusal::Header);
        }
        Ok(())
    }

    /// Compares hashes in constant time, so that timing reveals neither the token nor its length.
    fn has_token(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(token), Some(value), None) = (&self.token, values.next(), values.next()) else {
            return false;
        };
        let value = value.as_bytes();
        let (scheme, token_sent) = value.split_at(value.len().min("Bearer ".len()));
        scheme.eq_ignore_ascii_case(b"Bearer ")
            && verify_slices_are_equal(digest(&SHA256, token_sent).as_ref(), token.as_ref()).is_ok()
    }
}

/// The host that a request names, if it names exactly one.
fn host(head: &Parts) -> Option<Authority> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return None;
    };
    let host: Authority = host.to_str().ok()?.parse().ok()?;
    let named = head.uri.authority();
    (!host.as_str().contains('@') && named.is_none_or(|named| *named == host)).then_some(host)
}

fn is_address_or_localhost(host: &Authority) -> bool {
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

fn is_cross_origin(headers: &HeaderMap, host: Option<&Authority>) -> bool {
    let is_same = |origin: &str| {
        let named = origin.split_once("://").map(|(_, named)| named);
        named.is_some_and(|named| host.is_some_and(|host| *host == named))
    };
    let origins = headers.get_all(ORIGIN).iter();
    let mut origins = origins.map(|origin| origin.to_str().is_ok_and(is_same));
    let mut sites = headers.get_all(FETCH_SITE).iter();
    origins.any(|is_same| !is_same) || sites.any(|site| site != "same-origin" && site != "none")
}
