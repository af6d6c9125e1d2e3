//! The reader of the JSON grammar (RFC 8259), by recursive descent.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::policy::diagnostic::{Diagnostic, Level, LineIndex, Problem};
use crate::policy::document::json::node::{Member, Node, NodeKind};

/// A violation of the grammar.
pub(in crate::policy) struct SyntaxError {
    at: usize,
    message: &'static str,
}

/// The deepest nesting that is read. A policy needs six levels.
const MAX_DEPTH: usize = 32;

/// The most duplicate names reported. Each costs a position and a path.
const MAX_DUPLICATES: usize = 200;

pub(in crate::policy) struct Reader<'t> {
    text: &'t str,
    at: usize,
    path: String,
    pub(in crate::policy) duplicates: Vec<Duplicate>,
}

impl<'t> Reader<'t> {
    pub(in crate::policy) fn new(text: &'t str) -> Reader<'t> {
        Reader {
            text,
            at: 0,
            path: String::from("$"),
            duplicates: Vec::new(),
        }
    }

    pub(in crate::policy) fn document(&mut self) -> Result<Node<'t>, SyntaxError> {
        if self.text.starts_with('\u{feff}') {
            return Err(self.error("a byte-order mark before the document"));
        }
        self.skip_whitespace();
        if self.at == self.text.len() {
            return Err(self.error("the document is empty"));
        }
        let root = self.value(0)?;
        self.skip_whitespace();
        if self.at < self.text.len() {
            return Err(self.error("text after the end of the document"));
        }
        Ok(root)
    }

    fn value(&mut self, depth: usize) -> Result<Node<'t>, SyntaxError> {
        if depth >= MAX_DEPTH {
            return Err(self.error("nested too deeply"));
        }
        let start = self.at;
        let kind = match self.peek() {
            Some(b'{') => self.map(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => NodeKind::String(self.string()?),
            Some(b'-' | b'0'..=b'9') => NodeKind::Number(self.number()?),
            Some(b't') => self.literal("true", NodeKind::Bool(true))?,
            Some(b'f') => self.literal("false", NodeKind::Bool(false))?,
            Some(b'n') => self.literal("null", NodeKind::Null)?,
            Some(_) => return Err(self.error("a value was expected here")),
            None => return Err(self.error("the document ends where a value was expected")),
        };
        Ok(Node {
            kind,
            start,
            end: self.at,
        })
    }

    fn map(&mut self, depth: usize) -> Result<NodeKind<'t>, SyntaxError> {
        self.at += 1;
        let mut members: Vec<Member<'t>> = Vec::new();
        self.skip_whitespace();
        if self.eat(b'}') {
            return Ok(NodeKind::Map(members));
        }
        loop {
            self.skip_whitespace();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.error("a name in double quotes was expected here"));
            }
            let name = self.string()?;
            let outer = self.path.len();
            self.path.push('.');
            self.path.push_str(&name);
            self.skip_whitespace();
            if !self.eat(b':') {
                return Err(self.error("a `:` was expected here"));
            }
            self.skip_whitespace();
            let value = self.value(depth + 1)?;
            members.push(Member { name, start, value });
            self.path.truncate(outer);
            self.skip_whitespace();
            if self.eat(b',') {
                continue;
            }
            if self.eat(b'}') {
                self.report_duplicates(&members)?;
                return Ok(NodeKind::Map(members));
            }
            return Err(self.error("a `,` or `}` was expected here"));
        }
    }

    fn list(&mut self, depth: usize) -> Result<NodeKind<'t>, SyntaxError> {
        self.at += 1;
        let mut nodes = Vec::new();
        self.skip_whitespace();
        if self.eat(b']') {
            return Ok(NodeKind::List(nodes));
        }
        loop {
            self.skip_whitespace();
            let outer = self.path.len();
            let _ = write!(self.path, "[{}]", nodes.len());
            nodes.push(self.value(depth + 1)?);
            self.path.truncate(outer);
            self.skip_whitespace();
            if self.eat(b',') {
                continue;
            }
            if self.eat(b']') {
                return Ok(NodeKind::List(nodes));
            }
            return Err(self.error("a `,` or `]` was expected here"));
        }
    }

    fn report_duplicates(&mut self, members: &[Member<'t>]) -> Result<(), SyntaxError> {
        let mut sorted: Vec<&Member<'t>> = members.iter().collect();
        sorted.sort_by(|a, b| a.name.cmp(&b.name).then(a.start.cmp(&b.start)));
        for pair in sorted.windows(2) {
            if let [first, second] = pair
                && first.name == second.name
            {
                if self.duplicates.len() == MAX_DUPLICATES {
                    return Err(self.error("too many names are given twice"));
                }
                self.duplicates.push(Duplicate {
                    at: second.start,
                    path: self.path.clone(),
                    name: second.name.to_string(),
                });
            }
        }
        Ok(())
    }

    fn string(&mut self) -> Result<Cow<'t, str>, SyntaxError> {
        self.at += 1;
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut copied = start;
        loop {
            match self.peek() {
                None => return Err(self.error("a string does not end")),
                Some(b'"') => {
                    let rest = self.text.get(copied..self.at).unwrap_or("");
                    self.at += 1;
                    return Ok(match owned {
                        None => Cow::Borrowed(rest),
                        Some(mut text) => {
                            text.push_str(rest);
                            Cow::Owned(text)
                        }
                    });
                }
                Some(b'\\') => {
                    let text = owned.get_or_insert_default();
                    text.push_str(self.text.get(copied..self.at).unwrap_or(""));
                    self.at += 1;
                    let c = self.escape()?;
                    if let Some(text) = owned.as_mut() {
                        text.push(c);
                    }
                    copied = self.at;
                }
                Some(0..=0x1f) => {
                    return Err(
                        self.error("a control character in a string; write it as `\\u00xx`")
                    );
                }
                Some(_) => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let c = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                let first = self.hex4()?;
                if !(0xd800..0xe000).contains(&first) {
                    return char::from_u32(first).ok_or_else(|| self.error("not a character"));
                }
                if first >= 0xdc00 || !(self.eat(b'\\') && self.eat(b'u')) {
                    return Err(self.error("half of a surrogate pair"));
                }
                let second = self.hex4()?;
                if !(0xdc00..0xe000).contains(&second) {
                    return Err(self.error("half of a surrogate pair"));
                }
                let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return char::from_u32(code).ok_or_else(|| self.error("not a character"));
            }
            _ => return Err(self.error("an escape that JSON does not have")),
        };
        self.at += 1;
        Ok(c)
    }

    fn hex4(&mut self) -> Result<u32, SyntaxError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4);
        let digits = digits.ok_or_else(|| self.error("`\\u` needs four hexadecimal digits"))?;
        let mut code = 0;
        for &digit in digits {
            let value = char::from(digit).to_digit(16);
            code = code * 16
                + value.ok_or_else(|| self.error("`\\u` needs four hexadecimal digits"))?;
        }
        self.at += 4;
        Ok(code)
    }

    fn number(&mut self) -> Result<&'t str, SyntaxError> {
        let start = self.at;
        self.eat(b'-');
        if !self.eat(b'0') {
            self.digits()?;
        }
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            if !self.eat(b'+') {
                self.eat(b'-');
            }
            self.digits()?;
        }
        Ok(self.text.get(start..self.at).unwrap_or(""))
    }

    fn digits(&mut self) -> Result<(), SyntaxError> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return Err(self.error("a digit was expected here"));
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn literal(&mut self, literal: &str, kind: NodeKind<'t>) -> Result<NodeKind<'t>, SyntaxError> {
        let rest = self.text.get(self.at..).unwrap_or("");
        if !rest.starts_with(literal) {
            return Err(self.error("a value was expected here"));
        }
        self.at += literal.len();
        Ok(kind)
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.at += 1;
        }
        found
    }

    fn error(&self, message: &'static str) -> SyntaxError {
        SyntaxError {
            at: self.at,
            message,
        }
    }

    /// The diagnostic of an error, at the value that is being read.
    pub(in crate::policy) fn diagnostic(self, error: &SyntaxError) -> Diagnostic {
        let position = LineIndex::new(self.text).position(error.at);
        let message = format!("not valid JSON: {}", error.message);
        Problem::new("json-syntax", message).at(Level::Error, position, self.path)
    }
}

/// A duplicate name in an object.
pub(in crate::policy) struct Duplicate {
    at: usize,
    path: String,
    name: String,
}

impl Duplicate {
    pub(in crate::policy) fn diagnostic(self, lines: &LineIndex<'_>) -> Diagnostic {
        let Duplicate { at, path, name } = self;
        let message = format!("`{name}` is given twice; JSON readers disagree on which counts");
        Problem::new("duplicate-name", message)
            .fix("keep one of them")
            .at(Level::Error, lines.position(at), format!("{path}.{name}"))
    }
}
