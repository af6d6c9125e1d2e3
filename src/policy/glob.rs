//! Globs: patterns with the wildcards `*` and `?`, compiled and matched in linear time.
//!
//! Crates for globs match whole texts only; this glob also matches a prefix.

use crate::policy::template::{Piece, char_width};

/// A compiled glob: segments between `*`, each of literal text and `?`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Glob {
    /// The part before the first `*`, anchored at the start; the whole pattern if there is no `*`.
    head: Segment,
    /// The parts between two `*`, each matched at its leftmost position.
    middle: Box<[Segment]>,
    /// The part after the last `*`, anchored at the end; `None` if there is no `*`.
    tail: Option<Segment>,
}

type Segment = Box<[SegmentPart]>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum SegmentPart {
    Literal(Box<str>),
    AnyChar,
}

impl Glob {
    /// Compiles pieces without variables.
    pub(super) fn new(pieces: &[Piece]) -> Glob {
        let mut segments: Vec<Segment> = pieces
            .split(|piece| *piece == Piece::AnyRun)
            .map(|pieces| pieces.iter().map(SegmentPart::new).collect())
            .collect();
        let tail = if segments.len() > 1 {
            segments.pop()
        } else {
            None
        };
        let mut segments = segments.into_iter();
        Glob {
            head: segments.next().unwrap_or_default(),
            middle: segments.filter(|segment| !segment.is_empty()).collect(),
            tail,
        }
    }

    /// Whether the glob ends in `*`.
    pub(super) fn is_open_ended(&self) -> bool {
        self.tail.as_ref().is_some_and(|tail| tail.is_empty())
    }

    /// The prefix of every text that matches.
    pub(super) fn literal_prefix(&self) -> &str {
        match self.head.first() {
            Some(SegmentPart::Literal(text)) => text,
            _ => "",
        }
    }

    /// Matches the whole of `text`.
    pub(super) fn matches(&self, text: &str) -> bool {
        let Some(mut rest) = strip_segment(text, &self.head) else {
            return false;
        };
        let Some(tail) = &self.tail else {
            return rest.is_empty();
        };
        for segment in &self.middle {
            let Some(after) = find_segment(rest, segment) else {
                return false;
            };
            rest = after;
        }
        ends_with_segment(rest, tail)
    }

    /// Whether a text with the prefix `text` may match, judged by the glob's head.
    pub(super) fn may_match_prefix(&self, text: &str) -> bool {
        let mut rest = text;
        for part in &self.head {
            if rest.is_empty() {
                return true;
            }
            match part {
                SegmentPart::AnyChar => rest = skip_char(rest),
                SegmentPart::Literal(literal) => match rest.strip_prefix(&**literal) {
                    Some(after) => rest = after,
                    None => return literal.starts_with(rest),
                },
            }
        }
        rest.is_empty() || self.tail.is_some()
    }
}

impl SegmentPart {
    fn new(piece: &Piece) -> SegmentPart {
        match piece {
            Piece::Literal(text) => SegmentPart::Literal(text.clone()),
            _ => SegmentPart::AnyChar,
        }
    }
}

fn skip_char(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next();
    chars.as_str()
}

fn strip_segment<'t>(text: &'t str, segment: &[SegmentPart]) -> Option<&'t str> {
    let mut rest = text;
    for part in segment {
        match part {
            SegmentPart::Literal(literal) => rest = rest.strip_prefix(&**literal)?,
            SegmentPart::AnyChar if rest.is_empty() => return None,
            SegmentPart::AnyChar => rest = skip_char(rest),
        }
    }
    Some(rest)
}

/// The text behind the leftmost match of the segment.
fn find_segment<'t>(text: &'t str, segment: &[SegmentPart]) -> Option<&'t str> {
    match segment {
        [SegmentPart::Literal(literal)] => {
            let at = memchr::memmem::find(text.as_bytes(), literal.as_bytes())?;
            text.get(at + literal.len()..)
        }
        _ => {
            let mut rest = text;
            loop {
                if let Some(after) = strip_segment(rest, segment) {
                    return Some(after);
                }
                if rest.is_empty() {
                    return None;
                }
                rest = skip_char(rest);
            }
        }
    }
}

fn ends_with_segment(text: &str, segment: &[SegmentPart]) -> bool {
    let mut rest = text;
    for part in segment.iter().rev() {
        match part {
            SegmentPart::Literal(literal) => match rest.strip_suffix(&**literal) {
                Some(before) => rest = before,
                None => return false,
            },
            SegmentPart::AnyChar => {
                let mut chars = rest.chars();
                if chars.next_back().is_none() {
                    return false;
                }
                rest = chars.as_str();
            }
        }
    }
    true
}

/// Matches the name of an action without regard to ASCII case. Backtracks no further than the last `*`.
pub(super) fn matches_ignore_case(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut resume: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                p += 1;
                resume = Some((p, t));
                continue;
            }
            Some(b'?') => {
                p += 1;
                t += char_width(byte);
                continue;
            }
            Some(expected) if expected.eq_ignore_ascii_case(&byte) => {
                p += 1;
                t += 1;
                continue;
            }
            _ => {}
        }
        let Some((after_run, from)) = resume else {
            return false;
        };
        t = from + text.get(from).map_or(1, |&first| char_width(first));
        p = after_run;
        resume = Some((p, t));
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|&byte| byte == b'*'))
}
