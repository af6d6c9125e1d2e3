//! The keyed hash of an opaque token, which the stores hold in place of the token.

use std::fmt;

use aws_lc_rs::{constant_time, hmac, rand};

/// The secret of the hashes. Without the secret, a stored hash reveals nothing of its token, and no
/// one can make a token with the hash of another token.
pub struct HashKey(hmac::Key);

/// The hash of a token: HMAC-SHA256, cut to 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenHash(pub(super) [u8; 16]);

/// The message authentication code of a binding. It proves that the writer has the key.
pub(super) type Mac = [u8; 16];

/// No operation's name begins with this byte: the two uses of the key never hash the same bytes.
const MAC_DOMAIN: &[u8] = b"\x01";

impl HashKey {
    /// The fewest bytes of a shared key.
    pub const MIN_BYTES: usize = 32;

    /// A random key, for this process alone.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub fn random() -> std::io::Result<HashKey> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(std::io::Error::other)?;
        Ok(HashKey(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// A key that several processes share; `None` if it is shorter than [`HashKey::MIN_BYTES`].
    pub fn shared(bytes: &[u8]) -> Option<HashKey> {
        (bytes.len() >= HashKey::MIN_BYTES)
            .then(|| HashKey(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// The hash of a token that `operation` takes. Tokens of two operations never have the same
    /// hash, even if an emulator issues the same text for both.
    pub fn hash_token(&self, operation: &str, token: &str) -> TokenHash {
        TokenHash(self.hash(&[operation.as_bytes(), b"\0", token.as_bytes()]))
    }

    pub(super) fn mac(&self, token: TokenHash, expires: [u8; 4], stream: &[u8]) -> Mac {
        self.hash(&[MAC_DOMAIN, &token.0, &expires, stream])
    }

    pub(super) fn is_authentic(
        &self,
        token: TokenHash,
        expires: [u8; 4],
        stream: &[u8],
        mac: &[u8],
    ) -> bool {
        let expected = self.mac(token, expires, stream);
        constant_time::verify_slices_are_equal(&expected, mac).is_ok()
    }

    fn hash(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(part);
        }
        let tag = context.sign();
        let mut hash = [0; 16];
        for (to, from) in hash.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        hash
    }
}

/// Prints nothing of the key: the key is a secret.
impl fmt::Debug for HashKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKey")
    }
}

#[cfg(test)]
mod tests {
    use super::HashKey;

    #[test]
    fn hashes_depend_on_key_operation_and_token() {
        let (one, other) = (HashKey::random().unwrap(), HashKey::random().unwrap());
        let hash = one.hash_token("GetRecords", "token");
        assert_eq!(hash, one.hash_token("GetRecords", "token"));
        assert_ne!(hash, one.hash_token("GetRecords", "token2"));
        assert_ne!(hash, one.hash_token("ListShards", "token"));
        assert_ne!(hash, other.hash_token("GetRecords", "token"));
        assert!(HashKey::shared(&[7; 31]).is_none());
        let shared = || HashKey::shared(&[7; 32]).unwrap();
        assert_eq!(
            shared().hash_token("GetRecords", "token"),
            shared().hash_token("GetRecords", "token")
        );
        assert_eq!(format!("{one:?}"), "HashKey");
    }

    #[test]
    fn a_mac_covers_token_expiry_and_stream() {
        let key = HashKey::shared(&[7; 32]).unwrap();
        let token = key.hash_token("GetRecords", "token");
        let mac = key.mac(token, [0, 0, 0, 1], b"stream");
        assert!(key.is_authentic(token, [0, 0, 0, 1], b"stream", &mac));
        let other = key.hash_token("GetRecords", "other");
        assert!(!key.is_authentic(other, [0, 0, 0, 1], b"stream", &mac));
        assert!(!key.is_authentic(token, [0, 0, 0, 2], b"stream", &mac));
        assert!(!key.is_authentic(token, [0, 0, 0, 1], b"streams", &mac));
        assert!(!key.is_authentic(token, [0, 0, 0, 1], b"stream", b""));
    }
}
