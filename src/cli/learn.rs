//! `kinesis-gate learn`: the least-privilege endpoint policy for the requests of decision logs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use crate::policy::MAX_ENDPOINT_CHARACTERS;

use super::decision_log::{self, LoggedRequest};
use super::output::fail;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Decision logs, or `-`.
    #[arg(value_name = "LOG", required = true)]
    logs: Vec<PathBuf>,
    /// Learn from denied requests too.
    #[arg(long)]
    denied: bool,
    /// Fold streams whose names differ in digits only into one pattern: `orders-1`, `orders-2`
    /// become `orders-*`, which covers more than was seen.
    #[arg(long)]
    fold: bool,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let mut usage = Usage::default();
    let result = decision_log::read(&arguments.logs, |line| {
        if let Some(request) = LoggedRequest::new(&line)
            && (request.is_forwarded() || arguments.denied)
        {
            usage.add(&request);
        }
    });
    let unreadable = match result {
        Ok(unreadable) => unreadable,
        Err(error) => return fail(error),
    };
    if arguments.fold {
        usage.fold();
    }
    if usage.0.is_empty() {
        return fail("the logs hold no such request: an empty policy is none");
    }
    let text = match serde_json::to_string_pretty(&usage.policy()) {
        Ok(text) => text,
        Err(error) => return fail(error),
    };
    println!("{text}");
    if text.chars().count() > MAX_ENDPOINT_CHARACTERS {
        eprintln!(
            "note: longer than the {MAX_ENDPOINT_CHARACTERS} characters that AWS takes for an \
             endpoint policy: `--fold` shortens it"
        );
    }
    if unreadable.is_empty() {
        ExitCode::SUCCESS
    } else {
        fail(unreadable)
    }
}

/// The caller's account, if it is known.
type Account = Option<String>;

type Actions = BTreeSet<String>;

/// The used actions, by resource and account.
#[derive(Default)]
struct Usage(BTreeMap<(String, Account), Actions>);

impl Usage {
    fn add(&mut self, request: &LoggedRequest<'_>) {
        for resource in request.resources() {
            let resource = match request.has_no_resource() {
                true => "*",
                false => resource,
            };
            let key = (resource.to_owned(), request.account().map(str::to_owned));
            let actions = self.0.entry(key).or_default();
            if !actions.contains(request.action) {
                actions.insert(request.action.to_owned());
            }
        }
    }

    /// Joins resources whose names differ only in digits.
    fn fold(&mut self) {
        let mut alike: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (resource, _) in self.0.keys() {
            let names = alike.entry(pattern(resource)).or_default();
            names.insert(resource.clone());
        }
        for ((resource, account), actions) in std::mem::take(&mut self.0) {
            let folded = pattern(&resource);
            let is_shared = alike.get(&folded).is_some_and(|names| names.len() > 1);
            let resource = if is_shared { folded } else { resource };
            let known = self.0.entry((resource, account)).or_default();
            known.extend(actions);
        }
    }

    /// Resources with the same actions by the same accounts share a statement, which allows nothing
    /// that was not used.
    fn policy(&self) -> Document<'_> {
        let mut by_resource: BTreeMap<&str, BTreeMap<&Actions, BTreeSet<&Account>>> =
            BTreeMap::new();
        for ((resource, account), actions) in &self.0 {
            let users = by_resource.entry(resource).or_default();
            users.entry(actions).or_default().insert(account);
        }
        let mut statements: BTreeMap<(&Actions, BTreeSet<&Account>), Vec<&str>> = BTreeMap::new();
        for (resource, users) in by_resource {
            for (actions, accounts) in users {
                let resources = statements.entry((actions, accounts)).or_default();
                resources.push(resource);
            }
        }
        let statement = statements
            .into_iter()
            .zip(1u32..)
            .map(|(((actions, accounts), resources), number)| Statement {
                sid: format!("Learned{number}"),
                effect: "Allow",
                principal: "*",
                action: actions,
                resource: resources,
                // No condition matches an unknown account: one such caller means no condition.
                condition: accounts
                    .into_iter()
                    .map(Option::as_deref)
                    .collect::<Option<Vec<&str>>>()
                    .map(|accounts| {
                        BTreeMap::from([(
                            "StringEquals",
                            BTreeMap::from([("aws:PrincipalAccount", accounts)]),
                        )])
                    }),
            })
            .collect();
        Document {
            version: "2012-10-17",
            statement,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    version: &'static str,
    statement: Vec<Statement<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Statement<'a> {
    sid: String,
    effect: &'static str,
    principal: &'static str,
    action: &'a Actions,
    resource: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Condition<'a>>,
}

/// Operator, key, values.
type Condition<'a> = BTreeMap<&'static str, BTreeMap<&'static str, Vec<&'a str>>>;

/// The resource, with `*` for every run of digits after its fifth colon.
fn pattern(resource: &str) -> String {
    let mut folded = String::with_capacity(resource.len());
    let mut colons = 0;
    for character in resource.chars() {
        colons += usize::from(character == ':');
        if colons < 5 || !character.is_ascii_digit() {
            folded.push(character);
        } else if !folded.ends_with('*') {
            folded.push('*');
        }
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn digits_of_names_fold_and_accounts_do_not() {
        let stream = |name| format!("arn:aws:kinesis:us-east-1:123456789012:stream/{name}");
        assert_eq!(pattern(&stream("orders-17")), stream("orders-*"));
        assert_eq!(pattern(&stream("a1b22")), stream("a*b*"));
        assert_eq!(
            pattern(&stream("s/consumer/c:1700000000")),
            stream("s/consumer/c:*")
        );
        assert_eq!(pattern(&stream("orders")), stream("orders"));
        assert_eq!(pattern("*"), "*");
    }
}
