//! HTTP/1.1 requests and responses as bytes over TLS, without an HTTP library.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use kinesis_gate::sandbox::Authority;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::recorder::dechunk;
use super::signature::sign;
use super::{HOST, KEY_ID};

/// An HTTP/1.1 request.
#[derive(Clone)]
pub struct Request {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// A response; `head` includes the status line and the empty line.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

/// A client's TLS connection to a gate.
pub struct Connection(StreamOwned<ClientConnection, TcpStream>);

impl Request {
    /// A signed AWS JSON 1.1 request for an operation.
    pub fn new(operation: &str, body: impl Into<Vec<u8>>) -> Request {
        Request::with_key(operation, body, KEY_ID)
    }

    /// The same, signed with another key.
    pub fn with_key(operation: &str, body: impl Into<Vec<u8>>, key_id: &str) -> Request {
        let body = body.into();
        let request = Request {
            line: "POST / HTTP/1.1".to_owned(),
            headers: Vec::new(),
            body: body.clone(),
        }
        .header("Host", HOST)
        .header("X-Amz-Target", &format!("Kinesis_20131202.{operation}"))
        .header("Content-Type", "application/x-amz-json-1.1")
        .header("X-Amz-Date", "20261123T120000Z")
        .header("Content-Length", &body.len().to_string());
        let signed = ["content-type", "host", "x-amz-date", "x-amz-target"];
        let authorization = sign(&request.headers, &signed, &body, key_id);
        request.header("Authorization", &authorization)
    }

    /// With one more header.
    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With another value of a header; the signature stays.
    pub fn replace(mut self, name: &str, value: &str) -> Request {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.header(name, value)
    }

    /// Without a header.
    pub fn without(mut self, name: &str) -> Request {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// With another request line.
    pub fn line(mut self, line: &str) -> Request {
        self.line = line.to_owned();
        self
    }

    /// The bytes of the head, with the empty line.
    pub fn head(&self) -> Vec<u8> {
        let mut head = format!("{}\r\n", self.line);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        head.into_bytes()
    }

    /// The bytes of the head and the body.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend(&self.body);
        bytes
    }

    /// Sends the request on a new connection and reads the response.
    pub fn send(&self, authority: &Authority, address: SocketAddr) -> Response {
        let name = self
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let name = name.map_or(HOST, |(_, host)| host.as_str());
        let name = name.rsplit_once(':').map_or(name, |(name, _)| name);
        let mut connection = Connection::open(authority, address, name);
        connection.write(&self.bytes());
        connection.response()
    }
}

impl Connection {
    /// Opens a connection with SNI `name` that offers HTTP/1.1.
    pub fn open(authority: &Authority, address: SocketAddr, name: &str) -> Connection {
        Connection::try_open(authority, address, name).expect("a TLS connection")
    }

    /// Opens a connection, or returns the error.
    pub fn try_open(
        authority: &Authority,
        address: SocketAddr,
        name: &str,
    ) -> std::io::Result<Connection> {
        Connection::try_over_tcp(TcpStream::connect(address)?, authority, name)
    }

    /// Opens TLS on a TCP connection, or returns the error.
    pub fn try_over_tcp(
        tcp: TcpStream,
        authority: &Authority,
        name: &str,
    ) -> std::io::Result<Connection> {
        let config = config_with_alpn(&authority.pem(), b"http/1.1");
        Connection::handshake(tcp, config, name)
    }

    /// Opens a connection that trusts a CA certificate (PEM).
    pub fn open_with_ca(pem: &str, address: SocketAddr, name: &str) -> Connection {
        Connection::open_with_alpn(pem, address, name, b"http/1.1").expect("a TLS connection")
    }

    /// Opens a connection that trusts a CA certificate (PEM) and offers one ALPN protocol.
    pub fn open_with_alpn(
        pem: &str,
        address: SocketAddr,
        name: &str,
        protocol: &[u8],
    ) -> std::io::Result<Connection> {
        Connection::open_with_config(config_with_alpn(pem, protocol), address, name)
    }

    /// Opens a connection with a TLS configuration, or returns the error.
    pub fn open_with_config(
        config: ClientConfig,
        address: SocketAddr,
        name: &str,
    ) -> std::io::Result<Connection> {
        Connection::handshake(TcpStream::connect(address)?, config, name)
    }

    fn handshake(tcp: TcpStream, config: ClientConfig, name: &str) -> std::io::Result<Connection> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let tls = ClientConnection::new(Arc::new(config), name).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(20)))?;
        tcp.set_nodelay(true)?;
        let mut stream = StreamOwned::new(tls, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Connection(stream))
    }

    /// The server's certificate (DER).
    pub fn server_certificate(&self) -> Vec<u8> {
        self.0.conn.peer_certificates().unwrap()[0].to_vec()
    }

    /// Sends bytes, and ignores an error.
    pub fn write(&mut self, bytes: &[u8]) {
        // A gate that refuses early may close the connection before it has read everything.
        let _ = self.0.write_all(bytes).and_then(|()| self.0.flush());
    }

    /// Sends bytes, or returns the error.
    pub fn try_write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    /// Makes a write fail that the peer does not read within `timeout`.
    pub fn set_write_timeout(&self, timeout: Duration) {
        self.0.sock.set_write_timeout(Some(timeout)).unwrap();
    }

    /// Reads a response.
    pub fn response(&mut self) -> Response {
        self.try_response().expect("a response")
    }

    /// Reads a response; `None` if the connection ends before its head.
    pub fn try_response(&mut self) -> Option<Response> {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = find(&bytes, b"\r\n\r\n") {
                break end + 4;
            }
            if !self.read_some(&mut bytes) {
                return None;
            }
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        if status == 100 {
            assert!(bytes.len() == end, "bytes before the body was sent");
        }
        let len = header(&head, "content-length").map_or(0, |len| len.parse().unwrap());
        while bytes.len() < end + len {
            if !self.read_some(&mut bytes) {
                break;
            }
        }
        Some(Response {
            status,
            head,
            body: bytes[end..].to_vec(),
        })
    }

    /// Reads a chunked body to its end; `bytes` of it came with the head. `Err` holds what was received
    /// of a body that is aborted.
    pub fn read_chunked(&mut self, mut bytes: Vec<u8>) -> Result<Vec<u8>, Vec<u8>> {
        loop {
            if let Some((body, _)) = dechunk(&bytes) {
                return Ok(body);
            }
            if !self.read_some(&mut bytes) {
                return Err(bytes);
            }
        }
    }

    /// Reads at least `len` bytes of a body; `bytes` of it came with the head.
    pub fn read_at_least(&mut self, len: usize, mut bytes: Vec<u8>) -> Vec<u8> {
        while bytes.len() < len && self.read_some(&mut bytes) {}
        bytes
    }

    /// Reads until the connection ends.
    pub fn read_to_end(&mut self) -> String {
        let mut bytes = Vec::new();
        while self.read_some(&mut bytes) {}
        String::from_utf8(bytes).unwrap()
    }

    /// Reads once and appends to `bytes`; false at the end.
    pub fn read_some(&mut self, bytes: &mut Vec<u8>) -> bool {
        let mut buffer = [0; 16384];
        match self.0.read(&mut buffer) {
            Ok(0) | Err(_) => false,
            Ok(n) => {
                bytes.extend_from_slice(&buffer[..n]);
                true
            }
        }
    }
}

impl Response {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}{:?}", self.head, String::from_utf8_lossy(&self.body)))
    }

    /// The AWS error type, in any encoding.
    pub fn error_type(&self) -> String {
        match self.header("content-type") {
            Some("application/x-amz-cbor-1.1" | "application/cbor") => {
                self.cbor("__type").unwrap_or_default()
            }
            Some("application/xml") => {
                let text = String::from_utf8_lossy(&self.body);
                let name = text.trim_start_matches('<').split(['>', '/']).next();
                name.unwrap_or_default().to_owned()
            }
            _ => {
                let json = self.json();
                json["__type"].as_str().unwrap_or_default().to_owned()
            }
        }
    }

    /// A string member of a CBOR body.
    pub fn cbor(&self, key: &str) -> Option<String> {
        let body: ciborium::Value = ciborium::from_reader(self.body.as_slice()).unwrap();
        let pairs = body.into_map().unwrap();
        let mut pairs = pairs.into_iter();
        let (_, value) = pairs.find(|(known, _)| known.as_text() == Some(key))?;
        value.into_text().ok()
    }

    /// The AWS error message: `Message` or `message`.
    pub fn message(&self) -> String {
        let json = self.json();
        let message = json.get("Message").or(json.get("message"));
        let text = message.and_then(serde_json::Value::as_str);
        text.unwrap_or_default().to_owned()
    }
}

/// A configuration that trusts the authority alone.
pub fn client_config(authority: &Authority) -> ClientConfig {
    config_with_ca(&authority.pem())
}

fn config_with_alpn(pem: &str, protocol: &[u8]) -> ClientConfig {
    let mut config = config_with_ca(pem);
    config.alpn_protocols = vec![protocol.to_vec()];
    config
}

fn config_with_ca(pem: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
        .unwrap();
    ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Where `needle` begins in `haystack`.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// The value of a header in a head.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (known, value) = line.split_once(':')?;
        known.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}
