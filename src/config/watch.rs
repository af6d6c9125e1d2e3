//! How the gate is watched: `[admin]`, `[log]` and `[metrics]`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml_span::de_helpers::TableHelper;
use toml_span::{DeserError, Deserialize, Value};

use super::read::both;
use super::values::{Address, custom};

/// `[admin]`: health, metrics, decisions and control, on a port of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admin {
    /// Beyond loopback it needs TLS, and a token or client certificates.
    pub address: Option<SocketAddr>,
    /// A file with the bearer token that requests must show.
    pub token_file: Option<PathBuf>,
    /// The certificate that clients see.
    pub tls: Option<AdminTls>,
}

/// `[admin.tls]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminTls {
    /// The chain, leaf first, PEM.
    pub certificate: PathBuf,
    /// The leaf's private key, PEM.
    pub key: PathBuf,
    /// The CAs whose client certificates open the port, PEM.
    pub client_ca: Option<PathBuf>,
}

/// `[log]`: one JSON line for each decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Where lines go.
    pub to: LogTo,
    /// Which allowed requests are written; denied ones always are.
    pub allowed: LogAllowed,
    /// Of so many allowed requests one is written; at least 1.
    pub sample: u32,
}

/// Where the decision log goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTo {
    /// Standard output.
    Stdout,
    /// A file, appended to and opened anew on SIGHUP.
    File(PathBuf),
}

/// Which allowed requests the decision log holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogAllowed {
    /// All of them, or the sample.
    All,
    /// None: denials and failures only.
    None,
}

/// `[metrics]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metrics {
    /// Streams that have series of their own; `other` takes the rest.
    pub streams: u16,
}

impl Admin {
    pub(super) fn rebase(&mut self, folder: &Path) {
        let mut files: Vec<&mut PathBuf> = self.token_file.iter_mut().collect();
        if let Some(tls) = &mut self.tls {
            files.extend([&mut tls.certificate, &mut tls.key]);
            files.extend(&mut tls.client_ca);
        }
        for file in files {
            *file = folder.join(&file);
        }
    }

    /// Why others than this machine's users could use it.
    fn openness(&self) -> Option<String> {
        let address = self.address?;
        let certified = self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        let missing = match (&self.tls, &self.token_file) {
            _ if address.ip().is_loopback() => return None,
            (Some(_), _) if certified => return None,
            (Some(_), Some(_)) => return None,
            (None, Some(_)) => "the token would pass in the clear: add `admin.tls`",
            (Some(_), None) => "everyone could use it: add `token-file`, or `tls.client-ca`",
            (None, None) => {
                "everyone could use it: add `admin.tls` with `token-file` or `client-ca`"
            }
        };
        Some(format!(
            "`{address}` is not a loopback address, and {missing}"
        ))
    }
}

impl Log {
    pub(super) fn rebase(&mut self, folder: &Path) {
        if let LogTo::File(file) = &mut self.to {
            *file = folder.join(&file);
        }
    }
}

impl Default for Log {
    fn default() -> Log {
        Log {
            to: LogTo::Stdout,
            allowed: LogAllowed::All,
            sample: 1,
        }
    }
}

impl Default for Metrics {
    fn default() -> Metrics {
        Metrics { streams: 100 }
    }
}

impl<'de> Deserialize<'de> for Admin {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let admin = Admin {
            address: table.optional("address").map(|Address(address)| address),
            token_file: table.optional::<String>("token-file").map(PathBuf::from),
            tls: table.optional("tls"),
        };
        let read = table.finalize(None);
        let good = match admin.openness() {
            Some(message) => Err(custom(value, &message)),
            None => Ok(admin),
        };
        both(read, good)
    }
}

impl<'de> Deserialize<'de> for AdminTls {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let file = |text: String| PathBuf::from(text);
        let tls = AdminTls {
            certificate: table.required("certificate").map(file).unwrap_or_default(),
            key: table.required("key").map(file).unwrap_or_default(),
            client_ca: table.optional("client-ca").map(file),
        };
        table.finalize(None)?;
        Ok(tls)
    }
}

impl<'de> Deserialize<'de> for Log {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let log = Log {
            to: table.optional("to").unwrap_or(LogTo::Stdout),
            allowed: table.optional("allowed").unwrap_or(LogAllowed::All),
            sample: table.optional("sample").unwrap_or(1),
        };
        let read = table.finalize(None);
        let good = match log.sample {
            0 => Err(custom(value, "`sample` must be above zero: 1 writes all")),
            _ => Ok(log),
        };
        both(read, good)
    }
}

impl<'de> Deserialize<'de> for LogTo {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        match value.take_string(Some("\"stdout\" or a file"))?.as_ref() {
            "" => Err(custom(value, "neither \"stdout\" nor a file")),
            "stdout" => Ok(LogTo::Stdout),
            file => Ok(LogTo::File(PathBuf::from(file))),
        }
    }
}

impl<'de> Deserialize<'de> for LogAllowed {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        match value.take_string(None)?.as_ref() {
            "all" => Ok(LogAllowed::All),
            "none" => Ok(LogAllowed::None),
            other => Err(custom(
                value,
                &format!("`{other}` is neither \"all\" nor \"none\""),
            )),
        }
    }
}

impl<'de> Deserialize<'de> for Metrics {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let mut metrics = Metrics::default();
        if let Some(streams) = table.optional("streams") {
            metrics.streams = streams;
        }
        table.finalize(None)?;
        Ok(metrics)
    }
}
