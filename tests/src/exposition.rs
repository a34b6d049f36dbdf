//! Prometheus text, read strictly.

use std::collections::{BTreeMap, BTreeSet};

/// One sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Its name, that of its family or with the ending of a part of a histogram.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// Samples that were announced together.
#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    /// `counter`, `gauge` or `histogram`.
    pub kind: String,
    /// What it is.
    pub help: String,
    /// Its samples.
    pub samples: Vec<Sample>,
}

/// What a scrape told.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Exposition {
    /// By name.
    pub families: BTreeMap<String, Family>,
}

impl Exposition {
    /// Reads text in format 0.0.4; everything that a strict reader could object to is an error.
    ///
    /// # Errors
    /// The line, and what is wrong with it.
    pub fn parse(text: &str) -> Result<Exposition, String> {
        if !text.ends_with('\n') {
            return Err("the last line does not end".to_owned());
        }
        let mut out = Exposition::default();
        let (mut announced, mut current) = (None::<(String, String)>, String::new());
        let mut series = BTreeSet::new();
        for line in text.lines() {
            let wrong = |what: &str| Err(format!("{what}: {line}"));
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let Some((name, help)) = rest.split_once(' ') else { return wrong("HELP without a text") };
                if announced.replace((name.to_owned(), help.to_owned())).is_some() || out.families.contains_key(name) {
                    return wrong("HELP out of place");
                }
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let Some((name, kind)) = rest.split_once(' ') else { return wrong("TYPE without a kind") };
                let Some((_, help)) = announced.take().filter(|(announced, _)| announced == name) else {
                    return wrong("TYPE without HELP before it");
                };
                if !is_name(name) || !["counter", "gauge", "histogram"].contains(&kind) {
                    return wrong("a name or kind that is not valid");
                }
                name.clone_into(&mut current);
                out.families.insert(current.clone(), Family { kind: kind.to_owned(), help, samples: Vec::new() });
            } else {
                let sample = sample(line).ok_or_else(|| format!("no sample: {line}"))?;
                let Some(family) = out.families.get_mut(&current).filter(|_| announced.is_none()) else {
                    return wrong("a sample before any family");
                };
                let suffix = sample.name.strip_prefix(&current);
                let fits = match family.kind.as_str() {
                    "histogram" => matches!(suffix, Some("_bucket" | "_sum" | "_count")),
                    _ => suffix == Some(""),
                };
                if !fits {
                    return wrong("a sample of another family");
                }
                if !series.insert((sample.name.clone(), sample.labels.clone())) {
                    return wrong("the same series twice");
                }
                if family.kind == "counter" && sample.value.is_sign_negative() {
                    return wrong("a counter below zero");
                }
                family.samples.push(sample);
            }
        }
        if announced.is_some() {
            return Err("HELP at the end".to_owned());
        }
        out.check_histograms()?;
        Ok(out)
    }

    /// The only sample of that name with these labels, other labels aside.
    pub fn get(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let mut found = self.samples().filter(|sample| {
            sample.name == name && labels.iter().all(|(key, value)| sample.labels.get(*key).is_some_and(|known| known == value))
        });
        let first = found.next()?;
        assert!(found.next().is_none(), "{name} with {labels:?} is not one sample");
        Some(first.value)
    }

    /// All samples.
    pub fn samples(&self) -> impl Iterator<Item = &Sample> {
        self.families.values().flat_map(|family| &family.samples)
    }

    fn check_histograms(&self) -> Result<(), String> {
        for (name, family) in self.families.iter().filter(|(_, family)| family.kind == "histogram") {
            let mut last: BTreeMap<BTreeMap<String, String>, f64> = BTreeMap::new();
            for sample in &family.samples {
                let mut labels = sample.labels.clone();
                let bound = labels.remove("le");
                if sample.name == format!("{name}_bucket") {
                    let before = last.insert(labels, sample.value).unwrap_or_default();
                    if bound.is_none() || sample.value < before {
                        return Err(format!("buckets of {name} do not grow: {sample:?}"));
                    }
                }
            }
            for count in family.samples.iter().filter(|sample| sample.name == format!("{name}_count")) {
                if last.get(&count.labels) != Some(&count.value) {
                    return Err(format!("the last bucket of {name} is not its count: {count:?}"));
                }
            }
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, value) = rest.split_once("=\"")?;
            let (value, after) = quoted(value)?;
            if !is_name(label) || label.contains(':') || labels.insert(label.to_owned(), value).is_some() {
                return None;
            }
            match after.strip_prefix(',') {
                Some(more) => rest = more,
                None => {
                    rest = after.strip_prefix('}')?;
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ')?.parse().ok()?;
    is_name(name).then(|| Sample { name: name.to_owned(), labels, value })
}

/// A label's value up to its quote, and what comes after it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let (mut value, mut chars) = (String::new(), text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match chars.next()?.1 {
                'n' => '\n',
                c @ ('\\' | '"') => c,
                _ => return None,
            }),
            c => value.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"q\\\"\\\\\\n\",y=\"\"} 5.0\na_total 1\n\
        # HELP h H.\n# TYPE h histogram\nh_sum 1.5\nh_count 2\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\n";

    #[test]
    fn what_is_right_is_read() {
        let read = Exposition::parse(GOOD).expect("good text");
        assert_eq!(read.get("a_total", &[("x", "q\"\\\n")]), Some(5.0));
        assert_eq!((read.families["h"].samples.len(), read.get("b", &[])), (4, None));
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for (from, to) in [
            ("# TYPE a_total counter\n", ""),
            ("# HELP a_total A.\n", ""),
            ("counter", "thing"),
            ("a_total 1", "b_total 1"),
            ("a_total 1", "a_total one"),
            ("y=\"\"", "y=\""),
            ("y=\"\"", "x=\"\""),
            ("a_total 1", "a_total -1"),
            ("h_count 2", "h_count 3"),
            ("le=\"+Inf\"} 2", "le=\"+Inf\"} 0"),
            ("# HELP h H.\n# TYPE h histogram\n", "# HELP a_total A.\n# TYPE a_total gauge\n"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            assert!(Exposition::parse(&GOOD.replacen(from, to, 1)).is_err(), "{from:?} to {to:?}");
        }
        assert!(Exposition::parse("a 1").is_err());
    }
}
