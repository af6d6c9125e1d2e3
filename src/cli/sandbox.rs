//! `kinesis-gate sandbox`: the three published policies, live, without any setup.

use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::app::{self, BoundGate};
use crate::observe::{LogFormat, Sink};
use crate::sandbox::{Authority, Emulator, Error};

use super::output::finish;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The folder for the throw-away CA, the policies and the configuration; made if need be.
    #[arg(long, value_name = "FOLDER")]
    folder: Option<PathBuf>,
}

/// The account of both throw-away keys, as in the published policies.
const ACCOUNT: &str = "123456789012";
const REGION: &str = "us-east-1";
/// The key of a user without identity policies, and the key of the user with the third policy.
const PRODUCER: &str = "AKIARZPUZDIKGB2VALC4";
const ANALYST: &str = "AKIARZPUZDIKGBANALYS";

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let folder = arguments.folder.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("kinesis-gate-sandbox-{}", std::process::id()))
    });
    let result = start(&folder);
    if arguments.folder.is_none() {
        // The old folder holds a CA that no one trusts.
        let _ = std::fs::remove_dir_all(&folder);
    }
    finish(result)
}

fn start(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder)?;
    let authority = Authority::create()?;
    authority.write(folder)?;
    let kinesis = Emulator::start(&authority, ACCOUNT, &["MyStream", "OtherStream"])?;
    let configuration = configuration(folder, kinesis.address())?;
    let bound = app::load(&configuration, app::clock)?.bind()?;
    let tour = tour(folder, &bound)?;
    let running = bound.start(Sink::stdout()?, LogFormat::Human)?;
    println!("{tour}");
    super::run::serve(running)?;
    Ok(())
}

/// Writes the configuration and its policies. Returns the configuration's file.
fn configuration(folder: &Path, kinesis: SocketAddr) -> io::Result<PathBuf> {
    let policies = [
        (
            "read-only.json",
            include_str!("../../config/policies/read-only.json"),
        ),
        (
            "one-stream.json",
            include_str!("../../config/policies/one-stream.json"),
        ),
        (
            "only-through-endpoint.json",
            include_str!("../../config/policies/only-through-endpoint.json"),
        ),
    ];
    for (name, document) in policies {
        std::fs::write(folder.join(name), document)?;
    }
    let mut text = format!(
        r#"[upstream]
connect = "{kinesis}"
server-name = "localhost"
ca-file = "ca.pem"

[admin]
address = "127.0.0.1:0"

[[principal]]
access-key-id = "{PRODUCER}"
arn = "arn:aws:iam::{ACCOUNT}:user/producer"

[[principal]]
access-key-id = "{ANALYST}"
arn = "arn:aws:iam::{ACCOUNT}:user/analyst"

[[identity-policy]]
file = "only-through-endpoint.json"
principals = ["arn:aws:iam::{ACCOUNT}:user/analyst"]
"#
    );
    let endpoints = [
        ("vpce-22bb33cc", "policy = \"read-only.json\""),
        ("vpce-33cc44dd", "policy = \"one-stream.json\""),
        ("vpce-11aa22bb", "default-full-access = true"),
    ];
    for (id, policy) in endpoints {
        let _ = write!(
            text,
            r#"
[[endpoint]]
id = "{id}"
vpc = "vpc-0123abcd"
region = "{REGION}"
{policy}

[[listener]]
address = "127.0.0.1:0"
endpoint = "{id}"
tls = {{ ca-certificate = "ca.pem", ca-key = "ca-key.pem" }}
"#
        );
    }
    let file = folder.join("gate.toml");
    std::fs::write(&file, text)?;
    Ok(file)
}

/// The commands to paste, with the result of each.
fn tour(folder: &Path, bound: &BoundGate) -> Result<String, Error> {
    let [read_only, one_stream, named] = bound.addresses() else {
        return Err("three listeners are configured".into());
    };
    let (read_only, one_stream, named) = (read_only.port(), one_stream.port(), named.port());
    let ca = folder.join("ca.pem");
    let (ca, folder) = (ca.display(), folder.display());
    let admin = bound
        .admin_address()
        .map(|a| a.to_string())
        .unwrap_or_default();
    let denied = "AccessDeniedException: … because no VPC endpoint policy allows the kinesis:";
    Ok(format!(
        r#"A Kinesis with the streams `MyStream` and `OtherStream` runs behind three endpoints.
Configuration and policies: {folder}   Watch it: http://{admin}/
Paste into another terminal; each command is followed by its answer. Ctrl-C ends the sandbox.

export AWS_CA_BUNDLE={ca} AWS_DEFAULT_REGION={REGION} AWS_SECRET_ACCESS_KEY=sandbox AWS_ACCESS_KEY_ID={PRODUCER}

1. Endpoint vpce-22bb33cc, read-only: kinesis:List* and kinesis:Describe*
aws kinesis list-streams --endpoint-url https://localhost:{read_only}
  # MyStream, OtherStream
aws kinesis put-record --stream-name MyStream --partition-key 1 --data aGVsbG8= --endpoint-url https://localhost:{read_only}
  # {denied}PutRecord action

2. Endpoint vpce-33cc44dd, one stream: kinesis:* on MyStream
aws kinesis put-record --stream-name MyStream --partition-key 1 --data aGVsbG8= --endpoint-url https://localhost:{one_stream}
  # a ShardId and a SequenceNumber
aws kinesis put-record --stream-name OtherStream --partition-key 1 --data aGVsbG8= --endpoint-url https://localhost:{one_stream}
  # {denied}PutRecord action

3. User analyst, whose identity policy denies MyStream unless through vpce-11aa22bb
AWS_ACCESS_KEY_ID={ANALYST} aws kinesis describe-stream-summary --stream-name MyStream --endpoint-url https://localhost:{named}
  # through vpce-11aa22bb: the stream's summary
AWS_ACCESS_KEY_ID={ANALYST} aws kinesis describe-stream-summary --stream-name MyStream --endpoint-url https://localhost:{read_only}
  # through vpce-22bb33cc: AccessDeniedException: … with an explicit deny in an identity-based policy

Decisions:"#
    ))
}
