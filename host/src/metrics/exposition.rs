//! Prometheus text, format 0.0.4, by way of `prometheus-client`.
//!
//! That crate writes OpenMetrics, where a counter is announced without the `_total` of its samples. Prometheus' own format
//! announces the name that the samples have, and the names here are given by the dashboards that read them. So families are
//! announced under their full names and every sample is written as the crate writes a gauge, which adds nothing to its name.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

/// The content type of what is written.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Samples of one scrape; those beyond are left out, and counted.
pub const MAX_SAMPLES: usize = 1_000_000;

/// What kind of figures a family holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// The figures of one scrape, in families.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    families: Vec<Family>,
    samples: usize,
    pub(super) left_out: u64,
}

#[derive(Debug)]
struct Family {
    name: String,
    help: String,
    kind: Kind,
    samples: Vec<Sample>,
}

#[derive(Debug)]
struct Sample {
    labels: Vec<(String, String)>,
    value: SampleValue,
}

#[derive(Debug)]
enum SampleValue {
    Number(f64),
    Histogram(Histogram),
}

/// How often something was how large.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Histogram {
    pub(super) sum: f64,
    pub(super) count: u64,
    /// Largest value and number of those up to it and above the one before; the last is `f64::INFINITY` for the rest.
    pub(super) buckets: Vec<(f64, u64)>,
}

impl Exposition {
    /// Begins a family, or goes on with it if it was begun before.
    pub(super) fn family(&mut self, name: &str, help: &str, kind: Kind) {
        if let Some(place) = self.families.iter().position(|family| family.name == name) {
            let family = self.families.remove(place);
            self.families.push(family);
        } else {
            self.families.push(Family { name: name.to_owned(), help: help.to_owned(), kind, samples: Vec::new() });
        }
    }

    /// Adds a sample to the family that was begun last.
    pub(super) fn number(&mut self, labels: &[(&str, &str)], value: f64) {
        self.sample(labels, SampleValue::Number(value));
    }

    /// The same for a family of histograms.
    pub(super) fn histogram(&mut self, labels: &[(&str, &str)], value: Histogram) {
        self.sample(labels, SampleValue::Histogram(value));
    }

    /// A family of one number that is told however many samples there are.
    pub(super) fn always(&mut self, name: &str, help: &str, value: f64) {
        self.family(name, help, Kind::Gauge);
        if let Some(family) = self.families.last_mut() {
            family.samples.push(Sample { labels: Vec::new(), value: SampleValue::Number(value) });
        }
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: SampleValue) {
        if self.samples >= MAX_SAMPLES {
            self.left_out += 1;
            return;
        }
        if let Some(family) = self.families.last_mut() {
            self.samples += 1;
            let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            family.samples.push(Sample { labels, value });
        }
    }

    /// The text.
    ///
    /// # Errors
    /// Never, for a text that is written to memory.
    pub(super) fn into_text(self) -> Result<String, fmt::Error> {
        let mut text = String::with_capacity(self.samples * 100);
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self));
        encode_registry(&mut text, &registry)?;
        Ok(text)
    }
}

impl Collector for Exposition {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for family in &self.families {
            let kind = match family.kind {
                Kind::Counter => MetricType::Counter,
                Kind::Gauge => MetricType::Gauge,
                Kind::Histogram => MetricType::Histogram,
            };
            let mut metric = encoder.encode_descriptor(&family.name, &family.help, None, kind)?;
            for sample in &family.samples {
                match sample.labels.is_empty() {
                    true => sample.value.write(&mut metric)?,
                    false => sample.value.write(&mut metric.encode_family(&sample.labels)?)?,
                }
            }
        }
        Ok(())
    }
}

impl SampleValue {
    fn write(&self, metric: &mut MetricEncoder<'_>) -> Result<(), fmt::Error> {
        match self {
            SampleValue::Number(number) => metric.encode_gauge(number),
            SampleValue::Histogram(histogram) => {
                metric.encode_histogram::<NoLabelSet>(histogram.sum, histogram.count, &histogram.buckets, None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_are_written_as_they_are_given() {
        let mut out = Exposition::default();
        out.family("records_total", "How many.", Kind::Counter);
        out.number(&[("connector", "a\"b\\c\nd"), ("task", "0")], 5.0);
        out.family("up", "Whether.", Kind::Gauge);
        out.number(&[], 1.0);
        out.family("time_seconds", "How long.", Kind::Histogram);
        out.histogram(&[("path", "/")], Histogram { sum: 0.5, count: 3, buckets: vec![(0.1, 2), (f64::INFINITY, 1)] });
        let expect = "# HELP records_total How many.\n# TYPE records_total counter\n\
            records_total{connector=\"a\\\"b\\\\c\\nd\",task=\"0\"} 5.0\n\
            # HELP up Whether.\n# TYPE up gauge\nup 1.0\n\
            # HELP time_seconds How long.\n# TYPE time_seconds histogram\n\
            time_seconds_sum{path=\"/\"} 0.5\ntime_seconds_count{path=\"/\"} 3\n\
            time_seconds_bucket{le=\"0.1\",path=\"/\"} 2\ntime_seconds_bucket{le=\"+Inf\",path=\"/\"} 3\n";
        assert_eq!(out.into_text().unwrap(), expect);
    }

    #[test]
    fn there_is_an_end_to_samples() {
        let mut out = Exposition { samples: MAX_SAMPLES, ..Exposition::default() };
        out.family("x", "X.", Kind::Gauge);
        out.number(&[], 1.0);
        assert_eq!(out.left_out, 1);
    }
}
