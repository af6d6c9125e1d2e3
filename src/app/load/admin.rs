//! The admin port's access: bearer token, certificate, client certificates.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use zeroize::Zeroizing;

use crate::admin::{Access, Guard};
use crate::config;
use crate::listener::{client_verifier, read_certificates};

use super::loader::Loader;

const MIN_TOKEN_CHARACTERS: usize = 16;
const MAX_TOKEN_FILE_BYTES: u64 = 4096;

impl Loader<'_> {
    pub(super) fn access(&mut self, admin: &config::Admin) -> Option<Access> {
        let token = admin.token_file.as_deref().map(read_token).transpose();
        let token = self.accept("admin.token-file", token)?;
        let tls = admin.tls.as_ref().map(server_config).transpose();
        let tls = self.accept("admin.tls", tls)?;
        let is_loopback = admin.address.is_some_and(|it| it.ip().is_loopback());
        let has_client_ca = admin.tls.as_ref().is_some_and(|it| it.client_ca.is_some());
        let token = token.as_ref().map(|token| token.trim().as_bytes());
        Some(Access {
            guard: Guard::new(is_loopback, token, has_client_ca),
            tls: tls.map(Arc::new),
        })
    }
}

fn read_token(file: &Path) -> Result<Zeroizing<String>, String> {
    let name = file.display();
    let cannot = |error: std::io::Error| format!("`{name}` cannot be read: {error}");
    let opened = File::open(file).map_err(cannot)?;
    let mode = opened.metadata().map_err(cannot)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!(
            "others than its owner may read `{name}` (mode {mode:o}): `chmod 600` it"
        ));
    }
    let mut token = Zeroizing::new(String::new());
    opened
        .take(MAX_TOKEN_FILE_BYTES)
        .read_to_string(&mut token)
        .map_err(cannot)?;
    match token.trim().len() {
        MIN_TOKEN_CHARACTERS.. => Ok(token),
        _ => Err(format!(
            "`{name}` holds fewer than {MIN_TOKEN_CHARACTERS} characters: make one with `openssl rand -hex 32`"
        )),
    }
}

fn server_config(tls: &config::AdminTls) -> Result<ServerConfig, String> {
    let chain = read_certificates(&tls.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|error| {
        format!(
            "`{}` holds no private key in PEM: {error}",
            tls.key.display()
        )
    })?;
    let builder = ServerConfig::builder();
    let builder = match &tls.client_ca {
        None => builder.with_no_client_auth(),
        // Optional: probes have no certificate, and learn only that the gate is alive.
        Some(authorities) => {
            builder.with_client_cert_verifier(client_verifier(authorities, &[], false)?)
        }
    };
    builder
        .with_single_cert(chain, key)
        .map_err(|error| format!("the certificate cannot be used: {error}"))
}
