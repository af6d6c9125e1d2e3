//! What a request says: its operation, the members that policy needs, the resources they name, and
//! the endpoint it was sent to. No I/O and no clock; nothing of the crate is imported here.

mod arn;
mod head;
mod host;
mod members;
mod operation;
mod resource;
mod scan;

pub use arn::{Arn, InvalidArn};
pub use head::{PATH_PREFIX, TARGET_PREFIX, Target, WireFormat};
pub use host::{Host, canonical_host, partition_of, regional_endpoint, split_authority};
pub use members::{Member, Members};
pub use operation::{ACTION_NAMES, Operation, Plane, ResourceScope, find_operation, operations};
pub use resource::{
    PartialArn, ResolveContext, Resource, ResourceConflict, Resources, resolve_resources,
    stream_token,
};
pub use scan::{MalformedBody, Scanner};
