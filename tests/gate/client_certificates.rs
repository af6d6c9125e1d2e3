//! Client certificates (mTLS): who may connect, and the principal that a certificate identifies.

use std::path::Path;

use kinesis_gate::sandbox::Authority;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;

use crate::support::client_certificates::{
    ClientCa, ClientCertificate, REVOKED_SERIAL, dns_san, uri_san,
};
use crate::support::process::GateProcess;
use crate::support::raw::{Connection, Request, Response};
use crate::support::{Behaviour, HOST, KEY_ID, Recorder, SECRET_KEY, signature};

const PRODUCER: &str = "arn:aws:iam::123456789012:role/producer";
const READER: &str = "arn:aws:iam::123456789012:user/reader";

struct Fixture {
    folder: TempDir,
    authority: Authority,
    recorder: Recorder,
}

impl Fixture {
    fn new(clients: &ClientCa) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::create().unwrap();
        authority.write(folder.path()).unwrap();
        clients.write(folder.path());
        let all = r#"{"Statement":{"Effect":"Allow","Action":"kinesis:*","Resource":"*"}}"#;
        std::fs::write(folder.path().join("all.json"), all).unwrap();
        let policy = format!(
            r#"{{"Statement":{{"Effect":"Allow","Principal":{{"AWS":"{PRODUCER}"}},"Action":"*","Resource":"*"}}}}"#
        );
        std::fs::write(folder.path().join("policy.json"), policy).unwrap();
        let recorder = Recorder::start(&authority, Behaviour::Respond);
        Fixture {
            folder,
            authority,
            recorder,
        }
    }

    fn gate(&self, endpoint: &str, certificates: &str) -> GateProcess {
        let text = format!(
            r#"workers = 1
[upstream]
connect = "{}"
server-name = "localhost"
ca-file = "ca.pem"
[[client-certificate]]
uri = "spiffe://example.org/ns/*/sa/producer"
principal = "{PRODUCER}"
[[client-certificate]]
dns = "*.producers.internal"
principal = "{PRODUCER}"
[[client-certificate]]
dns = "reader.internal"
principal = "{READER}"
[[endpoint]]
id = "vpce-33cc44dd"
region = "us-east-1"
policy = "policy.json"
{endpoint}
[[identity-policy]]
file = "all.json"
principals = ["*"]
[[listener]]
address = "127.0.0.1:0"
endpoint = "vpce-33cc44dd"
[listener.tls]
ca-certificate = "ca.pem"
ca-key = "ca-key.pem"
client-ca = "clients.pem"
client-crl = ["clients.crl.pem"]
client-certificates = "{certificates}"
"#,
            self.recorder.address()
        );
        let file: &Path = &self.folder.path().join("gate.toml");
        std::fs::write(file, text).unwrap();
        let credentials = [
            ("AWS_ACCESS_KEY_ID", KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ];
        GateProcess::start(file, &credentials)
    }

    /// Sends a request over a connection with a client certificate; `None` without a response.
    fn send(&self, gate: &GateProcess, client: Option<&ClientCertificate>) -> Option<Response> {
        let mut connection = self.connect(gate, client)?;
        connection.write(&Request::new("ListStreams", "{}").bytes());
        connection.try_response()
    }

    fn connect(
        &self,
        gate: &GateProcess,
        client: Option<&ClientCertificate>,
    ) -> Option<Connection> {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(self.authority.pem().as_bytes()).unwrap();
        roots.add(authority).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots);
        let config = match client {
            None => config.with_no_client_auth(),
            Some(client) => client.with_client_auth(config),
        };
        Connection::open_with_config(config, gate.address(), HOST).ok()
    }
}

/// A client presents its certificate once for each connection; a reload of the CRL checks it again.
#[test]
fn a_revoked_certificate_is_refused_on_its_open_connection() {
    let clients = ClientCa::new();
    let fixture = Fixture::new(&clients);
    let mut gate = fixture.gate("[endpoint.re-sign]\nauthenticate = \"mtls\"", "required");
    let name = [uri_san("spiffe://example.org/ns/orders/sa/producer")];
    let (valid, revoked) = (clients.issue(1, &name), clients.issue(2, &name));
    let request = Request::new("ListStreams", "{}").bytes();
    let mut open = [&valid, &revoked].map(|client| fixture.connect(&gate, Some(client)).unwrap());
    for connection in &mut open {
        connection.write(&request);
        assert_eq!(connection.response().status, 200);
    }
    clients.revoke(fixture.folder.path(), 2);
    gate.wait_for_messages(|lines| lines.iter().any(|line| line.starts_with("reloaded ")));
    for (connection, status) in open.iter_mut().zip([200, 400]) {
        connection.write(&request);
        assert_eq!(connection.response().status, status);
    }
    assert!(open[1].try_response().is_none(), "the connection is closed");
    let refused = &gate.log(4)[3];
    let reason = "its client certificate is not taken any more";
    assert_eq!(refused["reason"], reason, "{refused}");
    assert!(
        fixture.send(&gate, Some(&revoked)).is_none(),
        "a new connection"
    );
    assert_eq!(fixture.recorder.requests().len(), 3);
}

#[test]
fn a_certificate_identifies_the_principal() {
    let clients = ClientCa::new();
    let fixture = Fixture::new(&clients);
    let gate = fixture.gate("[endpoint.re-sign]\nauthenticate = \"mtls\"", "required");
    let producer = uri_san("spiffe://example.org/ns/orders/sa/producer");
    let allowed = [
        clients.issue(1, std::slice::from_ref(&producer)),
        clients.issue(2, &[dns_san("a.producers.internal")]),
        clients.issue(3, &[producer.clone(), dns_san("b.producers.internal")]),
    ];
    for client in &allowed {
        let response = fixture.send(&gate, Some(client)).unwrap();
        assert_eq!(response.status, 200, "{}", response.message());
    }
    let requests = fixture.recorder.requests();
    assert_eq!(requests.len(), 3);
    assert!(signature::is_valid(&requests[0].headers, &requests[0].body));
    assert_eq!(gate.log(3)[0]["principal"]["arn"], PRODUCER);

    let reader = clients.issue(4, &[dns_san("reader.internal")]);
    let response = fixture.send(&gate, Some(&reader)).unwrap();
    assert_eq!(response.error_type(), "AccessDeniedException");
    assert!(
        response
            .message()
            .starts_with(&format!("User: {READER} is not"))
    );
    let refused = [
        (vec![], "of no principal"),
        (
            vec![uri_san("spiffe://example.org/ns/a/b/sa/producer")],
            "of no principal",
        ),
        (vec![dns_san("a.b.producers.internal")], "of no principal"),
        (
            vec![producer, dns_san("reader.internal")],
            "of several principals",
        ),
    ];
    for (names, _) in &refused {
        let client = clients.issue(5, names);
        let response = fixture.send(&gate, Some(&client)).unwrap();
        let error = (response.status, response.error_type());
        assert_eq!(error, (400, "UnrecognizedClientException".to_owned()));
    }
    let log = gate.log(4 + refused.len());
    for ((_, reason), record) in refused.iter().zip(&log[4..]) {
        assert!(
            record["reason"].as_str().unwrap().contains(reason),
            "{record}"
        );
        assert_eq!(record["principal"], serde_json::json!({}));
    }
    assert_eq!(fixture.recorder.requests().len(), 3);
}

#[test]
fn unknown_and_revoked_certificates_cannot_connect() {
    let clients = ClientCa::new();
    let fixture = Fixture::new(&clients);
    let gate = fixture.gate("[endpoint.re-sign]\nauthenticate = \"mtls\"", "required");
    let name = [uri_san("spiffe://example.org/ns/orders/sa/producer")];
    let other_ca = ClientCa::new();
    for (client, case) in [
        (None, "no certificate"),
        (Some(other_ca.issue(1, &name)), "another CA"),
        (Some(clients.issue(REVOKED_SERIAL, &name)), "revoked"),
    ] {
        assert!(fixture.send(&gate, client.as_ref()).is_none(), "{case}");
    }
    assert!(
        fixture
            .send(&gate, Some(&clients.issue(1, &name)))
            .is_some()
    );
    assert_eq!(fixture.recorder.requests().len(), 1);
}

/// In passthrough the service verifies the signature; the certificate identifies the principal.
#[test]
fn a_certificate_identifies_the_principal_in_passthrough() {
    let clients = ClientCa::new();
    let fixture = Fixture::new(&clients);
    let gate = fixture.gate("", "optional");
    let producer = clients.issue(1, &[uri_san("spiffe://example.org/ns/orders/sa/producer")]);
    assert_eq!(fixture.send(&gate, Some(&producer)).unwrap().status, 200);
    let response = fixture.send(&gate, None).unwrap();
    assert_eq!(response.error_type(), "AccessDeniedException");
    let requests = fixture.recorder.requests();
    assert_eq!(requests.len(), 1);
    assert!(signature::is_valid(&requests[0].headers, &requests[0].body));
}
