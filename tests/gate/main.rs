//! The gate end to end: in this process, over real TLS, in front of upstreams that record every
//! request they receive.

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
mod audit_and_candidate;
mod buffer_budget;
mod cli_credentials;
mod cli_run;
mod client_certificates;
mod config_examples;
mod configuration;
mod connection_timeouts;
mod credential_sources;
mod credential_sources_sso;
mod decision_log;
mod endpoint_selection;
mod event_stream_reload;
mod event_streams;
mod hand_over;
mod health_and_drain;
mod held_tail;
mod http1_conformance;
mod http2_flow_control;
mod http2_goaway;
mod identity_map;
mod limits;
mod metrics;
mod passthrough;
mod published_policies;
mod rate_attribution;
mod rate_limit_refill;
mod rate_limits;
mod re_sign;
mod regions;
mod reload;
mod request_refusals;
mod robustness_http1;
mod robustness_http2;
mod rpc_v2;
mod sdk_client;
mod sdk_retries;
mod signature_verification;
mod support;
mod token_binding;
mod token_responses;
mod tokens_redis;
mod tokens_redis_tls;
#[cfg(feature = "traces")]
mod traces;
mod tunnels;
mod unknown_facts;
mod unknown_operations;
mod upstream_connections;
mod upstream_failures;
mod upstream_framing;
