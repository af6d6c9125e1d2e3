//! The compiled configuration of listeners and endpoints, a snapshot of which decides each request.
//!
//! `app` compiles it at start and at each reload. Except for the counts of rate limits, nothing
//! here changes while requests are handled.

mod client_certificate;
mod condition_keys;
mod endpoint;
mod identity_map;
mod identity_policies;
mod layers;
mod listener_endpoints;
mod rate_rules;
mod re_sign;
mod token_rules;

pub use endpoint::{Endpoint, EndpointOwner, Enforcement};
pub use identity_map::{
    CertificateIdentity, CertificatePattern, IdentityMap, MappedPrincipal, Organization,
};
pub use identity_policies::IdentityPolicies;
pub use listener_endpoints::{EndpointQuery, ListenerEndpoints, SelectError};
pub use rate_rules::{RateRule, RateRules};
pub use re_sign::{ClientAuthentication, ReSignConfig, RoleMapping};
pub use token_rules::TokenRules;

pub(super) use condition_keys::{known_text, known_texts};
pub(super) use endpoint::Route;
pub(super) use rate_rules::RateLimitedRequest;
pub(super) use token_rules::TokenRule;
