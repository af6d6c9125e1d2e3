//! `[[rate]]`: rate limits, in requests a second.

use toml_span::value::ValueInner;

use super::parse::{FromTable, Table, TomlValue};

/// `[[rate]]`: a limit on the requests a second that reach Kinesis, for each key.
#[derive(Debug, Clone, PartialEq)]
pub struct RateLimit {
    /// The limit's name in the log and the metrics.
    pub name: String,
    /// The key that requests are counted by.
    pub per: RateLimitKey,
    /// Requests a second, in the long run.
    pub requests: f64,
    /// Requests at once, after an idle time.
    pub burst: u32,
    /// The limited principals: `*`, account ids, or ARNs. If empty, all.
    pub principals: Vec<String>,
    /// The limited streams: names or ARNs, with wildcards. If empty, all, and requests without any.
    pub streams: Vec<String>,
    /// The limited actions, as in policies. If empty, all.
    pub actions: Vec<String>,
    /// The number of keys that are counted at once.
    pub keys: usize,
}

/// The key that a rate limit counts requests by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RateLimitKey {
    /// The caller.
    Principal,
    /// The stream.
    Stream,
    /// Both together.
    PrincipalAndStream,
}

const MIN_REQUESTS: f64 = 0.001;
const MAX_REQUESTS: f64 = 1e6;
const MAX_BURST: u32 = 1_000_000;
/// 256 KiB.
const DEFAULT_KEYS: usize = 1 << 14;
/// 256 MiB.
const MAX_KEYS: usize = 1 << 24;
const MAX_NAME_BYTES: usize = 64;

impl FromTable for RateLimit {
    fn from_table(table: &mut Table<'_>) -> Option<RateLimit> {
        let name: Option<String> = table.required("name");
        let keys = [
            ("principal", RateLimitKey::Principal),
            ("stream", RateLimitKey::Stream),
            ("principal-and-stream", RateLimitKey::PrincipalAndStream),
        ];
        let per = table.required_with("per", |value| value.choice(&keys));
        let requests = table.required_with("requests", requests_per_second);
        let burst = table.optional("burst");
        let mut list = |key| table.optional::<Vec<String>>(key);
        let lists = [list("principals"), list("streams"), list("actions")];
        let keys = table.optional("keys").unwrap_or(DEFAULT_KEYS);
        table.refuse_if(
            !name.as_deref().is_none_or(is_name),
            "`name` must be 1 to 64 letters, digits, `-`, `_` or `.`",
        );
        table.refuse_if(
            burst.is_some_and(|burst| !(1..=MAX_BURST).contains(&burst)),
            "`burst` must be from 1 to 1000000 requests",
        );
        table.refuse_if(
            !(1..=MAX_KEYS).contains(&keys),
            "`keys` must be from 1 to 16777216",
        );
        table.refuse_if(
            lists.iter().flatten().any(Vec::is_empty),
            "a list is empty: the rule would hold for nothing",
        );
        let [principals, streams, actions] = lists.map(Option::unwrap_or_default);
        let requests = requests?;
        Some(RateLimit {
            name: name?,
            per: per?,
            requests,
            // As many as the requests of one second.
            burst: burst.unwrap_or(requests.ceil() as u32),
            principals,
            streams,
            actions,
            keys,
        })
    }
}

/// An integer or a decimal number.
fn requests_per_second(mut value: TomlValue<'_>) -> Option<f64> {
    let requests = match value.take() {
        ValueInner::Integer(requests) => requests as f64,
        ValueInner::Float(requests) => requests,
        other => return value.refuse_type("requests a second", other),
    };
    match (MIN_REQUESTS..=MAX_REQUESTS).contains(&requests) {
        true => Some(requests),
        false => value.refuse("must be from 0.001 to 1000000 requests a second"),
    }
}

fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}
