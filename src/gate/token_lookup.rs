//! Token lookup: the stream that an opaque token or iterator in a request stands for.

use std::time::SystemTime;

use crate::kinesis::{self, Target};
use crate::reject::Rejection;

use super::evaluation::Evaluation;
use super::request::ParsedRequest;
use super::request_body::BodyReader;
use super::worker::Worker;

/// Evaluates the request again by the stream of its token, where that stream can change the
/// evaluation or a rate limit counts by it.
///
/// # Errors
/// A token that is not bound gets the error for an expired one, unless in audit mode.
pub(super) async fn resolve_token(
    worker: &Worker,
    request: &ParsedRequest<'_, '_>,
    reader: &BodyReader<'_>,
    evaluation: Evaluation,
    now: SystemTime,
) -> Result<Evaluation, Rejection> {
    let members = reader.members();
    let Target::Operation(operation) = request.head.target else {
        return Ok(evaluation);
    };
    let rules = &request.endpoint().token_rules;
    if evaluation.is_denied_regardless()
        || !rules.require_token_of(operation, evaluation.is_allowed())
    {
        return Ok(evaluation);
    }
    let Some((member, token)) = kinesis::stream_token(&request.head.target, members) else {
        return Ok(evaluation);
    };
    let hash = worker.tokens.hash_token(operation.name, token);
    let counters = &worker.observer.counters;
    match worker.tokens.resolve(hash, now).await {
        Ok(Some(stream)) => return request.evaluate(members, Some(&stream), now),
        Ok(None) => {}
        Err(_) => counters.token_store_failures.increment(),
    }
    counters.tokens_unknown.increment();
    match request.endpoint().is_audited() {
        true => Ok(evaluation),
        false => Err(Rejection::UnknownToken(member)),
    }
}
