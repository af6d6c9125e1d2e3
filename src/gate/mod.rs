//! The hot path: one request, from its head to its answer.

mod again;
mod asked;
mod authenticate;
mod body;
mod client_certificate;
mod connection;
mod decide;
mod facts;
mod handed;
mod head;
mod pace;
mod principal;
mod principals;
mod rates;
mod site;
mod snapshot;
mod subscription;
mod tail;
mod token;
mod worker;

use std::rc::Rc;
use std::sync::Arc;

use http::{Request, Response};
use tokio::time::Instant;

use crate::config::Mode;
use crate::http::IncomingBody;
use crate::observe::{LimitHit, Record, RequestOutcome};
use crate::reject::{Overloaded, Rejection};
use crate::sigv4::BodyHash;
use crate::upstream::{Destination, Signer};

pub use authenticate::{ClientAuthentication, ReSignConfig, RoleMapping};
pub use body::RecordedBody;
pub use connection::{ClientConnection, ConnectionInfo};
pub use head::{Head, check_form};
pub use principals::{
    CertificateIdentity, CertificatePattern, IdentityMap, MappedPrincipal, Organization,
};
pub use rates::{RateRule, RateRules};
pub use site::{
    Endpoint, EndpointOwner, EndpointQuery, IdentityPolicies, ListenerEndpoints, SelectError,
    TokenRules,
};
pub use snapshot::{SnapshotCell, SnapshotSource};
pub use worker::Worker;

use again::Kept;
use asked::Asked;
use body::Reading;
use handed::Passing;
use subscription::Subscription;

/// Answers one request: by Kinesis if the policy allows it, as AWS would if not.
pub async fn handle(
    worker: &Worker,
    visit: &Rc<ClientConnection>,
    request: Request<IncomingBody>,
) -> Response<RecordedBody> {
    let connection = visit.info(|| worker.observer.now());
    let endpoint = connection.endpoint();
    let mut record = Record::open(
        &worker.observer,
        endpoint.index,
        &endpoint.id,
        connection.peer,
    );
    record.start_trace(request.headers());
    let format = head::format(request.headers());
    let exchanged = match worker.observer.requests_in_flight() > worker.limits.requests as u64 {
        true => Err(Rejection::Overloaded(Overloaded::Requests)),
        false => exchange(worker, visit, &connection, request, &mut record).await,
    };
    match exchanged {
        Ok(mut response) => {
            head::strip(response.headers_mut());
            record.status = response.status().as_u16();
            record.upstream_status = Some(record.status);
            record.request_id = head::request_id(response.headers());
            response.map(|body| RecordedBody::upstream(body, record))
        }
        Err(rejection) => {
            let (request_id, response) = rejection.response(format, record.arrival_time());
            record.status = response.status().as_u16();
            record.request_id = Some(request_id);
            record.reason = rejection.reason();
            match &rejection {
                Rejection::Upstream(failure) => record.upstream_failure = Some(failure.kind()),
                Rejection::AccessDenied(_) => {}
                Rejection::RateLimited(over) => {
                    record.rate_limit_rule = Some(Arc::clone(&over.rule));
                    record.outcome = RequestOutcome::Refused;
                }
                _ => record.outcome = RequestOutcome::Refused,
            }
            if let Some(limit) = limit(&rejection) {
                worker.observer.count_limit_hit(limit);
            }
            response.map(|body| RecordedBody::own(body, record))
        }
    }
}

/// The limit that a request came up against.
fn limit(rejection: &Rejection) -> Option<LimitHit> {
    match rejection {
        Rejection::BodyTooLarge => Some(LimitHit::BodyBytes),
        Rejection::BodyTimeout => Some(LimitHit::BodyTime),
        Rejection::Overloaded(Overloaded::BufferBudget) => Some(LimitHit::BufferedBytes),
        Rejection::Overloaded(Overloaded::Requests) => Some(LimitHit::Requests),
        Rejection::RateLimited(_) => Some(LimitHit::Rate),
        _ => None,
    }
}

async fn exchange(
    worker: &Worker,
    visit: &Rc<ClientConnection>,
    connection: &Rc<ConnectionInfo>,
    request: Request<IncomingBody>,
    record: &mut Record,
) -> Result<Response<Passing>, Rejection> {
    if let Some(why) = connection.revoked {
        return Err(Rejection::UnknownClient(why));
    }
    let (parts, incoming) = request.into_parts();

    // 1. Where to, what, and by whom: the head.
    let host = head::host(&parts, connection)?;
    let route = connection.route(&host);
    let route = route.ok_or_else(|| Rejection::MisdirectedRequest(host.clone()))?;
    record.set_server_names(&host, route.server_name);
    let re_sign = connection.endpoint().re_sign.as_ref();
    let keys = re_sign.and_then(ReSignConfig::keys);
    let asked = Asked::read(
        connection,
        &parts,
        route,
        keys.as_deref(),
        record.arrival_time(),
    )?;
    let action = asked.head.target.action();
    record.operation = asked.head.target.number();
    record.action = Some(action.clone());
    record.principal = asked.caller.claimed();

    // 2. The body, scanned as it arrives: to its end, or as far as a large one needs to be judged.
    //    What is signed anew is hashed whole.
    let mut reading = Reading::begin(incoming, asked.head.format, worker)?;
    let may_be_large = asked.head.may_be_large() && re_sign.is_none();
    reading.read_to_be_judged(may_be_large).await?;
    let hash = match re_sign {
        Some(_) => reading.body.hash(),
        None => BodyHash::default(),
    };
    if asked.caller.prove(&hash)? {
        record.principal = asked.caller.record();
    }

    // 3. The resources it names, and the decision about them. What is not allowed by what is known
    //    so far is answered by what it says as a whole, and by the stream its token stands for.
    let deciding = Instant::now();
    let mut ruled = asked.judge(reading.scanner.members(), record.arrival_time());
    if !reading.has_ended() && !ruled.as_ref().is_ok_and(|ruled| asked.is_settled(ruled)) {
        reading.read_to_end().await?;
        ruled = asked.judge(reading.scanner.members(), record.arrival_time());
    }
    let ruled = token::settle(worker, &asked, &reading, ruled?, record).await?;
    let endpoint = connection.endpoint();
    let mut decided = Instant::now();
    record.decision_time = Some(decided - deciding);
    record.request_bytes = reading.body.len();
    record.outcome = ruled.outcome();
    record.resource = Some(ruled.resource());
    record.resources = ruled.resources();
    record.decision_source = ruled.ruling(endpoint);
    record.candidate = ruled.difference(endpoint);
    record.is_audited = endpoint.mode == Mode::Audit;

    // 4. Room for it, where the configuration says how many a second go on.
    endpoint
        .rate_rules
        .admit(&asked, &ruled, decided.into_std())?;

    // 5. The request as it came, if it is permitted.
    let watch = handed::expected(&asked, &reading, &ruled);
    let subscription = subscription::is_ended_by_reloads(worker, &asked).then(|| {
        let kept = Kept::new(&parts, hash, record.arrival_time());
        let members = reading.scanner.members().clone();
        Box::new(Subscription::new(worker, visit, connection, kept, members))
    });
    let (body, passage) = match reading.has_ended() {
        true => (reading.into_whole(), None),
        // INVARIANT: what is signed anew has been read to its end.
        false => {
            let (body, passage) = tail::follow(reading, connection, &parts, record.arrival_time());
            (body, Some(passage))
        }
    };
    let signing = match re_sign {
        Some(re_sign) => Some(re_sign.signing(&asked.caller)?),
        None => None,
    };
    let mut request = Request::from_parts(parts, body);
    head::strip(request.headers_mut());
    let user = || principal::user(&record.principal, endpoint.partition);
    let permitted = ruled
        .permit(endpoint.mode, request, action, user)
        .map_err(Rejection::AccessDenied)?;
    let session = match signing {
        Some(signing) => {
            let session = signing.session(record.arrival_time()).await?;
            decided = Instant::now();
            Some(session)
        }
        None => None,
    };

    // 6. To Kinesis, untouched or signed anew.
    let signature = session.as_deref().map(|session| Signer {
        credentials: session,
        region: &endpoint.region,
        host: route.server_name,
        body_hash: &hash,
        time: record.now(),
    });
    let to = Destination {
        name: route.server_name,
        address: connection.original_destination,
    };
    let answer = worker.upstream.forward(to, permitted, signature).await;
    record.set_upstream_time(decided);
    if let Some(passage) = passage {
        passage.borrow_mut().settle(record)?;
    }

    // 7. The answer as it comes; a token in it is bound before its last byte leaves, and an event
    //    stream may be judged on.
    let answer = answer.map_err(Rejection::Upstream)?;
    Ok(match subscription {
        Some(subscription) => {
            answer.map(|body| Passing::Judged(Box::new(subscription.follow(body))))
        }
        None => handed::pass(worker, answer, watch),
    })
}
