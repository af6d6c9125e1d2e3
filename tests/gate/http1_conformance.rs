//! HTTP/1.1 and HTTP/2 conformance: malformed, ambiguous and unusual requests. `docs/requests.md` has
//! a row for each case.

use std::sync::Arc;

use kinesis_gate::sandbox::Authority;

use crate::limits::{
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS, frame, frames,
    literal,
};
use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, GateBuilder, HOST, Recorder, http2};

/// One record for `stream/orders`.
pub const BODY: &str = r#"{"StreamName":"orders","Data":"aA==","PartitionKey":"1"}"#;

/// The gate's handling of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// The request arrives upstream, with the same body.
    Passes,
    /// Refused with this status, and logged.
    Refused(u16),
    /// Not an HTTP request: status 400 and the end of the connection. Not logged.
    Malformed,
    /// The same, with 431.
    TooLarge,
}

/// A `PutRecord` request with [`BODY`].
pub fn put() -> Request {
    Request::new("PutRecord", BODY)
}

/// The bytes of a request with an edited head.
fn with_head(request: Request, edit: impl Fn(String) -> String) -> Vec<u8> {
    let mut bytes = edit(String::from_utf8(request.head()).unwrap()).into_bytes();
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

#[rustfmt::skip]
fn cases() -> Vec<(&'static str, Vec<u8>, Outcome)> {
    let len = BODY.len();
    let one = format!("{len:x}\r\n{BODY}\r\n0\r\n\r\n");
    let with = |name: &str, value: &str| put().header(name, value).bytes();
    let length = |value: &str| put().replace("content-length", value).bytes();
    let coding = |value: &str| chunked(&one).replace("transfer-encoding", value).bytes();
    vec![
        ("nothing odd", put().bytes(), Outcome::Passes),
        // Lengths.
        ("lengths that differ", with("Content-Length", "5"), Outcome::Malformed),
        ("a length twice", with("Content-Length", &len.to_string()), Outcome::Refused(400)),
        ("lengths joined", length(&format!("{len}, {len}")), Outcome::Malformed),
        ("a signed length", length(&format!("+{len}")), Outcome::Malformed),
        ("a negative length", length("-1"), Outcome::Malformed),
        ("a hexadecimal length", length("0x10"), Outcome::Malformed),
        ("an empty length", length(""), Outcome::Malformed),
        ("a length beyond 64 bits", length("99999999999999999999999"), Outcome::Malformed),
        // Codings.
        ("chunked", chunked(&one).bytes(), Outcome::Passes),
        ("chunked, and a length after", chunked(&one).header("Content-Length", "3").bytes(), Outcome::Malformed),
        ("chunked, and a length before", with_head(chunked(&one), |head| { head.replace("Transfer", "Content-Length: 3\r\nTransfer") }), Outcome::Malformed),
        ("chunked twice", chunked(&one).header("Transfer-Encoding", "chunked").bytes(), Outcome::Malformed),
        ("chunked, joined", coding("chunked, chunked"), Outcome::Refused(400)),
        ("identity", coding("identity"), Outcome::Malformed),
        ("gzip, chunked", coding("gzip, chunked"), Outcome::Refused(400)),
        ("chunked, identity", coding("chunked, identity"), Outcome::Malformed),
        ("xchunked", coding("xchunked"), Outcome::Malformed),
        ("a coding with a parameter", coding("chunked;q=1"), Outcome::Malformed),
        ("a coding in HTTP/1.0", chunked(&one).line("POST / HTTP/1.0").bytes(), Outcome::Malformed),
        ("a chunk size that is none", chunked("zz\r\nab\r\n0\r\n\r\n").bytes(), Outcome::Refused(400)),
        ("a chunk size beyond 64 bits", chunked("fffffffffffffffff\r\nab\r\n0\r\n\r\n").bytes(), Outcome::Refused(400)),
        ("a chunk longer than it says", chunked(&format!("3\r\n{BODY}\r\n0\r\n\r\n")).bytes(), Outcome::Refused(400)),
        ("a chunk size ended by a bare LF", chunked(&one.replacen("\r\n", "\n", 1)).bytes(), Outcome::Refused(400)),
        ("chunk extensions", chunked(&one.replacen("\r\n", ";a=b\r\n", 1)).bytes(), Outcome::Refused(400)),
        ("trailers", chunked(&one.replace("0\r\n\r\n", "0\r\nX-Amz-Target: Kinesis_20131202.ListStreams\r\n\r\n")).bytes(), Outcome::Refused(400)),
        // Lines.
        ("a folded line", with_head(put(), |head| { head.replace("\r\n\r\n", "\r\nX-A: b\r\n c\r\n\r\n") }), Outcome::Malformed),
        ("a folded target", with_head(put(), |head| { head.replace("Kinesis_20131202.", "\r\n Kinesis_20131202.") }), Outcome::Malformed),
        ("a line ended by a bare LF", with_head(put(), |head| { head.replacen("\r\nX-Amz-Date", "\nX-Amz-Date", 1) }), Outcome::Malformed),
        ("a head ended by bare LFs", with_head(put(), |head| head.replace("\r\n", "\n")), Outcome::Malformed),
        ("CR in a value", with_head(put(), |head| { head.replace("X-Amz-Date: ", "X-Amz-Date: a\rb") }), Outcome::Malformed),
        ("NUL in a value", with_head(put(), |head| { head.replace("X-Amz-Date: ", "X-Amz-Date: a\0b") }), Outcome::Malformed),
        ("a space before the colon", with_head(put(), |head| { head.replace("X-Amz-Target:", "X-Amz-Target :") }), Outcome::Malformed),
        ("a line without a colon", with_head(put(), |head| { head.replace("\r\n\r\n", "\r\nnonsense\r\n\r\n") }), Outcome::Malformed),
        ("an empty name", with_head(put(), |head| head.replace("\r\n\r\n", "\r\n: x\r\n\r\n")), Outcome::Malformed),
        ("an empty line first", [b"\r\n".as_slice(), &put().bytes()].concat(), Outcome::Passes),
        ("a head beyond its limit", with("X-A", &"a".repeat(1 << 20)), Outcome::TooLarge),
        ("lines beyond their limit", with_head(put(), |head| { head.replace("\r\n\r\n", &format!("{}\r\n\r\n", "\r\nX-A: b".repeat(200))) }), Outcome::TooLarge),
        // Hosts and targets.
        ("a doubled host", with("Host", HOST), Outcome::Refused(400)),
        ("two hosts", with("Host", "localhost"), Outcome::Refused(400)),
        ("no host", put().without("host").bytes(), Outcome::Refused(400)),
        ("hosts joined", put().replace("host", &format!("{HOST}, localhost")).bytes(), Outcome::Refused(421)),
        ("a target in absolute form", put().line(&format!("POST https://{HOST}/ HTTP/1.1")).bytes(), Outcome::Refused(400)),
        ("a target in asterisk form", put().line("POST * HTTP/1.1").bytes(), Outcome::Refused(400)),
        ("another path", put().line("POST /orders HTTP/1.1").bytes(), Outcome::Refused(400)),
        ("a path that means the root", put().line("POST /./ HTTP/1.1").bytes(), Outcome::Refused(400)),
        ("a doubled slash", put().line("POST // HTTP/1.1").bytes(), Outcome::Refused(400)),
        ("a fragment", put().line("POST /#x HTTP/1.1").bytes(), Outcome::Malformed),
        ("a target of RPC v2 without its header", put().line("POST /service/Kinesis_20131202/operation/PutRecord HTTP/1.1").bytes(), Outcome::Refused(400)),
        // Methods and versions.
        ("CONNECT", put().line(&format!("CONNECT {HOST}:443 HTTP/1.1")).bytes(), Outcome::Refused(403)),
        ("GET", put().line("GET / HTTP/1.1").bytes(), Outcome::Refused(403)),
        ("a method in lower case", put().line("post / HTTP/1.1").bytes(), Outcome::Refused(403)),
        ("HTTP/1.0", put().line("POST / HTTP/1.0").bytes(), Outcome::Refused(400)),
        ("HTTP/3.0", put().line("POST / HTTP/3.0").bytes(), Outcome::Malformed),
        ("a word after the version", put().line("POST / HTTP/1.1 x").bytes(), Outcome::Malformed),
        // Hop by hop.
        ("an upgrade", put().header("Connection", "upgrade").header("Upgrade", "h2c").bytes(), Outcome::Refused(400)),
        ("an upgrade without its connection", with("Upgrade", "websocket"), Outcome::Refused(400)),
        ("a header named as hop by hop", with("Connection", "close, x-amz-date"), Outcome::Refused(400)),
        ("another method by a header", with("X-HTTP-Method-Override", "GET"), Outcome::Passes),
    ]
}

#[test]
fn each_http1_request_has_its_outcome() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    let (mut arrived, mut logged) = (0, Vec::new());
    for (title, bytes, outcome) in cases() {
        let mut connection = Connection::open(&authority, gate.address(), HOST);
        connection.write(&bytes);
        let response = connection.response();
        let status = match outcome {
            Outcome::Passes => 200,
            Outcome::Refused(status) => status,
            Outcome::Malformed => 400,
            Outcome::TooLarge => 431,
        };
        assert_eq!(response.status, status, "{title}: {response:?}");
        let requests = recorder.requests();
        arrived += usize::from(outcome == Outcome::Passes);
        assert_eq!(requests.len(), arrived, "{title}");
        match outcome {
            Outcome::Passes => {
                let last = requests.last().unwrap();
                assert!(last.body == BODY.as_bytes(), "{title}");
                assert_unambiguous(&String::from_utf8_lossy(&last.head), title);
            }
            Outcome::Refused(_) => {
                let id = response.header("x-amzn-requestid").expect("an id");
                logged.push((id.to_owned(), title));
            }
            Outcome::Malformed | Outcome::TooLarge => {
                let mut rest = Vec::new();
                while connection.read_some(&mut rest) {}
                assert_eq!(rest.len(), 0, "{title}: more than one response");
            }
        }
    }
    let lines = gate.log(arrived + logged.len());
    for (id, title) in logged {
        let line = lines.iter().find(|line| line["request_id"] == *id);
        let line = line.unwrap_or_else(|| panic!("{title}: not logged"));
        assert_eq!(line["decision"], "refused", "{title}: {line}");
        let reason = line["reason"].as_str().unwrap_or_default();
        assert!(!reason.is_empty(), "{title}: {line}");
    }
}

/// Asserts that the forwarded bytes have only one reading.
fn assert_unambiguous(head: &str, title: &str) {
    assert!(head.starts_with("POST / HTTP/1.1\r\n"), "{title}: {head}");
    let lines: Vec<&str> = head.split("\r\n").collect();
    assert!(
        lines.iter().all(|line| !line.contains(['\r', '\n', '\0'])),
        "{title}: {head}"
    );
    // One Content-Length or one Transfer-Encoding.
    let framing = lines.iter().filter(|line| {
        let line = line.to_ascii_lowercase();
        line.starts_with("content-length:") || line.starts_with("transfer-encoding:")
    });
    assert_eq!(framing.count(), 1, "{title}: {head}");
}

/// The bytes behind a refused request are not read as another request.
#[test]
fn nothing_is_smuggled_behind_a_refused_request() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    let second = put().bytes();
    let smuggling = [
        // A length that covers the second request, and a coding that does not.
        with_head(
            chunked("0\r\n\r\n").header("Content-Length", &second.len().to_string()),
            |head| head,
        ),
        chunked("zz\r\n").bytes(),
        put().header("Content-Length", "0").bytes(),
    ];
    for first in smuggling {
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
fn pipelined_requests_are_each_evaluated() {
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
    let mut responses = Vec::new();
    while connection.read_some(&mut responses) {}
    let text = String::from_utf8_lossy(&responses);
    let statuses: Vec<&str> = text
        .split("HTTP/1.1 ")
        .skip(1)
        .filter_map(|response| response.get(..3))
        .collect();
    assert_eq!(statuses, ["200", "400", "200"], "{text}");
    assert_eq!(recorder.requests().len(), 2);
}

#[test]
fn a_request_refused_by_its_head_gets_no_100_continue() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .limits("body-bytes = 4000\nbuffered-bytes = 4000")
        .start();
    let expect_continue = |request: Request| request.header("Expect", "100-Continue");
    for (request, status) in [
        (expect_continue(put()).without("authorization"), 400),
        (
            expect_continue(put()).replace("content-length", "5000"),
            413,
        ),
        (expect_continue(put()).line("GET / HTTP/1.1"), 403),
    ] {
        let mut connection = Connection::open(&authority, gate.address(), HOST);
        connection.write(&request.head());
        assert_eq!(connection.response().status, status);
    }
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    let request = expect_continue(put());
    connection.write(&request.head());
    assert_eq!(connection.response().status, 100);
    connection.write(&request.body);
    assert_eq!(connection.response().status, 200);
    assert_eq!(recorder.requests().len(), 1);
}

/// The preface, SETTINGS, and one request in frames, with headers as literals so that they may be
/// malformed.
fn http2_request(
    headers: &[(&str, &str)],
    body: &[u8],
    trailers: Option<&[(&str, &str)]>,
) -> Vec<u8> {
    let block = |headers: &[(&str, &str)]| -> Vec<u8> {
        let literals = headers.iter().map(|(name, value)| literal(name, value));
        literals.collect::<Vec<_>>().concat()
    };
    let mut bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    bytes.extend(frame(HEADERS, END_HEADERS, 1, &block(headers)));
    let end_stream = if trailers.is_none() { END_STREAM } else { 0 };
    bytes.extend(frame(DATA, end_stream, 1, body));
    if let Some(trailers) = trailers {
        let flags = END_HEADERS | END_STREAM;
        bytes.extend(frame(HEADERS, flags, 1, &block(trailers)));
    }
    bytes
}

/// The gate's handling of an HTTP/2 request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Http2Outcome {
    Passes,
    /// Status 400.
    Refused,
    /// Another status, which is not one of the table of static headers.
    OtherStatus,
    /// The stream or the connection is reset: it is malformed by RFC 9113.
    Reset,
}

#[test]
fn each_http2_request_has_its_outcome() {
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
    #[rustfmt::skip]
    let cases = [
        ("nothing odd", good.clone(), Http2Outcome::Passes),
        ("the same host", with("host", HOST), Http2Outcome::Passes),
        ("another host", with("host", "localhost"), Http2Outcome::Refused),
        ("two hosts", { let mut headers = with("host", HOST); headers.push(("host", HOST)); headers }, Http2Outcome::Refused),
        ("the host in another case", with("host", "Kinesis.us-east-1.amazonaws.com"), Http2Outcome::Refused),
        ("no authority", without(":authority"), Http2Outcome::Refused),
        ("an authority that is doubled", first(":authority", HOST), Http2Outcome::Reset),
        ("a user in the authority", instead(":authority", "x@kinesis.us-east-1.amazonaws.com"), Http2Outcome::OtherStatus),
        ("a path that is doubled", first(":path", "/"), Http2Outcome::Reset),
        ("a pseudo-header after the others", with(":path", "/"), Http2Outcome::Reset),
        ("an unknown pseudo-header", first(":target", "x"), Http2Outcome::Reset),
        ("no path", without(":path"), Http2Outcome::Reset),
        ("another path", instead(":path", "/orders"), Http2Outcome::Refused),
        ("a path in absolute form", instead(":path", "https://localhost/"), Http2Outcome::Reset),
        ("a name in capitals", with("X-Amz-Meta", "a"), Http2Outcome::Reset),
        ("a space in a name", with("x amz", "a"), Http2Outcome::Reset),
        ("CR LF in a value", with("x-a", "a\r\nx-amz-target: b"), Http2Outcome::Reset),
        ("NUL in a value", with("x-a", "a\0"), Http2Outcome::Reset),
        ("a connection header", with("connection", "close"), Http2Outcome::Reset),
        ("a coding", with("transfer-encoding", "chunked"), Http2Outcome::Reset),
        ("an upgrade", with("upgrade", "h2c"), Http2Outcome::Reset),
        ("te that is not trailers", with("te", "gzip"), Http2Outcome::Reset),
        ("a length that is too short", with("content-length", "3"), Http2Outcome::Reset),
        ("a length that is too long", with("content-length", "3000"), Http2Outcome::Reset),
        ("two lengths", { let mut headers = with("content-length", "56"); headers.push(("content-length", "56")); headers }, Http2Outcome::Refused),
        ("GET", instead(":method", "GET"), Http2Outcome::OtherStatus),
        ("http", instead(":scheme", "http"), Http2Outcome::Passes),
    ];
    assert_eq!(BODY.len(), 56);
    let mut arrived = 0;
    let trailers: &[(&str, &str)] = &[("x-amz-target", "Kinesis_20131202.ListStreams")];
    let mut all: Vec<_> = cases
        .into_iter()
        .map(|(title, headers, outcome)| {
            (
                title,
                http2_request(&headers, BODY.as_bytes(), None),
                outcome,
            )
        })
        .collect();
    all.push((
        "trailers",
        http2_request(&good, BODY.as_bytes(), Some(trailers)),
        Http2Outcome::Refused,
    ));
    let connect = [(":method", "CONNECT"), (":authority", HOST)];
    all.push((
        "CONNECT",
        http2_request(&connect, b"", None),
        Http2Outcome::OtherStatus,
    ));
    for (title, bytes, outcome) in all {
        let mut connection =
            Connection::open_with_alpn(&authority.pem(), gate.address(), HOST, b"h2").unwrap();
        connection.write(&bytes);
        assert_eq!(self::outcome(&mut connection), outcome, "{title}");
        arrived += usize::from(outcome == Http2Outcome::Passes);
        let requests = recorder.requests();
        assert_eq!(requests.len(), arrived, "{title}");
    }
}

/// Reads frames until one shows the outcome of stream 1.
fn outcome(connection: &mut Connection) -> Http2Outcome {
    let mut bytes = Vec::new();
    loop {
        for (kind, _, stream, payload) in frames(&bytes) {
            match (kind, stream) {
                // A status of the static table is one byte.
                (HEADERS, 1) => {
                    return match payload[0] {
                        0x88 => Http2Outcome::Passes,
                        0x8c => Http2Outcome::Refused,
                        _ => Http2Outcome::OtherStatus,
                    };
                }
                (RST_STREAM, 1) | (GOAWAY, 0) => return Http2Outcome::Reset,
                _ => {}
            }
        }
        if !connection.read_some(&mut bytes) {
            return Http2Outcome::Reset;
        }
    }
}
