//! `[traces]`: spans for an OpenTelemetry collector.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::uri::Scheme;
use http::{HeaderName, Uri};
use toml_span::value::ValueInner;

use super::parse::{FromTable, FromToml, Table, TomlValue};

/// `[traces]`: a span for each request that is sampled, for an OpenTelemetry collector.
#[derive(Debug, Clone, PartialEq)]
pub struct Traces {
    /// The URL of the collector: `http` or `https`, with a path. It holds no secret.
    pub endpoint: Uri,
    /// Headers for the collector, each with the file of its value.
    pub headers: Vec<(HeaderName, PathBuf)>,
    /// Trusted roots instead of the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// `service.name`.
    pub service_name: String,
    /// The share of requests that are sampled, from 0 to 1.
    pub sample: f64,
    /// Whether to follow the sampling decision in a client's trace context.
    pub follow_callers: bool,
    /// The timeout of one delivery: connecting, sending and the collector's response.
    pub timeout: Duration,
}

/// One request in a hundred.
const DEFAULT_SAMPLE: f64 = 0.01;
const DEFAULT_SERVICE_NAME: &str = "kinesis-gate";
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// Headers that the export request itself sets.
const RESERVED_HEADERS: [&str; 6] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
];

impl Traces {
    /// Whether deliveries are encrypted.
    pub fn is_secure(&self) -> bool {
        self.endpoint.scheme() == Some(&Scheme::HTTPS)
    }

    /// A contradiction between values that are valid one by one.
    fn contradiction(&self) -> Option<&'static str> {
        let host = self.endpoint.host().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let is_local = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        if self.service_name.is_empty() {
            Some("`service-name` is empty")
        } else if self.is_secure() {
            None
        } else if self.ca_file.is_some() {
            Some("`ca-file` is for an https `endpoint`")
        } else if !self.headers.is_empty() && !is_local {
            Some("`headers` would pass in the clear: use an https `endpoint`")
        } else {
            None
        }
    }
}

impl FromTable for Traces {
    fn from_table(table: &mut Table<'_>) -> Option<Traces> {
        let endpoint = table.required_with("endpoint", collector_url);
        let traces = Traces {
            endpoint: endpoint.unwrap_or_default(),
            headers: table.optional_with("headers", headers).unwrap_or_default(),
            ca_file: table.optional("ca-file"),
            service_name: table
                .optional("service-name")
                .unwrap_or_else(|| DEFAULT_SERVICE_NAME.to_owned()),
            sample: table
                .optional_with("sample", share)
                .unwrap_or(DEFAULT_SAMPLE),
            follow_callers: table.optional("follow-callers").unwrap_or(false),
            timeout: table.optional("timeout").unwrap_or(DEFAULT_TIMEOUT),
        };
        table.sound()?;
        match traces.contradiction() {
            Some(message) => table.refuse(message),
            None => Some(traces),
        }
    }
}

fn collector_url(mut value: TomlValue<'_>) -> Option<Uri> {
    let text = value.string("a URL such as \"http://127.0.0.1:4318/v1/traces\"")?;
    let uri: Option<Uri> = text.parse().ok();
    let is_http = |uri: &Uri| [Some(&Scheme::HTTP), Some(&Scheme::HTTPS)].contains(&uri.scheme());
    // The messages do not repeat the text: it may hold a password.
    let Some(uri) = uri.filter(is_http) else {
        return value
            .refuse("not an http or https URL such as \"http://127.0.0.1:4318/v1/traces\"");
    };
    if uri.authority().is_some_and(|it| it.as_str().contains('@')) {
        value.refuse("a user or a password in the URL: put it into a file that `headers` names")
    } else if uri.query().is_some() || text.contains('#') {
        value
            .refuse("more than a path in the URL: a token belongs into a file that `headers` names")
    } else if uri.path() == "/" {
        value.refuse("the URL has no path: collectors take spans at `/v1/traces`")
    } else {
        Some(uri)
    }
}

/// A number from 0 to 1.
fn share(mut value: TomlValue<'_>) -> Option<f64> {
    let share = match value.take() {
        ValueInner::Float(share) => share,
        ValueInner::Integer(share) => share as f64,
        other => return value.refuse_type("a share such as 0.01", other),
    };
    match (0.0..=1.0).contains(&share) {
        true => Some(share),
        false => value.refuse("not a share from 0 to 1: 0.01 samples one request in a hundred"),
    }
}

fn headers(mut value: TomlValue<'_>) -> Option<Vec<(HeaderName, PathBuf)>> {
    let usage = "write headers as `{ authorization = \"file\" }`, each with the file of its value";
    let mut headers: Vec<(HeaderName, PathBuf)> = Vec::new();
    for (key, file) in value.entries(usage)? {
        let name = HeaderName::try_from(&key).ok();
        let name = name.filter(|name| !RESERVED_HEADERS.contains(&name.as_str()));
        let Some(name) = name.filter(|name| headers.iter().all(|(it, _)| it != name)) else {
            return value.refuse(format_args!("`{key}` cannot be a header, or is one twice"));
        };
        headers.push((name, PathBuf::from_toml(file)?));
    }
    Some(headers)
}
