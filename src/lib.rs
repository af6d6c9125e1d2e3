//! kinesis-gate: a VPC endpoint for Amazon Kinesis Data Streams that you run yourself.
//!
//! Bytes flow one way, and each room knows only the rooms to its right:
//!
//! ```text
//! cli -> app -> listener -> gate -> { sigv4, kinesis, policy, tokens, rate_limit } -> upstream
//!                             |-> reject (the only map from any failure to a wire response)
//!                             `-> observe (one record per request, closed on drop)
//!        http: what listener, gate and upstream speak; it knows none of them
//! ```
//!
//! `app` also wires `config`, `credentials`, `admin` and `shutdown`. `docs/architecture.md` follows a
//! request through the rooms; `tests/rooms.rs` holds the arrows.

pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
pub mod credentials;
pub mod gate;
pub mod http;
pub mod kinesis;
pub mod listener;
pub mod observe;
pub mod policy;
pub mod rate_limit;
pub mod reject;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod shutdown;
pub mod sigv4;
pub mod tokens;
pub mod upstream;
