//! The policy documents that a configuration names.

use std::path::{Path, PathBuf};

/// A policy document that a configuration names.
pub struct NamedDocument {
    /// The path of the value that names it, `endpoint[0].policy`.
    pub path: String,
    /// The file, joined with the configuration's folder.
    pub file: PathBuf,
    /// Whether it is an identity policy.
    pub is_identity_policy: bool,
}

/// The policy documents that a configuration names, whatever else is wrong with the configuration;
/// none if the text is not TOML.
pub fn named_documents(text: &str, file: &Path) -> Vec<NamedDocument> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let Ok(value) = toml_span::parse(text) else {
        return Vec::new();
    };
    let mut documents = Vec::new();
    for (table, key, is_identity_policy) in [
        ("endpoint", "policy", false),
        ("endpoint", "candidate", false),
        ("identity-policy", "file", true),
    ] {
        let tables = value.pointer(&format!("/{table}"));
        let tables = tables.and_then(|it| it.as_array()).into_iter().flatten();
        for (n, entry) in tables.enumerate() {
            let Some(name) = entry.as_table().and_then(|it| it.get(key)?.as_str()) else {
                continue;
            };
            documents.push(NamedDocument {
                path: format!("{table}[{n}].{key}"),
                file: folder.join(name),
                is_identity_policy,
            });
        }
    }
    documents
}
