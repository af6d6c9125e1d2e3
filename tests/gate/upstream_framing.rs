//! Answers of an upstream, in every framing of HTTP/1.1: passed on whole, or not as whole ones.

use std::sync::Arc;

use kinesis_gate::sandbox::Authority;

use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, GateBuilder, HOST, Recorder};

/// Sends so many requests over one connection, the last of which asks to close it: everything that
/// comes back, and how many connections the gate opened for it.
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
fn an_answer_is_passed_on_as_it_came() {
    let answer = "HTTP/1.1 200 Fine\r\nX-Amzn-RequestId: 1\r\nX-Odd-CASE:kept \r\ncontent-length: 2\r\n\r\n{}";
    let (text, connections) = exchanges(Behaviour::RespondWith(answer), 3);
    let last = answer.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
    assert_eq!(text, [answer, answer, &last].concat());
    assert_eq!(connections, 1);
}

#[test]
fn a_chunked_answer_stays_chunked() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    let (text, connections) = exchanges(Behaviour::RespondWith(answer), 2);
    let last = answer.replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
    assert_eq!(text, [answer, &last].concat());
    assert_eq!(connections, 1);
}

#[test]
fn an_answer_that_ends_with_its_connection_is_framed_anew() {
    let answer = "HTTP/1.1 200 OK\r\nx-amzn-requestid: 1\r\n\r\n{}";
    let (text, connections) = exchanges(Behaviour::RespondWithThenClose(answer), 2);
    let head = "HTTP/1.1 200 OK\r\nx-amzn-requestid: 1\r\ntransfer-encoding: chunked\r\n";
    let body = "\r\n2\r\n{}\r\n0\r\n\r\n";
    assert_eq!(
        text,
        [head, body, head, "connection: close\r\n", body].concat()
    );
    assert_eq!(connections, 2);
}

#[test]
fn an_answer_without_a_body_has_none() {
    let answer = "HTTP/1.1 204 No Content\r\nx-amzn-requestid: 1\r\n\r\n";
    let (text, connections) = exchanges(Behaviour::RespondWith(answer), 2);
    assert_eq!(text.matches("HTTP/1.1 204 No Content").count(), 2, "{text}");
    assert!(!text.contains("chunked"), "{text}");
    assert_eq!(connections, 1);
}

#[test]
fn what_comes_before_the_answer_is_not_it() {
    let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n\
                  HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
    let (text, _) = exchanges(Behaviour::RespondWith(answer), 1);
    assert_eq!(
        text,
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nconnection: close\r\n\r\n{}"
    );
}

/// A client must be able to tell that it has not got everything.
#[test]
fn an_answer_that_breaks_off_is_not_passed_on_as_a_whole_one() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n",
    ] {
        let (text, _) = exchanges(Behaviour::RespondWithThenClose(answer), 1);
        assert!(text.contains("200 OK") && text.contains("{}"), "{text}");
        assert!(!text.ends_with("0\r\n\r\n"), "{text}");
        assert!(
            !text.contains("Content-Length: 2") && !text.contains("content-length: 2"),
            "{text}"
        );
    }
}

/// A connection on which more came than was asked for could answer the next request with it.
#[test]
fn a_connection_that_says_more_than_asked_is_not_used_again() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret";
    let (text, connections) = exchanges(Behaviour::RespondWith(answer), 3);
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3, "{text}");
    assert!(!text.contains("secret"), "{text}");
    assert_eq!(connections, 3);
}

#[test]
fn what_is_no_answer_is_a_failure() {
    for answer in [
        "nonsense\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
        "HTTP/1.1 200 OK\r\nX: y\r\n folded\r\nContent-Length: 2\r\n\r\n{}",
    ] {
        let (text, _) = exchanges(Behaviour::RespondWithThenClose(answer), 1);
        assert!(text.starts_with("HTTP/1.1 503"), "{answer}: {text}");
        assert!(text.contains("ServiceUnavailable"), "{text}");
    }
}
