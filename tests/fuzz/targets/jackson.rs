//! Bodies read by Jackson, the parser that the service itself likely uses, in a process of its own.
//! The variable `JACKSON` is the command that starts it (`jackson/run`); without it nothing is compared.

use std::cell::RefCell;
use std::io::{BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use kinesis_gate::kinesis::WireFormat;

/// Bodies in one batch.
const BATCH: usize = 256;
/// The count of a body that Jackson refuses.
const REFUSED: u32 = u32::MAX;

struct Jackson {
    child: Child,
    stdout: BufReader<ChildStdout>,
    pending: Vec<(WireFormat, Vec<u8>, Vec<String>)>,
    agreed: u64,
    refused: u64,
}

thread_local! {
    static JACKSON: RefCell<Option<Jackson>> = RefCell::new(start());
}

/// Adds a body and its members to the batch; a full batch is compared with Jackson.
pub fn compare(format: WireFormat, body: &[u8], ours: Vec<String>) {
    JACKSON.with_borrow_mut(|jackson| {
        if let Some(jackson) = jackson {
            jackson.pending.push((format, body.to_vec(), ours));
            if jackson.pending.len() == BATCH {
                jackson.compare_batch();
            }
        }
    });
}

/// Compares an incomplete batch.
pub fn flush() {
    JACKSON.with_borrow_mut(|jackson| {
        if let Some(jackson) = jackson {
            jackson.compare_batch();
        }
    });
}

fn start() -> Option<Jackson> {
    let mut child = Command::new(std::env::var_os("JACKSON")?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("`JACKSON` starts");
    Some(Jackson {
        stdout: BufReader::new(child.stdout.take().expect("a pipe")),
        child,
        pending: Vec::new(),
        agreed: 0,
        refused: 0,
    })
}

impl Jackson {
    fn compare_batch(&mut self) {
        let mut out = (self.pending.len() as u32).to_be_bytes().to_vec();
        for (format, body, _) in &self.pending {
            out.push(u8::from(*format != WireFormat::Json));
            out.extend((body.len() as u32).to_be_bytes());
            out.extend(body);
        }
        let pipe = self.child.stdin.as_mut().expect("a pipe");
        pipe.write_all(&out)
            .and_then(|()| pipe.flush())
            .expect("Jackson reads");
        for (format, body, ours) in std::mem::take(&mut self.pending) {
            match self.read_members() {
                Some(theirs) => {
                    self.agreed += 1;
                    assert_eq!(ours, theirs, "{format:?} {}", body.escape_ascii());
                }
                // A service that reads with Jackson does not execute this body.
                None => self.refused += 1,
            }
        }
        if (self.agreed + self.refused).is_multiple_of(BATCH as u64 * 400) {
            eprintln!(
                "Jackson: {} agree, {} refused by it",
                self.agreed, self.refused
            );
        }
    }

    fn read_members(&mut self) -> Option<Vec<String>> {
        let count = self.read_u32();
        if count == REFUSED {
            return None;
        }
        let texts = (0..count).map(|_| {
            let mut text = vec![0; self.read_u32() as usize];
            self.stdout.read_exact(&mut text).expect("Jackson answers");
            String::from_utf8(text).expect("Jackson writes UTF-8")
        });
        let mut members: Vec<String> = texts.collect();
        members.sort();
        Some(members)
    }

    fn read_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.stdout.read_exact(&mut bytes).expect("Jackson answers");
        u32::from_be_bytes(bytes)
    }
}
