//! The human-readable form of a line of the decision log: a sentence.

use std::io::Write;

use super::log_line::{LineCandidate, LinePrincipal, LogLine, Text};

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

/// Writes a JSON line as a sentence. Writes nothing for a line that is not of the decision log.
pub fn write(line: &[u8], style: Style, out: &mut Vec<u8>) {
    if let Ok(line) = LogLine::parse(line) {
        // Writing to memory does not fail.
        let _ = line.write_sentence(style, out);
    }
}

impl LogLine<'_> {
    fn write_sentence(&self, style: Style, out: &mut Vec<u8>) -> std::io::Result<()> {
        if style.has_time {
            let clock = self.time.get(11..23).unwrap_or(&self.time);
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
        let peer = self.peer.map_or("-".to_owned(), |it| it.to_string());
        let reason = or_dash(&self.reason);
        if &**connection == "tunnel" {
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
        let LinePrincipal { account, arn, .. } = &self.principal;
        let principal = arn.as_ref().or(account.as_ref());
        write!(
            out,
            " {} {} on {} by {} through {}",
            self.status.unwrap_or_default(),
            or_dash(&self.action),
            or_dash(&self.resource),
            Text(principal.map_or("unknown", |text| text).into()),
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
        if let Some(LineCandidate { decision, policy }) = &self.candidate {
            write!(out, " (candidate: {decision} by {policy})")?;
        }
        match &self.reason {
            Some(reason) => write!(out, ": {reason}"),
            None => Ok(()),
        }
    }
}

fn or_dash<'t>(text: &'t Option<Text<'_>>) -> Text<'t> {
    Text(text.as_deref().unwrap_or("-").into())
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
