//! Requests that carry an opaque token in place of a stream.

use crate::config::Mode;
use crate::kinesis::{self, Target};
use crate::observe::Record;
use crate::reject::Rejection;

use super::Worker;
use super::asked::Asked;
use super::body::Reading;
use super::decide::Ruled;

/// Decides by the stream that the request's token stands for, where that can change anything: where
/// the policies tell streams apart, and the request is neither allowed nor denied whatever its
/// token; or where it is allowed, and requests are counted by stream. There, a token that is not
/// known is one that expired.
pub(super) async fn settle(
    worker: &Worker,
    asked: &Asked<'_>,
    reading: &Reading<'_>,
    ruled: Ruled,
    record: &Record,
) -> Result<Ruled, Rejection> {
    let members = reading.scanner.members();
    let Target::Operation(operation) = asked.head.target else {
        return Ok(ruled);
    };
    let tokens = &asked.endpoint().token_rules;
    if ruled.is_hopeless() || !tokens.matter_to(operation, ruled.is_allowed()) {
        return Ok(ruled);
    }
    let Some((member, token)) = kinesis::stream_token(&asked.head.target, members) else {
        return Ok(ruled);
    };
    let now = record.arrival_time();
    let hash = worker.tokens.hash_token(operation.name, token);
    match worker.tokens.resolve(hash, now).await {
        Ok(Some(stream)) => asked.judge_token_of(Some(&stream), members, now),
        unknown => {
            worker.observer.counters.tokens_unknown.increment();
            if unknown.is_err() {
                worker.observer.counters.token_store_failures.increment();
            }
            match asked.endpoint().mode {
                Mode::Enforce => Err(Rejection::UnknownToken(member)),
                Mode::Audit => Ok(ruled),
            }
        }
    }
}
