//! What one request asks: where, what and by whom, from its head; of which resources, from its body.

use std::time::SystemTime;

use http::request::Parts;

use crate::kinesis::{self, Members, ResolveContext, Resources, Target};
use crate::reject::Rejection;
use crate::sigv4::LocalKeys;

use super::ConnectionInfo;
use super::decide::{self, Ruled};
use super::facts::Facts;
use super::head::Head;
use super::principal::{self, KnownCaller};
use super::site::{Endpoint, Route};

/// A head, read.
pub(super) struct Asked<'a> {
    connection: &'a ConnectionInfo,
    parts: &'a Parts,
    route: Route<'a>,
    pub(super) head: Head<'a>,
    pub(super) caller: KnownCaller<'a>,
    /// The account that names without an account mean, where it is not the caller's: that of the
    /// credentials that the request will be signed with.
    signer: Option<String>,
}

impl<'a> Asked<'a> {
    /// Reads the head of a request that goes where `route` leads. Where the gate authenticates by
    /// signature, it does so with `keys`.
    pub(super) fn read(
        connection: &'a ConnectionInfo,
        parts: &'a Parts,
        route: Route<'a>,
        keys: Option<&'a LocalKeys>,
        now: SystemTime,
    ) -> Result<Asked<'a>, Rejection> {
        let head = Head::read(parts, &connection.endpoint().region)?;
        let caller = principal::caller(connection, head.caller, parts, keys, now)?;
        let signer = match &connection.endpoint().re_sign {
            Some(re_sign) => re_sign.signing(&caller)?.into_account(),
            None => None,
        };
        Ok(Asked {
            connection,
            parts,
            route,
            head,
            caller,
            signer,
        })
    }

    /// The endpoint it came through.
    pub(super) fn endpoint(&self) -> &'a Endpoint {
        self.connection.endpoint()
    }

    /// Whether it is allowed, and the rest of its body names no stream that it has to be counted for:
    /// not as one of many, and not by the ARN that says whose the stream is that a caller of no known
    /// account names.
    pub(super) fn is_settled(&self, ruled: &Ruled) -> bool {
        let names_more = match self.head.target {
            Target::Operation(operation) => {
                (operation.has_stream_list || self.caller.account().is_none())
                    && self.endpoint().rate_rules.tell_streams_apart(operation)
            }
            Target::UnmodeledOperation(_) => false,
        };
        ruled.is_allowed() && !names_more
    }

    /// Decides by what of the body is known: all of it, or enough to begin forwarding. A token
    /// leaves the resource unknown.
    pub(super) fn judge(&self, members: &Members, now: SystemTime) -> Result<Ruled, Rejection> {
        self.judge_token_of(None, members, now)
    }

    /// Decides about a request whose token stands for `stream`, if it is known.
    pub(super) fn judge_token_of(
        &self,
        stream: Option<&str>,
        members: &Members,
        now: SystemTime,
    ) -> Result<Ruled, Rejection> {
        let endpoint = self.connection.endpoint();
        let context = ResolveContext {
            partition: endpoint.partition,
            region: &endpoint.region,
            host_account: self.route.account,
            caller_account: match endpoint.re_sign {
                Some(_) => self.signer.as_deref(),
                None => self.caller.account(),
            },
        };
        let target = &self.head.target;
        let mut resources = Resources::default();
        kinesis::resolve_resources(target, members, &context, stream, &mut resources)
            .map_err(Rejection::ResourceConflict)?;
        let headers = &self.parts.headers;
        let facts = Facts::new(self.connection, headers, &self.caller, target, members, now);
        Ok(decide::decide(
            endpoint,
            target,
            &self.caller,
            &facts,
            resources,
        ))
    }
}
