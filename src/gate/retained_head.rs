//! A request head, retained to evaluate the request again: by its whole body, or after a reload.

use std::time::SystemTime;

use http::request::Parts;

use crate::kinesis::Members;
use crate::reject::Rejection;
use crate::sigv4::BodyHash;

use super::caller_identity::principal_text;
use super::connection::ConnectionInfo;
use super::evaluation::Evaluation;
use super::request::{self, ParsedRequest};
use super::request_head;

/// A request head and the other inputs of an evaluation, but the connection and body's members.
pub(super) struct RetainedHead {
    parts: Parts,
    /// The hash of the body, where the request is re-signed.
    body_hash: BodyHash,
    /// When the request arrived: its signature was valid then.
    arrival_time: SystemTime,
}

impl RetainedHead {
    pub(super) fn new(
        parts: &Parts,
        body_hash: BodyHash,
        arrival_time: SystemTime,
    ) -> RetainedHead {
        RetainedHead {
            parts: parts.clone(),
            body_hash,
            arrival_time,
        }
    }

    /// Evaluates the request in the same way as before. Calls `on_evaluation` with the result.
    ///
    /// # Errors
    /// The reason that the request would not be forwarded.
    pub(super) fn reevaluate(
        &self,
        connection: &ConnectionInfo,
        members: &Members,
        now: SystemTime,
        on_evaluation: impl FnOnce(&Evaluation),
    ) -> Result<(), Rejection> {
        connection.check_not_revoked()?;
        let endpoint = connection.endpoint();
        let host = request_head::host(&self.parts, connection)?;
        let route = connection.route(&host)?;
        let keys = request::local_keys(endpoint);
        let (parts, arrival_time) = (&self.parts, self.arrival_time);
        let request =
            ParsedRequest::parse(connection, parts, route, keys.as_deref(), arrival_time)?;
        request.caller.verify_signature(&self.body_hash)?;
        let evaluation = request.evaluate(members, None, now)?;
        on_evaluation(&evaluation);
        let denied = || {
            let principal = request.caller.logged_principal();
            let principal = principal_text(&principal, endpoint.partition);
            (principal, request.head.target.action())
        };
        evaluation.permit(endpoint, (), denied).map(|_| ())
    }
}
