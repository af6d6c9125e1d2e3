//! Malformed bodies: the rules that a body can break.

use std::fmt;

pub(super) type Result<T> = std::result::Result<T, MalformedBody>;

/// The rule that a body breaks. The service answers each of them with `SerializationException`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MalformedBody {
    /// There is no body.
    Empty,
    /// The body ends inside a value.
    Truncated,
    /// Bytes follow the value.
    TrailingBytes,
    /// The body is not a map.
    NotAMap,
    /// A byte-order mark precedes the value.
    ByteOrderMark,
    /// The text is not UTF-8.
    InvalidUtf8,
    /// A character or an item is not allowed at its position.
    Unexpected,
    /// A number does not have the form of a JSON number.
    InvalidNumber,
    /// A JSON string has an escape that JSON does not have.
    InvalidEscape,
    /// A JSON string has a control character that is not escaped.
    ControlCharacter,
    /// A JSON string has half of a surrogate pair.
    LoneSurrogate,
    /// A CBOR item has a reserved head.
    ReservedItem,
    /// A CBOR map has a key that is not text.
    KeyNotText,
    /// A CBOR tag precedes a key or a member that policy needs.
    Tagged,
    /// A CBOR length exceeds any body.
    LengthTooLarge,
    /// Values are nested deeper than 32.
    TooDeep,
    /// A top-level key, or one in a list of streams, is longer than 128 bytes.
    KeyTooLong,
    /// There are more than 32 top-level keys.
    TooManyKeys,
    /// A key is repeated.
    DuplicateKey,
    /// A key differs only in case from a key that names a resource.
    KeyCase,
    /// A member that policy needs is not of its type.
    WrongType,
    /// A member that policy needs is longer than its limit.
    MemberTooLong,
    /// There are more than 512 tags, or more than 10,000 tag keys or streams.
    TooManyEntries,
}

impl fmt::Display for MalformedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MalformedBody::Empty => "the body is empty",
            MalformedBody::Truncated => "the body ends inside a value",
            MalformedBody::TrailingBytes => "bytes follow the value in the body",
            MalformedBody::NotAMap => "the body is not a map",
            MalformedBody::ByteOrderMark => "the body begins with a byte-order mark",
            MalformedBody::InvalidUtf8 => "text in the body is not UTF-8",
            MalformedBody::Unexpected => {
                "the body has a character or item that does not belong there"
            }
            MalformedBody::InvalidNumber => "the body has a number that JSON does not have",
            MalformedBody::InvalidEscape => "the body has an escape that JSON does not have",
            MalformedBody::ControlCharacter => "the body has a control character in a string",
            MalformedBody::LoneSurrogate => "the body has half of a surrogate pair",
            MalformedBody::ReservedItem => "the body has a reserved CBOR item",
            MalformedBody::KeyNotText => "the body has a CBOR key that is not text",
            MalformedBody::Tagged => "the body has a CBOR tag on a key or on a member policy needs",
            MalformedBody::LengthTooLarge => "the body has a CBOR length beyond any body",
            MalformedBody::TooDeep => "the body is nested deeper than 32",
            MalformedBody::KeyTooLong => "the body has a key longer than 128 bytes",
            MalformedBody::TooManyKeys => "the body has more than 32 keys",
            MalformedBody::DuplicateKey => "the body repeats a key",
            MalformedBody::KeyCase => {
                "the body has a key that differs from a known one by case alone"
            }
            MalformedBody::WrongType => "a member that policy needs is not of its type",
            MalformedBody::MemberTooLong => "a member that policy needs is longer than its limit",
            MalformedBody::TooManyEntries => "the body has more than 512 tags or 10,000 streams",
        })
    }
}

impl std::error::Error for MalformedBody {}
