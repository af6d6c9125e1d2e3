//! Token bindings in Redis or Valkey, which the replicas of a gateway share.
//!
//! The store holds authenticated bindings under the hashes of tokens. A binding that cannot be read
//! in time, or was not written with the gate's key, is unknown: it never opens anything.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, FromRedisValue, IntoConnectionInfo, RedisError,
    TlsCertificates,
};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::LIFETIME_SECONDS;
use super::keyed_hash::{HashKey, TokenHash};

/// The address of the shared store.
#[derive(Clone)]
pub struct RedisSettings {
    /// The client, which does not connect by itself.
    client: Client,
    /// The timeout of connecting, and of each command.
    timeout: Duration,
}

/// One event loop's connection to the shared store. It opens when first needed, and again after it
/// has failed.
pub(super) struct RedisStore {
    settings: RedisSettings,
    connection: RefCell<Option<(u64, MultiplexedConnection)>>,
    /// Held while a connection opens, so that a burst of requests opens a single one.
    connect_lock: Mutex<()>,
    /// The number of connections opened so far, which is the number of the last one.
    connect_count: Cell<u64>,
    /// After a failure, commands fail at once until this time, instead of waiting for an outage.
    backoff_until: Cell<Option<Instant>>,
}

/// The shared store did not answer in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreUnavailable;

/// A binding, as replicas exchange it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Binding {
    /// When the binding expires, in seconds since 1970.
    pub(super) expires: u32,
    pub(super) stream: String,
}

const BACKOFF: Duration = Duration::from_secs(1);
const KEY_PREFIX: &str = "kinesis-gate:token:";
const EXPIRES_BYTES: usize = 4;
const MAC_BYTES: usize = 16;

/// In place of a binding, for a token that two streams claim. It carries no authentication code.
const CONFLICT: &[u8] = b"2";

impl RedisSettings {
    /// The store at a URL (`redis`, `rediss`, `valkey`, `valkeys`, `redis+unix`), with a password
    /// and a trusted root (PEM) if they are not the URL's and the system's.
    ///
    /// # Errors
    /// The reason that they are invalid, without the URL and the password.
    pub fn new(
        url: &str,
        password: Option<&str>,
        root: Option<Vec<u8>>,
        timeout: Duration,
    ) -> Result<RedisSettings, String> {
        // The library's message contains none of the URL's text.
        let message = |error: RedisError| error.to_string().to_lowercase();
        let mut info = url.into_connection_info().map_err(message)?;
        if let Some(password) = password {
            let settings = info.redis_settings().clone().set_password(password);
            info = info.set_redis_settings(settings);
        }
        let client = match root {
            Some(root) => Client::build_with_tls(
                info,
                TlsCertificates {
                    client_tls: None,
                    root_cert: Some(root),
                },
            ),
            None => Client::open(info),
        };
        Ok(RedisSettings {
            client: client.map_err(message)?,
            timeout,
        })
    }
}

impl RedisStore {
    pub(super) fn new(settings: RedisSettings) -> RedisStore {
        RedisStore {
            settings,
            connection: RefCell::default(),
            connect_lock: Mutex::default(),
            connect_count: Cell::new(0),
            backoff_until: Cell::new(None),
        }
    }

    /// Writes a binding. If the token is bound to another stream, marks the token as a conflict.
    pub(super) async fn publish(
        &self,
        key: &HashKey,
        token: TokenHash,
        binding: &Binding,
    ) -> Result<(), StoreUnavailable> {
        let mut exchange = set_command(token, &encode(key, token, binding));
        exchange.arg("GET");
        let before: Option<Vec<u8>> = self.run(&exchange).await?;
        let conflicts = before.is_some_and(|before| {
            decode(key, token, &before).is_none_or(|before| before.stream != binding.stream)
        });
        if conflicts {
            let () = self.run(&set_command(token, CONFLICT)).await?;
        }
        Ok(())
    }

    /// Reads the binding that any replica published.
    pub(super) async fn fetch(
        &self,
        key: &HashKey,
        token: TokenHash,
    ) -> Result<Option<Binding>, StoreUnavailable> {
        let mut command = redis::cmd("GET");
        command.arg(redis_key(token));
        let value: Option<Vec<u8>> = self.run(&command).await?;
        Ok(value.and_then(|value| decode(key, token, &value)))
    }

    async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, StoreUnavailable> {
        let backoff_until = self.backoff_until.get();
        if backoff_until.is_some_and(|end| Instant::now() < end) {
            return Err(StoreUnavailable);
        }
        let reply = async {
            let (number, mut connection) = self.connect().await?;
            command
                .query_async(&mut connection)
                .await
                .map_err(|_| Some(number))
        };
        match timeout(self.settings.timeout, reply).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(number)) => Err(self.disconnect(number)),
            Err(_) => Err(self.disconnect(Some(self.connect_count.get()))),
        }
    }

    /// The connection and its number. The error is `None`: no connection was opened.
    async fn connect(&self) -> Result<(u64, MultiplexedConnection), Option<u64>> {
        let current = || self.connection.borrow().clone();
        if let Some(connection) = current() {
            return Ok(connection);
        }
        let _guard = self.connect_lock.lock().await;
        if let Some(connection) = current() {
            return Ok(connection);
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.settings.timeout))
            .set_response_timeout(Some(self.settings.timeout));
        let client = &self.settings.client;
        let connection = client
            .get_multiplexed_async_connection_with_config(&config)
            .await
            .map_err(|_| None)?;
        let number = self.connect_count.get() + 1;
        self.connect_count.set(number);
        *self.connection.borrow_mut() = Some((number, connection.clone()));
        Ok((number, connection))
    }

    /// Drops the connection that failed, if it is still the current one, and backs off.
    fn disconnect(&self, number: Option<u64>) -> StoreUnavailable {
        let mut connection = self.connection.borrow_mut();
        if connection.as_ref().map(|(number, _)| *number) == number {
            *connection = None;
        }
        self.backoff_until.set(Some(Instant::now() + BACKOFF));
        StoreUnavailable
    }
}

fn redis_key(token: TokenHash) -> String {
    let mut key = KEY_PREFIX.to_owned();
    for byte in token.0 {
        key += &format!("{byte:02x}");
    }
    key
}

fn set_command(token: TokenHash, value: &[u8]) -> Cmd {
    let mut command = redis::cmd("SET");
    command.arg(redis_key(token)).arg(value);
    command.arg("EX").arg(LIFETIME_SECONDS);
    command
}

/// Expiry, authentication code, stream.
fn encode(key: &HashKey, token: TokenHash, binding: &Binding) -> Vec<u8> {
    let (expires, stream) = (binding.expires.to_be_bytes(), binding.stream.as_bytes());
    let mac = key.mac(token, expires, stream);
    [expires.as_slice(), &mac, stream].concat()
}

/// The binding; `None` if it is not authentic.
fn decode(key: &HashKey, token: TokenHash, value: &[u8]) -> Option<Binding> {
    let (expires, rest) = value.split_first_chunk::<EXPIRES_BYTES>()?;
    let (mac, stream) = rest.split_at_checked(MAC_BYTES)?;
    if !key.is_authentic(token, *expires, stream, mac) {
        return None;
    }
    Some(Binding {
        expires: u32::from_be_bytes(*expires),
        stream: std::str::from_utf8(stream).ok()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Binding, HashKey, RedisSettings, decode, encode};

    #[test]
    fn only_a_value_that_was_encoded_with_the_key_for_the_token_is_a_binding() {
        let key = HashKey::shared(&[7; 32]).unwrap();
        let token = key.hash_token("GetRecords", "token");
        let other = key.hash_token("GetRecords", "other");
        let binding = Binding {
            expires: 1300,
            stream: "arn:aws:kinesis:us-east-1:123456789012:stream/orders".to_owned(),
        };
        let value = encode(&key, token, &binding);
        assert_eq!(decode(&key, token, &value), Some(binding));
        assert_eq!(decode(&key, other, &value), None);
        let other_key = HashKey::shared(&[8; 32]).unwrap();
        assert_eq!(decode(&other_key, token, &value), None);
        for at in 0..value.len() {
            let mut damaged = value.clone();
            damaged[at] ^= 1;
            assert_eq!(decode(&key, token, &damaged), None, "byte {at}");
            assert_eq!(decode(&key, token, &value[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn errors_repeat_neither_url_nor_password() {
        for url in [
            "http://user:secret@host/",
            "redis://user:secret@host/secret",
            "redis://user:secret@/",
            "secret",
        ] {
            let error = RedisSettings::new(url, Some("secret"), None, Duration::from_millis(100));
            let error = error.err().expect("no store's URL");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
