//! The parser of a line of the decision log, for its readers in the admin port and the command line.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::ops::Deref;

use serde::Deserialize;

/// A line of the decision log; `docs/decision-log.md` describes its members.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'l"))]
#[expect(missing_docs, reason = "the members of a line, by their names")]
pub struct LogLine<'l> {
    pub time: Text<'l>,
    pub endpoint: Option<Text<'l>>,
    pub peer: Option<IpAddr>,
    #[serde(default)]
    pub principal: LinePrincipal<'l>,
    pub action: Option<Text<'l>>,
    pub resource: Option<Text<'l>>,
    #[serde(default)]
    pub resources: Vec<Text<'l>>,
    /// The decision; `None` for a connection without a request.
    pub decision: Option<Text<'l>>,
    pub mode: Option<Text<'l>>,
    pub layer: Option<Text<'l>>,
    pub policy: Option<Text<'l>>,
    pub statement: Option<Text<'l>>,
    pub unknown: Option<Text<'l>>,
    pub candidate: Option<LineCandidate<'l>>,
    pub reason: Option<Text<'l>>,
    pub upstream_failure: Option<Text<'l>>,
    pub status: Option<u16>,
    /// One of this many allowed requests is logged.
    pub sampled: Option<u32>,
    /// `dropped` or `tunnel`; `None` for a request.
    pub connection: Option<Text<'l>>,
    pub kind: Option<Text<'l>>,
    pub name: Option<Text<'l>>,
    pub sent_bytes: Option<u64>,
    pub received_bytes: Option<u64>,
}

/// The principal of a line.
#[derive(Debug, Default, Deserialize)]
#[serde(bound(deserialize = "'de: 'l"))]
#[expect(missing_docs, reason = "the members of a line, by their names")]
pub struct LinePrincipal<'l> {
    pub access_key_id: Option<Text<'l>>,
    pub account: Option<Text<'l>>,
    pub arn: Option<Text<'l>>,
}

/// The decision of the candidate policies.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "'de: 'l"))]
#[expect(missing_docs, reason = "the members of a line, by their names")]
pub struct LineCandidate<'l> {
    pub decision: Text<'l>,
    pub policy: Text<'l>,
}

/// Text that a client may have chosen. Displays control characters as escapes, so that they cannot
/// control a terminal.
#[derive(Debug, Deserialize)]
pub struct Text<'l>(#[serde(borrow)] pub(super) Cow<'l, str>);

impl<'l> LogLine<'l> {
    /// Parses a line.
    ///
    /// # Errors
    /// If the line is not of the decision log.
    pub fn parse(line: &'l [u8]) -> serde_json::Result<LogLine<'l>> {
        serde_json::from_slice(line)
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c.is_control() {
            true => write!(f, "{}", c.escape_default()),
            false => f.write_char(c),
        })
    }
}
