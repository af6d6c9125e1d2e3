//! The members of a request body that name resources and tags, in one form for every parser.

use ciborium::Value;
use kinesis_gate::kinesis::{Member, Members, Scanner, WireFormat};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

pub const MEMBERS: [Member; 13] = [
    Member::StreamName,
    Member::StreamArn,
    Member::StreamId,
    Member::ConsumerName,
    Member::ConsumerArn,
    Member::ResourceArn,
    Member::QueueName,
    Member::QueueArn,
    Member::ChannelName,
    Member::ChannelArn,
    Member::KeyId,
    Member::ShardIterator,
    Member::NextToken,
];

/// A body as another parser reads it, with all duplicate keys.
#[derive(Debug)]
pub enum Tree {
    Null,
    Text(String),
    Map(Vec<(Tree, Tree)>),
    List(Vec<Tree>),
    Other,
}

/// Which of duplicate keys a parser keeps.
#[derive(Clone, Copy)]
pub enum DuplicateKey {
    First,
    Last,
}

/// Scans a body in pieces of `piece_bytes`; `None` where the scanner refuses it.
pub fn scan(format: WireFormat, body: &[u8], piece_bytes: usize) -> Option<Scanner> {
    let mut scanner = Scanner::new(format);
    body.chunks(piece_bytes)
        .try_for_each(|piece| scanner.push(piece))
        .ok()?;
    scanner.finish().ok()?;
    Some(scanner)
}

/// The members that the scanner read, sorted. The tag keys of `Tags` and `TagKeys` are in one list.
pub fn scanned_members(members: &Members) -> Vec<String> {
    let texts = MEMBERS.iter().filter_map(|member| {
        let text = members.text(*member)?;
        Some(format!("{}={text}", member.name()))
    });
    let mut all: Vec<String> = texts.collect();
    all.extend(
        members
            .tags()
            .map(|(key, value)| format!("Tags[{key}]={value}")),
    );
    all.extend(members.tag_keys().map(|key| format!("TagKey={key}")));
    let configured = members.stream_configuration_arns();
    all.extend(configured.map(|arn| format!("StreamConfigurationList={arn}")));
    all.extend(
        members
            .stream_filter_arns()
            .map(|arn| format!("StreamFilter={arn}")),
    );
    all.sort();
    all
}

/// The members that another parser read, sorted. A member of a wrong type gets a text that the scanner
/// never writes.
pub fn tree_members(tree: &Tree, duplicate: DuplicateKey) -> Vec<String> {
    let mut all = Vec::new();
    for member in MEMBERS {
        match tree.get(member.name(), duplicate) {
            None | Some(Tree::Null) => {}
            Some(Tree::Text(text)) => all.push(format!("{}={text}", member.name())),
            Some(_) => all.push(format!("{} is no text", member.name())),
        }
    }
    if let Some(Tree::Map(pairs)) = tree.get("Tags", duplicate) {
        for (key, value) in pairs {
            all.push(format!("Tags[{}]={}", key.text(), value.text()));
            all.push(format!("TagKey={}", key.text()));
        }
    }
    if let Some(Tree::List(keys)) = tree.get("TagKeys", duplicate) {
        all.extend(keys.iter().map(|key| format!("TagKey={}", key.text())));
    }
    for list in ["StreamConfigurationList", "StreamFilter"] {
        let elements = match tree.get(list, duplicate) {
            Some(Tree::List(elements)) => elements.as_slice(),
            Some(map @ Tree::Map(_)) => std::slice::from_ref(map),
            _ => &[],
        };
        for element in elements {
            match element.get("StreamARN", duplicate) {
                None | Some(Tree::Null) => {}
                Some(arn) => all.push(format!("{list}={}", arn.text())),
            }
        }
    }
    all.sort();
    all
}

impl Tree {
    pub fn get(&self, key: &str, duplicate: DuplicateKey) -> Option<&Tree> {
        let Tree::Map(pairs) = self else {
            return None;
        };
        let mut found = pairs
            .iter()
            .filter(|(known, _)| matches!(known, Tree::Text(text) if text == key));
        match duplicate {
            DuplicateKey::First => found.next(),
            DuplicateKey::Last => found.next_back(),
        }
        .map(|(_, value)| value)
    }

    fn text(&self) -> &str {
        match self {
            Tree::Text(text) => text,
            _ => "no text",
        }
    }
}

impl From<Value> for Tree {
    fn from(value: Value) -> Tree {
        match value {
            Value::Null => Tree::Null,
            Value::Text(text) => Tree::Text(text),
            Value::Array(items) => Tree::List(items.into_iter().map(Tree::from).collect()),
            Value::Map(pairs) => {
                let pairs = pairs
                    .into_iter()
                    .map(|(key, value)| (Tree::from(key), Tree::from(value)));
                Tree::Map(pairs.collect())
            }
            // A parser that does not know a tag reads the tagged value.
            Value::Tag(_, inner) => Tree::from(*inner),
            _ => Tree::Other,
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("anything")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some((key, value)) = pairs.next_entry::<String, Tree>()? {
            map.push((Tree::Text(key), value));
        }
        Ok(Tree::Map(map))
    }
}
