//! Jackson, which the service's own readers are likely made of, in a program beside this one. It is
//! asked only where `JACKSON` says how to start it; `jackson/run` is such a command.

use std::cell::RefCell;
use std::io::{BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use kinesis_gate::kinesis::WireFormat;

/// Bodies sent at once.
const BATCH: usize = 256;
/// What stands in place of a count where a body was refused.
const REFUSED: u32 = u32::MAX;

struct Jackson {
    child: Child,
    answers: BufReader<ChildStdout>,
    asked: Vec<(WireFormat, Vec<u8>, Vec<String>)>,
    compared: u64,
    refused: u64,
}

thread_local! {
    static JACKSON: RefCell<Option<Jackson>> = RefCell::new(start());
}

/// Notes what a body names; every so often Jackson must say the same of all that were noted.
pub fn compare(format: WireFormat, body: &[u8], ours: Vec<String>) {
    JACKSON.with_borrow_mut(|jackson| {
        if let Some(jackson) = jackson {
            jackson.asked.push((format, body.to_vec(), ours));
            if jackson.asked.len() == BATCH {
                jackson.ask();
            }
        }
    });
}

/// Compares what was noted.
pub fn flush() {
    JACKSON.with_borrow_mut(|jackson| {
        if let Some(jackson) = jackson {
            jackson.ask();
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
        answers: BufReader::new(child.stdout.take().expect("a pipe")),
        child,
        asked: Vec::new(),
        compared: 0,
        refused: 0,
    })
}

impl Jackson {
    fn ask(&mut self) {
        let mut out = (self.asked.len() as u32).to_be_bytes().to_vec();
        for (format, body, _) in &self.asked {
            out.push(u8::from(*format != WireFormat::Json));
            out.extend((body.len() as u32).to_be_bytes());
            out.extend(body);
        }
        let pipe = self.child.stdin.as_mut().expect("a pipe");
        pipe.write_all(&out)
            .and_then(|()| pipe.flush())
            .expect("Jackson reads");
        for (format, body, ours) in std::mem::take(&mut self.asked) {
            match self.answer() {
                Some(theirs) => {
                    self.compared += 1;
                    assert_eq!(ours, theirs, "{format:?} {}", body.escape_ascii());
                }
                // What it does not read is executed by nobody who reads with it.
                None => self.refused += 1,
            }
        }
        if (self.compared + self.refused).is_multiple_of(BATCH as u64 * 400) {
            eprintln!(
                "Jackson: {} agree, {} refused by it",
                self.compared, self.refused
            );
        }
    }

    fn answer(&mut self) -> Option<Vec<String>> {
        let count = self.number();
        if count == REFUSED {
            return None;
        }
        let named = (0..count).map(|_| {
            let mut text = vec![0; self.number() as usize];
            self.answers.read_exact(&mut text).expect("Jackson answers");
            String::from_utf8(text).expect("Jackson writes UTF-8")
        });
        let mut named: Vec<String> = named.collect();
        named.sort();
        Some(named)
    }

    fn number(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.answers
            .read_exact(&mut bytes)
            .expect("Jackson answers");
        u32::from_be_bytes(bytes)
    }
}
