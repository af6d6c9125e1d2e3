//! What both encodings mean: the rules about keys and members, fed by the two grammars.

use super::super::members::{Entry, Member, Members, Span};
use super::MalformedBody;

/// Follows the structure of a body and keeps the members that policy needs.
///
/// The grammar says what begins and ends; inside members that are of no interest
/// ([`Collector::ignores`]) it need not.
pub(super) struct Collector {
    members: Members,
    /// In an answer: the only member that is kept.
    kept: Option<&'static str>,
    /// Containers open at this moment, as far as the grammar reported them.
    depth: u32,
    /// What the top-level member being read is.
    field: Field,
    /// Where the top-level keys are in the arena.
    keys: [Key; MAX_KEYS],
    key_count: usize,
    /// Where the text being kept begins.
    begin: usize,
    limit: usize,
    /// The key of the tag whose value comes next.
    tag_key: Span,
    tag_count: usize,
    /// In the element of a list of streams: its `StreamARN`, and whether its value comes next.
    element_arn: Option<Span>,
    element_named: bool,
    element_value_is_arn: bool,
}

/// A map or a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Map,
    List,
}

/// Whether the text that begins is to be handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    Yes,
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Ignored,
    Text(Member),
    Tags,
    TagKeys,
    /// A list of structures with a `StreamARN`.
    Configurations,
    /// The same, or one such structure.
    Filter,
}

#[derive(Debug, Clone, Copy)]
struct Key {
    start: u32,
    len: u8,
}

/// The service's model has nine members at most.
const MAX_KEYS: usize = 32;
const KEY_BYTES: usize = 128;
/// The model admits 200. Each is compared with those before it.
const MAX_TAGS: usize = 512;
/// Tags and streams; the model admits 10,000 streams.
const MAX_ENTRIES: usize = 10_000;
/// The model's limit for an ARN. Names, ids and tags are shorter.
const TEXT_BYTES: usize = 2048;
/// The model admits 1 MiB, real tokens have 268 characters: no client should make the gate hold more.
const TOKEN_BYTES: usize = 64 * 1024;
/// All kept text of a request: 10,000 ARNs of the longest stream names fit.
const ARENA_BYTES: usize = 2 * 1024 * 1024;

const STREAM_ARN: &str = "StreamARN";

impl Default for Collector {
    fn default() -> Collector {
        Collector {
            members: Members::default(),
            kept: None,
            depth: 0,
            field: Field::Ignored,
            keys: [Key { start: 0, len: 0 }; MAX_KEYS],
            key_count: 0,
            begin: 0,
            limit: 0,
            tag_key: Span { start: 0, end: 0 },
            tag_count: 0,
            element_arn: None,
            element_named: false,
            element_value_is_arn: false,
        }
    }
}

impl Collector {
    /// One that keeps the token of an answer and nothing else.
    pub(super) fn for_response(name: &'static str) -> Collector {
        Collector {
            kept: Some(name),
            ..Collector::default()
        }
    }

    pub(super) fn members(&self) -> &Members {
        &self.members
    }

    /// Whether what is below the top level needs no report until the top level is reached again.
    pub(super) fn ignores(&self) -> bool {
        self.field == Field::Ignored
    }

    /// A map or list begins.
    pub(super) fn open(&mut self, container: Container) -> Result<(), MalformedBody> {
        match self.place() {
            Place::Root => {
                if container != Container::Map {
                    return Err(MalformedBody::NotAMap);
                }
            }
            Place::Skipped => {}
            Place::Member => match (self.field, container) {
                (Field::Ignored, _)
                | (Field::Tags, Container::Map)
                | (Field::TagKeys | Field::Configurations | Field::Filter, Container::List) => {}
                // One structure in place of a list of them: its members are as deep as an element's.
                (Field::Filter, Container::Map) => self.depth += 1,
                _ => return Err(MalformedBody::WrongType),
            },
            Place::Item => match (self.field, container) {
                (Field::Configurations | Field::Filter, Container::Map) => {}
                _ => return Err(MalformedBody::WrongType),
            },
            Place::Element => {
                if self.element_value_is_arn {
                    return Err(MalformedBody::WrongType);
                }
            }
        }
        self.depth += 1;
        if matches!(self.place(), Place::Element) {
            self.element_arn = None;
            self.element_named = false;
            self.element_value_is_arn = false;
        }
        Ok(())
    }

    /// The innermost map or list ends. `depth` is how many are open then, by the grammar's count.
    pub(super) fn close(&mut self, depth: u32) -> Result<(), MalformedBody> {
        if matches!(self.place(), Place::Element) {
            match (self.element_arn.take(), self.field) {
                (Some(arn), Field::Filter) => self.entry(Entry::FilterArn(arn))?,
                (Some(arn), _) => self.entry(Entry::ConfigurationArn(arn))?,
                (None, _) => self.members.unnamed_stream = true,
            }
        }
        self.depth = if depth <= 1 { depth } else { self.depth - 1 };
        Ok(())
    }

    /// A key begins.
    pub(super) fn key(&mut self) -> Keep {
        let keep = match self.place() {
            Place::Member => true,
            Place::Item => self.field == Field::Tags,
            Place::Element => true,
            Place::Root | Place::Skipped => false,
        };
        self.keep(keep, KEY_BYTES)
    }

    /// The key that began has ended. Only for kept keys.
    pub(super) fn key_end(&mut self) -> Result<(), MalformedBody> {
        let span = self.piece()?;
        match self.place() {
            Place::Member => self.top_level_key(span),
            Place::Item => {
                let key = self.bytes(span);
                let repeated = self
                    .members
                    .tags()
                    .any(|(known, _)| known.as_bytes() == key);
                self.tag_key = span;
                self.tag_count += 1;
                match (repeated, self.tag_count > MAX_TAGS) {
                    (true, _) => Err(MalformedBody::DuplicateKey),
                    (false, true) => Err(MalformedBody::TooManyEntries),
                    (false, false) => Ok(()),
                }
            }
            Place::Element => {
                let key = self.bytes(span);
                let is_arn = key == STREAM_ARN.as_bytes();
                if !is_arn && key.eq_ignore_ascii_case(STREAM_ARN.as_bytes()) {
                    return Err(MalformedBody::KeyCase);
                }
                // Other keys of an element are not needed, and ten thousand elements have many.
                self.members.arena.truncate(self.begin);
                if is_arn && self.element_named {
                    return Err(MalformedBody::DuplicateKey);
                }
                self.element_named |= is_arn;
                self.element_value_is_arn = is_arn;
                Ok(())
            }
            Place::Root | Place::Skipped => Ok(()),
        }
    }

    /// Text begins as a value.
    pub(super) fn text(&mut self) -> Result<Keep, MalformedBody> {
        let limit = match self.field {
            Field::Text(Member::NextToken | Member::ShardIterator) => TOKEN_BYTES,
            _ => TEXT_BYTES,
        };
        let keep = match self.place() {
            Place::Root => return Err(MalformedBody::NotAMap),
            Place::Skipped => false,
            Place::Member => match self.field {
                Field::Ignored => false,
                Field::Text(_) => true,
                Field::Tags | Field::TagKeys | Field::Configurations | Field::Filter => {
                    return Err(MalformedBody::WrongType);
                }
            },
            Place::Item => match self.field {
                Field::Tags | Field::TagKeys => true,
                _ => return Err(MalformedBody::WrongType),
            },
            Place::Element => self.element_value_is_arn,
        };
        Ok(self.keep(keep, limit))
    }

    /// The value that began has ended. Only for kept text.
    pub(super) fn text_end(&mut self) -> Result<(), MalformedBody> {
        let span = self.piece()?;
        match (self.place(), self.field) {
            (Place::Member, Field::Text(member)) => {
                if let Some(slot) = self.members.texts.get_mut(member as usize) {
                    *slot = Some(span);
                }
                Ok(())
            }
            (Place::Item, Field::Tags) => self.entry(Entry::Tag {
                key: self.tag_key,
                value: span,
            }),
            (Place::Item, _) => self.entry(Entry::TagKey(span)),
            (Place::Element, _) => {
                self.element_arn = Some(span);
                self.element_value_is_arn = false;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// More of the text being kept.
    pub(super) fn extend(&mut self, bytes: &[u8]) -> Result<(), MalformedBody> {
        let len = self.members.arena.len() - self.begin + bytes.len();
        if len > self.limit {
            return Err(if self.limit == KEY_BYTES {
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

    /// `null`, which is as if the member were not there.
    pub(super) fn null(&mut self) -> Result<(), MalformedBody> {
        match self.place() {
            Place::Root => Err(MalformedBody::NotAMap),
            Place::Skipped | Place::Member => Ok(()),
            Place::Item => Err(MalformedBody::WrongType),
            Place::Element => {
                self.element_value_is_arn = false;
                Ok(())
            }
        }
    }

    /// A number, a truth value or bytes: nothing that policy needs.
    pub(super) fn scalar(&mut self) -> Result<(), MalformedBody> {
        match self.place() {
            Place::Root => Err(MalformedBody::NotAMap),
            Place::Skipped => Ok(()),
            Place::Member if self.ignores() => Ok(()),
            Place::Element if !self.element_value_is_arn => Ok(()),
            Place::Member | Place::Item | Place::Element => Err(MalformedBody::WrongType),
        }
    }

    /// Whether the value that begins is a member that policy needs, or a part of one.
    pub(super) fn needs_value(&self) -> bool {
        match self.place() {
            Place::Root => true,
            Place::Skipped => false,
            Place::Member => !self.ignores(),
            Place::Item => true,
            Place::Element => self.element_value_is_arn,
        }
    }

    fn place(&self) -> Place {
        match (self.depth, self.field) {
            (0, _) => Place::Root,
            (1, _) => Place::Member,
            (_, Field::Ignored) => Place::Skipped,
            (2, _) => Place::Item,
            (3, Field::Configurations | Field::Filter) => Place::Element,
            _ => Place::Skipped,
        }
    }

    fn keep(&mut self, keep: bool, limit: usize) -> Keep {
        if !keep {
            return Keep::No;
        }
        if self.members.arena.capacity() == 0 {
            // Keys and names of a usual request; the one allocation it costs.
            self.members.arena.reserve(256);
        }
        self.begin = self.members.arena.len();
        self.limit = limit;
        Keep::Yes
    }

    /// The text kept since it began.
    fn piece(&self) -> Result<Span, MalformedBody> {
        let text = self.members.arena.get(self.begin..).unwrap_or_default();
        std::str::from_utf8(text).map_err(|_| MalformedBody::InvalidUtf8)?;
        let offset = |at: usize| u32::try_from(at).map_err(|_| MalformedBody::MemberTooLong);
        Ok(Span {
            start: offset(self.begin)?,
            end: offset(self.members.arena.len())?,
        })
    }

    fn bytes(&self, span: Span) -> &[u8] {
        self.members
            .arena
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    fn top_level_key(&mut self, span: Span) -> Result<(), MalformedBody> {
        let text = self.bytes(span);
        let known = |key: &&Key| {
            let start = key.start as usize;
            self.members.arena.get(start..start + usize::from(key.len)) == Some(text)
        };
        if self.keys.iter().take(self.key_count).any(|key| known(&key)) {
            return Err(MalformedBody::DuplicateKey);
        }
        let field = match self.kept {
            None => classify(text, &FIELDS)?,
            Some(name) => classify(text, &[(name, Field::Text(Member::NextToken))])?,
        };
        let len = u8::try_from(text.len()).map_err(|_| MalformedBody::KeyTooLong)?;
        let slot = self
            .keys
            .get_mut(self.key_count)
            .ok_or(MalformedBody::TooManyKeys)?;
        *slot = Key {
            start: span.start,
            len,
        };
        self.key_count += 1;
        self.field = field;
        Ok(())
    }

    fn entry(&mut self, entry: Entry) -> Result<(), MalformedBody> {
        if self.members.entries.len() == MAX_ENTRIES {
            return Err(MalformedBody::TooManyEntries);
        }
        self.members.entries.push(entry);
        Ok(())
    }
}

/// Where the grammar stands.
enum Place {
    /// Before the body's map.
    Root,
    /// In the body's map.
    Member,
    /// In a member that is needed.
    Item,
    /// In an element of a list of streams.
    Element,
    /// Below anything of interest.
    Skipped,
}

/// What a top-level key stands for.
fn classify(key: &[u8], fields: &[(&str, Field)]) -> Result<Field, MalformedBody> {
    let found = fields
        .iter()
        .find(|(name, _)| key.eq_ignore_ascii_case(name.as_bytes()));
    match found {
        Some((name, field)) if key == name.as_bytes() => Ok(*field),
        Some(_) => Err(MalformedBody::KeyCase),
        None => Ok(Field::Ignored),
    }
}

static FIELDS: [(&str, Field); Member::COUNT + 4] = [
    ("StreamName", Field::Text(Member::StreamName)),
    (STREAM_ARN, Field::Text(Member::StreamArn)),
    ("StreamId", Field::Text(Member::StreamId)),
    ("ConsumerName", Field::Text(Member::ConsumerName)),
    ("ConsumerARN", Field::Text(Member::ConsumerArn)),
    ("ResourceARN", Field::Text(Member::ResourceArn)),
    ("QueueName", Field::Text(Member::QueueName)),
    ("QueueARN", Field::Text(Member::QueueArn)),
    ("ChannelName", Field::Text(Member::ChannelName)),
    ("ChannelARN", Field::Text(Member::ChannelArn)),
    ("KeyId", Field::Text(Member::KeyId)),
    ("ShardIterator", Field::Text(Member::ShardIterator)),
    ("NextToken", Field::Text(Member::NextToken)),
    ("Tags", Field::Tags),
    ("TagKeys", Field::TagKeys),
    ("StreamConfigurationList", Field::Configurations),
    ("StreamFilter", Field::Filter),
];
