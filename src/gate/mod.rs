//! The hot path: one request, from its head to its response.
//!
//! [`handle`] is the entry point. `forward` takes a request through numbered phases, one call each,
//! and ends early with a [`Rejection`].

mod authentication;
mod body_timeout;
mod caller_identity;
mod condition_context;
mod connection;
mod endpoints;
mod evaluation;
mod event_stream;
mod exchange;
mod policy_terms;
mod request;
mod request_body;
mod request_head;
mod response_body;
mod retained_head;
mod signing;
mod snapshot;
mod streaming_body;
mod token_binding;
mod token_lookup;
mod worker;

use std::rc::Rc;
use std::sync::Arc;

use http::request::Parts;
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::Instant;

use crate::http::IncomingBody;
use crate::observe::{LimitHit, Record, RequestOutcome};
use crate::reject::{Overloaded, Rejection};
use crate::sigv4::{BodyHash, LocalKeys};
use crate::upstream::{Destination, Signer};

pub use connection::{ClientConnection, ConnectionInfo};
pub use endpoints::{
    CertificateIdentity, CertificatePattern, ClientAuthentication, Endpoint, EndpointOwner,
    EndpointQuery, Enforcement, IdentityMap, IdentityPolicies, ListenerEndpoints, MappedPrincipal,
    Organization, RateRule, RateRules, ReSignConfig, RoleMapping, SelectError, TokenRules,
};
pub use request_head::{RequestHead, check_form};
pub use response_body::RecordedBody;
pub use snapshot::{SnapshotCell, SnapshotSource};
pub use worker::Worker;

use caller_identity::principal_text;
use evaluation::Evaluation;
use event_stream::{ReloadCheck, is_terminated_by_reloads};
use exchange::Exchange;
use request::ParsedRequest;
use request_body::BodyReader;
use response_body::{ResponseBody, ResponsePlan};
use retained_head::RetainedHead;
use token_binding::ExpectedToken;

/// Answers one request: with Kinesis' response if the policy allows it, with an AWS error if not.
///
/// Its future holds at most 8 KiB; `tests/sizes.rs` measures it.
pub async fn handle(
    worker: &Worker,
    client: &Rc<ClientConnection>,
    request: Request<IncomingBody>,
) -> Response<RecordedBody> {
    let connection = &client.info(|| worker.observer.now());
    let exchange = Exchange {
        worker,
        client,
        connection,
    };
    let (index, id) = (connection.endpoint().index, &connection.endpoint().id);
    let mut record = Record::open(&worker.observer, index, id, connection.peer);
    record.start_trace(request.headers());
    let format = request_head::format(request.headers());
    let response = match forward(exchange, request, &mut record).await {
        Ok(response) => record_response(response, &mut record),
        Err(rejection) => {
            record_rejection(worker, &rejection, &mut record);
            let (request_id, response) = rejection.response(format, record.arrival_time());
            record.request_id = Some(request_id);
            record.status = response.status().as_u16();
            response.map(|body| ResponseBody::Local(Full::new(body)))
        }
    };
    response.map(|body| RecordedBody::new(body, record))
}

/// Forwards one request in phases.
async fn forward(
    exchange: Exchange<'_>,
    request: Request<IncomingBody>,
    record: &mut Record,
) -> Result<Response<ResponseBody>, Rejection> {
    // 1. Admission: overload, and connections that a reload has revoked.
    admit(exchange)?;
    let (worker, connection) = (exchange.worker, exchange.connection);
    let (endpoint, arrival_time) = (connection.endpoint(), record.arrival_time());
    let (parts, incoming) = request.into_parts();

    // 2. Head: host, operation and caller.
    let host = request_head::host(&parts, connection)?;
    let keys = request::local_keys(endpoint);
    let parsed = parse_head(connection, &parts, &host, keys.as_deref(), record)?;
    let route = parsed.route;

    // 3. Body: scanned as it arrives, to its end or until a large one can be decided.
    let mut reader = BodyReader::new(incoming, parsed.head.format, worker)?;
    reader
        .read_until_decidable(parsed.may_stream_body())
        .await?;

    // 4. Signature of the client, where the gate verifies it.
    let body_hash = verify_signature(&parsed, &reader, record)?;

    // 5. Decision about every resource that the request names.
    let (evaluation, mut decision_time) = decide(worker, &parsed, &mut reader, record).await?;

    // 6. Rate limits.
    parsed.check_rate_limits(&evaluation, decision_time.into_std())?;

    // 7. Permit, around the request as it came.
    let plan = plan_response(exchange, &parsed, &reader, &evaluation, body_hash, record);
    let signer = parsed.signer;
    let (body, outcome) = streaming_body::into_forwarded(reader, connection, &parts, arrival_time);
    let mut request = Request::from_parts(parts, body);
    request_head::strip_hop_by_hop(request.headers_mut());
    let permitted = evaluation.permit(endpoint, request, || {
        let principal = principal_text(&record.principal, endpoint.partition);
        (principal, record.action.clone().unwrap_or_default())
    })?;

    // 8. Credentials, where the gate re-signs.
    let session = match signer {
        Some(signer) => {
            let session = signer.session(arrival_time).await?;
            decision_time = Instant::now();
            Some(session)
        }
        None => None,
    };
    let signature = session.as_deref().map(|session| Signer {
        credentials: session,
        region: &endpoint.region,
        host: route.server_name,
        body_hash: &body_hash,
        time: record.now(),
    });

    // 9. Upstream: the request, untouched or re-signed. There is no retry: the client owns retries.
    let destination = Destination {
        name: route.server_name,
        address: connection.original_destination,
    };
    let response = worker.upstream.forward(destination, permitted, signature);
    let response = response.await;
    record.set_upstream_time(decision_time);
    if let Some(outcome) = outcome {
        outcome.borrow_mut().record(record)?;
    }

    // 10. Response: streamed through; a token in it is bound before its last byte leaves.
    Ok(plan.apply(worker, response.map_err(Rejection::Upstream)?))
}

fn admit(exchange: Exchange<'_>) -> Result<(), Rejection> {
    let worker = exchange.worker;
    if worker.observer.requests_in_flight() > worker.limits.requests as u64 {
        return Err(Rejection::Overloaded(Overloaded::Requests));
    }
    exchange.connection.check_not_revoked()
}

fn parse_head<'c: 'p, 'p>(
    connection: &'c ConnectionInfo,
    parts: &'p Parts,
    host: &'c str,
    keys: Option<&'p LocalKeys>,
    record: &mut Record,
) -> Result<ParsedRequest<'c, 'p>, Rejection> {
    let route = connection.route(host)?;
    record.set_server_names(host, route.server_name);
    let parsed = ParsedRequest::parse(connection, parts, route, keys, record.arrival_time())?;
    record.operation = parsed.head.target.number();
    record.action = Some(parsed.head.target.action());
    record.principal = parsed.caller.claimed_principal();
    Ok(parsed)
}

/// Returns the hash of the body, where the request is re-signed.
fn verify_signature(
    parsed: &ParsedRequest<'_, '_>,
    reader: &BodyReader<'_>,
    record: &mut Record,
) -> Result<BodyHash, Rejection> {
    let body_hash = match &parsed.signer {
        Some(_) => reader.hash(),
        None => BodyHash::default(),
    };
    if parsed.caller.verify_signature(&body_hash)? {
        record.principal = parsed.caller.logged_principal();
    }
    Ok(body_hash)
}

/// Decides by the part of the body that was read; if that part does not allow the request, by the
/// whole body and the stream of its token. Returns the evaluation and its time.
async fn decide(
    worker: &Worker,
    parsed: &ParsedRequest<'_, '_>,
    reader: &mut BodyReader<'_>,
    record: &mut Record,
) -> Result<(Evaluation, Instant), Rejection> {
    let (started, now) = (Instant::now(), record.arrival_time());
    let mut evaluation = parsed.evaluate(reader.members(), None, now);
    let can_decide = |evaluation| parsed.can_decide_early(evaluation);
    if !reader.has_ended() && !evaluation.as_ref().is_ok_and(can_decide) {
        reader.read_to_end().await?;
        evaluation = parsed.evaluate(reader.members(), None, now);
    }
    let evaluation = token_lookup::resolve_token(worker, parsed, reader, evaluation?, now).await?;
    let decision_time = Instant::now();
    record.decision_time = Some(decision_time - started);
    record.request_bytes = reader.len();
    evaluation.record(parsed.endpoint(), record);
    Ok((evaluation, decision_time))
}

fn plan_response(
    exchange: Exchange<'_>,
    parsed: &ParsedRequest<'_, '_>,
    reader: &BodyReader<'_>,
    evaluation: &Evaluation,
    body_hash: BodyHash,
    record: &Record,
) -> ResponsePlan {
    if is_terminated_by_reloads(exchange, parsed) {
        let head = RetainedHead::new(parsed.parts, body_hash, record.arrival_time());
        let check = ReloadCheck::new(exchange, head, reader.members().clone());
        return ResponsePlan::CheckReloads(Box::new(check));
    }
    match ExpectedToken::of(parsed, reader, evaluation) {
        Some(expected) => ResponsePlan::BindToken(expected),
        None => ResponsePlan::Stream,
    }
}

fn record_response(
    mut response: Response<ResponseBody>,
    record: &mut Record,
) -> Response<ResponseBody> {
    request_head::strip_hop_by_hop(response.headers_mut());
    record.status = response.status().as_u16();
    record.upstream_status = Some(record.status);
    record.request_id = request_head::request_id(response.headers());
    response
}

fn record_rejection(worker: &Worker, rejection: &Rejection, record: &mut Record) {
    record.reason = rejection.reason();
    let limit = match rejection {
        Rejection::BodyTooLarge => Some(LimitHit::BodyBytes),
        Rejection::BodyTimeout => Some(LimitHit::BodyTime),
        Rejection::Overloaded(Overloaded::BufferBudget) => Some(LimitHit::BufferedBytes),
        Rejection::Overloaded(Overloaded::Requests) => Some(LimitHit::Requests),
        Rejection::RateLimited(_) => Some(LimitHit::Rate),
        _ => None,
    };
    if let Some(limit) = limit {
        worker.observer.count_limit_hit(limit);
    }
    match rejection {
        Rejection::Upstream(failure) => record.upstream_failure = Some(failure.kind()),
        Rejection::AccessDenied(_) => {}
        Rejection::RateLimited(limited) => {
            record.rate_limit_rule = Some(Arc::clone(&limited.rule));
            record.outcome = RequestOutcome::Refused;
        }
        _ => record.outcome = RequestOutcome::Refused,
    }
}
