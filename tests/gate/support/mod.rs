//! Support for the tests: gates, clients, upstreams, and the servers beside them.

pub mod client_certificates;
pub mod credential_servers;
pub mod gate;
pub mod http1;
pub mod http2;
pub mod local_credentials;
pub mod process;
pub mod raw;
pub mod recorder;
pub mod redis;
pub mod redis_tls;
pub mod responder;
pub mod scripted;
pub mod server_certificates;
pub mod signature;

pub use gate::{Gate, GateBuilder};
pub use recorder::{Behaviour, Recorder};

/// The account in the published policies.
pub const ACCOUNT: &str = "123456789012";
/// An access key id of that account.
pub const KEY_ID: &str = "AKIARZPUZDIKGB2VALC4";
/// Another access key id of that account, of a user with identity policies.
pub const ANALYST_KEY_ID: &str = "AKIARZPUZDIKGBANALYS";
pub const SECRET_KEY: &str = "throw-away";
pub const ENDPOINT: &str = "vpce-33cc44dd";
pub const HOST: &str = "kinesis.us-east-1.amazonaws.com";
