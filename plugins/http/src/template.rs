//! URLs with places for what differs from record to record.

use std::fmt::Write;

use hawser_plugin::record::RecordView;

/// A URL with `${topic}`, `${partition}`, `${offset}` and `${key}` in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Topic,
    Partition,
    Offset,
    Key,
}

impl Template {
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text.trim();
        while let Some((before, behind)) = rest.split_once("${") {
            let (name, after) = behind.split_once('}').ok_or("`${` without `}`")?;
            parts.push(Part::Text(before.to_owned()));
            parts.push(match name {
                "topic" => Part::Topic,
                "partition" => Part::Partition,
                "offset" => Part::Offset,
                "key" => Part::Key,
                other => return Err(format!("`${{{other}}}` is none of ${{topic}}, ${{partition}}, ${{offset}} and ${{key}}")),
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self(parts))
    }

    /// Whether records of one topic share a URL.
    pub fn is_per_topic(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Text(_) | Part::Topic))
    }

    /// The URL for a record, or why it has none.
    pub fn url(&self, record: &RecordView<'_>) -> Result<String, &'static str> {
        let mut url = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => url.push_str(text),
                Part::Topic => escape(record.topic().as_bytes(), &mut url),
                Part::Partition => escape(record.partition().unwrap_or(0).to_string().as_bytes(), &mut url),
                Part::Offset => escape(record.offset().unwrap_or(0).to_string().as_bytes(), &mut url),
                Part::Key if record.key().is_null() => return Err("it has no key for ${key} in the URL"),
                Part::Key if record.key().schema.is_json() => {
                    // A text's quotes are not part of it.
                    let key = record.key();
                    match key.parse::<String>() {
                        Ok(text) => escape(text.as_bytes(), &mut url),
                        Err(_) => escape(key.as_slice(), &mut url),
                    }
                }
                Part::Key => escape(record.key().as_slice(), &mut url),
            }
        }
        Ok(url)
    }
}

/// Adds bytes as one part of a path or query: all but unreserved characters (RFC 3986) are percent-encoded, so that a key can
/// not lead elsewhere.
pub fn escape(bytes: &[u8], url: &mut String) {
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'~' => url.push(char::from(*byte)),
            // A part of dots alone would be a step in the path.
            b'.' if !bytes.iter().all(|byte| *byte == b'.') => url.push('.'),
            _ => drop(write!(url, "%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use hawser_plugin::prelude::*;
    use hawser_plugin::testing::batch_from_kafka;

    use super::*;

    #[test]
    fn places_are_filled_and_escaped() {
        fn check(template: &str, record: NewRecord<'_>, expect: Result<&str, &'static str>) {
            let batch = batch_from_kafka(7, &[record]).unwrap();
            let url = Template::parse(template).unwrap().url(&batch.iter().next().unwrap());
            assert_eq!(url.as_deref().map_err(|reason| *reason), expect, "{template}");
        }
        let record = |key: &'static str| NewRecord::new("to pic").partition(3).key(key);
        check("http://h/x", record("k"), Ok("http://h/x"));
        check("http://h/${topic}/${partition}/${offset}?k=${key}", record("a/b&c"), Ok("http://h/to%20pic/3/7?k=a%2Fb%26c"));
        check("http://h/${key}", record(".."), Ok("http://h/%2E%2E"));
        check("http://h/${key}", record("a.b"), Ok("http://h/a.b"));
        check("http://h/${key}", NewRecord::new("t").key(Payload::json("\"é\"")), Ok("http://h/%C3%A9"));
        check("http://h/${key}", NewRecord::new("t").key(Payload::json("7")), Ok("http://h/7"));
        check("http://h/${key}", NewRecord::new("t"), Err("it has no key for ${key} in the URL"));
        for wrong in ["http://h/${key", "http://h/${name}"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }
}
