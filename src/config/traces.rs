//! The shape of `[traces]`.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::uri::Scheme;
use http::{HeaderName, Uri};
use toml_span::de_helpers::{TableHelper, expected};
use toml_span::value::ValueInner;
use toml_span::{DeserError, Deserialize, Value};

use super::values::{Span, custom};

/// `[traces]`: a span for each request that is sampled, for an OpenTelemetry collector.
#[derive(Debug, Clone, PartialEq)]
pub struct Traces {
    /// Where the collector takes spans: `http` or `https`, with a path. It holds no secret.
    pub endpoint: Uri,
    /// Headers for the collector, each with the file of its value.
    pub headers: Vec<(HeaderName, PathBuf)>,
    /// Roots to trust instead of the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// `service.name`.
    pub service_name: String,
    /// The share of requests that are sampled, from 0 to 1.
    pub sample: f64,
    /// Whether a caller that says if its trace is sampled is believed.
    pub follow_callers: bool,
    /// For one delivery: connecting, sending and the collector's answer.
    pub timeout: Duration,
}

/// Where a collector takes spans.
struct Endpoint(Uri);

/// From 0 to 1.
struct Share(f64);

/// Headers, each with the file of its value.
struct Headers(Vec<(HeaderName, PathBuf)>);

/// One request in a hundred.
const SAMPLE: f64 = 0.01;
const SERVICE: &str = "kinesis-gate";
const TIMEOUT: Duration = Duration::from_secs(5);
/// What the message itself needs.
const OWN: [&str; 6] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
];

impl Traces {
    pub(super) fn files_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let headers = self.headers.iter_mut().map(|(_, file)| file);
        headers.chain(&mut self.ca_file)
    }

    /// Whether deliveries are encrypted.
    pub fn is_secure(&self) -> bool {
        self.endpoint.scheme() == Some(&Scheme::HTTPS)
    }

    /// What each value allows but all together do not.
    fn contradiction(&self) -> Option<&'static str> {
        let host = self.endpoint.host().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let local = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
        if self.service_name.is_empty() {
            Some("`service-name` is empty")
        } else if self.is_secure() {
            None
        } else if self.ca_file.is_some() {
            Some("`ca-file` is for an https `endpoint`")
        } else if !self.headers.is_empty() && !local {
            Some("`headers` would pass in the clear: use an https `endpoint`")
        } else {
            None
        }
    }
}

impl<'de> Deserialize<'de> for Traces {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let endpoint = table.required("endpoint").map(|Endpoint(uri)| uri);
        let headers = table.optional("headers").map(|Headers(all)| all);
        let ca_file = table.optional::<String>("ca-file").map(PathBuf::from);
        let service_name: Option<String> = table.optional("service-name");
        let sample = table.optional("sample").map_or(SAMPLE, |Share(it)| it);
        let follow_callers = table.optional("follow-callers").unwrap_or(false);
        let timeout = table.optional("timeout").map_or(TIMEOUT, |Span(it)| it);
        table.finalize(None)?;
        let traces = Traces {
            endpoint: endpoint?,
            headers: headers.unwrap_or_default(),
            ca_file,
            service_name: service_name.unwrap_or_else(|| SERVICE.to_owned()),
            sample,
            follow_callers,
            timeout,
        };
        match traces.contradiction() {
            Some(message) => Err(custom(value, message)),
            None => Ok(traces),
        }
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let text = value.take_string(Some("a URL such as \"http://127.0.0.1:4318/v1/traces\""))?;
        let uri: Option<Uri> = text.parse().ok();
        let uri = uri.filter(|uri| {
            let scheme = uri.scheme();
            scheme == Some(&Scheme::HTTP) || scheme == Some(&Scheme::HTTPS)
        });
        // The text itself is not told: it may hold a password.
        let wrong = match &uri {
            None => "not an http or https URL such as \"http://127.0.0.1:4318/v1/traces\"",
            Some(uri) if uri.authority().is_some_and(|it| it.as_str().contains('@')) => {
                "a user or a password in the URL: put it into a file that `headers` names"
            }
            Some(uri) if uri.query().is_some() || text.contains('#') => {
                "more than a path in the URL: a token belongs into a file that `headers` names"
            }
            Some(uri) if uri.path() == "/" => {
                "the URL has no path: collectors take spans at `/v1/traces`"
            }
            Some(_) => "",
        };
        match uri {
            Some(uri) if wrong.is_empty() => Ok(Endpoint(uri)),
            _ => Err(custom(value, wrong)),
        }
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let share = match value.take() {
            ValueInner::Float(share) => share,
            ValueInner::Integer(0) => 0.0,
            ValueInner::Integer(1) => 1.0,
            ValueInner::Integer(_) => f64::NAN,
            other => return Err(expected("a share such as 0.01", other, value.span).into()),
        };
        match (0.0..=1.0).contains(&share) {
            true => Ok(Share(share)),
            false => Err(custom(
                value,
                "not a share from 0 to 1: 0.01 samples one request in a hundred",
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let ValueInner::Table(table) = value.take() else {
            let message = "write headers as `{ authorization = \"file\" }`, each with the file of \
                           its value";
            return Err(custom(value, message));
        };
        let mut headers: Vec<(HeaderName, PathBuf)> = Vec::with_capacity(table.len());
        for (key, mut file) in table {
            let name = HeaderName::try_from(key.name.as_ref()).ok();
            let name = name.filter(|name| !OWN.contains(&name.as_str()));
            let Some(name) = name.filter(|name| headers.iter().all(|(it, _)| it != name)) else {
                let message = format!("`{}` cannot be a header, or is one twice", key.name);
                return Err(custom(value, &message));
            };
            headers.push((name, PathBuf::from(file.take_string(None)?.as_ref())));
        }
        Ok(Headers(headers))
    }
}
