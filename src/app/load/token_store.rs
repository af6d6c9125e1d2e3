//! The token store: in memory, or shared through Redis.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config;
use crate::tokens::{HashKey, RedisSettings, TokenStore};

use super::loader::Loader;

impl Loader<'_> {
    /// The store. It connects later, so that a gateway starts without its shared store. If no
    /// policy needs token bindings, it stays empty and takes no memory.
    pub(super) fn tokens(&mut self, config: &config::Tokens) -> Option<Arc<TokenStore>> {
        let (key, shared) = match &config.redis {
            Some(redis) => {
                let (key, settings) = self.redis(redis)?;
                (key, Some(settings))
            }
            None => {
                let key = HashKey::random().map_err(|error| format!("no random key: {error}"));
                (self.accept("tokens", key)?, None)
            }
        };
        Some(Arc::new(TokenStore::new(key, config.capacity, shared)))
    }

    fn redis(&mut self, redis: &config::Redis) -> Option<(HashKey, RedisSettings)> {
        let secret = self.read("tokens.key-file", &redis.key_file)?;
        let key = HashKey::shared(secret.trim().as_bytes()).ok_or_else(|| {
            format!(
                "`{}` holds fewer than {} characters: make one with `openssl rand -hex 32`",
                redis.key_file.display(),
                HashKey::MIN_BYTES
            )
        });
        let key = self.accept("tokens.key-file", key);
        let mut read = |path, file: &Option<PathBuf>| match file {
            Some(file) => self.read(path, file).map(Some),
            None => Some(None),
        };
        let password = read("tokens.password-file", &redis.password_file)?;
        let root = read("tokens.ca-file", &redis.ca_file)?.map(String::into_bytes);
        let password = password.as_deref().map(str::trim);
        let settings = RedisSettings::new(&redis.url, password, root, redis.timeout)
            .map_err(|error| format!("no store: {error}"));
        key.zip(self.accept("tokens.url", settings))
    }
}
