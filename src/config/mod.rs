//! The configuration file: one TOML file, policies and certificates as files beside it.
//!
//! Unknown keys are refused, and all errors are reported at once, each with its line, column and
//! path. This room knows the file's shape only; `app` opens the files that the configuration names.

mod documents;
mod endpoint;
mod identity_map;
mod limits;
mod listener;
mod observability;
mod parse;
mod problem;
mod rate_limit;
mod re_sign;
mod reload;
mod source_position;
mod tokens;
mod traces;
mod upstream;
mod validation;
mod values;

use std::path::{Path, PathBuf};

use parse::{FromTable, Table};

pub use documents::{NamedDocument, named_documents};
pub use endpoint::{Endpoint, EndpointPolicy, IdentityPolicy, Mode};
pub use identity_map::{Account, ClientCertificate, IdentityMap, NamePattern, Principal, Tags};
pub use limits::Limits;
pub use listener::{ClientAuth, Intercept, Listener, ListenerTls, ProxyProtocol, Tunnel};
pub use observability::{Admin, AdminTls, Log, LogAllowed, LogTo, Metrics};
pub use problem::{Problem, Problems};
pub use rate_limit::{RateLimit, RateLimitKey};
pub use re_sign::{Authenticate, ReSign, Role};
pub use reload::{OnReload, Reload};
pub use source_position::locate;
pub use tokens::{Redis, Tokens};
pub use traces::Traces;
pub use upstream::Upstream;
pub use values::HostNames;

/// The file's content, with defaults filled in and paths joined with the file's folder.
#[derive(Debug, Clone)]
pub struct Config {
    /// Event loops, each on a thread of its own. 0 means one for each core.
    pub workers: usize,
    /// The destination of allowed requests.
    pub upstream: Upstream,
    /// Health, metrics, decisions and control.
    pub admin: Admin,
    /// The decision log.
    pub log: Log,
    /// The metrics.
    pub metrics: Metrics,
    /// How changed files are reloaded.
    pub reload: Reload,
    /// Caps and timeouts.
    pub limits: Limits,
    /// The store of token bindings.
    pub tokens: Tokens,
    /// The collector of spans; if absent, there are no spans.
    pub traces: Option<Traces>,
    /// The VPC endpoints of this process; at least one.
    pub endpoints: Vec<Endpoint>,
    /// The facts about callers beyond the account in their access key id.
    pub identities: IdentityMap,
    /// A file with further identities.
    pub identity_map: Option<PathBuf>,
    /// The principals of client certificates.
    pub client_certificates: Vec<ClientCertificate>,
    /// Identity policies and the principals that they are attached to.
    pub identity_policies: Vec<IdentityPolicy>,
    /// Rate limits.
    pub rate_limits: Vec<RateLimit>,
    /// The sockets that clients connect to; at least one.
    pub listeners: Vec<Listener>,
}

impl Config {
    /// Parses a configuration. Relative paths in it start at the folder of `file`, and errors name
    /// `file`.
    ///
    /// # Errors
    /// All problems of the text.
    pub fn parse(text: &str, file: &Path) -> Result<Config, Problems> {
        parse::parse(text, file)
    }
}

impl FromTable for Config {
    fn from_table(table: &mut Table<'_>) -> Option<Config> {
        let config = Config {
            workers: table.optional("workers").unwrap_or(0),
            upstream: table.optional("upstream").unwrap_or_default(),
            admin: table.optional("admin").unwrap_or_default(),
            log: table.optional("log").unwrap_or_default(),
            metrics: table.optional("metrics").unwrap_or_default(),
            reload: table.optional("reload").unwrap_or_default(),
            limits: table.optional("limits").unwrap_or_default(),
            tokens: table.optional("tokens").unwrap_or_default(),
            traces: table.optional("traces"),
            endpoints: table.required("endpoint").unwrap_or_default(),
            identities: IdentityMap::from_table(table).unwrap_or_default(),
            identity_map: table.optional("identity-map"),
            client_certificates: table.optional("client-certificate").unwrap_or_default(),
            identity_policies: table.optional("identity-policy").unwrap_or_default(),
            rate_limits: table.optional("rate").unwrap_or_default(),
            listeners: table.required("listener").unwrap_or_default(),
        };
        table.sound()?;
        config.validate(table);
        Some(config)
    }
}
