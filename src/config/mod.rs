//! The configuration file: one TOML file, policies and certificates as files beside it.
//!
//! Unknown keys are refused, every error is reported at once, each with its line, column and path.
//! This room knows the file's shape only; `app` opens what it names.

mod files;
mod identity;
mod network;
mod place;
mod problem;
mod rate;
mod read;
mod tokens;
mod traces;
mod values;
mod watch;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;

pub use files::{OnReload, Reload};
pub use identity::{
    Account, Authenticate, ClientAuth, ClientCertificate, IdentityMap, NamePattern, Principal,
    ReSign, Role, Tags,
};
pub use network::{Intercept, ProxyProtocol, Tunnel};
pub use place::{NamedDocument, locate, named_documents};
pub use problem::{Problem, Problems};
pub use rate::{Per, Rate};
pub use traces::Traces;
pub use values::Names;
pub use watch::{Admin, AdminTls, Log, LogAllowed, LogTo, Metrics};

/// Everything the file says, with defaults filled in. Paths are relative to the file's folder and
/// already joined with it.
#[derive(Debug, Clone)]
pub struct Config {
    /// Event loops, each on a thread of its own. 0 means one for each core.
    pub workers: usize,
    /// Where allowed requests go.
    pub upstream: Upstream,
    /// Health, metrics, decisions and control.
    pub admin: Admin,
    /// The decision log.
    pub log: Log,
    /// What is counted.
    pub metrics: Metrics,
    /// Taking over what changes.
    pub reload: Reload,
    /// Caps and deadlines.
    pub limits: Limits,
    /// What opaque tokens stand for, and where that is remembered.
    pub tokens: Tokens,
    /// Spans for a collector; none where nobody wants them.
    pub traces: Option<Traces>,
    /// The endpoints this process stands for; at least one.
    pub endpoints: Vec<Endpoint>,
    /// What is known of callers beyond the account in their access key id.
    pub identities: IdentityMap,
    /// A file with more of it.
    pub identity_map: Option<PathBuf>,
    /// Whose client certificates are.
    pub client_certificates: Vec<ClientCertificate>,
    /// Identity policies and whom they are attached to.
    pub identity_policies: Vec<IdentityPolicy>,
    /// How many requests a second go on.
    pub rates: Vec<Rate>,
    /// The sockets clients connect to; at least one.
    pub listeners: Vec<Listener>,
}

/// `[upstream]`: where allowed requests go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upstream {
    /// `host:port` that every connection goes to; absent, connections go to the Kinesis endpoint
    /// that the client asked for, found through DNS, port 443.
    pub connect: Option<String>,
    /// Addresses that every connection to Kinesis goes to, in turn, instead of what a name leads
    /// to; port 443 where none is said.
    pub addresses: Vec<SocketAddr>,
    /// DNS servers to ask instead of the system's resolver and hosts file; port 53 where none is
    /// said.
    pub dns: Vec<SocketAddr>,
    /// The name to ask for and verify in the upstream's certificate; absent, the name of the
    /// Kinesis endpoint asked for.
    pub server_name: Option<String>,
    /// Roots to trust instead of the system's, PEM.
    pub ca_file: Option<PathBuf>,
}

/// `[limits]`: every buffer has a cap and every wait a deadline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Client connections open at once, in the whole process.
    pub connections: usize,
    /// Of one client's address; `None` where only all together are limited.
    pub connections_per_client: Option<usize>,
    /// TLS handshakes with clients under way at once, in the whole process.
    pub handshakes: usize,
    /// Requests in flight at once, in the whole process: from the head to the answer's end.
    pub requests: usize,
    /// Bytes of one request body. The API's largest request is 10 MiB of data, about 14 MiB as
    /// base64 in JSON.
    pub body_bytes: usize,
    /// Bytes of request bodies held at once, in the whole process.
    pub buffered_bytes: usize,
    /// Bytes of one request head.
    pub head_bytes: usize,
    /// HTTP/2 streams open at once on one connection.
    pub streams: u32,
    /// HTTP/2 streams of one connection that a client has reset before they were looked at: more end
    /// the connection.
    pub resets: usize,
    /// From accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// From a request's first byte to the end of its head; also how long an idle connection lives.
    pub head_timeout: Duration,
    /// Between two pieces of a request body.
    pub body_timeout: Duration,
    /// Bytes a second, on average, that a body may not come slower than once it has stalled for
    /// [`Limits::body_timeout`] in all.
    pub body_rate: usize,
    /// For resolving, connecting and the TLS handshake with the upstream.
    pub connect_timeout: Duration,
    /// From the end of the request to the head of the upstream's answer.
    pub response_timeout: Duration,
    /// How long an unused connection to the upstream is kept.
    pub upstream_idle: Duration,
    /// How long a tunnel may carry nothing.
    pub tunnel_idle: Duration,
    /// How long a tunnel may last.
    pub tunnel_total: Duration,
    /// How long accepted requests may take to finish after SIGTERM.
    pub drain: Duration,
}

/// `[tokens]`: what shard iterators and `NextToken`s stand for, where a policy tells streams apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// Tokens remembered at once, in the whole process.
    pub capacity: usize,
    /// Where replicas of a gateway share them; none where each remembers its own.
    pub redis: Option<Redis>,
}

/// `store = "redis"` in `[tokens]`: Redis 6.2 or newer, or Valkey.
#[derive(Clone, PartialEq, Eq)]
pub struct Redis {
    /// `redis://`, `rediss://`, `valkey://`, `valkeys://` or `redis+unix://`. It may hold a
    /// password.
    pub url: String,
    /// A file with the password.
    pub password_file: Option<PathBuf>,
    /// Roots to trust instead of the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// A file with the secret, the same for all replicas, that tokens are hashed with.
    pub key_file: PathBuf,
    /// For connecting and for each command.
    pub timeout: Duration,
}

/// `[[endpoint]]`: one VPC endpoint that this process stands for.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// `aws:SourceVpce`.
    pub id: String,
    /// `aws:SourceVpc`; absent, conditions on it are unknowable.
    pub vpc: Option<String>,
    /// The region whose Kinesis this endpoint leads to.
    pub region: String,
    /// Where its clients are: others are refused. Empty, they may be anywhere.
    pub networks: Vec<IpNet>,
    /// The endpoint policy.
    pub policy: EndpointPolicy,
    /// What becomes of what is denied.
    pub mode: Mode,
    /// An endpoint policy that is tried beside it.
    pub candidate: Option<PathBuf>,
    /// The ARN of who calls through it, where it serves one workload.
    pub principal: Option<String>,
    /// `aws:VpceAccount`, and with it `aws:SourceVpcArn`.
    pub account: Option<String>,
    /// `aws:VpceOrgID`.
    pub org_id: Option<String>,
    /// `aws:VpceOrgPaths`.
    pub org_paths: Option<Vec<String>>,
    /// Set: clients are authenticated here, and requests are signed anew. Absent: the client's
    /// signature goes through untouched.
    pub re_sign: Option<ReSign>,
}

/// What becomes of what an endpoint's policies deny.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// It is answered as AWS would.
    #[default]
    Enforce,
    /// It is recorded, and forwarded all the same.
    Audit,
}

/// The policy of an endpoint.
#[derive(Debug, Clone)]
pub enum EndpointPolicy {
    /// A policy document.
    File(PathBuf),
    /// `default-full-access = true`: AWS's default, said in words.
    FullAccess,
}

/// `[[identity-policy]]`: a policy attached to principals, as an IAM policy is to a user or role.
#[derive(Debug, Clone)]
pub struct IdentityPolicy {
    /// The document.
    pub file: PathBuf,
    /// `*`, account ids, or ARNs.
    pub principals: Vec<String>,
    /// Whether it is only tried: it decides beside those that hold.
    pub candidate: bool,
}

/// `[[listener]]`: a socket that clients connect to.
#[derive(Debug, Clone)]
pub struct Listener {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// The ids of the endpoints whose clients come in here; at least one. Several are told apart
    /// by the load balancer's header, by the name that clients ask for, or by their networks.
    pub endpoints: Vec<String>,
    /// The certificate clients see.
    pub tls: ListenerTls,
    /// The certificates that clients show.
    pub client_auth: Option<ClientAuth>,
    /// Further names by which clients may call this listener as an endpoint override, beside
    /// `localhost` and addresses.
    pub names: Names,
    /// Load balancers that say who their clients are.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Whether connections come here that were meant for another address.
    pub intercept: Option<Intercept>,
    /// Hosts that clients may reach through this listener without being decrypted.
    pub tunnels: Vec<Tunnel>,
}

/// `[listener.tls]`: where the listener's certificates come from.
#[derive(Debug, Clone)]
pub enum ListenerTls {
    /// A certificate chain and its key, PEM.
    Files {
        /// The chain, leaf first.
        certificate: PathBuf,
        /// The leaf's private key.
        key: PathBuf,
    },
    /// A CA that mints a leaf for each name a client asks for, if it is a Kinesis endpoint name of
    /// the endpoint's region or one of the listener's own.
    Authority {
        /// The CA's certificate, PEM.
        certificate: PathBuf,
        /// The CA's private key, PEM.
        key: PathBuf,
    },
}

impl Config {
    /// Reads a configuration from its text. `file` is where it came from: paths in it are relative
    /// to that folder, and errors name it.
    ///
    /// # Errors
    /// Every problem of the text at once.
    pub fn parse(text: &str, file: &Path) -> Result<Config, Problems> {
        read::config(text, file)
    }
}

impl Endpoint {
    /// The file of local credentials, where clients authenticate by signature.
    pub fn local_credentials(&self) -> Option<&Path> {
        match &self.re_sign.as_ref()?.authenticate {
            Authenticate::Sigv4(file) => Some(file),
            Authenticate::Mtls | Authenticate::Loopback => None,
        }
    }
}

impl Default for Tokens {
    fn default() -> Tokens {
        Tokens {
            capacity: 1 << 18,
            redis: None,
        }
    }
}

/// A URL may hold a password.
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("key_file", &self.key_file)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 10_000,
            connections_per_client: None,
            handshakes: 512,
            requests: 20_000,
            body_bytes: 16 << 20,
            buffered_bytes: 256 << 20,
            head_bytes: 64 << 10,
            streams: 250,
            resets: 20,
            body_rate: 1 << 10,
            handshake_timeout: Duration::from_secs(10),
            head_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(30),
            upstream_idle: Duration::from_secs(50),
            tunnel_idle: Duration::from_secs(350),
            tunnel_total: Duration::from_secs(12 * 3600),
            drain: Duration::from_secs(20),
        }
    }
}
