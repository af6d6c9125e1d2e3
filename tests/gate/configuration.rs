//! Errors of a configuration and of its files: `check` reports all of them at once, each with file, line
//! and path; `run` refuses to start with the same errors.

use std::path::Path;
use std::process::Command;

use kinesis_gate::sandbox::Authority;

/// A valid configuration with every table, for the files of [`folder`].
pub const VALID: &str = r#"workers = 1

[upstream]
ca-file = "ca.pem"

[admin]
address = "127.0.0.1:0"

[log]
allowed = "all"

[limits]
connections = 10

[[endpoint]]
id = "vpce-1"
region = "us-east-1"
policy = "policy.json"

[[principal]]
access-key-id = "AKIARZPUZDIKGB2VALC4"
arn = "arn:aws:iam::123456789012:user/one"

[[identity-policy]]
file = "identity.json"
principals = ["123456789012"]

[[listener]]
address = "127.0.0.1:0"
endpoint = "vpce-1"
tls = { ca-certificate = "ca.pem", ca-key = "ca-key.pem" }

[[rate]]
name = "each"
per = "principal"
requests = 0.5
burst = 3
streams = ["orders-*"]
"#;

const POLICY: &str =
    r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}}"#;
const IDENTITY: &str = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;

/// A folder with the files that [`VALID`] names.
pub fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    Authority::create().unwrap().write(folder.path()).unwrap();
    std::fs::write(folder.path().join("policy.json"), POLICY).unwrap();
    std::fs::write(folder.path().join("identity.json"), IDENTITY).unwrap();
    folder
}

/// The errors that `check` reports of a configuration; none if it is valid.
pub fn check(folder: &Path, text: &str) -> String {
    std::fs::write(folder.join("gate.toml"), text).unwrap();
    let gate = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kinesis-gate"));
        command
            .args(arguments)
            .current_dir(folder)
            .output()
            .unwrap()
    };
    let check = gate(&["check", "gate.toml"]);
    let errors = String::from_utf8(check.stderr).unwrap();
    if check.status.success() {
        assert_eq!(errors, "");
    } else {
        assert_eq!(check.status.code(), Some(1));
        let run = gate(&["run", "--config", "gate.toml"]);
        assert_eq!(run.status.code(), Some(1), "`run` starts with it");
        assert_eq!(String::from_utf8(run.stderr).unwrap(), errors);
    }
    errors
}

#[test]
fn every_table_refuses_unknown_keys() {
    let folder = folder();
    assert_eq!(check(folder.path(), VALID), "");
    let mut tables = 0;
    for (n, line) in VALID.lines().enumerate() {
        let (text, at, path) = if let Some((before, after)) = line.split_once("{ ") {
            let text = VALID.replace(line, &format!("{before}{{ colour = 1, {after}"));
            (text, n + 1, "listener[0].tls.colour".to_owned())
        } else if line.starts_with('[') {
            let text = VALID.replace(line, &format!("{line}\ncolour = 1"));
            let name = line.trim_matches(['[', ']']);
            let index = if line.starts_with("[[") { "[0]" } else { "" };
            (text, n + 2, format!("{name}{index}.colour"))
        } else if n == 0 {
            (format!("colour = 1\n{VALID}"), 1, "colour".to_owned())
        } else {
            continue;
        };
        tables += 1;
        let errors = check(folder.path(), &text);
        let position = format!("gate.toml:{at}:");
        assert!(
            errors.starts_with(&position) && errors.contains(&format!(": {path}: unknown key; ")),
            "{path}: {errors}"
        );
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
    assert_eq!(tables, 11);
}

/// A text of [`VALID`], the invalid text instead, and the error.
#[rustfmt::skip]
const INVALID: &[(&str, &str, &str)] = &[
    ("\"127.0.0.1:0\"\n\n[log]", "\"192.0.2.1:9901\"\n\n[log]", "gate.toml:6:1: admin: `192.0.2.1:9901` is not a loopback address"),
    ("\"127.0.0.1:0\"\n\n[log]", "\"192.0.2.1:9901\"\ntoken-file = \"token\"\n[log]", "and the token would pass in the clear: add `admin.tls`"),
    ("\"127.0.0.1:0\"\n\n[log]", "\"192.0.2.1:9901\"\ntls = { certificate = \"ca.pem\", key = \"ca-key.pem\" }\n[log]", "and everyone could use it: add `token-file`, or `tls.client-ca`"),
    ("\"127.0.0.1:0\"\n\n[log]", "\"127.0.0.1:0\"\ntoken-file = \"policy.json\"\n[log]", "others than its owner may read `policy.json` (mode 644): `chmod 600` it"),
    ("allowed = \"all\"", "sample = 0", "log: `sample` must be above zero"),
    ("region = \"us-east-1\"", "region = \"moon-1\"", "gate.toml:17:11: endpoint[0].region: `moon-1` is no AWS region"),
    ("policy = \"policy.json\"", "policy = \"none.json\"", "gate.toml:18:11: endpoint[0].policy: `none.json` cannot be read"),
    ("file = \"identity.json\"", "file = \"none.json\"", "gate.toml:25:9: identity-policy[0].file: `none.json` cannot be read"),
    ("[\"123456789012\"]", "[\"*\", \"nobody\"]", "gate.toml:26:21: identity-policy[0].principals[1]: `nobody` is not a principal"),
    ("123456789012:user/one", "210987654321:user/one", "gate.toml:22:8: principal[0].arn: `arn:aws:iam::210987654321:user/one`: the access key id"),
    ("arn:aws:iam::123456789012:user/one", "one", "gate.toml:22:8: principal[0].arn: `one` is not the ARN of"),
    ("ca-file = \"ca.pem\"", "ca-file = \"policy.json\"", "gate.toml:4:12: upstream.ca-file: `policy.json` holds no CA certificate"),
    ("ca-key = \"ca-key.pem\"", "ca-key = \"policy.json\"", "gate.toml:31:7: listener[0].tls: `policy.json` holds no private key"),
    ("endpoint = \"vpce-1\"", "endpoint = \"vpce-2\"", "gate.toml:30:13: listener[0].endpoint: listener `127.0.0.1:0` is for endpoint `vpce-2`"),
    ("[[principal]]", "[[endpoint]]\nid = \"vpce-1\"\nregion = \"us-east-1\"\ndefault-full-access = true\n[[principal]]", "gate.toml:21:7: endpoint[1].id: two endpoints have the id `vpce-1`"),
    ("connections = 10", "connections = 0", "gate.toml:12:1: limits: `connections` must be above zero"),
    ("address = \"127.0.0.1:0\"\nendpoint", "address = \"\u{fc}\"\nendpoint", "gate.toml:29:12: listener[0].address: "),
    ("workers = 1", "workers = [", "gate.toml:"),
    ("name = \"each\"", "name = \"a b\"", "gate.toml:33:1: rate[0]: `name` must be 1 to 64 letters, digits, `-`, `_` or `.`"),
    ("per = \"principal\"", "per = \"account\"", "gate.toml:35:8: rate[0].per: `account` is neither \"principal\", \"stream\" nor"),
    ("requests = 0.5", "requests = 0", "gate.toml:36:12: rate[0].requests: must be from 0.001 to 1000000 requests a second"),
    ("requests = 0.5", "requests = nan", "gate.toml:36:12: rate[0].requests: must be from 0.001"),
    ("requests = 0.5", "requests = \"1/s\"", "gate.toml:36:13: rate[0].requests: expected requests a second, found string"),
    ("burst = 3", "burst = 0", "gate.toml:33:1: rate[0]: `burst` must be from 1 to 1000000 requests"),
    ("burst = 3", "keys = 0", "gate.toml:33:1: rate[0]: `keys` must be from 1 to 16777216"),
    ("burst = 3", "actions = []", "gate.toml:33:1: rate[0]: a list is empty: the rule would hold for nothing"),
    ("burst = 3", "actions = [\"PutRecord\"]", "gate.toml:37:13: rate[0].actions[0]: `PutRecord` is not an action; write `kinesis:PutRecord`"),
    ("burst = 3", "principals = [\"*\", \"bob\"]", "gate.toml:37:21: rate[0].principals[1]: `bob` is not a principal"),
    ("\"orders-*\"", "\"stream/orders\"", "gate.toml:38:13: rate[0].streams[0]: `stream/orders` is neither a stream's name nor"),
    ("\"orders-*\"", "\"arn:aws:s3:::stream/orders\"", "rate[0].streams[0]: `arn:aws:s3:::stream/orders` is neither a stream's name nor"),
    ("burst = 3", "[[rate]]\nname = \"each\"\nper = \"stream\"\nrequests = 1", "gate.toml:38:9: rate[1].name: two rates have the name `each`"),
];

#[test]
fn every_error_has_its_file_line_and_path() {
    let folder = folder();
    for (text, invalid, expected) in INVALID {
        assert_eq!(VALID.matches(text).count(), 1, "`{text}`");
        let errors = check(folder.path(), &VALID.replace(text, invalid));
        assert!(
            errors.contains(expected),
            "`{expected}` is not in\n{errors}"
        );
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

#[cfg(not(feature = "traces"))]
#[test]
fn traces_need_the_feature_traces() {
    let folder = folder();
    let table = "[traces]\nendpoint = \"http://127.0.0.1:4318/v1/traces\"\n";
    let errors = check(folder.path(), &format!("{VALID}{table}"));
    let expected = "gate.toml:39:1: traces: this program was built without the feature `traces`: \
                    build it with `--features traces`, or remove the table\n";
    assert_eq!(errors, expected);
}

#[test]
fn an_unknown_action_is_noted_with_its_position() {
    let folder = folder();
    let text = VALID.replace(
        "burst = 3",
        "actions = [\"kinesis:Put*\", \"kinesis:PutRecrd\"]",
    );
    std::fs::write(folder.path().join("gate.toml"), text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kinesis-gate"))
        .args(["check", "gate.toml"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success());
    let stdout = String::from_utf8(output.stdout).unwrap();
    let note = "gate.toml:37:29: rate[0].actions[1]: `kinesis:PutRecrd` is no action of Kinesis";
    assert!(stdout.contains(note), "{stdout}");
}

#[test]
fn endpoints_of_one_listener_with_overlapping_networks_are_refused() {
    let folder = folder();
    let text = |first: &str, second: &str| {
        let one = "id = \"vpce-1\"\nregion = \"us-east-1\"\npolicy = \"policy.json\"\n";
        let two =
            "[[endpoint]]\nid = \"vpce-2\"\nregion = \"us-east-1\"\npolicy = \"policy.json\"\n";
        VALID
            .replace(one, &format!("{one}{first}\n{two}{second}\n"))
            .replace(
                "endpoint = \"vpce-1\"",
                "endpoints = [\"vpce-1\", \"vpce-2\"]",
            )
    };
    let networks = |list: &str| format!("networks = [{list}]");
    let near = networks("\"10.1.0.0/16\"");
    let apart = ["\"10.2.0.0/16\"", "\"10.2.0.0/16\", \"fd00::/8\""];
    for other in apart.map(networks) {
        assert_eq!(check(folder.path(), &text(&near, &other)), "");
    }
    // Without networks, the host names with their ids select the endpoint.
    assert_eq!(check(folder.path(), &text("", "")), "");
    let overlapping = [
        (
            near.clone(),
            near.clone(),
            "`10.1.0.0/16` and `10.1.0.0/16`",
        ),
        (
            near.clone(),
            networks("\"10.0.0.0/8\""),
            "`10.1.0.0/16` and `10.0.0.0/8`",
        ),
        (
            networks("\"10.9.0.0/16\", \"0.0.0.0/0\""),
            near.clone(),
            "`0.0.0.0/0` and `10.1.0.0/16`",
        ),
        (
            networks("\"fd00::/8\""),
            networks("\"10.1.0.0/16\", \"fd00:9::/32\""),
            "`fd00::/8` and `fd00:9::/32`",
        ),
        (near.clone(), String::new(), "`vpce-2` has no `networks`"),
        (String::new(), near, "`vpce-1` has no `networks`"),
    ];
    for (first, second, both) in overlapping {
        let text = text(&first, &second);
        let at = text
            .lines()
            .position(|line| line.starts_with("endpoints = "));
        let errors = check(folder.path(), &text);
        let position = format!("gate.toml:{}:13: listener[0].endpoints: ", at.unwrap() + 1);
        assert!(errors.starts_with(&position), "`{position}`: {errors}");
        assert!(
            errors.contains("endpoints `vpce-1` and `vpce-2` overlap"),
            "{errors}"
        );
        assert!(errors.contains(both), "`{both}`: {errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    }
}

#[test]
fn errors_of_the_file_and_of_its_policies_are_reported_together() {
    let folder = folder();
    let invalid = "{\n  \"Statement\": {\"Effect\": \"Perhaps\", \"Principal\": \"*\", \"Action\": \"*\", \"Resource\": \"*\"}\n}";
    std::fs::write(folder.path().join("policy.json"), invalid).unwrap();
    let text = VALID
        .replace(
            "connections = 10",
            "streams = 0\nhead-bytes = 1\nconnections = \"ten\"",
        )
        .replace(
            "127.0.0.1:0\"\n\n[log]",
            "192.0.2.1:1\"\ncolour = 1\n\n[log]",
        )
        .replace("identity.json", "none.json")
        .replace("workers = 1", "workers = 1\ncolour = 1");
    let errors = check(folder.path(), &text);
    for expected in [
        "gate.toml:2:1: colour: unknown key",
        "gate.toml:7:1: admin: `192.0.2.1:1` is not a loopback address",
        "gate.toml:9:1: admin.colour: unknown key",
        "gate.toml:14:1: limits: `streams` must be above zero",
        "gate.toml:14:1: limits: `head-bytes` must be at least 8KiB",
        "gate.toml:17:16: limits.connections: ",
        "policy.json:2:27: $.Statement.Effect: ",
        "identity-policy[0].file: `none.json` cannot be read",
    ] {
        assert!(
            errors.contains(expected),
            "`{expected}` is not in\n{errors}"
        );
    }
}
