//! `learn` and `replay` as commands: a decision log, the policy that `learn` derives from the log,
//! and the log decided by that policy.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

use proptest::prelude::{ProptestConfig, Strategy, prop_assert, prop_oneof, proptest};
use proptest::{collection, sample};
use serde_json::{Value, json};

const STREAM: &str = "arn:aws:kinesis:us-east-1:123456789012:stream";

/// Work of more than a second shows its progress on a terminal, unless its output goes there.
#[test]
fn long_work_shows_progress_on_a_terminal() {
    let folder = tempfile::tempdir().expect("a folder");
    // Blank lines are read and skipped.
    std::fs::write(folder.path().join("lines"), "\n".repeat(3 << 10)).expect("written");
    let slow = "{ cat lines; sleep 1.2; cat lines; }";
    for (input, command, shown) in [
        (slow, "simulate --cases - > out", true),
        (slow, "check --lines > out", true),
        (slow, "learn - > out", true),
        (slow, "simulate --cases -", false),
        (slow, "simulate --cases - > out 2> err", false),
        ("cat lines", "simulate --cases - > out", false),
    ] {
        let gate = env!("CARGO_BIN_EXE_kinesis-gate");
        let typed = format!("{input} | {gate} {command}");
        let terminal = Command::new("script")
            .args(["--quiet", "--command", &typed, "/dev/null"])
            .current_dir(folder.path())
            .output()
            .expect("a terminal");
        let screen = String::from_utf8_lossy(&terminal.stdout);
        let is_shown = screen.contains("\rread ") && screen.contains(" KiB\r\x1b[K");
        assert_eq!(is_shown, shown, "{command}: {screen:?}");
        assert_eq!(screen.contains("read "), shown, "{command}: {screen:?}");
    }
}

/// An endpoint in audit mode forwards denied requests, which the traffic needs.
#[test]
fn audited_denials_are_learnt() {
    let denied = line(
        "implicit-deny",
        "PutRecord",
        &[&format!("{STREAM}/a")],
        None,
    );
    let audited = line(
        "implicit-deny",
        "PutRecord",
        &[&format!("{STREAM}/b")],
        None,
    )
    .replace(r#""decision":"#, r#""mode":"audit","decision":"#);
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log");
    std::fs::write(&log, format!("{denied}\n{audited}\n")).expect("written");
    let learnt = gate(&["learn"], &log, None);
    let policy: Value = serde_json::from_slice(&learnt.stdout).expect("a policy");
    let text = policy.to_string();
    assert!(
        text.contains("stream/b") && !text.contains("stream/a"),
        "{text}"
    );
}

#[test]
fn the_least_policy_is_learnt_in_a_stable_order() {
    let put = |stream: &str, account: Option<&str>| {
        line(
            "allow",
            "PutRecord",
            &[&format!("{STREAM}/{stream}")],
            account,
        )
    };
    let seen = [
        put("clicks", Some("210987654321")),
        put("orders", Some("123456789012")),
        put("clicks", Some("123456789012")),
        line("allow", "GetRecords", &["*"], Some("123456789012")),
        line("allow", "ListStreams", &["*"], None),
        // An operation that names a stream, though a policy can only name `*` for it.
        line(
            "allow",
            "UpdateShardCount",
            &[&format!("{STREAM}/orders")],
            Some("123456789012"),
        ),
        line(
            "implicit-deny",
            "DeleteStream",
            &[&format!("{STREAM}/orders")],
            None,
        ),
        json!({"time": "2026-11-25T04:00:00.000Z", "endpoint": "vpce-1", "decision": "refused"})
            .to_string(),
        // A throttled request: no decision of a policy.
        line(
            "refused",
            "SplitShard",
            &[&format!("{STREAM}/orders")],
            None,
        ),
        json!({"time": "2026-11-25T04:00:00.000Z", "peer": "10.0.0.7", "connection": "dropped"})
            .to_string(),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log.jsonl");
    let mut shuffled = seen.clone();
    shuffled.reverse();
    let mut learnt = Vec::new();
    for lines in [&seen, &shuffled] {
        std::fs::write(&log, lines.join("\n")).expect("written");
        let output = gate(&["learn"], &log, None);
        assert!(output.status.success(), "{output:?}");
        learnt.push(String::from_utf8(output.stdout).expect("text"));
    }
    assert_eq!(learnt[0], learnt[1], "the order of the log must not matter");
    let policy: Value = serde_json::from_str(&learnt[0]).expect("a document");
    let account = |accounts: &[&str]| json!({"StringEquals": {"aws:PrincipalAccount": accounts}});
    assert_eq!(
        policy["Statement"],
        json!([
            {"Sid": "Learned1", "Effect": "Allow", "Principal": "*",
             "Action": ["kinesis:GetRecords", "kinesis:UpdateShardCount"], "Resource": ["*"],
             "Condition": account(&["123456789012"])},
            {"Sid": "Learned2", "Effect": "Allow", "Principal": "*",
             "Action": ["kinesis:ListStreams"], "Resource": ["*"]},
            {"Sid": "Learned3", "Effect": "Allow", "Principal": "*",
             "Action": ["kinesis:PutRecord"], "Resource": [format!("{STREAM}/orders")],
             "Condition": account(&["123456789012"])},
            {"Sid": "Learned4", "Effect": "Allow", "Principal": "*",
             "Action": ["kinesis:PutRecord"], "Resource": [format!("{STREAM}/clicks")],
             "Condition": account(&["123456789012", "210987654321"])},
        ])
    );
}

#[test]
fn streams_fold_only_with_the_option() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log.jsonl");
    let lines: Vec<String> = ["orders-1", "orders-22", "clicks-7"]
        .iter()
        .map(|name| line("allow", "PutRecord", &[&format!("{STREAM}/{name}")], None))
        .collect();
    std::fs::write(&log, lines.join("\n")).expect("written");
    let resources = |arguments: &[&str]| {
        let output = gate(arguments, &log, None);
        let policy: Value = serde_json::from_slice(&output.stdout).expect("a document");
        policy["Statement"][0]["Resource"].clone()
    };
    let [one, other, alone] =
        ["orders-1", "orders-22", "clicks-7"].map(|name| format!("{STREAM}/{name}"));
    assert_eq!(resources(&["learn"]), json!([alone, one, other]));
    assert_eq!(
        resources(&["learn", "--fold"]),
        json!([alone, format!("{STREAM}/orders-*")])
    );
}

#[test]
fn replay_prints_what_another_policy_changes() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log.jsonl");
    let orders = format!("{STREAM}/orders");
    let mut denied_by_identity: Value =
        serde_json::from_str(&line("explicit-deny", "PutRecord", &[&orders], None))
            .expect("a line");
    denied_by_identity["layer"] = "identity".into();
    let lines = [
        line("allow", "PutRecord", &[&orders], Some("123456789012")),
        line("allow", "PutRecord", &[&orders], Some("123456789012")),
        line(
            "implicit-deny",
            "GetRecords",
            &[&orders],
            Some("123456789012"),
        ),
        line("allow", "GetRecords", &["*"], Some("123456789012")),
        denied_by_identity.to_string(),
        // A throttled request: no decision of a policy.
        line("refused", "GetRecords", &[&orders], Some("123456789012")),
    ];
    std::fs::write(&log, lines.join("\n")).expect("written");
    let policy = folder.path().join("policy.json");
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Sid": "Readers", "Effect": "Allow", "Principal": "*", "Action": "kinesis:GetRecords", "Resource": orders},
        {"Sid": "Tagged", "Effect": "Allow", "Principal": "*", "Action": "kinesis:PutRecord", "Resource": orders,
         "Condition": {"StringEquals": {"aws:PrincipalTag/team": "orders"}}},
    ]});
    std::fs::write(&policy, document.to_string()).expect("written");

    let output = gate(&["replay"], &log, Some(&policy));
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8(output.stdout).expect("text");
    assert_eq!(
        printed,
        format!(
            "5 requests decided, 4 of them differently\n\
             newly denied:\n\
             \x20      2  kinesis:PutRecord on {orders} by 123456789012: statement `Tagged` (the log does not tell: aws:PrincipalTag/team)\n\
             \x20      1  kinesis:GetRecords on * by 123456789012: statement `Readers` (the log does not tell: resource)\n\
             newly allowed:\n\
             \x20      1  kinesis:GetRecords on {orders} by 123456789012: statement `Readers`\n"
        )
    );
}

#[test]
fn a_line_that_is_not_the_logs_is_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log.jsonl");
    let good = line("allow", "ListStreams", &["*"], None);
    std::fs::write(&log, format!("{good}\nnot json\n\n{{}}\n")).expect("written");
    let output = gate(&["learn"], &log, None);
    assert_eq!(output.status.code(), Some(1));
    let printed = String::from_utf8(output.stderr).expect("text");
    assert!(
        printed.starts_with(&format!(
            "{}:2: not a line of the decision log",
            log.display()
        )),
        "{printed}"
    );
    assert!(printed.contains("and 1 more such lines"), "{printed}");
}

fn line(decision: &str, operation: &str, resources: &[&str], account: Option<&str>) -> String {
    let key = "AKIARZPUZDIKGB2VALC4";
    let principal = match account {
        Some(account) => json!({"access_key_id": key, "account": account}),
        None => json!({"access_key_id": key}),
    };
    let mut line = json!({
        "time": "2026-11-25T04:00:00.000Z", "request_id": "c5e5e2c8", "endpoint": "vpce-11aa22bb",
        "peer": "10.0.0.7", "principal": principal, "action": format!("kinesis:{operation}"),
        "resource": resources.first(), "decision": decision, "layer": "endpoint",
        "policy": "policy.json", "status": 200,
    });
    // As the gate writes it: only where there are several.
    if let (Some(members), 2..) = (line.as_object_mut(), resources.len()) {
        members.insert("resources".to_owned(), json!(resources));
    }
    line.to_string()
}

fn gate(arguments: &[&str], log: &Path, policy: Option<&Path>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kinesis-gate"));
    command.args(arguments).arg(log);
    if let Some(policy) = policy {
        command.arg("--policy").arg(policy);
    }
    command.output().expect("started")
}

fn requests() -> impl Strategy<Value = (&'static str, Vec<String>, Option<&'static str>)> {
    let operations = vec![
        "PutRecord",
        "GetRecords",
        "ListStreams",
        "UpdateShardCount",
        "SubscribeToShard",
        "CreateQueue",
        "SomethingNew",
    ];
    let name = prop_oneof![
        "[a-z]{1,3}-[0-9]{1,2}".prop_map(|name| format!("{STREAM}/{name}")),
        "[a-z]{1,3}".prop_map(|name| format!("arn:aws:kinesis:us-east-1:*:stream/{name}")),
        "[a-z]{1,3}".prop_map(|name| format!("{STREAM}/{name}/consumer/c:*")),
        sample::select(vec!["*".to_owned()]),
    ];
    (
        sample::select(operations),
        collection::vec(name, 1..4),
        sample::select(vec![None, Some("123456789012"), Some("210987654321")]),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// A learnt policy is valid, and allows every request that it was learnt from.
    #[test]
    fn a_learnt_policy_allows_its_log(seen in collection::vec(requests(), 1..40), fold: bool) {
        let folder = tempfile::tempdir().expect("a folder");
        let (log, policy) = (folder.path().join("log.jsonl"), folder.path().join("policy.json"));
        let mut text = String::new();
        for (operation, resources, account) in &seen {
            let resources: Vec<&str> = resources.iter().map(String::as_str).collect();
            writeln!(text, "{}", line("allow", operation, &resources, *account)).expect("written");
        }
        std::fs::write(&log, text).expect("written");
        let arguments: &[&str] = if fold { &["learn", "--fold"] } else { &["learn"] };
        let learnt = gate(arguments, &log, None);
        prop_assert!(learnt.status.success(), "{learnt:?}");
        std::fs::write(&policy, learnt.stdout).expect("written");
        let replayed = gate(&["replay"], &log, Some(&policy));
        prop_assert!(replayed.status.success(), "{}", String::from_utf8_lossy(&replayed.stdout));
        prop_assert!(String::from_utf8_lossy(&replayed.stdout).ends_with(" 0 of them differently\n"));
    }
}

#[test]
fn a_sampled_log_is_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("log.jsonl");
    let seen = line("allow", "PutRecord", &[&format!("{STREAM}/a")], None);
    std::fs::write(&log, &seen).expect("written");
    let errors = |output: Output| String::from_utf8(output.stderr).expect("text");
    assert_eq!(errors(gate(&["learn"], &log, None)), "");
    std::fs::write(&log, seen.replace("{", "{\"sampled\":100,")).expect("written");
    let note = "note: of 100 allowed requests the logs hold one";
    assert!(errors(gate(&["learn"], &log, None)).starts_with(note));
}
