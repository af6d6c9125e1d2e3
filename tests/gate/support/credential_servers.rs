//! Stub servers for the sources of credentials (IMDS, ECS, STS, SSO): plain HTTP on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::SECRET_KEY;

/// A server with responses from a function.
pub struct StubServer {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<StubRequest>>>,
}

/// One request.
#[derive(Debug, Clone)]
pub struct StubRequest {
    /// `GET /path?query`.
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// Status, body, and the delay before them.
pub type StubResponse = (u16, String, Duration);

impl StubServer {
    /// Starts a server; `respond` gets a request and the number of requests before it.
    pub fn start(
        respond: impl Fn(&StubRequest, usize) -> StubResponse + Send + Sync + 'static,
    ) -> StubServer {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = StubServer {
            address: socket.local_addr().unwrap(),
            requests: Arc::default(),
        };
        let (requests, respond) = (Arc::clone(&server.requests), Arc::new(respond));
        std::thread::spawn(move || {
            for stream in socket.incoming().map_while(Result::ok) {
                let (requests, respond) = (Arc::clone(&requests), Arc::clone(&respond));
                std::thread::spawn(move || {
                    let mut stream = BufReader::new(stream);
                    while let Some(request) = read(&mut stream) {
                        let number = {
                            let mut all = requests.lock().unwrap();
                            all.push(request.clone());
                            all.len() - 1
                        };
                        let (status, body, delay) = respond(&request, number);
                        std::thread::sleep(delay);
                        let text = format!(
                            "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\
                             x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n\r\n{body}",
                            body.len()
                        );
                        if stream.get_mut().write_all(text.as_bytes()).is_err() {
                            return;
                        }
                    }
                });
            }
        });
        server
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn requests(&self) -> Vec<StubRequest> {
        self.requests.lock().unwrap().clone()
    }
}

impl StubRequest {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<StubRequest> {
    let mut line = || {
        let mut line = String::new();
        let read = stream.read_line(&mut line).ok()?;
        (read > 0).then(|| line.trim_end().to_owned())
    };
    let first = line()?;
    let mut headers = Vec::new();
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, length)| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(StubRequest {
        line: first.rsplit_once(' ')?.0.to_owned(),
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}

/// A time as metadata services write it, such as `2026-11-23T12:00:00Z`.
pub fn iso8601(time: SystemTime) -> String {
    let text = kinesis_gate::sigv4::amz_date(time);
    format!(
        "{}-{}-{}T{}:{}:{}Z",
        &text[..4],
        &text[4..6],
        &text[6..8],
        &text[9..11],
        &text[11..13],
        &text[13..15]
    )
}

/// A key id of the tests' account, one for each number.
pub fn key_id(number: usize) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let letter = |n: usize| char::from(letters[n % 32]);
    format!(
        "ASIARZPUZDIK{}{}AAAAAA",
        letter(number / 32),
        letter(number)
    )
}

/// Credentials as a metadata service sends them.
pub fn metadata_credentials(number: usize, expiration: SystemTime) -> String {
    format!(
        r#"{{"Code":"Success","Type":"AWS-HMAC","LastUpdated":"{now}","AccessKeyId":"{id}","SecretAccessKey":"{SECRET_KEY}","Token":"token-{number}","Expiration":"{expiration}"}}"#,
        now = iso8601(kinesis_gate::app::clock()),
        id = key_id(number),
        expiration = iso8601(expiration),
    )
}

/// Credentials as STS sends them.
pub fn sts_credentials(operation: &str, number: usize, expiration: SystemTime) -> String {
    format!(
        "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{operation}Result>\
         <AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId>\
         <Arn>arn:aws:sts::123456789012:assumed-role/r/x</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{SECRET_KEY}</SecretAccessKey>\
         <SessionToken>token-{number}</SessionToken><Expiration>{expiration}</Expiration></Credentials>\
         </{operation}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>\
         </{operation}Response>",
        id = key_id(number),
        expiration = iso8601(expiration),
    )
}
