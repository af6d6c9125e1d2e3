//! Response framing of HTTP/1.1: a whole response is forwarded whole, and a cut one never as whole.

use std::sync::Arc;

use kinesis_gate::sandbox::Authority;

use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, GateBuilder, HOST, Recorder};

/// Sends this many requests over one connection, the last with `Connection: close`. Returns all that
/// comes back, and the number of upstream connections.
fn exchanges(behaviour: Behaviour, count: usize) -> (String, usize) {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, behaviour);
    let gate = GateBuilder::new(&authority, recorder.address()).start();
    let mut connection = Connection::open(&authority, gate.address(), HOST);
    let request = Request::new("ListStreams", "{}");
    for _ in 1..count {
        connection.write(&request.bytes());
    }
    connection.write(&request.header("Connection", "close").bytes());
    (connection.read_to_end(), recorder.connections())
}

#[test]
fn a_response_is_passed_on_unchanged() {
    let response = "HTTP/1.1 200 Fine\r\nX-Amzn-RequestId: 1\r\nX-Odd-CASE:kept \r\ncontent-length: 2\r\n\r\n{}";
    let (text, connections) = exchanges(Behaviour::RespondWith(response), 3);
    let last = response.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    assert_eq!(text, [response, response, &last].concat());
    assert_eq!(connections, 1);
}

#[test]
fn a_chunked_response_stays_chunked() {
    let response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    let (text, connections) = exchanges(Behaviour::RespondWith(response), 2);
    let last = response.replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
    assert_eq!(text, [response, &last].concat());
    assert_eq!(connections, 1);
}

#[test]
fn a_response_that_ends_with_its_connection_becomes_chunked() {
    let response = "HTTP/1.1 200 OK\r\nx-amzn-requestid: 1\r\n\r\n{}";
    let (text, connections) = exchanges(Behaviour::RespondWithThenClose(response), 2);
    let head = "HTTP/1.1 200 OK\r\nx-amzn-requestid: 1\r\ntransfer-encoding: chunked\r\n";
    let body = "\r\n2\r\n{}\r\n0\r\n\r\n";
    assert_eq!(
        text,
        [head, body, head, "connection: close\r\n", body].concat()
    );
    assert_eq!(connections, 2);
}

#[test]
fn a_response_without_a_body_has_none() {
    let response = "HTTP/1.1 204 No Content\r\nx-amzn-requestid: 1\r\n\r\n";
    let (text, connections) = exchanges(Behaviour::RespondWith(response), 2);
    assert_eq!(text.matches("HTTP/1.1 204 No Content").count(), 2, "{text}");
    assert!(!text.contains("chunked"), "{text}");
    assert_eq!(connections, 1);
}

#[test]
fn interim_responses_are_not_passed_on() {
    let response = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
                  HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    let (text, _) = exchanges(Behaviour::RespondWith(response), 1);
    assert_eq!(
        text,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nconnection: close\r\n\r\n{}"
    );
}

/// The client must see that the response is not whole.
#[test]
fn a_response_that_is_cut_off_is_not_passed_on_as_whole() {
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n",
    ] {
        let (text, _) = exchanges(Behaviour::RespondWithThenClose(response), 1);
        assert!(text.contains("200 OK") && text.contains("{}"), "{text}");
        assert!(!text.ends_with("0\r\n\r\n"), "{text}");
        assert!(
            !text.contains("Content-Length: 2") && !text.contains("content-length: 2"),
            "{text}"
        );
    }
}

/// The surplus could otherwise be read as the response to the next request.
#[test]
fn an_upstream_connection_with_surplus_bytes_is_not_reused() {
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret";
    let (text, connections) = exchanges(Behaviour::RespondWith(response), 3);
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3, "{text}");
    assert!(!text.contains("secret"), "{text}");
    assert_eq!(connections, 3);
}

#[test]
fn an_invalid_response_is_a_failure() {
    for response in [
        "nonsense\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
        "HTTP/1.1 200 OK\r\nX: y\r\n folded\r\nContent-Length: 2\r\n\r\n{}",
    ] {
        let (text, _) = exchanges(Behaviour::RespondWithThenClose(response), 1);
        assert!(text.starts_with("HTTP/1.1 503"), "{response}: {text}");
        assert!(text.contains("ServiceUnavailable"), "{text}");
    }
}
