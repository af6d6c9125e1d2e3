//! kinesis-gate: a VPC endpoint for Amazon Kinesis Data Streams that you run yourself.
//!
//! Bytes flow one way, and each room knows only the rooms to its right:
//!
//! ```text
//! listener -> server -> gate -> { caller, kinesis, policy } -> upstream
//!                         |-> reject (the only map from any failure to a wire response)
//!                         `-> observe (one record per request, closed on drop)
//! ```

pub mod caller;
pub mod kinesis;
pub mod policy;
