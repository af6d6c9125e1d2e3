//! Credentials of IAM Identity Center, as `aws sso login` leaves them: a token in a file, and a portal
//! that gives a role's credentials for it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kinesis_gate::app;
use serde_json::json;

use crate::credential_sources::Site;
use crate::support::SECRET_KEY;
use crate::support::credential_servers::{StubServer, iso8601, key_id};

const START: &str = "https://d-0000aaaa.awsapps.com/start";
/// Names of the files that a login writes: the SHA-1 of the session's name, or of the start URL.
const OF_SESSION: &str = "3c5b492776742690efb6a0f1fd8508693400e2cc.json";
const OF_START: &str = "917b4a862e1078540ff1987106d2c80eff3616c1.json";
const WITH_SESSION: &str = "[default]\nsso_session = gate\nsso_account_id = 123456789012\n\
    sso_role_name = producer\n[sso-session gate]\nsso_region = us-east-1\n";
const WITHOUT: &str = "[default]\nsso_account_id = 123456789012\nsso_role_name = producer\n\
    sso_region = us-east-1\n";
const HOUR: Duration = Duration::from_secs(3600);

/// The portal: a role's credentials for the token of whoever has logged in.
fn portal() -> StubServer {
    StubServer::start(|asked, number| {
        let right = asked.line.starts_with("GET /federation/credentials?")
            && asked.line.contains("role_name=producer")
            && asked.line.contains("account_id=123456789012")
            && asked.header("x-amz-sso_bearer_token") == Some("logged-in");
        if !right {
            return (401, "{}".to_owned(), Duration::ZERO);
        }
        let ends = (app::clock() + HOUR).duration_since(UNIX_EPOCH).unwrap();
        let body = json!({"roleCredentials": {
            "accessKeyId": key_id(number),
            "secretAccessKey": SECRET_KEY,
            "sessionToken": "of-the-portal",
            "expiration": u64::try_from(ends.as_millis()).unwrap(),
        }});
        (200, body.to_string(), Duration::ZERO)
    })
}

/// Leaves a login's files in a folder, and says how a process is told of them.
fn log_in(site: &Site, profile: &str, file: &str, token: &str, ends: SystemTime) -> [String; 2] {
    let cache = site.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let login = json!({
        "startUrl": START, "region": "us-east-1", "accessToken": token, "expiresAt": iso8601(ends),
    });
    std::fs::write(cache.join(file), login.to_string()).unwrap();
    let config = site.path().join("config");
    std::fs::write(&config, format!("{profile}sso_start_url = {START}\n")).unwrap();
    [site.path(), &config].map(|path| path.to_str().unwrap().to_owned())
}

#[test]
fn a_login_lends_its_role() {
    for (profile, file) in [(WITH_SESSION, OF_SESSION), (WITHOUT, OF_START)] {
        let (site, portal) = (Site::loopback(), portal());
        let url = portal.url("");
        let [home, config] = log_in(&site, profile, file, "logged-in", app::clock() + HOUR);
        let gate = site.gate(&[
            ("HOME", &home),
            ("AWS_CONFIG_FILE", &config),
            ("AWS_ENDPOINT_URL_SSO", &url),
        ]);
        let answer = site.ask(&gate);
        assert_eq!(answer.status, 200, "{file}: {:?}", gate.messages());
        assert_eq!(site.signer(), key_id(0), "{file}");
        assert_eq!(portal.requests().len(), 1, "{file}");
    }
}

#[test]
fn a_login_that_is_over_or_refused_lends_nothing() {
    for (token, ends) in [
        ("logged-in", app::clock() - HOUR),
        ("logged-out", app::clock() + HOUR),
    ] {
        let (site, portal) = (Site::loopback(), portal());
        let url = portal.url("");
        let [home, config] = log_in(&site, WITH_SESSION, OF_SESSION, token, ends);
        let gate = site.gate(&[
            ("HOME", &home),
            ("AWS_CONFIG_FILE", &config),
            ("AWS_ENDPOINT_URL_SSO", &url),
        ]);
        let answer = site.ask(&gate);
        assert_eq!(answer.status, 503, "{token}");
        assert!(site.recorder.requests().is_empty(), "{token}");
        let told = gate.messages().join("\n");
        assert!(!told.contains(token), "{told}");
    }
}
