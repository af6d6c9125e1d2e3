//! `kinesis-gate credentials issue`, as an operator types it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const ROLE: &str = "arn:aws:iam::123456789012:role/team/producer";

/// Runs `credentials issue` with arguments that spaces separate.
fn issue(folder: &Path, arguments: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_kinesis-gate"))
        .args(["credentials", "issue"])
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .unwrap()
}

/// The records of the store.
fn records(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("local.jsonl")).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn issued_credentials_are_the_output_of_a_credential_process() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("--store local.jsonl --region us-east-1 --principal {ROLE}");
    let output = issue(folder.path(), &arguments);
    assert!(output.status.success());
    let issued: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(issued["Version"], 1);
    let id = issued["AccessKeyId"].as_str().unwrap();
    let account = kinesis_gate::sigv4::AccountId::of_access_key(id).unwrap();
    assert_eq!((account.as_str(), &id[..4]), ("123456789012", "ASIA"));
    let expiration: jiff::Timestamp = issued["Expiration"].as_str().unwrap().parse().unwrap();
    let hours = (expiration.as_second() - jiff::Timestamp::now().as_second()) as f64 / 3600.0;
    assert!((11.9..=12.1).contains(&hours), "{hours}");
    // The record of the gate has the session's name, no secret, and signing keys for its days.
    let [record] = &records(folder.path())[..] else {
        panic!("one record");
    };
    assert_eq!(
        (&record["principal"], &record["session"]),
        (&ROLE.into(), &"local".into())
    );
    let days = record["keys"]["us-east-1"].as_object().unwrap().len();
    assert!((1..=2).contains(&days), "{record}");
}

#[test]
fn the_configuration_names_the_store_and_files_are_private() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = |id: &str, region: &str, re_sign: &str| {
        format!(
            "[[endpoint]]\nid = \"{id}\"\nregion = \"{region}\"\ndefault-full-access = true\n{re_sign}\n"
        )
    };
    let sigv4 = "[endpoint.re-sign]\nauthenticate = \"sigv4\"\nlocal-credentials = \"local.jsonl\"";
    let listener = "[[listener]]\naddress = \"127.0.0.1:0\"\nendpoint = \"a\"\ntls = { certificate = \"c\", key = \"k\" }\n";
    let write = |name: &str, endpoints: &[String]| {
        std::fs::write(folder.path().join(name), endpoints.concat() + listener).unwrap();
    };
    write(
        "gate.toml",
        &[
            endpoint("a", "us-east-1", sigv4),
            endpoint("b", "eu-west-1", sigv4),
        ],
    );
    write("none.toml", &[endpoint("a", "us-east-1", "")]);
    let with_config =
        format!("--config gate.toml --principal {ROLE} --session i-1 --ttl 3d --out client.json");
    for _ in 0..2 {
        assert!(issue(folder.path(), &with_config).status.success());
    }
    for name in ["client.json", "local.jsonl"] {
        let mode = std::fs::metadata(folder.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let records = records(folder.path());
    assert_eq!(records.len(), 2);
    let regions: Vec<&String> = records[0]["keys"].as_object().unwrap().keys().collect();
    assert_eq!(regions, ["eu-west-1", "us-east-1"]);
    assert_eq!(
        records[0]["keys"]["us-east-1"].as_object().unwrap().len(),
        4
    );

    let store = folder.path().join("local.jsonl");
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o644)).unwrap();
    let session = "arn:aws:sts::123456789012:assumed-role/r/s";
    for (arguments, error) in [
        (
            format!("--config none.toml --principal {ROLE}"),
            "no endpoint has `re-sign.authenticate",
        ),
        (
            format!("--config gate.toml --principal {ROLE}"),
            "has mode 0644",
        ),
        (
            format!("--store s --region r --principal {session}"),
            "the ARN of a user, or of a role",
        ),
        (
            format!("--store s --region r --principal {ROLE} --session a/b"),
            "the ARN of a user, or of a role",
        ),
        (
            format!("--store s --region r --principal {ROLE} --ttl 91d"),
            "90 days at most",
        ),
        (format!("--store s --principal {ROLE}"), "--region"),
    ] {
        let output = issue(folder.path(), &arguments);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && stderr.contains(error),
            "{error}: {stderr}"
        );
    }
}
