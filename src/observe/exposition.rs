//! The metrics page: Prometheus' text format, summed over the event loops.

use std::fmt::{self, Error};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::kinesis::ACTION_NAMES;
use crate::upstream::Failure;

use super::counters::{BOUNDS, Counter, DropReason, Histogram, LimitHit, TlsFailure};
use super::traces::SpanLoss;
use super::{Counters, Metrics, RequestOutcome};

impl Metrics {
    /// The page.
    ///
    /// # Errors
    /// None in practice: writing to a string does not fail.
    pub fn page(&self) -> Result<String, Error> {
        let mut registry = Registry::with_prefix("kinesis_gate");
        registry.register_collector(Box::new(All(self.clone())));
        let mut page = String::new();
        text::encode(&mut page, &registry)?;
        Ok(page)
    }
}

struct All(Metrics);

impl fmt::Debug for All {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("All").finish_non_exhaustive()
    }
}

impl All {
    fn sum(&self, of: impl Fn(&Counters) -> &Counter) -> u64 {
        self.0
            .loops
            .iter()
            .map(|counters| of(counters).value())
            .sum()
    }

    fn counter(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        of: impl Fn(&Counters) -> &Counter,
    ) -> Result<(), Error> {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&self.sum(of), None)
    }

    fn labelled(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        label: &str,
        values: &[&str],
        of: impl Fn(&Counters, usize) -> &Counter,
    ) -> Result<(), Error> {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (place, value) in values.iter().enumerate() {
            let labels = [(label, *value)];
            let mut family = metric.encode_family(&labels)?;
            family.encode_counter::<NoLabelSet, _, u64>(&self.sum(|c| of(c, place)), None)?;
        }
        Ok(())
    }

    fn histogram(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        of: impl Fn(&Counters) -> &Histogram,
    ) -> Result<(), Error> {
        let total = |each: &dyn Fn(&Histogram) -> u64| -> u64 {
            self.0.loops.iter().map(|counters| each(of(counters))).sum()
        };
        let bounds = BOUNDS
            .iter()
            .map(|micros| *micros as f64 / 1e6)
            .chain([f64::MAX]);
        let buckets: Vec<(f64, u64)> = bounds
            .enumerate()
            .map(|(place, bound)| (bound, total(&|histogram| histogram.bucket(place))))
            .collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let seconds = total(&Histogram::micros) as f64 / 1e6;
        let mut metric =
            encoder.encode_descriptor(name, help, Some(&Unit::Seconds), MetricType::Histogram)?;
        metric.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)
    }

    fn tokens(&self, e: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        self.counter(e, "tokens_bound", "Opaque tokens bound to a stream", |c| {
            &c.tokens_bound
        })?;
        self.counter(
            e,
            "tokens_evicted",
            "Tokens forgotten before their time: `tokens.capacity` is too small",
            |c| &c.tokens_evicted,
        )?;
        self.counter(
            e,
            "tokens_unread",
            "Answers that could not be read, so that a token in them was not bound",
            |c| &c.tokens_unread,
        )?;
        self.counter(
            e,
            "tokens_unknown",
            "Requests answered as if their token had expired: it was not known",
            |c| &c.tokens_unknown,
        )?;
        self.counter(
            e,
            "token_store_failures",
            "Calls to the shared token store that failed or took too long",
            |c| &c.token_store_failures,
        )
    }

    fn rates(&self, e: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let help = "Requests that a rule about requests a second had no room for, by rule";
        let mut metric = e.encode_descriptor("rate_limited", help, None, MetricType::Counter)?;
        for (rule, refused) in (self.0.rates)() {
            let labels = [("rule", &*rule)];
            let mut family = metric.encode_family(&labels)?;
            family.encode_counter::<NoLabelSet, _, u64>(&refused, None)?;
        }
        Ok(())
    }

    /// What policies do that do not hold, or not yet.
    fn trials(&self, e: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let endpoints: Vec<&str> = self.0.endpoints.iter().map(String::as_str).collect();
        self.labelled(
            e,
            "audited_denials",
            "Denied requests that were forwarded: their endpoint is in audit mode",
            "endpoint",
            &endpoints,
            |c, place| c.audited.at(place),
        )?;
        self.labelled(
            e,
            "candidate_newly_denied",
            "Allowed requests that a candidate policy would deny",
            "endpoint",
            &endpoints,
            |c, place| c.newly_denied.at(place),
        )?;
        self.labelled(
            e,
            "candidate_newly_allowed",
            "Denied requests that a candidate policy would allow",
            "endpoint",
            &endpoints,
            |c, place| c.newly_allowed.at(place),
        )
    }

    fn requests(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let help = "Requests by endpoint, operation and decision";
        let mut metric = encoder.encode_descriptor("requests", help, None, MetricType::Counter)?;
        let operations = ACTION_NAMES
            .iter()
            .enumerate()
            .map(|(number, name)| (u16::try_from(number).ok(), *name))
            .chain([(None, "other")]);
        for (number, operation) in operations {
            for (place, endpoint) in self.0.endpoints.iter().enumerate() {
                for outcome in OUTCOMES {
                    let count = self.sum(|c| c.requests(place, number, outcome));
                    // A series that never was is left out: most pairs never occur.
                    if count > 0 {
                        let labels = [
                            ("endpoint", endpoint.as_str()),
                            ("operation", operation),
                            ("decision", outcome.name()),
                        ];
                        let mut family = metric.encode_family(&labels)?;
                        family.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
                    }
                }
            }
        }
        Ok(())
    }
}

const OUTCOMES: [RequestOutcome; 5] = [
    RequestOutcome::Allow,
    RequestOutcome::ExplicitDeny,
    RequestOutcome::ImplicitDeny,
    RequestOutcome::Refused,
    RequestOutcome::Cancelled,
];

impl All {
    /// Counters by one name and the decision; what never was is left out.
    fn decisions(
        &self,
        e: &mut DescriptorEncoder<'_>,
        (name, help, label): (&str, &str, &str),
        values: &[&str],
        of: impl Fn(&Counters, usize, RequestOutcome) -> &Counter,
    ) -> Result<(), Error> {
        let mut metric = e.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (place, value) in values.iter().enumerate() {
            for outcome in OUTCOMES {
                let count = self.sum(|c| of(c, place, outcome));
                if count > 0 {
                    let labels = [(label, *value), ("decision", outcome.name())];
                    let mut family = metric.encode_family(&labels)?;
                    family.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
                }
            }
        }
        Ok(())
    }

    fn by_stream(&self, e: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut names = self.0.streams.names();
        // What all other streams have lies behind the places of those that could have their own.
        names.resize(self.0.streams.places() - 1, "".into());
        names.push("other".into());
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        let help = "Decided requests by stream, for the first streams that were allowed";
        let what = ("stream_requests", help, "stream");
        self.decisions(e, what, &names, Counters::by_stream)
    }

    fn gauges(&self, e: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut rest = self.0.gauges.as_slice();
        while let Some(first) = rest.first() {
            let alike = rest.iter().take_while(|it| it.name == first.name).count();
            let (family, others) = rest.split_at(alike);
            let mut metric =
                e.encode_descriptor(first.name, first.help, None, MetricType::Gauge)?;
            for gauge in family {
                let value = (gauge.value)();
                match &gauge.label {
                    Some((label, text)) => {
                        let labels = [(*label, text.as_str())];
                        metric.encode_family(&labels)?.encode_gauge(&value)?;
                    }
                    None => metric.encode_gauge(&value)?,
                }
            }
            rest = others;
        }
        Ok(())
    }

    fn log(&self, e: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        self.counter(
            e,
            "log_lines_dropped",
            "Log lines dropped because their reader is slow",
            |c| &c.log_dropped,
        )?;
        let help = "Log lines lost because writing them failed";
        let mut metric =
            e.encode_descriptor("log_lines_failed", help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&self.0.log.lost(), None)
    }

    fn spans(&self, e: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let help = "Spans that the collector has taken";
        let mut metric = e.encode_descriptor("spans_sent", help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, _, u64>(&self.0.spans.sent(), None)?;
        let help = "Spans that were dropped, by kind";
        let mut metric = e.encode_descriptor("spans_dropped", help, None, MetricType::Counter)?;
        for (kind, count) in SpanLoss::NAMES.iter().zip(self.0.spans.lost()) {
            let labels = [("kind", *kind)];
            let mut family = metric.encode_family(&labels)?;
            family.encode_counter::<NoLabelSet, _, u64>(&count, None)?;
        }
        Ok(())
    }
}

impl Collector for All {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let e = &mut encoder;
        self.requests(e)?;
        let help = "Decisions by the layer whose policy made them";
        let what = ("decisions", help, "layer");
        self.decisions(e, what, &Counters::LAYERS, Counters::by_layer)?;
        self.by_stream(e)?;
        self.counter(e, "connections", "Client connections accepted", |c| {
            &c.connections
        })?;
        {
            let help = "Client connections open";
            let metric = e.encode_descriptor("connections_open", help, None, MetricType::Gauge)?;
            let open = i64::try_from(self.sum(|c| &c.connections_open)).unwrap_or(i64::MAX);
            prometheus_client::metrics::gauge::ConstGauge::new(open).encode(metric)?;
        }
        self.counter(
            e,
            "connections_refused",
            "Client connections closed at once because the limit was open",
            |c| &c.connections_refused,
        )?;
        self.labelled(
            e,
            "connections_dropped",
            "Client connections dropped before TLS, by kind",
            "kind",
            &DropReason::NAMES,
            |c, place| c.connections_dropped.at(place),
        )?;
        self.trials(e)?;
        self.labelled(
            e,
            "requests_limited",
            "Requests that came up against a limit, by limit",
            "limit",
            &LimitHit::NAMES,
            |c, place| c.limited.at(place),
        )?;
        self.rates(e)?;
        self.counter(
            e,
            "health_checks",
            "Connections that load balancers opened for themselves",
            |c| &c.health_checks,
        )?;
        self.counter(e, "tunnels", "Tunnels opened", |c| &c.tunnels)?;
        self.counter(
            e,
            "tunnel_sent_bytes",
            "Bytes from clients through tunnels",
            |c| &c.tunnel_sent_bytes,
        )?;
        self.counter(
            e,
            "tunnel_received_bytes",
            "Bytes to clients through tunnels",
            |c| &c.tunnel_received_bytes,
        )?;
        self.labelled(
            e,
            "tls_failures",
            "TLS handshakes with clients that came to nothing, by kind",
            "kind",
            &TlsFailure::NAMES,
            |c, place| c.tls_failures.at(place),
        )?;
        self.labelled(
            e,
            "upstream_failures",
            "Allowed requests that got no answer, by kind",
            "kind",
            &Failure::KINDS,
            |c, place| c.upstream_failures.at(place),
        )?;
        self.counter(e, "request_bytes", "Bytes of request bodies", |c| {
            &c.request_bytes
        })?;
        self.counter(e, "response_bytes", "Bytes of answers' bodies", |c| {
            &c.response_bytes
        })?;
        self.tokens(e)?;
        self.log(e)?;
        self.spans(e)?;
        self.gauges(e)?;
        self.histogram(
            e,
            "request",
            "From a request's head to the end of its answer",
            |c| &c.total,
        )?;
        self.histogram(
            e,
            "upstream",
            "From forwarding to the head of the answer",
            |c| &c.upstream,
        )?;
        self.histogram(e, "decision", "Reading who and what, and deciding", |c| {
            &c.decide
        })
    }
}
