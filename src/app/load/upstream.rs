//! The upstream: its address, and the trust roots that verify it.

use std::sync::Arc;

use crate::config::Config;
use crate::upstream::{LoopGuard, Settings, Upstream};

use super::loader::Loader;

impl Loader<'_> {
    pub(super) fn upstream(&mut self, config: &Config) -> Option<Settings> {
        let roots = match &config.upstream.ca_file {
            Some(file) => self.roots_of("upstream.ca-file", file)?,
            None => self.system_roots("upstream")?,
        };
        let settings = Settings {
            connect: config.upstream.connect.clone(),
            addresses: config.upstream.addresses.clone(),
            dns: config.upstream.dns.clone(),
            server_name: config.upstream.server_name.clone(),
            roots: Arc::new(roots),
            connect_timeout: config.limits.connect_timeout,
            response_timeout: config.limits.response_timeout,
            idle_timeout: config.limits.upstream_idle,
            loop_guard: LoopGuard::default(),
        };
        self.accept("upstream", Upstream::new(&settings))?;
        Some(settings)
    }
}
