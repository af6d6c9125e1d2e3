//! TOML parsing: all errors of a text at once, each with file, line, column and path.
//!
//! `toml-span` parses and gives positions. Its `Deserialize` knows neither the path of a value nor
//! the file's folder, so the tables of the configuration implement [`FromTable`] instead.

use std::cell::RefCell;
use std::fmt::Display;
use std::path::Path;

use toml_span::de_helpers::expected;
use toml_span::value::{Table as Entries, ValueInner};
use toml_span::{DeserError, Deserialize, Span, Value};

use super::problem::{Problem, Problems};
use super::source_position::{line_and_column, locate};

/// Parses a text whose top is a table.
pub(super) fn parse<T: FromTable>(text: &str, file: &Path) -> Result<T, Problems> {
    let source = Source {
        text,
        file,
        problems: RefCell::default(),
    };
    let parsed = match toml_span::parse(text) {
        Ok(value) => T::from_toml(TomlValue {
            source: &source,
            value,
            path: String::new(),
        }),
        Err(error) => source.refuse("", error.span, error),
    };
    let problems = Problems(source.problems.into_inner());
    parsed.ok_or_else(|| locate(problems, text, file))
}

/// A configuration value that can be parsed from TOML.
pub(super) trait FromToml: Sized {
    /// Parses the value; `None` if it reported a problem.
    fn from_toml(value: TomlValue<'_>) -> Option<Self>;
}

/// A table of the configuration. Keys that `from_table` does not read are refused as unknown.
pub(super) trait FromTable: Sized {
    /// Parses the table. INVARIANT: its result after a problem is dropped, so any value may stand
    /// in for a missing one.
    fn from_table(table: &mut Table<'_>) -> Option<Self>;
}

/// The text, and its problems so far.
struct Source<'a> {
    text: &'a str,
    file: &'a Path,
    problems: RefCell<Vec<Problem>>,
}

/// A TOML value with its path, such as `listener[0].tls`.
pub(super) struct TomlValue<'a> {
    source: &'a Source<'a>,
    value: Value<'a>,
    path: String,
}

/// A TOML table whose entries are read one by one.
pub(super) struct Table<'a> {
    value: TomlValue<'a>,
    unread: Entries<'a>,
    known: Vec<&'static str>,
    problems_before: usize,
}

impl<'a> Table<'a> {
    /// The value of a key. `None` if the key is absent, or the value is wrong and reported.
    pub(super) fn optional<T: FromToml>(&mut self, key: &'static str) -> Option<T> {
        self.optional_with(key, T::from_toml)
    }

    /// The value of a key. `None` if the key is absent or the value wrong; both are reported.
    pub(super) fn required<T: FromToml>(&mut self, key: &'static str) -> Option<T> {
        self.required_with(key, T::from_toml)
    }

    /// Sets `field` to the value of a key, if the key is present.
    pub(super) fn set<T: FromToml>(&mut self, key: &'static str, field: &mut T) {
        if let Some(value) = self.optional(key) {
            *field = value;
        }
    }

    /// As `optional`, for a string that is one of several.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
    ) -> Option<T> {
        self.optional_with(key, |value| value.choice(choices))
    }

    /// As `optional`, with a parser of its own.
    pub(super) fn optional_with<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(TomlValue<'a>) -> Option<T>,
    ) -> Option<T> {
        self.known.push(key);
        let value = self.unread.remove(key)?;
        parse(self.value.inner(key, value))
    }

    /// As `required`, with a parser of its own.
    pub(super) fn required_with<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(TomlValue<'a>) -> Option<T>,
    ) -> Option<T> {
        if !self.unread.contains_key(key) {
            self.refuse_if(true, format_args!("`{key}` is missing"));
        }
        self.optional_with(key, parse)
    }

    /// Reports a problem of the table.
    pub(super) fn refuse<T>(&self, message: impl Display) -> Option<T> {
        self.value.refuse(message)
    }

    /// Reports a problem of the table if `has_problem`.
    pub(super) fn refuse_if(&self, has_problem: bool, message: impl Display) {
        if has_problem {
            self.refuse::<()>(message);
        }
    }

    /// Reports a problem of the value with that path in the file.
    pub(super) fn report(&self, path: impl Display, message: impl Display) {
        let source = self.value.source;
        let problem = Problem::of_value(source.file, path, message);
        source.problems.borrow_mut().push(problem);
    }

    /// `None` if a value of the table was missing or wrong: then nothing that depends on several
    /// values can be judged.
    pub(super) fn sound(&self) -> Option<()> {
        (self.value.source.problems.borrow().len() == self.problems_before).then_some(())
    }
}

impl<'a> TomlValue<'a> {
    /// Reports a problem of the value.
    pub(super) fn refuse<T>(&self, message: impl Display) -> Option<T> {
        self.source.refuse(&self.path, self.value.span, message)
    }

    /// Reports that the value does not have the type `wanted`.
    pub(super) fn refuse_type<T>(&self, wanted: &'static str, found: ValueInner<'_>) -> Option<T> {
        self.refuse(expected(wanted, found, self.value.span))
    }

    pub(super) fn take(&mut self) -> ValueInner<'a> {
        self.value.take()
    }

    /// The folder of the file, where relative paths begin.
    pub(super) fn folder(&self) -> &'a Path {
        self.source.file.parent().unwrap_or(Path::new(""))
    }

    pub(super) fn is_string(&self) -> bool {
        self.value.as_str().is_some()
    }

    /// A string; `wanted` describes a valid value for people.
    pub(super) fn string(&mut self, wanted: &'static str) -> Option<String> {
        match self.take() {
            ValueInner::String(text) => Some(text.into_owned()),
            other => self.refuse_type(wanted, other),
        }
    }

    /// One of several strings.
    pub(super) fn choice<T: Copy>(mut self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string("a string")?;
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*choice);
        }
        let names: Vec<String> = choices.iter().map(|(it, _)| format!("\"{it}\"")).collect();
        let (last, others) = names.split_last()?;
        self.refuse(format_args!(
            "`{text}` is neither {} nor {last}",
            others.join(", ")
        ))
    }

    /// A table; `None` if it has a problem. Keys that `parse` does not read are refused.
    pub(super) fn table<T>(mut self, parse: impl FnOnce(&mut Table<'a>) -> Option<T>) -> Option<T> {
        let unread = match self.take() {
            ValueInner::Table(entries) => entries,
            other => return self.refuse_type("a table", other),
        };
        let mut table = Table {
            problems_before: self.source.problems.borrow().len(),
            value: self,
            unread,
            known: Vec::new(),
        };
        let parsed = parse(&mut table);
        let known = table.known.join("`, `");
        for (key, value) in std::mem::take(&mut table.unread) {
            let path = table.value.inner(&key.name, value).path;
            let message = format_args!("unknown key; known here are `{known}`");
            table.value.source.refuse::<()>(&path, key.span, message);
        }
        table.sound().and(parsed)
    }

    /// An array, with a parser for each item.
    pub(super) fn array<T>(mut self, parse: impl Fn(TomlValue<'a>) -> Option<T>) -> Option<Vec<T>> {
        let items = match self.take() {
            ValueInner::Array(items) => items,
            other => return self.refuse_type("an array", other),
        };
        let count = items.len();
        let items = items.into_iter().enumerate().map(|(n, value)| TomlValue {
            source: self.source,
            value,
            path: format!("{}[{n}]", self.path),
        });
        let parsed: Vec<T> = items.filter_map(parse).collect();
        (parsed.len() == count).then_some(parsed)
    }

    /// The entries of a table with free keys; `usage` describes valid entries for people.
    pub(super) fn entries(&mut self, usage: &str) -> Option<Vec<(String, TomlValue<'a>)>> {
        let ValueInner::Table(entries) = self.take() else {
            return self.refuse(usage);
        };
        let entry = |(key, value): (toml_span::value::Key<'a>, _)| {
            let value = self.inner(&key.name, value);
            (key.name.into_owned(), value)
        };
        Some(entries.into_iter().map(entry).collect())
    }

    /// A type that `toml-span` knows.
    fn native<T: Deserialize<'a>>(mut self) -> Option<T> {
        let refuse = |DeserError { errors }| {
            for error in errors {
                self.source.refuse::<()>(&self.path, error.span, &error);
            }
        };
        T::deserialize(&mut self.value).map_err(refuse).ok()
    }

    fn inner(&self, key: &str, value: Value<'a>) -> TomlValue<'a> {
        TomlValue {
            source: self.source,
            value,
            path: match self.path.as_str() {
                "" => key.to_owned(),
                path => format!("{path}.{key}"),
            },
        }
    }
}

impl<T: FromTable> FromToml for T {
    fn from_toml(value: TomlValue<'_>) -> Option<T> {
        value.table(T::from_table)
    }
}

impl<T: FromToml> FromToml for Vec<T> {
    fn from_toml(value: TomlValue<'_>) -> Option<Vec<T>> {
        value.array(T::from_toml)
    }
}

macro_rules! native {
    ($($native:ty)*) => {$(
        impl FromToml for $native {
            fn from_toml(value: TomlValue<'_>) -> Option<Self> {
                value.native()
            }
        }
    )*};
}

native!(bool u16 u32 usize String);

impl Source<'_> {
    fn refuse<T>(&self, path: &str, span: Span, message: impl Display) -> Option<T> {
        self.problems.borrow_mut().push(Problem {
            position: Some(line_and_column(self.text, span.start)),
            ..Problem::of_value(self.file, path, message)
        });
        None
    }
}
