//! The gate end to end: in this process, over real TLS, in front of upstreams that prove what
//! arrived and what did not.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    unreachable_pub,
    reason = "a test fails by panicking; its parts are shared with a bench"
)]

mod admin;
mod ambiguity;
mod answers;
mod arbitrary;
mod certificates;
mod configuration;
mod credentials;
mod deadlines;
mod decision_log;
mod examples;
mod failures;
mod forward;
mod goaway;
mod heads;
mod identities;
mod lifecycle;
mod limits;
mod memory;
mod metrics;
mod modes;
mod mutations;
mod oddities;
mod on_reload;
mod origin;
mod program;
mod published;
mod rates;
mod rates_refilled;
mod rates_whose;
mod regions;
mod reload;
mod resign;
mod restart;
mod retries;
mod rpc;
mod sdk;
mod sources;
mod sources_sso;
mod streams;
mod support;
mod tail;
mod tampering;
mod tokens;
mod tokens_answers;
mod tokens_guarded;
mod tokens_shared;
#[cfg(feature = "traces")]
mod traces;
mod tunnels;
mod unknowns;
mod unlisted;
mod upstream;
mod windows;
