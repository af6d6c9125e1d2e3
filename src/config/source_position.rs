//! Source positions: the line and column of each value of a configuration.

use std::collections::HashMap;
use std::path::Path;

use toml_span::Value;
use toml_span::value::ValueInner;

use super::problem::Problems;

/// Adds the position to each problem of the configuration `file` that has a path and no position:
/// the code that opens the named files knows no lines. `text` is the configuration's.
pub fn locate(mut problems: Problems, text: &str, file: &Path) -> Problems {
    let Ok(value) = toml_span::parse(text) else {
        return problems;
    };
    let mut starts = HashMap::new();
    collect_starts(&value, String::new(), &mut starts);
    for problem in &mut problems.0 {
        if problem.file == file && problem.position.is_none() && !problem.path.is_empty() {
            let start = nearest(&problem.path, &starts);
            problem.position = start.map(|start| line_and_column(text, start));
        }
    }
    problems
}

/// Line and column of a byte, both counted from 1.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// The start of the value with that path, or of the nearest value around it.
fn nearest(path: &str, starts: &HashMap<String, usize>) -> Option<usize> {
    match starts.get(path) {
        Some(start) => Some(*start),
        None => nearest(path.rsplit_once(['.', '['])?.0, starts),
    }
}

fn collect_starts(value: &Value<'_>, path: String, starts: &mut HashMap<String, usize>) {
    match value.as_ref() {
        ValueInner::Table(table) => {
            for (key, inner) in table {
                let dot = if path.is_empty() { "" } else { "." };
                collect_starts(inner, format!("{path}{dot}{}", key.name), starts);
            }
        }
        ValueInner::Array(array) => {
            for (n, inner) in array.iter().enumerate() {
                collect_starts(inner, format!("{path}[{n}]"), starts);
            }
        }
        _ => {}
    }
    starts.insert(path, value.span.start);
}
