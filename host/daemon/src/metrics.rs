//! What `/metrics` shows. Counters of outcomes are kept here; everything else is read when it is asked for.

use std::fmt;
use std::sync::Arc;

use host_event::{Book, OutcomeCount, ProjectId};
use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

pub type Labels = Vec<(&'static str, String)>;

/// Counts outcomes by category, outcome and reason. Without the project: ten thousand of them would be too much for a scrape, and
/// `outcomes/` has them.
#[derive(Default)]
pub struct Outcomes {
    family: Family<Labels, Counter>,
    reasons: Mutex<hashbrown::HashSet<String>>,
}

/// Reasons come from plugins and clients: beyond this many different ones they are counted as `other`.
const REASONS_MAX: usize = 500;

impl Book for Outcomes {
    fn settle(&self, _: ProjectId, count: &OutcomeCount) {
        let labels = vec![
            ("category", count.category.to_string()),
            ("outcome", count.outcome.to_string()),
            ("reason", self.reason(&count.reason)),
        ];
        self.family.get_or_create(&labels).inc_by(count.quantity);
    }
}

impl Outcomes {
    fn reason(&self, reason: &str) -> String {
        let mut reasons = self.reasons.lock();
        if reasons.contains(reason) {
            return reason.to_owned();
        }
        if reasons.len() >= REASONS_MAX {
            return "other".to_owned();
        }
        reasons.insert(reason.to_owned());
        reason.to_owned()
    }
}

/// One number at the time of a scrape.
pub struct Sample {
    pub name: &'static str,
    pub help: &'static str,
    pub labels: Labels,
    pub value: Value,
}

pub enum Value {
    Counter(f64),
    Gauge(f64),
    /// The sum of all observations, and how many there were in each bucket, by its upper bound; not cumulative.
    Histogram {
        sum: f64,
        buckets: Vec<(f64, u64)>,
    },
}

impl Value {
    fn kind(&self) -> MetricType {
        match self {
            Value::Counter(_) => MetricType::Counter,
            Value::Gauge(_) => MetricType::Gauge,
            Value::Histogram { .. } => MetricType::Histogram,
        }
    }

    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        match self {
            Value::Counter(value) => ConstCounter::new(*value).encode(encoder),
            Value::Gauge(value) => ConstGauge::new(*value).encode(encoder),
            Value::Histogram { sum, buckets } => {
                let count = buckets.iter().map(|(_, n)| n).sum();
                encoder.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)
            }
        }
    }
}

impl Sample {
    pub fn counter(name: &'static str, help: &'static str, labels: Labels, value: f64) -> Sample {
        Sample { name, help, labels, value: Value::Counter(value) }
    }

    pub fn gauge(name: &'static str, help: &'static str, labels: Labels, value: f64) -> Sample {
        Sample { name, help, labels, value: Value::Gauge(value) }
    }
}

/// Something that can be asked for its numbers.
pub type Source = Box<dyn Fn() -> Vec<Sample> + Send + Sync>;

struct Sources(Vec<Source>);

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sources", self.0.len())
    }
}

impl Collector for Sources {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut samples: Vec<Sample> = self.0.iter().flat_map(|source| source()).collect();
        // The format wants all lines of one metric together.
        samples.sort_by_key(|s| s.name);
        for of_name in samples.chunk_by(|a, b| a.name == b.name) {
            let first = &of_name[0];
            let mut metric = encoder.encode_descriptor(first.name, first.help, None, first.value.kind())?;
            for sample in of_name {
                sample.value.encode(metric.encode_family(&sample.labels)?)?;
            }
        }
        Ok(())
    }
}

/// Everything that a scrape shows.
pub struct Metrics(Registry);

impl Metrics {
    pub fn new(outcomes: &Outcomes, sources: Vec<Source>) -> Arc<Metrics> {
        let mut registry = Registry::with_prefix("tamis");
        let help = "Items by what became of them, since the start of this process";
        registry.register("outcomes", help, outcomes.family.clone());
        registry.register_collector(Box::new(Sources(sources)));
        Arc::new(Metrics(registry))
    }

    /// The text of a scrape, in the OpenMetrics format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.0).expect("a String takes everything");
        text
    }
}

#[cfg(test)]
mod tests {
    use host_event::{Category, Outcome};

    use super::*;

    #[test]
    fn a_scrape() {
        let outcomes = Outcomes::default();
        let count = OutcomeCount {
            category: Category::Error,
            outcome: Outcome::Filtered,
            reason: "x\"y".into(),
            quantity: 3,
        };
        outcomes.settle(1, &count);
        outcomes.settle(2, &count);
        let source: Source = Box::new(|| {
            let lag = |p: &str, n| {
                Sample::gauge("queue_lag_records", "Records not worked off", vec![("partition", p.into())], n)
            };
            let value = Value::Histogram { sum: 2.5, buckets: vec![(0.5, 3), (f64::INFINITY, 1)] };
            let took = Sample { name: "http_seconds", help: "Time", labels: vec![], value };
            vec![
                took,
                lag("0", 1.0),
                Sample::counter("http_requests", "Requests", vec![], 7.0),
                lag("1", 2.5),
            ]
        });
        let text = Metrics::new(&outcomes, vec![source]).render();
        for line in [
            "tamis_outcomes_total{category=\"error\",outcome=\"filtered\",reason=\"x\\\"y\"} 6",
            "tamis_queue_lag_records{partition=\"0\"} 1.0",
            "tamis_queue_lag_records{partition=\"1\"} 2.5",
            "tamis_http_requests_total 7.0",
            "tamis_http_seconds_bucket{le=\"0.5\"} 3",
            "tamis_http_seconds_bucket{le=\"+Inf\"} 4",
            "tamis_http_seconds_count 4",
            "# TYPE tamis_queue_lag_records gauge",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        assert_eq!(text.matches("# TYPE tamis_queue_lag_records").count(), 1);
    }

    #[test]
    fn reasons_are_bounded() {
        let outcomes = Outcomes::default();
        for i in 0..2 * REASONS_MAX {
            let reason = format!("r{i}").into();
            outcomes.settle(
                1,
                &OutcomeCount { category: Category::Log, outcome: Outcome::Invalid, reason, quantity: 1 },
            );
        }
        let text = Metrics::new(&outcomes, vec![]).render();
        assert!(
            text.lines().count() < REASONS_MAX + 10
                && text.contains(&format!("reason=\"other\"}} {REASONS_MAX}"))
        );
    }
}
