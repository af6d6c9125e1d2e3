//! Credentials of IAM Identity Center (SSO): `aws sso login` leaves a token in a file, for which a portal
//! issues credentials of a role.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use kinesis_gate::app;
use serde_json::json;

use crate::credential_sources::Fixture;
use crate::support::SECRET_KEY;
use crate::support::credential_servers::{StubServer, iso8601, key_id};

const START_URL: &str = "https://d-0000aaaa.awsapps.com/start";
/// The files that a login writes: the SHA-1 of the session's name, or of the start URL.
const SESSION_FILE: &str = "3c5b492776742690efb6a0f1fd8508693400e2cc.json";
const START_URL_FILE: &str = "917b4a862e1078540ff1987106d2c80eff3616c1.json";
const SESSION_PROFILE: &str = "[default]\nsso_session = gate\nsso_account_id = 123456789012\n\
    sso_role_name = producer\n[sso-session gate]\nsso_region = us-east-1\n";
const START_URL_PROFILE: &str = "[default]\nsso_account_id = 123456789012\nsso_role_name = producer\n\
    sso_region = us-east-1\n";
const HOUR: Duration = Duration::from_secs(3600);

/// The portal, which issues credentials for the token `logged-in`.
fn portal() -> StubServer {
    StubServer::start(|request, number| {
        let is_authorized = request.line.starts_with("GET /federation/credentials?")
            && request.line.contains("role_name=producer")
            && request.line.contains("account_id=123456789012")
            && request.header("x-amz-sso_bearer_token") == Some("logged-in");
        if !is_authorized {
            return (401, "{}".to_owned(), Duration::ZERO);
        }
        let expiration = (app::clock() + HOUR).duration_since(UNIX_EPOCH).unwrap();
        let body = json!({"roleCredentials": {
            "accessKeyId": key_id(number),
            "secretAccessKey": SECRET_KEY,
            "sessionToken": "session",
            "expiration": u64::try_from(expiration.as_millis()).unwrap(),
        }});
        (200, body.to_string(), Duration::ZERO)
    })
}

/// Writes the files of a login; returns `HOME` and `AWS_CONFIG_FILE`.
fn log_in(
    fixture: &Fixture,
    profile: &str,
    file: &str,
    token: &str,
    expiration: SystemTime,
) -> [String; 2] {
    let cache = fixture.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let login = json!({
        "startUrl": START_URL, "region": "us-east-1", "accessToken": token, "expiresAt": iso8601(expiration),
    });
    std::fs::write(cache.join(file), login.to_string()).unwrap();
    let config = fixture.path().join("config");
    std::fs::write(&config, format!("{profile}sso_start_url = {START_URL}\n")).unwrap();
    [fixture.path(), &config].map(|path| path.to_str().unwrap().to_owned())
}

#[test]
fn a_login_gives_credentials_of_its_role() {
    for (profile, file) in [
        (SESSION_PROFILE, SESSION_FILE),
        (START_URL_PROFILE, START_URL_FILE),
    ] {
        let (fixture, portal) = (Fixture::loopback(), portal());
        let url = portal.url("");
        let [home, config] = log_in(&fixture, profile, file, "logged-in", app::clock() + HOUR);
        let gate = fixture.gate(&[
            ("HOME", &home),
            ("AWS_CONFIG_FILE", &config),
            ("AWS_ENDPOINT_URL_SSO", &url),
        ]);
        let response = fixture.send(&gate);
        assert_eq!(response.status, 200, "{file}: {:?}", gate.messages());
        assert_eq!(fixture.signer(), key_id(0), "{file}");
        assert_eq!(portal.requests().len(), 1, "{file}");
    }
}

#[test]
fn an_expired_or_refused_login_gives_no_credentials() {
    for (token, expiration) in [
        ("logged-in", app::clock() - HOUR),
        ("logged-out", app::clock() + HOUR),
    ] {
        let (fixture, portal) = (Fixture::loopback(), portal());
        let url = portal.url("");
        let [home, config] = log_in(&fixture, SESSION_PROFILE, SESSION_FILE, token, expiration);
        let gate = fixture.gate(&[
            ("HOME", &home),
            ("AWS_CONFIG_FILE", &config),
            ("AWS_ENDPOINT_URL_SSO", &url),
        ]);
        let response = fixture.send(&gate);
        assert_eq!(response.status, 503, "{token}");
        assert!(fixture.recorder.requests().is_empty(), "{token}");
        let messages = gate.messages().join("\n");
        assert!(!messages.contains(token), "{messages}");
    }
}
