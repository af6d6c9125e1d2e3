//! Random policies and requests over small alphabets, so that they often meet.

use std::fmt::Write as _;

use kinesis_gate::policy::{
    Action, Arn, Context, Fact, Key, Principal, PrincipalKind, Request, Resource, Value,
};

/// The actions that have a number.
pub const ACTIONS: &[&str] = &[
    "DescribeStream",
    "GetRecords",
    "ListStreams",
    "PutRecord",
    "PutRecords",
    "SubscribeToShard",
];

/// Splitmix64: small, seeded, the same everywhere.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn some<T: Clone>(&mut self, from: &[T], most: usize) -> Vec<T> {
        (0..=self.below(most)).map(|_| self.pick(from)).collect()
    }
}

/// A policy before it is written down.
#[derive(Clone, Debug)]
pub struct Model {
    pub variables: bool,
    pub statements: Vec<Statement>,
}

#[derive(Clone, Debug)]
pub struct Statement {
    pub allow: bool,
    pub not_principal: bool,
    pub principals: Vec<&'static str>,
    pub not_action: bool,
    pub actions: Vec<&'static str>,
    pub not_resource: bool,
    pub resources: Vec<String>,
    pub conditions: Vec<Condition>,
}

#[derive(Clone, Debug)]
pub struct Condition {
    pub set: &'static str,
    pub operator: &'static str,
    pub if_exists: bool,
    pub key: &'static str,
    pub values: Vec<&'static str>,
}

const PRINCIPALS: &[&str] = &[
    "*",
    "111111111111",
    "arn:aws:iam::111111111111:root",
    "222222222222",
    "arn:aws:iam::111111111111:user/u",
    "arn:aws:iam::111111111111:role/p/r",
    "arn:aws:sts::111111111111:assumed-role/r/s",
    "AROACKCEVSQ6C2EXAMPLE",
];
const ACTION_PATTERNS: &[&str] = &[
    "*",
    "kinesis:*",
    "kinesis:Put*",
    "kinesis:PutRecord",
    "KINESIS:putrecord?",
    "kinesis:*Record*",
    "kinesis:ListStreams",
    "s3:*",
    "kinesis:Unlisted",
    "kinesis:?e*",
];
const REGIONS: &[&str] = &["us-east-1", "*", "us-*-1", "eu-west-1"];
const ACCOUNTS: &[&str] = &["111111111111", "222222222222", "*"];
const RESOURCES: &[&str] = &[
    "stream/a",
    "stream/ab",
    "stream/a*",
    "stream/*",
    "*",
    "stream/?b",
    "stream/*/consumer/c:*",
    "stream/a/consumer/c:1",
    "stream/${aws:PrincipalTag/t}",
    "stream/${aws:username, 'a'}*",
    "stream/a${*}",
    "stream/*b",
];
const KEYS: &[&str] = &[
    "aws:SourceVpce",
    "aws:username",
    "aws:PrincipalTag/t",
    "aws:RequestTag/x",
];
const TEXTS: &[&str] = &[
    "a",
    "b",
    "ab",
    "A",
    "a*",
    "?b",
    "${aws:username}",
    "x${aws:PrincipalTag/t, 'b'}",
];
const NUMBERS: &[&str] = &["1", "2", "2.0", "-3", "10"];
const DATES: &[&str] = &[
    "2024-01-01",
    "2024-06-01T00:00:00Z",
    "1704067200",
    "2025-01-01T00:00:00+01:00",
];
const BLOCKS: &[&str] = &[
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.2.3",
    "0.0.0.0/0",
    "2001:db8::/32",
];
const ARNS: &[&str] = &[
    "arn:aws:iam::111111111111:user/u",
    "arn:aws:iam::*:role/*",
    "arn:aws:iam::111111111111:*",
    "arn:*:iam::1*:user/?",
    "arn:aws:iam::${aws:PrincipalTag/t}:user/u",
];

impl Model {
    pub fn random(rng: &mut Rng) -> Model {
        let count = 1 + rng.below(6);
        Model::of(rng, count)
    }

    /// Large enough for an index.
    pub fn large(rng: &mut Rng) -> Model {
        let count = 9 + rng.below(60);
        Model::of(rng, count)
    }

    fn of(rng: &mut Rng, count: usize) -> Model {
        let variables = !rng.one_in(5);
        Model {
            variables,
            statements: (0..count).map(|_| Statement::random(rng)).collect(),
        }
    }

    pub fn with_a_deny(&self, rng: &mut Rng) -> Model {
        let mut more = self.clone();
        let deny = Statement {
            allow: false,
            ..Statement::random(rng)
        };
        more.statements
            .insert(rng.below(self.statements.len() + 1), deny);
        more
    }

    pub fn without_an_allow(&self, rng: &mut Rng) -> Option<Model> {
        let allows: Vec<usize> = (0..self.statements.len())
            .filter(|&at| self.statements[at].allow)
            .collect();
        if allows.is_empty() || self.statements.len() < 2 {
            return None;
        }
        let mut fewer = self.clone();
        fewer.statements.remove(rng.pick(&allows));
        Some(fewer)
    }

    pub fn to_json(&self) -> String {
        let statements: Vec<String> = self.statements.iter().map(Statement::to_json).collect();
        let version = if self.variables {
            r#""Version":"2012-10-17","#
        } else {
            ""
        };
        format!(r#"{{{version}"Statement":[{}]}}"#, statements.join(",\n"))
    }
}

impl Statement {
    fn random(rng: &mut Rng) -> Statement {
        let allow = !rng.one_in(3);
        let not_resource = rng.one_in(8);
        Statement {
            allow,
            not_principal: !allow && rng.one_in(6),
            principals: if rng.one_in(2) {
                vec!["*"]
            } else {
                rng.some(PRINCIPALS, 4)
            },
            not_action: rng.one_in(6),
            actions: rng.some(ACTION_PATTERNS, 3),
            not_resource,
            resources: (0..=rng.below(3)).map(|_| resource_pattern(rng)).collect(),
            conditions: (0..rng.below(3)).map(|_| Condition::random(rng)).collect(),
        }
    }

    fn to_json(&self) -> String {
        let mut out = String::new();
        let list = |values: &[String]| serde_json::to_string(values).expect("JSON");
        let strings = |values: &[&str]| {
            values
                .iter()
                .map(|value| (*value).to_owned())
                .collect::<Vec<_>>()
        };
        let not = |negated: bool| if negated { "Not" } else { "" };
        write!(
            out,
            r#"{{"Effect":"{}","{}Principal":{{"AWS":{}}},"{}Action":{},"{}Resource":{}"#,
            if self.allow { "Allow" } else { "Deny" },
            not(self.not_principal),
            list(&strings(&self.principals)),
            not(self.not_action),
            list(&strings(&self.actions)),
            not(self.not_resource),
            list(&self.resources),
        )
        .expect("room");
        // One block per operator: names are unique because equal ones are joined beforehand.
        let mut blocks = serde_json::Map::new();
        for condition in &self.conditions {
            let name = condition.name();
            let block = blocks
                .entry(name)
                .or_insert_with(|| serde_json::Value::Object(serde_json::Map::new()));
            block[condition.key] = serde_json::json!(condition.values);
        }
        write!(
            out,
            r#","Condition":{}}}"#,
            serde_json::Value::Object(blocks)
        )
        .expect("room");
        out
    }

    /// The conditions as the document has them: a later one replaces one of the same name and key.
    pub fn effective(&self) -> Vec<&Condition> {
        let mut kept: Vec<&Condition> = Vec::new();
        for condition in &self.conditions {
            kept.retain(|other| other.name() != condition.name() || other.key != condition.key);
            kept.push(condition);
        }
        kept
    }
}

fn resource_pattern(rng: &mut Rng) -> String {
    if rng.one_in(5) {
        return "*".into();
    }
    format!(
        "arn:aws:kinesis:{}:{}:{}",
        rng.pick(REGIONS),
        rng.pick(ACCOUNTS),
        rng.pick(RESOURCES)
    )
}

impl Condition {
    pub fn name(&self) -> String {
        let suffix = if self.if_exists { "IfExists" } else { "" };
        format!("{}{}{suffix}", self.set, self.operator)
    }

    fn random(rng: &mut Rng) -> Condition {
        let if_exists = rng.one_in(4);
        let plain = |operator, key, values| Condition {
            set: "",
            operator,
            if_exists,
            key,
            values,
        };
        match rng.below(10) {
            0..=3 => {
                let operator = rng.pick(&[
                    "StringEquals",
                    "StringNotEquals",
                    "StringLike",
                    "StringNotLike",
                    "StringEqualsIgnoreCase",
                    "StringNotEqualsIgnoreCase",
                ]);
                plain(operator, rng.pick(KEYS), rng.some(TEXTS, 2))
            }
            4 => {
                let set = rng.pick(&["ForAllValues:", "ForAnyValue:"]);
                let operator = rng.pick(&["StringEquals", "StringNotEquals", "StringLike"]);
                let key = rng.pick(&["aws:TagKeys", "aws:username"]);
                Condition {
                    set,
                    operator,
                    if_exists,
                    key,
                    values: rng.some(&TEXTS[..6], 2),
                }
            }
            5 => {
                let operator = rng.pick(&[
                    "NumericEquals",
                    "NumericNotEquals",
                    "NumericLessThan",
                    "NumericGreaterThanEquals",
                ]);
                plain(operator, "aws:MultiFactorAuthAge", rng.some(NUMBERS, 2))
            }
            6 => {
                let operator = rng.pick(&[
                    "DateEquals",
                    "DateNotEquals",
                    "DateLessThan",
                    "DateGreaterThanEquals",
                ]);
                plain(operator, "aws:CurrentTime", rng.some(DATES, 2))
            }
            7 => {
                let operator = rng.pick(&["IpAddress", "NotIpAddress"]);
                plain(operator, "aws:VpcSourceIp", rng.some(BLOCKS, 2))
            }
            8 => {
                let operator = rng.pick(&["ArnLike", "ArnNotEquals"]);
                plain(operator, "aws:PrincipalArn", rng.some(ARNS, 2))
            }
            _ => match rng.below(2) {
                0 => plain(
                    "Bool",
                    "aws:SecureTransport",
                    vec![rng.pick(&["true", "false"])],
                ),
                _ => Condition {
                    if_exists: false,
                    ..plain("Null", rng.pick(KEYS), vec![rng.pick(&["true", "false"])])
                },
            },
        }
    }
}

/// A fact of a request, owning its value.
#[derive(Clone, Debug, PartialEq)]
pub enum Known<T> {
    Is(T),
    Absent,
    Unknown,
}

/// A request, as far as known.
#[derive(Clone, Debug)]
pub struct Facts {
    pub account: Known<&'static str>,
    pub arn: Known<&'static str>,
    pub session: Known<&'static str>,
    pub service: &'static str,
    pub action: String,
    pub number: Option<u16>,
    pub resource: Named,
    pub keys: Vec<(&'static str, Known<Vec<&'static str>>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Named {
    Any,
    Unknown,
    Arn {
        text: String,
        unscoped: bool,
        account_known: bool,
        open: bool,
    },
}

const CALLERS: &[(&str, &str, Option<&str>)] = &[
    ("111111111111", "arn:aws:iam::111111111111:user/u", None),
    ("111111111111", "arn:aws:iam::111111111111:user/v", None),
    ("111111111111", "arn:aws:iam::111111111111:root", None),
    (
        "111111111111",
        "arn:aws:iam::111111111111:role/p/r",
        Some("arn:aws:sts::111111111111:assumed-role/r/s"),
    ),
    (
        "111111111111",
        "arn:aws:iam::111111111111:role/p/r",
        Some("arn:aws:sts::111111111111:assumed-role/r/t"),
    ),
    (
        "222222222222",
        "arn:aws:iam::222222222222:role/r",
        Some("arn:aws:sts::222222222222:assumed-role/r/s"),
    ),
];
const NAMES: &[&str] = &[
    "stream/a",
    "stream/ab",
    "stream/b",
    "stream/a*",
    "stream/ax",
];
const SUFFIXES: &[&str] = &["1", "1700000000", "", "2"];

fn values(key: &str) -> &'static [&'static str] {
    match key {
        "aws:MultiFactorAuthAge" => &["1", "2", "2.00", "5", "-3"],
        "aws:CurrentTime" => &["2024-01-01T00:00:00Z", "2024-07-01T00:00:00Z", "1704067200"],
        "aws:VpcSourceIp" => &["10.1.2.3", "10.1.9.9", "192.168.0.1", "2001:db8::1"],
        "aws:SecureTransport" => &["true", "false"],
        "aws:PrincipalArn" => &[
            "arn:aws:iam::111111111111:user/u",
            "arn:aws:iam::222222222222:role/r",
        ],
        "aws:PrincipalTag/t" => &["a", "b", "111111111111", "*"],
        _ => &["a", "b", "ab", "A", "xb", "a*"],
    }
}

const CONTEXT: &[&str] = &[
    "aws:SourceVpce",
    "aws:username",
    "aws:PrincipalTag/t",
    "aws:RequestTag/x",
    "aws:TagKeys",
    "aws:MultiFactorAuthAge",
    "aws:CurrentTime",
    "aws:VpcSourceIp",
    "aws:SecureTransport",
    "aws:PrincipalArn",
];

impl Facts {
    /// A request of which everything is known.
    pub fn known(rng: &mut Rng) -> Facts {
        let (account, arn, session) = rng.pick(CALLERS);
        let at = rng.below(ACTIONS.len() + 1);
        let (action, number) = match ACTIONS.get(at) {
            Some(name) => ((*name).to_owned(), u16::try_from(at).ok()),
            None => ("Unlisted".to_owned(), None),
        };
        Facts {
            account: Known::Is(account),
            arn: Known::Is(arn),
            session: session.map_or(Known::Absent, Known::Is),
            service: "kinesis",
            action,
            number,
            resource: named(rng),
            keys: CONTEXT.iter().map(|&key| (key, value(key, rng))).collect(),
        }
    }

    /// A request of which some is not known.
    pub fn random(rng: &mut Rng) -> Facts {
        let mut facts = Facts::known(rng);
        if rng.one_in(3) {
            facts.arn = Known::Unknown;
            facts.session = Known::Unknown;
            if rng.one_in(3) {
                facts.account = Known::Unknown;
            }
        }
        for (_, known) in &mut facts.keys {
            if rng.one_in(4) {
                *known = Known::Unknown;
            }
        }
        facts.resource = match (facts.resource, rng.below(6)) {
            (_, 0) => Named::Unknown,
            (Named::Arn { text, unscoped, .. }, 1) => Named::Arn {
                text,
                unscoped,
                account_known: false,
                open: false,
            },
            (Named::Arn { .. }, 2) => Named::Arn {
                text: "arn:aws:kinesis:us-east-1:111111111111:stream/a/consumer/c:".into(),
                unscoped: false,
                account_known: rng.one_in(2),
                open: true,
            },
            (resource, _) => resource,
        };
        facts
    }

    /// One request that this one could be.
    pub fn complete(&self, rng: &mut Rng) -> Facts {
        let mut facts = self.clone();
        if facts.arn == Known::Unknown {
            let possible: Vec<_> = CALLERS
                .iter()
                .filter(|(account, ..)| match self.account {
                    Known::Is(known) => *account == known,
                    _ => true,
                })
                .collect();
            let (account, arn, session) = *rng.pick(&possible);
            facts.account = Known::Is(account);
            facts.arn = Known::Is(arn);
            facts.session = session.map_or(Known::Absent, Known::Is);
        }
        for (key, known) in &mut facts.keys {
            if *known == Known::Unknown {
                *known = value(key, rng);
            }
        }
        facts.resource = match facts.resource {
            Named::Unknown => named(rng),
            Named::Arn {
                text,
                unscoped,
                account_known,
                open,
            } => {
                let text = if open {
                    format!("{text}{}", rng.pick(SUFFIXES))
                } else {
                    text
                };
                let text = if account_known {
                    text
                } else {
                    text.replacen(
                        ":111111111111:",
                        &format!(":{}:", rng.pick(&["111111111111", "222222222222"])),
                        1,
                    )
                };
                Named::Arn {
                    text,
                    unscoped,
                    account_known: true,
                    open: false,
                }
            }
            Named::Any => Named::Any,
        };
        facts
    }

    /// A request for one resource, by one user agent.
    pub fn of_stream(resource: &str, agent: &str) -> Facts {
        let agent: &'static str = Box::leak(agent.to_owned().into_boxed_str());
        Facts {
            resource: Named::Arn {
                text: format!("arn:aws:kinesis:us-east-1:123456789012:{resource}"),
                unscoped: false,
                account_known: true,
                open: false,
            },
            action: "a".repeat(1_000),
            number: None,
            keys: vec![
                ("aws:UserAgent", Known::Is(vec![agent])),
                ("aws:username", Known::Is(vec!["x"])),
            ],
            ..Facts::known(&mut Rng::new(0))
        }
    }

    /// The request as the policy takes it.
    pub fn with<T>(&self, ask: impl FnOnce(&Request<'_>) -> T) -> T {
        let fact = |known: &Known<&'static str>| match known {
            Known::Is(text) => Fact::Known(*text),
            Known::Absent => Fact::Absent,
            Known::Unknown => Fact::Unknown,
        };
        let resource = match &self.resource {
            Named::Any => Resource::Any,
            Named::Unknown => Resource::Unknown,
            Named::Arn {
                text,
                unscoped,
                account_known,
                open,
            } => {
                let mut arn = Arn::parse(text).expect("an ARN");
                arn.open = *open;
                if !account_known {
                    arn.account = None;
                }
                if !account_known || *open {
                    arn.text = None;
                }
                if *unscoped {
                    Resource::Unscoped(arn)
                } else {
                    Resource::Arn(arn)
                }
            }
        };
        ask(&Request {
            principal: Principal {
                kind: PrincipalKind::Aws,
                account: fact(&self.account),
                arn: fact(&self.arn),
                session: fact(&self.session),
            },
            action: Action {
                service: self.service,
                name: &self.action,
                number: self.number,
            },
            resource,
            context: self,
        })
    }

    pub fn key(&self, name: &str) -> &Known<Vec<&'static str>> {
        self.keys
            .iter()
            .find(|(key, _)| Key::of(key).same(Key::of(name)))
            .map_or(&Known::Absent, |(_, known)| known)
    }
}

impl Context for Facts {
    fn value(&self, key: Key<'_>) -> Fact<Value<'_>> {
        match self.key(&key.to_string()) {
            Known::Absent => Fact::Absent,
            Known::Unknown => Fact::Unknown,
            Known::Is(values) => match values.as_slice() {
                [only] if key != Key::TagKeys => Fact::Known(Value::Text(only)),
                _ => Fact::Known(Value::Many(values)),
            },
        }
    }
}

fn named(rng: &mut Rng) -> Named {
    if rng.one_in(6) {
        return Named::Any;
    }
    let consumer = if rng.one_in(5) { "/consumer/c:1" } else { "" };
    Named::Arn {
        text: format!(
            "arn:aws:kinesis:{}:{}:{}{consumer}",
            rng.pick(&["us-east-1", "us-west-1", "eu-west-1"]),
            rng.pick(&["111111111111", "222222222222"]),
            rng.pick(NAMES)
        ),
        unscoped: rng.one_in(6),
        account_known: true,
        open: false,
    }
}

fn value(key: &'static str, rng: &mut Rng) -> Known<Vec<&'static str>> {
    if rng.one_in(4) {
        return Known::Absent;
    }
    if key == "aws:TagKeys" {
        return Known::Is((0..rng.below(3)).map(|_| rng.pick(values(key))).collect());
    }
    Known::Is(vec![rng.pick(values(key))])
}
