//! The settings of traces.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Uri};
use rustls::ClientConfig;

/// The collector of spans, and the sampling.
pub struct TraceSettings {
    /// The URL of the collector.
    pub endpoint: Uri,
    /// Headers for the collector; secret values are marked as sensitive.
    pub headers: HeaderMap,
    /// The TLS configuration that verifies an `https` collector.
    pub tls: Arc<ClientConfig>,
    /// `service.name`.
    pub service_name: String,
    /// The share of requests that are sampled, from 0 to 1.
    pub sample: f64,
    /// Whether a caller's trace context decides if its request is sampled.
    pub follow_callers: bool,
    /// The timeout of one export request.
    pub timeout: Duration,
}
