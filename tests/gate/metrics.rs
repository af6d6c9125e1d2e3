//! Metrics: the counted events, and that the documentation, the dashboard and the alerts name
//! metrics that exist.

use std::collections::BTreeSet;
use std::sync::Arc;

use kinesis_gate::sandbox::Authority;

use crate::health_and_drain::get;
use crate::support::raw::{Connection, Request};
use crate::support::{ANALYST_KEY_ID, Behaviour, Gate, GateBuilder, HOST, Recorder};

const POLICY: &str = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*",
    "Resource":"arn:aws:kinesis:*:*:stream/allowed*"}}"#;
const STREAM: &str = "arn:aws:kinesis:us-east-1:123456789012:stream/";

fn gate(streams: u16) -> (Gate, Arc<Authority>, Recorder) {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let gate = GateBuilder::new(&authority, recorder.address())
        .endpoint("vpce-33cc44dd", POLICY)
        .log(&format!("[metrics]\nstreams = {streams}"))
        .workers(2)
        .start();
    (gate, authority, recorder)
}

fn put(connection: &mut Connection, stream: &str, key_id: &str) {
    let body = format!(r#"{{"StreamName":"{stream}","PartitionKey":"1","Data":"eA=="}}"#);
    connection.write(&Request::with_key("PutRecord", body, key_id).bytes());
    connection.response();
}

/// The value of a series, 0 where the page has none.
fn value(page: &str, series: &str) -> u64 {
    let line = page.lines().find_map(|line| line.strip_prefix(series));
    line.map_or(0, |rest| rest.trim().parse().unwrap())
}

/// The names of the page's metrics, without their prefix.
fn names(page: &str) -> BTreeSet<String> {
    page.lines()
        .filter_map(|line| line.strip_prefix("# TYPE kinesis_gate_"))
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}

#[test]
fn streams_and_policy_layers_are_counted_and_clients_add_no_series() {
    let (gate, authority, _recorder) = gate(2);
    // Connections go to either worker; both agree on the streams that have series.
    for n in 0..6 {
        let mut connection = Connection::open(&authority, gate.address(), HOST);
        for made_up in 0..20 {
            put(
                &mut connection,
                &format!("made-up-{n}-{made_up}"),
                crate::support::KEY_ID,
            );
        }
        for stream in ["allowed-1", "allowed-2", "allowed-3", "allowed-4"] {
            put(&mut connection, stream, crate::support::KEY_ID);
        }
        put(&mut connection, "MyStream", ANALYST_KEY_ID);
    }
    // A record closes after its response: every line in the log means every request counted.
    gate.log(150);
    let (_, page) = get(gate.admin(), "/metrics");
    let by_stream = |stream: &str, decision: &str| {
        let labels = format!("{{stream=\"{stream}\",decision=\"{decision}\"}}");
        value(
            &page,
            &format!("kinesis_gate_stream_requests_total{labels}"),
        )
    };
    assert_eq!(
        by_stream(&format!("{STREAM}allowed-1"), "allow"),
        6,
        "{page}"
    );
    assert_eq!(by_stream(&format!("{STREAM}allowed-2"), "allow"), 6);
    assert_eq!(by_stream("other", "allow"), 12);
    assert_eq!(by_stream("other", "implicit-deny"), 120);
    assert_eq!(
        page.matches("\nkinesis_gate_stream_requests_total").count(),
        5
    );
    let layer = |layer: &str, decision: &str| {
        let labels = format!("{{layer=\"{layer}\",decision=\"{decision}\"}}");
        value(&page, &format!("kinesis_gate_decisions_total{labels}"))
    };
    assert_eq!(layer("endpoint", "allow"), 24);
    assert_eq!(layer("endpoint", "implicit-deny"), 120);
    assert_eq!(layer("identity", "explicit-deny"), 6);
    assert!(value(&page, "kinesis_gate_buffered_bytes_budget ") >= 256 << 20);
    // The last bucket counts every request: Prometheus needs it for any quantile.
    let count = value(&page, "kinesis_gate_decision_seconds_bucket{le=\"+Inf\"}");
    assert_eq!(count, value(&page, "kinesis_gate_decision_seconds_count"));
    assert!(count >= 144, "{count}");
    assert_eq!(
        page.matches("\nkinesis_gate_certificate_expiry_timestamp_seconds{")
            .count(),
        1
    );
}

#[test]
fn the_documentation_dashboard_and_alerts_name_metrics_that_exist() {
    let (gate, _authority, _recorder) = gate(100);
    let (_, page) = get(gate.admin(), "/metrics");
    let exported = names(&page);
    assert!(exported.len() > 25, "{exported:?}");

    let documented: BTreeSet<String> = include_str!("../../docs/watching.md")
        .lines()
        .skip_while(|line| *line != "## Metrics")
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|line| {
            line.split('`')
                .next()
                .unwrap()
                .trim_end_matches("_total")
                .to_owned()
        })
        .collect();
    assert_eq!(documented, exported);

    let dashboard = include_str!("../../config/deploy/grafana-dashboard.json");
    let parsed: serde_json::Value = serde_json::from_str(dashboard).unwrap();
    assert!(parsed["panels"].as_array().unwrap().len() > 10);
    for (file, text) in [
        ("dashboard", dashboard),
        ("alerts", include_str!("../../config/deploy/alerts.yaml")),
    ] {
        let mut names = 0;
        for name in text.split("kinesis_gate_").skip(1) {
            let name: String = name
                .chars()
                .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                .collect();
            let base = ["_total", "_bucket", "_sum", "_count"]
                .iter()
                .find_map(|suffix| name.strip_suffix(suffix))
                .unwrap_or(&name);
            assert!(
                exported.contains(base),
                "`{name}` of the {file} is no metric"
            );
            names += 1;
        }
        assert!(names > 8, "{file}: {names}");
    }
}
