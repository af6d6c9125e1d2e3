//! `[reload]`: triggers of a reload, the files that it reads, the settings that it cannot change.

use std::path::{Path, PathBuf};

use super::parse::{FromTable, Table};
use super::{Config, EndpointPolicy, ListenerTls};

/// `[reload]`: how changed files are reloaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reload {
    /// Whether files are watched. If not, only SIGHUP and the admin port reload.
    pub watch: bool,
    /// The action on open event streams that the reloaded policies deny.
    pub on_reload: OnReload,
}

/// The action on a consumer's open event stream that a reload denies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnReload {
    /// It continues to its end, at most five minutes after its start; the next one is denied.
    #[default]
    Finish,
    /// It is aborted.
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

impl FromTable for Reload {
    fn from_table(table: &mut Table<'_>) -> Option<Reload> {
        let choices = [
            ("finish", OnReload::Finish),
            ("terminate", OnReload::Terminate),
        ];
        Some(Reload {
            watch: table.optional("watch").unwrap_or(true),
            on_reload: table.choice("on-reload", &choices).unwrap_or_default(),
        })
    }
}

impl Config {
    /// The files that a reload reads: the configuration itself, at `file`, and the files that it
    /// names, except those of local credentials, which the gate reads whenever they change.
    pub fn files(&self, file: &Path) -> Vec<PathBuf> {
        let mut files = vec![file.to_owned()];
        files.extend(self.identity_map.clone());
        for endpoint in &self.endpoints {
            if let EndpointPolicy::File(policy) = &endpoint.policy {
                files.push(policy.clone());
            }
            files.extend(endpoint.candidate.clone());
        }
        files.extend(self.identity_policies.iter().map(|it| it.file.clone()));
        for listener in &self.listeners {
            let (ListenerTls::Files { certificate, key }
            | ListenerTls::Authority { certificate, key }) = &listener.tls;
            files.extend([certificate.clone(), key.clone()]);
            if let Some(clients) = &listener.client_auth {
                files.push(clients.authorities.clone());
                files.extend(clients.crls.iter().cloned());
            }
        }
        files.sort();
        files.dedup();
        files
    }

    /// The settings that differ in `other` and only take effect at the next start.
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
        .filter(|(_, is_same)| !is_same)
        .map(|(path, _)| format!("`{path}`"))
        .collect()
    }
}
