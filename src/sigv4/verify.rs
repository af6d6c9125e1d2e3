//! Verifying a signature against a local key.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::{constant_time, digest};

use super::sigv4::{BodyHash, Head, Scope, SigningKey, StringToSign, decode, push_hex};
use super::{Caller, Form, Unverified, time};

/// Keys that the gate itself issued, by their id. A snapshot: read-only.
#[derive(Debug, Default)]
pub struct LocalKeys(HashMap<Box<str>, LocalKey>);

/// One local key, as far as the gate keeps it: what verifies, never the secret.
#[derive(Debug)]
pub struct LocalKey {
    /// Whom it was issued to.
    pub holder: Holder,
    /// Seconds since 1970 at which it was issued.
    pub issued: i64,
    /// The SHA-256 of its session token.
    pub token: [u8; 32],
    /// Seconds since 1970 from which it is worth nothing.
    pub expires: i64,
    /// Signing keys by day (`YYYYMMDD`) and region.
    pub signing: HashMap<(Box<str>, Box<str>), SigningKey>,
}

/// Whom a local key was issued to.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The ARN of the user or role.
    pub arn: Arc<str>,
    /// The ARN of the role's session.
    pub session: Option<Arc<str>>,
    /// The account in it.
    pub account: Box<str>,
}

/// A signature whose head is in order. Whether it is right, only the body can tell.
#[derive(Debug)]
pub struct Pending<'a> {
    key: &'a LocalKey,
    signing: &'a SigningKey,
    head: Head<'a>,
    caller: Caller<'a>,
    signed_headers: String,
    time: &'a str,
}

/// How far the client's clock may be from ours, in seconds
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/signing-elements.html>).
const WINDOW: i64 = 300;
/// The longest that a presigned request may be valid, in seconds. Until then it can be replayed.
const LONGEST: i64 = 3600;

/// Headers that a signature must cover if they are there: what the request asks for, and for whom.
const COVERED: [&str; 6] = [
    "content-type",
    "smithy-protocol",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-amz-target",
];

impl LocalKeys {
    /// No keys.
    pub fn new() -> LocalKeys {
        LocalKeys::default()
    }

    /// Adds a key; the one that had its id before is gone.
    pub fn insert(&mut self, id: Box<str>, key: LocalKey) {
        self.0.insert(id, key);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks all of a signature that its head tells: the key, its token, the time, the scope's day,
    /// and what it covers. Region and service of the scope are the caller's to check.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check<'a>(
        &'a self,
        caller: Caller<'a>,
        head: Head<'a>,
        now: SystemTime,
    ) -> Result<Pending<'a>, Unverified> {
        let signed_headers = covered(&caller, &head)?;
        let time = signed_time(&caller, &head)?;
        if time.get(..8) != Some(caller.date) {
            return Err(Unverified::Day);
        }
        timely(&caller, time, now)?;
        let key = self
            .0
            .get(caller.access_key_id)
            .ok_or(Unverified::UnknownKey)?;
        if !key.has_token(&caller, &head) {
            return Err(Unverified::Token);
        }
        if key.expires <= time::seconds(now) {
            return Err(Unverified::Expired);
        }
        let signing = key
            .signing
            .iter()
            .find(|((day, region), _)| **day == *caller.date && **region == *caller.region)
            .map(|(_, signing)| signing)
            .ok_or(Unverified::NotIssuedFor)?;
        Ok(Pending {
            key,
            signing,
            head,
            caller,
            signed_headers,
            time,
        })
    }
}

impl<'a> Pending<'a> {
    /// The key that is to have signed.
    pub fn key(&self) -> &'a LocalKey {
        self.key
    }

    /// Verifies the signature for the body that came.
    ///
    /// # Errors
    /// [`Unverified::Payload`] where the head announces the hash of another body, or of none;
    /// [`Unverified::Mismatch`] for every other difference.
    pub fn verify(&self, body: &BodyHash) -> Result<(), Unverified> {
        if let Some(announced) = self.head.headers.get("x-amz-content-sha256") {
            let mut hash = Vec::with_capacity(64);
            push_hex(&mut hash, body);
            if announced.as_bytes() != hash {
                return Err(Unverified::Payload);
            }
        }
        let scope = Scope {
            date: self.caller.date,
            region: self.caller.region,
            service: self.caller.service,
        };
        let to_sign = StringToSign::of(self.head, &self.signed_headers, body, self.time, scope)
            .ok_or(Unverified::Mismatch)?;
        if self.signing.verifies(&to_sign, self.caller.signature) {
            Ok(())
        } else {
            Err(Unverified::Mismatch)
        }
    }
}

impl LocalKey {
    fn has_token(&self, caller: &Caller<'_>, head: &Head<'_>) -> bool {
        let header = head.headers.get("x-amz-security-token");
        let token = match (caller.form, caller.session_token, header) {
            (Form::Header, _, Some(token)) => Some(token.as_bytes().into()),
            (Form::Presigned, Some(token), None) => decode(token),
            _ => None,
        };
        token.is_some_and(|token| {
            let given = digest::digest(&digest::SHA256, &token);
            constant_time::verify_slices_are_equal(given.as_ref(), &self.token).is_ok()
        })
    }
}

/// The signed headers, `;` between two, if they cover what they must.
fn covered(caller: &Caller<'_>, head: &Head<'_>) -> Result<String, Unverified> {
    let decoded = match caller.form {
        Form::Header => caller.signed_headers.to_owned(),
        Form::Presigned => decode(caller.signed_headers)
            .and_then(|bytes| String::from_utf8(bytes.into_owned()).ok())
            .ok_or(Unverified::Mismatch)?,
    };
    let names = || decoded.split(';');
    if names().zip(names().skip(1)).any(|(a, b)| a >= b) {
        return Err(Unverified::Unsorted);
    }
    let signs = |name: &str| names().any(|signed| signed == name);
    if !signs("host") && !signs(":authority") {
        return Err(Unverified::Uncovered("host"));
    }
    // What names the operation must be there at all, unless the path names it, which every signature
    // covers; the others only if the request has them.
    for name in COVERED {
        let needed = name == "content-type"
            || (name == "x-amz-target" && head.path == "/")
            || (name == "x-amz-date" && caller.form == Form::Header)
            || head.headers.contains_key(name);
        if needed && !signs(name) {
            return Err(Unverified::Uncovered(name));
        }
    }
    Ok(decoded)
}

/// The time that is signed: the query's or the header's.
fn signed_time<'a>(caller: &Caller<'a>, head: &Head<'a>) -> Result<&'a str, Unverified> {
    let time = match caller.form {
        Form::Presigned => caller.time,
        Form::Header => head
            .headers
            .get("x-amz-date")
            .and_then(|value| value.to_str().ok()),
    };
    time.filter(|time| time::is_timestamp(time))
        .ok_or(Unverified::NoTime)
}

/// Within the window, or, presigned, not over yet.
fn timely(caller: &Caller<'_>, time: &str, now: SystemTime) -> Result<(), Unverified> {
    let signed = time::parse(time).ok_or(Unverified::NoTime)?;
    let now = time::seconds(now);
    let valid = match caller.expires {
        Some(seconds) if caller.form == Form::Presigned => {
            if !(1..=LONGEST).contains(&seconds) {
                return Err(Unverified::Lifetime);
            }
            seconds
        }
        _ => WINDOW,
    };
    if now > signed + valid {
        Err(Unverified::Stale { signed, now, valid })
    } else if signed > now + WINDOW {
        Err(Unverified::Early { signed, now })
    } else {
        Ok(())
    }
}
