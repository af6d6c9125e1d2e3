//! `kinesis-gate replay`: which past requests would another policy decide differently?

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use crate::app;
use crate::policy::{Attachment, Decision, Outcome, Policy, Unknown};

use super::check_policy::Format;
use super::fail;
use super::log::{self, Asked};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Decision logs, or `-`.
    #[arg(value_name = "LOG", required = true)]
    logs: Vec<PathBuf>,
    /// The endpoint policy to decide by.
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,
    /// How to print what would change.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let policy = match load(&arguments.policy) {
        Ok(policy) => policy,
        Err(error) => return fail(error),
    };
    let mut replay = Replay {
        policy: &policy,
        decided: 0,
        changes: BTreeMap::new(),
    };
    let read = log::read(&arguments.logs, |line| {
        let allowed = line.was_allowed();
        if let Some(asked) = line.asked() {
            replay.decide(&asked, allowed);
        }
    });
    let unreadable = match read {
        Ok(unreadable) => unreadable,
        Err(error) => return fail(error),
    };
    let mut out = io::stdout().lock();
    let written = match arguments.format {
        Format::Text => replay.print(&mut out),
        Format::Json => replay.print_json(&mut out),
    };
    if let Err(error) = written {
        return fail(error);
    }
    if !unreadable.is_empty() {
        return fail(unreadable);
    }
    if replay.newly_denied() == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn load(file: &Path) -> Result<Policy, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("{}: cannot be read: {error}", file.display()))?;
    app::compile(&text, file, Attachment::Endpoint).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        lines.join("\n")
    })
}

/// What would change, by kind of request.
struct Replay<'p> {
    policy: &'p Policy,
    decided: u64,
    changes: BTreeMap<Change, u64>,
}

/// Requests that would be decided differently, for one reason.
#[derive(PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Change {
    becomes: Becomes,
    action: String,
    resource: String,
    principal: String,
    /// The deciding statement's Sid or number; of a denial none if nothing allows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    statement: Option<String>,
    /// What the log does not tell and that decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Becomes {
    Denied,
    Allowed,
}

/// A change and how many requests it is about.
#[derive(Serialize)]
struct Counted<'a> {
    #[serde(flatten)]
    change: &'a Change,
    requests: u64,
}

impl Replay<'_> {
    /// Every resource must be allowed; the first that is not decides.
    fn decide(&mut self, asked: &Asked<'_>, was_allowed: bool) {
        self.decided += 1;
        let mut last = None;
        for resource in asked.resources() {
            let facts = asked.facts(resource);
            let decision = self.policy.decide(&asked.request(&facts));
            last = Some((resource, decision));
            if decision.outcome != Outcome::Allow {
                break;
            }
        }
        let Some((resource, decision)) = last else {
            return;
        };
        let becomes = match (was_allowed, decision.outcome) {
            (true, Outcome::ExplicitDeny | Outcome::ImplicitDeny) => Becomes::Denied,
            (false, Outcome::Allow) if !asked.was_denied_by_identity() => Becomes::Allowed,
            _ => return,
        };
        let change = Change {
            becomes,
            action: asked.action.to_owned(),
            resource: resource.to_owned(),
            principal: asked.who().to_owned(),
            statement: decision
                .statement
                .map(|id| self.policy.statement(id).to_string()),
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

    fn becoming(&self, becomes: Becomes) -> Vec<Counted<'_>> {
        let mut found: Vec<Counted<'_>> = self
            .changes
            .iter()
            .filter(|(change, _)| change.becomes == becomes)
            .map(|(change, requests)| Counted {
                change,
                requests: *requests,
            })
            .collect();
        found.sort_by_key(|counted| std::cmp::Reverse(counted.requests));
        found
    }

    fn newly_denied(&self) -> u64 {
        self.becoming(Becomes::Denied)
            .iter()
            .map(|counted| counted.requests)
            .sum()
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let changed: u64 = self.changes.values().sum();
        writeln!(
            out,
            "{} requests decided, {changed} of them differently",
            self.decided
        )?;
        for (becomes, title) in [
            (Becomes::Denied, "newly denied"),
            (Becomes::Allowed, "newly allowed"),
        ] {
            let found = self.becoming(becomes);
            if !found.is_empty() {
                writeln!(out, "{title}:")?;
            }
            for counted in found {
                writeln!(out, "{counted}")?;
            }
        }
        Ok(())
    }

    fn print_json(&self, out: &mut impl Write) -> io::Result<()> {
        for becomes in [Becomes::Denied, Becomes::Allowed] {
            for counted in self.becoming(becomes) {
                serde_json::to_writer(&mut *out, &counted)?;
                writeln!(out)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Counted<'_> {
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
            (None, Becomes::Denied) => f.write_str("no statement allows it")?,
            (None, Becomes::Allowed) => f.write_str("allowed")?,
        }
        match unknown {
            Some(unknown) => write!(f, " (the log does not tell: {unknown})"),
            None => Ok(()),
        }
    }
}
