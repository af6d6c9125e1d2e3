//! Templates: strings of a document with policy variables (`${…}`) and wildcards (`*`, `?`).
//!
//! IAM User Guide: reference_policies_variables. (No crate for templates has variables with an unknown
//! value.)

use crate::policy::condition_key::{Key, OwnedKey, ValueType, check_form, check_registered};
use crate::policy::diagnostic::Problem;
use crate::policy::request::{Context, Fact};
use crate::policy::ternary::Match;
use crate::policy::value_text::ValueText;

/// A string in pieces. No two literals are adjacent, and no two `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Template {
    pieces: Box<[Piece]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Piece {
    Literal(Box<str>),
    /// `*`: any number of characters.
    AnyRun,
    /// `?`: exactly one character.
    AnyChar,
    /// `${key}` or `${key, 'default'}`.
    Variable {
        key: OwnedKey,
        default: Option<Box<str>>,
    },
}

/// The special characters of a string.
#[derive(Clone, Copy, Debug)]
pub(super) struct Syntax {
    /// `${…}`: in documents of version 2012-10-17.
    pub(super) has_variables: bool,
    /// `*` and `?`.
    pub(super) has_wildcards: bool,
}

impl Syntax {
    pub(super) const WILDCARDS: Syntax = Syntax {
        has_variables: false,
        has_wildcards: true,
    };
}

impl Template {
    pub(super) fn parse(text: &str, syntax: Syntax) -> Result<Template, Problem> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let (piece, after) = match (c, rest.strip_prefix("${")) {
                (_, Some(inside)) if syntax.has_variables => parse_variable(inside)?,
                ('*', _) if syntax.has_wildcards => (Piece::AnyRun, skip(rest, c)),
                ('?', _) if syntax.has_wildcards => (Piece::AnyChar, skip(rest, c)),
                _ => {
                    literal.push(c);
                    rest = skip(rest, c);
                    continue;
                }
            };
            rest = after;
            if let Piece::Literal(text) = piece {
                literal.push_str(&text);
                continue;
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal).into()));
            }
            pieces.push(piece);
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.into()));
        }
        pieces.dedup_by(|a, b| *a == Piece::AnyRun && *b == Piece::AnyRun);
        Ok(Template {
            pieces: pieces.into(),
        })
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    pub(super) fn has_variables(&self) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece, Piece::Variable { .. }))
    }

    pub(super) fn has_wildcards(&self) -> bool {
        self.pieces
            .iter()
            .any(|piece| matches!(piece, Piece::AnyRun | Piece::AnyChar))
    }

    pub(super) fn is_open_ended(&self) -> bool {
        matches!(self.pieces.last(), Some(Piece::AnyRun))
    }

    /// The first variable without a default.
    pub(super) fn bare_variable(&self) -> Option<Key<'_>> {
        self.pieces.iter().find_map(|piece| match piece {
            Piece::Variable { key, default: None } => Some(key.key()),
            _ => None,
        })
    }

    pub(super) fn variables(&self) -> impl Iterator<Item = Key<'_>> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable { key, .. } => Some(key.key()),
            _ => None,
        })
    }

    /// Matches the whole of `text`.
    pub(super) fn matches(&self, text: &str, context: &dyn Context) -> Match {
        self.match_text(text, context, Case::Sensitive)
    }

    /// Matches the whole of `text` without regard to ASCII case.
    pub(super) fn matches_ignore_case(&self, text: &str, context: &dyn Context) -> Match {
        self.match_text(text, context, Case::Ignored)
    }

    fn match_text(&self, text: &str, context: &dyn Context, case: Case) -> Match {
        let mut is_uncertain = false;
        for piece in &self.pieces {
            match substitute(piece, context) {
                // A variable without a value matches nothing.
                Substitution::Null => return Match::No,
                Substitution::Uncertain => is_uncertain = true,
                Substitution::Text(_) => {}
            }
        }
        let cursor = Cursor::new(&self.pieces, context);
        let result = Match::from(match_bytes(cursor, text.as_bytes(), case));
        if is_uncertain {
            result.at_most_maybe()
        } else {
            result
        }
    }

    /// Whether a variable has, or may have, neither value nor default.
    pub(super) fn may_be_null(&self, context: &dyn Context) -> bool {
        self.pieces.iter().any(|piece| {
            matches!(piece, Piece::Variable { default: None, .. })
                && !matches!(substitute(piece, context), Substitution::Text(_))
        })
    }
}

/// The number of bytes of the UTF-8 character that begins with `first`.
pub(super) fn char_width(first: u8) -> usize {
    match first {
        0xf0..=0xff => 4,
        0xe0..=0xef => 3,
        0xc0..=0xdf => 2,
        _ => 1,
    }
}

fn skip(text: &str, first: char) -> &str {
    text.get(first.len_utf8()..).unwrap_or("")
}

/// Parses the text behind `${`: the piece, and the text behind the closing brace.
fn parse_variable(inside: &str) -> Result<(Piece, &str), Problem> {
    // A default may hold a brace, so the end of the variable is behind the default.
    let name_end = inside.find(['}', ',']).ok_or_else(missing_brace)?;
    let (name, rest) = inside
        .split_at_checked(name_end)
        .ok_or_else(missing_brace)?;
    let (default, after) = match rest.strip_prefix('}') {
        Some(after) => (None, after),
        None => {
            let refuse = |message: &str| {
                Problem::new("variable-default", message).fix("write `${key, 'default'}`")
            };
            let quoted = rest.strip_prefix(", '").ok_or_else(|| {
                refuse("a default follows a comma and one space, in single quotes")
            })?;
            let (default, after) = quoted.split_once('\'').ok_or_else(|| {
                refuse("the default of a variable does not end in a single quote")
            })?;
            let after = after.strip_prefix('}').ok_or_else(missing_brace)?;
            (Some(default), after)
        }
    };
    if let ("*" | "?" | "$", None) = (name, default) {
        return Ok((Piece::Literal(name.into()), after));
    }
    check_name(name)?;
    let variable = Piece::Variable {
        key: OwnedKey::of(name),
        default: default.map(Into::into),
    };
    Ok((variable, after))
}

fn missing_brace() -> Problem {
    Problem::new("variable-brace", "a variable has no closing brace")
        .fix("write `${key}`, or `${$}{` for the plain characters")
}

fn check_name(name: &str) -> Result<(), Problem> {
    if name.is_empty() {
        return Err(Problem::new("variable-empty", "a variable has no name")
            .fix("write `${key}`, or `${$}{}` for the plain characters"));
    }
    if name.contains([' ', '\t']) && !name.contains('/') {
        return Err(Problem::new(
            "variable-space",
            format!("a space in the variable `{name}`"),
        )
        .fix("remove it"));
    }
    if name.contains(['$', '{', '*', '?']) {
        return Err(Problem::new(
            "variable-name",
            format!("`{name}` cannot be the name of a variable; variables do not nest"),
        ));
    }
    check_form(name)?;
    check_registered(name)?;
    if Key::of(name).value_type() == Some(ValueType::Multivalued) {
        return Err(Problem::new(
            "variable-multivalued",
            format!("`{name}` can have several values and so cannot be a variable"),
        ));
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Case {
    Sensitive,
    Ignored,
}

/// The substituted text of a piece in one request.
enum Substitution<'a> {
    Text(ValueText<'a>),
    /// Not knowable, or a value whose meaning as a variable is contested (empty, several values).
    Uncertain,
    /// No value and no default.
    Null,
}

fn substitute<'a>(piece: &'a Piece, context: &'a dyn Context) -> Substitution<'a> {
    let Piece::Variable { key, default } = piece else {
        return Substitution::Text(ValueText::Borrowed(""));
    };
    let key = key.key();
    match (context.value(key), default) {
        (Fact::Unknown, _) => Substitution::Uncertain,
        (Fact::Absent, Some(default)) => Substitution::Text(ValueText::Borrowed(default)),
        (Fact::Absent, None) => Substitution::Null,
        (Fact::Known(value), _) => match ValueText::of(value, key) {
            // CONTESTED: an empty value may count as none. Both readings stay open.
            Some(text) if !text.as_str().is_empty() => Substitution::Text(text),
            _ => Substitution::Uncertain,
        },
    }
}

/// A position in a template: the pieces left, and the offset in the text of the first.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    pieces: &'a [Piece],
    context: &'a dyn Context,
    offset: usize,
    /// The text of the first piece, if it is a variable.
    variable: Option<ValueText<'a>>,
}

enum Unit {
    Byte(u8),
    AnyChar,
    AnyRun,
}

impl<'a> Cursor<'a> {
    fn new(pieces: &'a [Piece], context: &'a dyn Context) -> Cursor<'a> {
        Cursor {
            pieces,
            context,
            offset: 0,
            variable: None,
        }
    }

    fn next(&mut self) -> Option<Unit> {
        loop {
            let (first, rest) = self.pieces.split_first()?;
            let byte = match first {
                Piece::AnyRun | Piece::AnyChar => {
                    self.pieces = rest;
                    return Some(if *first == Piece::AnyRun {
                        Unit::AnyRun
                    } else {
                        Unit::AnyChar
                    });
                }
                Piece::Literal(text) => text.as_bytes().get(self.offset).copied(),
                Piece::Variable { .. } => {
                    if self.variable.is_none() {
                        match substitute(first, self.context) {
                            Substitution::Text(text) => self.variable = Some(text),
                            Substitution::Uncertain | Substitution::Null => {
                                self.pieces = rest;
                                return Some(Unit::AnyRun);
                            }
                        }
                    }
                    self.variable
                        .as_ref()
                        .and_then(|text| text.as_str().as_bytes().get(self.offset).copied())
                }
            };
            match byte {
                Some(byte) => {
                    self.offset += 1;
                    return Some(Unit::Byte(byte));
                }
                None => {
                    self.pieces = rest;
                    self.offset = 0;
                    self.variable = None;
                }
            }
        }
    }
}

/// Matches in linear time: backtracks no further than the last `*`.
fn match_bytes(mut pattern: Cursor<'_>, text: &[u8], case: Case) -> bool {
    let mut at = 0;
    let mut resume: Option<(Cursor<'_>, usize)> = None;
    loop {
        let width = match (pattern.next(), text.get(at)) {
            (Some(Unit::AnyRun), _) => {
                resume = Some((pattern, at));
                continue;
            }
            (None, None) => return true,
            (Some(Unit::AnyChar), Some(&byte)) => Some(char_width(byte)),
            (Some(Unit::Byte(expected)), Some(&byte)) => {
                let equal = match case {
                    Case::Sensitive => expected == byte,
                    Case::Ignored => expected.eq_ignore_ascii_case(&byte),
                };
                equal.then_some(1)
            }
            (_, None) => return false,
            (None, Some(_)) => None,
        };
        match width {
            Some(width) => at += width,
            None => {
                let Some((after_run, from)) = resume else {
                    return false;
                };
                at = from + text.get(from).map_or(1, |&first| char_width(first));
                pattern = after_run;
                resume = Some((pattern, at));
            }
        }
    }
}

/// Compares two texts without regard to case, for operators without patterns.
pub(super) fn eq_ignore_case(literal: &str, text: &str) -> Match {
    if literal.eq_ignore_ascii_case(text) {
        return Match::Yes;
    }
    if literal.is_ascii() && text.is_ascii() {
        return Match::No;
    }
    // CONTESTED: which folding AWS applies outside ASCII is not documented.
    let fold = |c: char| c.to_uppercase().flat_map(char::to_lowercase);
    let is_equal = literal
        .chars()
        .flat_map(fold)
        .eq(text.chars().flat_map(fold));
    Match::from(is_equal).at_most_maybe()
}
