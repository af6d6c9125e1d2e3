//! The shape of `[tokens]`.

use std::path::PathBuf;
use std::time::Duration;

use toml_span::de_helpers::TableHelper;
use toml_span::{DeserError, Deserialize, Value};

use super::values::{Span, custom};
use super::{Redis, Tokens};

/// Much longer than a store in the same zone needs, and short beside what clients wait for.
const TIMEOUT: Duration = Duration::from_millis(100);
/// 4 GiB of bindings.
const MOST: usize = 1 << 27;

impl<'de> Deserialize<'de> for Tokens {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let capacity = table
            .optional("capacity")
            .unwrap_or(Tokens::default().capacity);
        let store = table.optional::<String>("store");
        let url = table.optional::<String>("url");
        let mut path = |name| table.optional::<String>(name).map(PathBuf::from);
        let (password_file, ca_file) = (path("password-file"), path("ca-file"));
        let key_file = path("key-file");
        let timeout = table.optional::<Span>("timeout").map(|span| span.0);
        table.finalize(None)?;
        if capacity == 0 || capacity > MOST {
            return Err(custom(
                value,
                &format!("`capacity` must be from 1 to {MOST}"),
            ));
        }
        let redis = match (store.as_deref().unwrap_or("memory"), url, key_file) {
            ("redis", Some(url), Some(key_file)) => Some(Redis {
                url,
                password_file,
                ca_file,
                key_file,
                timeout: timeout.unwrap_or(TIMEOUT),
            }),
            ("redis", _, _) => {
                return Err(custom(
                    value,
                    "`store = \"redis\"` needs a `url` and a `key-file`",
                ));
            }
            ("memory", None, None)
                if password_file.is_none() && ca_file.is_none() && timeout.is_none() =>
            {
                None
            }
            ("memory", _, _) => {
                return Err(custom(
                    value,
                    "`url`, `password-file`, `ca-file`, `key-file` and `timeout` are for \
                     `store = \"redis\"`",
                ));
            }
            (other, _, _) => {
                return Err(custom(
                    value,
                    &format!("`store` is `{other}`, neither \"memory\" nor \"redis\""),
                ));
            }
        };
        Ok(Tokens { capacity, redis })
    }
}
