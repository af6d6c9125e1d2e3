//! Certificates of the servers that tests start.

use std::path::Path;

use kinesis_gate::sandbox::Authority;
use rcgen::{CertificateParams, Issuer, KeyPair};

/// Writes `leaf.pem`, a certificate for `name` that the authority issues, `leaf-key.pem`, and the
/// authority's own `ca.pem` and `ca-key.pem`.
pub fn write_leaf(folder: &Path, authority: &Authority, name: &str) {
    authority.write(folder).unwrap();
    let ca_key = std::fs::read_to_string(folder.join("ca-key.pem")).unwrap();
    let ca_key = KeyPair::from_pem(&ca_key).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&authority.pem(), ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &issuer).unwrap();
    std::fs::write(folder.join("leaf.pem"), leaf.pem()).unwrap();
    std::fs::write(folder.join("leaf-key.pem"), key.serialize_pem()).unwrap();
}
