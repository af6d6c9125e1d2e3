//! The statements of a large policy by action and resource, so that a decision costs as much as
//! the statements that share the request's, and not as the whole policy.
//!
//! Statements are grouped by the set of actions they match. In a group, what a resource pattern
//! must literally begin with (or be) is hashed together with its account; only statements without
//! such a beginning are scanned.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::policy::StatementId;
use crate::policy::decision::Decision;
use crate::policy::pattern::Pattern;
use crate::policy::principal::is_account;
use crate::policy::request::{Arn, Request, Resource};
use crate::policy::resource::{ArnPattern, ResourcePattern};
use crate::policy::statement::{MAX_NUMBERED, Search, Statement};

/// Below this a scan is faster.
const FEWEST_STATEMENTS: usize = 9;

/// Distinct sets of actions that get a group of their own; statements with a further set are put
/// in one group per action.
const MAX_SHARED_GROUPS: usize = 32;

#[derive(Debug)]
pub(super) struct Index {
    groups: Vec<Group>,
    /// The groups of each action, by number.
    by_action: Vec<Vec<u32>>,
    /// From [`key`] to a range of `listed`.
    table: HashMap<u64, (u32, u32), BuildHasherDefault<AlreadyHashed>>,
    listed: Vec<u32>,
}

#[derive(Debug, Default)]
struct Group {
    /// Every statement, for requests whose resource is not known well enough to look up.
    all: Vec<u32>,
    /// Statements that no look-up finds: `*`, NotResource, patterns that begin with a wildcard.
    scanned: Vec<u32>,
    /// Lengths of the literal beginnings, ascending.
    lengths: Vec<usize>,
    /// Some pattern names no single account. A look-up that cannot find anything is not free: in a
    /// large table it waits for memory.
    of_anyone: bool,
}

/// Which table a key is of, and under which account.
#[derive(Clone, Copy)]
enum Owner {
    /// The pattern names this account.
    Account(u64),
    /// The pattern names no single account.
    Anyone,
    /// The pattern names some account; for requests whose account is not known.
    Someone,
}

impl Index {
    pub(super) fn of(statements: &[Statement], actions: &[&str]) -> Option<Index> {
        if statements.len() < FEWEST_STATEMENTS || actions.is_empty() {
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
            Resource::Any => consider_all(&group.scanned, statements, search),
            Resource::Arn(arn) | Resource::Unscoped(arn) if !arn.open => {
                consider_all(&group.scanned, statements, search);
                self.look_up(id, group, arn.account, arn.resource, statements, search);
                self.look_up_beyond_colons(id, group, arn, statements, search);
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
        let owner = account.map_or(Owner::Someone, owner_of);
        let mut probe = |hash: u64, exact: bool| {
            let owners = [Some(owner), group.of_anyone.then_some(Owner::Anyone)];
            for owner in owners.into_iter().flatten() {
                if let Some(&(from, to)) = self.table.get(&key(hash, exact, owner, id)) {
                    let found = self.listed.get(from as usize..to as usize).unwrap_or(&[]);
                    consider_all(found, statements, search);
                }
            }
        };
        let mut hash = SEED;
        let mut done = 0;
        let bytes = resource.as_bytes();
        for &length in &group.lengths {
            let Some(more) = bytes.get(done..length) else {
                break;
            };
            hash = extend(hash, more);
            done = length;
            probe(hash, false);
        }
        hash = extend(hash, bytes.get(done..).unwrap_or(&[]));
        probe(hash, true);
    }

    /// A `*` that ends a segment may match beyond its colon: then the resource pattern stands
    /// behind a later colon of the request's ARN, and the account pattern before that.
    fn look_up_beyond_colons(
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
    shared: HashMap<u128, u32>,
    /// The group of one action alone, by number.
    single: HashMap<usize, u32>,
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
        if let Some(group) = self.shared_group(bits) {
            return self.add_to(group, id, statement);
        }
        for number in 0..self.by_action.len() {
            if bits >> number & 1 == 1 {
                let group = self.single_group(number);
                self.add_to(group, id, statement);
            }
        }
    }

    fn shared_group(&mut self, bits: u128) -> Option<u32> {
        if let Some(&group) = self.shared.get(&bits) {
            return Some(group);
        }
        if self.shared.len() >= MAX_SHARED_GROUPS {
            return None;
        }
        let group = self.new_group();
        self.shared.insert(bits, group);
        for (number, groups) in self.by_action.iter_mut().enumerate() {
            if bits >> number & 1 == 1 {
                groups.push(group);
            }
        }
        Some(group)
    }

    fn single_group(&mut self, number: usize) -> u32 {
        if let Some(&group) = self.single.get(&number) {
            return group;
        }
        let group = self.new_group();
        self.single.insert(number, group);
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
        let scanned = statement.resources.negated
            || statement
                .resources
                .patterns
                .iter()
                .any(|pattern| match pattern {
                    ResourcePattern::Everything => true,
                    ResourcePattern::Arn(pattern) => {
                        !is_exact(pattern) && pattern.resource.literal_prefix().is_empty()
                    }
                });
        if scanned {
            group.scanned.push(id);
            return;
        }
        for pattern in &statement.resources.patterns {
            let ResourcePattern::Arn(pattern) = pattern else {
                continue;
            };
            let text = pattern.resource.literal_prefix();
            let exact = is_exact(pattern);
            if !exact && let Err(at) = group.lengths.binary_search(&text.len()) {
                group.lengths.insert(at, text.len());
            }
            let hash = extend(SEED, text.as_bytes());
            let mut enter = |owner| self.entries.push((key(hash, exact, owner, group_id), id));
            match &pattern.scope.account {
                Pattern::Literal(account) if is_account(account) => {
                    enter(owner_of(account));
                    enter(Owner::Someone);
                }
                _ => {
                    enter(Owner::Anyone);
                    group.of_anyone = true;
                }
            }
        }
    }

    fn finish(mut self) -> Index {
        self.entries.sort_unstable();
        self.entries.dedup();
        let mut table: HashMap<u64, (u32, u32), BuildHasherDefault<AlreadyHashed>> =
            HashMap::with_capacity_and_hasher(self.entries.len(), BuildHasherDefault::default());
        for (&(key, _), at) in self.entries.iter().zip(0..) {
            table.entry(key).or_insert((at, at)).1 = at + 1;
        }
        Index {
            groups: self.groups,
            by_action: self.by_action,
            table,
            listed: self.entries.iter().map(|&(_, id)| id).collect(),
        }
    }
}

fn is_exact(pattern: &ArnPattern) -> bool {
    matches!(pattern.resource, Pattern::Literal(_))
}

fn owner_of(account: &str) -> Owner {
    if is_account(account) {
        account.parse().map_or(Owner::Anyone, Owner::Account)
    } else {
        Owner::Anyone
    }
}

const SEED: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// FNV-1a: a byte at a time, so that the beginnings of a text are hashed on the way to its end.
/// Who can choose texts that collide only adds candidates that are then matched in full.
fn extend(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    })
}

fn key(hash: u64, exact: bool, owner: Owner, group: u32) -> u64 {
    let owner = match owner {
        Owner::Account(id) => id.wrapping_add(2),
        Owner::Anyone => 0,
        Owner::Someone => 1,
    };
    let place = owner << 8 ^ u64::from(group) << 1 ^ u64::from(exact);
    let mixed = hash ^ place.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

/// Keys are hashes already.
#[derive(Default)]
struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
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
