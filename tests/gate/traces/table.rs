//! The configuration of traces: the `[traces]` table.

use crate::configuration::{VALID, check, folder};

/// Invalid tables, and the error of each.
#[rustfmt::skip]
const INVALID: &[(&str, &str)] = &[
    ("", "traces: `endpoint` is missing"),
    ("endpoint = \"collector:4318\"", "traces.endpoint: not an http or https URL"),
    ("endpoint = \"https://me:secret@collector/v1/traces\"", "traces.endpoint: a user or a password in the URL"),
    ("endpoint = \"https://collector/v1/traces?key=secret\"", "traces.endpoint: more than a path in the URL"),
    ("endpoint = \"https://collector:4318\"", "traces.endpoint: the URL has no path: collectors take spans at `/v1/traces`"),
    ("endpoint = \"http://[::1]:1/v1/traces\"\nsample = 1.5", "traces.sample: not a share from 0 to 1"),
    ("endpoint = \"http://[::1]:1/v1/traces\"\nsample = -0.5", "traces.sample: not a share from 0 to 1"),
    ("endpoint = \"http://[::1]:1/v1/traces\"\nsample = 2", "traces.sample: not a share from 0 to 1"),
    ("endpoint = \"http://[::1]:1/v1/traces\"\nsample = nan", "traces.sample: not a share from 0 to 1"),
    ("endpoint = \"http://[::1]:1/v1/traces\"\nsample = \"all\"", "traces.sample: expected a share such as 0.01"),
    ("endpoint = \"http://[::1]:1/v1/traces\"\ncolour = 1", "traces.colour: unknown key; known here are `"),
    ("endpoint = \"http://[::1]:1/v1/traces\"\nservice-name = \"\"", "traces: `service-name` is empty"),
    ("endpoint = \"http://[::1]:1/v1/traces\"\nca-file = \"ca.pem\"", "traces: `ca-file` is for an https `endpoint`"),
    ("endpoint = \"http://[::1]:1/v1/traces\"\ntimeout = 0", "traces.timeout: not a span of time above zero"),
    ("endpoint = \"http://[::1]:1/v1/traces\"\nheaders = \"x\"", "traces.headers: write headers as"),
    ("endpoint = \"http://[::1]:1/v1/traces\"\nheaders = { \"a b\" = \"x\" }", "traces.headers: `a b` cannot be a header"),
    ("endpoint = \"http://[::1]:1/v1/traces\"\nheaders = { Host = \"x\" }", "traces.headers: `Host` cannot be a header"),
    ("endpoint = \"http://[::1]:1/v1/traces\"\nheaders = { a = \"x\", A = \"x\" }", "cannot be a header, or is one twice"),
    ("endpoint = \"http://[::1]:1/v1/traces\"\nheaders = { a = \"none\" }", "traces.headers.a: `none` cannot be read"),
    ("endpoint = \"http://[::1]:1/v1/traces\"\nheaders = { a = \"two-lines\" }", "traces.headers.a: `two-lines` holds no header's value"),
    ("endpoint = \"http://[::1]:1/v1/traces\"\nheaders = { a = \"empty\" }", "traces.headers.a: `empty` holds no header's value"),
    ("endpoint = \"http://192.0.2.1/v1/traces\"\nheaders = { a = \"empty\" }", "traces: `headers` would pass in the clear: use an https `endpoint`"),
    ("endpoint = \"https://collector/v1/traces\"\nca-file = \"empty\"", "traces.ca-file: `empty` holds no CA certificate"),
];

#[test]
fn an_error_in_the_table_names_its_place() {
    let folder = folder();
    std::fs::write(folder.path().join("two-lines"), "secret\nsecret\n").unwrap();
    std::fs::write(folder.path().join("empty"), "\n").unwrap();
    for (table, expected) in INVALID {
        let text = format!("{}\n[traces]\n{table}\n", VALID);
        let errors = check(folder.path(), &text);
        assert!(errors.starts_with("gate.toml:"), "{errors}");
        assert!(
            errors.contains(expected),
            "`{expected}` is not in\n{errors}"
        );
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(!errors.contains("secret"), "{errors}");
    }
    let good = "[traces]\nendpoint = \"http://[::1]:4318/v1/traces\"";
    let text = format!("{}\n{good}\n", VALID);
    assert_eq!(check(folder.path(), &text), "");
}

/// The `[traces]` table of a text, commented out or not.
fn traces_table(text: &str) -> String {
    let lines = text
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line));
    let lines = lines.skip_while(|line| *line != "[traces]");
    let lines = lines.take_while(|line| !line.is_empty() && !line.starts_with("```"));
    lines.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_tables_of_the_documentation_and_the_example_are_valid() {
    let folder = folder();
    std::fs::create_dir(folder.path().join("tls")).unwrap();
    let roots = folder.path().join("tls/collector-ca.pem");
    std::fs::copy(folder.path().join("ca.pem"), roots).unwrap();
    std::fs::write(folder.path().join("collector.token"), "Bearer x").unwrap();
    for text in [
        include_str!("../../../config/gateway.toml"),
        include_str!("../../../docs/watching.md"),
    ] {
        let table = traces_table(text);
        assert_eq!(table.lines().count(), 8, "{table}");
        assert_eq!(check(folder.path(), &format!("{VALID}{table}")), "");
    }
}
