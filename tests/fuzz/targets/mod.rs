//! What each fuzz target asserts, as plain functions: libFuzzer drives them, and so does a replay of
//! the corpus that needs nothing but `cargo test`.

pub mod answer;
pub mod arn;
pub mod authorization;
pub mod cbor;
mod generate;
pub mod head;
pub mod host;
mod jackson;
pub mod json;
mod naming;
pub mod proxy;

/// A target's name, which is that of its corpus folder too, and the target.
type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const ALL: &[Target] = &[
    ("answer", answer::check),
    ("arn", arn::check),
    ("authorization", authorization::check),
    ("cbor", cbor::check),
    ("head", head::check),
    ("host", host::check),
    ("json", json::check),
    ("proxy", proxy::check),
];

/// Bodies are compared with another program in batches; this ends the last one.
pub fn flush() {
    jackson::flush();
}
