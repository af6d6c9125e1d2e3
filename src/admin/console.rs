//! The console (dashboard) at `/`: one page without further resources, and only its own script.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// The console's page, and its Content-Security-Policy.
pub(super) struct Console {
    pub(super) html: Bytes,
    pub(super) content_security_policy: String,
}

const CSS: &str = include_str!("console/console.css");
const JS: &str = include_str!("console/console.js");

impl Console {
    pub(super) fn new() -> Console {
        let html = include_str!("console/index.html");
        let html = html.replace("/*css*/", CSS).replace("/*js*/", JS);
        let hash = |text: &str| STANDARD.encode(digest(&SHA256, text.as_bytes()));
        let content_security_policy = format!(
            "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types 'none'",
            hash(JS),
            hash(CSS)
        );
        Console {
            html: html.into(),
            content_security_policy,
        }
    }
}
