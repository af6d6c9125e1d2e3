//! One place makes outgoing signatures: `upstream/re_sign.rs`, with the crate `aws-sigv4`. Another
//! function of `src` that could make one fails here.

use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// Names, and the only files of `src` that may use them outside of tests.
const ALLOWED: &[(&str, &[&str])] = &[
    // The signer.
    ("aws_sigv4", &["upstream/re_sign.rs"]),
    // HMAC: verification of clients' signatures, and the keyed hash of tokens in a shared store.
    ("hmac", &["sigv4/signing_key.rs", "tokens/"]),
    // Keys are derived where local credentials are issued, and read where they are loaded.
    (
        "SigningKey",
        &[
            "sigv4/",
            "credentials/issue.rs",
            "credentials/local_store.rs",
        ],
    ),
    ("StringToSign", &["sigv4/"]),
];

/// The identifiers of a file outside of `#[cfg(test)]`.
#[derive(Default)]
struct Identifiers(Vec<String>);

impl<'ast> Visit<'ast> for Identifiers {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let is_test = item.attrs.iter().any(|attribute| {
            attribute.path().is_ident("cfg")
                && quote(attribute).is_some_and(|text| text.contains("test"))
        });
        if !is_test {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_ident(&mut self, ident: &'ast syn::Ident) {
        self.0.push(ident.to_string());
    }
}

fn quote(attribute: &syn::Attribute) -> Option<String> {
    let list = attribute.meta.require_list().ok()?;
    Some(list.tokens.to_string())
}

#[test]
fn only_the_signer_signs() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    walk(&source, &mut files);
    let mut uses = vec![0; ALLOWED.len()];
    for file in &files {
        let name = file.strip_prefix(&source).unwrap().to_str().unwrap();
        if name.ends_with("tests.rs") || name.contains("tests/") {
            continue;
        }
        let parsed = syn::parse_file(&fs::read_to_string(file).unwrap()).unwrap();
        let mut identifiers = Identifiers::default();
        identifiers.visit_file(&parsed);
        for ((word, allowed), uses) in ALLOWED.iter().zip(&mut uses) {
            if identifiers.0.iter().any(|identifier| identifier == word) {
                *uses += 1;
                let is_allowed = allowed.iter().any(|place| name.starts_with(place));
                assert!(is_allowed, "src/{name} uses `{word}`: only {allowed:?} may");
            }
        }
    }
    assert!(uses.iter().all(|uses| *uses > 0), "{uses:?}");
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
