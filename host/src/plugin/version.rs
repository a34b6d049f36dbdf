//! Versions of plugins, and the ranges in which connectors ask for them.

use std::fmt;
use std::str::FromStr;

use semver::Version;

/// Versions that a connector accepts: the value of `connector.plugin.version` and its siblings (KIP-891).
///
/// A Maven range such as `[1.0,2.0)`, `(,1.5]`, `[1.2]` or several of them with commas between; `latest` for any; and, unlike
/// in Maven, a bare `1.0` for exactly this version. What a version leaves out is zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRange {
    text: String,
    /// A version is meant if it is in one of these.
    spans: Vec<Span>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    low: Option<Bound>,
    high: Option<Bound>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Bound {
    version: Version,
    inclusive: bool,
}

/// Text that is no version range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no version range; write `1.2.3`, a range such as `[1.0,2.0)`, or `latest`")]
pub struct InvalidRange(pub String);

impl VersionRange {
    /// Whether a version is in the range.
    pub fn contains(&self, version: &Version) -> bool {
        self.spans.iter().any(|span| {
            let above = |low: &Bound| *version > low.version || (low.inclusive && *version == low.version);
            let below = |high: &Bound| *version < high.version || (high.inclusive && *version == high.version);
            span.low.as_ref().is_none_or(above) && span.high.as_ref().is_none_or(below)
        })
    }
}

impl FromStr for VersionRange {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        let trimmed = text.trim();
        let spans = if trimmed == "latest" {
            Some(vec![Span { low: None, high: None }])
        } else if trimmed.starts_with(['[', '(']) {
            parse_spans(trimmed)
        } else {
            parse_version(trimmed).map(|version| vec![exactly(version)])
        };
        let spans = spans.ok_or_else(|| InvalidRange(text.to_owned()))?;
        Ok(VersionRange { text: trimmed.to_owned(), spans })
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn parse_spans(text: &str) -> Option<Vec<Span>> {
    let mut spans = Vec::new();
    let mut rest = text;
    loop {
        let inclusive_low = match rest.chars().next()? {
            '[' => true,
            '(' => false,
            _ => return None,
        };
        let end = rest.find([']', ')'])?;
        let inclusive_high = rest[end..].starts_with(']');
        spans.push(parse_span(&rest[1..end], inclusive_low, inclusive_high)?);
        rest = rest[end + 1..].trim_start();
        if rest.is_empty() {
            return Some(spans);
        }
        rest = rest.strip_prefix(',')?.trim_start();
    }
}

fn parse_span(inside: &str, inclusive_low: bool, inclusive_high: bool) -> Option<Span> {
    let Some((low, high)) = inside.split_once(',') else {
        return (inclusive_low && inclusive_high).then(|| parse_version(inside).map(exactly))?;
    };
    let bound = |text: &str, inclusive| match text.trim() {
        "" => Some(None),
        text => parse_version(text).map(|version| Some(Bound { version, inclusive })),
    };
    let span = Span { low: bound(low, inclusive_low)?, high: bound(high, inclusive_high)? };
    match (&span.low, &span.high) {
        (Some(low), Some(high)) if low.version > high.version => None,
        _ => Some(span),
    }
}

fn exactly(version: Version) -> Span {
    let bound = Bound { version, inclusive: true };
    Span { low: Some(bound.clone()), high: Some(bound) }
}

/// A semantic version whose minor and patch numbers may be left out.
fn parse_version(text: &str) -> Option<Version> {
    let text = text.trim();
    let numbers_end = text.find(['-', '+']).unwrap_or(text.len());
    let (numbers, rest) = text.split_at(numbers_end);
    let padding = match numbers.split('.').count() {
        1 => ".0.0",
        2 => ".0",
        _ => "",
    };
    Version::parse(&format!("{numbers}{padding}{rest}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_what_maven_and_kip_891_say() {
        fn check(range: &str, within: &[&str], outside: &[&str]) {
            let parsed: VersionRange = range.parse().unwrap();
            for version in within {
                assert!(parsed.contains(&version.parse().unwrap()), "{version} is not in {range}");
            }
            for version in outside {
                assert!(!parsed.contains(&version.parse().unwrap()), "{version} is in {range}");
            }
        }
        check("1.0", &["1.0.0"], &["1.0.1", "0.9.0", "1.0.0-rc1"]);
        check("[1.0]", &["1.0.0"], &["1.0.1"]);
        check("1.2.3-beta.1", &["1.2.3-beta.1"], &["1.2.3"]);
        check("[1.0,2.0)", &["1.0.0", "1.9.9", "2.0.0-beta"], &["0.9.0", "2.0.0"]);
        check("(1.0,2.0]", &["1.0.1", "2.0.0"], &["1.0.0", "2.0.1"]);
        check("(,2]", &["0.0.1", "2.0.0"], &["2.0.1"]);
        check("[1.5,)", &["1.5.0", "99.0.0"], &["1.4.9"]);
        check(" (,1.0] , [1.2,) ", &["1.0.0", "1.2.0"], &["1.1.0"]);
        check("latest", &["0.0.1", "9.9.9"], &[]);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        for text in [
            "",
            "x",
            "1.x",
            "[1.0",
            "1.0]",
            "(1.0)",
            "[1.0)",
            "[2.0,1.0]",
            "[1,2,3]",
            "[1.0,2.0)x",
            "[,",
            "1.0.0.0",
            "[1,2)[3,4)",
        ] {
            assert_eq!(text.parse::<VersionRange>(), Err(InvalidRange(text.into())));
        }
    }
}
