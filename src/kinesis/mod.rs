//! Kinesis requests: the operation, the members that policy needs, the resources that they name, and the
//! host name of the endpoint. No I/O and no clock; it imports no other room of the crate.

mod arn;
mod host;
mod members;
mod operation;
mod resource;
mod scan;
mod target;
mod wire_format;

pub use arn::{Arn, InvalidArn};
pub use host::{Host, canonical_host, partition_of, regional_endpoint, split_authority};
pub use members::{Member, Members};
pub use operation::{ACTION_NAMES, Operation, Plane, ResourceScope, find_operation, operations};
pub use resource::{
    PartialArn, ResolveContext, Resource, ResourceConflict, Resources, resolve_resources,
    stream_token,
};
pub use scan::{MalformedBody, Scanner};
pub use target::{PATH_PREFIX, TARGET_PREFIX, Target};
pub use wire_format::WireFormat;
