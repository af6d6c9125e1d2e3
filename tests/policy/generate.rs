//! Random policies and requests. Their alphabets are small, so that they often match.

use std::fmt::Write as _;

use kinesis_gate::policy::{
    Action, Arn, Context, Fact, Key, Principal, PrincipalKind, Request, Resource, Value,
};

/// The actions that have a number in the index.
pub const ACTIONS: &[&str] = &[
    "DescribeStream",
    "GetRecords",
    "ListStreams",
    "PutRecord",
    "PutRecords",
    "SubscribeToShard",
];

/// SplitMix64: a seed gives the same sequence on every machine.
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

    fn pick_some<T: Clone>(&mut self, from: &[T], max: usize) -> Vec<T> {
        (0..=self.below(max)).map(|_| self.pick(from)).collect()
    }
}

/// A policy before it is serialized.
#[derive(Clone, Debug)]
pub struct PolicyModel {
    pub variables: bool,
    pub statements: Vec<StatementModel>,
}

#[derive(Clone, Debug)]
pub struct StatementModel {
    pub is_allow: bool,
    pub not_principal: bool,
    pub principals: Vec<&'static str>,
    pub not_action: bool,
    pub actions: Vec<&'static str>,
    pub not_resource: bool,
    pub resources: Vec<String>,
    pub conditions: Vec<ConditionModel>,
}

#[derive(Clone, Debug)]
pub struct ConditionModel {
    pub set_operator: &'static str,
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

impl PolicyModel {
    pub fn random(rng: &mut Rng) -> PolicyModel {
        let count = 1 + rng.below(6);
        PolicyModel::with_statements(rng, count)
    }

    /// A policy with enough statements for an index.
    pub fn large(rng: &mut Rng) -> PolicyModel {
        let count = 9 + rng.below(60);
        PolicyModel::with_statements(rng, count)
    }

    fn with_statements(rng: &mut Rng, count: usize) -> PolicyModel {
        let variables = !rng.one_in(5);
        PolicyModel {
            variables,
            statements: (0..count).map(|_| StatementModel::random(rng)).collect(),
        }
    }

    pub fn with_a_deny(&self, rng: &mut Rng) -> PolicyModel {
        let mut model = self.clone();
        let deny = StatementModel {
            is_allow: false,
            ..StatementModel::random(rng)
        };
        model
            .statements
            .insert(rng.below(self.statements.len() + 1), deny);
        model
    }

    pub fn without_an_allow(&self, rng: &mut Rng) -> Option<PolicyModel> {
        let allows: Vec<usize> = (0..self.statements.len())
            .filter(|&at| self.statements[at].is_allow)
            .collect();
        if allows.is_empty() || self.statements.len() < 2 {
            return None;
        }
        let mut model = self.clone();
        model.statements.remove(rng.pick(&allows));
        Some(model)
    }

    pub fn to_json(&self) -> String {
        let statements: Vec<String> = self
            .statements
            .iter()
            .map(StatementModel::to_json)
            .collect();
        let version = if self.variables {
            r#""Version":"2012-10-17","#
        } else {
            ""
        };
        format!(r#"{{{version}"Statement":[{}]}}"#, statements.join(",\n"))
    }
}

impl StatementModel {
    fn random(rng: &mut Rng) -> StatementModel {
        let is_allow = !rng.one_in(3);
        let not_resource = rng.one_in(8);
        StatementModel {
            is_allow,
            not_principal: !is_allow && rng.one_in(6),
            principals: if rng.one_in(2) {
                vec!["*"]
            } else {
                rng.pick_some(PRINCIPALS, 4)
            },
            not_action: rng.one_in(6),
            actions: rng.pick_some(ACTION_PATTERNS, 3),
            not_resource,
            resources: (0..=rng.below(3))
                .map(|_| random_resource_pattern(rng))
                .collect(),
            conditions: (0..rng.below(3))
                .map(|_| ConditionModel::random(rng))
                .collect(),
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
            if self.is_allow { "Allow" } else { "Deny" },
            not(self.not_principal),
            list(&strings(&self.principals)),
            not(self.not_action),
            list(&strings(&self.actions)),
            not(self.not_resource),
            list(&self.resources),
        )
        .expect("room");
        // One block for each operator; conditions of one operator share it.
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

    /// The conditions of the document: the last one of each operator and key.
    pub fn distinct_conditions(&self) -> Vec<&ConditionModel> {
        let mut conditions: Vec<&ConditionModel> = Vec::new();
        for condition in &self.conditions {
            conditions
                .retain(|other| other.name() != condition.name() || other.key != condition.key);
            conditions.push(condition);
        }
        conditions
    }
}

fn random_resource_pattern(rng: &mut Rng) -> String {
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

impl ConditionModel {
    pub fn name(&self) -> String {
        let suffix = if self.if_exists { "IfExists" } else { "" };
        format!("{}{}{suffix}", self.set_operator, self.operator)
    }

    fn random(rng: &mut Rng) -> ConditionModel {
        let if_exists = rng.one_in(4);
        let plain = |operator, key, values| ConditionModel {
            set_operator: "",
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
                plain(operator, rng.pick(KEYS), rng.pick_some(TEXTS, 2))
            }
            4 => {
                let set_operator = rng.pick(&["ForAllValues:", "ForAnyValue:"]);
                let operator = rng.pick(&["StringEquals", "StringNotEquals", "StringLike"]);
                let key = rng.pick(&["aws:TagKeys", "aws:username"]);
                ConditionModel {
                    set_operator,
                    operator,
                    if_exists,
                    key,
                    values: rng.pick_some(&TEXTS[..6], 2),
                }
            }
            5 => {
                let operator = rng.pick(&[
                    "NumericEquals",
                    "NumericNotEquals",
                    "NumericLessThan",
                    "NumericGreaterThanEquals",
                ]);
                plain(
                    operator,
                    "aws:MultiFactorAuthAge",
                    rng.pick_some(NUMBERS, 2),
                )
            }
            6 => {
                let operator = rng.pick(&[
                    "DateEquals",
                    "DateNotEquals",
                    "DateLessThan",
                    "DateGreaterThanEquals",
                ]);
                plain(operator, "aws:CurrentTime", rng.pick_some(DATES, 2))
            }
            7 => {
                let operator = rng.pick(&["IpAddress", "NotIpAddress"]);
                plain(operator, "aws:VpcSourceIp", rng.pick_some(BLOCKS, 2))
            }
            8 => {
                let operator = rng.pick(&["ArnLike", "ArnNotEquals"]);
                plain(operator, "aws:PrincipalArn", rng.pick_some(ARNS, 2))
            }
            _ => match rng.below(2) {
                0 => plain(
                    "Bool",
                    "aws:SecureTransport",
                    vec![rng.pick(&["true", "false"])],
                ),
                _ => ConditionModel {
                    if_exists: false,
                    ..plain("Null", rng.pick(KEYS), vec![rng.pick(&["true", "false"])])
                },
            },
        }
    }
}

/// A three-valued fact that owns its value.
#[derive(Clone, Debug, PartialEq)]
pub enum OwnedFact<T> {
    Known(T),
    Absent,
    Unknown,
}

/// A request whose facts may be unknown.
#[derive(Clone, Debug)]
pub struct RequestModel {
    pub account: OwnedFact<&'static str>,
    pub arn: OwnedFact<&'static str>,
    pub session: OwnedFact<&'static str>,
    pub service: &'static str,
    pub action: String,
    pub number: Option<u16>,
    pub resource: ResourceModel,
    pub keys: Vec<(&'static str, OwnedFact<Vec<&'static str>>)>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum ResourceModel {
    Any,
    Unknown,
    Arn {
        text: String,
        is_unscoped: bool,
        is_account_known: bool,
        is_prefix: bool,
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
const RESOURCE_NAMES: &[&str] = &[
    "stream/a",
    "stream/ab",
    "stream/b",
    "stream/a*",
    "stream/ax",
];
const CONSUMER_SUFFIXES: &[&str] = &["1", "1700000000", "", "2"];

fn possible_values(key: &str) -> &'static [&'static str] {
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

const CONTEXT_KEYS: &[&str] = &[
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

impl RequestModel {
    /// A request with no unknown fact.
    pub fn fully_known(rng: &mut Rng) -> RequestModel {
        let (account, arn, session) = rng.pick(CALLERS);
        let at = rng.below(ACTIONS.len() + 1);
        let (action, number) = match ACTIONS.get(at) {
            Some(name) => ((*name).to_owned(), u16::try_from(at).ok()),
            None => ("Unlisted".to_owned(), None),
        };
        RequestModel {
            account: OwnedFact::Known(account),
            arn: OwnedFact::Known(arn),
            session: session.map_or(OwnedFact::Absent, OwnedFact::Known),
            service: "kinesis",
            action,
            number,
            resource: random_resource(rng),
            keys: CONTEXT_KEYS
                .iter()
                .map(|&key| (key, random_value(key, rng)))
                .collect(),
        }
    }

    /// A request with some unknown facts.
    pub fn partly_known(rng: &mut Rng) -> RequestModel {
        let mut model = RequestModel::fully_known(rng);
        if rng.one_in(3) {
            model.arn = OwnedFact::Unknown;
            model.session = OwnedFact::Unknown;
            if rng.one_in(3) {
                model.account = OwnedFact::Unknown;
            }
        }
        for (_, known) in &mut model.keys {
            if rng.one_in(4) {
                *known = OwnedFact::Unknown;
            }
        }
        model.resource = match (model.resource, rng.below(6)) {
            (_, 0) => ResourceModel::Unknown,
            (
                ResourceModel::Arn {
                    text, is_unscoped, ..
                },
                1,
            ) => ResourceModel::Arn {
                text,
                is_unscoped,
                is_account_known: false,
                is_prefix: false,
            },
            (ResourceModel::Arn { .. }, 2) => ResourceModel::Arn {
                text: "arn:aws:kinesis:us-east-1:111111111111:stream/a/consumer/c:".into(),
                is_unscoped: false,
                is_account_known: rng.one_in(2),
                is_prefix: true,
            },
            (resource, _) => resource,
        };
        model
    }

    /// A request without unknown facts, drawn from the completions of this request.
    pub fn possible_completion(&self, rng: &mut Rng) -> RequestModel {
        let mut model = self.clone();
        if model.arn == OwnedFact::Unknown {
            let possible: Vec<_> = CALLERS
                .iter()
                .filter(|(account, ..)| match self.account {
                    OwnedFact::Known(known) => *account == known,
                    _ => true,
                })
                .collect();
            let (account, arn, session) = *rng.pick(&possible);
            model.account = OwnedFact::Known(account);
            model.arn = OwnedFact::Known(arn);
            model.session = session.map_or(OwnedFact::Absent, OwnedFact::Known);
        }
        for (key, known) in &mut model.keys {
            if *known == OwnedFact::Unknown {
                *known = random_value(key, rng);
            }
        }
        model.resource = match model.resource {
            ResourceModel::Unknown => random_resource(rng),
            ResourceModel::Arn {
                text,
                is_unscoped,
                is_account_known,
                is_prefix,
            } => {
                let text = if is_prefix {
                    format!("{text}{}", rng.pick(CONSUMER_SUFFIXES))
                } else {
                    text
                };
                let text = if is_account_known {
                    text
                } else {
                    text.replacen(
                        ":111111111111:",
                        &format!(":{}:", rng.pick(&["111111111111", "222222222222"])),
                        1,
                    )
                };
                ResourceModel::Arn {
                    text,
                    is_unscoped,
                    is_account_known: true,
                    is_prefix: false,
                }
            }
            ResourceModel::Any => ResourceModel::Any,
        };
        model
    }

    /// A request on one resource, by one user agent.
    pub fn for_stream(resource: &str, agent: &str) -> RequestModel {
        let agent: &'static str = Box::leak(agent.to_owned().into_boxed_str());
        RequestModel {
            resource: ResourceModel::Arn {
                text: format!("arn:aws:kinesis:us-east-1:123456789012:{resource}"),
                is_unscoped: false,
                is_account_known: true,
                is_prefix: false,
            },
            action: "a".repeat(1_000),
            number: None,
            keys: vec![
                ("aws:UserAgent", OwnedFact::Known(vec![agent])),
                ("aws:username", OwnedFact::Known(vec!["x"])),
            ],
            ..RequestModel::fully_known(&mut Rng::new(0))
        }
    }

    /// Calls `run` with the request that a policy decides.
    pub fn with_request<T>(&self, run: impl FnOnce(&Request<'_>) -> T) -> T {
        let fact = |known: &OwnedFact<&'static str>| match known {
            OwnedFact::Known(text) => Fact::Known(*text),
            OwnedFact::Absent => Fact::Absent,
            OwnedFact::Unknown => Fact::Unknown,
        };
        let resource = match &self.resource {
            ResourceModel::Any => Resource::Any,
            ResourceModel::Unknown => Resource::Unknown,
            ResourceModel::Arn {
                text,
                is_unscoped,
                is_account_known,
                is_prefix,
            } => {
                let mut arn = Arn::parse(text).expect("an ARN");
                arn.is_prefix = *is_prefix;
                if !is_account_known {
                    arn.account = None;
                }
                if !is_account_known || *is_prefix {
                    arn.text = None;
                }
                if *is_unscoped {
                    Resource::Unscoped(arn)
                } else {
                    Resource::Arn(arn)
                }
            }
        };
        run(&Request {
            principal: Principal {
                kind: PrincipalKind::Aws,
                account: fact(&self.account),
                arn: fact(&self.arn),
                session_arn: fact(&self.session),
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

    pub fn key(&self, name: &str) -> &OwnedFact<Vec<&'static str>> {
        self.keys
            .iter()
            .find(|(key, _)| Key::of(key).is_same(Key::of(name)))
            .map_or(&OwnedFact::Absent, |(_, known)| known)
    }
}

impl Context for RequestModel {
    fn value(&self, key: Key<'_>) -> Fact<Value<'_>> {
        match self.key(&key.to_string()) {
            OwnedFact::Absent => Fact::Absent,
            OwnedFact::Unknown => Fact::Unknown,
            OwnedFact::Known(values) => match values.as_slice() {
                [only] if key != Key::TagKeys => Fact::Known(Value::Text(only)),
                _ => Fact::Known(Value::Many(values)),
            },
        }
    }
}

fn random_resource(rng: &mut Rng) -> ResourceModel {
    if rng.one_in(6) {
        return ResourceModel::Any;
    }
    let consumer = if rng.one_in(5) { "/consumer/c:1" } else { "" };
    ResourceModel::Arn {
        text: format!(
            "arn:aws:kinesis:{}:{}:{}{consumer}",
            rng.pick(&["us-east-1", "us-west-1", "eu-west-1"]),
            rng.pick(&["111111111111", "222222222222"]),
            rng.pick(RESOURCE_NAMES)
        ),
        is_unscoped: rng.one_in(6),
        is_account_known: true,
        is_prefix: false,
    }
}

fn random_value(key: &'static str, rng: &mut Rng) -> OwnedFact<Vec<&'static str>> {
    if rng.one_in(4) {
        return OwnedFact::Absent;
    }
    if key == "aws:TagKeys" {
        return OwnedFact::Known(
            (0..rng.below(3))
                .map(|_| rng.pick(possible_values(key)))
                .collect(),
        );
    }
    OwnedFact::Known(vec![rng.pick(possible_values(key))])
}
