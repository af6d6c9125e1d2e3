//! The identity map: the configured facts about callers whose signatures pass through.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use kinesis_gate::app;
use kinesis_gate::sandbox::Authority;
use tempfile::TempDir;

use crate::support::process::GateProcess;
use crate::support::raw::Request;
use crate::support::{ACCOUNT, ANALYST_KEY_ID, Behaviour, KEY_ID, Recorder};

/// Keys of another account, and of temporary credentials.
const OTHER_ACCOUNT: &str = "ASIAY34FZKBOKMUTVV7A";

struct Fixture {
    folder: TempDir,
    authority: Arc<Authority>,
    recorder: Recorder,
}

impl Fixture {
    /// The policy allows every request that meets `condition`.
    fn new(condition: &str) -> Fixture {
        let folder = tempfile::tempdir().unwrap();
        let authority = Arc::new(Authority::create().unwrap());
        authority.write(folder.path()).unwrap();
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{condition}}}}}"#
        );
        std::fs::write(folder.path().join("policy.json"), policy).unwrap();
        let recorder = Recorder::start(&authority, Behaviour::Respond);
        Fixture {
            folder,
            authority,
            recorder,
        }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn configure(&self, top: &str, endpoint: &str) -> std::path::PathBuf {
        let file = self.path().join("gate.toml");
        let text = format!(
            "workers = 1\n{top}\n[upstream]\nconnect = \"{}\"\nserver-name = \"localhost\"\nca-file = \"ca.pem\"\n\
             [[endpoint]]\nid = \"vpce-33cc44dd\"\nvpc = \"vpc-0123abcd\"\nregion = \"us-east-1\"\npolicy = \"policy.json\"\n{endpoint}\n\
             [[listener]]\naddress = \"127.0.0.1:0\"\nendpoint = \"vpce-33cc44dd\"\n\
             tls = {{ ca-certificate = \"ca.pem\", ca-key = \"ca-key.pem\" }}\n",
            self.recorder.address()
        );
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Which of the access keys may call `ListShards`.
    fn allowed(&self, top: &str, endpoint: &str, keys: &[&str]) -> Vec<bool> {
        let gate = GateProcess::start(&self.configure(top, endpoint), &[]);
        let is_allowed = |key: &&str| {
            let request = Request::with_key("ListShards", r#"{"StreamName":"s"}"#, key);
            request.send(&self.authority, gate.address()).status == 200
        };
        keys.iter().map(is_allowed).collect()
    }

    fn problems(&self, top: &str, endpoint: &str) -> String {
        let file = self.configure(top, endpoint);
        app::load(&file, app::clock).err().unwrap().to_string()
    }
}

const ANALYST_ENTRY: &str = r#"
[[principal]]
access-key-id = "AKIARZPUZDIKGBANALYS"
arn = "arn:aws:iam::123456789012:role/team/analyst"
session = "alice"
user-id = "AROAEXAMPLE:alice"
source-identity = "alice"
org-id = "o-abc"
org-paths = ["o-abc/r-def/"]
tags = { Team = "orders" }
[[account]]
id = "609629065308"
org-id = "o-other"
org-paths = ["o-other/r-def/"]
"#;

#[test]
fn stated_facts_are_known_and_others_are_unknown() {
    let keys = [ANALYST_KEY_ID, KEY_ID, OTHER_ACCOUNT];
    let only_analyst = vec![true, false, false];
    let only_other = vec![false, false, true];
    for (condition, expected) in [
        (
            r#"{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::123456789012:role/team/analyst"}}"#,
            &only_analyst,
        ),
        (
            r#"{"StringEquals":{"aws:PrincipalOrgID":"o-abc"}}"#,
            &only_analyst,
        ),
        (
            r#"{"StringEquals":{"aws:PrincipalOrgID":"o-other"}}"#,
            &only_other,
        ),
        (
            r#"{"StringEquals":{"aws:ResourceOrgID":"o-other"}}"#,
            &only_other,
        ),
        (
            r#"{"ForAnyValue:StringLike":{"aws:PrincipalOrgPaths":"o-other/*"}}"#,
            &only_other,
        ),
        (
            r#"{"StringEquals":{"aws:PrincipalTag/team":"orders"}}"#,
            &only_analyst,
        ),
        // If tags are configured, other tags are absent; otherwise they are unknown.
        (
            r#"{"Null":{"aws:PrincipalTag/cost":"true"}}"#,
            &only_analyst,
        ),
        (
            r#"{"StringEquals":{"aws:userid":"AROAEXAMPLE:alice"}}"#,
            &only_analyst,
        ),
        (
            r#"{"StringEquals":{"aws:VpceAccount":"111122223333"}}"#,
            &vec![true; 3],
        ),
        (
            r#"{"StringEquals":{"aws:VpceOrgID":"o-abc"}}"#,
            &vec![true; 3],
        ),
        (
            r#"{"ArnEquals":{"aws:SourceVpcArn":"arn:aws:ec2:us-east-1:111122223333:vpc/vpc-0123abcd"}}"#,
            &vec![true; 3],
        ),
    ] {
        let fixture = Fixture::new(condition);
        let endpoint = "vpce-account = \"111122223333\"\nvpce-org-id = \"o-abc\"";
        let map = fixture.path().join("identities.toml");
        std::fs::write(map, ANALYST_ENTRY).unwrap();
        let top = "identity-map = \"identities.toml\"";
        assert_eq!(
            &fixture.allowed(top, endpoint, &keys),
            expected,
            "{condition}"
        );
    }
}

#[test]
fn an_endpoint_may_state_its_one_principal() {
    let condition = r#"{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::123456789012:user/producer"},"StringEquals":{"aws:username":"producer"}}"#;
    let fixture = Fixture::new(condition);
    let stated = "principal = \"arn:aws:iam::123456789012:user/producer\"";
    let keys = [KEY_ID, OTHER_ACCOUNT, "AKIAIOSFODNN7EXAMPLE"];
    // A key of another account is not the principal's; an old key id hides its account.
    assert_eq!(fixture.allowed("", stated, &keys), [true, false, true]);
    // Two contradictory principals make it unknown.
    let other = format!(
        "[[principal]]\naccess-key-id = \"{KEY_ID}\"\narn = \"arn:aws:iam::{ACCOUNT}:user/other\""
    );
    assert_eq!(fixture.allowed(&other, stated, &keys[..1]), [false]);
}

#[test]
fn the_map_holds_a_hundred_thousand_entries_and_no_more() {
    let condition = r#"{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::123456789012:user/u99997"}}"#;
    let fixture = Fixture::new(condition);
    let mut entries = String::new();
    for n in 0..99_998 {
        let _ = write!(
            entries,
            r#"{{"access-key-id":"AKIA0{n:015}","arn":"arn:aws:iam::123456789012:user/u{n}"}},"#
        );
    }
    let write = |more: &str| {
        let text = format!(r#"{{"principal":[{entries}{more}]}}"#);
        std::fs::write(fixture.path().join("identities.json"), text).unwrap();
    };
    let entry = |n: usize, key: &str| {
        format!(r#"{{"access-key-id":"{key}","arn":"arn:aws:iam::123456789012:user/u{n}"}}"#)
    };
    write(&entry(99_997, KEY_ID));
    let top = "identity-map = \"identities.json\"";
    assert_eq!(
        fixture.allowed(top, "", &[KEY_ID, ANALYST_KEY_ID]),
        [true, false]
    );
    write(&format!(
        "{},{},{}",
        entry(1, "A"),
        entry(2, "B"),
        entry(3, "C")
    ));
    assert!(
        fixture
            .problems(top, "")
            .contains("more than 100000 entries")
    );
}

#[test]
fn overlapping_or_contradictory_entries_are_config_errors() {
    let fixture = Fixture::new("{}");
    let with_key =
        |id: &str, arn: &str| format!("[[principal]]\naccess-key-id = \"{id}\"\narn = \"{arn}\"\n");
    let user = "arn:aws:iam::123456789012:user/a";
    let arn = format!("[[principal]]\narn = \"{user}\"\n");
    let account = "[[account]]\nid = \"123456789012\"\norg-id = \"o-a\"\n";
    for (top, expected) in [
        (
            with_key(KEY_ID, user).repeat(2),
            "two principals have the access key id",
        ),
        (arn.repeat(2), "two principals have the ARN"),
        (account.repeat(2), "two accounts have the id `123456789012`"),
        (with_key(OTHER_ACCOUNT, user), "is one of another account"),
        (
            format!("{arn}org-id = \"o-b\"\n{account}"),
            "but that of its account is `o-a`",
        ),
        (format!("{arn}session = \"s1\""), "`session` is no name"),
        (
            format!("{arn}tags = {{ a = \"1\", A = \"2\" }}"),
            "two tags have the key",
        ),
        (format!("{arn}colour = \"red\""), "unknown key"),
        ("[[account]]\nid = \"1\"".to_owned(), "not twelve digits"),
    ] {
        let problems = fixture.problems(&top, "");
        assert!(problems.contains(expected), "`{expected}`: {problems}");
    }
    // The same between the configuration and its map, in either format.
    let map = |name: &str, text: &str| {
        std::fs::write(fixture.path().join(name), text).unwrap();
        let top = format!("identity-map = \"{name}\"\n{}", with_key(KEY_ID, user));
        fixture.problems(&top, "")
    };
    let json = format!(r#"{{"principal":[{{"access-key-id":"{KEY_ID}","arn":"{user}"}}]}}"#);
    for problems in [
        map("map.toml", &with_key(KEY_ID, user)),
        map("map.json", &json),
    ] {
        assert!(
            problems.contains("two principals have the access key id"),
            "{problems}"
        );
    }
    let twice =
        r#"{"principal":[{"arn":"arn:aws:iam::123456789012:user/a","tags":{"a":"1","a":"2"}}]}"#;
    assert!(map("map.json", twice).contains("two tags have the key `a`"));
    let unknown_key = "{\"principal\":[\n{\"arn\":\"x\",\"colour\":1}]}";
    let problems = map("map.json", unknown_key);
    assert!(
        problems.contains("map.json:2:") && problems.contains("colour"),
        "{problems}"
    );
}
