//! Reload and open event streams: a reload lets the streams finish, or ends the denied ones.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use kinesis_gate::sandbox::Authority;
use serde_json::json;
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use crate::re_sign::{EVERYONE, GATE_CREDENTIALS, HOUR, IDENTITY_POLICY, SIGV4};
use crate::support::local_credentials::{SigningParams, USER, issue_local};
use crate::support::process::GateProcess;
use crate::support::scripted::{
    self, BodySender, Client, HTTP_VERSIONS, HttpVersion, PendingRequest,
};
use crate::support::{ENDPOINT, Gate, GateBuilder, HOST, http2};

const TIMEOUT: Duration = Duration::from_secs(20);
const DENIED: &str = "ended: the policies that were reloaded deny it";

/// Allows the consumers of these streams to subscribe.
fn policy_for(streams: &[&str]) -> String {
    let consumer = |stream| format!("arn:aws:kinesis:us-east-1:123456789012:{stream}/consumer/*");
    let consumers: Vec<String> = streams.iter().map(consumer).collect();
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "kinesis:SubscribeToShard",
        "Resource": consumers,
    }]})
    .to_string()
}

/// A gate that lets consumers of `stream/orders` and `stream/parcels` subscribe. Of the allowed
/// requests its log holds only those that failed.
fn gate(authority: &Arc<Authority>, upstream: std::net::SocketAddr, on_reload: &str) -> Gate {
    // A short drain: this thread waits for it, and so cannot close its connections.
    GateBuilder::new(authority, upstream)
        .endpoint(ENDPOINT, &policy_for(&["stream/orders", "stream/parcels"]))
        .limits("drain = \"100ms\"")
        .log(&format!(
            "allowed = \"none\"\n[reload]\nwatch = false\n{on_reload}"
        ))
        .start()
}

/// The body of a request for a consumer's events.
fn subscribe_body(stream: &str) -> String {
    json!({
        "ConsumerARN": format!("arn:aws:kinesis:us-east-1:123456789012:{stream}/consumer/c:1700000000"),
        "ShardId": "shardId-000000000000",
        "StartingPosition": {"Type": "LATEST"},
    })
    .to_string()
}

/// Requests a consumer's events.
async fn subscribe(client: &mut Client, stream: &str) -> Response<Incoming> {
    let body = subscribe_body(stream);
    let headers = http2::signed_headers("SubscribeToShard", &body, "host");
    send(client, &headers, body).await
}

async fn send(
    client: &mut Client,
    headers: &[(String, String)],
    body: String,
) -> Response<Incoming> {
    let (sender, pieces) = scripted::channel_body();
    sender.send(Bytes::from(body)).await.unwrap();
    drop(sender);
    let response = timeout(TIMEOUT, client.send(headers, pieces));
    response.await.expect("a response").unwrap()
}

/// An open event stream, and both its ends.
struct Subscription {
    _client: Client,
    _request: http::Request<Incoming>,
    body: Incoming,
    events: BodySender,
}

impl Subscription {
    async fn open(
        gate: &Gate,
        http: HttpVersion,
        calls: &mut Receiver<PendingRequest>,
        stream: &str,
    ) -> Self {
        let client = Client::connect(&gate.authority, gate.address(), HOST, http).await;
        let body = subscribe_body(stream);
        let headers = http2::signed_headers("SubscribeToShard", &body, "host");
        Subscription::open_with(client, calls, &headers, body).await
    }

    /// Opens a subscription with the test's own headers.
    async fn open_with(
        mut client: Client,
        calls: &mut Receiver<PendingRequest>,
        headers: &[(String, String)],
        body: String,
    ) -> Self {
        let upstream = async {
            let call = calls.recv().await.unwrap();
            call.respond(200, "application/vnd.amazon.eventstream")
        };
        let (response, (call, events)) = tokio::join!(send(&mut client, headers, body), upstream);
        assert_eq!(response.status(), 200);
        let mut subscription = Subscription {
            _client: client,
            _request: call,
            body: response.into_body(),
            events,
        };
        subscription.assert_passes("the first").await;
        subscription
    }

    /// The next event, or the reason that there is none.
    async fn next(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        let frame = timeout(TIMEOUT, self.body.frame()).await;
        let frame = frame.expect("the next event, or the end");
        frame.map(|frame| frame.map(|frame| frame.into_data().unwrap()))
    }

    async fn assert_passes(&mut self, event: &'static str) {
        self.events.send(Bytes::from(event)).await.unwrap();
        assert_eq!(self.next().await.unwrap().unwrap(), event);
    }

    /// The stream is reset, not ended, and the upstream sees it.
    async fn assert_reset(&mut self) {
        let next = self.next().await;
        assert!(matches!(next, Some(Err(_))), "{next:?}");
        // Over HTTP/1.1 the upstream may send one more event before it notices.
        let closed = async { while self.events.send(Bytes::from("too late")).await.is_ok() {} };
        let closed = timeout(TIMEOUT, closed).await;
        assert!(closed.is_ok(), "the upstream does not see it");
    }

    /// The stream runs to its own end.
    async fn assert_finishes(mut self) {
        self.assert_passes("another").await;
        let Subscription {
            _client,
            _request,
            body,
            events,
        } = self;
        drop(events);
        let rest = timeout(TIMEOUT, body.collect()).await.expect("its end");
        assert!(rest.unwrap().to_bytes().is_empty());
    }
}

#[test]
fn a_reload_that_denies_an_event_stream_ends_it_and_no_other() {
    let authority = Arc::new(Authority::create().unwrap());
    for http in HTTP_VERSIONS {
        for has_pending_event in [false, true] {
            http2::block_on(async {
                let (address, mut calls) = scripted::upstream(&authority, http).await;
                let gate = gate(&authority, address, "on-reload = \"terminate\"");
                let open = Subscription::open(&gate, http, &mut calls, "stream/orders");
                let mut orders = open.await;
                let open = Subscription::open(&gate, http, &mut calls, "stream/parcels");
                let mut parcels = open.await;

                // A reload that still allows both changes nothing.
                gate.reload().unwrap();
                orders.assert_passes("second").await;
                parcels.assert_passes("second").await;

                let policy = gate.path("policy-0.json");
                std::fs::write(policy, policy_for(&["stream/parcels"])).unwrap();
                gate.reload().unwrap();
                if has_pending_event {
                    let _ = orders.events.send(Bytes::from("too late")).await;
                }
                orders.assert_reset().await;
                parcels.assert_passes("third").await;
                parcels.assert_finishes().await;

                let mut client = Client::connect(&authority, gate.address(), HOST, http).await;
                assert_eq!(subscribe(&mut client, "stream/orders").await.status(), 400);
                assert!(
                    calls.try_recv().is_err(),
                    "the request reached the upstream"
                );
                let log = gate.log(2);
                assert_eq!(log.len(), 2, "{log:#?}");
                assert_eq!(
                    (&log[0]["reason"], &log[0]["decision"]),
                    (&json!(DENIED), &json!("allow"))
                );
                assert_eq!(log[1]["decision"], "implicit-deny");
            });
        }
    }
}

#[test]
fn a_reload_ends_an_event_stream_only_where_a_new_one_would_be_refused() {
    let endpoint_removed =
        "ended: what was reloaded refuses it: its connection is of no endpoint any more";
    // A change of the configuration after which no policy allows the stream, and how the stream ends.
    let cases = [
        (("", ""), Some(DENIED)),
        (("policy = ", "mode = \"enforce\"\npolicy = "), Some(DENIED)),
        (("policy = ", "mode = \"audit\"\npolicy = "), None),
        ((ENDPOINT, "vpce-44dd55ee"), Some(endpoint_removed)),
    ];
    let authority = Arc::new(Authority::create().unwrap());
    for http in HTTP_VERSIONS {
        for ((from, to), end_reason) in cases {
            http2::block_on(async {
                let (address, mut calls) = scripted::upstream(&authority, http).await;
                let gate = gate(&authority, address, "on-reload = \"terminate\"");
                let open = Subscription::open(&gate, http, &mut calls, "stream/orders");
                let mut orders = open.await;
                let file = gate.path("gate.toml");
                let text = std::fs::read_to_string(&file).unwrap();
                std::fs::write(&file, text.replace(from, to)).unwrap();
                std::fs::write(gate.path("policy-0.json"), policy_for(&["stream/parcels"]))
                    .unwrap();
                gate.reload().unwrap();
                match end_reason {
                    Some(reason) => {
                        orders.assert_reset().await;
                        assert_eq!(gate.log(1)[0]["reason"], reason);
                    }
                    None => orders.assert_finishes().await,
                }
            });
        }
    }
}

#[test]
fn a_reload_lets_event_streams_finish_by_default() {
    let authority = Arc::new(Authority::create().unwrap());
    for http in HTTP_VERSIONS {
        for on_reload in ["", "on-reload = \"finish\""] {
            http2::block_on(async {
                let (address, mut calls) = scripted::upstream(&authority, http).await;
                let gate = gate(&authority, address, on_reload);
                let open = Subscription::open(&gate, http, &mut calls, "stream/orders");
                let orders = open.await;
                std::fs::write(gate.path("policy-0.json"), policy_for(&["stream/parcels"]))
                    .unwrap();
                gate.reload().unwrap();
                let mut client = Client::connect(&authority, gate.address(), HOST, http).await;
                assert_eq!(subscribe(&mut client, "stream/orders").await.status(), 400);
                orders.assert_finishes().await;
            });
        }
    }
}

/// The signature was valid when the request arrived, and is verified again as of that time.
#[test]
fn a_re_signed_event_stream_is_reevaluated_at_the_time_of_its_signature() {
    let authority = Authority::create().unwrap();
    for http in HTTP_VERSIONS {
        http2::block_on(async {
            let (address, mut calls) = scripted::upstream(&authority, http).await;
            let folder = tempfile::tempdir().unwrap();
            let write = |name: &str, text: &str| {
                let (new, file) = (folder.path().join("new"), folder.path().join(name));
                std::fs::write(&new, text).unwrap();
                std::fs::rename(new, file).unwrap();
            };
            authority.write(folder.path()).unwrap();
            let allowed = policy_for(&["stream/orders"]);
            write("policy.json", &allowed);
            write("all.json", IDENTITY_POLICY);
            let text = format!(
                "workers = 1\nreload = {{ on-reload = \"terminate\" }}\n\
                 [upstream]\nconnect = \"{address}\"\nserver-name = \"localhost\"\nca-file = \"ca.pem\"\n\
                 [[endpoint]]\nid = \"{ENDPOINT}\"\nregion = \"us-east-1\"\npolicy = \"policy.json\"\n{SIGV4}\n\
                 [[listener]]\naddress = \"127.0.0.1:0\"\nendpoint = \"{ENDPOINT}\"\n\
                 tls = {{ ca-certificate = \"ca.pem\", ca-key = \"ca-key.pem\" }}\n{EVERYONE}\n"
            );
            write("gate.toml", &text);
            let store = folder.path().join("local.jsonl");
            let local = issue_local(&store, USER, kinesis_gate::app::clock(), HOUR);
            let mut gate = GateProcess::start(&folder.path().join("gate.toml"), &GATE_CREDENTIALS);
            let gate_address = gate.address();
            let mut reload = |policy: &str, times: usize| {
                write("policy.json", policy);
                let reloaded = |line: &&String| line.starts_with("reloaded ");
                gate.wait_for_messages(|lines| lines.iter().filter(reloaded).count() == times);
            };

            let body = subscribe_body("stream/orders");
            let request = SigningParams::new(&local).request("SubscribeToShard", &body, &[]);
            let headers = request.headers.into_iter();
            let headers: Vec<_> = headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value))
                .filter(|(name, _)| name != "content-length")
                .collect();
            let client = Client::connect(&authority, gate_address, HOST, http).await;
            let mut orders = Subscription::open_with(client, &mut calls, &headers, body).await;
            reload(&format!("{allowed}\n"), 1);
            orders.assert_passes("second").await;
            reload(&policy_for(&["stream/parcels"]), 2);
            orders.assert_reset().await;
        });
    }
}

#[test]
fn an_unknown_value_of_on_reload_is_a_config_error() {
    let authority = Arc::new(Authority::create().unwrap());
    let upstream = "127.0.0.1:1".parse().unwrap();
    let gate = GateBuilder::new(&authority, upstream).log("[reload]\non-reload = \"end\"");
    let Err(problems) = gate.try_start() else {
        panic!("the gate started");
    };
    let expected = "reload.on-reload: `end` is neither \"finish\" nor \"terminate\"";
    assert!(problems.to_string().contains(expected), "{problems}");
}
