//! The request that a person or a case describes.
//!
//! Its context is complete: a key that is neither given nor marked unknown is absent.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use crate::kinesis;
use crate::policy::json::{Node, NodeKind};
use crate::policy::{
    Action, Arn, Context, Fact, Key, Principal, PrincipalKind, Request, Resource, Value,
};

/// A described request.
pub(super) struct Given<'t> {
    principal: Caller<'t>,
    service: &'t str,
    action: &'t str,
    resources: Vec<Named<'t>>,
    keys: Keys,
    words: Words,
}

/// A request as it was given.
pub(super) struct Words {
    pub(super) principal: Option<String>,
    pub(super) action: String,
    /// One for each request of [`Given::requests`].
    pub(super) resources: Vec<Option<String>>,
}

enum Caller<'t> {
    Known(PrincipalKind<'t>),
    /// Somebody of this account.
    Account(&'t str),
    Aws {
        account: &'t str,
        arn: ArnFact,
        session: Option<&'t str>,
    },
}

enum ArnFact {
    Known(String),
    /// A role's, whose path nobody says.
    WithoutPath(String),
    Unknown,
}

enum Named<'t> {
    Any,
    Unknown,
    Arn(Arn<'t>),
    Unscoped(Arn<'t>),
}

impl<'t> Given<'t> {
    pub(super) fn new(
        principal: Option<&'t str>,
        action: &'t str,
        resources: &[&'t str],
        keys: Keys,
    ) -> Result<Given<'t>, String> {
        let (service, name) = action
            .split_once(':')
            .filter(|(service, name)| !service.is_empty() && !name.is_empty())
            .ok_or_else(|| format!("`{action}` is not an action: write `kinesis:PutRecord`"))?;
        let scope = scope(service, name);
        let mut named = Vec::new();
        for resource in resources {
            named.push(named_resource(resource, scope)?);
        }
        if named.is_empty() {
            named.push(if scope == Scope::Nothing {
                Named::Any
            } else {
                Named::Unknown
            });
        }
        let words = Words {
            principal: principal.map(str::to_owned),
            action: action.to_owned(),
            resources: match (resources, scope) {
                ([], Scope::Nothing) => vec![Some("*".to_owned())],
                ([], Scope::Something) => vec![None],
                (resources, _) => resources
                    .iter()
                    .map(|resource| Some((*resource).to_owned()))
                    .collect(),
            },
        };
        let principal = caller(principal, &keys)?;
        Ok(Given {
            words,
            principal,
            service,
            action: name,
            resources: named,
            keys,
        })
    }

    /// One request for each resource it names.
    pub(super) fn requests(&self) -> impl Iterator<Item = Request<'_>> {
        self.resources.iter().map(|named| Request {
            principal: self.principal(),
            action: Action {
                service: self.service,
                name: self.action,
                number: None,
            },
            resource: match named {
                Named::Any => Resource::Any,
                Named::Unknown => Resource::Unknown,
                Named::Arn(arn) => Resource::Arn(*arn),
                Named::Unscoped(arn) => Resource::Unscoped(*arn),
            },
            context: &self.keys,
        })
    }

    /// The principal, action and resources as they were given; `None` where they are not known.
    pub(super) fn words(&self) -> &Words {
        &self.words
    }

    fn principal(&self) -> Principal<'_> {
        match &self.principal {
            Caller::Known(PrincipalKind::Unknown) => Principal::UNKNOWN,
            Caller::Known(kind) => Principal {
                kind: *kind,
                ..Principal::ANONYMOUS
            },
            Caller::Account(account) => Principal {
                kind: PrincipalKind::Aws,
                account: Fact::Known(account),
                ..Principal::UNKNOWN
            },
            Caller::Aws {
                account,
                arn,
                session,
            } => Principal {
                kind: match arn {
                    ArnFact::WithoutPath(_) => PrincipalKind::RoleSession,
                    _ => PrincipalKind::Aws,
                },
                account: Fact::Known(account),
                arn: match arn {
                    ArnFact::Known(arn) | ArnFact::WithoutPath(arn) => Fact::Known(arn),
                    ArnFact::Unknown => Fact::Unknown,
                },
                session: session.map_or(Fact::Absent, Fact::Known),
            },
        }
    }
}

/// What the authorization reference gives an action as its resource.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Something,
    Nothing,
}

fn scope(service: &str, name: &str) -> Scope {
    if !service.eq_ignore_ascii_case("kinesis") {
        return Scope::Something;
    }
    let operation = kinesis::operations()
        .iter()
        .find(|operation| operation.name.eq_ignore_ascii_case(name));
    match operation.map(|operation| operation.scope) {
        Some(kinesis::ResourceScope::Account | kinesis::ResourceScope::Unscoped) => Scope::Nothing,
        None if name.eq_ignore_ascii_case("InjectApiError") => Scope::Nothing,
        _ => Scope::Something,
    }
}

fn named_resource(text: &str, scope: Scope) -> Result<Named<'_>, String> {
    if text == "*" {
        return Ok(Named::Any);
    }
    let arn = Arn::parse(text)
        .ok_or_else(|| format!("`{text}` is not a resource: write an ARN, or `*` for none"))?;
    Ok(if scope == Scope::Nothing {
        Named::Unscoped(arn)
    } else {
        Named::Arn(arn)
    })
}

fn caller<'t>(text: Option<&'t str>, keys: &Keys) -> Result<Caller<'t>, String> {
    let Some(text) = text else {
        return Ok(Caller::Known(PrincipalKind::Unknown));
    };
    if text == "*" || text.eq_ignore_ascii_case("anonymous") {
        return Ok(Caller::Known(PrincipalKind::Anonymous));
    }
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Caller::Account(text));
    }
    let Some(arn) = Arn::parse(text) else {
        if text.contains('.') && !text.contains([':', '/']) {
            return Ok(Caller::Known(PrincipalKind::AwsService(text)));
        }
        return Err(format!(
            "`{text}` is not a principal: write an ARN, an account id, a service principal or `*`"
        ));
    };
    let account = arn.account.unwrap_or_default();
    if arn.service != "sts" {
        return Ok(Caller::Aws {
            account,
            arn: ArnFact::Known(text.to_owned()),
            session: None,
        });
    }
    let Some(session) = arn.resource.strip_prefix("assumed-role/") else {
        return Ok(Caller::Aws {
            account,
            arn: ArnFact::Known(text.to_owned()),
            session: Some(text),
        });
    };
    // A session's ARN has no path of its role; `aws:PrincipalArn` has.
    let role = session.split('/').next().unwrap_or(session);
    let derived = format!("arn:{}:iam::{account}:role/{role}", arn.partition);
    let arn = match keys.value(Key::PrincipalArn) {
        Fact::Known(Value::Text(known)) if is_role(known, account, role) => {
            ArnFact::Known(known.to_owned())
        }
        Fact::Unknown => ArnFact::Unknown,
        _ => ArnFact::WithoutPath(derived),
    };
    Ok(Caller::Aws {
        account,
        arn,
        session: Some(text),
    })
}

fn is_role(text: &str, account: &str, role: &str) -> bool {
    Arn::parse(text).is_some_and(|arn| {
        arn.account == Some(account)
            && arn.resource.starts_with("role/")
            && arn.resource.rsplit('/').next() == Some(role)
    })
}

/// The context keys, by [`folded`] name.
#[derive(Default)]
pub(super) struct Keys {
    known: HashMap<String, Held>,
    unknown: HashSet<String>,
}

enum Held {
    One(String),
    Many(Vec<String>),
}

impl Keys {
    pub(super) fn from_arguments(context: &[String], unknown: &[String]) -> Result<Keys, String> {
        let mut keys = Keys {
            known: HashMap::new(),
            unknown: unknown.iter().map(|name| folded(name)).collect(),
        };
        for pair in context {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| format!("`{pair}` is not a context key: write `key=value`"))?;
            match keys.known.entry(folded(key)) {
                Entry::Vacant(free) => {
                    free.insert(Held::One(value.to_owned()));
                }
                Entry::Occupied(mut held) => held.get_mut().push(value),
            }
        }
        Ok(keys)
    }

    pub(super) fn from_json(
        context: Option<&Node<'_>>,
        unknown: Option<&Node<'_>>,
    ) -> Result<Keys, String> {
        let mut keys = Keys::default();
        let mut named = HashSet::new();
        match context.map(|node| &node.kind) {
            None | Some(NodeKind::Null) => {}
            Some(NodeKind::Map(members)) => {
                for member in members {
                    let name = folded(&member.name);
                    if !named.insert(name.clone()) {
                        return Err(format!("`context` has `{}` twice", member.name));
                    }
                    if let Some(held) = held(&member.value)? {
                        keys.known.insert(name, held);
                    }
                }
            }
            Some(_) => return Err("`context` is not an object".into()),
        }
        match unknown.map(|node| &node.kind) {
            None | Some(NodeKind::Null) => {}
            Some(NodeKind::List(nodes)) => {
                for node in nodes {
                    let name = node.text().ok_or("`unknown` is not a list of strings")?;
                    keys.unknown.insert(folded(name));
                }
            }
            Some(_) => return Err("`unknown` is not a list of strings".into()),
        }
        Ok(keys)
    }

    fn is_unknown(&self, key: Key<'_>, name: &str) -> bool {
        if self.unknown.is_empty() {
            return false;
        }
        // `aws:PrincipalTag/*`: whichever tag.
        let family = match key {
            Key::PrincipalTag(_) => Some(Key::PrincipalTag("*")),
            Key::RequestTag(_) => Some(Key::RequestTag("*")),
            Key::ResourceTag(_) => Some(Key::ResourceTag("*")),
            _ => None,
        };
        self.unknown.contains(name)
            || family.is_some_and(|family| self.unknown.contains(&folded(&family.to_string())))
    }
}

/// The name of a key or tag as it is compared: case does not count, in any script.
fn folded(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).collect()
}

impl Held {
    fn push(&mut self, value: &str) {
        match self {
            Held::One(first) => *self = Held::Many(vec![std::mem::take(first), value.to_owned()]),
            Held::Many(values) => values.push(value.to_owned()),
        }
    }
}

impl Context for Keys {
    fn value(&self, key: Key<'_>) -> Fact<Value<'_>> {
        let name = folded(&key.to_string());
        if self.is_unknown(key, &name) {
            return Fact::Unknown;
        }
        match self.known.get(&name) {
            None => Fact::Absent,
            Some(Held::One(text)) => Fact::Known(Value::Text(text)),
            Some(Held::Many(values)) => Fact::Known(Value::Many(values)),
        }
    }
}

fn held(node: &Node<'_>) -> Result<Option<Held>, String> {
    Ok(Some(match &node.kind {
        NodeKind::Null => return Ok(None),
        NodeKind::List(nodes) => {
            let mut values = Vec::with_capacity(nodes.len());
            for node in nodes {
                values.push(scalar(node).ok_or("a context value is no string, number or boolean")?);
            }
            Held::Many(values)
        }
        _ => Held::One(scalar(node).ok_or("a context value is no string, number or boolean")?),
    }))
}

fn scalar(node: &Node<'_>) -> Option<String> {
    match &node.kind {
        NodeKind::String(text) => Some(text.to_string()),
        NodeKind::Number(text) => Some((*text).to_owned()),
        NodeKind::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}
