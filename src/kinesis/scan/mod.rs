//! Reads a body as it arrives, in one pass, and keeps only what policy needs.
//!
//! What passes is what every reader reads alike: strict RFC 8259 or RFC 8949, valid UTF-8, one
//! top-level map without repeated keys, nothing after it. The rest is skipped at memory speed.

mod cbor;
mod collect;
mod json;
mod malformed;
mod utf8;

pub use malformed::MalformedBody;

use std::fmt;

use super::head::WireFormat;
use super::members::Members;
use collect::Collector;

/// An incremental reader of one body.
///
/// Memory is bounded: nesting by `MAX_DEPTH`, keys at the top by their number and length, and all
/// kept text together by 2 MiB, of which a usual request needs a hundred bytes.
pub struct Scanner {
    grammar: Grammar,
    collector: Collector,
    failed: Option<MalformedBody>,
}

/// Deepest nesting that is read. The service's model needs six.
const MAX_DEPTH: u32 = 32;

enum Grammar {
    Json(json::Json),
    Cbor(cbor::Cbor),
}

impl Scanner {
    /// A reader of a body in that encoding.
    pub fn new(format: WireFormat) -> Scanner {
        Scanner {
            grammar: match format {
                WireFormat::Json => Grammar::Json(json::Json::default()),
                WireFormat::Cbor | WireFormat::RpcV2Cbor => Grammar::Cbor(cbor::Cbor::default()),
            },
            collector: Collector::default(),
            failed: None,
        }
    }

    /// A reader of an answer's body in that encoding, of which one member is kept: the one called
    /// `name`, as [`Members::next_token`]. No answer is refused by what else it says.
    pub fn for_response(format: WireFormat, name: &'static str) -> Scanner {
        Scanner {
            collector: Collector::for_response(name),
            ..Scanner::new(format)
        }
    }

    /// Reads the next bytes of the body, however it was cut.
    ///
    /// # Errors
    /// The first rule that the body breaks; the same again on every later call.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), MalformedBody> {
        if let Some(rule) = self.failed {
            return Err(rule);
        }
        let read = match &mut self.grammar {
            Grammar::Json(json) => json.push(chunk, &mut self.collector),
            Grammar::Cbor(cbor) => cbor.push(chunk, &mut self.collector),
        };
        read.inspect_err(|rule| self.failed = Some(*rule))
    }

    /// Says that the body has ended.
    ///
    /// # Errors
    /// When it breaks a rule, or ends too early.
    pub fn finish(&mut self) -> Result<(), MalformedBody> {
        if let Some(rule) = self.failed {
            return Err(rule);
        }
        let read = match &self.grammar {
            Grammar::Json(json) => json.finish(),
            Grammar::Cbor(cbor) => cbor.finish(),
        };
        read.inspect_err(|rule| self.failed = Some(*rule))
    }

    /// The members read so far: all of them once [`Scanner::finish`] succeeded. Until then a later
    /// byte may still break a rule, and members may still come.
    pub fn members(&self) -> &Members {
        self.collector.members()
    }
}

/// The body itself is not shown.
impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner")
            .field("members", self.members())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
