//! The request that arguments or a case describe, and its condition context.
//!
//! The context is complete: a key that is neither given nor marked as unknown is absent.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use crate::kinesis;
use crate::policy::json::{Node, NodeKind};
use crate::policy::{
    Action, Arn, Context, Fact, Key, Principal, PrincipalKind, Request, Resource, Value,
};

/// A request, as arguments or a case describe it.
pub(super) struct DescribedRequest<'t> {
    principal: DescribedPrincipal<'t>,
    service: &'t str,
    action: &'t str,
    resources: Vec<DescribedResource<'t>>,
    keys: ContextKeys,
    text: RequestText,
}

/// The principal, the action and the resources as described; `None` for unknown.
pub(super) struct RequestText {
    pub(super) principal: Option<String>,
    pub(super) action: String,
    /// One resource for each request of [`DescribedRequest::policy_requests`].
    pub(super) resources: Vec<Option<String>>,
}

enum DescribedPrincipal<'t> {
    Known(PrincipalKind<'t>),
    /// An unknown principal of this account.
    Account(&'t str),
    Aws {
        account: &'t str,
        arn: PrincipalArn,
        session: Option<&'t str>,
    },
}

enum PrincipalArn {
    Known(String),
    /// A role without its path, which is unknown.
    WithoutPath(String),
    Unknown,
}

enum DescribedResource<'t> {
    Any,
    Unknown,
    Arn(Arn<'t>),
    Unscoped(Arn<'t>),
}

impl<'t> DescribedRequest<'t> {
    pub(super) fn new(
        principal: Option<&'t str>,
        action: &'t str,
        resources: &[&'t str],
        keys: ContextKeys,
    ) -> Result<DescribedRequest<'t>, String> {
        let (service, name) = action
            .split_once(':')
            .filter(|(service, name)| !service.is_empty() && !name.is_empty())
            .ok_or_else(|| format!("`{action}` is not an action: write `kinesis:PutRecord`"))?;
        let scope = scope(service, name);
        let described = resources.iter().map(|text| resource(text, scope));
        let mut described = described.collect::<Result<Vec<_>, String>>()?;
        if described.is_empty() {
            described.push(match scope {
                Scope::Nothing => DescribedResource::Any,
                Scope::Something => DescribedResource::Unknown,
            });
        }
        let text = RequestText {
            principal: principal.map(str::to_owned),
            action: action.to_owned(),
            resources: match (resources, scope) {
                ([], Scope::Nothing) => vec![Some("*".to_owned())],
                ([], Scope::Something) => vec![None],
                (resources, _) => {
                    let texts = resources.iter().map(|text| Some((*text).to_owned()));
                    texts.collect()
                }
            },
        };
        let principal = described_principal(principal, &keys)?;
        Ok(DescribedRequest {
            text,
            principal,
            service,
            action: name,
            resources: described,
            keys,
        })
    }

    /// The policy's requests, one for each resource.
    pub(super) fn policy_requests(&self) -> impl Iterator<Item = Request<'_>> {
        self.resources.iter().map(|resource| Request {
            principal: self.principal(),
            action: Action {
                service: self.service,
                name: self.action,
                number: None,
            },
            resource: match resource {
                DescribedResource::Any => Resource::Any,
                DescribedResource::Unknown => Resource::Unknown,
                DescribedResource::Arn(arn) => Resource::Arn(*arn),
                DescribedResource::Unscoped(arn) => Resource::Unscoped(*arn),
            },
            context: &self.keys,
        })
    }

    /// The description's texts.
    pub(super) fn text(&self) -> &RequestText {
        &self.text
    }

    fn principal(&self) -> Principal<'_> {
        match &self.principal {
            DescribedPrincipal::Known(PrincipalKind::Unknown) => Principal::UNKNOWN,
            DescribedPrincipal::Known(kind) => Principal {
                kind: *kind,
                ..Principal::ANONYMOUS
            },
            DescribedPrincipal::Account(account) => Principal {
                kind: PrincipalKind::Aws,
                account: Fact::Known(account),
                ..Principal::UNKNOWN
            },
            DescribedPrincipal::Aws {
                account,
                arn,
                session,
            } => Principal {
                kind: match arn {
                    PrincipalArn::WithoutPath(_) => PrincipalKind::RoleSession,
                    _ => PrincipalKind::Aws,
                },
                account: Fact::Known(account),
                arn: match arn {
                    PrincipalArn::Known(arn) | PrincipalArn::WithoutPath(arn) => Fact::Known(arn),
                    PrincipalArn::Unknown => Fact::Unknown,
                },
                session_arn: session.map_or(Fact::Absent, Fact::Known),
            },
        }
    }
}

/// Whether the authorization reference lists a resource for an action.
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

fn resource(text: &str, scope: Scope) -> Result<DescribedResource<'_>, String> {
    if text == "*" {
        return Ok(DescribedResource::Any);
    }
    let arn = Arn::parse(text)
        .ok_or_else(|| format!("`{text}` is not a resource: write an ARN, or `*` for none"))?;
    Ok(match scope {
        Scope::Nothing => DescribedResource::Unscoped(arn),
        Scope::Something => DescribedResource::Arn(arn),
    })
}

fn described_principal<'t>(
    text: Option<&'t str>,
    keys: &ContextKeys,
) -> Result<DescribedPrincipal<'t>, String> {
    let Some(text) = text else {
        return Ok(DescribedPrincipal::Known(PrincipalKind::Unknown));
    };
    if text == "*" || text.eq_ignore_ascii_case("anonymous") {
        return Ok(DescribedPrincipal::Known(PrincipalKind::Anonymous));
    }
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(DescribedPrincipal::Account(text));
    }
    let Some(arn) = Arn::parse(text) else {
        if text.contains('.') && !text.contains([':', '/']) {
            return Ok(DescribedPrincipal::Known(PrincipalKind::AwsService(text)));
        }
        return Err(format!(
            "`{text}` is not a principal: write an ARN, an account id, a service principal or `*`"
        ));
    };
    let account = arn.account.unwrap_or_default();
    if arn.service != "sts" {
        return Ok(DescribedPrincipal::Aws {
            account,
            arn: PrincipalArn::Known(text.to_owned()),
            session: None,
        });
    }
    let Some(session) = arn.resource.strip_prefix("assumed-role/") else {
        return Ok(DescribedPrincipal::Aws {
            account,
            arn: PrincipalArn::Known(text.to_owned()),
            session: Some(text),
        });
    };
    // The session's ARN does not contain the role's path; `aws:PrincipalArn` does.
    let role = session.split('/').next().unwrap_or(session);
    let derived = format!("arn:{}:iam::{account}:role/{role}", arn.partition);
    let arn = match keys.value(Key::PrincipalArn) {
        Fact::Known(Value::Text(known)) if is_role(known, account, role) => {
            PrincipalArn::Known(known.to_owned())
        }
        Fact::Unknown => PrincipalArn::Unknown,
        _ => PrincipalArn::WithoutPath(derived),
    };
    Ok(DescribedPrincipal::Aws {
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

/// The condition context: keys by their [`folded`] names.
#[derive(Default)]
pub(super) struct ContextKeys {
    known: HashMap<String, ContextValue>,
    unknown: HashSet<String>,
}

enum ContextValue {
    One(String),
    Many(Vec<String>),
}

impl ContextKeys {
    pub(super) fn from_arguments(
        context: &[String],
        unknown: &[String],
    ) -> Result<ContextKeys, String> {
        let mut keys = ContextKeys {
            known: HashMap::new(),
            unknown: unknown.iter().map(|name| folded(name)).collect(),
        };
        for pair in context {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| format!("`{pair}` is not a context key: write `key=value`"))?;
            match keys.known.entry(folded(key)) {
                Entry::Vacant(free) => {
                    free.insert(ContextValue::One(value.to_owned()));
                }
                Entry::Occupied(mut known) => known.get_mut().push(value),
            }
        }
        Ok(keys)
    }

    pub(super) fn from_json(
        context: Option<&Node<'_>>,
        unknown: Option<&Node<'_>>,
    ) -> Result<ContextKeys, String> {
        let mut keys = ContextKeys::default();
        let mut names = HashSet::new();
        match context.map(|node| &node.kind) {
            None | Some(NodeKind::Null) => {}
            Some(NodeKind::Map(members)) => {
                for member in members {
                    let name = folded(&member.name);
                    if !names.insert(name.clone()) {
                        return Err(format!("`context` has `{}` twice", member.name));
                    }
                    if let Some(value) = context_value(&member.value)? {
                        keys.known.insert(name, value);
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
        // `aws:PrincipalTag/*`: every tag.
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

/// The name of a key or tag, case-folded for comparison.
fn folded(name: &str) -> String {
    name.chars().flat_map(char::to_lowercase).collect()
}

impl ContextValue {
    fn push(&mut self, value: &str) {
        match self {
            ContextValue::One(first) => {
                *self = ContextValue::Many(vec![std::mem::take(first), value.to_owned()])
            }
            ContextValue::Many(values) => values.push(value.to_owned()),
        }
    }
}

impl Context for ContextKeys {
    fn value(&self, key: Key<'_>) -> Fact<Value<'_>> {
        let name = folded(&key.to_string());
        if self.is_unknown(key, &name) {
            return Fact::Unknown;
        }
        match self.known.get(&name) {
            None => Fact::Absent,
            Some(ContextValue::One(text)) => Fact::Known(Value::Text(text)),
            Some(ContextValue::Many(values)) => Fact::Known(Value::Many(values)),
        }
    }
}

fn context_value(node: &Node<'_>) -> Result<Option<ContextValue>, String> {
    Ok(Some(match &node.kind {
        NodeKind::Null => return Ok(None),
        NodeKind::List(nodes) => {
            let mut values = Vec::with_capacity(nodes.len());
            for node in nodes {
                values.push(scalar(node).ok_or("a context value is no string, number or boolean")?);
            }
            ContextValue::Many(values)
        }
        _ => ContextValue::One(
            scalar(node).ok_or("a context value is no string, number or boolean")?,
        ),
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
