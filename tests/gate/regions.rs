//! Every region that AWS's page on Kinesis and interface endpoints lists, end to end.

use std::fmt::Write as _;
use std::sync::Arc;

use kinesis_gate::sandbox::Authority;

use crate::cli_run::CliProcess;
use crate::support::raw::{Connection, Request, header};
use crate::support::{ACCOUNT, Behaviour, KEY_ID, Recorder};

const REGIONS: [&str; 22] = [
    "us-west-2",
    "eu-west-3",
    "eu-west-1",
    "us-east-1",
    "eu-north-1",
    "ap-south-1",
    "us-east-2",
    "eu-central-1",
    "sa-east-1",
    "ap-northeast-2",
    "eu-west-2",
    "ap-northeast-1",
    "us-west-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "cn-north-1",
    "cn-northwest-1",
    "ap-east-1",
    "me-south-1",
    "eu-south-1",
    "af-south-1",
];

fn partition(region: &str) -> (&'static str, &'static str) {
    if region.starts_with("cn-") {
        ("aws-cn", "amazonaws.com.cn")
    } else {
        ("aws", "amazonaws.com")
    }
}

/// An endpoint for each region, whose policy allows one stream of that region and nothing else.
fn configuration(recorder: &Recorder, folder: &std::path::Path) -> String {
    let mut text = format!(
        "workers = 1\nadmin = {{ address = \"127.0.0.1:0\" }}\n\
         upstream = {{ connect = \"{}\", server-name = \"localhost\", ca-file = \"ca.pem\" }}\n",
        recorder.address()
    );
    for region in REGIONS {
        let (partition, _) = partition(region);
        let policy = format!(
            r#"{{"Statement":{{"Effect":"Allow","Principal":"*","Action":"kinesis:PutRecord",
                "Resource":"arn:{partition}:kinesis:{region}:{ACCOUNT}:stream/orders"}}}}"#
        );
        std::fs::write(folder.join(format!("{region}.json")), policy).unwrap();
        let _ = write!(
            text,
            "[[endpoint]]\nid = \"vpce-{region}\"\nregion = \"{region}\"\npolicy = \"{region}.json\"\n\
             [[listener]]\naddress = \"127.0.0.1:0\"\nendpoint = \"vpce-{region}\"\n\
             tls = {{ ca-certificate = \"ca.pem\", ca-key = \"ca-key.pem\" }}\n"
        );
    }
    text
}

#[test]
fn each_listed_region_is_served_under_its_own_name_only() {
    let authority = Arc::new(Authority::create().unwrap());
    let recorder = Recorder::start(&authority, Behaviour::Respond);
    let folder = tempfile::tempdir().unwrap();
    authority.write(folder.path()).unwrap();
    let file = folder.path().join("gate.toml");
    std::fs::write(&file, configuration(&recorder, folder.path())).unwrap();
    let program = CliProcess::run(&file);
    let mut arrived = 0;
    for (n, region) in REGIONS.iter().enumerate() {
        let address = program.address(&format!("vpce-{region}"));
        let (partition, suffix) = partition(region);
        let host = format!("kinesis.{region}.{suffix}");
        let put = |stream: &str| {
            let body = format!(r#"{{"StreamName":"{stream}"}}"#);
            let scope = format!("{KEY_ID}/20261123/{region}/kinesis/aws4_request");
            Request::new("PutRecord", body)
                .replace("Host", &host)
                .replace(
                    "Authorization",
                    &format!(
                        "AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature={:064}",
                        0
                    ),
                )
        };
        // A certificate for the region's own name, and a response.
        let response = put("orders").send(&authority, address);
        assert_eq!(response.status, 200, "{region}: {response:?}");
        arrived += 1;
        let last = recorder.requests().pop().unwrap();
        let head = String::from_utf8(last.head).unwrap();
        assert_eq!(header(&head, "host"), Some(&*host));
        let denied = put("other").send(&authority, address);
        assert_eq!(denied.status, 400, "{region}");
        let resource = format!("arn:{partition}:kinesis:{region}:{ACCOUNT}:stream/other");
        assert!(denied.message().contains(&resource), "{}", denied.message());
        // The next region's name is not served here.
        let other = REGIONS[(n + 1) % REGIONS.len()];
        let other = format!("kinesis.{other}.{}", self::partition(other).1);
        assert!(Connection::try_open(&authority, address, &other).is_err());
        assert_eq!(recorder.requests().len(), arrived, "{region}");
    }
}
