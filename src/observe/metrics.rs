//! All that the metrics page and the admin port's `/status` are made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::counters::Counters;
use super::label_counters::StreamLabels;
use super::traces::SpanCounts;
use super::writer::DecisionLog;

/// What is counted in the whole process.
#[derive(Clone)]
pub struct Metrics {
    /// The counters of every event loop.
    pub loops: Vec<Arc<Counters>>,
    /// The endpoints' ids, in the order of their places.
    pub endpoints: Vec<String>,
    /// The streams that have series of their own.
    pub streams: Arc<StreamLabels>,
    /// The decision log.
    pub log: DecisionLog,
    /// The traces.
    pub spans: Arc<SpanCounts>,
    /// What is measured when somebody asks.
    pub gauges: Vec<Gauge>,
    /// The rules about requests a second that hold now, and how many requests each had no room for.
    pub rates: Arc<dyn Fn() -> Vec<(Arc<str>, u64)> + Send + Sync>,
}

/// A number that goes up and down.
#[derive(Clone)]
pub struct Gauge {
    /// Without the prefix of all.
    pub name: &'static str,
    /// What it is, for people.
    pub help: &'static str,
    /// A label and its value.
    pub label: Option<(&'static str, String)>,
    /// Measures it.
    pub value: Arc<dyn Fn() -> i64 + Send + Sync>,
}

impl Metrics {
    /// How often each statement decided, by its policy's name and then its own.
    pub fn decided(&self) -> BTreeMap<String, BTreeMap<String, u64>> {
        let mut all: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for counters in &self.loops {
            for (policy, statements) in counters.statements.look() {
                let sums = all.entry(policy.to_string()).or_default();
                for (statement, count) in statements {
                    *sums.entry(statement.into_string()).or_default() += count;
                }
            }
        }
        all
    }
}
