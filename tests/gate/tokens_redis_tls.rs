//! The shared store over TLS and with a password: what does not prove itself is no store.

use std::sync::Arc;

use kinesis_gate::sandbox::Authority;
use tempfile::TempDir;

use crate::support::redis_tls::{PASSWORD, TlsRedis};
use crate::support::responder::Responder;
use crate::support::{ENDPOINT, Gate, GateBuilder};
use crate::token_binding::{Caller, POLICY, WIRES, kinesis, metric};

/// How a gate is told to reach the store.
struct Told<'a> {
    url: String,
    ca: Option<&'a Authority>,
    password: Option<&'a str>,
}

impl Told<'_> {
    /// Settings of `[tokens]`, with their files in a folder.
    fn settings(&self, folder: &TempDir) -> String {
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            format!("{name} = \"{}\"\n", path.display())
        };
        let key = file("key-file", "0123456789abcdef0123456789abcdef\n");
        let ca = self.ca.map(|ca| file("ca-file", &ca.pem()));
        let password = self.password.map(|it| file("password-file", it));
        // Long enough for a handshake on a busy machine.
        format!(
            "store = \"redis\"\nurl = \"{}\"\ntimeout = \"2s\"\n{key}{}{}",
            self.url,
            ca.unwrap_or_default(),
            password.unwrap_or_default(),
        )
    }
}

struct Site {
    authority: Arc<Authority>,
    kinesis: Responder,
    redis: TlsRedis,
}

/// `None` where there is no Redis.
fn site() -> Option<Site> {
    let authority = Arc::new(Authority::create().unwrap());
    Some(Site {
        redis: TlsRedis::start(&authority)?,
        kinesis: kinesis(&authority),
        authority,
    })
}

impl Site {
    /// Two replicas, told the same.
    fn gates(&self, told: &Told<'_>) -> [Gate; 2] {
        let folder = tempfile::tempdir().unwrap();
        let settings = told.settings(&folder);
        let start = || {
            GateBuilder::new(&self.authority, self.kinesis.address())
                .endpoint(ENDPOINT, POLICY)
                .tokens(&settings)
                .start()
        };
        [start(), start()]
    }

    fn url(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://{host}:{}", self.redis.port())
    }
}

#[test]
fn replicas_share_over_tls_with_the_password() {
    let Some(site) = site() else { return };
    for scheme in ["rediss", "valkeys"] {
        let gates = site.gates(&Told {
            url: site.url(scheme, "localhost"),
            ca: Some(&site.authority),
            password: Some(PASSWORD),
        });
        let callers = gates.each_ref().map(|gate| Caller::new(gate, WIRES[0]));
        let before = site.redis.len();
        let orders = callers[0].iterator("orders");
        assert_eq!(site.redis.len(), before + 1);
        callers[1].read(&orders);
        let private = callers[0].iterator("private");
        assert_eq!(callers[1].read_error(&private), "AccessDeniedException");
        for gate in &gates {
            assert_eq!(metric(gate, "token_store_failures"), 0);
        }
    }
}

#[test]
fn a_store_that_is_not_the_right_one_or_lets_nobody_in_opens_nothing() {
    let Some(site) = site() else { return };
    let (authority, stranger) = (&*site.authority, Authority::create().unwrap());
    let right = |url, ca, password| Told { url, ca, password };
    let cases = [
        (
            "another CA",
            right(
                site.url("rediss", "localhost"),
                Some(&stranger),
                Some(PASSWORD),
            ),
        ),
        (
            "the system's CAs",
            right(site.url("rediss", "localhost"), None, Some(PASSWORD)),
        ),
        (
            "a name that its certificate has not",
            right(
                site.url("rediss", "127.0.0.1"),
                Some(authority),
                Some(PASSWORD),
            ),
        ),
        (
            "no TLS",
            right(site.url("redis", "localhost"), None, Some(PASSWORD)),
        ),
        (
            "another password",
            right(
                site.url("rediss", "localhost"),
                Some(authority),
                Some("wrong"),
            ),
        ),
        (
            "no password",
            right(site.url("rediss", "localhost"), Some(authority), None),
        ),
    ];
    for (name, told) in &cases {
        let gates = site.gates(told);
        let callers = gates.each_ref().map(|gate| Caller::new(gate, WIRES[0]));
        let orders = callers[0].iterator("orders");
        let private = callers[0].iterator("private");
        for token in [&orders, &private] {
            assert_eq!(
                callers[1].read_error(token),
                "ExpiredIteratorException",
                "{name}"
            );
        }
        assert_eq!(site.kinesis.count("GetRecords"), 0, "{name}");
        assert_eq!(site.redis.len(), 0, "{name}");
        for gate in &gates {
            assert!(metric(gate, "token_store_failures") > 0, "{name}");
        }
    }
}
