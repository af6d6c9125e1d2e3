//! Hand-over: a new gate takes over from another on the same address.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use kinesis_gate::sandbox::Authority;

use crate::health_and_drain::get;
use crate::support::raw::{Connection, Request};
use crate::support::{Behaviour, GateBuilder, HOST, Recorder};

fn wait_until(failure: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{failure}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_request_sent_as_the_drain_begins_is_answered() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let mut gate = GateBuilder::new(&authority, recorder.address()).start();
    let request = Request::new("ListStreams", "{}");
    let mut idle = Connection::open(&authority, gate.address(), HOST);
    idle.write(&request.bytes());
    assert_eq!(idle.response().status, 200);

    let admin = gate.admin();
    let drain = gate.drain();
    wait_until("the gate never drained", || get(admin, "/readyz").0 == 503);
    idle.write(&request.bytes());
    let response = idle.try_response().expect("the request was on its way");
    assert_eq!(response.status, 200);
    assert_eq!(response.header("connection"), Some("close"));
    assert!(
        idle.try_response().is_none(),
        "then the connection is closed"
    );
    drain.join().unwrap();
}

#[test]
fn the_drain_waits_for_a_request_head_that_has_begun() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let mut gate = GateBuilder::new(&authority, recorder.address()).start();
    let request = Request::new("ListStreams", "{}");
    let mut slow = Connection::open(&authority, gate.address(), HOST);
    slow.write(&request.bytes());
    assert_eq!(slow.response().status, 200);

    let admin = gate.admin();
    let drain = gate.drain();
    wait_until("the gate never drained", || get(admin, "/readyz").0 == 503);
    let bytes = request.bytes();
    let (start, rest) = bytes.split_at(20);
    slow.write(start);
    // Longer than the idle timeout.
    std::thread::sleep(Duration::from_millis(1500));
    slow.write(rest);
    let response = slow.try_response().expect("the head had begun");
    assert_eq!(response.status, 200);
    assert_eq!(response.header("connection"), Some("close"));
    drain.join().unwrap();
}

/// Sends requests until `stop`: each over a new connection, or all over one connection for as long
/// as the gate keeps it open.
fn load(
    authority: &Authority,
    address: SocketAddr,
    keep_alive: bool,
    stop: &AtomicBool,
    responses: &AtomicUsize,
) {
    let request = Request::new("ListStreams", "{}").bytes();
    let mut idle: Option<Connection> = None;
    while !stop.load(Ordering::Relaxed) {
        let mut connection = idle
            .take()
            .unwrap_or_else(|| Connection::open(authority, address, HOST));
        connection.write(&request);
        let response = connection.try_response().expect("no request is lost");
        assert_eq!(response.status, 200);
        responses.fetch_add(1, Ordering::Relaxed);
        let is_kept = response.header("connection") != Some("close");
        idle = (keep_alive && is_kept).then_some(connection);
    }
}

/// Stops the load even if the test fails: its scope waits for the load.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_gate_hands_over_to_the_next_without_a_lost_request() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let mut gate = GateBuilder::new(&authority, recorder.address()).start();
    let address = gate.address();
    let (stop, responses) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let _stop = StopOnDrop(&stop);
        for keep_alive in [true, true, false, false] {
            let (authority, stop, responses) = (&authority, &stop, &responses);
            scope.spawn(move || load(authority, address, keep_alive, stop, responses));
        }
        for _ in 0..4 {
            let before = responses.load(Ordering::Relaxed);
            let next = GateBuilder::new(&authority, recorder.address())
                .first_port(address.port())
                .start();
            wait_until("no request was answered", || {
                responses.load(Ordering::Relaxed) > before + 20
            });
            let mut old = std::mem::replace(&mut gate, next);
            old.drain().join().unwrap();
        }
    });
    assert!(TcpStream::connect(address).is_ok());
}
