//! A request that is judged again: by the whole of its body, or under policies that were reloaded.

use std::time::SystemTime;

use http::request::Parts;

use crate::kinesis::Members;
use crate::reject::Rejection;
use crate::sigv4::BodyHash;

use super::asked::Asked;
use super::authenticate::ReSignConfig;
use super::decide::Ruled;
use super::{ConnectionInfo, head, principal};

/// What a request is judged by beside its connection and what its body says: its head, owned.
pub(super) struct Kept {
    parts: Parts,
    /// Of its body, where that is signed anew.
    hash: BodyHash,
    /// When it arrived: its signature was valid then.
    arrived: SystemTime,
}

impl Kept {
    /// Of a request with this head.
    pub(super) fn new(parts: &Parts, hash: BodyHash, arrived: SystemTime) -> Kept {
        Kept {
            parts: parts.clone(),
            hash,
            arrived,
        }
    }

    /// Judges it by all that it was judged by the first time; `told` is told what was decided.
    ///
    /// # Errors
    /// Why it would not be forwarded.
    pub(super) fn judge(
        &self,
        connection: &ConnectionInfo,
        members: &Members,
        now: SystemTime,
        told: impl FnOnce(&Ruled),
    ) -> Result<(), Rejection> {
        if let Some(why) = connection.revoked {
            return Err(Rejection::UnknownClient(why));
        }
        let endpoint = connection.endpoint();
        let host = head::host(&self.parts, connection)?;
        let route = connection.route(&host);
        let route = route.ok_or_else(|| Rejection::MisdirectedRequest(host.clone()))?;
        let keys = endpoint.re_sign.as_ref().and_then(ReSignConfig::keys);
        let asked = Asked::read(
            connection,
            &self.parts,
            route,
            keys.as_deref(),
            self.arrived,
        )?;
        asked.caller.prove(&self.hash)?;
        let ruled = asked.judge(members, now)?;
        told(&ruled);
        let user = || principal::user(&asked.caller.record(), endpoint.partition);
        let permitted = ruled.permit(endpoint.mode, (), asked.head.target.action(), user);
        permitted.map(|_| ()).map_err(Rejection::AccessDenied)
    }
}
