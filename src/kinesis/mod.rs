//! What a request says: its operation, the members that policy needs, the resources they name, and
//! the endpoint it was sent to. No I/O and no clock; nothing of the crate is imported here.

mod arn;
mod head;
mod host;
mod members;
mod operation;
mod resource;
mod scan;

pub use arn::{Arn, NotAnArn};
pub use head::{Format, PATH_PREFIX, TARGET_PREFIX, Target};
pub use host::{Host, canonical, partition_of, regional_endpoint, split_authority};
pub use members::{Member, Members};
pub use operation::{ACTION_NAMES, Operation, Plane, ResourceScope, find, operations};
pub use resource::{
    Disagreement, NamedArn, Resource, Resources, Scope, resources, resources_of_token, token,
};
pub use scan::{Malformed, Scanner};
