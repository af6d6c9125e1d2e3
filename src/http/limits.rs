//! Limits and timeouts of a client connection.

use std::time::Duration;

/// Limits and timeouts of one client connection, of either HTTP version.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The longest request head, in bytes.
    pub head_bytes: usize,
    /// From the end of the last exchange to the end of the next request head: HTTP/1.1's
    /// keep-alive timeout. Also the interval of HTTP/2's keep-alive pings.
    pub head_timeout: Duration,
    /// How long a client may take no bytes of a response that is ready.
    pub write_timeout: Duration,
    /// How long a client may leave an HTTP/2 keep-alive ping unanswered.
    pub ping_timeout: Duration,
    /// Concurrent streams of one HTTP/2 connection.
    pub concurrent_streams: u32,
    /// HTTP/2 streams that a client may reset before their requests are handled.
    pub pending_resets: usize,
}
