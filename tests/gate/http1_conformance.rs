//! HTTP as nobody should speak it, and as some do. `docs/requests.md` has a row for each case.

use std::sync::Arc;

use kinesis_gate::sandbox::Authority;

use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, GateBuilder, HOST, Recorder, http2};

const BODY: &str = r#"{"StreamName":"orders","Data":"aA==","PartitionKey":"1"}"#;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It arrives, with the same body.
    Passes,
    /// Refused with this status, and a line in the log.
    Refused(u16),
    /// Not a request of HTTP: status 400, the connection closes, and no line, since nothing was asked.
    NoRequest,
    /// The same, with 431.
    TooLarge,
}

fn put() -> Request {
    Request::new("PutRecord", BODY)
}

fn raw(request: Request, change: impl Fn(String) -> String) -> Vec<u8> {
    let mut bytes = change(String::from_utf8(request.head()).unwrap()).into_bytes();
    bytes.extend(&request.body);
    bytes
}

fn chunked(chunks: &str) -> Request {
    let mut request = put()
        .without("content-length")
        .header("Transfer-Encoding", "chunked");
    request.body = chunks.as_bytes().to_vec();
    request
}

fn cases() -> Vec<(&'static str, Vec<u8>, Fate)> {
    let len = BODY.len();
    let one = format!("{len:x}\r\n{BODY}\r\n0\r\n\r\n");
    let with = |name: &str, value: &str| put().header(name, value).bytes();
    let length = |value: &str| put().replace("content-length", value).bytes();
    let coding = |value: &str| chunked(&one).replace("transfer-encoding", value).bytes();
    vec![
        ("nothing odd", put().bytes(), Fate::Passes),
        // Lengths.
        (
            "lengths that differ",
            with("Content-Length", "5"),
            Fate::NoRequest,
        ),
        (
            "a length twice",
            with("Content-Length", &len.to_string()),
            Fate::Refused(400),
        ),
        (
            "lengths joined",
            length(&format!("{len}, {len}")),
            Fate::NoRequest,
        ),
        (
            "a signed length",
            length(&format!("+{len}")),
            Fate::NoRequest,
        ),
        ("a negative length", length("-1"), Fate::NoRequest),
        ("a hexadecimal length", length("0x10"), Fate::NoRequest),
        ("an empty length", length(""), Fate::NoRequest),
        (
            "a length beyond 64 bits",
            length("99999999999999999999999"),
            Fate::NoRequest,
        ),
        // Codings.
        ("chunked", chunked(&one).bytes(), Fate::Passes),
        (
            "chunked, and a length after",
            chunked(&one).header("Content-Length", "3").bytes(),
            Fate::NoRequest,
        ),
        (
            "chunked, and a length before",
            raw(chunked(&one), |head| {
                head.replace("Transfer", "Content-Length: 3\r\nTransfer")
            }),
            Fate::NoRequest,
        ),
        (
            "chunked twice",
            chunked(&one).header("Transfer-Encoding", "chunked").bytes(),
            Fate::NoRequest,
        ),
        (
            "chunked, joined",
            coding("chunked, chunked"),
            Fate::Refused(400),
        ),
        ("identity", coding("identity"), Fate::NoRequest),
        ("gzip, chunked", coding("gzip, chunked"), Fate::Refused(400)),
        (
            "chunked, identity",
            coding("chunked, identity"),
            Fate::NoRequest,
        ),
        ("xchunked", coding("xchunked"), Fate::NoRequest),
        (
            "a coding with a parameter",
            coding("chunked;q=1"),
            Fate::NoRequest,
        ),
        (
            "a coding in HTTP/1.0",
            chunked(&one).line("POST / HTTP/1.0").bytes(),
            Fate::NoRequest,
        ),
        (
            "a chunk size that is none",
            chunked("zz\r\nab\r\n0\r\n\r\n").bytes(),
            Fate::Refused(400),
        ),
        (
            "a chunk size beyond 64 bits",
            chunked("fffffffffffffffff\r\nab\r\n0\r\n\r\n").bytes(),
            Fate::Refused(400),
        ),
        (
            "a chunk longer than it says",
            chunked(&format!("3\r\n{BODY}\r\n0\r\n\r\n")).bytes(),
            Fate::Refused(400),
        ),
        (
            "a chunk size ended by a bare LF",
            chunked(&one.replacen("\r\n", "\n", 1)).bytes(),
            Fate::Refused(400),
        ),
        (
            "chunk extensions",
            chunked(&one.replacen("\r\n", ";a=b\r\n", 1)).bytes(),
            Fate::Refused(400),
        ),
        (
            "trailers",
            chunked(&one.replace(
                "0\r\n\r\n",
                "0\r\nX-Amz-Target: Kinesis_20131202.ListStreams\r\n\r\n",
            ))
            .bytes(),
            Fate::Refused(400),
        ),
        // Lines.
        (
            "a folded line",
            raw(put(), |head| {
                head.replace("\r\n\r\n", "\r\nX-A: b\r\n c\r\n\r\n")
            }),
            Fate::NoRequest,
        ),
        (
            "a folded target",
            raw(put(), |head| {
                head.replace("Kinesis_20131202.", "\r\n Kinesis_20131202.")
            }),
            Fate::NoRequest,
        ),
        (
            "a line ended by a bare LF",
            raw(put(), |head| {
                head.replacen("\r\nX-Amz-Date", "\nX-Amz-Date", 1)
            }),
            Fate::NoRequest,
        ),
        (
            "a head ended by bare LFs",
            raw(put(), |head| head.replace("\r\n", "\n")),
            Fate::NoRequest,
        ),
        (
            "CR in a value",
            raw(put(), |head| {
                head.replace("X-Amz-Date: ", "X-Amz-Date: a\rb")
            }),
            Fate::NoRequest,
        ),
        (
            "NUL in a value",
            raw(put(), |head| {
                head.replace("X-Amz-Date: ", "X-Amz-Date: a\0b")
            }),
            Fate::NoRequest,
        ),
        (
            "a space before the colon",
            raw(put(), |head| {
                head.replace("X-Amz-Target:", "X-Amz-Target :")
            }),
            Fate::NoRequest,
        ),
        (
            "a line without a colon",
            raw(put(), |head| {
                head.replace("\r\n\r\n", "\r\nnonsense\r\n\r\n")
            }),
            Fate::NoRequest,
        ),
        (
            "an empty name",
            raw(put(), |head| head.replace("\r\n\r\n", "\r\n: x\r\n\r\n")),
            Fate::NoRequest,
        ),
        (
            "an empty line first",
            [b"\r\n".as_slice(), &put().bytes()].concat(),
            Fate::Passes,
        ),
        (
            "a head beyond its limit",
            with("X-A", &"a".repeat(1 << 20)),
            Fate::TooLarge,
        ),
        (
            "lines beyond their limit",
            raw(put(), |head| {
                head.replace("\r\n\r\n", &format!("{}\r\n\r\n", "\r\nX-A: b".repeat(200)))
            }),
            Fate::TooLarge,
        ),
        // Hosts and targets.
        ("a doubled host", with("Host", HOST), Fate::Refused(400)),
        ("two hosts", with("Host", "localhost"), Fate::Refused(400)),
        ("no host", put().without("host").bytes(), Fate::Refused(400)),
        (
            "hosts joined",
            put().replace("host", &format!("{HOST}, localhost")).bytes(),
            Fate::Refused(421),
        ),
        (
            "a target in absolute form",
            put()
                .line(&format!("POST https://{HOST}/ HTTP/1.1"))
                .bytes(),
            Fate::Refused(400),
        ),
        (
            "a target in asterisk form",
            put().line("POST * HTTP/1.1").bytes(),
            Fate::Refused(400),
        ),
        (
            "another path",
            put().line("POST /orders HTTP/1.1").bytes(),
            Fate::Refused(400),
        ),
        (
            "a path that means the root",
            put().line("POST /./ HTTP/1.1").bytes(),
            Fate::Refused(400),
        ),
        (
            "a doubled slash",
            put().line("POST // HTTP/1.1").bytes(),
            Fate::Refused(400),
        ),
        (
            "a fragment",
            put().line("POST /#x HTTP/1.1").bytes(),
            Fate::NoRequest,
        ),
        (
            "a target of RPC v2 without its header",
            put()
                .line("POST /service/Kinesis_20131202/operation/PutRecord HTTP/1.1")
                .bytes(),
            Fate::Refused(400),
        ),
        // Methods and versions.
        (
            "CONNECT",
            put().line(&format!("CONNECT {HOST}:443 HTTP/1.1")).bytes(),
            Fate::Refused(403),
        ),
        (
            "GET",
            put().line("GET / HTTP/1.1").bytes(),
            Fate::Refused(403),
        ),
        (
            "a method in lower case",
            put().line("post / HTTP/1.1").bytes(),
            Fate::Refused(403),
        ),
        (
            "HTTP/1.0",
            put().line("POST / HTTP/1.0").bytes(),
            Fate::Refused(400),
        ),
        (
            "HTTP/3.0",
            put().line("POST / HTTP/3.0").bytes(),
            Fate::NoRequest,
        ),
        (
            "a word after the version",
            put().line("POST / HTTP/1.1 x").bytes(),
            Fate::NoRequest,
        ),
        // Hop by hop.
        (
            "an upgrade",
            put()
                .header("Connection", "upgrade")
                .header("Upgrade", "h2c")
                .bytes(),
            Fate::Refused(400),
        ),
        (
            "an upgrade without its connection",
            with("Upgrade", "websocket"),
            Fate::Refused(400),
        ),
        (
            "a header named as hop by hop",
            with("Connection", "close, x-amz-date"),
            Fate::Refused(400),
        ),
        (
            "another method by a header",
            with("X-HTTP-Method-Override", "GET"),
            Fate::Passes,
        ),
    ]
}

#[test]
fn http1() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    let (mut arrived, mut logged) = (0, Vec::new());
    for (title, bytes, fate) in cases() {
        let mut connection = Connection::open(&authority, gate.address(), HOST);
        connection.write(&bytes);
        let answer = connection.response();
        let status = match fate {
            Fate::Passes => 200,
            Fate::Refused(status) => status,
            Fate::NoRequest => 400,
            Fate::TooLarge => 431,
        };
        assert_eq!(answer.status, status, "{title}: {answer:?}");
        let requests = recorder.requests();
        arrived += usize::from(fate == Fate::Passes);
        assert_eq!(requests.len(), arrived, "{title}");
        match fate {
            Fate::Passes => {
                let last = requests.last().unwrap();
                assert!(last.body == BODY.as_bytes(), "{title}");
                assert_strict(&String::from_utf8_lossy(&last.head), title);
            }
            Fate::Refused(_) => {
                let id = answer.header("x-amzn-requestid").expect("an id");
                logged.push((id.to_owned(), title));
            }
            Fate::NoRequest | Fate::TooLarge => {
                let mut rest = Vec::new();
                while connection.read_some(&mut rest) {}
                assert_eq!(rest.len(), 0, "{title}: more than one answer");
            }
        }
    }
    let lines = gate.log(arrived + logged.len());
    for (id, title) in logged {
        let line = lines.iter().find(|line| line["request_id"] == *id);
        let line = line.unwrap_or_else(|| panic!("{title}: no line"));
        assert_eq!(line["decision"], "refused", "{title}: {line}");
        let reason = line["reason"].as_str().unwrap_or_default();
        assert!(!reason.is_empty(), "{title}: {line}");
    }
}

/// What arrives can be read in one way only, whatever was sent.
fn assert_strict(head: &str, title: &str) {
    assert!(head.starts_with("POST / HTTP/1.1\r\n"), "{title}: {head}");
    let lines: Vec<&str> = head.split("\r\n").collect();
    assert!(
        lines.iter().all(|line| !line.contains(['\r', '\n', '\0'])),
        "{title}: {head}"
    );
    // One length or one coding, whatever was said.
    let said = lines.iter().filter(|line| {
        let line = line.to_ascii_lowercase();
        line.starts_with("content-length:") || line.starts_with("transfer-encoding:")
    });
    assert_eq!(said.count(), 1, "{title}: {head}");
}

/// What follows a request that was refused is not taken for another one.
#[test]
fn nothing_is_smuggled_behind_a_refused_request() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    let second = put().bytes();
    let hidden = [
        // A length that covers the second request, and a coding that does not.
        raw(
            chunked("0\r\n\r\n").header("Content-Length", &second.len().to_string()),
            |head| head,
        ),
        chunked("zz\r\n").bytes(),
        put().header("Content-Length", "0").bytes(),
    ];
    for first in hidden {
        let mut connection = Connection::open(&authority, gate.address(), HOST);
        connection.write(&[first, second.clone()].concat());
        assert_eq!(connection.response().status, 400);
        let mut rest = Vec::new();
        while connection.read_some(&mut rest) {}
        assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    }
    assert_eq!(recorder.requests().len(), 0);
}

#[test]
fn pipelined_requests_are_judged_each_by_itself() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let policy = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"kinesis:PutRecord",
        "Resource":"arn:aws:kinesis:*:*:stream/orders"}}"#;
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint("vpce-33cc44dd", policy)
        .start();
    let denied = Request::new("PutRecord", BODY.replace("orders", "private"));
    let last = put().header("Connection", "close");
    let bytes = [put().bytes(), denied.bytes(), last.bytes()].concat();
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    connection.write(&bytes);
    let mut answers = Vec::new();
    while connection.read_some(&mut answers) {}
    let text = String::from_utf8_lossy(&answers);
    let statuses: Vec<&str> = text
        .split("HTTP/1.1 ")
        .skip(1)
        .filter_map(|answer| answer.get(..3))
        .collect();
    assert_eq!(statuses, ["200", "400", "200"], "{text}");
    assert_eq!(recorder.requests().len(), 2);
}

#[test]
fn a_client_that_expects_100_continue() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("body-bytes = 4000\nbuffered-bytes = 4000")
        .start();
    let expects = |request: Request| request.header("Expect", "100-Continue");
    // What is refused by its head gets that answer, and its body is never asked for.
    for (request, status) in [
        (expects(put()).without("authorization"), 400),
        (expects(put()).replace("content-length", "5000"), 413),
        (expects(put()).line("GET / HTTP/1.1"), 403),
    ] {
        let mut connection = Connection::open(&authority, gate.address(), HOST);
        connection.write(&request.head());
        assert_eq!(connection.response().status, status);
    }
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    let request = expects(put());
    connection.write(&request.head());
    assert_eq!(connection.response().status, 100);
    connection.write(&request.body);
    assert_eq!(connection.response().status, 200);
    assert_eq!(recorder.requests().len(), 1);
}

/// HTTP/2 in frames, headers as literals, so that anything can be said.
mod frames {
    pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut out = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        out.extend([kind, flags]);
        out.extend(stream.to_be_bytes());
        out.extend(payload);
        out
    }

    pub fn block(headers: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in headers {
            out.push(0);
            for text in [name, value] {
                // Lengths of seven bits, then of one more byte.
                match text.len() {
                    len @ 0..127 => out.push(len as u8),
                    len => {
                        let rest = len - 127;
                        out.push(127);
                        if rest < 128 {
                            out.push(rest as u8);
                        } else {
                            out.extend([(rest % 128) as u8 | 128, (rest / 128) as u8]);
                        }
                    }
                }
                out.extend(text.bytes());
            }
        }
        out
    }

    /// Preface, settings, and one request.
    pub fn request(
        headers: &[(&str, &str)],
        body: &[u8],
        trailers: Option<&[(&str, &str)]>,
    ) -> Vec<u8> {
        let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        out.extend(frame(4, 0, 0, &[]));
        out.extend(frame(1, 4, 1, &block(headers)));
        out.extend(frame(0, u8::from(trailers.is_none()), 1, body));
        if let Some(trailers) = trailers {
            out.extend(frame(1, 5, 1, &block(trailers)));
        }
        out
    }
}

/// What comes back over HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate2 {
    Passes,
    /// Status 400.
    Refused,
    /// Another status, which is not one of the table of static headers.
    Other,
    /// The stream or the connection is reset: it is malformed by RFC 9113.
    Reset,
}

#[test]
fn http2_in_frames() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start_http2(&authority);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    let signed = http2::signed_headers("PutRecord", BODY, "host");
    let mut good = vec![
        (":method", "POST"),
        (":scheme", "https"),
        (":path", "/"),
        (":authority", HOST),
    ];
    let rest: Vec<(&str, &str)> = signed
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    good.extend(rest.iter().filter(|(name, _)| *name != "host"));
    let with = |name: &'static str, value: &'static str| {
        let mut headers = good.clone();
        headers.push((name, value));
        headers
    };
    let instead = |name: &'static str, value: &'static str| {
        let mut headers = good.clone();
        for header in &mut headers {
            if header.0 == name {
                header.1 = value;
            }
        }
        headers
    };
    let without = |name: &str| -> Vec<(&str, &str)> {
        good.iter()
            .copied()
            .filter(|(known, _)| *known != name)
            .collect()
    };
    let first = |name: &'static str, value: &'static str| {
        let mut headers = vec![(name, value)];
        headers.extend(&good);
        headers
    };
    let cases = [
        ("nothing odd", good.clone(), Fate2::Passes),
        ("the same host", with("host", HOST), Fate2::Passes),
        ("another host", with("host", "localhost"), Fate2::Refused),
        (
            "two hosts",
            {
                let mut headers = with("host", HOST);
                headers.push(("host", HOST));
                headers
            },
            Fate2::Refused,
        ),
        (
            "the host in another case",
            with("host", "Kinesis.us-east-1.amazonaws.com"),
            Fate2::Refused,
        ),
        ("no authority", without(":authority"), Fate2::Refused),
        (
            "an authority that is doubled",
            first(":authority", HOST),
            Fate2::Reset,
        ),
        (
            "a user in the authority",
            instead(":authority", "x@kinesis.us-east-1.amazonaws.com"),
            Fate2::Other,
        ),
        ("a path that is doubled", first(":path", "/"), Fate2::Reset),
        (
            "a pseudo-header after the others",
            with(":path", "/"),
            Fate2::Reset,
        ),
        (
            "an unknown pseudo-header",
            first(":target", "x"),
            Fate2::Reset,
        ),
        ("no path", without(":path"), Fate2::Reset),
        ("another path", instead(":path", "/orders"), Fate2::Refused),
        (
            "a path in absolute form",
            instead(":path", "https://localhost/"),
            Fate2::Reset,
        ),
        ("a name in capitals", with("X-Amz-Meta", "a"), Fate2::Reset),
        ("a space in a name", with("x amz", "a"), Fate2::Reset),
        (
            "CR LF in a value",
            with("x-a", "a\r\nx-amz-target: b"),
            Fate2::Reset,
        ),
        ("NUL in a value", with("x-a", "a\0"), Fate2::Reset),
        (
            "a connection header",
            with("connection", "close"),
            Fate2::Reset,
        ),
        (
            "a coding",
            with("transfer-encoding", "chunked"),
            Fate2::Reset,
        ),
        ("an upgrade", with("upgrade", "h2c"), Fate2::Reset),
        ("te that is not trailers", with("te", "gzip"), Fate2::Reset),
        (
            "a length that is too short",
            with("content-length", "3"),
            Fate2::Reset,
        ),
        (
            "a length that is too long",
            with("content-length", "3000"),
            Fate2::Reset,
        ),
        (
            "two lengths",
            {
                let mut headers = with("content-length", "56");
                headers.push(("content-length", "56"));
                headers
            },
            Fate2::Refused,
        ),
        ("GET", instead(":method", "GET"), Fate2::Other),
        ("http", instead(":scheme", "http"), Fate2::Passes),
    ];
    assert_eq!(BODY.len(), 56);
    let mut arrived = 0;
    let trailers: &[(&str, &str)] = &[("x-amz-target", "Kinesis_20131202.ListStreams")];
    let mut all: Vec<_> = cases
        .into_iter()
        .map(|(title, headers, fate)| {
            (
                title,
                frames::request(&headers, BODY.as_bytes(), None),
                fate,
            )
        })
        .collect();
    all.push((
        "trailers",
        frames::request(&good, BODY.as_bytes(), Some(trailers)),
        Fate2::Refused,
    ));
    let connect = [(":method", "CONNECT"), (":authority", HOST)];
    all.push((
        "CONNECT",
        frames::request(&connect, b"", None),
        Fate2::Other,
    ));
    for (title, bytes, fate) in all {
        let mut connection =
            Connection::open_with_alpn(&authority.pem(), gate.address(), HOST, b"h2").unwrap();
        connection.write(&bytes);
        assert_eq!(answer(&mut connection), fate, "{title}");
        arrived += usize::from(fate == Fate2::Passes);
        let requests = recorder.requests();
        assert_eq!(requests.len(), arrived, "{title}");
    }
}

/// Reads frames until one says what became of stream 1.
fn answer(connection: &mut Connection) -> Fate2 {
    let mut bytes = Vec::new();
    loop {
        while let Some(head) = bytes.first_chunk::<9>() {
            let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let (kind, stream) = (
                head[3],
                u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            );
            if bytes.len() < 9 + len {
                break;
            }
            let payload: Vec<u8> = bytes.drain(..9 + len).skip(9).collect();
            match (kind, stream) {
                // A status of the static table is one byte.
                (1, 1) => {
                    return match payload[0] {
                        0x88 => Fate2::Passes,
                        0x8c => Fate2::Refused,
                        _ => Fate2::Other,
                    };
                }
                (3, 1) | (7, 0) => return Fate2::Reset,
                _ => {}
            }
        }
        if !connection.read_some(&mut bytes) {
            return Fate2::Reset;
        }
    }
}
