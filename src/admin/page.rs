//! The page at `/`: one file, nothing from elsewhere, and nothing that it did not come with may run.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

/// The page and what a browser may do with it.
pub(super) struct Page {
    pub(super) html: Bytes,
    /// Its content security policy.
    pub(super) policy: String,
}

const CSS: &str = include_str!("page/page.css");
const JS: &str = include_str!("page/page.js");

impl Page {
    pub(super) fn new() -> Page {
        let html = include_str!("page/index.html");
        let html = html.replace("/*css*/", CSS).replace("/*js*/", JS);
        let hash = |text: &str| STANDARD.encode(digest(&SHA256, text.as_bytes()));
        let policy = format!(
            "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; connect-src 'self'; \
             img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types 'none'",
            hash(JS),
            hash(CSS)
        );
        Page {
            html: html.into(),
            policy,
        }
    }
}
