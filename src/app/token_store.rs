//! Where the process remembers what opaque tokens stand for.

use std::sync::Arc;

use crate::config;
use crate::observe::{Clock, Gauge};
use crate::tokens::{HashKey, RedisSettings, TokenStore};

use super::load::Opening;

/// How full it is.
pub(super) fn gauges(store: &Arc<TokenStore>, clock: Clock) -> [Gauge; 2] {
    let gauge = |name, help, of: fn(&TokenStore, Clock) -> usize| {
        let store = Arc::clone(store);
        Gauge {
            name,
            help,
            label: None,
            value: Arc::new(move || i64::try_from(of(&store, clock)).unwrap_or(i64::MAX)),
        }
    };
    [
        gauge(
            "tokens",
            "Opaque tokens that are bound to a stream in memory, and alive",
            |store, clock| store.count_alive(clock()),
        ),
        gauge(
            "tokens_capacity",
            "Opaque tokens that there is room for in memory",
            |store, _| store.capacity(),
        ),
    ]
}

impl Opening<'_> {
    /// The store; `None` if it cannot be opened. Nobody is connected to yet: a gateway starts
    /// without its shared store. Where no policy makes it necessary to know a token, it stays empty
    /// and takes no memory.
    pub(super) fn tokens(&mut self, config: &config::Tokens) -> Option<Arc<TokenStore>> {
        let (key, shared) = match &config.redis {
            Some(redis) => {
                let (key, settings) = self.redis(redis)?;
                (key, Some(settings))
            }
            None => match HashKey::random() {
                Ok(key) => (key, None),
                Err(error) => {
                    self.problem("tokens", format_args!("no random key: {error}"));
                    return None;
                }
            },
        };
        Some(Arc::new(TokenStore::new(key, config.capacity, shared)))
    }

    fn redis(&mut self, redis: &config::Redis) -> Option<(HashKey, RedisSettings)> {
        let secret = self.read("tokens.key-file", &redis.key_file)?;
        let key = HashKey::shared(secret.trim().as_bytes());
        if key.is_none() {
            self.problem(
                "tokens.key-file",
                format_args!(
                    "`{}` holds fewer than {} characters: make one with `openssl rand -hex 32`",
                    redis.key_file.display(),
                    HashKey::MIN_BYTES
                ),
            );
        }
        let password = match &redis.password_file {
            Some(file) => Some(self.read("tokens.password-file", file)?),
            None => None,
        };
        let root = match &redis.ca_file {
            Some(file) => Some(self.read("tokens.ca-file", file)?.into_bytes()),
            None => None,
        };
        let password = password.as_deref().map(str::trim);
        let settings = RedisSettings::new(&redis.url, password, root, redis.timeout)
            .map_err(|error| self.problem("tokens.url", format_args!("no store: {error}")))
            .ok();
        key.zip(settings)
    }
}
