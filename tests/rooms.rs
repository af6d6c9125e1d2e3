//! The rooms of `src`, checked on the syntax tree of each file: imports between rooms, circles of
//! imports among the modules of one folder, and restricted names, such as those of signing; and
//! each word that a newcomer looks for, in the file that `docs/architecture.md` names. Ignores
//! tests inside `src`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "rooms/graph.rs"]
mod graph;
#[path = "rooms/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use graph::{Edge, circles, edges};
use source::Crate;

/// Each room, and the rooms that it may import.
const ROOMS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
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
            "config",
            "credentials",
            "gate",
            "kinesis",
            "listener",
            "observe",
            "policy",
            "rate_limit",
            "shutdown",
            "sigv4",
            "tokens",
            "upstream",
        ],
    ),
    (
        "listener",
        &["config", "gate", "http", "observe", "shutdown", "sigv4"],
    ),
    (
        "gate",
        &[
            "config",
            "credentials",
            "http",
            "kinesis",
            "observe",
            "policy",
            "rate_limit",
            "reject",
            "sigv4",
            "tokens",
            "upstream",
        ],
    ),
    ("reject", &["kinesis", "sigv4", "upstream"]),
    ("upstream", &["credentials", "http", "policy", "sigv4"]),
    ("credentials", &["sigv4"]),
    ("observe", &["config", "kinesis"]),
    ("admin", &["observe", "shutdown"]),
    // These rooms import nothing of the crate: they do no I/O, or know nothing of requests.
    ("config", &[]),
    ("http", &[]),
    ("kinesis", &[]),
    ("policy", &[]),
    ("rate_limit", &[]),
    ("sandbox", &[]),
    ("shutdown", &[]),
    ("sigv4", &[]),
    ("tokens", &[]),
];

/// Allowed circles: folder, modules, and reason. A circle that is gone must leave the list.
const ALLOWED_CIRCLES: &[(&str, &[&str], &str)] = &[];

/// Restricted names, and the modules that may use each, with their submodules.
const RESTRICTED: &[(&str, &[&str])] = &[
    // Outgoing signatures are made in one place.
    ("aws_sigv4", &["upstream::re_sign"]),
    // HMAC verifies clients' signatures, and hashes tokens in a shared store.
    ("hmac", &["sigv4::signing_key", "tokens"]),
    // Keys are derived where local credentials are issued, and read where they are loaded.
    (
        "SigningKey",
        &["sigv4", "credentials::issue", "credentials::local_store"],
    ),
    ("StringToSign", &["sigv4"]),
    // Audit mode is the configuration's choice, never that of a request.
    ("from_configuration", &["app::load", "policy::decision"]),
    (
        "permit_in_audit_mode",
        &["gate::evaluation", "policy::decision"],
    ),
];

/// Words that a person who knows proxies and AWS looks for.
const WORDS: &[&str] = &[
    "ALPN",
    "assume role",
    "audit",
    "backpressure",
    "body",
    "buffer budget",
    "candidate",
    "canonical request",
    "certificate",
    "condition context",
    "connection limit",
    "connection pool",
    "credential refresh",
    "CRL",
    "dashboard",
    "deadline",
    "decision log",
    "drain",
    "explicit deny",
    "graceful shutdown",
    "happy eyeballs",
    "hop-by-hop",
    "identity map",
    "implicit deny",
    "iterator",
    "keep-alive",
    "metric",
    "original destination",
    "overload",
    "permit",
    "principal",
    "PROXY protocol",
    "rate limit",
    "reload",
    "request",
    "response",
    "retry",
    "sigv4",
    "snapshot",
    "SNI",
    "span",
    "throttle",
    "timeout",
    "token binding",
    "tunnel",
];

/// The page with a table of words, each with the file that holds it.
const ARCHITECTURE: &str = "docs/architecture.md";

#[test]
fn each_module_of_the_crate_is_a_room() {
    let listed: BTreeSet<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    let found: BTreeSet<String> = Crate::read()
        .modules()
        .filter_map(|module| module.path.first().cloned())
        .collect();
    let found: BTreeSet<&str> = found.iter().map(String::as_str).collect();
    assert_eq!(found, listed);
}

#[test]
fn imports_follow_the_arrows() {
    let edges = edges(&Crate::read());
    let between_rooms = edges.get("").expect("rooms import each other");
    assert!(between_rooms.len() > 30, "{} arrows", between_rooms.len());
    let wrong: Vec<String> = between_rooms
        .iter()
        .filter(|edge| {
            let room = ROOMS.iter().find(|(room, _)| *room == edge.from);
            room.is_none_or(|(_, may_import)| !may_import.contains(&edge.to.as_str()))
        })
        .map(|edge| {
            format!(
                "{}: `{}` must not import `{}`",
                edge.place, edge.from, edge.to
            )
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_circle_among_siblings() {
    let edges = edges(&Crate::read());
    let mut allowed: BTreeSet<(&str, Vec<&str>)> = ALLOWED_CIRCLES
        .iter()
        .map(|(folder, members, _)| (*folder, members.to_vec()))
        .collect();
    let mut wrong = Vec::new();
    for (folder, edges) in &edges {
        for circle in circles(edges) {
            if !allowed.remove(&(folder.as_str(), circle.clone())) {
                wrong.push(describe(folder, &circle, edges));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(allowed.is_empty(), "no circles any more: {allowed:?}");
}

fn describe(folder: &str, circle: &[&str], edges: &[Edge]) -> String {
    let mut text = format!("a circle in `{folder}`: {}", circle.join(", "));
    for edge in edges {
        if circle.contains(&edge.from.as_str()) && circle.contains(&edge.to.as_str()) {
            text += &format!("\n  {}: `{}` imports `{}`", edge.place, edge.from, edge.to);
        }
    }
    text
}

#[test]
fn restricted_names_stay_where_they_belong() {
    let all = Crate::read();
    for (name, allowed) in RESTRICTED {
        let mut uses = 0;
        for module in all.modules().filter(|it| it.identifiers.contains(*name)) {
            uses += 1;
            let path = module.path.join("::");
            let is_allowed = allowed.iter().any(|it| {
                path.strip_prefix(it)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            });
            assert!(
                is_allowed,
                "{} uses `{name}`, which only {allowed:?} may",
                module.file.display()
            );
        }
        assert!(
            uses > 0,
            "nobody uses `{name}`: the table is older than the source"
        );
    }
}

/// The word stands in the path of its file or in the first line of that file's documentation.
#[test]
fn a_newcomer_finds_each_word() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = fs::read_to_string(root.join(ARCHITECTURE)).unwrap();
    let mut missing: BTreeSet<&str> = WORDS.iter().copied().collect();
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, word, file, ..] = cells[..] else {
            continue;
        };
        if !WORDS.contains(&word) {
            continue;
        }
        let file = file.trim_matches('`');
        let text = fs::read_to_string(root.join(file))
            .unwrap_or_else(|error| panic!("{ARCHITECTURE}: {word}: {file}: {error}"));
        let first_line = text.lines().next().unwrap_or_default();
        assert!(
            plain(file).contains(&plain(word)) || plain(first_line).contains(&plain(word)),
            "{ARCHITECTURE}: `{word}` is neither in the path `{file}` nor in its first line: {first_line}"
        );
        missing.remove(word);
    }
    assert!(
        missing.is_empty(),
        "{ARCHITECTURE} has no file for {missing:?}"
    );
}

/// The text in lower case, with spaces for the joiners of file names.
fn plain(text: &str) -> String {
    text.to_lowercase().replace(['-', '_'], " ")
}
