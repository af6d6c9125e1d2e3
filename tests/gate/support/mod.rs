//! Parts that tests are made of.

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

/// The account in the published policies, and a key id that says so.
pub const ACCOUNT: &str = "123456789012";
pub const KEY_ID: &str = "AKIARZPUZDIKGB2VALC4";
/// Another key of that account, which tests give to a user with identity policies.
pub const ANALYST: &str = "AKIARZPUZDIKGBANALYS";
pub const SECRET: &str = "throw-away";
pub const ENDPOINT: &str = "vpce-33cc44dd";
pub const HOST: &str = "kinesis.us-east-1.amazonaws.com";
