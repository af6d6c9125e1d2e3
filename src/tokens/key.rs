//! The keyed hash of a token: what is stored in place of it.

use std::fmt;

use aws_lc_rs::{constant_time, hmac, rand};

/// The secret that hashes are made with. Without it a stored hash tells nothing of its token, and
/// no token can be made that falls on another's.
pub struct Key(hmac::Key);

/// A token's keyed hash: HMAC-SHA256, cut to 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub(super) [u8; 16]);

/// Proof that who wrote a binding had the key.
pub(super) type Seal = [u8; 16];

/// No operation's name begins so: the two uses of the key never hash the same bytes.
const SEAL: &[u8] = b"\x01";

impl Key {
    /// The fewest bytes of a key that is shared.
    pub const FEWEST_BYTES: usize = 32;

    /// A key of this process alone.
    ///
    /// # Errors
    /// When the system has no random bytes to give.
    pub fn random() -> std::io::Result<Key> {
        let mut bytes = [0; 32];
        rand::fill(&mut bytes).map_err(std::io::Error::other)?;
        Ok(Key(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// A key that several processes share; `None` if it is shorter than [`Key::FEWEST_BYTES`].
    pub fn shared(bytes: &[u8]) -> Option<Key> {
        (bytes.len() >= Key::FEWEST_BYTES).then(|| Key(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// The hash of a token that `operation` takes. Tokens of two operations never meet, even where
    /// an emulator hands out the same text for both.
    pub fn digest(&self, operation: &str, token: &str) -> Digest {
        Digest(self.hash(&[operation.as_bytes(), b"\0", token.as_bytes()]))
    }

    pub(super) fn seal(&self, digest: Digest, expires: [u8; 4], stream: &[u8]) -> Seal {
        self.hash(&[SEAL, &digest.0, &expires, stream])
    }

    pub(super) fn sealed(
        &self,
        digest: Digest,
        expires: [u8; 4],
        stream: &[u8],
        seal: &[u8],
    ) -> bool {
        let expected = self.seal(digest, expires, stream);
        constant_time::verify_slices_are_equal(&expected, seal).is_ok()
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

/// The key is a secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn hashes_depend_on_key_operation_and_token() {
        let (one, other) = (Key::random().unwrap(), Key::random().unwrap());
        let digest = one.digest("GetRecords", "token");
        assert_eq!(digest, one.digest("GetRecords", "token"));
        assert_ne!(digest, one.digest("GetRecords", "token2"));
        assert_ne!(digest, one.digest("ListShards", "token"));
        assert_ne!(digest, other.digest("GetRecords", "token"));
        assert!(Key::shared(&[7; 31]).is_none());
        let shared = || Key::shared(&[7; 32]).unwrap();
        assert_eq!(
            shared().digest("GetRecords", "token"),
            shared().digest("GetRecords", "token")
        );
        assert_eq!(format!("{one:?}"), "Key");
    }

    #[test]
    fn a_seal_is_of_everything_it_covers() {
        let key = Key::shared(&[7; 32]).unwrap();
        let digest = key.digest("GetRecords", "token");
        let seal = key.seal(digest, [0, 0, 0, 1], b"stream");
        assert!(key.sealed(digest, [0, 0, 0, 1], b"stream", &seal));
        let other = key.digest("GetRecords", "other");
        assert!(!key.sealed(other, [0, 0, 0, 1], b"stream", &seal));
        assert!(!key.sealed(digest, [0, 0, 0, 2], b"stream", &seal));
        assert!(!key.sealed(digest, [0, 0, 0, 1], b"streams", &seal));
        assert!(!key.sealed(digest, [0, 0, 0, 1], b"stream", b""));
    }
}
