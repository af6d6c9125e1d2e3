//! From the file's text to its shape.

use std::path::{Path, PathBuf};

use toml_span::de_helpers::TableHelper;
use toml_span::{DeserError, Deserialize, Error, ErrorKind, Value};

use super::network::networks;
use super::place::Places;
use super::values::{Bytes, Span, custom};
use super::{
    Authenticate, ClientAuth, Config, Endpoint, EndpointPolicy, IdentityMap, IdentityPolicy,
    Limits, Listener, ListenerTls, Mode, Problems,
};

pub(super) fn config(text: &str, file: &Path) -> Result<Config, Problems> {
    let mut config: Config = table(text, file)?;
    config.rebase(file.parent().unwrap_or(Path::new("")));
    Ok(config)
}

/// Reads a TOML text; every problem of it is reported with its place.
pub(super) fn table<T: for<'de> Deserialize<'de>>(text: &str, file: &Path) -> Result<T, Problems> {
    let report = |errors: Vec<Error>, places: &Places| {
        Problems(
            errors
                .iter()
                .flat_map(|error| places.problems_of(error, text, file))
                .collect(),
        )
    };
    let mut value = match toml_span::parse(text) {
        Ok(value) => value,
        Err(error) => return Err(report(vec![error], &Places::default())),
    };
    let places = Places::of(&value);
    T::deserialize(&mut value).map_err(|errors| report(errors.errors, &places))
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let places = Places::of(value);
        let mut table = TableHelper::new(value)?;
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
            identities: IdentityMap {
                principals: table.optional("principal").unwrap_or_default(),
                accounts: table.optional("account").unwrap_or_default(),
            },
            identity_map: table.optional::<String>("identity-map").map(PathBuf::from),
            client_certificates: table.optional("client-certificate").unwrap_or_default(),
            identity_policies: table.optional("identity-policy").unwrap_or_default(),
            rates: table.optional("rate").unwrap_or_default(),
            listeners: table.required("listener").unwrap_or_default(),
        };
        let failed = !table.errors.is_empty();
        let mut errors = table
            .finalize(None)
            .err()
            .map(|e| e.errors)
            .unwrap_or_default();
        if !failed {
            errors.extend(
                config
                    .contradictions()
                    .into_iter()
                    .map(|(path, message)| Error {
                        kind: ErrorKind::Custom(message.into()),
                        span: places.span(&path).unwrap_or(value.span),
                        line_info: None,
                    }),
            );
        }
        if errors.is_empty() {
            Ok(config)
        } else {
            Err(DeserError { errors })
        }
    }
}

impl Config {
    /// What each value allows but all together do not, each with the path of the value to change.
    fn contradictions(&self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        if self.endpoints.is_empty() {
            let message = "no `[[endpoint]]`: name at least one";
            found.push(("endpoint".to_owned(), message.to_owned()));
        }
        if self.listeners.is_empty() {
            let message = "no `[[listener]]`: name at least one";
            found.push(("listener".to_owned(), message.to_owned()));
        }
        let ids = self.endpoints.iter().map(|endpoint| &endpoint.id);
        found.extend(doubled(ids).map(|(n, id)| {
            let message = format!("two endpoints have the id `{id}`");
            (format!("endpoint[{n}].id"), message)
        }));
        let names = self.rates.iter().map(|rate| &rate.name);
        found.extend(doubled(names).map(|(n, name)| {
            let message = format!("two rates have the name `{name}`");
            (format!("rate[{n}].name"), message)
        }));
        found.extend(self.identities.overlaps());
        for (n, endpoint) in self.endpoints.iter().enumerate() {
            if endpoint.mode == Mode::Audit && endpoint.re_sign.is_some() {
                let message = "an endpoint that signs anew would lend its role to everybody: try a \
                               policy as its `candidate`";
                found.push((format!("endpoint[{n}].mode"), message.to_owned()));
            }
        }
        let addresses = self.listeners.iter().map(|listener| listener.address);
        let addresses = doubled(addresses).filter(|(_, address)| address.port() != 0);
        found.extend(addresses.map(|(n, address)| {
            let message = format!("two listeners have the address `{address}`");
            (format!("listener[{n}].address"), message)
        }));
        for (n, listener) in self.listeners.iter().enumerate() {
            found.extend(listener.contradictions(n, &self.endpoints));
            let missing = self.unauthenticated(listener);
            found.extend(missing.map(|message| (format!("listener[{n}].endpoint"), message)));
        }
        found
    }

    /// Why clients of a listener cannot prove who they are as its endpoint asks.
    fn unauthenticated(&self, listener: &Listener) -> Option<String> {
        let here = |endpoint: &&Endpoint| listener.endpoints.contains(&endpoint.id);
        self.endpoints.iter().filter(here).find_map(|endpoint| {
            let missing = match endpoint.re_sign.as_ref()?.authenticate {
                Authenticate::Loopback if !listener.address.ip().is_loopback() => {
                    "not on a loopback address, where everyone would be its principal"
                }
                Authenticate::Loopback
                    if listener.proxy_protocol.is_some() || listener.intercept.is_some() =>
                {
                    "one that clients elsewhere are led to, who would all be its principal"
                }
                Authenticate::Loopback if endpoint.principal.is_none() => {
                    "for an endpoint without `principal`, which says who calls on loopback"
                }
                Authenticate::Mtls
                    if !listener.client_auth.as_ref().is_some_and(|c| c.required) =>
                {
                    "without `tls.client-ca` or with optional client certificates"
                }
                Authenticate::Sigv4(_) | Authenticate::Loopback | Authenticate::Mtls => {
                    return None;
                }
            };
            Some(format!(
                "listener `{}` is {missing}, but endpoint `{}` authenticates its clients by it",
                listener.address, endpoint.id
            ))
        })
    }

    fn rebase(&mut self, folder: &Path) {
        let rebase = |path: &mut PathBuf| *path = folder.join(&path);
        self.admin.rebase(folder);
        self.log.rebase(folder);
        self.upstream.ca_file.iter_mut().for_each(rebase);
        if let Some(redis) = &mut self.tokens.redis {
            let optional = redis.password_file.iter_mut().chain(&mut redis.ca_file);
            optional.chain([&mut redis.key_file]).for_each(rebase);
        }
        if let Some(traces) = &mut self.traces {
            traces.files_mut().for_each(rebase);
        }
        for endpoint in &mut self.endpoints {
            if let EndpointPolicy::File(path) = &mut endpoint.policy {
                rebase(path);
            }
            endpoint.candidate.iter_mut().for_each(rebase);
            if let Some(Authenticate::Sigv4(path)) = endpoint
                .re_sign
                .as_mut()
                .map(|re_sign| &mut re_sign.authenticate)
            {
                rebase(path);
            }
        }
        self.identity_map.iter_mut().for_each(rebase);
        self.identity_policies
            .iter_mut()
            .for_each(|policy| rebase(&mut policy.file));
        for listener in &mut self.listeners {
            let (ListenerTls::Files { certificate, key }
            | ListenerTls::Authority { certificate, key }) = &mut listener.tls;
            rebase(certificate);
            rebase(key);
            if let Some(clients) = &mut listener.client_auth {
                rebase(&mut clients.authorities);
                clients.revoked.iter_mut().for_each(rebase);
            }
        }
    }
}

impl<'de> Deserialize<'de> for Limits {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let mut limits = Limits::default();
        let bytes = |table: &mut TableHelper<'de>, name, limit: &mut usize| {
            if let Some(Bytes(bytes)) = table.optional(name) {
                *limit = bytes;
            }
        };
        bytes(&mut table, "body-bytes", &mut limits.body_bytes);
        bytes(&mut table, "buffered-bytes", &mut limits.buffered_bytes);
        bytes(&mut table, "body-rate", &mut limits.body_rate);
        bytes(&mut table, "head-bytes", &mut limits.head_bytes);
        let span = |table: &mut TableHelper<'de>, name, limit: &mut std::time::Duration| {
            if let Some(Span(span)) = table.optional(name) {
                *limit = span;
            }
        };
        span(
            &mut table,
            "handshake-timeout",
            &mut limits.handshake_timeout,
        );
        span(&mut table, "head-timeout", &mut limits.head_timeout);
        span(&mut table, "body-timeout", &mut limits.body_timeout);
        span(&mut table, "connect-timeout", &mut limits.connect_timeout);
        span(&mut table, "response-timeout", &mut limits.response_timeout);
        span(&mut table, "upstream-idle", &mut limits.upstream_idle);
        span(&mut table, "tunnel-idle", &mut limits.tunnel_idle);
        span(&mut table, "tunnel-total", &mut limits.tunnel_total);
        span(&mut table, "drain", &mut limits.drain);
        limits.connections = table.optional("connections").unwrap_or(limits.connections);
        limits.connections_per_client = table.optional("connections-per-client");
        limits.handshakes = table.optional("handshakes").unwrap_or(limits.handshakes);
        limits.requests = table.optional("requests").unwrap_or(limits.requests);
        limits.resets = table.optional("resets").unwrap_or(limits.resets);
        limits.streams = table.optional("streams").unwrap_or(limits.streams);
        let read = table.finalize(None);
        let wrong = [
            (limits.connections == 0).then_some("`connections` must be above zero"),
            (limits.connections_per_client == Some(0))
                .then_some("`connections-per-client` must be above zero"),
            (limits.handshakes == 0).then_some("`handshakes` must be above zero"),
            (limits.requests == 0).then_some("`requests` must be above zero"),
            (limits.body_rate == 0).then_some("`body-rate` must be above zero"),
            (limits.streams == 0).then_some("`streams` must be above zero"),
            (limits.head_bytes < 8 << 10).then_some("`head-bytes` must be at least 8KiB"),
            (limits.buffered_bytes < limits.body_bytes)
                .then_some("`buffered-bytes` must be at least `body-bytes`"),
        ];
        let wrong = wrong.into_iter().flatten();
        wrong.fold(read.map(|_| limits), |read, message| {
            both(read, Err(custom(value, message)))
        })
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let id = table.required("id");
        let vpc = table.optional("vpc");
        let region = table.required("region");
        let networks = networks(&mut table, "networks");
        let policy = table.optional::<String>("policy").map(PathBuf::from);
        let full_access = table
            .optional::<bool>("default-full-access")
            .unwrap_or(false);
        let mode = table.optional("mode").unwrap_or_default();
        let candidate = table.optional::<String>("candidate").map(PathBuf::from);
        let principal = table.optional("principal");
        let account = table.optional("vpce-account");
        let org_id = table.optional("vpce-org-id");
        let org_paths = table.optional("vpce-org-paths");
        let re_sign = table.optional("re-sign");
        let read = table.finalize(None);
        let policy = match (policy, full_access) {
            (Some(file), false) => Ok(EndpointPolicy::File(file)),
            (None, true) => Ok(EndpointPolicy::FullAccess),
            (Some(_), true) => Err(custom(
                value,
                "both `policy` and `default-full-access`: keep one",
            )),
            (None, false) => Err(custom(
                value,
                "no `policy`: name a policy file, or write `default-full-access = true` for \
                 AWS's default, which allows everything",
            )),
        };
        let policy = both(read, policy)?;
        Ok(Endpoint {
            id: id?,
            vpc,
            region: region?,
            networks,
            policy,
            mode,
            candidate,
            principal,
            account,
            org_id,
            org_paths,
            re_sign,
        })
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        match value.take_string(None)?.as_ref() {
            "enforce" => Ok(Mode::Enforce),
            "audit" => Ok(Mode::Audit),
            other => {
                let message = format!("`{other}` is neither \"enforce\" nor \"audit\"");
                Err(custom(value, &message))
            }
        }
    }
}

/// The mode of an identity policy: whether it is only tried.
struct Tried(bool);

impl<'de> Deserialize<'de> for Tried {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        match value.take_string(None)?.as_ref() {
            "enforce" => Ok(Tried(false)),
            "candidate" => Ok(Tried(true)),
            other => {
                let message = format!("`{other}` is neither \"enforce\" nor \"candidate\"");
                Err(custom(value, &message))
            }
        }
    }
}

impl<'de> Deserialize<'de> for IdentityPolicy {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let file = table.required::<String>("file");
        let principals = table.required::<Vec<String>>("principals");
        let candidate = table.optional::<Tried>("mode").is_some_and(|mode| mode.0);
        table.finalize(None)?;
        let principals = principals?;
        if principals.is_empty() {
            return Err(custom(
                value,
                "`principals` is empty: the policy would hold for nobody",
            ));
        }
        Ok(IdentityPolicy {
            file: file?.into(),
            principals,
            candidate,
        })
    }
}

/// `[listener.tls]`: the server's side and the clients'.
pub(super) struct TlsTable(pub ListenerTls, pub Option<ClientAuth>);

impl<'de> Deserialize<'de> for TlsTable {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let mut path = |name| table.optional::<String>(name).map(PathBuf::from);
        let files = (
            path("certificate"),
            path("key"),
            path("ca-certificate"),
            path("ca-key"),
        );
        let clients = ClientAuth::read(&mut table);
        let read = table.finalize(None);
        let tls = match files {
            (Some(certificate), Some(key), None, None) => {
                Ok(ListenerTls::Files { certificate, key })
            }
            (None, None, Some(certificate), Some(key)) => {
                Ok(ListenerTls::Authority { certificate, key })
            }
            _ => Err(custom(
                value,
                "name either `certificate` and `key`, or `ca-certificate` and `ca-key`",
            )),
        };
        let clients = clients
            .transpose()
            .map_err(|message| custom(value, message));
        Ok(TlsTable(both(read, tls)?, clients?))
    }
}

/// What was read, or the errors of both.
pub(super) fn both<A, B>(
    read: Result<A, DeserError>,
    good: Result<B, DeserError>,
) -> Result<B, DeserError> {
    match (read, good) {
        (Ok(_), good) => good,
        (Err(error), Ok(_)) => Err(error),
        (Err(mut error), Err(other)) => {
            error.merge(other);
            Err(error)
        }
    }
}

/// The values that have occurred before, each with its place.
pub(super) fn doubled<T: PartialEq + Copy>(
    values: impl Iterator<Item = T>,
) -> impl Iterator<Item = (usize, T)> {
    let mut seen = Vec::new();
    values.enumerate().filter(move |(_, value)| {
        let known = seen.contains(value);
        seen.push(*value);
        known
    })
}
