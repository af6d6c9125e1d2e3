//! What a configuration names in the file system, and what of it cannot change while a process runs.

use std::path::{Path, PathBuf};

use toml_span::de_helpers::TableHelper;
use toml_span::{DeserError, Deserialize, Value};

use super::{Config, EndpointPolicy, ListenerTls};

/// `[reload]`: taking over what changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reload {
    /// Whether files are watched. Without, SIGHUP and the admin port reload.
    pub watch: bool,
}

impl Default for Reload {
    fn default() -> Reload {
        Reload { watch: true }
    }
}

impl<'de> Deserialize<'de> for Reload {
    fn deserialize(value: &mut Value<'de>) -> Result<Self, DeserError> {
        let mut table = TableHelper::new(value)?;
        let reload = Reload {
            watch: table.optional("watch").unwrap_or(true),
        };
        table.finalize(None)?;
        Ok(reload)
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
        ]
        .into_iter()
        .filter(|(_, same)| !same)
        .map(|(path, _)| format!("`{path}`"))
        .collect()
    }
}
