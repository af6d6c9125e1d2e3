//! What is counted by names: streams, of which only so many have series of their own, and the
//! statements of the policies in force.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::Record;
use super::RequestOutcome;

/// The streams that have series of their own, in the whole process: the first that were allowed.
///
/// A client can name any stream, so a denied one opens no series; and what was opened stays, so
/// that there are never more.
#[derive(Debug)]
pub struct StreamLabels {
    most: usize,
    names: Mutex<Vec<Box<str>>>,
}

/// One event loop's view of [`StreamLabels`]: no lock, and no allocation, once a stream is known.
pub(super) struct StreamLabelCache {
    streams: Arc<StreamLabels>,
    places: HashMap<Box<str>, usize>,
    full: bool,
}

/// How often each statement decided on one event loop. Held for an addition, or for a look.
#[derive(Debug, Default)]
pub(super) struct StatementCounts(Mutex<Decided>);

/// By the policy's name, then by the statement's.
pub(super) type Decided = HashMap<Arc<str>, HashMap<Box<str>, u64>>;

impl StreamLabels {
    /// So many at most.
    pub fn new(most: u16) -> StreamLabels {
        StreamLabels {
            most: usize::from(most),
            names: Mutex::default(),
        }
    }

    /// Their ARNs, in the order of their places.
    pub(super) fn names(&self) -> Vec<Box<str>> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.clone()
    }

    /// Places, the one of all other streams among them.
    pub fn places(&self) -> usize {
        self.most + 1
    }
}

impl StreamLabelCache {
    pub(super) fn new(streams: Arc<StreamLabels>) -> StreamLabelCache {
        StreamLabelCache {
            streams,
            places: HashMap::new(),
            full: false,
        }
    }

    /// The place of the stream that a decision was about; `None` if it was about none.
    pub(super) fn place(&mut self, record: &Record) -> Option<usize> {
        record.decision_source.as_ref()?;
        let name = stream(record.resource.as_deref()?)?;
        if let Some(place) = self.places.get(name) {
            return Some(*place);
        }
        let other = self.streams.most;
        if self.full {
            return Some(other);
        }
        let mut names = self
            .streams
            .names
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if record.outcome == RequestOutcome::Allow
            && names.len() < other
            && !names.iter().any(|known| **known == *name)
        {
            names.push(name.into());
        }
        self.full = names.len() >= other;
        if self.full {
            // No more will come: what is not among these is `other`, without asking again.
            let all = names.iter().cloned().enumerate();
            self.places = all.map(|(place, name)| (name, place)).collect();
        } else if let Some(place) = names.iter().position(|known| **known == *name) {
            self.places.insert(name.into(), place);
        }
        Some(self.places.get(name).copied().unwrap_or(other))
    }
}

/// The ARN of the stream that an ARN names, a consumer's included.
pub(super) fn stream(arn: &str) -> Option<&str> {
    let mut slashes = memchr::memchr_iter(b'/', arn.as_bytes());
    let first = slashes.next()?;
    let is_stream = arn.get(..first)?.ends_with(":stream");
    let end = slashes.next().unwrap_or(arn.len());
    arn.get(..end).filter(|_| is_stream)
}

impl StatementCounts {
    pub(super) fn add(&self, policy: &Arc<str>, statement: &str) {
        let mut decided = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = decided
            .get_mut(policy)
            .and_then(|statements| statements.get_mut(statement))
        {
            *count += 1;
        } else {
            let statements = decided.entry(Arc::clone(policy)).or_default();
            statements.insert(statement.into(), 1);
        }
    }

    pub(super) fn look(&self) -> Decided {
        let decided = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        decided.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::stream;

    #[test]
    fn the_stream_of_an_arn() {
        let name = "arn:aws:kinesis:us-east-1:123456789012:stream/a";
        assert_eq!(stream(name), Some(name));
        assert_eq!(stream(&format!("{name}/consumer/c:1")), Some(name));
        assert_eq!(stream("arn:aws:kms:us-east-1:123456789012:key/a"), None);
        assert_eq!(stream("*"), None);
    }
}
