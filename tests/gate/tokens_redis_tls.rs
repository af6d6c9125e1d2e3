//! Token binding through Redis over TLS with a password: a store that fails authentication is not used.

use std::sync::Arc;

use kinesis_gate::sandbox::Authority;
use tempfile::TempDir;

use crate::support::redis_tls::{PASSWORD, TlsRedis};
use crate::support::responder::Responder;
use crate::support::{ENDPOINT, Gate, GateBuilder};
use crate::token_binding::{Caller, POLICY, WIRES, kinesis, metric};

/// How a gate reaches the store.
struct StoreSettings<'a> {
    url: String,
    ca: Option<&'a Authority>,
    password: Option<&'a str>,
}

impl StoreSettings<'_> {
    /// Settings of `[tokens]`, with their files in a folder.
    fn settings(&self, folder: &TempDir) -> String {
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            format!("{name} = \"{}\"\n", path.display())
        };
        let key = file("key-file", "0123456789abcdef0123456789abcdef\n");
        let ca = self.ca.map(|ca| file("ca-file", &ca.pem()));
        let password = self
            .password
            .map(|password| file("password-file", password));
        // Long enough for a handshake on a busy machine.
        format!(
            "store = \"redis\"\nurl = \"{}\"\ntimeout = \"2s\"\n{key}{}{}",
            self.url,
            ca.unwrap_or_default(),
            password.unwrap_or_default(),
        )
    }
}

struct Fixture {
    authority: Arc<Authority>,
    kinesis: Responder,
    redis: TlsRedis,
}

/// `None` where Redis is not installed.
fn fixture() -> Option<Fixture> {
    let authority = Arc::new(Authority::create().unwrap());
    Some(Fixture {
        redis: TlsRedis::start(&authority)?,
        kinesis: kinesis(&authority),
        authority,
    })
}

impl Fixture {
    /// Two replicas with the same settings.
    fn gates(&self, store: &StoreSettings<'_>) -> [Gate; 2] {
        let folder = tempfile::tempdir().unwrap();
        let settings = store.settings(&folder);
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
    let Some(fixture) = fixture() else { return };
    for scheme in ["rediss", "valkeys"] {
        let gates = fixture.gates(&StoreSettings {
            url: fixture.url(scheme, "localhost"),
            ca: Some(&fixture.authority),
            password: Some(PASSWORD),
        });
        let callers = gates.each_ref().map(|gate| Caller::new(gate, WIRES[0]));
        let before = fixture.redis.len();
        let orders = callers[0].iterator("orders");
        assert_eq!(fixture.redis.len(), before + 1);
        callers[1].read(&orders);
        let private = callers[0].iterator("private");
        assert_eq!(callers[1].read_error(&private), "AccessDeniedException");
        for gate in &gates {
            assert_eq!(metric(gate, "token_store_failures"), 0);
        }
    }
}

#[test]
fn a_store_that_fails_authentication_shares_no_token() {
    let Some(fixture) = fixture() else { return };
    let (authority, stranger) = (&*fixture.authority, Authority::create().unwrap());
    let store = |url, ca, password| StoreSettings { url, ca, password };
    #[rustfmt::skip]
    let cases = [
        ("another CA", store(fixture.url("rediss", "localhost"), Some(&stranger), Some(PASSWORD))),
        ("the system's CAs", store(fixture.url("rediss", "localhost"), None, Some(PASSWORD))),
        ("another name than the certificate's", store(fixture.url("rediss", "127.0.0.1"), Some(authority), Some(PASSWORD))),
        ("no TLS", store(fixture.url("redis", "localhost"), None, Some(PASSWORD))),
        ("another password", store(fixture.url("rediss", "localhost"), Some(authority), Some("wrong"))),
        ("no password", store(fixture.url("rediss", "localhost"), Some(authority), None)),
    ];
    for (name, store) in &cases {
        let gates = fixture.gates(store);
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
        assert_eq!(fixture.kinesis.count("GetRecords"), 0, "{name}");
        assert_eq!(fixture.redis.len(), 0, "{name}");
        for gate in &gates {
            assert!(metric(gate, "token_store_failures") > 0, "{name}");
        }
    }
}
