//! Authentication: identifies the caller of a request, by the method that the endpoint configures.

use std::sync::Arc;
use std::time::SystemTime;

use http::request::Parts;

use crate::reject::Rejection;
use crate::sigv4::{LocalKeys, ParseError, RequestHead, RequestSignature};

use super::caller_identity::CallerIdentity;
use super::connection::ConnectionInfo;
use super::endpoints::{CertificateIdentity, ClientAuthentication, MappedPrincipal, ReSignConfig};

/// Identifies a request's caller. A signature that the gate verifies is pending until the body is
/// read.
///
/// # Errors
/// If the head does not identify the caller, or the caller cannot be authenticated.
pub(super) fn identify_caller<'a>(
    connection: &'a ConnectionInfo,
    signed: Option<RequestSignature<'a>>,
    parts: &'a Parts,
    keys: Option<&'a LocalKeys>,
    now: SystemTime,
) -> Result<CallerIdentity<'a>, Rejection> {
    let missing = || Rejection::Unauthenticated(ParseError::Unsigned);
    let Some(ReSignConfig {
        client_authentication,
        ..
    }) = &connection.endpoint().re_sign
    else {
        let signed = signed.ok_or_else(missing)?;
        return Ok(CallerIdentity::from_signature(connection, signed));
    };
    let authenticated = |principal: &'a Arc<MappedPrincipal>| {
        let (holder, details) = (&principal.holder, Some(&**principal));
        CallerIdentity::authenticated(connection, signed, holder, details, None)
    };
    match (
        client_authentication,
        &connection.certificate_identity,
        keys,
    ) {
        (ClientAuthentication::Sigv4(_), _, Some(keys)) => {
            let signed = signed.ok_or_else(missing)?;
            let head = RequestHead {
                method: parts.method.as_str(),
                path: parts.uri.path(),
                query: parts.uri.query(),
                headers: &parts.headers,
                authority: parts.uri.authority().map(|authority| authority.as_str()),
            };
            let pending = keys
                .verify_head(signed, head, now)
                .map_err(Rejection::InvalidSignature)?;
            let holder = &pending.key().principal;
            let mapped = connection.listener.identity_map.by_arn.get(&*holder.arn);
            Ok(CallerIdentity::authenticated(
                connection,
                Some(signed),
                holder,
                mapped.map(|mapped| &**mapped),
                Some(pending),
            ))
        }
        (ClientAuthentication::Mtls, Some(CertificateIdentity::Principal(principal)), _) => {
            Ok(authenticated(principal))
        }
        (ClientAuthentication::Mtls, Some(CertificateIdentity::Ambiguous), _) => Err(
            Rejection::UnknownClient("the client certificate is of several principals"),
        ),
        (ClientAuthentication::Mtls, Some(CertificateIdentity::Unmapped) | None, _) => Err(
            Rejection::UnknownClient("the client certificate is of no principal"),
        ),
        (ClientAuthentication::Loopback, _, _) => match &connection.endpoint().principal {
            Some(principal) if connection.peer.is_loopback() => Ok(authenticated(principal)),
            _ => Err(Rejection::UnknownClient("the client is not on loopback")),
        },
        (ClientAuthentication::Sigv4(_), _, None) => Err(Rejection::UnknownClient(
            "there are no local credentials to verify with",
        )),
    }
}
