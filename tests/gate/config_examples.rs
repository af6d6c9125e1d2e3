//! The shipped configurations and policies pass `kinesis-gate check`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kinesis_gate::sandbox::Authority;

use crate::support::client_certificates::ClientCa;
use crate::support::process::GateProcess;
use crate::support::raw::Request;
use crate::support::{ANALYST_KEY_ID, Behaviour, KEY_ID, Recorder, SECRET_KEY, signature};

fn check(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kinesis-gate"));
    command
        .arg("check")
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

/// A copy of `config/`, with the certificates that its configurations name.
fn config_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("config"),
        folder.path(),
    );
    let tls = folder.path().join("tls");
    std::fs::create_dir_all(&tls).unwrap();
    Authority::create().unwrap().write(&tls).unwrap();
    ClientCa::new().write(&tls);
    folder
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn files_with(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|known| known == extension))
        .collect();
    files.sort();
    files
}

#[test]
fn every_shipped_configuration_is_valid() {
    let folder = config_folder();
    let files = files_with(folder.path(), "toml");
    assert!(files.len() >= 4);
    for file in files {
        let output = check(folder.path(), &[file.to_str().unwrap()]);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(String::from_utf8_lossy(&output.stdout).contains("valid"));
    }
}

#[test]
fn the_rate_limit_example_of_the_gateway_is_valid() {
    let folder = config_folder();
    let text = std::fs::read_to_string(folder.path().join("gateway.toml")).unwrap();
    let at = text.find("# [[rate]]").unwrap();
    let (before, rule) = text.split_at(at);
    let (rule, after) = rule.split_once("\n\n").unwrap();
    let rule: Vec<&str> = rule.lines().map(|line| &line[2..]).collect();
    let rule = rule.join("\n");
    assert_eq!(rule.lines().count(), 9);
    let file = folder.path().join("with-rate.toml");
    std::fs::write(file, format!("{before}{rule}\n\n{after}")).unwrap();
    let output = check(folder.path(), &["with-rate.toml"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{errors}");
}

#[test]
fn every_shipped_policy_is_valid() {
    let folder = config_folder();
    let files = files_with(&folder.path().join("policies"), "json");
    assert!(files.len() >= 5);
    for file in files {
        // Only endpoint policies name principals.
        let is_identity_policy = !std::fs::read_to_string(&file)
            .unwrap()
            .contains("Principal");
        let name = file.to_str().unwrap();
        let arguments: &[&str] = if is_identity_policy {
            &["--identity", name]
        } else {
            &[name]
        };
        let output = check(folder.path(), arguments);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn an_invalid_configuration_is_refused_with_every_error() {
    let folder = config_folder();
    let text = "workers = \"two\"\nunknown = 1\n[limits]\nhead-bytes = 1\n[upstream]\nconnect = \"nowhere\"\n\
                [[endpoint]]\nid = \"vpce-1\"\nregion = \"us-east-1\"\n[[listener]]\naddress = \"here\"\nendpoint = \"vpce-1\"\n";
    std::fs::write(folder.path().join("wrong.toml"), text).unwrap();
    let output = check(folder.path(), &["wrong.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    let expected_errors = [
        "wrong.toml:1:",
        "wrong.toml:2:1: unknown: unknown key",
        "wrong.toml:3:1: limits: `head-bytes` must be at least 8KiB",
        "`nowhere` is not a host and port",
        "no `policy`: name a policy file, or write `default-full-access = true`",
        "listener[0].address: `here` is not an address and port",
        "`tls` is missing",
    ];
    for error in expected_errors {
        assert!(errors.contains(error), "`{error}` is not in\n{errors}");
    }
}

#[test]
fn invalid_token_settings_are_refused() {
    let folder = config_folder();
    let valid = std::fs::read_to_string(folder.path().join("sidecar.toml")).unwrap();
    std::fs::write(folder.path().join("short.key"), "secret").unwrap();
    let redis = "store = \"redis\"\nkey-file = \"tls/ca-key.pem\"";
    for (settings, error) in [
        (
            "capacity = 0".to_owned(),
            "tokens: `capacity` must be from 1 to",
        ),
        ("store = \"disk\"".to_owned(), "tokens: `store` is `disk`"),
        (
            redis.to_owned(),
            "tokens: `store = \"redis\"` needs a `url` and a `key-file`",
        ),
        ("timeout = \"1s\"".to_owned(), "are for `store = \"redis\"`"),
        (
            format!("{redis}\nurl = \"redis://:secret@\""),
            "tokens.url: no store: ",
        ),
        (
            "store = \"redis\"\nurl = \"redis://:secret@h\"\nkey-file = \"short.key\"".to_owned(),
            "tokens.key-file: `short.key` holds fewer than 32 characters",
        ),
        (
            format!("{redis}\nurl = \"redis://:secret@h\"\nca-file = \"none.pem\""),
            "tokens.ca-file: `none.pem` cannot be read",
        ),
    ] {
        let text = format!("{valid}\n[tokens]\n{settings}\n");
        std::fs::write(folder.path().join("wrong.toml"), text).unwrap();
        let output = check(folder.path(), &["wrong.toml"]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{settings}: {errors}");
        assert!(errors.contains(error), "`{error}` is not in\n{errors}");
        assert!(!errors.contains("secret"), "{errors}");
    }
}

#[test]
fn an_invalid_policy_is_refused_with_line_and_column() {
    let folder = config_folder();
    let text = "{\n  \"Statement\": [{\"Effect\": \"allow\", \"Principal\": \"*\", \"Action\": \"*\",\n    \"Resource\": \"*\", \"Colour\": \"red\"}]\n}";
    std::fs::write(folder.path().join("wrong.json"), text).unwrap();
    let output = check(folder.path(), &["wrong.json"]);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stdout).unwrap();
    assert!(
        errors.contains("wrong.json: error: line 2, column 28: $.Statement[0].Effect"),
        "{errors}"
    );
    assert!(
        errors.contains("wrong.json: error: line 3, column 22: $.Statement[0].Colour"),
        "{errors}"
    );
}

/// The shipped sidecar, in front of an upstream that verifies signatures: only the addresses are changed.
#[test]
fn the_re_signing_sidecar_works_as_shipped() {
    let folder = config_folder();
    let authority = Authority::create().unwrap();
    authority.write(&folder.path().join("tls")).unwrap();
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let file = folder.path().join("sidecar-resign.toml");
    let shipped = std::fs::read_to_string(&file).unwrap();
    let upstream = format!(
        "workers = 1\n[upstream]\nconnect = \"{}\"\nserver-name = \"localhost\"\nca-file = \"tls/ca.pem\"\n",
        recorder.address()
    );
    let text = shipped
        .replacen("workers = 1\n", &upstream, 1)
        .replace("127.0.0.1:9901", "127.0.0.1:0")
        .replace("127.0.0.1:4443", "127.0.0.1:0");
    std::fs::write(&file, text).unwrap();
    let credentials = [
        ("AWS_ACCESS_KEY_ID", KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
    ];
    let gate = GateProcess::start(&file, &credentials);
    let send = |operation: &str| {
        let request = Request::with_key(operation, r#"{"StreamName":"MyStream"}"#, ANALYST_KEY_ID);
        request.send(&authority, gate.address())
    };
    assert_eq!(send("ListShards").status, 200);
    assert_eq!(send("DeleteStream").error_type(), "AccessDeniedException");
    let requests = recorder.requests();
    assert_eq!(requests.len(), 1);
    assert!(signature::is_valid(&requests[0].headers, &requests[0].body));
    let principal = "arn:aws:iam::123456789012:role/producer";
    assert_eq!(gate.log(2)[0]["principal"]["arn"], principal);
}
