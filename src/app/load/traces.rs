//! Spans: the collector that receives them.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use rustls::{ClientConfig, RootCertStore};

use crate::config;
use crate::observe::TraceSettings;

use super::loader::Loader;

impl Loader<'_> {
    /// The settings of traces. The gate connects to the collector later, and starts without it.
    pub(super) fn traces(&mut self, traces: &config::Traces) -> Option<TraceSettings> {
        if !cfg!(feature = "traces") {
            let message = "this program was built without the feature `traces`: build it with \
                           `--features traces`, or remove the table";
            self.problem("traces", message);
            return None;
        }
        let mut headers = HeaderMap::new();
        for (name, file) in &traces.headers {
            let path = format!("traces.headers.{name}");
            let text = self.read(&path, file)?;
            let value = HeaderValue::from_str(text.trim()).ok();
            let Some(mut value) = value.filter(|value| !value.is_empty()) else {
                let file = file.display();
                self.problem(path, format_args!("`{file}` holds no header's value"));
                return None;
            };
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let roots = match &traces.ca_file {
            Some(file) => self.roots_of("traces.ca-file", file)?,
            None if traces.is_secure() => self.system_roots("traces")?,
            None => RootCertStore::empty(),
        };
        let tls = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Some(TraceSettings {
            endpoint: traces.endpoint.clone(),
            headers,
            tls: Arc::new(tls),
            service_name: traces.service_name.clone(),
            sample: traces.sample,
            follow_callers: traces.follow_callers,
            timeout: traces.timeout,
        })
    }
}
