//! Who may use the admin port.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{Digest, SHA256, digest};
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Method};

/// What a request must show.
pub struct Guard {
    token: Option<Digest>,
    certificates: bool,
    loopback: bool,
}

/// Why a request is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It names another host: a page that a person visits had its own name lead here.
    Host,
    /// A page of another origin sent it.
    Origin,
    /// It shows neither a token nor a certificate.
    Credentials,
    /// It changes something, and a form on any page could have sent it.
    Header,
}

/// A header that no form can send.
const INTENT: HeaderName = HeaderName::from_static("x-kinesis-gate");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

impl Guard {
    /// For a port on loopback or elsewhere, that a token or verified client certificates open;
    /// with neither, everyone who reaches it may use it.
    pub fn new(loopback: bool, token: Option<&[u8]>, certificates: bool) -> Guard {
        Guard {
            token: token.map(|token| digest(&SHA256, token)),
            certificates,
            loopback,
        }
    }

    /// Whether a request may be answered; `certified` if its connection showed a certificate.
    pub(super) fn admit(&self, head: &Parts, certified: bool) -> Result<(), Refusal> {
        let host = host(head);
        // A name of somebody else's can lead to loopback; an address cannot.
        if self.loopback && !host.as_ref().is_some_and(is_own) {
            return Err(Refusal::Host);
        }
        if is_from_elsewhere(&head.headers, host.as_ref()) {
            return Err(Refusal::Origin);
        }
        // The page is the same for everyone and holds nothing; probes carry no credentials.
        let is_open = matches!(head.uri.path(), "/livez" | "/readyz" | "/")
            && matches!(head.method, Method::GET | Method::HEAD);
        let is_free = self.token.is_none() && !self.certificates;
        let shown = self.shows_token(&head.headers);
        let is_admitted = shown || is_free || (certified && self.certificates);
        if !is_open && !is_admitted {
            return Err(Refusal::Credentials);
        }
        let changes = !matches!(head.method, Method::GET | Method::HEAD);
        if changes && !shown && !head.headers.contains_key(INTENT) {
            return Err(Refusal::Header);
        }
        Ok(())
    }

    /// Hashes are compared, in constant time: neither the token nor its length can be felt for.
    fn shows_token(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(token), Some(value), None) = (&self.token, values.next(), values.next()) else {
            return false;
        };
        let value = value.as_bytes();
        let (scheme, shown) = value.split_at(value.len().min("Bearer ".len()));
        scheme.eq_ignore_ascii_case(b"Bearer ")
            && verify_slices_are_equal(digest(&SHA256, shown).as_ref(), token.as_ref()).is_ok()
    }
}

/// The host that a request names, if it names one only.
fn host(head: &Parts) -> Option<Authority> {
    let mut hosts = head.headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return None;
    };
    let host: Authority = host.to_str().ok()?.parse().ok()?;
    let named = head.uri.authority();
    (!host.as_str().contains('@') && named.is_none_or(|named| *named == host)).then_some(host)
}

fn is_own(host: &Authority) -> bool {
    let name = host.host().trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok()
}

fn is_from_elsewhere(headers: &HeaderMap, host: Option<&Authority>) -> bool {
    let is_own = |origin: &str| {
        let named = origin.split_once("://").map(|(_, named)| named);
        named.is_some_and(|named| host.is_some_and(|host| *host == named))
    };
    let origins = headers.get_all(ORIGIN).iter();
    let mut origins = origins.map(|origin| origin.to_str().is_ok_and(is_own));
    let mut sites = headers.get_all(FETCH_SITE).iter();
    origins.any(|own| !own) || sites.any(|site| site != "same-origin" && site != "none")
}
