//! The body scanner: reads the body of a request or response as it arrives, in one pass, and
//! collects only the members that policy needs. Other values are skipped at memory speed.
//!
//! The scanner accepts a body that has only one reading: strict RFC 8259 (JSON) or RFC 8949 (CBOR),
//! valid UTF-8, one top-level map without repeated keys, and nothing after the map.

mod cbor;
mod json;
mod malformed;
mod member_kind;
mod member_visitor;
mod utf8;

pub use malformed::MalformedBody;

use std::fmt;

use super::members::Members;
use super::wire_format::WireFormat;
use member_visitor::MemberVisitor;

/// An incremental scanner of one body.
///
/// The scanner's memory is bounded: nesting by `MAX_DEPTH`, top-level keys by their number and
/// length, all collected strings by 2 MiB in total. A typical request needs a hundred bytes.
pub struct Scanner {
    grammar: Grammar,
    visitor: MemberVisitor,
    error: Option<MalformedBody>,
}

/// The deepest nesting that is accepted. The service's model needs six.
const MAX_DEPTH: u32 = 32;

enum Grammar {
    Json(json::JsonScanner),
    Cbor(cbor::CborScanner),
}

impl Scanner {
    /// A scanner of a request's body.
    pub fn new(format: WireFormat) -> Scanner {
        Scanner::with_visitor(format, MemberVisitor::new(None))
    }

    /// A scanner of a response's body. It collects only the token in the member called `token`, as
    /// [`Members::next_token`], and applies the rules about keys and types to that member alone.
    pub fn for_response(format: WireFormat, token: &'static str) -> Scanner {
        Scanner::with_visitor(format, MemberVisitor::new(Some(token)))
    }

    fn with_visitor(format: WireFormat, visitor: MemberVisitor) -> Scanner {
        let grammar = match format {
            WireFormat::Json => Grammar::Json(json::JsonScanner::default()),
            WireFormat::Cbor | WireFormat::RpcV2Cbor => Grammar::Cbor(cbor::CborScanner::default()),
        };
        Scanner {
            grammar,
            visitor,
            error: None,
        }
    }

    /// Scans the next chunk of the body. Chunks may be cut anywhere.
    ///
    /// # Errors
    /// The first rule that the body breaks. Later calls return the same error.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), MalformedBody> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let result = match &mut self.grammar {
            Grammar::Json(json) => json.push(chunk, &mut self.visitor),
            Grammar::Cbor(cbor) => cbor.push(chunk, &mut self.visitor),
        };
        result.inspect_err(|error| self.error = Some(*error))
    }

    /// Ends the body.
    ///
    /// # Errors
    /// If the body broke a rule, or ends too early.
    pub fn finish(&mut self) -> Result<(), MalformedBody> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let result = match &self.grammar {
            Grammar::Json(json) => json.finish(),
            Grammar::Cbor(cbor) => cbor.finish(),
        };
        result.inspect_err(|error| self.error = Some(*error))
    }

    /// The members read so far: all members once [`Scanner::finish`] has succeeded. Before that,
    /// more members may follow, and a later byte may break a rule.
    pub fn members(&self) -> &Members {
        self.visitor.members()
    }
}

/// Shows the members, but not the body.
impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner")
            .field("members", self.members())
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
