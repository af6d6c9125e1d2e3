//! `kinesis-gate replay`: past requests that another policy (a candidate) would decide differently.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use crate::app;
use crate::policy::{Attachment, Decision, Outcome, Policy, Unknown};

use super::decision_log::{self, LoggedRequest};
use super::output::{OutputFormat, exit_code, fail};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Decision logs, or `-`.
    #[arg(value_name = "LOG", required = true)]
    logs: Vec<PathBuf>,
    /// The endpoint policy to decide by.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// How to print what would change.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    format: OutputFormat,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let policy = match load(&arguments.policy) {
        Ok(policy) => policy,
        Err(error) => return fail(error),
    };
    let mut replay = Replay {
        policy: &policy,
        request_count: 0,
        changes: BTreeMap::new(),
    };
    let result = decision_log::read(&arguments.logs, |line| {
        if let Some(request) = LoggedRequest::new(&line) {
            replay.decide(&request);
        }
    });
    let unreadable = match result {
        Ok(unreadable) => unreadable,
        Err(error) => return fail(error),
    };
    let mut out = io::stdout().lock();
    let printed = match arguments.format {
        OutputFormat::Text => replay.print(&mut out),
        OutputFormat::Json => replay.print_json(&mut out),
    };
    if let Err(error) = printed {
        return fail(error);
    }
    if !unreadable.is_empty() {
        return fail(unreadable);
    }
    let mut changes = replay.changes.keys();
    exit_code(changes.all(|it| it.becomes != NewOutcome::Denied))
}

fn load(file: &Path) -> Result<Policy, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{}: cannot be read: {error}", file.display()))?;
    app::compile(&text, file, Attachment::Endpoint).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })
}

/// The changes that another policy would make.
struct Replay<'p> {
    policy: &'p Policy,
    request_count: u64,
    /// The number of requests for each change.
    changes: BTreeMap<Change, u64>,
}

/// A change of the decision on requests of one kind, for one reason.
#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Change {
    becomes: NewOutcome,
    action: String,
    resource: String,
    principal: String,
    /// The deciding statement's Sid or number; `None` for an implicit deny.
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<String>,
    /// The deciding unknown fact, which is not in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum NewOutcome {
    Denied,
    Allowed,
}

/// A change and the number of its requests.
#[derive(Serialize)]
struct ChangeCount<'a> {
    #[serde(flatten)]
    change: &'a Change,
    requests: u64,
}

impl Replay<'_> {
    /// Every resource must be allowed; the first denied one makes the decision.
    fn decide(&mut self, request: &LoggedRequest<'_>) {
        self.request_count += 1;
        let mut last = None;
        for resource in request.resources() {
            let context = request.context(resource);
            let decision = self.policy.decide(&request.policy_request(&context));
            last = Some((resource, decision));
            if decision.outcome != Outcome::Allow {
                break;
            }
        }
        let Some((resource, decision)) = last else {
            return;
        };
        let becomes = match (request.is_allowed(), decision.outcome) {
            (true, Outcome::ExplicitDeny | Outcome::ImplicitDeny) => NewOutcome::Denied,
            (false, Outcome::Allow) if !request.is_denied_by_identity() => NewOutcome::Allowed,
            _ => return,
        };
        let change = Change {
            becomes,
            action: request.action.to_owned(),
            resource: resource.to_owned(),
            principal: request.principal_name().to_owned(),
            statement: decision
                .statement
                .map(|id| self.policy.label(id).to_string()),
            unknown: self.unknown(decision),
        };
        *self.changes.entry(change).or_default() += 1;
    }

    fn unknown(&self, decision: Decision) -> Option<String> {
        Some(match decision.unknown? {
            Unknown::Principal => "principal".to_owned(),
            Unknown::Resource => "resource".to_owned(),
            Unknown::Action => "action".to_owned(),
            Unknown::Key(condition) => self.policy.condition_key(condition)?.to_string(),
        })
    }

    /// The changes to an outcome, most frequent first.
    fn changes_to(&self, outcome: NewOutcome) -> Vec<ChangeCount<'_>> {
        let changes = self.changes.iter().map(|(change, requests)| ChangeCount {
            change,
            requests: *requests,
        });
        let changes = changes.filter(|it| it.change.becomes == outcome);
        let mut changes: Vec<ChangeCount<'_>> = changes.collect();
        changes.sort_by_key(|it| std::cmp::Reverse(it.requests));
        changes
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let changed: u64 = self.changes.values().sum();
        writeln!(
            out,
            "{} requests decided, {changed} of them differently",
            self.request_count
        )?;
        for (outcome, title) in [
            (NewOutcome::Denied, "newly denied"),
            (NewOutcome::Allowed, "newly allowed"),
        ] {
            let changes = self.changes_to(outcome);
            if !changes.is_empty() {
                writeln!(out, "{title}:")?;
            }
            for change in changes {
                writeln!(out, "{change}")?;
            }
        }
        Ok(())
    }

    fn print_json(&self, out: &mut impl Write) -> io::Result<()> {
        for outcome in [NewOutcome::Denied, NewOutcome::Allowed] {
            for change in self.changes_to(outcome) {
                serde_json::to_writer(&mut *out, &change)?;
                writeln!(out)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for ChangeCount<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Change {
            becomes,
            action,
            resource,
            principal,
            statement,
            unknown,
        } = self.change;
        write!(
            f,
            "{:>8}  {action} on {resource} by {principal}: ",
            self.requests
        )?;
        match (statement, becomes) {
            (Some(statement), _) => write!(f, "statement `{statement}`")?,
            (None, NewOutcome::Denied) => f.write_str("no statement allows it")?,
            (None, NewOutcome::Allowed) => f.write_str("allowed")?,
        }
        match unknown {
            Some(unknown) => write!(f, " (the log does not tell: {unknown})"),
            None => Ok(()),
        }
    }
}
