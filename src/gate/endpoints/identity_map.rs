//! The identity map: what the configuration states about callers, by access key, ARN, account and
//! client certificate.

use std::collections::HashMap;
use std::sync::Arc;

use crate::sigv4::PrincipalArn;

use super::client_certificate::SubjectAltName;

/// The configured facts about callers. Read-only, shared by every event loop.
#[derive(Default)]
pub struct IdentityMap {
    /// By access key id.
    pub by_access_key: HashMap<Box<str>, Arc<MappedPrincipal>>,
    /// By the ARN of a user or role.
    pub by_arn: HashMap<Box<str>, Arc<MappedPrincipal>>,
    /// Organizations by account.
    pub organizations: HashMap<Box<str>, Organization>,
    /// By a pattern for the names in a client certificate.
    pub by_certificate: Vec<(CertificatePattern, Arc<MappedPrincipal>)>,
}

/// A principal that the configuration names.
#[derive(Debug, Clone)]
pub struct MappedPrincipal {
    /// User or role, session and account.
    pub holder: PrincipalArn,
    /// `aws:userid`.
    pub user_id: Option<String>,
    /// `aws:SourceIdentity`.
    pub source_identity: Option<String>,
    /// All of `aws:PrincipalTag/…`, where they are stated.
    pub tags: Option<Vec<(String, String)>>,
    /// The organization, where it is stated for this principal.
    pub organization: Organization,
}

/// An organization of AWS Organizations, as far as it is stated.
#[derive(Debug, Clone, Default)]
pub struct Organization {
    /// `o-…`.
    pub id: Option<String>,
    /// `o-…/r-…/ou-…/`.
    pub paths: Option<Vec<String>>,
}

/// A pattern for a name in a certificate.
#[derive(Debug, Clone)]
pub enum CertificatePattern {
    /// For URIs; `*` does not cross `/`.
    Uri(String),
    /// For DNS names; `*` does not cross `.`.
    Dns(String),
}

/// The identity that a client certificate maps to.
#[derive(Debug, Clone)]
pub enum CertificateIdentity {
    /// One principal.
    Principal(Arc<MappedPrincipal>),
    /// No entry of the configuration matches.
    Unmapped,
    /// Entries for different principals match.
    Ambiguous,
}

impl IdentityMap {
    /// The identity that a certificate with these names maps to.
    pub fn identify_certificate(&self, names: &[SubjectAltName]) -> CertificateIdentity {
        let mut found: Option<&Arc<MappedPrincipal>> = None;
        for (pattern, principal) in &self.by_certificate {
            if !names.iter().any(|name| pattern.matches(name)) {
                continue;
            }
            match found {
                Some(other) if other.holder.arn != principal.holder.arn => {
                    return CertificateIdentity::Ambiguous;
                }
                _ => found = Some(principal),
            }
        }
        found.map_or(CertificateIdentity::Unmapped, |principal| {
            CertificateIdentity::Principal(Arc::clone(principal))
        })
    }
}

impl Organization {
    /// This organization, with the missing fields of `other`.
    pub fn or(&self, other: Option<&Organization>) -> Organization {
        let other = other.cloned().unwrap_or_default();
        Organization {
            id: self.id.clone().or(other.id),
            paths: self.paths.clone().or(other.paths),
        }
    }
}

impl CertificatePattern {
    fn matches(&self, name: &SubjectAltName) -> bool {
        match (self, name) {
            (CertificatePattern::Uri(pattern), SubjectAltName::Uri(name)) => {
                matches(pattern, name, '/')
            }
            (CertificatePattern::Dns(pattern), SubjectAltName::Dns(name)) => matches(
                &pattern.to_ascii_lowercase(),
                &name.to_ascii_lowercase(),
                '.',
            ),
            _ => false,
        }
    }
}

/// Matches segment by segment; `*` is one character or more of a segment.
fn matches(pattern: &str, text: &str, separator: char) -> bool {
    let mut segments = text.split(separator);
    let matches_all = pattern.split(separator).all(|pattern| {
        segments
            .next()
            .is_some_and(|segment| segment_matches(pattern, segment))
    });
    matches_all && segments.next().is_none()
}

/// The first and last literals are anchored; the search for the others goes from left to right.
fn segment_matches(pattern: &str, segment: &str) -> bool {
    let Some((prefix, rest)) = pattern.split_once('*') else {
        return pattern == segment;
    };
    let Some(remaining) = segment.strip_prefix(prefix) else {
        return false;
    };
    let (middle, suffix) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(mut remaining) = remaining.strip_suffix(suffix) else {
        return false;
    };
    if remaining.is_empty() {
        return false;
    }
    middle
        .split('*')
        .all(|literal| match remaining.split_once(literal) {
            Some((_, after)) => {
                remaining = after;
                true
            }
            None => false,
        })
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stay_in_their_segment() {
        for (pattern, name, is) in [
            ("spiffe://prod/ns/*/sa/p", "spiffe://prod/ns/a/sa/p", true),
            (
                "spiffe://prod/ns/*/sa/p",
                "spiffe://prod/ns/a/b/sa/p",
                false,
            ),
            ("spiffe://prod/ns/*/sa/p", "spiffe://prod/ns//sa/p", false),
            ("spiffe://prod/ns/a-*-z", "spiffe://prod/ns/a-b-z", true),
            ("spiffe://prod/ns/a-*-z", "spiffe://prod/ns/a-z", false),
            ("spiffe://prod/a*b*c", "spiffe://prod/axxbxxc", true),
            ("spiffe://prod/a*b*c", "spiffe://prod/axxcxxb", false),
            ("spiffe://prod/*", "spiffe://prod/a/b", false),
            ("spiffe://prod/a", "spiffe://prod/a/", false),
            ("spiffe://prod/a", "spiffe://prod/A", false),
            ("*", "", false),
        ] {
            assert_eq!(matches(pattern, name, '/'), is, "{pattern} {name}");
        }
        assert!(matches("*.producers.internal", "a.producers.internal", '.'));
        assert!(!matches(
            "*.producers.internal",
            "a.b.producers.internal",
            '.'
        ));
        assert!(!matches("*.producers.internal", "producers.internal", '.'));
    }
}
