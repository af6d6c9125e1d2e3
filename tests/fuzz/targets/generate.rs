//! Nearly valid bodies, made from the bytes of a fuzzer: random bytes seldom get past the first brace of
//! a parser.

use kinesis_gate::kinesis::WireFormat;

/// The bytes themselves, or, where `mode` has its highest bit, the body that the bytes choose.
pub fn body(mode: u8, bytes: &[u8], format: WireFormat) -> Vec<u8> {
    if mode & 0x80 == 0 {
        return bytes.to_vec();
    }
    let mut writer = Writer {
        choices: bytes,
        is_cbor: format != WireFormat::Json,
        out: Vec::new(),
    };
    writer.document();
    writer.out
}

struct Writer<'a> {
    choices: &'a [u8],
    is_cbor: bool,
    out: Vec<u8>,
}

const KEYS: &[&str] = &[
    "StreamName",
    "StreamARN",
    "StreamId",
    "ConsumerName",
    "ConsumerARN",
    "ResourceARN",
    "QueueName",
    "QueueARN",
    "ChannelName",
    "ChannelARN",
    "KeyId",
    "ShardIterator",
    "NextToken",
    "Tags",
    "TagKeys",
    "StreamConfigurationList",
    "StreamFilter",
    "Records",
    "Limit",
    "streamname",
    "StreamName\u{0}",
    "",
    "\u{e9}",
    "Data",
    "PartitionKey",
    "ExplicitHashKey",
];
const TEXTS: &[&str] = &[
    "orders",
    "private",
    "arn:aws:kinesis:us-east-1:123456789012:stream/orders",
    "",
    "\u{20ac}\u{1f600}",
    "a\"b\\c/d",
    "\u{0}\u{1f}\u{7f}",
    "},{\"StreamName\":\"private\"",
    "StreamName",
    "QUJD",
];
/// Longer than a block of the JSON scanner.
const MAX_BYTES: usize = 24 << 10;

impl Writer<'_> {
    fn choose(&mut self, count: usize) -> usize {
        let Some((&byte, rest)) = self.choices.split_first() else {
            return 0;
        };
        self.choices = rest;
        usize::from(byte) % count
    }

    fn document(&mut self) {
        let count = self.choose(6);
        let end = self.open(true, count);
        for n in 0..count {
            self.comma(n);
            let key = KEYS[self.choose(KEYS.len())];
            self.key(key);
            match (key, self.choose(8)) {
                (_, 7) => self.value(3),
                ("Tags", _) => self.map(1),
                ("TagKeys", _) => self.list(1),
                ("StreamFilter", 0) => self.element(),
                ("StreamConfigurationList" | "StreamFilter", _) => self.elements(),
                ("Records" | "Data", _) => self.records(),
                _ => self.text(),
            }
        }
        self.close(true, end);
        if self.choose(32) == 31 {
            self.out.push(b' ');
        }
    }

    fn value(&mut self, depth: usize) {
        match self.choose(if depth == 0 { 6 } else { 9 }) {
            0 | 1 => self.text(),
            2 => self.scalar(b"null", b"\xf6"),
            3 => self.scalar(b"true", b"\xf5"),
            4 => self.scalar(b"-12.5e+3", b"\xfb\x40\x45\0\0\0\0\0\0"),
            5 => self.scalar(b"0", b"\x18\x20"),
            6 => self.map(depth - 1),
            7 => self.list(depth - 1),
            _ if self.is_cbor => {
                let tag = self.choose(24) as u8;
                self.out.push(0xc0 | tag);
                self.value(depth - 1);
            }
            _ => self.scalar(b"[[[{}]]]", b""),
        }
    }

    fn scalar(&mut self, json: &[u8], cbor: &[u8]) {
        self.out.extend(if self.is_cbor { cbor } else { json });
    }

    fn map(&mut self, depth: usize) {
        let count = self.choose(4);
        let end = self.open(true, count);
        for n in 0..count {
            self.comma(n);
            let key = KEYS[self.choose(KEYS.len())];
            self.key(key);
            self.value(depth);
        }
        self.close(true, end);
    }

    fn list(&mut self, depth: usize) {
        let count = self.choose(4);
        let end = self.open(false, count);
        for n in 0..count {
            self.comma(n);
            self.value(depth);
        }
        self.close(false, end);
    }

    fn elements(&mut self) {
        let count = self.choose(4);
        let end = self.open(false, count);
        for n in 0..count {
            self.comma(n);
            self.element();
        }
        self.close(false, end);
    }

    fn element(&mut self) {
        let count = self.choose(3);
        let end = self.open(true, count);
        for n in 0..count {
            self.comma(n);
            let key = ["StreamARN", "streamArn", "StreamName", "Other"][self.choose(4)];
            self.key(key);
            self.value(1);
        }
        self.close(true, end);
    }

    /// Records of one shape; one of them may be another value.
    fn records(&mut self) {
        // Bodies of many or long records are rare: each costs as much as a hundred others.
        let many = self.choose(16) == 15;
        let (count, odd) = (self.choose(if many { 64 } else { 5 }), self.choose(64));
        let (len, spread) = (self.choose(256), self.choose(200) + 1);
        let len = if many { len * 4 } else { len / 4 };
        let end = self.open(false, count);
        for n in 0..count {
            if self.out.len() > MAX_BYTES {
                break;
            }
            self.comma(n);
            if n == odd {
                self.value(2);
                continue;
            }
            let inner = self.open(true, 2);
            self.key("Data");
            self.bytes(&vec![b'A' + (n % 26) as u8; len + n * 7 % spread]);
            self.comma(1);
            self.key("PartitionKey");
            self.bytes(n.to_string().as_bytes());
            self.close(true, inner);
        }
        self.close(false, end);
    }

    fn key(&mut self, key: &str) {
        self.string(key);
        if !self.is_cbor {
            self.space();
            self.out.push(b':');
            self.space();
        }
    }

    fn text(&mut self) {
        let text = TEXTS[self.choose(TEXTS.len())];
        self.string(text);
    }

    fn string(&mut self, text: &str) {
        if !self.is_cbor {
            return self.json_string(text);
        }
        match self.choose(12) {
            9 => {
                // In two pieces, whose border may cut a character.
                let at = text.len() / 2;
                self.out.push(0x7f);
                self.head(3, at);
                self.out.extend(&text.as_bytes()[..at]);
                self.head(3, text.len() - at);
                self.out.extend(&text.as_bytes()[at..]);
                self.out.push(0xff);
            }
            10 => {
                self.out.extend([0x7a, 0, 0, 0, text.len() as u8]);
                self.out.extend(text.as_bytes());
            }
            11 => self.bytes(text.as_bytes()),
            _ => {
                self.head(3, text.len());
                self.out.extend(text.as_bytes());
            }
        }
    }

    /// A byte string in CBOR, a string without escapes in JSON.
    fn bytes(&mut self, bytes: &[u8]) {
        if self.is_cbor {
            self.head(2, bytes.len());
            self.out.extend(bytes);
        } else {
            self.out.push(b'"');
            self.out.extend(bytes);
            self.out.push(b'"');
        }
    }

    fn json_string(&mut self, text: &str) {
        let escaped = self.choose(4) == 3;
        let at = self.choose(8);
        self.out.push(b'"');
        for (n, character) in text.chars().enumerate() {
            let needs_escape = character < ' ' || character == '"' || character == '\\';
            if needs_escape || escaped && n == at {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    self.out.extend(format!("\\u{unit:04x}").bytes());
                }
            } else {
                self.out.extend(character.encode_utf8(&mut [0; 4]).bytes());
            }
        }
        self.out.push(b'"');
    }

    /// Opens a map or a list; whether its end needs a mark.
    fn open(&mut self, is_map: bool, count: usize) -> bool {
        if !self.is_cbor {
            self.out.push(if is_map { b'{' } else { b'[' });
            return true;
        }
        let major = if is_map { 5 } else { 4 };
        if self.choose(2) == 0 {
            self.out.push(major << 5 | 31);
            true
        } else {
            self.head(major, count);
            false
        }
    }

    fn close(&mut self, is_map: bool, has_end: bool) {
        match (self.is_cbor, is_map, has_end) {
            (true, _, true) => self.out.push(0xff),
            (true, _, false) => {}
            (false, true, _) => self.out.push(b'}'),
            (false, false, _) => self.out.push(b']'),
        }
    }

    fn comma(&mut self, n: usize) {
        if !self.is_cbor && n > 0 {
            self.out.push(b',');
            self.space();
        }
    }

    fn space(&mut self) {
        let space = ["", "", "", " ", " ", "\n", "\r\n\t", "  "][self.choose(8)];
        self.out.extend(space.bytes());
    }

    fn head(&mut self, major: u8, value: usize) {
        match value {
            0..24 => self.out.push(major << 5 | value as u8),
            24..256 => self.out.extend([major << 5 | 24, value as u8]),
            _ => {
                self.out.push(major << 5 | 25);
                self.out.extend((value as u16).to_be_bytes());
            }
        }
    }
}
