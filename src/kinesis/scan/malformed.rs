//! The rules that a body can break.

use std::fmt;

/// The rule that a body breaks. The service answers all of them with `SerializationException`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Malformed {
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
    /// A character stands where JSON has none, or an item where CBOR has none.
    Unexpected,
    /// A JSON number is not one.
    InvalidNumber,
    /// A JSON string has an escape that is none.
    InvalidEscape,
    /// A JSON string has a control character that is not escaped.
    ControlCharacter,
    /// A JSON string has half of a surrogate pair.
    LoneSurrogate,
    /// A CBOR item has a reserved head.
    ReservedItem,
    /// A CBOR map has a key that is not text.
    KeyNotText,
    /// A CBOR tag stands on a key or on a member that policy needs.
    Tagged,
    /// A CBOR length is beyond any body.
    LengthTooLarge,
    /// Values are nested deeper than 32.
    TooDeep,
    /// A top-level key, or one in a list of streams, is longer than 128 bytes.
    KeyTooLong,
    /// There are more than 32 top-level keys.
    TooManyKeys,
    /// A key is repeated.
    DuplicateKey,
    /// A key differs by case alone from one that names a resource.
    KeyCase,
    /// A member that policy needs is not of its type.
    WrongType,
    /// A member that policy needs is longer than its limit.
    MemberTooLong,
    /// There are more than 512 tags, or more than 10,000 tag keys or streams.
    TooManyEntries,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Malformed::Empty => "the body is empty",
            Malformed::Truncated => "the body ends inside a value",
            Malformed::TrailingBytes => "bytes follow the value in the body",
            Malformed::NotAMap => "the body is not a map",
            Malformed::ByteOrderMark => "the body begins with a byte-order mark",
            Malformed::InvalidUtf8 => "text in the body is not UTF-8",
            Malformed::Unexpected => "the body has a character or item that does not belong there",
            Malformed::InvalidNumber => "the body has a number that JSON does not have",
            Malformed::InvalidEscape => "the body has an escape that JSON does not have",
            Malformed::ControlCharacter => "the body has a control character in a string",
            Malformed::LoneSurrogate => "the body has half of a surrogate pair",
            Malformed::ReservedItem => "the body has a reserved CBOR item",
            Malformed::KeyNotText => "the body has a CBOR key that is not text",
            Malformed::Tagged => "the body has a CBOR tag on a key or on a member policy needs",
            Malformed::LengthTooLarge => "the body has a CBOR length beyond any body",
            Malformed::TooDeep => "the body is nested deeper than 32",
            Malformed::KeyTooLong => "the body has a key longer than 128 bytes",
            Malformed::TooManyKeys => "the body has more than 32 keys",
            Malformed::DuplicateKey => "the body repeats a key",
            Malformed::KeyCase => "the body has a key that differs from a known one by case alone",
            Malformed::WrongType => "a member that policy needs is not of its type",
            Malformed::MemberTooLong => "a member that policy needs is longer than its limit",
            Malformed::TooManyEntries => "the body has more than 512 tags or 10,000 streams",
        })
    }
}

impl std::error::Error for Malformed {}
