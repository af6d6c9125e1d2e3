//! Counters by labels with open sets of values: streams, of which only the first have series of
//! their own, and statements of the policies in force.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The streams with series of their own, in the whole process: the first that were allowed.
///
/// A client can name any stream, so a denied stream opens no series. An open series stays, so that
/// the number of series is bounded.
#[derive(Debug)]
pub struct StreamLabels {
    limit: usize,
    names: Mutex<Vec<Box<str>>>,
}

/// One event loop's copy of [`StreamLabels`]: a known stream costs no lock and no allocation.
pub(super) struct StreamLabelCache {
    streams: Arc<StreamLabels>,
    places: HashMap<Box<str>, usize>,
    is_full: bool,
}

/// How often each statement made the decision, on one event loop. The lock is held for one
/// addition, or for a snapshot.
#[derive(Debug, Default)]
pub(super) struct StatementCounts(Mutex<CountsByStatement>);

/// Counts by policy name, then by statement name.
type CountsByStatement = HashMap<Arc<str>, HashMap<Box<str>, u64>>;

impl StreamLabels {
    /// Labels for at most `limit` streams.
    pub fn new(limit: u16) -> StreamLabels {
        StreamLabels {
            limit: usize::from(limit),
            names: Mutex::default(),
        }
    }

    /// The label's values by index: as many streams as the limit, and last the value for all other
    /// streams.
    pub(super) fn values(&self) -> Vec<String> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        let mut values: Vec<String> = names.iter().map(ToString::to_string).collect();
        values.resize(self.limit, String::new());
        values.push("other".to_owned());
        values
    }
}

impl StreamLabelCache {
    pub(super) fn new(streams: Arc<StreamLabels>) -> StreamLabelCache {
        StreamLabelCache {
            streams,
            places: HashMap::new(),
            is_full: false,
        }
    }

    /// The label index of a decided resource's stream; `None` if the resource has no stream.
    pub(super) fn place(&mut self, resource: &str, is_allowed: bool) -> Option<usize> {
        let name = stream(resource)?;
        if let Some(place) = self.places.get(name) {
            return Some(*place);
        }
        let other = self.streams.limit;
        if self.is_full {
            return Some(other);
        }
        let names = &self.streams.names;
        let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
        let mut place = names.iter().position(|known| **known == *name);
        if place.is_none() && is_allowed && names.len() < other {
            place = Some(names.len());
            names.push(name.into());
        }
        self.is_full = names.len() >= other;
        if self.is_full {
            // The process opens no more series: any other stream is `other`.
            let all = names.iter().cloned().enumerate();
            self.places = all.map(|(place, name)| (name, place)).collect();
        } else if let Some(place) = place {
            self.places.insert(name.into(), place);
        }
        Some(place.unwrap_or(other))
    }
}

/// The ARN of the stream in a stream's or consumer's ARN.
pub(super) fn stream(arn: &str) -> Option<&str> {
    let mut slashes = memchr::memchr_iter(b'/', arn.as_bytes());
    let first = slashes.next()?;
    let is_stream = arn.get(..first)?.ends_with(":stream");
    let end = slashes.next().unwrap_or(arn.len());
    arn.get(..end).filter(|_| is_stream)
}

impl StatementCounts {
    /// Counts one decision.
    pub(super) fn increment(&self, policy: &Arc<str>, statement: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let statements = counts.get_mut(policy);
        if let Some(count) = statements.and_then(|it| it.get_mut(statement)) {
            *count += 1;
        } else {
            let statements = counts.entry(Arc::clone(policy)).or_default();
            statements.insert(statement.into(), 1);
        }
    }

    /// A copy of all counts.
    pub(super) fn snapshot(&self) -> CountsByStatement {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.clone()
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
