//! Endpoint selection: the PROXY protocol header, the client's network and the SNI name select the
//! endpoint, and nothing that a client sends extends the client's permissions.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use kinesis_gate::sandbox::Authority;

use crate::health_and_drain::get;
use crate::http1_conformance::put;
use crate::support::raw::Connection;
use crate::support::{Behaviour, Gate, GateBuilder, HOST, Recorder};

/// A PROXY protocol v2 header as a network load balancer sends it: addresses, a checksum, AWS's TLV
/// with the endpoint's id, padding.
fn nlb(client: [u8; 4], vpce: &str) -> Vec<u8> {
    let mut tlvs = vec![0x03, 0, 4, 0xA9, 0xB8, 0x7E, 0x8F];
    tlvs.extend(aws_tlv(1, vpce.as_bytes()));
    tlvs.extend([0x04, 0, 3, 0, 0, 0]);
    v2(
        0x21,
        0x11,
        &[&ipv4_addresses(client), tlvs.as_slice()].concat(),
    )
}

fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    header.extend([command, family]);
    header.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    header.extend(payload);
    header
}

fn ipv4_addresses(client: [u8; 4]) -> Vec<u8> {
    [&client, [10, 0, 0, 9].as_slice(), &[0x9C, 0x40, 0x01, 0xBB]].concat()
}

/// AWS's TLV (type 0xEA).
fn aws_tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let len = u16::try_from(value.len() + 1).unwrap().to_be_bytes();
    [[0xEA].as_slice(), &len, &[kind], value].concat()
}

struct Fixture {
    recorder: Recorder,
    gate: Gate,
}

/// One listener for two endpoints: `vpce-0000aaaa` may only list, `vpce-0000bbbb` may do everything, from
/// `10.9.0.0/16`.
fn fixture(listener: &str, endpoints: [&str; 2]) -> Fixture {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let folder = tempfile::tempdir().unwrap();
    let policy = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let list = policy(
        "list.json",
        r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"kinesis:List*","Resource":"*"}}"#,
    );
    let near = policy(
        "near.json",
        r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*",
            "Condition":{"IpAddress":{"aws:VpcSourceIp":"10.9.0.0/16"},
                         "StringEquals":{"aws:SourceVpce":"vpce-0000bbbb"}}}}"#,
    );
    let text = format!(
        "workers = 1\n[upstream]\nconnect = \"{}\"\nserver-name = \"localhost\"\nca-file = \"ca.pem\"\n\
         [limits]\nhandshake-timeout = \"2s\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
         [[endpoint]]\nid = \"vpce-0000aaaa\"\nregion = \"us-east-1\"\npolicy = \"{list}\"\n{}\n\
         [[endpoint]]\nid = \"vpce-0000bbbb\"\nregion = \"us-east-1\"\npolicy = \"{near}\"\n{}\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\nnames = [\"gate.test\"]\n{listener}\n\
         tls = {{ ca-certificate = \"ca.pem\", ca-key = \"ca-key.pem\" }}\n",
        recorder.address(),
        endpoints[0],
        endpoints[1],
    );
    let gate = GateBuilder::new(&authority, recorder.address())
        .config(&text)
        .start();
    Fixture { recorder, gate }
}

const BOTH_ENDPOINTS: &str = "endpoints = [\"vpce-0000aaaa\", \"vpce-0000bbbb\"]\n";
const TRUST_LOOPBACK: &str = "proxy-protocol = { from = [\"127.0.0.0/8\"] }\n";

fn connect(gate: &Gate) -> TcpStream {
    let tcp = TcpStream::connect(gate.address()).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    tcp.set_nodelay(true).unwrap();
    tcp
}

impl Fixture {
    /// The status of a `PutRecord` with the SNI name `name` after `header`; `None` if the gate closed
    /// the connection before.
    fn put_after(&self, header: &[u8], name: &str) -> Option<u16> {
        let mut tcp = connect(&self.gate);
        tcp.write_all(header).unwrap();
        let connection = Connection::try_over_tcp(tcp, &self.gate.authority, name);
        let mut connection = connection.ok()?;
        connection.write(&put().replace("Host", name).bytes());
        connection.try_response().map(|response| response.status)
    }

    /// Asserts that the gate drops the connection for this reason and forwards nothing.
    fn assert_dropped(&self, header: &[u8], name: &str, kind: &str, line: usize) {
        assert_eq!(self.put_after(header, name), None, "{kind}");
        let record = &self.gate.log(line)[line - 1];
        assert_eq!(record["connection"], "dropped", "{record}");
        assert_eq!(record["kind"], kind, "{record}");
        assert!(!record["reason"].as_str().unwrap().is_empty());
        assert!(self.recorder.requests().is_empty());
        let zero = format!("kinesis_gate_connections_dropped_total{{kind=\"{kind}\"}} 0");
        assert!(
            !get(self.gate.admin(), "/metrics").1.contains(&zero),
            "{kind}"
        );
    }
}

#[test]
fn a_proxy_protocol_header_names_the_client_and_the_endpoint() {
    let fixture = fixture(&format!("{BOTH_ENDPOINTS}{TRUST_LOOPBACK}"), ["", ""]);
    let cases: [(Vec<u8>, u16); 4] = [
        (nlb([10, 9, 0, 7], "vpce-0000bbbb"), 200),
        // The same endpoint, from a network for which its policy allows nothing.
        (nlb([10, 8, 0, 7], "vpce-0000bbbb"), 400),
        // The other endpoint's policy.
        (nlb([10, 9, 0, 7], "vpce-0000aaaa"), 400),
        // AWS may add kinds to its TLV.
        (
            v2(
                0x21,
                0x11,
                &[
                    ipv4_addresses([10, 9, 0, 7]),
                    aws_tlv(7, b"new"),
                    aws_tlv(1, b"vpce-0000bbbb"),
                ]
                .concat(),
            ),
            200,
        ),
    ];
    for (n, (header, status)) in cases.iter().enumerate() {
        assert_eq!(fixture.put_after(header, HOST), Some(*status), "case {n}");
    }
    let log = fixture.gate.log(4);
    let logged: Vec<(&str, &str)> = log
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap();
            (text("endpoint"), text("peer"))
        })
        .collect();
    assert_eq!(
        logged,
        [
            ("vpce-0000bbbb", "10.9.0.7"),
            ("vpce-0000bbbb", "10.8.0.7"),
            ("vpce-0000aaaa", "10.9.0.7"),
            ("vpce-0000bbbb", "10.9.0.7"),
        ]
    );
    assert_eq!(
        fixture.recorder.requests().len(),
        2,
        "denied calls never arrive"
    );
}

#[test]
fn proxy_protocol_v1_and_v2_name_ipv4_and_ipv6_clients() {
    let fixture = fixture(
        &format!("endpoint = \"vpce-0000bbbb\"\n{TRUST_LOOPBACK}"),
        ["", ""],
    );
    let mapped = [[0; 10].as_slice(), &[0xFF, 0xFF, 10, 9, 0, 4]].concat();
    let v6 = [mapped.as_slice(), &[0; 16], &[0x9C, 0x40, 0x01, 0xBB]].concat();
    let cases: [(&[u8], u16); 4] = [
        (b"PROXY TCP4 10.9.0.1 10.0.0.9 40000 443\r\n", 200),
        (b"PROXY TCP4 10.8.0.1 10.0.0.9 40000 443\r\n", 400),
        (b"PROXY TCP6 ::ffff:10.9.0.2 fd00::9 40000 443\r\n", 200),
        (&v2(0x21, 0x21, &v6), 200),
    ];
    for (header, status) in cases {
        assert_eq!(fixture.put_after(header, HOST), Some(status), "{header:?}");
    }
}

#[test]
fn a_proxy_protocol_header_ends_where_the_client_hello_begins() {
    let fixture = fixture(&format!("{BOTH_ENDPOINTS}{TRUST_LOOPBACK}"), ["", ""]);
    // One byte at a time.
    let headers = [
        nlb([10, 9, 0, 7], "vpce-0000bbbb"),
        b"PROXY TCP4 10.9.0.1 10.0.0.9 40000 443\r\n".to_vec(),
    ];
    let name = "vpce-0000bbbb-abcdefgh.kinesis.us-east-1.vpce.amazonaws.com";
    for header in headers {
        let mut tcp = connect(&fixture.gate);
        for byte in &header {
            tcp.write_all(&[*byte]).unwrap();
        }
        let mut connection = Connection::try_over_tcp(tcp, &fixture.gate.authority, name).unwrap();
        connection.write(&put().replace("Host", name).bytes());
        assert_eq!(connection.response().status, 200);
    }
    // With the ClientHello in the same segment.
    for header in [
        "PROXY TCP4 10.9.0.1 10.0.0.9 40000 443\r\n".as_bytes(),
        &nlb([10, 9, 0, 7], "vpce-0000bbbb"),
    ] {
        let mut coalesced = Coalesced(connect(&fixture.gate), header.to_vec());
        let mut config = crate::support::raw::client_config(&fixture.gate.authority);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let server = rustls::pki_types::ServerName::try_from(name.to_owned()).unwrap();
        let mut tls = rustls::ClientConnection::new(Arc::new(config), server).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut coalesced).unwrap();
        }
    }
}

/// Sends the header in one segment with the first bytes that are written.
struct Coalesced(TcpStream, Vec<u8>);

impl Write for Coalesced {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut all = std::mem::take(&mut self.1);
        all.extend(bytes);
        self.0.write_all(&all)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

impl Read for Coalesced {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

#[test]
fn a_connection_with_a_malformed_proxy_protocol_header_is_dropped() {
    let fixture = fixture(&format!("{BOTH_ENDPOINTS}{TRUST_LOOPBACK}"), ["", ""]);
    let client = ipv4_addresses([10, 9, 0, 7]);
    let with = |tlvs: &[u8]| v2(0x21, 0x11, &[client.as_slice(), tlvs].concat());
    let long = [0x04, 0x10, 0x00]
        .into_iter()
        .chain([0; 4096])
        .collect::<Vec<u8>>();
    let malformed: Vec<Vec<u8>> = vec![
        b"PROXY TCP4 10.9.0.1 10.0.0.9 40000\r\n".to_vec(),
        b"PROXY TCP4 10.9.0.1 10.0.0.9 040000 443\r\n".to_vec(),
        b"PROXY TCP4 ::1 ::1 1 2\r\n".to_vec(),
        b"PROXY TCP4 10.9.0.1 10.0.0.9 40000 443\n".to_vec(),
        b"PROXY\rTCP4 10.9.0.1 10.0.0.9 40000 443\r\n".to_vec(),
        b"PROXY TCP4 10.9.0.1 10.0.0.9 40000 443 \n".to_vec(),
        b"PROXYTCP4 10.9.0.1 10.0.0.9 40000 443\r\n".to_vec(),
        [b"PROXY UNKNOWN ".as_slice(), &[b'x'; 200]].concat(),
        b"POST / HTTP/1.1\r\n".to_vec(),
        b"\r\n\r\n\0\r\nQUIX\n\x21\x11\0\x0c0123456789ab".to_vec(),
        // Another version, another command, no TCP, no client.
        v2(0x11, 0x11, &client),
        v2(0x22, 0x11, &client),
        v2(0x21, 0x12, &client),
        v2(0x21, 0x00, &client),
        v2(0x21, 0x31, &[0; 216]),
        // Truncated addresses, truncated TLVs, a TLV that is too long.
        v2(0x21, 0x11, &client[..8]),
        with(&[0xEA]),
        with(&[0xEA, 0, 9, 1]),
        with(&[0xEA, 0, 0]),
        with(&long),
        // Invalid ids, and two ids.
        with(&aws_tlv(1, b"")),
        with(&aws_tlv(1, b"eni-aa")),
        with(&aws_tlv(1, b"vpce-0000bbbb\0")),
        with(&aws_tlv(1, b"vpce-0000BBBB")),
        with(&[aws_tlv(1, b"vpce-0000aaaa"), aws_tlv(1, b"vpce-0000bbbb")].concat()),
        with(&[aws_tlv(1, b"vpce-0000bbbb"), aws_tlv(1, b"vpce-0000bbbb")].concat()),
    ];
    for (n, header) in malformed.iter().enumerate() {
        fixture.assert_dropped(header, HOST, "proxy-malformed", n + 1);
    }
    let mut line = malformed.len();
    for (header, kind) in [
        (Vec::new(), "proxy-missing"),
        (nlb([10, 9, 0, 7], "vpce-0000cccc"), "endpoint-unknown"),
        (nlb([10, 9, 0, 7], "vpce-0000bbbb0"), "endpoint-unknown"),
        // Without the TLV the endpoint is unknown.
        (v2(0x21, 0x11, &client), "endpoint-unclear"),
    ] {
        line += 1;
        fixture.assert_dropped(&header, HOST, kind, line);
    }
}

#[test]
fn a_proxy_protocol_header_from_an_untrusted_source_is_dropped() {
    for (required, bare) in [("true", None), ("false", Some(400))] {
        let rules = format!(
            "endpoint = \"vpce-0000bbbb\"\nproxy-protocol = {{ from = [\"192.0.2.0/24\"], required = {required} }}\n"
        );
        let fixture = fixture(&rules, ["", ""]);
        fixture.assert_dropped(
            &nlb([10, 9, 0, 7], "vpce-0000bbbb"),
            HOST,
            "proxy-source",
            1,
        );
        let v1 = b"PROXY TCP4 10.9.0.1 10.0.0.9 40000 443\r\n";
        fixture.assert_dropped(v1, HOST, "proxy-source", 2);
        // Without a header the client is this machine, which the policy does not allow.
        assert_eq!(fixture.put_after(b"", HOST), bare);
        assert!(fixture.recorder.requests().is_empty());
    }
}

#[test]
fn a_slow_proxy_protocol_header_times_out() {
    let fixture = fixture(&format!("{BOTH_ENDPOINTS}{TRUST_LOOPBACK}"), ["", ""]);
    for start in [
        b"PROXY TCP4 10.9".as_slice(),
        &nlb([10, 9, 0, 7], "vpce-0000bbbb")[..20],
        b"",
    ] {
        let mut tcp = connect(&fixture.gate);
        tcp.write_all(start).unwrap();
        assert_eq!(tcp.read(&mut [0]).unwrap_or(0), 0, "the gate ends it");
    }
    let log = fixture.gate.log(3);
    assert!(
        log.iter().all(|line| line["kind"] == "proxy-timeout"),
        "{log:?}"
    );
}

#[test]
fn a_load_balancers_own_connection_counts_as_a_health_check() {
    let fixture = fixture(&format!("{BOTH_ENDPOINTS}{TRUST_LOOPBACK}"), ["", ""]);
    for header in [
        v2(0x20, 0x00, b""),
        v2(0x20, 0x11, &ipv4_addresses([10, 9, 0, 7])),
        b"PROXY UNKNOWN\r\n".to_vec(),
    ] {
        assert_eq!(fixture.put_after(&header, HOST), None);
    }
    // A connection that opens and closes counts for nothing.
    drop(connect(&fixture.gate));
    let (_, page) = get(fixture.gate.admin(), "/metrics");
    assert!(
        page.contains("kinesis_gate_health_checks_total 3"),
        "{page}"
    );
    assert!(fixture.recorder.requests().is_empty());
}

#[test]
fn an_sni_name_selects_its_endpoint() {
    let fixture = fixture(BOTH_ENDPOINTS, ["", ""]);
    let named = |id: &str| format!("{id}-abcdefgh.kinesis.us-east-1.vpce.amazonaws.com");
    assert_eq!(fixture.put_after(b"", &named("vpce-0000aaaa")), Some(400));
    assert_eq!(fixture.put_after(b"", &named("vpce-0000bbbb")), Some(400));
    let log = fixture.gate.log(2);
    assert_eq!(
        (&log[0]["endpoint"], &log[1]["endpoint"]),
        (&"vpce-0000aaaa".into(), &"vpce-0000bbbb".into())
    );
    // A name of both, and one of neither.
    fixture.assert_dropped(b"", HOST, "endpoint-unclear", 3);
    fixture.assert_dropped(b"", "gate.test", "endpoint-unclear", 4);
    fixture.assert_dropped(b"", &named("vpce-0000cccc"), "name", 5);
    // A connection to one endpoint never reaches the other.
    let mut connection = Connection::open(
        &fixture.gate.authority,
        fixture.gate.address(),
        &named("vpce-0000aaaa"),
    );
    connection.write(&put().replace("Host", &named("vpce-0000bbbb")).bytes());
    assert_eq!(connection.response().status, 421);
}

#[test]
fn the_clients_network_selects_its_endpoint() {
    let near = "networks = [\"127.0.0.0/8\"]";
    let far = "networks = [\"10.9.0.0/16\", \"fd00:9::/32\"]";
    let near_fixture = fixture(BOTH_ENDPOINTS, [near, far]);
    assert_eq!(near_fixture.put_after(b"", HOST), Some(400));
    assert_eq!(near_fixture.gate.log(1)[0]["endpoint"], "vpce-0000aaaa");
    // The SNI name never moves a client to another network's endpoint.
    let other = "vpce-0000bbbb-abcdefgh.kinesis.us-east-1.vpce.amazonaws.com";
    near_fixture.assert_dropped(b"", other, "name", 2);
    let far_fixture = fixture(
        &format!("{BOTH_ENDPOINTS}{TRUST_LOOPBACK}"),
        ["networks = [\"10.8.0.0/16\"]", far],
    );
    let from = |client: &str| format!("PROXY TCP4 {client} 10.0.0.9 40000 443\r\n").into_bytes();
    assert_eq!(far_fixture.put_after(&from("10.9.3.4"), HOST), Some(200));
    assert_eq!(far_fixture.put_after(&from("10.8.3.4"), HOST), Some(400));
    assert_eq!(far_fixture.put_after(&from("10.7.3.4"), HOST), None);
    assert_eq!(far_fixture.gate.log(3)[2]["kind"], "network");
    assert_eq!(far_fixture.recorder.requests().len(), 1);
}

#[test]
fn an_sni_name_selects_between_regions_of_one_listener() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let text = format!(
        "workers = 1\n[upstream]\nconnect = \"{}\"\nserver-name = \"localhost\"\nca-file = \"ca.pem\"\n\
         [admin]\naddress = \"127.0.0.1:0\"\n\
         [[endpoint]]\nid = \"vpce-0000aaaa\"\nregion = \"us-east-1\"\ndefault-full-access = true\n\
         [[endpoint]]\nid = \"vpce-0000bbbb\"\nregion = \"eu-west-1\"\ndefault-full-access = true\n\
         [[listener]]\naddress = \"127.0.0.1:0\"\nendpoints = [\"vpce-0000aaaa\", \"vpce-0000bbbb\"]\n\
         tls = {{ ca-certificate = \"ca.pem\", ca-key = \"ca-key.pem\" }}\n",
        recorder.address(),
    );
    let gate = GateBuilder::new(&authority, recorder.address())
        .config(&text)
        .start();
    let fixture = Fixture { recorder, gate };
    assert_eq!(fixture.put_after(b"", HOST), Some(200));
    // The signature is for us-east-1: the SNI name has selected the endpoint of another region.
    assert_eq!(
        fixture.put_after(b"", "kinesis.eu-west-1.amazonaws.com"),
        Some(400)
    );
    let log = fixture.gate.log(2);
    assert_eq!(
        (&log[0]["endpoint"], &log[1]["endpoint"]),
        (&"vpce-0000aaaa".into(), &"vpce-0000bbbb".into())
    );
    assert_eq!(
        fixture.put_after(b"", "kinesis.eu-west-2.amazonaws.com"),
        None
    );
}
