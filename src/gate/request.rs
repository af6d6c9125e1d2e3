//! One parsed request: operation, caller and route from its head, resources from its body.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use http::request::Parts;

use crate::kinesis::{self, Members, ResolveContext, Resources, Target};
use crate::reject::Rejection;
use crate::sigv4::LocalKeys;

use super::authentication;
use super::caller_identity::CallerIdentity;
use super::condition_context::RequestContext;
use super::connection::ConnectionInfo;
use super::endpoints::{Endpoint, RateLimitedRequest, ReSignConfig, Route};
use super::evaluation::{self, Evaluation};
use super::request_head::RequestHead;
use super::signing::Signer;

/// A request whose head is parsed. Borrows from the head's parts, `'p`, and the connection, `'c`.
pub(super) struct ParsedRequest<'c, 'p> {
    connection: &'c ConnectionInfo,
    pub(super) parts: &'p Parts,
    pub(super) route: Route<'c>,
    pub(super) head: RequestHead<'p>,
    pub(super) caller: CallerIdentity<'p>,
    /// The credentials to re-sign the request with, where the endpoint re-signs.
    pub(super) signer: Option<Signer<'c>>,
}

/// The current keys to verify signatures with, where the endpoint authenticates by signature.
pub(super) fn local_keys(endpoint: &Endpoint) -> Option<Arc<LocalKeys>> {
    endpoint.re_sign.as_ref().and_then(ReSignConfig::local_keys)
}

impl<'c: 'p, 'p> ParsedRequest<'c, 'p> {
    /// Parses a request's head. `keys` verify signatures, where the gate authenticates by them.
    ///
    /// # Errors
    /// If the head is ambiguous, or does not identify the caller.
    pub(super) fn parse(
        connection: &'c ConnectionInfo,
        parts: &'p Parts,
        route: Route<'c>,
        keys: Option<&'p LocalKeys>,
        now: SystemTime,
    ) -> Result<ParsedRequest<'c, 'p>, Rejection> {
        let endpoint = connection.endpoint();
        let head = RequestHead::parse(parts, &endpoint.region)?;
        let caller = authentication::identify_caller(connection, head.caller, parts, keys, now)?;
        let signer = match &endpoint.re_sign {
            Some(re_sign) => Some(Signer::select(re_sign, &caller)?),
            None => None,
        };
        Ok(ParsedRequest {
            connection,
            parts,
            route,
            head,
            caller,
            signer,
        })
    }

    /// The endpoint that the request came through.
    pub(super) fn endpoint(&self) -> &'c Endpoint {
        self.connection.endpoint()
    }

    /// Whether a large body may be forwarded before its end. Re-signing needs the whole body's
    /// hash.
    pub(super) fn may_stream_body(&self) -> bool {
        self.signer.is_none() && self.head.may_be_large()
    }

    /// Whether the request is allowed and the rest of its body names no stream that a rate limit
    /// counts: neither one of many, nor one by its ARN for a caller of unknown account.
    pub(super) fn can_decide_early(&self, evaluation: &Evaluation) -> bool {
        let may_name_more = match self.head.target {
            Target::Operation(operation) => {
                (operation.has_stream_list || self.caller.account().is_none())
                    && self.endpoint().rate_rules.depend_on_stream(operation)
            }
            Target::UnmodeledOperation(_) => false,
        };
        evaluation.is_allowed() && !may_name_more
    }

    /// Evaluates the request by the known members of its body: all of them, or enough to begin
    /// forwarding. A token leaves the resource unknown, unless `token_stream` is the ARN of its
    /// stream.
    ///
    /// # Errors
    /// If the members contradict each other.
    pub(super) fn evaluate(
        &self,
        members: &Members,
        token_stream: Option<&str>,
        now: SystemTime,
    ) -> Result<Evaluation, Rejection> {
        let endpoint = self.endpoint();
        let target = &self.head.target;
        let context = ResolveContext {
            partition: endpoint.partition,
            region: &endpoint.region,
            host_account: self.route.account,
            caller_account: match &self.signer {
                Some(signer) => signer.account(),
                None => self.caller.account(),
            },
        };
        let mut resources = Resources::default();
        kinesis::resolve_resources(target, members, &context, token_stream, &mut resources)
            .map_err(Rejection::ResourceConflict)?;
        let (connection, headers) = (self.connection, &self.parts.headers);
        let context = RequestContext::new(connection, headers, &self.caller, target, members, now);
        Ok(evaluation::evaluate(
            endpoint,
            target,
            &self.caller,
            &context,
            resources,
        ))
    }

    /// Counts the request against the rate limits, if it is to be forwarded.
    ///
    /// # Errors
    /// If a rate limit throttles the request.
    pub(super) fn check_rate_limits(
        &self,
        evaluation: &Evaluation,
        now: Instant,
    ) -> Result<(), Rejection> {
        let endpoint = self.endpoint();
        let is_forwarded = || evaluation.is_allowed() || endpoint.is_audited();
        if endpoint.rate_rules.is_empty() || !is_forwarded() {
            return Ok(());
        }
        let request = RateLimitedRequest {
            target: &self.head.target,
            principal: self.caller.principal(),
            principal_key: self.caller.rate_limit_key(),
            resources: evaluation.resources(),
        };
        endpoint.rate_rules.admit(&request, now)
    }
}
