//! The hot path: one request, from its head to its answer.

mod body;
mod decide;
mod facts;
mod head;
mod principal;
mod site;
mod worker;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::Instant;

use crate::kinesis::{self, Resources, Scope};
use crate::observe::{Outcome, Record};
use crate::reject::Rejection;
use crate::upstream::ResponseBody;

pub use body::Answer;
pub use site::{Endpoint, Identity, Principal, Principals, Site};
pub use worker::{Connection, Worker};

use body::Judged;
use facts::Facts;
use head::Head;

/// Answers one request: by Kinesis if the policy allows it, as AWS would if not.
pub async fn handle(
    worker: &Worker,
    connection: &Connection,
    request: Request<Incoming>,
) -> Response<Answer> {
    let endpoint = &connection.site.endpoint;
    let mut record = Record::open(
        &worker.observer,
        endpoint.place,
        &endpoint.id,
        connection.peer,
    );
    let format = head::format(request.headers());
    match exchange(worker, connection, request, &mut record).await {
        Ok(mut response) => {
            head::strip(response.headers_mut());
            record.status = response.status().as_u16();
            record.upstream_status = Some(record.status);
            record.request_id = head::request_id(response.headers());
            response.map(|body| Answer::upstream(body, record))
        }
        Err(rejection) => {
            let (request_id, response) = rejection.response(format, record.arrived());
            record.status = response.status().as_u16();
            record.request_id = Some(request_id);
            record.reason = rejection.reason();
            match &rejection {
                Rejection::Upstream(failure) => record.upstream_failure = Some(failure.kind()),
                Rejection::Denied(_) => {}
                _ => record.outcome = Outcome::Refused,
            }
            response.map(|body| Answer::own(body, record))
        }
    }
}

async fn exchange(
    worker: &Worker,
    connection: &Connection,
    request: Request<Incoming>,
    record: &mut Record,
) -> Result<Response<ResponseBody>, Rejection> {
    let site = &connection.site;
    let (mut parts, incoming) = request.into_parts();

    // 1. Where to: a Kinesis endpoint that this listener stands for.
    let host = head::host(&parts, connection)?;
    let route = site
        .route(&host)
        .ok_or_else(|| Rejection::Misdirected(host.clone()))?;

    // 2. What and who, from the head.
    let head = Head::read(&parts, &site.endpoint.region)?;
    let caller = site.principals.caller(&head.caller);
    record.operation = head.target.number();
    let action = format!("kinesis:{}", head.target.name());
    record.action = Some(action.clone());
    record.caller = caller.record();

    // 3. The body, scanned as it arrives.
    let Judged { scanner, body } = body::read(incoming, head.format, worker).await?;
    record.request_bytes = body.len();

    // 4. The resources it names.
    let deciding = Instant::now();
    let scope = Scope {
        partition: site.endpoint.partition,
        region: &site.endpoint.region,
        host_account: route.account,
        caller_account: caller.account(),
    };
    let mut resources = Resources::default();
    kinesis::resources(&head.target, scanner.members(), &scope, &mut resources)
        .map_err(Rejection::Disagreement)?;

    // 5. The decision, and the request it is for.
    let endpoint = &site.endpoint;
    let facts = Facts::new(
        connection,
        &parts.headers,
        &caller,
        &head.target,
        scanner.members(),
        record.arrived(),
    );
    let ruled = decide::decide(endpoint, &head.target, &caller, &facts, &resources);
    record.decide = Some(deciding.elapsed());
    record.outcome = ruled.outcome();
    record.resource = Some(ruled.resource());
    record.ruling = ruled.ruling(endpoint);
    head::strip(&mut parts.headers);
    let request = Request::from_parts(parts, body);
    let user = || principal::user(&record.caller, endpoint.partition);
    let permitted = ruled
        .permit(request, &action, user)
        .map_err(Rejection::Denied)?;

    // 6. To Kinesis, untouched.
    let sent = Instant::now();
    let answer = worker.upstream.forward(route.server_name, permitted).await;
    record.upstream = Some(sent.elapsed());
    answer.map_err(Rejection::Upstream)
}
