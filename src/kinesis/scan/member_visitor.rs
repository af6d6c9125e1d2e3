//! The member visitor applies the rules about keys and members, which are the same in both
//! encodings, to the events of the two grammars.

use super::super::members::{Entry, Member, Members, Span};
use super::malformed::{MalformedBody, Result};
use super::member_kind::{MemberKind, STREAM_ARN};

/// Follows the structure of a body and collects the members that policy needs.
///
/// The grammar reports beginnings and ends. Inside an ignored member
/// ([`MemberVisitor::ignores_member`]) it need not report anything.
pub(super) struct MemberVisitor {
    members: Members,
    /// In a response: the name of the token, the only member to collect.
    response_token: Option<&'static str>,
    /// The number of reported containers that are open.
    depth: u32,
    /// The kind of the top-level member that is being read.
    kind: MemberKind,
    /// The top-level keys, in the arena.
    keys: [Span; MAX_KEYS],
    key_count: usize,
    /// The start, in the arena, of the string that is being collected.
    string_start: usize,
    string_limit: usize,
    /// The key of the tag whose value comes next.
    tag_key: Span,
    tag_count: usize,
    stream: StreamElement,
}

/// An element of a list of streams.
#[derive(Default)]
struct StreamElement {
    arn: Option<Span>,
    has_arn_key: bool,
    /// Whether the value of `StreamARN` comes next.
    expects_arn: bool,
}

/// A map or a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Map,
    List,
}

/// Whether the grammar must report the bytes of the string that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Yes,
    No,
}

/// The position of the next event in the body.
enum Position {
    /// Before the body's map.
    Root,
    /// In the body's map.
    TopLevel,
    /// In a member that policy needs.
    Member,
    /// In an element of a list of streams.
    StreamElement,
    /// Below all members that policy needs.
    Ignored,
}

/// The service's model has nine members at most.
const MAX_KEYS: usize = 32;
const KEY_BYTES: usize = 128;
/// The model admits 200. Each is compared with those before it.
const MAX_TAGS: usize = 512;
/// Tags and streams; the model admits 10,000 streams.
const MAX_ENTRIES: usize = 10_000;
/// The model's limit for an ARN. Names, ids and tags are shorter.
const STRING_BYTES: usize = 2048;
/// The model allows 1 MiB, real tokens have 268 characters: no client should fill the memory.
const TOKEN_BYTES: usize = 64 * 1024;
/// All collected strings of a request: 10,000 ARNs of the longest stream names fit.
const ARENA_BYTES: usize = 2 * 1024 * 1024;
/// The keys and names of a typical request, whose one allocation this is.
const USUAL_ARENA_BYTES: usize = 256;

const EMPTY: Span = Span { start: 0, end: 0 };

impl MemberVisitor {
    /// A visitor of a request, or, with `response_token`, of a response, of which it collects only
    /// the token of that name.
    pub(super) fn new(response_token: Option<&'static str>) -> MemberVisitor {
        MemberVisitor {
            members: Members::default(),
            response_token,
            depth: 0,
            kind: MemberKind::Ignored,
            keys: [EMPTY; MAX_KEYS],
            key_count: 0,
            string_start: 0,
            string_limit: 0,
            tag_key: EMPTY,
            tag_count: 0,
            stream: StreamElement::default(),
        }
    }

    pub(super) fn members(&self) -> &Members {
        &self.members
    }

    /// Whether the grammar may skip everything below the top level until the member ends.
    pub(super) fn ignores_member(&self) -> bool {
        self.kind == MemberKind::Ignored
    }

    /// Begins a map or list.
    pub(super) fn begin_container(&mut self, container: Container) -> Result<()> {
        match self.position() {
            Position::Root => {
                if container != Container::Map {
                    return Err(MalformedBody::NotAMap);
                }
            }
            Position::Ignored => {}
            Position::TopLevel => match (self.kind, container) {
                (MemberKind::Ignored, _)
                | (MemberKind::Tags, Container::Map)
                | (
                    MemberKind::TagKeys
                    | MemberKind::StreamConfigurations
                    | MemberKind::StreamFilter,
                    Container::List,
                ) => {}
                // One structure in place of a list: its members are as deep as those of an element.
                (MemberKind::StreamFilter, Container::Map) => self.depth += 1,
                _ => return Err(MalformedBody::WrongType),
            },
            Position::Member => match (self.kind, container) {
                (MemberKind::StreamConfigurations | MemberKind::StreamFilter, Container::Map) => {}
                _ => return Err(MalformedBody::WrongType),
            },
            Position::StreamElement => {
                if self.stream.expects_arn {
                    return Err(MalformedBody::WrongType);
                }
            }
        }
        self.depth += 1;
        if matches!(self.position(), Position::StreamElement) {
            self.stream = StreamElement::default();
        }
        Ok(())
    }

    /// Ends the innermost map or list. `depth` is the number of open containers afterwards.
    pub(super) fn end_container(&mut self, depth: u32) -> Result<()> {
        if matches!(self.position(), Position::StreamElement) {
            match (self.stream.arn.take(), self.kind) {
                (Some(arn), MemberKind::StreamFilter) => self.push_entry(Entry::FilterArn(arn))?,
                (Some(arn), _) => self.push_entry(Entry::ConfigurationArn(arn))?,
                (None, _) => self.members.has_unnamed_stream = true,
            }
        }
        self.depth = if depth <= 1 { depth } else { self.depth - 1 };
        Ok(())
    }

    /// Begins a key.
    pub(super) fn begin_key(&mut self) -> Keep {
        let is_kept = match self.position() {
            Position::TopLevel | Position::StreamElement => true,
            Position::Member => self.kind == MemberKind::Tags,
            Position::Root | Position::Ignored => false,
        };
        self.begin_string(is_kept, KEY_BYTES)
    }

    /// Ends a key that is being collected.
    pub(super) fn end_key(&mut self) -> Result<()> {
        let span = self.end_string()?;
        let key = self.bytes(span);
        match self.position() {
            Position::TopLevel => self.end_top_level_key(span),
            Position::Member => {
                let is_repeated = self
                    .members
                    .tags()
                    .any(|(known, _)| known.as_bytes() == key);
                self.tag_key = span;
                self.tag_count += 1;
                match (is_repeated, self.tag_count > MAX_TAGS) {
                    (true, _) => Err(MalformedBody::DuplicateKey),
                    (false, true) => Err(MalformedBody::TooManyEntries),
                    (false, false) => Ok(()),
                }
            }
            Position::StreamElement => {
                let is_arn = key == STREAM_ARN.as_bytes();
                if !is_arn && key.eq_ignore_ascii_case(STREAM_ARN.as_bytes()) {
                    return Err(MalformedBody::KeyCase);
                }
                // Other keys of an element are not needed, and ten thousand elements may have many.
                self.members.arena.truncate(self.string_start);
                if is_arn && self.stream.has_arn_key {
                    return Err(MalformedBody::DuplicateKey);
                }
                self.stream.has_arn_key |= is_arn;
                self.stream.expects_arn = is_arn;
                Ok(())
            }
            Position::Root | Position::Ignored => Ok(()),
        }
    }

    /// Begins a string value.
    pub(super) fn begin_text(&mut self) -> Result<Keep> {
        let limit = match self.kind {
            MemberKind::Text(Member::NextToken | Member::ShardIterator) => TOKEN_BYTES,
            _ => STRING_BYTES,
        };
        let is_kept = match (self.position(), self.kind) {
            (Position::Root, _) => return Err(MalformedBody::NotAMap),
            (Position::Ignored, _) | (Position::TopLevel, MemberKind::Ignored) => false,
            (Position::TopLevel, MemberKind::Text(_))
            | (Position::Member, MemberKind::Tags | MemberKind::TagKeys) => true,
            (Position::TopLevel | Position::Member, _) => return Err(MalformedBody::WrongType),
            (Position::StreamElement, _) => self.stream.expects_arn,
        };
        Ok(self.begin_string(is_kept, limit))
    }

    /// Ends a string value that is being collected.
    pub(super) fn end_text(&mut self) -> Result<()> {
        let value = self.end_string()?;
        match (self.position(), self.kind) {
            (Position::TopLevel, MemberKind::Text(member)) => {
                if let Some(slot) = self.members.texts.get_mut(member as usize) {
                    *slot = Some(value);
                }
                Ok(())
            }
            (Position::Member, MemberKind::Tags) => {
                let key = self.tag_key;
                self.push_entry(Entry::Tag { key, value })
            }
            (Position::Member, _) => self.push_entry(Entry::TagKey(value)),
            (Position::StreamElement, _) => {
                self.stream.arn = Some(value);
                self.stream.expects_arn = false;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Appends bytes to the string that is being collected.
    pub(super) fn extend_string(&mut self, bytes: &[u8]) -> Result<()> {
        let len = self.members.arena.len() - self.string_start + bytes.len();
        if len > self.string_limit {
            return Err(if self.string_limit == KEY_BYTES {
                MalformedBody::KeyTooLong
            } else {
                MalformedBody::MemberTooLong
            });
        }
        if self.members.arena.len() + bytes.len() > ARENA_BYTES {
            return Err(MalformedBody::MemberTooLong);
        }
        self.members.arena.extend_from_slice(bytes);
        Ok(())
    }

    /// Visits `null`, which means that the member is absent.
    pub(super) fn visit_null(&mut self) -> Result<()> {
        match self.position() {
            Position::Root => Err(MalformedBody::NotAMap),
            Position::Ignored | Position::TopLevel => Ok(()),
            Position::Member => Err(MalformedBody::WrongType),
            Position::StreamElement => {
                self.stream.expects_arn = false;
                Ok(())
            }
        }
    }

    /// Visits a number, a boolean or a byte string, which policy does not need.
    pub(super) fn visit_scalar(&mut self) -> Result<()> {
        match self.position() {
            Position::Root => Err(MalformedBody::NotAMap),
            _ if self.needs_value() => Err(MalformedBody::WrongType),
            _ => Ok(()),
        }
    }

    /// Whether the next value is a member that policy needs, or a part of such a member.
    pub(super) fn needs_value(&self) -> bool {
        match self.position() {
            Position::Root | Position::Member => true,
            Position::Ignored => false,
            Position::TopLevel => !self.ignores_member(),
            Position::StreamElement => self.stream.expects_arn,
        }
    }

    fn position(&self) -> Position {
        match (self.depth, self.kind) {
            (0, _) => Position::Root,
            (1, _) => Position::TopLevel,
            (_, MemberKind::Ignored) => Position::Ignored,
            (2, _) => Position::Member,
            (3, MemberKind::StreamConfigurations | MemberKind::StreamFilter) => {
                Position::StreamElement
            }
            _ => Position::Ignored,
        }
    }

    fn begin_string(&mut self, is_kept: bool, limit: usize) -> Keep {
        if !is_kept {
            return Keep::No;
        }
        if self.members.arena.capacity() == 0 {
            self.members.arena.reserve(USUAL_ARENA_BYTES);
        }
        self.string_start = self.members.arena.len();
        self.string_limit = limit;
        Keep::Yes
    }

    fn end_string(&self) -> Result<Span> {
        let bytes = self.members.arena.get(self.string_start..);
        std::str::from_utf8(bytes.unwrap_or_default()).map_err(|_| MalformedBody::InvalidUtf8)?;
        let offset = |at: usize| u32::try_from(at).map_err(|_| MalformedBody::MemberTooLong);
        Ok(Span {
            start: offset(self.string_start)?,
            end: offset(self.members.arena.len())?,
        })
    }

    fn end_top_level_key(&mut self, span: Span) -> Result<()> {
        let key = self.bytes(span);
        let kind = match self.response_token {
            None => MemberKind::of_request(key)?,
            Some(token) => MemberKind::of_response(key, token)?,
        };
        let mut keys = self.keys.iter().take(self.key_count);
        if keys.any(|known| self.bytes(*known) == key) {
            return Err(MalformedBody::DuplicateKey);
        }
        let slot = self.keys.get_mut(self.key_count);
        *slot.ok_or(MalformedBody::TooManyKeys)? = span;
        self.key_count += 1;
        self.kind = kind;
        Ok(())
    }

    fn push_entry(&mut self, entry: Entry) -> Result<()> {
        if self.members.entries.len() == MAX_ENTRIES {
            return Err(MalformedBody::TooManyEntries);
        }
        self.members.entries.push(entry);
        Ok(())
    }

    fn bytes(&self, span: Span) -> &[u8] {
        let range = span.start as usize..span.end as usize;
        self.members.arena.get(range).unwrap_or_default()
    }
}
