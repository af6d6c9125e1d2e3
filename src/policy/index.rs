//! An index of the statements of a large policy by action and resource: the cost of a decision
//! depends on the statements with the request's action and resource, not on the whole policy.
//!
//! Statements are grouped by the set of actions that they match. A group has a hash table of the
//! literal prefixes of resource patterns, each with its account; only statements without such a prefix
//! are scanned.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::policy::StatementId;
use crate::policy::decision::Decision;
use crate::policy::pattern::Pattern;
use crate::policy::principal::is_account_id;
use crate::policy::request::{Arn, Request, Resource};
use crate::policy::resource::{ArnPattern, ResourcePattern};
use crate::policy::statement::{MAX_NUMBERED, Search, Statement};

/// A scan is faster for fewer statements.
const MIN_STATEMENTS: usize = 9;

/// The most sets of actions with a group of their own. A statement with any further set is in one
/// group for each of its actions.
const MAX_SET_GROUPS: usize = 32;

#[derive(Debug)]
pub(super) struct Index {
    groups: Vec<Group>,
    /// The groups of each action, by number.
    by_action: Vec<Vec<u32>>,
    /// From [`key`] to a range of `statements`.
    table: Table,
    statements: Vec<u32>,
}

type Table = HashMap<u64, (u32, u32), BuildHasherDefault<IdentityHasher>>;

#[derive(Debug, Default)]
struct Group {
    /// Every statement, for requests whose resource is not known well enough for a lookup.
    all: Vec<u32>,
    /// Statements outside the table: `*`, NotResource, patterns that begin with a wildcard.
    to_scan: Vec<u32>,
    /// Lengths of the literal prefixes, ascending.
    prefix_lengths: Vec<usize>,
    /// Whether a pattern names no single account. A lookup that cannot find anything still costs:
    /// in a large table it waits for memory.
    has_any_account: bool,
}

/// The account in a key of the table.
#[derive(Clone, Copy)]
enum Account {
    /// The pattern names this account.
    Id(u64),
    /// The pattern names no single account.
    Any,
    /// The pattern names some account; for requests whose account is unknown.
    Unknown,
}

impl Index {
    /// Builds the index; `None` if a scan is faster.
    pub(super) fn new(statements: &[Statement], actions: &[&str]) -> Option<Index> {
        if statements.len() < MIN_STATEMENTS || actions.is_empty() {
            return None;
        }
        let actions = actions.len().min(usize::from(MAX_NUMBERED));
        let mut builder = Builder {
            by_action: vec![Vec::new(); actions],
            ..Builder::default()
        };
        for (statement, id) in statements.iter().zip(0..) {
            builder.add(id, statement);
        }
        Some(builder.finish())
    }

    pub(super) fn decide(&self, statements: &[Statement], request: &Request<'_>) -> Decision {
        let mut search = Search::new(request);
        let groups = request
            .action
            .number
            .and_then(|number| self.by_action.get(usize::from(number)));
        match groups {
            Some(groups) => {
                for &group in groups {
                    self.search_group(group, statements, request, &mut search);
                }
            }
            None => {
                for (statement, id) in statements.iter().zip(0..) {
                    search.consider(StatementId(id), statement);
                }
            }
        }
        search.decision()
    }

    fn search_group(
        &self,
        id: u32,
        statements: &[Statement],
        request: &Request<'_>,
        search: &mut Search<'_>,
    ) {
        let Some(group) = self.groups.get(id as usize) else {
            return;
        };
        match &request.resource {
            Resource::Any => consider_all(&group.to_scan, statements, search),
            Resource::Arn(arn) | Resource::Unscoped(arn) if !arn.is_prefix => {
                consider_all(&group.to_scan, statements, search);
                self.look_up(id, group, arn.account, arn.resource, statements, search);
                self.look_up_across_colons(id, group, arn, statements, search);
            }
            _ => consider_all(&group.all, statements, search),
        }
    }

    fn look_up(
        &self,
        id: u32,
        group: &Group,
        account: Option<&str>,
        resource: &str,
        statements: &[Statement],
        search: &mut Search<'_>,
    ) {
        let account = account.map_or(Account::Unknown, account_key);
        let mut probe = |hash: u64, is_exact: bool| {
            let accounts = [Some(account), group.has_any_account.then_some(Account::Any)];
            for account in accounts.into_iter().flatten() {
                if let Some(&(from, to)) = self.table.get(&key(hash, is_exact, account, id)) {
                    let ids = self.statements.get(from as usize..to as usize);
                    consider_all(ids.unwrap_or(&[]), statements, search);
                }
            }
        };
        let mut hash = SEED;
        let mut hashed_length = 0;
        let bytes = resource.as_bytes();
        for &length in &group.prefix_lengths {
            let Some(more) = bytes.get(hashed_length..length) else {
                break;
            };
            hash = extend(hash, more);
            hashed_length = length;
            probe(hash, false);
        }
        hash = extend(hash, bytes.get(hashed_length..).unwrap_or(&[]));
        probe(hash, true);
    }

    /// A `*` that ends a segment may match beyond its colon: then the resource pattern matches behind
    /// a later colon of the request's ARN, and the account pattern before that colon.
    fn look_up_across_colons(
        &self,
        id: u32,
        group: &Group,
        arn: &Arn<'_>,
        statements: &[Statement],
        search: &mut Search<'_>,
    ) {
        if arn.text.is_none() {
            return;
        }
        let mut account = "";
        for (count, piece) in arn.resource.split(':').enumerate() {
            if count > 0 {
                let start = piece.as_ptr().addr() - arn.resource.as_ptr().addr();
                let resource = arn.resource.get(start..).unwrap_or("");
                self.look_up(id, group, Some(account), resource, statements, search);
            }
            account = piece;
        }
    }
}

fn consider_all(ids: &[u32], statements: &[Statement], search: &mut Search<'_>) {
    for &id in ids {
        if let Some(statement) = statements.get(id as usize) {
            search.consider(StatementId(id), statement);
        }
    }
}

#[derive(Default)]
struct Builder {
    groups: Vec<Group>,
    /// The group of each set of actions.
    by_set: HashMap<u128, u32>,
    /// The group of one action alone, by number.
    by_number: HashMap<usize, u32>,
    by_action: Vec<Vec<u32>>,
    entries: Vec<(u64, u32)>,
}

impl Builder {
    fn add(&mut self, id: u32, statement: &Statement) {
        let numbered = if self.by_action.len() >= 128 {
            u128::MAX
        } else {
            (1_u128 << self.by_action.len()) - 1
        };
        let bits = statement.action_bits & numbered;
        if bits == 0 {
            return;
        }
        if let Some(group) = self.group_of_set(bits) {
            return self.add_to(group, id, statement);
        }
        for number in 0..self.by_action.len() {
            if bits >> number & 1 == 1 {
                let group = self.group_of_action(number);
                self.add_to(group, id, statement);
            }
        }
    }

    fn group_of_set(&mut self, bits: u128) -> Option<u32> {
        if let Some(&group) = self.by_set.get(&bits) {
            return Some(group);
        }
        if self.by_set.len() >= MAX_SET_GROUPS {
            return None;
        }
        let group = self.new_group();
        self.by_set.insert(bits, group);
        for (number, groups) in self.by_action.iter_mut().enumerate() {
            if bits >> number & 1 == 1 {
                groups.push(group);
            }
        }
        Some(group)
    }

    fn group_of_action(&mut self, number: usize) -> u32 {
        if let Some(&group) = self.by_number.get(&number) {
            return group;
        }
        let group = self.new_group();
        self.by_number.insert(number, group);
        if let Some(groups) = self.by_action.get_mut(number) {
            groups.push(group);
        }
        group
    }

    fn new_group(&mut self) -> u32 {
        let id = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        self.groups.push(Group::default());
        id
    }

    fn add_to(&mut self, group_id: u32, id: u32, statement: &Statement) {
        let Some(group) = self.groups.get_mut(group_id as usize) else {
            return;
        };
        group.all.push(id);
        let resources = &statement.resources;
        let has_no_prefix = |pattern: &ResourcePattern| match pattern {
            ResourcePattern::Everything => true,
            ResourcePattern::Arn(pattern) => {
                !is_exact(pattern) && pattern.resource.literal_prefix().is_empty()
            }
        };
        if resources.is_negated || resources.patterns.iter().any(has_no_prefix) {
            group.to_scan.push(id);
            return;
        }
        for pattern in &resources.patterns {
            let ResourcePattern::Arn(pattern) = pattern else {
                continue;
            };
            let prefix = pattern.resource.literal_prefix();
            let is_exact = is_exact(pattern);
            let lengths = &mut group.prefix_lengths;
            if !is_exact && let Err(at) = lengths.binary_search(&prefix.len()) {
                lengths.insert(at, prefix.len());
            }
            let hash = extend(SEED, prefix.as_bytes());
            let mut enter = |account| {
                let key = key(hash, is_exact, account, group_id);
                self.entries.push((key, id));
            };
            match &pattern.prefix.account {
                Pattern::Literal(account) if is_account_id(account) => {
                    enter(account_key(account));
                    enter(Account::Unknown);
                }
                _ => {
                    enter(Account::Any);
                    group.has_any_account = true;
                }
            }
        }
    }

    fn finish(mut self) -> Index {
        self.entries.sort_unstable();
        self.entries.dedup();
        let mut table = Table::with_capacity_and_hasher(self.entries.len(), Default::default());
        for (&(key, _), at) in self.entries.iter().zip(0..) {
            table.entry(key).or_insert((at, at)).1 = at + 1;
        }
        Index {
            groups: self.groups,
            by_action: self.by_action,
            table,
            statements: self.entries.iter().map(|&(_, id)| id).collect(),
        }
    }
}

fn is_exact(pattern: &ArnPattern) -> bool {
    matches!(pattern.resource, Pattern::Literal(_))
}

fn account_key(account: &str) -> Account {
    if is_account_id(account) {
        account.parse().map_or(Account::Any, Account::Id)
    } else {
        Account::Any
    }
}

const SEED: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a, one byte at a time, so that hashing a text also hashes each of its prefixes. (Crates for
/// hashing give no hash of a prefix.) Texts that collide only add statements to consider.
fn extend(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    })
}

fn key(hash: u64, is_exact: bool, account: Account, group: u32) -> u64 {
    let account = match account {
        Account::Id(id) => id.wrapping_add(2),
        Account::Any => 0,
        Account::Unknown => 1,
    };
    let salt = account << 8 ^ u64::from(group) << 1 ^ u64::from(is_exact);
    let mixed = hash ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

/// A hasher for keys that are hashes already.
#[derive(Default)]
struct IdentityHasher(u64);

impl Hasher for IdentityHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = extend(self.0 ^ SEED, bytes);
    }

    fn write_u64(&mut self, key: u64) {
        // The table takes its buckets from the low bits and its tags from the high ones.
        self.0 = key.wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(26);
    }
}
