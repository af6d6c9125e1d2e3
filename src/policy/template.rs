//! Strings of a document with `*`, `?` and `${variables}` in them.

use crate::policy::condition_key::{Key, OwnedKey, ValueType, check_form, check_registered};
use crate::policy::diagnostic::Problem;
use crate::policy::pattern::char_width;
use crate::policy::request::{Context, Fact};
use crate::policy::ternary::Match;
use crate::policy::value_text::ValueText;

/// A string in pieces; neighbouring literals are one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Template {
    pieces: Box<[Piece]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Piece {
    Literal(Box<str>),
    /// `*`: any run of characters, none too.
    Any,
    /// `?`: exactly one character.
    One,
    /// `${key}` or `${key, 'default'}`.
    Variable {
        key: OwnedKey,
        default: Option<Box<str>>,
    },
}

/// Which characters have a meaning where the string stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Syntax {
    /// `${…}`: in documents of version 2012-10-17.
    pub(super) variables: bool,
    /// `*` and `?`.
    pub(super) wildcards: bool,
}

impl Template {
    pub(super) fn parse(text: &str, syntax: Syntax) -> Result<Template, Problem> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            if syntax.variables
                && let Some(inside) = rest.strip_prefix("${")
            {
                let (piece, after) = variable(inside)?;
                match piece {
                    Piece::Literal(text) => literal.push_str(&text),
                    piece => push(&mut pieces, &mut literal, piece),
                }
                rest = after;
                continue;
            }
            match c {
                '*' if syntax.wildcards => push(&mut pieces, &mut literal, Piece::Any),
                '?' if syntax.wildcards => push(&mut pieces, &mut literal, Piece::One),
                c => literal.push(c),
            }
            rest = rest.get(c.len_utf8()..).unwrap_or("");
        }
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal.into()));
        }
        pieces.dedup_by(|a, b| *a == Piece::Any && *b == Piece::Any);
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
            .any(|piece| matches!(piece, Piece::Any | Piece::One))
    }

    pub(super) fn open_ended(&self) -> bool {
        matches!(self.pieces.last(), Some(Piece::Any))
    }

    /// The first variable that has no default.
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

    /// Matches the whole of `text`, case counting.
    pub(super) fn matches(&self, text: &str, context: &dyn Context) -> Match {
        self.run(text, context, Case::Sensitive)
    }

    /// Matches the whole of `text`, ASCII case not counting.
    pub(super) fn matches_folded(&self, text: &str, context: &dyn Context) -> Match {
        self.run(text, context, Case::Ignored)
    }

    fn run(&self, text: &str, context: &dyn Context, case: Case) -> Match {
        let mut uncertain = false;
        for piece in &self.pieces {
            match substitute(piece, context) {
                // A variable without a value matches nothing.
                Substitute::Null => return Match::No,
                Substitute::Uncertain => uncertain = true,
                Substitute::Text(_) => {}
            }
        }
        let cursor = Cursor::new(&self.pieces, context);
        let found = Match::from(glob(cursor, text.as_bytes(), case));
        if uncertain {
            found.at_most_maybe()
        } else {
            found
        }
    }

    /// Has a variable no value and no default, or may it have none?
    pub(super) fn may_be_null(&self, context: &dyn Context) -> bool {
        self.pieces.iter().any(|piece| {
            matches!(piece, Piece::Variable { default: None, .. })
                && !matches!(substitute(piece, context), Substitute::Text(_))
        })
    }
}

fn push(pieces: &mut Vec<Piece>, literal: &mut String, piece: Piece) {
    if !literal.is_empty() {
        pieces.push(Piece::Literal(std::mem::take(literal).into()));
    }
    pieces.push(piece);
}

/// Reads what follows `${`: the piece, and the text after the closing brace.
fn variable(inside: &str) -> Result<(Piece, &str), Problem> {
    // A default may hold a brace, so the end is looked for after it.
    let name_end = inside.find(['}', ',']).ok_or_else(missing_brace)?;
    let (name, rest) = inside
        .split_at_checked(name_end)
        .ok_or_else(missing_brace)?;
    let (default, after) = match rest.strip_prefix('}') {
        Some(after) => (None, after),
        None => {
            let quoted = rest.strip_prefix(", '").ok_or_else(|| {
                Problem::new(
                    "variable-default",
                    "a default follows a comma and one space, in single quotes",
                )
                .fix("write `${key, 'default'}`")
            })?;
            let (default, after) = quoted.split_once('\'').ok_or_else(|| {
                Problem::new(
                    "variable-default",
                    "the default of a variable does not end in a single quote",
                )
                .fix("write `${key, 'default'}`")
            })?;
            (
                Some(default),
                after.strip_prefix('}').ok_or_else(missing_brace)?,
            )
        }
    };
    if let ("*" | "?" | "$", None) = (name, default) {
        return Ok((Piece::Literal(name.into()), after));
    }
    check_name(name)?;
    let key = OwnedKey::of(name);
    Ok((
        Piece::Variable {
            key,
            default: default.map(Into::into),
        },
        after,
    ))
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

/// What a piece stands for in one request.
enum Substitute<'a> {
    Text(ValueText<'a>),
    /// Not knowable, or a value whose meaning as a variable is contested (empty, several values).
    Uncertain,
    /// No value and no default.
    Null,
}

fn substitute<'a>(piece: &'a Piece, context: &'a dyn Context) -> Substitute<'a> {
    let Piece::Variable { key, default } = piece else {
        return Substitute::Text(ValueText::Borrowed(""));
    };
    let key = key.key();
    match (context.value(key), default) {
        (Fact::Unknown, _) => Substitute::Uncertain,
        (Fact::Absent, Some(default)) => Substitute::Text(ValueText::Borrowed(default)),
        (Fact::Absent, None) => Substitute::Null,
        (Fact::Known(value), _) => match ValueText::of(value, key) {
            // CONTESTED: an empty value may count as none. Both readings stay open.
            Some(text) if !text.as_str().is_empty() => Substitute::Text(text),
            _ => Substitute::Uncertain,
        },
    }
}

/// A place in a template: the piece, and the offset inside its text.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    pieces: &'a [Piece],
    context: &'a dyn Context,
    offset: usize,
    /// The text of the variable the cursor stands in.
    inside: Option<ValueText<'a>>,
}

enum Token {
    Byte(u8),
    One,
    Any,
}

impl<'a> Cursor<'a> {
    fn new(pieces: &'a [Piece], context: &'a dyn Context) -> Cursor<'a> {
        Cursor {
            pieces,
            context,
            offset: 0,
            inside: None,
        }
    }

    fn next(&mut self) -> Option<Token> {
        loop {
            let (first, rest) = self.pieces.split_first()?;
            let byte = match first {
                Piece::Any | Piece::One => {
                    self.pieces = rest;
                    return Some(if *first == Piece::Any {
                        Token::Any
                    } else {
                        Token::One
                    });
                }
                Piece::Literal(text) => text.as_bytes().get(self.offset).copied(),
                Piece::Variable { .. } => {
                    if self.inside.is_none() {
                        match substitute(first, self.context) {
                            Substitute::Text(text) => self.inside = Some(text),
                            Substitute::Uncertain | Substitute::Null => {
                                self.pieces = rest;
                                return Some(Token::Any);
                            }
                        }
                    }
                    self.inside
                        .as_ref()
                        .and_then(|text| text.as_str().as_bytes().get(self.offset).copied())
                }
            };
            match byte {
                Some(byte) => {
                    self.offset += 1;
                    return Some(Token::Byte(byte));
                }
                None => {
                    self.pieces = rest;
                    self.offset = 0;
                    self.inside = None;
                }
            }
        }
    }
}

/// Never goes back further than the last `*`.
fn glob(start: Cursor<'_>, text: &[u8], case: Case) -> bool {
    let mut pattern = start;
    let mut at = 0;
    let mut resume: Option<(Cursor<'_>, usize)> = None;
    loop {
        let stepped = match (pattern.next(), text.get(at)) {
            (Some(Token::Any), _) => {
                resume = Some((pattern, at));
                continue;
            }
            (None, None) => return true,
            (Some(Token::One), Some(&byte)) => Some(char_width(byte)),
            (Some(Token::Byte(expected)), Some(&byte)) => {
                let equal = match case {
                    Case::Sensitive => expected == byte,
                    Case::Ignored => expected.eq_ignore_ascii_case(&byte),
                };
                equal.then_some(1)
            }
            (_, None) => return false,
            (None, Some(_)) => None,
        };
        match stepped {
            Some(width) => at += width,
            None => {
                let Some((after_star, from)) = resume else {
                    return false;
                };
                at = from + text.get(from).map_or(1, |&first| char_width(first));
                pattern = after_star;
                resume = Some((pattern, at));
            }
        }
    }
}

/// The answer of a plain comparison, for operators that have no patterns.
pub(super) fn equal_folded(literal: &str, text: &str) -> Match {
    if literal.eq_ignore_ascii_case(text) {
        return Match::Yes;
    }
    if literal.is_ascii() && text.is_ascii() {
        return Match::No;
    }
    // CONTESTED: which folding AWS applies outside ASCII is not documented.
    let same = literal
        .chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .eq(text
            .chars()
            .flat_map(char::to_uppercase)
            .flat_map(char::to_lowercase));
    Match::from(same).at_most_maybe()
}
