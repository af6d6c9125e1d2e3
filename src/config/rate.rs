//! The shape of `[[rate]]`.

use toml_span::de_helpers::{TableHelper, expected};
use toml_span::value::ValueInner;
use toml_span::{DeserError, Deserialize, Value};

use super::read::both;
use super::values::custom;

/// `[[rate]]`: how many requests a second go on to Kinesis, counted by principal, stream or both.
#[derive(Debug, Clone, PartialEq)]
pub struct Rate {
    /// What the log and the metrics call it.
    pub name: String,
    /// What is counted apart.
    pub per: Per,
    /// In a second, in the long run.
    pub requests: f64,
    /// At once, after a rest.
    pub burst: u32,
    /// Whose requests it is for: `*`, account ids, or ARNs. Empty, everybody's.
    pub principals: Vec<String>,
    /// The streams it is for: names or ARNs, with wildcards. Empty, all, and requests on none.
    pub streams: Vec<String>,
    /// The actions it is for, as in policies. Empty, all.
    pub actions: Vec<String>,
    /// What is counted apart at once.
    pub keys: usize,
}

/// What a rule counts apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// Who asks.
    Principal,
    /// What is asked for.
    Stream,
    /// Both together.
    PrincipalAndStream,
}

/// Requests a second: an integer or a decimal number.
struct PerSecond(f64);

const SLOWEST: f64 = 0.001;
const FASTEST: f64 = 1e6;
/// Of a burst.
const MOST: u32 = 1_000_000;
/// 256 KiB.
const KEYS: usize = 1 << 14;
/// 256 MiB.
const MOST_KEYS: usize = 1 << 24;
const LONGEST_NAME: usize = 64;

impl<'de> Deserialize<'de> for PerSecond {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let requests = match value.take() {
            ValueInner::Integer(requests) => requests as f64,
            ValueInner::Float(requests) => requests,
            other => return Err(expected("requests a second", other, value.span).into()),
        };
        if (SLOWEST..=FASTEST).contains(&requests) {
            Ok(PerSecond(requests))
        } else {
            Err(custom(
                value,
                "must be from 0.001 to 1000000 requests a second",
            ))
        }
    }
}

impl<'de> Deserialize<'de> for Per {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        match value.take_string(None)?.as_ref() {
            "principal" => Ok(Per::Principal),
            "stream" => Ok(Per::Stream),
            "principal-and-stream" => Ok(Per::PrincipalAndStream),
            other => {
                let message = format!(
                    "`{other}` is neither \"principal\", \"stream\" nor \"principal-and-stream\""
                );
                Err(custom(value, &message))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let name = table.required::<String>("name");
        let per = table.required("per");
        let requests = table.required::<PerSecond>("requests");
        let burst = table.optional::<u32>("burst");
        let mut list = |name| table.optional::<Vec<String>>(name);
        let lists = [list("principals"), list("streams"), list("actions")];
        let keys = table.optional("keys").unwrap_or(KEYS);
        let read = table.finalize(None);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_name =
            |name: &String| (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(plain);
        let wrong = [
            (!name.as_ref().is_ok_and(is_name) && name.is_ok())
                .then_some("`name` must be 1 to 64 letters, digits, `-`, `_` or `.`"),
            burst
                .is_some_and(|burst| !(1..=MOST).contains(&burst))
                .then_some("`burst` must be from 1 to 1000000 requests"),
            (!(1..=MOST_KEYS).contains(&keys)).then_some("`keys` must be from 1 to 16777216"),
            lists
                .iter()
                .flatten()
                .any(Vec::is_empty)
                .then_some("a list is empty: the rule would hold for nothing"),
        ];
        let wrong = wrong.into_iter().flatten();
        wrong.fold(read.map(|_| ()), |read, message| {
            both(read, Err(custom(value, message)))
        })?;
        let [principals, streams, actions] = lists.map(Option::unwrap_or_default);
        let PerSecond(requests) = requests?;
        Ok(Rate {
            name: name?,
            per: per?,
            requests,
            // What comes in a second.
            burst: burst.unwrap_or(requests.ceil() as u32),
            principals,
            streams,
            actions,
            keys,
        })
    }
}
