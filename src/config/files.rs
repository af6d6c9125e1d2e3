//! What a configuration names in the file system, and what of it cannot change while a process runs.

use std::path::{Path, PathBuf};

use toml_span::de_helpers::TableHelper;
use toml_span::{DeserError, Deserialize, Value};

use super::values::custom;
use super::{Config, EndpointPolicy, ListenerTls};

/// `[reload]`: taking over what changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reload {
    /// Whether files are watched. Without, SIGHUP and the admin port reload.
    pub watch: bool,
    /// What becomes of open event streams that what was reloaded denies.
    pub on_reload: OnReload,
}

/// What becomes of an open event stream of a consumer that a reload denies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnReload {
    /// It goes on to its end, at most five minutes after it began; the next is denied.
    #[default]
    Finish,
    /// It breaks off.
    Terminate,
}

impl Default for Reload {
    fn default() -> Reload {
        Reload {
            watch: true,
            on_reload: OnReload::default(),
        }
    }
}

impl<'de> Deserialize<'de> for Reload {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let reload = Reload {
            watch: table.optional("watch").unwrap_or(true),
            on_reload: table.optional("on-reload").unwrap_or_default(),
        };
        table.finalize(None)?;
        Ok(reload)
    }
}

impl<'de> Deserialize<'de> for OnReload {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        match value.take_string(None)?.as_ref() {
            "finish" => Ok(OnReload::Finish),
            "terminate" => Ok(OnReload::Terminate),
            other => {
                let message = format!("`{other}` is neither \"finish\" nor \"terminate\"");
                Err(custom(value, &message))
            }
        }
    }
}

impl Config {
    /// The files that a reload reads: the configuration itself, at `file`, and what it names. Files
    /// of local credentials are none: they are read as they change.
    pub fn files(&self, file: &Path) -> Vec<PathBuf> {
        let mut files = vec![file.to_owned()];
        files.extend(self.identity_map.clone());
        for endpoint in &self.endpoints {
            if let EndpointPolicy::File(policy) = &endpoint.policy {
                files.push(policy.clone());
            }
            files.extend(endpoint.candidate.clone());
        }
        files.extend(
            self.identity_policies
                .iter()
                .map(|policy| policy.file.clone()),
        );
        for listener in &self.listeners {
            let (ListenerTls::Files { certificate, key }
            | ListenerTls::Authority { certificate, key }) = &listener.tls;
            files.extend([certificate.clone(), key.clone()]);
            if let Some(clients) = &listener.client_auth {
                files.push(clients.authorities.clone());
                files.extend(clients.revoked.iter().cloned());
            }
        }
        files.sort();
        files.dedup();
        files
    }

    /// What differs in `other` and takes effect at the next start only.
    pub fn fixed_differences(&self, other: &Config) -> Vec<String> {
        [
            ("workers", self.workers == other.workers),
            ("upstream", self.upstream == other.upstream),
            ("admin", self.admin == other.admin),
            ("log.to", self.log.to == other.log.to),
            ("metrics", self.metrics == other.metrics),
            ("reload", self.reload == other.reload),
            ("limits", self.limits == other.limits),
            ("tokens", self.tokens == other.tokens),
            ("traces", self.traces == other.traces),
        ]
        .into_iter()
        .filter(|(_, same)| !same)
        .map(|(path, _)| format!("`{path}`"))
        .collect()
    }
}
