//! Stand-ins for the places that credentials come from: plain HTTP on loopback.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use super::SECRET;

/// A server whose every answer a function gives.
pub struct Fake {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET /path?query`.
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// Status and body; and how long to wait before.
pub type Answer = (u16, String, Duration);

impl Fake {
    pub fn start(answer: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Fake {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let fake = Fake {
            address: socket.local_addr().unwrap(),
            asked: Arc::default(),
        };
        let (asked, answer) = (Arc::clone(&fake.asked), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in socket.incoming().map_while(Result::ok) {
                let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut stream = BufReader::new(stream);
                    while let Some(request) = read(&mut stream) {
                        let number = {
                            let mut all = asked.lock().unwrap();
                            all.push(request.clone());
                            all.len() - 1
                        };
                        let (status, body, wait) = answer(&request, number);
                        std::thread::sleep(wait);
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
        fake
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Asked {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<Asked> {
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
    Some(Asked {
        line: first.rsplit_once(' ')?.0.to_owned(),
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}

/// A time as metadata services write it.
pub fn time(time: SystemTime) -> String {
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

/// A key id of the account in the tests, told apart by a number.
pub fn key_id(number: usize) -> String {
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let of = |n: usize| char::from(letters[n % 32]);
    format!("ASIARZPUZDIK{}{}AAAAAA", of(number / 32), of(number))
}

/// What a metadata service answers: credentials that end then.
pub fn metadata(number: usize, ends: SystemTime) -> String {
    format!(
        r#"{{"Code":"Success","Type":"AWS-HMAC","LastUpdated":"{now}","AccessKeyId":"{id}","SecretAccessKey":"{SECRET}","Token":"token-{number}","Expiration":"{ends}"}}"#,
        now = time(kinesis_gate::app::clock()),
        id = key_id(number),
        ends = time(ends),
    )
}

/// What STS answers.
pub fn assumed(operation: &str, number: usize, ends: SystemTime) -> String {
    format!(
        "<{operation}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{operation}Result>\
         <AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId>\
         <Arn>arn:aws:sts::123456789012:assumed-role/r/x</Arn></AssumedRoleUser>\
         <Credentials><AccessKeyId>{id}</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>\
         <SessionToken>token-{number}</SessionToken><Expiration>{ends}</Expiration></Credentials>\
         </{operation}Result><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>\
         </{operation}Response>",
        id = key_id(number),
        ends = time(ends),
    )
}
