//! Each room knows only the rooms to its right: an import against the arrows fails here.

use std::fs;
use std::path::{Path, PathBuf};

/// Rooms, and the rooms each may import. `policy`, `kinesis` and `caller` import nothing of the
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
            "caller",
            "config",
            "credentials",
            "gate",
            "kinesis",
            "listener",
            "observe",
            "policy",
            "rate",
            "shutdown",
            "tokens",
            "upstream",
        ],
    ),
    (
        "listener",
        &[
            "caller",
            "config",
            "gate",
            "observe",
            "read_ahead",
            "server",
            "shutdown",
        ],
    ),
    (
        "server",
        &["config", "gate", "http1", "read_ahead", "shutdown"],
    ),
    (
        "gate",
        &[
            "caller",
            "config",
            "credentials",
            "http1",
            "kinesis",
            "observe",
            "policy",
            "rate",
            "reject",
            "tokens",
            "upstream",
        ],
    ),
    ("reject", &["caller", "kinesis", "upstream"]),
    (
        "upstream",
        &[
            "caller",
            "credentials",
            "executor",
            "http1",
            "policy",
            "read_ahead",
        ],
    ),
    ("credentials", &["caller"]),
    ("observe", &["config", "kinesis", "upstream"]),
    ("admin", &["observe", "shutdown"]),
    ("config", &[]),
    ("shutdown", &[]),
    ("executor", &[]),
    ("tokens", &[]),
    ("rate", &[]),
    ("http1", &[]),
    ("read_ahead", &[]),
    ("sandbox", &[]),
    ("policy", &[]),
    ("kinesis", &[]),
    ("caller", &[]),
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
