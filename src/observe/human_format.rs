//! The human-readable form of a line of the decision log: a sentence.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::Write;

use serde::Deserialize;

/// The style of sentences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Whether decisions are coloured, for a terminal.
    pub has_colour: bool,
    /// Whether each sentence begins with its time.
    pub has_time: bool,
}

impl Style {
    /// No colour and no time.
    pub const PLAIN: Style = Style {
        has_colour: false,
        has_time: false,
    };
}

/// Writes a JSON line as a sentence; writes nothing for a line that is not the decision log's.
pub fn write(line: &[u8], style: Style, out: &mut Vec<u8>) {
    if let Ok(line) = serde_json::from_slice::<LogLine<'_>>(line) {
        // Writing to memory does not fail.
        let _ = line.write_sentence(style, out);
    }
}

#[derive(Deserialize)]
struct LogLine<'l> {
    #[serde(borrow)]
    time: Text<'l>,
    #[serde(borrow)]
    endpoint: Option<Text<'l>>,
    #[serde(borrow)]
    peer: Option<Text<'l>>,
    #[serde(borrow, default)]
    principal: Principal<'l>,
    #[serde(borrow)]
    action: Option<Text<'l>>,
    #[serde(borrow)]
    resource: Option<Text<'l>>,
    #[serde(borrow)]
    decision: Option<Text<'l>>,
    #[serde(borrow)]
    policy: Option<Text<'l>>,
    #[serde(borrow)]
    statement: Option<Text<'l>>,
    #[serde(borrow)]
    unknown: Option<Text<'l>>,
    #[serde(borrow)]
    reason: Option<Text<'l>>,
    #[serde(borrow)]
    mode: Option<Text<'l>>,
    #[serde(borrow)]
    candidate: Option<Candidate<'l>>,
    status: Option<u16>,
    #[serde(borrow)]
    connection: Option<Text<'l>>,
    #[serde(borrow)]
    kind: Option<Text<'l>>,
    #[serde(borrow)]
    name: Option<Text<'l>>,
    sent_bytes: Option<u64>,
    received_bytes: Option<u64>,
}

#[derive(Deserialize)]
struct Candidate<'l> {
    #[serde(borrow)]
    decision: Text<'l>,
    #[serde(borrow)]
    policy: Text<'l>,
}

#[derive(Default, Deserialize)]
struct Principal<'l> {
    #[serde(borrow)]
    account: Option<Text<'l>>,
    #[serde(borrow)]
    arn: Option<Text<'l>>,
}

/// Text that a client may have chosen: control characters are escaped, so that they do not steer a
/// terminal.
#[derive(Deserialize)]
struct Text<'l>(#[serde(borrow)] Cow<'l, str>);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c.is_control() {
            true => write!(f, "{}", c.escape_default()),
            false => f.write_char(c),
        })
    }
}

impl LogLine<'_> {
    fn write_sentence(&self, style: Style, out: &mut Vec<u8>) -> std::io::Result<()> {
        if style.has_time {
            let clock = self.time.0.get(11..23).unwrap_or(&self.time.0);
            write!(out, "{} ", Text(clock.into()))?;
        }
        match &self.connection {
            Some(connection) => self.write_connection(connection, out)?,
            None => self.write_decision(style, out)?,
        }
        out.push(b'\n');
        Ok(())
    }

    fn write_connection(&self, connection: &Text<'_>, out: &mut Vec<u8>) -> std::io::Result<()> {
        let (peer, reason) = (or_dash(&self.peer), or_dash(&self.reason));
        if connection.0 == "tunnel" {
            let (sent, received) = (self.sent_bytes, self.received_bytes);
            write!(
                out,
                "tunnel        {} from {peer}: {} bytes sent, {} received: {reason}",
                or_dash(&self.name),
                sent.unwrap_or_default(),
                received.unwrap_or_default(),
            )
        } else {
            let (kind, connection) = (or_dash(&self.kind), connection.to_string());
            write!(out, "{connection:<13} {kind} from {peer}: {reason}")
        }
    }

    fn write_decision(&self, style: Style, out: &mut Vec<u8>) -> std::io::Result<()> {
        let decision = or_dash(&self.decision).to_string();
        let colour = match decision.as_str() {
            "allow" => "\x1b[32m",
            "explicit-deny" | "implicit-deny" => "\x1b[31m",
            _ => "\x1b[33m",
        };
        match style.has_colour {
            true => write!(out, "{colour}{decision:<13}\x1b[0m")?,
            false => write!(out, "{decision:<13}")?,
        }
        let Principal { account, arn } = &self.principal;
        let principal = arn.as_ref().or(account.as_ref());
        write!(
            out,
            " {} {} on {} by {} through {}",
            self.status.unwrap_or_default(),
            or_dash(&self.action),
            or_dash(&self.resource),
            Text(principal.map_or("unknown", |text| &text.0).into()),
            or_dash(&self.endpoint),
        )?;
        if let Some(policy) = &self.policy {
            match &self.statement {
                Some(statement) => write!(out, ": statement `{statement}` of {policy}")?,
                None => write!(out, ": no statement of {policy} allows it")?,
            }
        }
        if let Some(mode) = &self.mode {
            write!(out, " ({mode}: forwarded)")?;
        }
        if let Some(unknown) = &self.unknown {
            write!(out, " (not known here: {unknown})")?;
        }
        if let Some(Candidate { decision, policy }) = &self.candidate {
            write!(out, " (candidate: {decision} by {policy})")?;
        }
        match &self.reason {
            Some(reason) => write!(out, ": {reason}"),
            None => Ok(()),
        }
    }
}

fn or_dash<'t>(text: &'t Option<Text<'_>>) -> Text<'t> {
    Text(text.as_ref().map_or("-", |text| &text.0).into())
}

#[cfg(test)]
mod tests {
    use super::{Style, write};

    fn sentence(line: &str, style: Style) -> String {
        let mut out = Vec::new();
        write(line.as_bytes(), style, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        let line = r#"{"time":"2026-11-25T09:00:00.123Z","endpoint":"vpce-1","peer":"::1","principal":{},
            "action":"kinesis:\u001b[2JX\u0007\r\nallow","decision":"refused","status":400}"#;
        let style = Style {
            has_colour: false,
            has_time: true,
        };
        assert_eq!(
            sentence(line, style),
            "09:00:00.123 refused       400 kinesis:\\u{1b}[2JX\\u{7}\\r\\nallow on - by unknown through vpce-1\n"
        );
        assert_eq!(sentence("no line", style), "");
    }
}
