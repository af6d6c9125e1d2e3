//! Text patterns: literals, wildcards and variables, matched in linear time.

use crate::policy::condition_key::Key;
use crate::policy::diagnostic::Problem;
use crate::policy::request::Context;
use crate::policy::template::{Piece, Syntax, Template};
use crate::policy::ternary::Match;

/// A compiled pattern over text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pattern {
    /// `*`.
    Everything,
    /// No wildcards, no variables.
    Literal(Box<str>),
    /// `literal*`.
    Prefix(Box<str>),
    /// Wildcards but no variables.
    Glob(Glob),
    /// Variables, and perhaps wildcards.
    Dynamic(Template),
}

impl Pattern {
    pub(super) fn parse(text: &str, syntax: Syntax) -> Result<Pattern, Problem> {
        // Most texts are plain; a template costs five allocations more.
        let variable = syntax.variables && text.contains("${");
        if !variable {
            let wild = |text: &str| syntax.wildcards && text.contains(['*', '?']);
            if !wild(text) {
                return Ok(Pattern::Literal(text.into()));
            }
            match text.strip_suffix('*') {
                Some("") => return Ok(Pattern::Everything),
                Some(prefix) if !wild(prefix) => return Ok(Pattern::Prefix(prefix.into())),
                _ => {}
            }
        }
        Template::parse(text, syntax).map(Pattern::of)
    }

    fn of(template: Template) -> Pattern {
        if template.has_variables() {
            return Pattern::Dynamic(template);
        }
        match template.pieces() {
            [] => Pattern::Literal("".into()),
            [Piece::Literal(text)] => Pattern::Literal(text.clone()),
            [Piece::Any] => Pattern::Everything,
            [Piece::Literal(text), Piece::Any] => Pattern::Prefix(text.clone()),
            pieces => Pattern::Glob(Glob::of(pieces)),
        }
    }

    pub(super) fn matches(&self, text: &str, context: &dyn Context) -> Match {
        match self {
            Pattern::Everything => Match::Yes,
            Pattern::Literal(literal) => Match::from(**literal == *text),
            Pattern::Prefix(prefix) => Match::from(text.starts_with(&**prefix)),
            Pattern::Glob(glob) => Match::from(glob.matches(text)),
            Pattern::Dynamic(template) => template.matches(text, context),
        }
    }

    /// Matches text that goes on with characters nobody knows.
    pub(super) fn matches_open(&self, text: &str, context: &dyn Context) -> Match {
        let may = |possible: bool| {
            if possible { Match::Maybe } else { Match::No }
        };
        match self {
            Pattern::Everything => Match::Yes,
            Pattern::Literal(literal) => may(literal.starts_with(text)),
            Pattern::Prefix(prefix) if text.starts_with(&**prefix) => Match::Yes,
            Pattern::Prefix(prefix) => may(prefix.starts_with(text)),
            Pattern::Glob(glob) if glob.open_ended && glob.matches(text) => Match::Yes,
            Pattern::Glob(glob) => may(glob.could_begin(text)),
            Pattern::Dynamic(template) => match template.matches(text, context) {
                Match::Yes if template.open_ended() => Match::Yes,
                _ => Match::Maybe,
            },
        }
    }

    /// What any text that matches must begin with.
    pub(super) fn literal_prefix(&self) -> &str {
        match self {
            Pattern::Everything => "",
            Pattern::Literal(text) | Pattern::Prefix(text) => text,
            Pattern::Glob(glob) => match glob.head.first() {
                Some(Atom::Text(text)) => text,
                _ => "",
            },
            Pattern::Dynamic(template) => match template.pieces().first() {
                Some(Piece::Literal(text)) => text,
                _ => "",
            },
        }
    }

    /// Does it use `*` or `?` as wildcards?
    pub(super) fn has_wildcards(&self) -> bool {
        match self {
            Pattern::Everything | Pattern::Prefix(_) | Pattern::Glob(_) => true,
            Pattern::Literal(_) => false,
            Pattern::Dynamic(template) => template.has_wildcards(),
        }
    }

    /// The keys that it uses as variables.
    pub(super) fn variables(&self) -> Vec<Key<'_>> {
        match self {
            Pattern::Dynamic(template) => template.variables().collect(),
            _ => Vec::new(),
        }
    }

    /// A variable that has no default.
    pub(super) fn bare_variable(&self) -> Option<Key<'_>> {
        match self {
            Pattern::Dynamic(template) => template.bare_variable(),
            _ => None,
        }
    }

    /// Does it end in `*`?
    pub(super) fn is_open_ended(&self) -> bool {
        match self {
            Pattern::Everything | Pattern::Prefix(_) => true,
            Pattern::Literal(_) => false,
            Pattern::Glob(glob) => glob.open_ended,
            Pattern::Dynamic(template) => template.open_ended(),
        }
    }

    /// Has a variable no value and no default, or may it have none?
    pub(super) fn may_be_null(&self, context: &dyn Context) -> bool {
        match self {
            Pattern::Dynamic(template) => template.may_be_null(context),
            _ => false,
        }
    }

    pub(super) fn has_variables(&self) -> bool {
        matches!(self, Pattern::Dynamic(_))
    }
}

/// A pattern with wildcards: segments between `*`, each of literal text and `?`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Glob {
    /// Before the first `*`, anchored at the start; the whole pattern if there is no `*`.
    head: Box<[Atom]>,
    /// Between two `*`, each found at its leftmost place.
    middle: Box<[Box<[Atom]>]>,
    /// After the last `*`, anchored at the end; `None` if there is no `*`.
    tail: Option<Box<[Atom]>>,
    /// It ends in `*`.
    open_ended: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Atom {
    Text(Box<str>),
    One,
}

impl Glob {
    fn of(pieces: &[Piece]) -> Glob {
        let mut segments: Vec<Box<[Atom]>> = pieces
            .split(|piece| matches!(piece, Piece::Any))
            .map(|segment| {
                segment
                    .iter()
                    .map(|piece| match piece {
                        Piece::Literal(text) => Atom::Text(text.clone()),
                        _ => Atom::One,
                    })
                    .collect()
            })
            .collect();
        let open_ended = matches!(pieces.last(), Some(Piece::Any));
        let tail = if segments.len() > 1 {
            segments.pop()
        } else {
            None
        };
        let mut segments = segments.into_iter();
        let head = segments.next().unwrap_or_default();
        let middle = segments.filter(|segment| !segment.is_empty()).collect();
        Glob {
            head,
            middle,
            tail,
            open_ended,
        }
    }

    fn matches(&self, text: &str) -> bool {
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

    /// Could some continuation of `text` match? Only what stands before the first `*` tells.
    fn could_begin(&self, text: &str) -> bool {
        let mut rest = text;
        for atom in &self.head {
            if rest.is_empty() {
                return true;
            }
            match atom {
                Atom::One => rest = skip_char(rest),
                Atom::Text(literal) => match rest.strip_prefix(&**literal) {
                    Some(after) => rest = after,
                    None => return literal.starts_with(rest),
                },
            }
        }
        rest.is_empty() || self.tail.is_some()
    }
}

fn skip_char(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next();
    chars.as_str()
}

fn strip_segment<'t>(text: &'t str, segment: &[Atom]) -> Option<&'t str> {
    let mut rest = text;
    for atom in segment {
        match atom {
            Atom::Text(literal) => rest = rest.strip_prefix(&**literal)?,
            Atom::One if rest.is_empty() => return None,
            Atom::One => rest = skip_char(rest),
        }
    }
    Some(rest)
}

/// The text after the leftmost place where the segment stands.
fn find_segment<'t>(text: &'t str, segment: &[Atom]) -> Option<&'t str> {
    match segment {
        [Atom::Text(literal)] => {
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

fn ends_with_segment(text: &str, segment: &[Atom]) -> bool {
    let mut rest = text;
    for atom in segment.iter().rev() {
        match atom {
            Atom::Text(literal) => match rest.strip_suffix(&**literal) {
                Some(before) => rest = before,
                None => return false,
            },
            Atom::One => {
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

/// Matches an action's name: ASCII case does not matter, `*` is any run, `?` one character.
/// Never goes back further than the last `*`.
pub(super) fn matches_folded(pattern: &str, text: &str) -> bool {
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
        let Some((after_star, from)) = resume else {
            return false;
        };
        t = from + text.get(from).map_or(1, |&first| char_width(first));
        p = after_star;
        resume = Some((p, t));
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|&byte| byte == b'*'))
}

/// Bytes of the UTF-8 character that begins with `first`.
pub(super) fn char_width(first: u8) -> usize {
    match first {
        0xf0..=0xff => 4,
        0xe0..=0xef => 3,
        0xc0..=0xdf => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::{Match, Pattern, matches_folded};
    use crate::policy::request::EmptyContext;
    use crate::policy::template::Syntax;

    fn glob(pattern: &str) -> Pattern {
        let syntax = Syntax {
            variables: false,
            wildcards: true,
        };
        Pattern::parse(pattern, syntax).expect("valid")
    }

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("?", "", false),
            ("?", "é", true),
            ("a*b", "ab", true),
            ("a*b", "a:/xb", true),
            ("a*b", "abc", false),
            ("a*ab", "ab", false),
            ("*ab*ab*", "xabab", true),
            ("*ab*ab*", "xabb", false),
            ("a?c*?", "abcd", true),
            ("a?c*?", "abc", false),
            ("**", "x", true),
            ("*?*", "", false),
            ("*?b?*c", "aabbc", true),
            ("stream/*", "stream/*", true),
            ("x*yy", "xy", false),
        ] {
            let found = glob(pattern).matches(text, &EmptyContext) == Match::Yes;
            assert_eq!(found, expected, "{pattern} {text}");
            assert_eq!(
                matches_folded(pattern, text),
                expected,
                "folded {pattern} {text}"
            );
        }
    }

    #[test]
    fn open_text() {
        for (pattern, text, expected) in [
            ("stream/s/consumer/c:*", "stream/s/consumer/c:", Match::Yes),
            ("stream/s*", "stream/s/consumer/c:", Match::Yes),
            (
                "stream/s/consumer/c:17",
                "stream/s/consumer/c:",
                Match::Maybe,
            ),
            ("stream/s/*:17", "stream/s/consumer/c:", Match::Maybe),
            ("stream/t/*:17", "stream/s/consumer/c:", Match::No),
            ("stream/s", "stream/s/consumer/c:", Match::No),
            ("stream/?/*/c:?", "stream/s/consumer/c:", Match::Maybe),
        ] {
            assert_eq!(
                glob(pattern).matches_open(text, &EmptyContext),
                expected,
                "{pattern}"
            );
        }
    }
}
