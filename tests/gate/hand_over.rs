//! One gate takes over from another on the same address.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kinesis_gate::sandbox::Authority;

use crate::health_and_drain::get;
use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, GateBuilder, HOST, Recorder};

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_request_that_crosses_with_the_drain_is_answered() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let mut gate = GateBuilder::new(&authority, recorder.address()).start();
    let request = Request::new("ListStreams", "{}");
    let mut idle = Connection::open(&authority, gate.address(), HOST);
    idle.write(&request.bytes());
    assert_eq!(idle.response().status, 200);

    let admin = gate.admin();
    let drain = gate.drain();
    wait_until("it never drained", || get(admin, "/readyz").0 == 503);
    idle.write(&request.bytes());
    let answer = idle.try_response().expect("it was on its way");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), Some("close"));
    assert!(
        idle.try_response().is_none(),
        "then the connection is closed"
    );
    drain.join().unwrap();
}

#[test]
fn a_head_that_has_begun_is_not_hurried_by_the_drain() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let mut gate = GateBuilder::new(&authority, recorder.address()).start();
    let request = Request::new("ListStreams", "{}");
    let mut slow = Connection::open(&authority, gate.address(), HOST);
    slow.write(&request.bytes());
    assert_eq!(slow.response().status, 200);

    let admin = gate.admin();
    let drain = gate.drain();
    wait_until("it never drained", || get(admin, "/readyz").0 == 503);
    let bytes = request.bytes();
    let (begin, rest) = bytes.split_at(20);
    slow.write(begin);
    // Longer than an idle connection has.
    std::thread::sleep(Duration::from_millis(1500));
    slow.write(rest);
    let answer = slow.try_response().expect("it had begun");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("connection"), Some("close"));
    drain.join().unwrap();
}

/// Requests, each over a connection of its own or all over one as long as it stays, until told to
/// stop.
fn load(
    authority: &Authority,
    address: SocketAddr,
    keep: bool,
    stop: &AtomicBool,
    answered: &AtomicUsize,
) {
    let request = Request::new("ListStreams", "{}").bytes();
    let mut kept: Option<Connection> = None;
    while !stop.load(Ordering::Relaxed) {
        let mut connection = kept
            .take()
            .unwrap_or_else(|| Connection::open(authority, address, HOST));
        connection.write(&request);
        let answer = connection.try_response().expect("no request is lost");
        assert_eq!(answer.status, 200);
        answered.fetch_add(1, Ordering::Relaxed);
        let stays = answer.header("connection") != Some("close");
        kept = (keep && stays).then_some(connection);
    }
}

/// Also where the test fails: its scope waits for the load.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn another_gate_takes_over_without_a_lost_request() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let mut gate = GateBuilder::new(&authority, recorder.address()).start();
    let address = gate.address();
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        for keep in [true, true, false, false] {
            let (authority, stop, answered) = (&authority, &stop, &answered);
            scope.spawn(move || load(authority, address, keep, stop, answered));
        }
        for _ in 0..4 {
            let before = answered.load(Ordering::Relaxed);
            let next = GateBuilder::new(&authority, recorder.address())
                .first_port(address.port())
                .start();
            wait_until("no request was answered", || {
                answered.load(Ordering::Relaxed) > before + 20
            });
            let mut old = std::mem::replace(&mut gate, next);
            old.drain().join().unwrap();
        }
    });
    assert!(TcpStream::connect(address).is_ok());
}
