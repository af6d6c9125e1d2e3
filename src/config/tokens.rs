//! `[tokens]`: the token bindings of shard iterators and `NextToken`s, in memory or in Redis.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::parse::{FromTable, Table};

/// `[tokens]`: bindings of shard iterators and `NextToken`s to streams, for policies that
/// distinguish streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tokens {
    /// The most token bindings at once, in the whole process.
    pub capacity: usize,
    /// The store that replicas of a gateway share; if absent, each replica has its own in memory.
    pub redis: Option<Redis>,
}

/// `store = "redis"` in `[tokens]`: Redis 6.2 or newer, or Valkey.
#[derive(Clone, PartialEq, Eq)]
pub struct Redis {
    /// The URL, which may hold a password: `redis://`, `rediss://`, `valkey://`, `valkeys://` or
    /// `redis+unix://`.
    pub url: String,
    /// A file with the password.
    pub password_file: Option<PathBuf>,
    /// Trusted roots instead of the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// A file with the secret key of the token hashes, the same for all replicas.
    pub key_file: PathBuf,
    /// The timeout of connecting, and of each command.
    pub timeout: Duration,
}

/// Much longer than a store in the same zone needs, and short compared to clients' timeouts.
const TIMEOUT: Duration = Duration::from_millis(100);
/// 4 GiB of bindings.
const MAX_CAPACITY: usize = 1 << 27;

impl Default for Tokens {
    fn default() -> Tokens {
        Tokens {
            capacity: 1 << 18,
            redis: None,
        }
    }
}

/// A URL may hold a password.
impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("key_file", &self.key_file)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl FromTable for Tokens {
    fn from_table(table: &mut Table<'_>) -> Option<Tokens> {
        let mut tokens = Tokens::default();
        table.set("capacity", &mut tokens.capacity);
        let store: Option<String> = table.optional("store");
        let url = table.optional("url");
        let password_file: Option<PathBuf> = table.optional("password-file");
        let ca_file: Option<PathBuf> = table.optional("ca-file");
        let key_file = table.optional("key-file");
        let timeout: Option<Duration> = table.optional("timeout");
        table.sound()?;
        table.refuse_if(
            !(1..=MAX_CAPACITY).contains(&tokens.capacity),
            format_args!("`capacity` must be from 1 to {MAX_CAPACITY}"),
        );
        let has_options = password_file.is_some() || ca_file.is_some() || timeout.is_some();
        tokens.redis = match (store.as_deref().unwrap_or("memory"), url, key_file) {
            ("redis", Some(url), Some(key_file)) => Some(Redis {
                url,
                password_file,
                ca_file,
                key_file,
                timeout: timeout.unwrap_or(TIMEOUT),
            }),
            ("redis", _, _) => table.refuse("`store = \"redis\"` needs a `url` and a `key-file`"),
            ("memory", None, None) if !has_options => None,
            ("memory", _, _) => table.refuse(
                "`url`, `password-file`, `ca-file`, `key-file` and `timeout` are for \
                 `store = \"redis\"`",
            ),
            (other, _, _) => table.refuse(format_args!(
                "`store` is `{other}`, neither \"memory\" nor \"redis\""
            )),
        };
        Some(tokens)
    }
}
