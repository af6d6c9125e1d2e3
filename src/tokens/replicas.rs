//! The store that replicas of a gateway share: Redis or Valkey.
//!
//! It holds sealed bindings under the hashes of tokens. What cannot be read from it in time, or was
//! not sealed with our key, is not known: never is anything opened by it.

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
use super::key::{Digest, Key};

/// Where the shared store is.
#[derive(Clone)]
pub struct Settings {
    /// Opens nothing by itself.
    client: Client,
    /// For connecting and for each command.
    timeout: Duration,
}

/// One event loop's connection to the shared store: opened when it is needed first, and again when
/// it broke.
pub(super) struct Replicas {
    settings: Settings,
    connection: RefCell<Option<(u64, MultiplexedConnection)>>,
    /// Held while a connection is opened, so that a burst opens one and not one each.
    opening: Mutex<()>,
    opened: Cell<u64>,
    /// After a failure nobody asks for a while, so that an outage is not waited for again and again.
    paused_until: Cell<Option<Instant>>,
}

/// The store did not answer, or not in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreachable;

/// A binding, as replicas share it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Binding {
    /// In seconds since 1970.
    pub(super) expires: u32,
    pub(super) stream: String,
}

/// How long nobody asks after a failure.
const PAUSE: Duration = Duration::from_secs(1);
const PREFIX: &str = "kinesis-gate:token:";
const EXPIRES_BYTES: usize = 4;
const SEAL_BYTES: usize = 16;

/// In place of a binding: two streams were claimed for the token. It carries no seal.
const CONTESTED: &[u8] = b"2";

impl Settings {
    /// The store at a URL (`redis`, `rediss`, `valkey`, `valkeys`, `redis+unix`), with its password
    /// and the root to trust (PEM) if they are not the URL's and the system's.
    ///
    /// # Errors
    /// What is wrong with them; neither URL nor password is repeated.
    pub fn new(
        url: &str,
        password: Option<&str>,
        root: Option<Vec<u8>>,
        timeout: Duration,
    ) -> Result<Settings, String> {
        // The message of the library holds none of the URL's text.
        let says = |error: RedisError| error.to_string().to_lowercase();
        let mut info = url.into_connection_info().map_err(says)?;
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
        Ok(Settings {
            client: client.map_err(says)?,
            timeout,
        })
    }
}

impl Replicas {
    pub(super) fn new(settings: Settings) -> Replicas {
        Replicas {
            settings,
            connection: RefCell::default(),
            opening: Mutex::default(),
            opened: Cell::new(0),
            paused_until: Cell::new(None),
        }
    }

    /// Tells the other replicas of a binding.
    pub(super) async fn share(
        &self,
        key: &Key,
        digest: Digest,
        binding: &Binding,
    ) -> Result<(), Unreachable> {
        let mut set = set(digest, &seal(key, digest, binding));
        set.arg("GET");
        let before: Option<Vec<u8>> = self.ask(&set).await?;
        let claimed = before.is_some_and(|before| {
            unseal(key, digest, &before).is_none_or(|known| known.stream != binding.stream)
        });
        if claimed {
            let () = self.ask(&self::set(digest, CONTESTED)).await?;
        }
        Ok(())
    }

    /// The binding that some replica told of.
    pub(super) async fn binding(
        &self,
        key: &Key,
        digest: Digest,
    ) -> Result<Option<Binding>, Unreachable> {
        let mut get = redis::cmd("GET");
        get.arg(name(digest));
        let found: Option<Vec<u8>> = self.ask(&get).await?;
        Ok(found.and_then(|found| unseal(key, digest, &found)))
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Unreachable> {
        if self
            .paused_until
            .get()
            .is_some_and(|end| Instant::now() < end)
        {
            return Err(Unreachable);
        }
        let asked = async {
            let (number, mut connection) = self.connected().await?;
            command
                .query_async(&mut connection)
                .await
                .map_err(|_| Some(number))
        };
        match timeout(self.settings.timeout, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(number)) => Err(self.failed(number)),
            Err(_) => Err(self.failed(Some(self.opened.get()))),
        }
    }

    /// The connection and its number; the error is that of a connection that never was.
    async fn connected(&self) -> Result<(u64, MultiplexedConnection), Option<u64>> {
        let open = || self.connection.borrow().clone();
        if let Some(connection) = open() {
            return Ok(connection);
        }
        let _opening = self.opening.lock().await;
        if let Some(connection) = open() {
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
        let number = self.opened.get() + 1;
        self.opened.set(number);
        *self.connection.borrow_mut() = Some((number, connection.clone()));
        Ok((number, connection))
    }

    /// Drops the connection that failed, if it is still the one in use.
    fn failed(&self, number: Option<u64>) -> Unreachable {
        let mut connection = self.connection.borrow_mut();
        if connection.as_ref().map(|(number, _)| *number) == number {
            *connection = None;
        }
        self.paused_until.set(Some(Instant::now() + PAUSE));
        Unreachable
    }
}

fn name(digest: Digest) -> String {
    let mut name = PREFIX.to_owned();
    for byte in digest.0 {
        name += &format!("{byte:02x}");
    }
    name
}

fn set(digest: Digest, value: &[u8]) -> Cmd {
    let mut set = redis::cmd("SET");
    set.arg(name(digest)).arg(value);
    set.arg("EX").arg(LIFETIME_SECONDS);
    set
}

/// Expiry, seal, stream.
fn seal(key: &Key, digest: Digest, binding: &Binding) -> Vec<u8> {
    let (expires, stream) = (binding.expires.to_be_bytes(), binding.stream.as_bytes());
    let seal = key.seal(digest, expires, stream);
    [expires.as_slice(), &seal, stream].concat()
}

fn unseal(key: &Key, digest: Digest, value: &[u8]) -> Option<Binding> {
    let (expires, rest) = value.split_first_chunk::<EXPIRES_BYTES>()?;
    let (seal, stream) = rest.split_at_checked(SEAL_BYTES)?;
    if !key.sealed(digest, *expires, stream, seal) {
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

    use super::{Binding, Key, Settings, seal, unseal};

    #[test]
    fn only_what_was_sealed_with_the_key_for_the_token_is_a_binding() {
        let key = Key::shared(&[7; 32]).unwrap();
        let digest = key.digest("GetRecords", "token");
        let other = key.digest("GetRecords", "other");
        let binding = Binding {
            expires: 1300,
            stream: "arn:aws:kinesis:us-east-1:123456789012:stream/orders".to_owned(),
        };
        let value = seal(&key, digest, &binding);
        assert_eq!(unseal(&key, digest, &value), Some(binding));
        assert_eq!(unseal(&key, other, &value), None);
        assert_eq!(
            unseal(&Key::shared(&[8; 32]).unwrap(), digest, &value),
            None
        );
        for at in 0..value.len() {
            let mut changed = value.clone();
            changed[at] ^= 1;
            assert_eq!(unseal(&key, digest, &changed), None, "byte {at}");
            assert_eq!(unseal(&key, digest, &value[..at]), None, "cut at {at}");
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
            let error = Settings::new(url, Some("secret"), None, Duration::from_millis(100));
            let error = error.err().expect("no store's URL");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
