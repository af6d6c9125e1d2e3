//! Patterns of text: literals, wildcards and policy variables, matched in linear time.

use crate::policy::condition_key::Key;
use crate::policy::diagnostic::Problem;
use crate::policy::glob::Glob;
use crate::policy::request::Context;
use crate::policy::template::{Piece, Syntax, Template};
use crate::policy::ternary::Match;

/// A compiled pattern of text.
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
        if !(syntax.has_variables && text.contains("${")) {
            let is_wild = |text: &str| syntax.has_wildcards && text.contains(['*', '?']);
            if !is_wild(text) {
                return Ok(Pattern::Literal(text.into()));
            }
            match text.strip_suffix('*') {
                Some("") => return Ok(Pattern::Everything),
                Some(prefix) if !is_wild(prefix) => return Ok(Pattern::Prefix(prefix.into())),
                _ => {}
            }
        }
        Template::parse(text, syntax).map(Pattern::from_template)
    }

    fn from_template(template: Template) -> Pattern {
        if template.has_variables() {
            return Pattern::Dynamic(template);
        }
        match template.pieces() {
            [] => Pattern::Literal("".into()),
            [Piece::Literal(text)] => Pattern::Literal(text.clone()),
            [Piece::AnyRun] => Pattern::Everything,
            [Piece::Literal(text), Piece::AnyRun] => Pattern::Prefix(text.clone()),
            pieces => Pattern::Glob(Glob::new(pieces)),
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

    /// Matches a text with the known prefix `text`, whose rest is unknown.
    pub(super) fn matches_prefix(&self, text: &str, context: &dyn Context) -> Match {
        let may = |is_possible| Match::from(is_possible).at_most_maybe();
        match self {
            Pattern::Everything => Match::Yes,
            Pattern::Literal(literal) => may(literal.starts_with(text)),
            Pattern::Prefix(prefix) if text.starts_with(&**prefix) => Match::Yes,
            Pattern::Prefix(prefix) => may(prefix.starts_with(text)),
            Pattern::Glob(glob) if glob.is_open_ended() && glob.matches(text) => Match::Yes,
            Pattern::Glob(glob) => may(glob.may_match_prefix(text)),
            Pattern::Dynamic(template) => match template.matches(text, context) {
                Match::Yes if template.is_open_ended() => Match::Yes,
                _ => Match::Maybe,
            },
        }
    }

    /// The prefix of every text that matches.
    pub(super) fn literal_prefix(&self) -> &str {
        match self {
            Pattern::Everything => "",
            Pattern::Literal(text) | Pattern::Prefix(text) => text,
            Pattern::Glob(glob) => glob.literal_prefix(),
            Pattern::Dynamic(template) => match template.pieces().first() {
                Some(Piece::Literal(text)) => text,
                _ => "",
            },
        }
    }

    /// Whether the pattern contains `*` or `?` as a wildcard.
    pub(super) fn has_wildcards(&self) -> bool {
        match self {
            Pattern::Everything | Pattern::Prefix(_) | Pattern::Glob(_) => true,
            Pattern::Literal(_) => false,
            Pattern::Dynamic(template) => template.has_wildcards(),
        }
    }

    /// The condition keys of its variables.
    pub(super) fn variables(&self) -> Vec<Key<'_>> {
        match self {
            Pattern::Dynamic(template) => template.variables().collect(),
            _ => Vec::new(),
        }
    }

    /// The first variable without a default.
    pub(super) fn bare_variable(&self) -> Option<Key<'_>> {
        match self {
            Pattern::Dynamic(template) => template.bare_variable(),
            _ => None,
        }
    }

    /// Whether the pattern ends in `*`.
    pub(super) fn is_open_ended(&self) -> bool {
        match self {
            Pattern::Everything | Pattern::Prefix(_) => true,
            Pattern::Literal(_) => false,
            Pattern::Glob(glob) => glob.is_open_ended(),
            Pattern::Dynamic(template) => template.is_open_ended(),
        }
    }

    /// Whether a variable has, or may have, neither value nor default.
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

#[cfg(test)]
mod tests {
    use super::{Match, Pattern};
    use crate::policy::glob::matches_ignore_case;
    use crate::policy::request::EmptyContext;
    use crate::policy::template::Syntax;

    fn parse(pattern: &str) -> Pattern {
        Pattern::parse(pattern, Syntax::WILDCARDS).expect("valid")
    }

    #[test]
    fn wildcards_match_runs_and_characters() {
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
            let result = parse(pattern).matches(text, &EmptyContext) == Match::Yes;
            assert_eq!(result, expected, "{pattern} {text}");
            assert_eq!(
                matches_ignore_case(pattern, text),
                expected,
                "ignoring case: {pattern} {text}"
            );
        }
    }

    #[test]
    fn a_prefix_may_match() {
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
                parse(pattern).matches_prefix(text, &EmptyContext),
                expected,
                "{pattern}"
            );
        }
    }
}
