//! The sizes of the futures and structs of a connection and of a request, as stated in `src`.

use std::future::Future;
use std::rc::Rc;

use ::http::{Request, Response};
use kinesis_gate::gate::{self, ClientConnection, RecordedBody, Worker};
use kinesis_gate::http::{self, IncomingBody, Limits, Protocol, Service, Stream};
use kinesis_gate::observe::Record;

/// The gate, as `listener` passes it to the HTTP server.
struct GateService {
    worker: Rc<Worker>,
    connection: Rc<ClientConnection>,
}

impl Service for GateService {
    type Body = RecordedBody;

    async fn handle(&self, request: Request<IncomingBody>) -> Response<RecordedBody> {
        gate::handle(&self.worker, &self.connection, request).await
    }

    async fn drain(&self) {}
}

/// The size of the future that a function returns; the function is not called.
fn future_size<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn a_request_holds_8_kib() {
    let handle = |(worker, connection, request): (&'static Worker, &'static Rc<_>, Request<_>)| {
        gate::handle(worker, connection, request)
    };
    assert_at_most("the future of `gate::handle`", future_size(handle), 8 << 10);
    assert_at_most("`Record`", size_of::<Record>(), 576);
}

#[test]
fn a_connection_holds_12_kib_with_its_request() {
    let serve = |(stream, limits, service): (Stream, &'static Limits, GateService)| {
        http::serve(stream, Protocol::Http1, limits, service)
    };
    assert_at_most("the future of `http::serve`", future_size(serve), 12 << 10);
    assert_at_most("`Stream`", size_of::<Stream>(), size_of::<usize>());
}

fn assert_at_most(what: &str, size: usize, limit: usize) {
    assert!(
        size <= limit,
        "{what} holds {size} bytes, more than {limit}"
    );
    assert!(
        size > limit / 2,
        "{what} holds {size} bytes: lower the stated {limit}"
    );
}
