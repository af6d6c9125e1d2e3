//! Everything that a body names, in one form, whoever read it.

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

/// What another reader made of a body: repeated keys are all there.
#[derive(Debug)]
pub enum Tree {
    Null,
    Text(String),
    Map(Vec<(Tree, Tree)>),
    List(Vec<Tree>),
    Other,
}

/// Which of repeated keys a reader believes.
#[derive(Clone, Copy)]
pub enum Wins {
    First,
    Last,
}

/// Scans a body in pieces of so many bytes.
pub fn scan(format: WireFormat, body: &[u8], step: usize) -> Option<Scanner> {
    let mut scanner = Scanner::new(format);
    body.chunks(step)
        .try_for_each(|piece| scanner.push(piece))
        .ok()?;
    scanner.finish().ok()?;
    Some(scanner)
}

/// What the scanner says, sorted: tag keys of both members are in one list.
pub fn named_by(members: &Members) -> Vec<String> {
    let texts = MEMBERS.iter().filter_map(|member| {
        let text = members.text(*member)?;
        Some(format!("{}={text}", member.name()))
    });
    let mut named: Vec<String> = texts.collect();
    named.extend(
        members
            .tags()
            .map(|(key, value)| format!("Tags[{key}]={value}")),
    );
    named.extend(members.tag_keys().map(|key| format!("TagKey={key}")));
    let configured = members.stream_configuration_arns();
    named.extend(configured.map(|arn| format!("StreamConfigurationList={arn}")));
    named.extend(
        members
            .stream_filter_arns()
            .map(|arn| format!("StreamFilter={arn}")),
    );
    named.sort();
    named
}

/// What another reader says. A member of a wrong type is told as such, and nothing of ours is equal.
pub fn of_tree(tree: &Tree, wins: Wins) -> Vec<String> {
    let mut named = Vec::new();
    for member in MEMBERS {
        match tree.get(member.name(), wins) {
            None | Some(Tree::Null) => {}
            Some(Tree::Text(text)) => named.push(format!("{}={text}", member.name())),
            Some(_) => named.push(format!("{} is no text", member.name())),
        }
    }
    if let Some(Tree::Map(pairs)) = tree.get("Tags", wins) {
        for (key, value) in pairs {
            named.push(format!("Tags[{}]={}", key.text(), value.text()));
            named.push(format!("TagKey={}", key.text()));
        }
    }
    if let Some(Tree::List(keys)) = tree.get("TagKeys", wins) {
        named.extend(keys.iter().map(|key| format!("TagKey={}", key.text())));
    }
    for list in ["StreamConfigurationList", "StreamFilter"] {
        let elements = match tree.get(list, wins) {
            Some(Tree::List(elements)) => elements.as_slice(),
            Some(one @ Tree::Map(_)) => std::slice::from_ref(one),
            _ => &[],
        };
        for element in elements {
            match element.get("StreamARN", wins) {
                None | Some(Tree::Null) => {}
                Some(arn) => named.push(format!("{list}={}", arn.text())),
            }
        }
    }
    named.sort();
    named
}

impl Tree {
    pub fn get(&self, key: &str, wins: Wins) -> Option<&Tree> {
        let Tree::Map(pairs) = self else {
            return None;
        };
        let mut found = pairs
            .iter()
            .filter(|(known, _)| matches!(known, Tree::Text(text) if text == key));
        match wins {
            Wins::First => found.next(),
            Wins::Last => found.next_back(),
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
            // Readers that do not know a tag take what it stands on.
            Value::Tag(_, inner) => Tree::from(*inner),
            _ => Tree::Other,
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
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
