//! The policy language as commands: `simulate --cases` and `check --lines` over the cases of
//! `tests/policy/`. Each case names the page of AWS's documentation that it is from.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Stdio};

use kinesis_gate::policy::{DataType, Key, Knowledge, REGISTRY, ValueType};
use serde_json::Value;

#[test]
fn every_case_has_the_documented_decision_and_statement() {
    let (cases, results) = run(&["simulate", "--cases"], "cases.jsonl");
    for (case, result) in cases.iter().zip(&results) {
        assert_eq!(result["id"], case["id"]);
        assert_eq!(result["final"], case["expect"], "{case}\n{result}");
        assert_eq!(result["error"], Value::Null, "{case}\n{result}");
        if !case["statement"].is_null() {
            assert_eq!(result["statement"], case["statement"], "{case}\n{result}");
        }
    }
    assert_eq!(cases.len(), results.len());
}

#[test]
fn every_document_is_checked_as_documented() {
    let (documents, results) = run(&["check", "--lines"], "documents.jsonl");
    for (document, result) in documents.iter().zip(&results) {
        assert_eq!(result["id"], document["id"]);
        assert_eq!(result["level"], document["level"], "{document}\n{result}");
        let mut codes: Vec<&str> = result["findings"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|finding| finding["code"].as_str().expect("a code"))
            .collect();
        codes.sort_unstable();
        codes.dedup();
        let mut expected: Vec<&str> = document["codes"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|code| code.as_str().expect("a code"))
            .collect();
        expected.sort_unstable();
        assert_eq!(codes, expected, "{document}\n{result}");
    }
    assert_eq!(documents.len(), results.len());
}

#[test]
fn an_unexpected_decision_fails_the_run() {
    let case = r#"{"id":1,"request":{"action":"kinesis:PutRecord"},"expect":"implicitDeny"}"#;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("cases.jsonl");
    std::fs::write(&file, case).expect("written");
    let output = kinesis_gate()
        .args(["simulate", "--cases"])
        .arg(&file)
        .output()
        .expect("ran");
    assert_eq!(output.status.code(), Some(1));
    let result: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(result["final"], "allow");
    assert_eq!(result["mismatch"], true);
}

#[test]
fn each_invalid_line_has_a_result_and_fails_the_run() {
    let lines = "{\"id\":1}\nnonsense\n{\"id\":3,\"request\":{\"action\":\"x\"}}\n";
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("cases.jsonl");
    std::fs::write(&file, lines).expect("written");
    for command in [["simulate", "--cases"], ["check", "--lines"]] {
        let output = kinesis_gate()
            .args(command)
            .arg(&file)
            .output()
            .expect("ran");
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout).lines().count(),
            3,
            "{command:?}"
        );
    }
}

#[test]
fn simulate_explains_operators_and_values() {
    let policies = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/policies");
    let output = kinesis_gate()
        .args(["simulate", "--policy"])
        .arg(policies.join("one-stream.json"))
        .arg("--identity-policy")
        .arg(policies.join("only-through-endpoint.json"))
        .args(["--principal", "arn:aws:iam::123456789012:user/alice"])
        .args(["--action", "kinesis:PutRecord"])
        .args([
            "--resource",
            "arn:aws:kinesis:us-east-1:123456789012:stream/MyStream",
        ])
        .args(["--context", "aws:SourceVpce=vpce-99aa22bb"])
        .output()
        .expect("ran");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        text.starts_with("explicitDeny by statement AccessFromSpecificEndpoint, line 4"),
        "{text}"
    );
    assert!(
        text.contains("StringNotEquals aws:SourceVpce [`vpce-11aa22bb`]: matches; the request has `vpce-99aa22bb`"),
        "{text}"
    );
}

#[test]
fn simulate_explains_each_resource_in_the_documents_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("policy.json");
    let policy = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":"*",
        "Action":["kinesis:Put*","kinesis:StartStreamEncryption"],"Resource":"arn:aws:kinesis:*:*:stream/*",
        "Condition":{"StringEquals":{"aws:PrincipalTag/team":"red"},"Null":{"aws:TagKeys":"true"}}}}"#;
    std::fs::write(&file, policy).expect("written");
    let simulate = |format: &str| {
        let output = kinesis_gate()
            .args(["simulate", "--format", format, "--policy"])
            .arg(&file)
            .args(["--principal", "123456789012"])
            .args(["--action", "kinesis:StartStreamEncryption"])
            .args([
                "--resource",
                "arn:aws:kinesis:us-east-1:123456789012:stream/s",
            ])
            .args(["--resource", "arn:aws:kms:us-east-1:123456789012:key/k"])
            .args(["--unknown", "aws:PrincipalTag/*"])
            .output()
            .expect("ran");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let text = simulate("text");
    for line in [
        "  about `arn:aws:kms:us-east-1:123456789012:key/k`:",
        "    Action [`kinesis:Put*`, `kinesis:StartStreamEncryption`]: matches",
        "    Resource [`arn:aws:kinesis:*:*:stream/*`]: does not match; the request has `arn:aws:kms:us-east-1:123456789012:key/k`",
        "    StringEquals aws:PrincipalTag/team [`red`]: may match; what the request has cannot be known",
        "    Null aws:TagKeys [`true`]: matches; the request has no such key",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let report: Value = serde_json::from_str(&simulate("json")).expect("JSON");
    let second = &report["statements"][1];
    assert_eq!(second["about"], "arn:aws:kms:us-east-1:123456789012:key/k");
    assert_eq!(second["conditions"][0]["request"], "unknown");
    assert_eq!(second["conditions"][1]["request"], "absent");
}

#[test]
fn check_reports_unknowable_condition_keys_of_a_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("policy.json");
    let policy = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"kinesis:*",
        "Resource":"arn:aws:kinesis:us-east-1:123456789012:stream/${aws:PrincipalTag/team}*",
        "Condition":{"StringEquals":{"aws:userid":"AIDAX","aws:SourceVpce":"vpce-11aa22bb"}}}}"#;
    std::fs::write(&file, policy).expect("written");
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/gateway.toml");
    let output = kinesis_gate()
        .args(["check", "--format", "json", "--config"])
        .args([&config, &file])
        .output()
        .expect("ran");
    assert!(output.status.success());
    let checked: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let diagnostics: Vec<(&str, &str)> = checked["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|finding| {
            let text = |name: &str| finding[name].as_str().expect("text");
            (text("code"), text("path"))
        })
        .collect();
    assert_eq!(
        diagnostics,
        [
            ("unknowable", "$.Statement.Resource"),
            (
                "unknowable",
                "$.Statement.Condition.StringEquals.aws:userid"
            ),
        ]
    );
}

#[test]
fn the_documentation_lists_the_registered_condition_keys() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/policy-language.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let families = [
        ("aws:PrincipalTag/…", Key::PrincipalTag("x")),
        ("aws:RequestTag/…", Key::RequestTag("x")),
        ("aws:ResourceTag/…", Key::ResourceTag("x")),
        ("any other", Key::Other("x:y")),
    ];
    let registered = REGISTRY
        .iter()
        .map(|registered| (registered.name, registered.key));
    let rows: Vec<String> = registered.chain(families).map(row).collect();
    let table = rows.join("\n");
    assert!(page.contains(&table), "expected table:\n{table}");
}

fn row((name, key): (&str, Key<'_>)) -> String {
    let kind = match key.data_type() {
        Some(DataType::String) => "text",
        Some(DataType::Arn) => "ARN",
        Some(DataType::Bool) => "boolean",
        Some(DataType::Numeric) => "number",
        Some(DataType::Date) => "date",
        Some(DataType::Ip) => "address",
        None => "",
    };
    let count = match key.value_type() {
        Some(ValueType::SingleValued) => "one",
        Some(ValueType::Multivalued) => "several",
        None => "",
    };
    let known = |knowledge| match knowledge {
        Knowledge::Known => "known",
        Knowledge::Absent => "absent",
        Knowledge::Configured => "from the configuration",
        Knowledge::Partial => "for some callers",
        Knowledge::Unknowable => "unknown",
    };
    let (passthrough, re_sign) = (known(key.in_passthrough()), known(key.in_resign()));
    format!("| `{name}` | {kind} | {count} | {passthrough} | {re_sign} |")
        .replace("`any other`", "any other")
}

/// The lines of a file of `tests/policy/`, and the command's result for each.
fn run(command: &[&str], file: &str) -> (Vec<Value>, Vec<Value>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/policy")
        .join(file);
    let text = std::fs::read_to_string(&path).expect("a file of cases");
    let output = kinesis_gate()
        .args(command)
        .arg(&path)
        .stderr(Stdio::inherit())
        .output()
        .expect("ran");
    let parse = |text: &str| -> Vec<Value> {
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    };
    (
        parse(&text),
        parse(&String::from_utf8_lossy(&output.stdout)),
    )
}

fn kinesis_gate() -> Command {
    Command::new(env!("CARGO_BIN_EXE_kinesis-gate"))
}
