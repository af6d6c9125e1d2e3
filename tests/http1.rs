//! The gate's HTTP/1.1 request parser against hyper's: hyper accepts each request that the gate accepts,
//! and both parse it alike.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "http1/parsers.rs"]
mod parsers;

use proptest::prelude::{ProptestConfig, any, prop_assert_eq};
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use proptest::{collection, sample};

/// Well-formed requests.
const REQUESTS: &[&str] = &[
    "POST / HTTP/1.1\r\nHost: a\r\nX-Amz-Target: K.P\r\nContent-Length: 5\r\n\r\nhello",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
    "POST /?a=b HTTP/1.1\r\nhost: a\r\nExpect: 100-continue\r\ncontent-length: 2\r\n\r\n{}",
    "GET /x HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    "POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
    "\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
];

/// The texts that a mutation may insert.
const TOKENS: &[&str] = &[
    "\r\n",
    "\n",
    "\r",
    "\0",
    " ",
    "\t",
    ":",
    ",",
    ";",
    "0",
    "a",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: +5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Connection: close\r\n",
    "Expect: 100-continue\r\n",
    "0\r\n\r\n",
    "5;ext=1\r\n",
    "\r\n\r\n",
    "X: y\r\n z\r\n",
];

/// Checks that hyper accepts all requests that the gate accepts, in the same order, and parses them
/// alike. The connection delivers `piece_bytes` at a time.
fn check_parsed_alike(bytes: &[u8], piece_bytes: usize) -> Result<(), String> {
    let ours = parsers::parse_with_gate(bytes, piece_bytes);
    let theirs = parsers::parse_with_hyper(bytes, piece_bytes);
    for (n, request) in ours.iter().enumerate() {
        let Some(other) = theirs.get(n) else {
            return Err(format!("hyper does not see request {n}: {request:?}"));
        };
        // `None`: the gate did not read the body to its end.
        let is_same_body = request.body.is_none() || request.body == other.body;
        if !is_same_body
            || (&request.method, &request.target) != (&other.method, &other.target)
            || request.headers != other.headers
        {
            return Err(format!("{request:?}\nis to hyper\n{other:?}"));
        }
    }
    Ok(())
}

#[test]
fn plain_requests_are_parsed_alike() {
    for piece_bytes in [1, 7, 1 << 16] {
        let all: String = REQUESTS.concat();
        for request in REQUESTS.iter().copied().chain([all.as_str()]) {
            check_parsed_alike(request.as_bytes(), piece_bytes).unwrap();
            let parsed = parsers::parse_with_gate(request.as_bytes(), piece_bytes);
            assert_eq!(
                parsed,
                parsers::parse_with_hyper(request.as_bytes(), piece_bytes),
                "{request}"
            );
            assert!(!parsed.is_empty() && parsed.iter().all(|request| request.body.is_some()));
        }
    }
}

#[test]
fn ambiguous_requests_are_refused() {
    let cases = [
        // Two framings.
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\nhello",
        // Other line endings, folded lines, spaces.
        "POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\nhello",
        "POST / HTTP/1.1\r\nHost: a\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\n folded\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost : a\r\nContent-Length: 5\r\n\r\nhello",
        "POST  / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\rb\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\0\r\nContent-Length: 5\r\n\r\nhello",
        "POST / HTTP/2.0\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    ];
    for case in cases {
        for piece_bytes in [3, 1 << 16] {
            assert_eq!(
                parsers::parse_with_gate(case.as_bytes(), piece_bytes),
                [],
                "{case}"
            );
        }
    }
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let bodies = [
        "5;extension\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "\r\nhello\r\n0\r\n\r\n",
        "5\nhello\n0\n\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "5\0\nhello\r\n1\r\n!\r\n0\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\n\r\n",
        "5\r\nhello\r\n",
    ];
    for body in bodies {
        for piece_bytes in [3, 1 << 16] {
            let parsed =
                parsers::parse_with_gate(format!("{chunked}{body}").as_bytes(), piece_bytes);
            assert_eq!(parsed.len(), 1, "{body}");
            assert_eq!(parsed[0].body, None, "{body}");
        }
    }
}

#[test]
fn response_trailers_are_dropped() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nconnection: close\r\n\r\n";
    let response =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n";
    let received = parsers::forward(response);
    let received = std::str::from_utf8(&received).unwrap();
    assert_eq!(received, format!("{head}5\r\nhello\r\n0\r\n\r\n"));
}

/// `PROPTEST_CASES=1000000 cargo test --test http1` runs longer.
#[test]
fn mutated_requests_are_parsed_alike_or_refused() {
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig {
            cases: 4000.max(ProptestConfig::default().cases),
            failure_persistence: None,
            ..ProptestConfig::default()
        },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let mutation = (
        any::<sample::Index>(),
        0..4,
        sample::select(TOKENS),
        any::<u8>(),
    );
    let strategy = (
        collection::vec(sample::select(REQUESTS), 1..4),
        collection::vec(mutation, 0..4),
        sample::select(&[1_usize, 5, 64, 1 << 16][..]),
    );
    let outcome = runner.run(&strategy, |(requests, mutations, piece_bytes)| {
        let mut bytes = requests.concat().into_bytes();
        for (at, kind, token, byte) in mutations {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                _ => drop(bytes.splice(at..at, token.bytes())),
            }
        }
        let alike = check_parsed_alike(&bytes, piece_bytes);
        prop_assert_eq!(alike, Ok(()), "{:?}", bytes.escape_ascii().to_string());
        Ok(())
    });
    outcome.unwrap();
}
