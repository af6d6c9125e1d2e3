//! A line of the decision log as a sentence, for a person who watches.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::Write;

use serde::Deserialize;

/// How sentences look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Decisions in colour, for a terminal.
    pub colour: bool,
    /// Each sentence begins with its time.
    pub time: bool,
}

impl Style {
    /// No colour and no time.
    pub const PLAIN: Style = Style {
        colour: false,
        time: false,
    };
}

/// Writes one JSON line as a sentence; nothing if it is none of the log.
pub fn write(line: &[u8], style: Style, out: &mut Vec<u8>) {
    if let Ok(seen) = serde_json::from_slice::<Seen<'_>>(line) {
        // Writing to memory does not fail.
        let _ = seen.sentence(style, out);
    }
}

#[derive(Deserialize)]
struct Seen<'l> {
    #[serde(borrow)]
    time: Text<'l>,
    #[serde(borrow)]
    endpoint: Option<Text<'l>>,
    #[serde(borrow)]
    peer: Option<Text<'l>>,
    #[serde(borrow, default)]
    principal: Who<'l>,
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
struct Who<'l> {
    #[serde(borrow)]
    account: Option<Text<'l>>,
    #[serde(borrow)]
    arn: Option<Text<'l>>,
}

/// Text that clients may have chosen: what steers a terminal is shown, not sent.
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

impl Seen<'_> {
    fn sentence(&self, style: Style, out: &mut Vec<u8>) -> std::io::Result<()> {
        if style.time {
            let clock = self.time.0.get(11..23).unwrap_or(&self.time.0);
            write!(out, "{} ", Text(clock.into()))?;
        }
        match &self.connection {
            Some(connection) => self.connection(connection, out)?,
            None => self.decision(style, out)?,
        }
        out.push(b'\n');
        Ok(())
    }

    fn connection(&self, connection: &Text<'_>, out: &mut Vec<u8>) -> std::io::Result<()> {
        let (peer, reason) = (or(&self.peer, "-"), or(&self.reason, "-"));
        let (peer, reason) = (Text(peer.into()), Text(reason.into()));
        if connection.0 == "tunnel" {
            let (sent, received) = (self.sent_bytes, self.received_bytes);
            write!(
                out,
                "tunnel        {} from {peer}: {} bytes sent, {} received: {reason}",
                Text(or(&self.name, "-").into()),
                sent.unwrap_or_default(),
                received.unwrap_or_default(),
            )
        } else {
            let (kind, connection) = (Text(or(&self.kind, "-").into()), connection.to_string());
            write!(out, "{connection:<13} {kind} from {peer}: {reason}")
        }
    }

    fn decision(&self, style: Style, out: &mut Vec<u8>) -> std::io::Result<()> {
        let decision = Text(or(&self.decision, "-").into()).to_string();
        let colour = match decision.as_str() {
            "allow" => "\x1b[32m",
            "explicit-deny" | "implicit-deny" => "\x1b[31m",
            _ => "\x1b[33m",
        };
        match style.colour {
            true => write!(out, "{colour}{decision:<13}\x1b[0m")?,
            false => write!(out, "{decision:<13}")?,
        }
        let who = self.principal.arn.as_ref();
        let who = who.or(self.principal.account.as_ref());
        write!(
            out,
            " {} {} on {} by {} through {}",
            self.status.unwrap_or_default(),
            Text(or(&self.action, "-").into()),
            Text(or(&self.resource, "-").into()),
            Text(who.map_or("unknown", |who| &who.0).into()),
            Text(or(&self.endpoint, "-").into()),
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

fn or<'t>(text: &'t Option<Text<'_>>, otherwise: &'t str) -> &'t str {
    text.as_ref().map_or(otherwise, |text| &text.0)
}

#[cfg(test)]
mod tests {
    use super::{Style, write};

    fn told(line: &str, style: Style) -> String {
        let mut out = Vec::new();
        write(line.as_bytes(), style, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        let line = r#"{"time":"2026-11-25T09:00:00.123Z","endpoint":"vpce-1","peer":"::1","principal":{},
            "action":"kinesis:\u001b[2JX\u0007\r\nallow","decision":"refused","status":400}"#;
        let style = Style {
            colour: false,
            time: true,
        };
        assert_eq!(
            told(line, style),
            "09:00:00.123 refused       400 kinesis:\\u{1b}[2JX\\u{7}\\r\\nallow on - by unknown through vpce-1\n"
        );
        assert_eq!(told("no line", style), "");
    }
}
