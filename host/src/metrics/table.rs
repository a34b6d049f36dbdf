//! How a figure is named and told. Each stands once in a table; its names follow from there.

use super::exposition::{Exposition, Kind};

/// What a figure is at a scrape.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    /// It has none here.
    None,
    Number(f64),
    /// Told as a label of the same name, on a sample of 1.
    Text(String),
}

impl From<f64> for Value {
    fn from(number: f64) -> Value {
        Value::Number(number)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Value {
        Value::Number(number as f64)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Value {
        Value::Number(f64::from(flag))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Value {
        value.map_or(Value::None, Into::into)
    }
}

/// A figure of a subject `S`.
pub(super) struct Attribute<S> {
    /// As Kafka spells it, such as `put-batch-avg-time-ms`.
    pub(super) name: &'static str,
    /// What it is; without its unit.
    pub(super) help: &'static str,
    pub(super) value: fn(&S) -> Value,
}

/// Figures that belong together.
pub(super) struct Group<S: 'static> {
    /// What comes before the attribute in names that do not depend on a choice.
    pub(super) own: Option<&'static str>,
    /// The same in the names of the JMX exporter's rules.
    pub(super) jmx: Option<&'static str>,
    /// The same in the names of Strimzi's reporter.
    pub(super) reporter: Option<&'static str>,
    /// Names of the labels: in the reporter's names the second, else the first.
    pub(super) labels: &'static [(&'static str, &'static str)],
    pub(super) attributes: &'static [Attribute<S>],
}

/// Which names are told for what Kafka Connect measures, beside Hawser's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameSets {
    /// Those of the JMX exporter with the rules that Strimzi ships and most dashboards expect.
    pub jmx: bool,
    /// Those of Strimzi's metrics reporter.
    pub reporter: bool,
}

/// What is known of a name before any scrape: for the documentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// In the JMX exporter's rules, or Hawser's own.
    pub name: Option<String>,
    /// In Strimzi's reporter.
    pub reporter: Option<String>,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The names of its labels.
    pub labels: Vec<String>,
    /// What it is.
    pub help: &'static str,
    /// What it is counted in; empty for a bare number.
    pub unit: &'static str,
}

impl<S> Group<S> {
    /// Tells of all subjects, each with the values of the group's labels.
    pub(super) fn tell<'s>(
        &self,
        out: &mut Exposition,
        names: NameSets,
        subjects: impl Iterator<Item = (Vec<String>, &'s S)> + Clone,
    ) where
        S: 's,
    {
        let plain = self.own.or(self.jmx.filter(|_| names.jmx));
        let reporter = self.reporter.filter(|_| names.reporter);
        if plain.is_none() && reporter.is_none() {
            return;
        }
        for attribute in self.attributes {
            let values = subjects.clone().map(|(labels, subject)| (labels, (attribute.value)(subject)));
            let values: Vec<_> = values.filter(|(_, value)| *value != Value::None).collect();
            if values.is_empty() {
                continue;
            }
            let is_text = values.iter().any(|(_, value)| matches!(value, Value::Text(_)));
            let help = self.help(attribute);
            let mut tell = |name: String, kind, labels_of: fn(&(&'static str, &'static str)) -> &'static str| {
                out.family(&name, &help, kind);
                for (labels, value) in &values {
                    let labels = self.labels.iter().map(labels_of).zip(labels.iter().map(String::as_str));
                    sample(out, attribute, labels, value);
                }
            };
            if let Some(prefix) = plain {
                tell(plain_name(prefix, attribute), kind(attribute), |(plain, _)| plain);
            }
            if let Some(prefix) = reporter {
                tell(reporter_name(prefix, attribute, is_text), Kind::Gauge, |(_, reporter)| reporter);
            }
        }
    }

    /// The group's figures for the documentation; `texts` are those that are told as labels.
    pub(super) fn describe(&self, texts: &[&str]) -> Vec<Described> {
        let describe = |attribute: &Attribute<S>| {
            let is_text = texts.contains(&attribute.name);
            let mut labels: Vec<String> = self.labels.iter().map(|(plain, _)| (*plain).to_owned()).collect();
            if is_text {
                labels.push(label(attribute));
            }
            Described {
                name: self.own.or(self.jmx).map(|prefix| plain_name(prefix, attribute)),
                reporter: self.reporter.map(|prefix| reporter_name(prefix, attribute, is_text)),
                kind: kind(attribute).name(),
                labels,
                help: attribute.help,
                unit: unit(attribute.name),
            }
        };
        self.attributes.iter().map(describe).collect()
    }

    fn help(&self, attribute: &Attribute<S>) -> String {
        match unit(attribute.name) {
            "" => attribute.help.to_owned(),
            unit => format!("{} Unit: {unit}.", attribute.help),
        }
    }
}

fn plain_name<S>(prefix: &str, attribute: &Attribute<S>) -> String {
    format!("{prefix}_{}", attribute.name.replace('-', "_"))
}

/// The Java client of Prometheus, on which the reporter stands, takes `_total` away from gauges (and everything is one there) and
/// adds `_info` to texts.
fn reporter_name<S>(prefix: &str, attribute: &Attribute<S>, is_text: bool) -> String {
    let name = attribute.name.strip_suffix("-total").unwrap_or(attribute.name).replace('-', "_");
    format!("{prefix}_{name}{}", if is_text { "_info" } else { "" })
}

fn kind<S>(attribute: &Attribute<S>) -> Kind {
    if attribute.name.ends_with("-total") { Kind::Counter } else { Kind::Gauge }
}

/// The label that holds a text.
fn label<S>(attribute: &Attribute<S>) -> String {
    attribute.name.strip_suffix("-info").unwrap_or(attribute.name).replace('-', "_")
}

fn sample<'a, S>(
    out: &mut Exposition,
    attribute: &Attribute<S>,
    labels: impl Iterator<Item = (&'a str, &'a str)>,
    value: &'a Value,
) {
    let mut labels: Vec<(&str, &str)> = labels.collect();
    let label = label(attribute);
    match value {
        Value::None => {}
        Value::Number(number) => out.number(&labels, *number),
        Value::Text(text) => {
            labels.push((&label, text));
            out.number(&labels, 1.0);
        }
    }
}

/// What a figure is counted in, by the end of its name.
fn unit(name: &str) -> &'static str {
    const UNITS: &[(&str, &str)] = &[
        ("-time-ms", "milliseconds"),
        ("-ms", "milliseconds"),
        ("-timestamp", "milliseconds since 1970"),
        ("-timestamp-seconds", "seconds since 1970"),
        ("-seconds-ago", "seconds"),
        ("-seconds", "seconds"),
        ("-seconds-total", "seconds"),
        ("-ratio", "ratio from 0 to 1"),
        ("-percentage", "ratio from 0 to 1"),
        ("byte-rate", "bytes per second"),
        ("bytes-consumed-rate", "bytes per second"),
        ("bytes-rate", "bytes per second"),
        ("-rate", "per second"),
        ("byte-total", "bytes"),
        ("bytes-consumed-total", "bytes"),
        ("-bytes", "bytes"),
        ("-bytes-total", "bytes"),
        ("-latency-avg", "milliseconds"),
        ("-latency-max", "milliseconds"),
        ("-throttle-time-avg", "milliseconds"),
        ("-throttle-time-max", "milliseconds"),
        ("producer-batch-size-avg", "bytes"),
    ];
    let fits = UNITS.iter().filter(|(end, _)| name.ends_with(end) || format!("-{name}").ends_with(end));
    fits.max_by_key(|(end, _)| end.len()).map_or("", |(_, unit)| unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_follow_from_names() {
        for (name, expect) in [
            ("put-batch-avg-time-ms", "milliseconds"),
            ("running-ratio", "ratio from 0 to 1"),
            ("outgoing-byte-total", "bytes"),
            ("incoming-byte-rate", "bytes per second"),
            ("record-send-rate", "per second"),
            ("last-progress-timestamp-seconds", "seconds since 1970"),
            ("last-error-timestamp", "milliseconds since 1970"),
            ("memory-bytes", "bytes"),
            ("partition-count", ""),
            ("start-time-ms", "milliseconds"),
        ] {
            assert_eq!(unit(name), expect, "{name}");
        }
    }
}
