//! Finds the members of JSON objects that are spelled as they nearly always are, in one pass over their text.

use std::ops::Range;

/// Nesting beyond which an object is left to serde_json.
const MAX_DEPTH: usize = 64;

/// Calls `member` with where each name (without its quotes) and each value of an object stand in `text`. `None` when the text is no object,
/// is malformed or unusual (a name with escapes, deep nesting), or `member` wants no more: serde_json is asked then, which also says
/// what is wrong. What is taken here, it would take, too.
pub(super) fn members(text: &[u8], mut member: impl FnMut(Range<usize>, Range<usize>) -> Option<()>) -> Option<()> {
    std::str::from_utf8(text).ok()?;
    let mut at = expect(text, space(text, 0), b'{')?;
    at = space(text, at);
    if text.get(at) == Some(&b'}') {
        return at_end(text, at + 1);
    }
    loop {
        let name = expect(text, at, b'"')?;
        let name_end = plain_string(text, name)?;
        at = space(text, name_end + 1);
        let value = space(text, expect(text, at, b':')?);
        let value_end = skip(text, value, MAX_DEPTH)?;
        member(name..name_end, value..value_end)?;
        at = space(text, value_end);
        match text.get(at)? {
            b',' => at = space(text, at + 1),
            b'}' => return at_end(text, at + 1),
            _ => return None,
        }
    }
}

fn at_end(text: &[u8], at: usize) -> Option<()> {
    (space(text, at) == text.len()).then_some(())
}

fn expect(text: &[u8], at: usize, byte: u8) -> Option<usize> {
    (text.get(at) == Some(&byte)).then_some(at + 1)
}

fn space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = text.get(at) {
        at += 1;
    }
    at
}

/// The end of the value that begins at `at`.
fn skip(text: &[u8], at: usize, depth: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => string(text, at + 1),
        b'{' | b'[' => container(text, at, depth.checked_sub(1)?),
        b't' => literal(text, at, b"true"),
        b'f' => literal(text, at, b"false"),
        b'n' => literal(text, at, b"null"),
        _ => number(text, at),
    }
}

fn container(text: &[u8], at: usize, depth: usize) -> Option<usize> {
    let (named, close) = if text.get(at) == Some(&b'{') { (true, b'}') } else { (false, b']') };
    let mut at = space(text, at + 1);
    if text.get(at) == Some(&close) {
        return Some(at + 1);
    }
    loop {
        if named {
            at = space(text, string(text, expect(text, at, b'"')?)?);
            at = space(text, expect(text, at, b':')?);
        }
        at = space(text, skip(text, at, depth)?);
        match text.get(at)? {
            b',' => at = space(text, at + 1),
            byte if *byte == close => return Some(at + 1),
            _ => return None,
        }
    }
}

fn literal(text: &[u8], at: usize, literal: &[u8]) -> Option<usize> {
    text.get(at..)?.starts_with(literal).then_some(at + literal.len())
}

fn number(text: &[u8], mut at: usize) -> Option<usize> {
    at += usize::from(text.get(at) == Some(&b'-'));
    at = match text.get(at)? {
        b'0' => at + 1,
        _ => digits(text, at)?,
    };
    if text.get(at) == Some(&b'.') {
        at = digits(text, at + 1)?;
    }
    if let Some(b'e' | b'E') = text.get(at) {
        at += 1;
        at += usize::from(matches!(text.get(at), Some(b'+' | b'-')));
        at = digits(text, at)?;
    }
    // Another digit would be one behind a leading zero.
    (!text.get(at).is_some_and(u8::is_ascii_digit)).then_some(at)
}

fn digits(text: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    while text.get(end).is_some_and(u8::is_ascii_digit) {
        end += 1;
    }
    (end > at).then_some(end)
}

/// The place of the quote that ends a string without escapes.
fn plain_string(text: &[u8], at: usize) -> Option<usize> {
    let end = plain_run(text, at);
    (text.get(end) == Some(&b'"')).then_some(end)
}

/// What follows the quote that ends a string.
fn string(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = plain_run(text, at);
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => match text.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                b'u' => {
                    text.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit).then_some(())?;
                    at += 6;
                }
                _ => return None,
            },
            _ => return None,
        }
    }
}

/// The place of the first quote, backslash or control character. Looks at eight bytes a step.
fn plain_run(text: &[u8], mut at: usize) -> usize {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = EACH << 7;
    while let Some(Ok(chunk)) = text.get(at..at + 8).map(<[u8; 8]>::try_from) {
        let word = u64::from_le_bytes(chunk);
        let quote = word ^ (EACH * u64::from(b'"'));
        let backslash = word ^ (EACH * u64::from(b'\\'));
        let found = ((quote.wrapping_sub(EACH) & !quote)
            | (backslash.wrapping_sub(EACH) & !backslash)
            | (word.wrapping_sub(EACH * 0x20) & !word))
            & HIGH;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while text.get(at).is_some_and(|byte| *byte >= 0x20 && !matches!(byte, b'"' | b'\\')) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;

    use super::*;

    /// Names and values; `None` if it is left to serde_json.
    fn found(text: &str) -> Option<Vec<(&str, &str)>> {
        let mut found = Vec::new();
        members(text.as_bytes(), |name, value| {
            found.push((&text[name], &text[value]));
            Some(())
        })?;
        Some(found)
    }

    #[test]
    fn members_are_found_or_left_to_serde_json() {
        for (text, expect) in [
            ("{}", Some(vec![])),
            (" { \"a\" : 1 , \"b\":[1, {\"x\":\"\\\"}\"}] } ", Some(vec![("a", "1"), ("b", "[1, {\"x\":\"\\\"}\"}]")])),
            (r#"{"é":"\u00e9\n","a":-0.5e-3,"a":null}"#, Some(vec![("é", r#""\u00e9\n""#), ("a", "-0.5e-3"), ("a", "null")])),
            (r#"{"a\n":1}"#, None),
        ] {
            assert_eq!(found(text), expect, "{text}");
        }
    }

    #[test]
    fn nothing_malformed_is_taken() {
        for text in [
            "",
            "[]",
            "1",
            "{",
            "{]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1}x",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":-}",
            "{\"a\":1e}",
            "{\"a\":.5}",
            "{\"a\":+1}",
            "{\"a\":nul}",
            "{\"a\":\"\t\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\u12g4\"}",
            "{\"a\":[1,]}",
            "{\"a\":{\"b\"}}",
            "{\"a\":[1 2]}",
            "{a:1}",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
        assert_eq!(members(b"{\"a\":\"\xff\"}", |_, _| Some(())), None);
    }

    proptest! {
        #[test]
        fn what_is_taken_serde_json_takes(text in r#"[{} \[\]":,\\ua0-9.eE+\-tfn]{0,40}"#) {
            let text = format!("{{\"a\":{text}}}");
            if let Some(found) = found(&text) {
                let read: pairs::Pairs<'_> = serde_json::from_str(&text).unwrap();
                let read: Vec<_> = read.0.iter().map(|(name, value)| (name.as_str(), value.get())).collect();
                prop_assert_eq!(found, read);
            }
        }
    }

    /// All members, repeated names too.
    mod pairs {
        use super::RawValue;
        use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

        pub struct Pairs<'a>(pub Vec<(String, &'a RawValue)>);

        impl<'de> Deserialize<'de> for Pairs<'de> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct All;
                impl<'de> Visitor<'de> for All {
                    type Value = Pairs<'de>;

                    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        formatter.write_str("an object")
                    }

                    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                        let mut pairs = Vec::new();
                        while let Some(pair) = map.next_entry()? {
                            pairs.push(pair);
                        }
                        Ok(Pairs(pairs))
                    }
                }
                deserializer.deserialize_map(All)
            }
        }
    }
}
