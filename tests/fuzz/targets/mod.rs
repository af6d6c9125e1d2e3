//! The fuzz targets, as plain functions. libFuzzer calls them, and so does the replay of the corpus
//! in `cargo test`.

pub mod arn;
pub mod authorization;
pub mod cbor;
mod generate;
pub mod head;
pub mod host;
mod jackson;
pub mod json;
mod members;
pub mod proxy;
pub mod response;

/// The name of a target, which is also the name of its corpus folder, and the target.
type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("arn", arn::check),
    ("authorization", authorization::check),
    ("cbor", cbor::check),
    ("head", head::check),
    ("host", host::check),
    ("json", json::check),
    ("proxy", proxy::check),
    ("response", response::check),
];

/// Compares the last, incomplete batch of bodies with Jackson.
pub fn flush() {
    jackson::flush();
}
