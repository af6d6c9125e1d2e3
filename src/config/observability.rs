//! `[admin]`, `[log]` and `[metrics]`: the admin port, the decision log, the metrics.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::parse::{FromTable, Table, TomlValue};

/// `[admin]`: health, metrics, decisions and control, on a port of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admin {
    /// The address. Beyond loopback, it requires TLS, and a token or client certificates.
    pub address: Option<SocketAddr>,
    /// A file with the bearer token of its clients.
    pub token_file: Option<PathBuf>,
    /// The port's certificates; if absent, the port speaks plain HTTP.
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
    /// The destination of lines.
    pub to: LogTo,
    /// Which allowed requests are logged; denied requests always are.
    pub allowed: LogAllowed,
    /// One of this many allowed requests is logged; at least 1.
    pub sample: u32,
}

/// The destination of the decision log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTo {
    /// Standard output.
    Stdout,
    /// A file, appended to and reopened on SIGHUP.
    File(PathBuf),
}

/// Which allowed requests the decision log contains.
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
    /// The number of streams with series of their own; `other` counts the rest.
    pub streams: u16,
}

impl Admin {
    /// The reason that others than this machine's users could use the port.
    fn exposure(&self) -> Option<String> {
        let address = self.address.filter(|it| !it.ip().is_loopback())?;
        let has_client_ca = self.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        let missing = match (&self.tls, &self.token_file) {
            (Some(_), Some(_)) => return None,
            (Some(_), None) if has_client_ca => return None,
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

impl FromTable for Admin {
    fn from_table(table: &mut Table<'_>) -> Option<Admin> {
        let admin = Admin {
            address: table.optional("address"),
            token_file: table.optional("token-file"),
            tls: table.optional("tls"),
        };
        if let Some(message) = admin.exposure() {
            table.refuse::<()>(message);
        }
        Some(admin)
    }
}

impl FromTable for AdminTls {
    fn from_table(table: &mut Table<'_>) -> Option<AdminTls> {
        Some(AdminTls {
            certificate: table.required("certificate").unwrap_or_default(),
            key: table.required("key").unwrap_or_default(),
            client_ca: table.optional("client-ca"),
        })
    }
}

impl FromTable for Log {
    fn from_table(table: &mut Table<'_>) -> Option<Log> {
        let allowed = [("all", LogAllowed::All), ("none", LogAllowed::None)];
        let log = Log {
            to: table.optional_with("to", log_to).unwrap_or(LogTo::Stdout),
            allowed: table.choice("allowed", &allowed).unwrap_or(LogAllowed::All),
            sample: table.optional("sample").unwrap_or(1),
        };
        table.refuse_if(log.sample == 0, "`sample` must be above zero: 1 writes all");
        Some(log)
    }
}

fn log_to(mut value: TomlValue<'_>) -> Option<LogTo> {
    let folder = value.folder();
    match value.string("\"stdout\" or a file")?.as_str() {
        "" => value.refuse("neither \"stdout\" nor a file"),
        "stdout" => Some(LogTo::Stdout),
        file => Some(LogTo::File(folder.join(file))),
    }
}

impl FromTable for Metrics {
    fn from_table(table: &mut Table<'_>) -> Option<Metrics> {
        let mut metrics = Metrics::default();
        table.set("streams", &mut metrics.streams);
        Some(metrics)
    }
}
