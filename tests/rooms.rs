//! Each room knows only the rooms to its right: an import against the arrows fails here.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms, and the rooms each may import. `policy`, `kinesis` and `sigv4` import nothing of the
/// crate: they do no I/O and know no clock.
const ROOMS: &[(&str, &[&str])] = &[
    (
        "cli",
        &[
            "app",
            "config",
            "credentials",
            "kinesis",
            "observe",
            "policy",
            "sandbox",
        ],
    ),
    (
        "app",
        &[
            "admin",
            "sigv4",
            "config",
            "credentials",
            "gate",
            "kinesis",
            "listener",
            "observe",
            "policy",
            "rate_limit",
            "shutdown",
            "tokens",
            "upstream",
        ],
    ),
    (
        "listener",
        &["sigv4", "config", "gate", "observe", "http", "shutdown"],
    ),
    ("http", &[]),
    (
        "gate",
        &[
            "sigv4",
            "config",
            "credentials",
            "http",
            "kinesis",
            "observe",
            "policy",
            "rate_limit",
            "reject",
            "tokens",
            "upstream",
        ],
    ),
    ("reject", &["sigv4", "kinesis", "upstream"]),
    ("upstream", &["sigv4", "credentials", "http", "policy"]),
    ("credentials", &["sigv4"]),
    ("observe", &["config", "kinesis"]),
    ("admin", &["observe", "shutdown"]),
    ("config", &[]),
    ("shutdown", &[]),
    ("tokens", &[]),
    ("rate_limit", &[]),
    ("sandbox", &[]),
    ("policy", &[]),
    ("kinesis", &[]),
    ("sigv4", &[]),
];

#[test]
fn imports_follow_the_arrows() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = 0;
    for (room, allowed) in ROOMS {
        for file in files_of(&source, room) {
            seen += 1;
            let text = fs::read_to_string(&file).unwrap();
            for (number, line) in text.lines().enumerate() {
                for imported in line.split("crate::").skip(1) {
                    let name: String = imported
                        .chars()
                        .take_while(|c| c.is_alphanumeric() || *c == '_')
                        .collect();
                    let known = ROOMS.iter().any(|(room, _)| *room == name);
                    assert!(
                        !known || name == *room || allowed.contains(&name.as_str()),
                        "{}:{}: `{room}` must not know `{name}`",
                        file.display(),
                        number + 1
                    );
                }
            }
        }
    }
    assert!(seen > 50, "{seen} files were read");
}

fn files_of(source: &Path, room: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let file = source.join(format!("{room}.rs"));
    if file.exists() {
        found.push(file);
    }
    walk(&source.join(room), &mut found);
    found
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}
