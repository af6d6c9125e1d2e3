//! What a reload does to event streams that are open: nothing, or it ends those that it denies.

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

use crate::re_sign::{EVERYONE, HOUR, IDENTITY, OWN, SIGV4};
use crate::support::local_credentials::{SigningParams, USER, issue_local};
use crate::support::process::GateProcess;
use crate::support::scripted::{
    self, BodySender, Client, HTTP_VERSIONS, HttpVersion, PendingRequest,
};
use crate::support::{ENDPOINT, Gate, GateBuilder, HOST, http2};

const PATIENCE: Duration = Duration::from_secs(20);
const DENIED: &str = "ended: the policies that were reloaded deny it";

/// Allows the consumers of these streams to subscribe.
fn only(streams: &[&str]) -> String {
    let consumer = |stream| format!("arn:aws:kinesis:us-east-1:123456789012:{stream}/consumer/*");
    let consumers: Vec<String> = streams.iter().map(consumer).collect();
    json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "kinesis:SubscribeToShard",
        "Resource": consumers,
    }]})
    .to_string()
}

/// In front of an upstream, with consumers of `stream/orders` and `stream/parcels` that may
/// subscribe. Of the allowed requests, the log has those that did not end well only.
fn gate(authority: &Arc<Authority>, upstream: std::net::SocketAddr, on_reload: &str) -> Gate {
    // The drain does not wait for connections that this thread, in its way, cannot close.
    GateBuilder::new(authority, upstream)
        .endpoint(ENDPOINT, &only(&["stream/orders", "stream/parcels"]))
        .limits("drain = \"100ms\"")
        .log(&format!(
            "allowed = \"none\"\n[reload]\nwatch = false\n{on_reload}"
        ))
        .start()
}

/// A request for the events of a consumer.
fn subscribe_to(stream: &str) -> String {
    json!({
        "ConsumerARN": format!("arn:aws:kinesis:us-east-1:123456789012:{stream}/consumer/c:1700000000"),
        "ShardId": "shardId-000000000000",
        "StartingPosition": {"Type": "LATEST"},
    })
    .to_string()
}

/// Asks for the events of a consumer.
async fn ask(client: &mut Client, stream: &str) -> Response<Incoming> {
    let body = subscribe_to(stream);
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
    let asked = timeout(PATIENCE, client.send(headers, pieces));
    asked.await.expect("an answer").unwrap()
}

/// An open subscription, and both its ends.
struct Subscription {
    _client: Client,
    _call: http::Request<Incoming>,
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
        let body = subscribe_to(stream);
        let headers = http2::signed_headers("SubscribeToShard", &body, "host");
        Subscription::of(client, calls, &headers, body).await
    }

    /// Asks in a way of the test's own.
    async fn of(
        mut client: Client,
        calls: &mut Receiver<PendingRequest>,
        headers: &[(String, String)],
        body: String,
    ) -> Self {
        let answered = async {
            let call = calls.recv().await.unwrap();
            call.respond(200, "application/vnd.amazon.eventstream")
        };
        let (response, (call, events)) = tokio::join!(send(&mut client, headers, body), answered);
        assert_eq!(response.status(), 200);
        let mut subscription = Subscription {
            _client: client,
            _call: call,
            body: response.into_body(),
            events,
        };
        subscription.passes("the first").await;
        subscription
    }

    /// What comes next: an event, or why there is none.
    async fn next(&mut self) -> Option<Result<Bytes, hyper::Error>> {
        let frame = timeout(PATIENCE, self.body.frame()).await;
        let frame = frame.expect("the next event, or the end");
        frame.map(|frame| frame.map(|frame| frame.into_data().unwrap()))
    }

    async fn passes(&mut self, event: &'static str) {
        self.events.send(Bytes::from(event)).await.unwrap();
        assert_eq!(self.next().await.unwrap().unwrap(), event);
    }

    /// It broke off: it is no stream that has come to its end, and upstream is told.
    async fn is_broken_off(&mut self) {
        let next = self.next().await;
        assert!(matches!(next, Some(Err(_))), "{next:?}");
        // Over HTTP/1.1 it may take an event more to find out.
        let told = async { while self.events.send(Bytes::from("too late")).await.is_ok() {} };
        let told = timeout(PATIENCE, told).await;
        assert!(told.is_ok(), "the upstream is not told");
    }

    /// It goes on to its own end.
    async fn goes_on(mut self) {
        self.passes("another").await;
        let Subscription {
            _client,
            _call,
            body,
            events,
        } = self;
        drop(events);
        let rest = timeout(PATIENCE, body.collect()).await.expect("its end");
        assert!(rest.unwrap().to_bytes().is_empty());
    }
}

#[test]
fn a_subscription_that_a_reload_denies_is_ended_and_another_goes_on() {
    let authority = Arc::new(Authority::create().unwrap());
    for http in HTTP_VERSIONS {
        for an_event_comes in [false, true] {
            http2::block_on(async {
                let (address, mut calls) = scripted::upstream(&authority, http).await;
                let gate = gate(&authority, address, "on-reload = \"terminate\"");
                let open = Subscription::open(&gate, http, &mut calls, "stream/orders");
                let mut orders = open.await;
                let open = Subscription::open(&gate, http, &mut calls, "stream/parcels");
                let mut parcels = open.await;

                // What allows both still changes nothing.
                gate.reload().unwrap();
                orders.passes("second").await;
                parcels.passes("second").await;

                let policy = gate.path("policy-0.json");
                std::fs::write(policy, only(&["stream/parcels"])).unwrap();
                gate.reload().unwrap();
                if an_event_comes {
                    let _ = orders.events.send(Bytes::from("too late")).await;
                }
                orders.is_broken_off().await;
                parcels.passes("third").await;
                parcels.goes_on().await;

                let mut client = Client::connect(&authority, gate.address(), HOST, http).await;
                assert_eq!(ask(&mut client, "stream/orders").await.status(), 400);
                assert!(calls.try_recv().is_err(), "it reached the upstream");
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
fn a_subscription_ends_where_a_new_one_would_be_refused_and_only_there() {
    let refused = "ended: what was reloaded refuses it: its connection is of no endpoint any more";
    // What becomes of the configuration, and how the subscription ends, which no policy allows then.
    let cases = [
        (("", ""), Some(DENIED)),
        (("policy = ", "mode = \"enforce\"\npolicy = "), Some(DENIED)),
        (("policy = ", "mode = \"audit\"\npolicy = "), None),
        ((ENDPOINT, "vpce-44dd55ee"), Some(refused)),
    ];
    let authority = Arc::new(Authority::create().unwrap());
    for http in HTTP_VERSIONS {
        for ((from, to), ended) in cases {
            http2::block_on(async {
                let (address, mut calls) = scripted::upstream(&authority, http).await;
                let gate = gate(&authority, address, "on-reload = \"terminate\"");
                let open = Subscription::open(&gate, http, &mut calls, "stream/orders");
                let mut orders = open.await;
                let file = gate.path("gate.toml");
                let text = std::fs::read_to_string(&file).unwrap();
                std::fs::write(&file, text.replace(from, to)).unwrap();
                std::fs::write(gate.path("policy-0.json"), only(&["stream/parcels"])).unwrap();
                gate.reload().unwrap();
                match ended {
                    Some(reason) => {
                        orders.is_broken_off().await;
                        assert_eq!(gate.log(1)[0]["reason"], reason);
                    }
                    None => orders.goes_on().await,
                }
            });
        }
    }
}

#[test]
fn a_subscription_goes_on_to_its_end_unless_it_is_configured_otherwise() {
    let authority = Arc::new(Authority::create().unwrap());
    for http in HTTP_VERSIONS {
        for on_reload in ["", "on-reload = \"finish\""] {
            http2::block_on(async {
                let (address, mut calls) = scripted::upstream(&authority, http).await;
                let gate = gate(&authority, address, on_reload);
                let open = Subscription::open(&gate, http, &mut calls, "stream/orders");
                let orders = open.await;
                std::fs::write(gate.path("policy-0.json"), only(&["stream/parcels"])).unwrap();
                gate.reload().unwrap();
                let mut client = Client::connect(&authority, gate.address(), HOST, http).await;
                assert_eq!(ask(&mut client, "stream/orders").await.status(), 400);
                orders.goes_on().await;
            });
        }
    }
}

/// The signature was valid when the request came, and is proven again as of then.
#[test]
fn a_subscription_that_is_signed_anew_is_judged_again_as_it_was_signed() {
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
            let allowed = only(&["stream/orders"]);
            write("policy.json", &allowed);
            write("all.json", IDENTITY);
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
            let mut gate = GateProcess::start(&folder.path().join("gate.toml"), &OWN);
            let gate_at = gate.address();
            let mut reload = |policy: &str, times: usize| {
                write("policy.json", policy);
                let reloaded = |line: &&String| line.starts_with("reloaded ");
                gate.wait_for_messages(|told| told.iter().filter(reloaded).count() == times);
            };

            let body = subscribe_to("stream/orders");
            let request = SigningParams::new(&local).request("SubscribeToShard", &body, &[]);
            let headers = request.headers.into_iter();
            let headers: Vec<_> = headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value))
                .filter(|(name, _)| name != "content-length")
                .collect();
            let client = Client::connect(&authority, gate_at, HOST, http).await;
            let mut orders = Subscription::of(client, &mut calls, &headers, body).await;
            reload(&format!("{allowed}\n"), 1);
            orders.passes("second").await;
            reload(&only(&["stream/parcels"]), 2);
            orders.is_broken_off().await;
        });
    }
}

#[test]
fn what_it_is_not_is_told() {
    let authority = Arc::new(Authority::create().unwrap());
    let upstream = "127.0.0.1:1".parse().unwrap();
    let gate = GateBuilder::new(&authority, upstream).log("[reload]\non-reload = \"end\"");
    let Err(problems) = gate.try_start() else {
        panic!("it started");
    };
    let expected = "reload.on-reload: `end` is neither \"finish\" nor \"terminate\"";
    assert!(problems.to_string().contains(expected), "{problems}");
}
