//! The throughput of the body scanner, in pieces of 16 KiB: the size of TLS records.
//!
//! `cargo bench --bench scan`; the throughput is in bytes of the body.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench fails by panicking"
)]

use divan::counter::BytesCount;
use divan::{AllocProfiler, Bencher, black_box};
use kinesis_gate::kinesis::{Scanner, WireFormat};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const SIZES: [usize; 4] = [1 << 10, 64 << 10, 1 << 20, 10 << 20];
/// A TLS record.
const CHUNK_BYTES: usize = 16 * 1024;

#[derive(Clone, Copy)]
enum RecordSize {
    /// About 120 bytes.
    Small,
    /// About 1.5 KB, 2 KB in base64.
    Medium,
    /// One record is the whole body.
    Whole,
}

#[derive(Clone, Copy, PartialEq)]
enum MemberOrder {
    NameFirst,
    NameLast,
}

#[derive(Clone, Copy)]
enum Spacing {
    /// As boto3 writes JSON.
    Spaced,
    Compact,
}

fn scan(bencher: Bencher<'_, '_>, format: WireFormat, body: &[u8]) {
    bencher.counter(BytesCount::of_slice(body)).bench_local(|| {
        let mut scanner = Scanner::new(format);
        for chunk in black_box(body).chunks(CHUNK_BYTES) {
            scanner.push(chunk).expect("a valid body");
        }
        scanner.finish().expect("a whole body");
        assert_eq!(scanner.members().stream_name(), Some("orders"));
    });
}

macro_rules! json_benches {
    ($($name:ident: $records:ident, $order:ident, $spacing:ident;)*) => {$(
        #[divan::bench(args = SIZES)]
        fn $name(bencher: Bencher<'_, '_>, size: usize) {
            let body = json_body(size, RecordSize::$records, MemberOrder::$order, Spacing::$spacing, PartitionKey::Ascii);
            scan(bencher, WireFormat::Json, &body);
        }
    )*};
}

json_benches! {
    json_small_first_spaced: Small, NameFirst, Spaced;
    json_small_last_spaced: Small, NameLast, Spaced;
    json_small_last_compact: Small, NameLast, Compact;
    json_2k_first_spaced: Medium, NameFirst, Spaced;
    json_2k_last_spaced: Medium, NameLast, Spaced;
    json_2k_last_compact: Medium, NameLast, Compact;
    json_one_first_spaced: Whole, NameFirst, Spaced;
    json_one_last_compact: Whole, NameLast, Compact;
}

/// Partition keys that are not ASCII need full UTF-8 validation.
#[divan::bench(args = SIZES)]
fn json_2k_last_not_ascii(bencher: Bencher<'_, '_>, size: usize) {
    let body = json_body(
        size,
        RecordSize::Medium,
        MemberOrder::NameLast,
        Spacing::Compact,
        PartitionKey::NotAscii,
    );
    scan(bencher, WireFormat::Json, &body);
}

macro_rules! cbor_benches {
    ($($name:ident: $records:ident, $order:ident;)*) => {$(
        #[divan::bench(args = SIZES)]
        fn $name(bencher: Bencher<'_, '_>, size: usize) {
            scan(bencher, WireFormat::Cbor, &cbor_body(size, RecordSize::$records, MemberOrder::$order));
        }
    )*};
}

cbor_benches! {
    cbor_small_first: Small, NameFirst;
    cbor_small_last: Small, NameLast;
    cbor_2k_last: Medium, NameLast;
    cbor_one_last: Whole, NameLast;
}

#[derive(Clone, Copy)]
enum PartitionKey {
    Ascii,
    NotAscii,
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A size from an exponential distribution, as sizes of events are.
    fn size(&mut self, mean: usize) -> usize {
        let uniform = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        (8.0 - (1.0 - uniform).ln() * mean as f64) as usize
    }
}

struct Record {
    data: Vec<u8>,
    key: String,
    hash_key: Option<String>,
}

fn records(size: usize, record_size: RecordSize) -> Vec<Record> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut sizes = Vec::new();
    match record_size {
        RecordSize::Whole => sizes.push(size.saturating_sub(200) * 3 / 4),
        RecordSize::Small | RecordSize::Medium => {
            let mean = if matches!(record_size, RecordSize::Small) {
                120
            } else {
                1500
            };
            let mut used = 120;
            while used < size {
                let len = random.size(mean);
                used += len * 4 / 3 + 70;
                sizes.push(len);
            }
        }
    }
    sizes
        .into_iter()
        .map(|len| Record {
            data: (0..len).map(|_| random.next() as u8).collect(),
            key: match random.next() % 3 {
                0 => format!("device-{:08}", random.next() % 100_000_000),
                1 => format!("{:032x}-0000", u128::from(random.next())),
                _ => random.next().to_string(),
            },
            hash_key: random
                .next()
                .is_multiple_of(10)
                .then(|| random.next().to_string()),
        })
        .collect()
}

fn json_body(
    size: usize,
    record_size: RecordSize,
    order: MemberOrder,
    spacing: Spacing,
    partition_key: PartitionKey,
) -> Vec<u8> {
    let (comma, colon) = match spacing {
        Spacing::Spaced => (", ", ": "),
        Spacing::Compact => (",", ":"),
    };
    let name = format!("\"StreamName\"{colon}\"orders\"");
    let mut out = String::from("{");
    if order == MemberOrder::NameFirst {
        out += &format!("{name}{comma}");
    }
    out += &format!("\"Records\"{colon}[");
    for (index, record) in records(size, record_size).into_iter().enumerate() {
        if index > 0 {
            out += comma;
        }
        out += &format!("{{\"Data\"{colon}\"{}\"{comma}", base64(&record.data));
        if let Some(hash_key) = record.hash_key {
            out += &format!("\"ExplicitHashKey\"{colon}\"{hash_key}\"{comma}");
        }
        let accent = if matches!(partition_key, PartitionKey::NotAscii) {
            "\u{e9}"
        } else {
            ""
        };
        out += &format!("\"PartitionKey\"{colon}\"{}{accent}\"}}", record.key);
    }
    out += "]";
    if order == MemberOrder::NameLast {
        out += &format!("{comma}{name}");
    }
    out += "}";
    out.into_bytes()
}

/// Characters of base64, as many as base64 has for the bytes.
fn base64(bytes: &[u8]) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let length = bytes.len().div_ceil(3) * 4;
    let character = |i: usize| char::from(alphabet[usize::from(bytes[i * 3 / 4] & 63)]);
    (0..length)
        .map(|i| {
            if i * 3 / 4 < bytes.len() {
                character(i)
            } else {
                '='
            }
        })
        .collect()
}

/// A body as the Java SDK writes it: maps and lists of indefinite length.
fn cbor_body(size: usize, record_size: RecordSize, order: MemberOrder) -> Vec<u8> {
    let mut out = vec![0xbf];
    if order == MemberOrder::NameFirst {
        cbor_string(&mut out, 3, b"StreamName");
        cbor_string(&mut out, 3, b"orders");
    }
    cbor_string(&mut out, 3, b"Records");
    out.push(0x9f);
    for record in records(size, record_size) {
        out.push(0xbf);
        cbor_string(&mut out, 3, b"Data");
        cbor_string(&mut out, 2, &record.data);
        if let Some(hash_key) = record.hash_key {
            cbor_string(&mut out, 3, b"ExplicitHashKey");
            cbor_string(&mut out, 3, hash_key.as_bytes());
        }
        cbor_string(&mut out, 3, b"PartitionKey");
        cbor_string(&mut out, 3, record.key.as_bytes());
        out.push(0xff);
    }
    out.push(0xff);
    if order == MemberOrder::NameLast {
        cbor_string(&mut out, 3, b"StreamName");
        cbor_string(&mut out, 3, b"orders");
    }
    out.push(0xff);
    out
}

fn cbor_string(out: &mut Vec<u8>, major: u8, bytes: &[u8]) {
    match bytes.len() {
        len @ 0..24 => out.push(major << 5 | len as u8),
        len @ 24..256 => out.extend([major << 5 | 24, len as u8]),
        len @ 256..65536 => {
            out.push(major << 5 | 25);
            out.extend((len as u16).to_be_bytes());
        }
        len => {
            out.push(major << 5 | 26);
            out.extend((len as u32).to_be_bytes());
        }
    }
    out.extend(bytes);
}
