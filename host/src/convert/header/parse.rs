//! `Values.parseString`: the grammar of header text.

use std::borrow::Cow;
use std::collections::HashMap;

use super::merge::{Merger, Mixed, Type};
use crate::convert::data::Value;
use crate::convert::data::decimal::Decimal;
use crate::convert::data::time::{self, Temporal};

/// Nesting beyond which text is taken as text. In Java the stack decides.
const MAX_DEPTH: usize = 64;

/// What a text says.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// Null.
    Null,
    /// Itself.
    Text,
    /// A value of a type.
    Value(Type, Value),
}

/// Whether a text is text for sure, seen by its first character or as a whole.
pub fn looks_like_text(text: &str) -> bool {
    let trimmed = trim(text);
    match trimmed.bytes().next() {
        None => true,
        Some(b'0'..=b'9' | b'+' | b'-' | b'[' | b'{') => false,
        Some(_) => !matches!(trimmed, "null" | "true" | "false"),
    }
}

/// Reads a text. Where Kafka reads a number or container and drops what stands behind it, the whole is text here.
pub fn parse(text: &str) -> Parsed {
    if looks_like_text(text) {
        return Parsed::Text;
    }
    match trim(text) {
        "null" => return Parsed::Null,
        "true" => return Parsed::Value(Type::Boolean, Value::Boolean(true)),
        "false" => return Parsed::Value(Type::Boolean, Value::Boolean(false)),
        _ => {}
    }
    if !text.contains([':', ',', '{', '}', '[', ']', '"', '\\']) {
        let token = trim(text);
        return temporal(token).or_else(|| number(token)).map_or(Parsed::Text, |(kind, value)| Parsed::Value(kind, value));
    }
    let mut parser = Parser { text, at: 0, next: None };
    match parser.value(false, MAX_DEPTH) {
        Ok(Some((kind, value))) if parser.is_done() => Parsed::Value(kind, value),
        _ => Parsed::Text,
    }
}

/// As `String.trim`.
fn trim(text: &str) -> &str {
    text.trim_matches(|character: char| character <= ' ')
}

/// A value and its type; `None` is null.
type Element = Option<(Type, Value)>;

/// Walks tokens: delimiters, and what stands between them. A backslash takes a delimiter's meaning away.
struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// A token that was looked at and not taken.
    next: Option<&'a str>,
}

impl<'a> Parser<'a> {
    fn mark(&self) -> usize {
        self.at - self.next.map_or(0, str::len)
    }

    fn rewind(&mut self, mark: usize) {
        self.at = mark;
        self.next = None;
    }

    fn has_next(&self) -> bool {
        self.next.is_some() || self.at < self.text.len()
    }

    fn is_done(&mut self) -> bool {
        let rest = self.text.get(self.mark()..).unwrap_or_default();
        trim(rest).is_empty()
    }

    fn token(&mut self) -> &'a str {
        match self.next.take() {
            Some(token) => token,
            None => self.consume(),
        }
    }

    fn consume(&mut self) -> &'a str {
        let start = self.at;
        let mut escaped = false;
        for byte in self.text.as_bytes().get(start..).unwrap_or_default() {
            match byte {
                b'\\' => escaped = !escaped,
                b':' | b',' | b'{' | b'}' | b'[' | b']' | b'"' if !escaped => {
                    if self.at == start {
                        self.at += 1;
                    }
                    break;
                }
                _ => escaped = false,
            }
            self.at += 1;
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Takes the next token that is not blank, if it is `expected`. Blank ones before it are gone either way.
    fn eat(&mut self, expected: &str) -> bool {
        if self.next.is_none() {
            if !self.has_next() {
                return false;
            }
            self.next = Some(self.consume());
        }
        while self.next.is_some_and(|token| trim(token).is_empty()) && self.at < self.text.len() {
            self.next = Some(self.consume());
        }
        let found = self.next.is_some_and(|token| trim(token) == expected);
        if found {
            self.next = None;
        }
        found
    }

    /// A literal within a container, or one that is all there is.
    fn eat_literal(&mut self, literal: &str, embedded: bool) -> bool {
        let mark = self.mark();
        if self.eat(literal) && (embedded || !self.has_next()) {
            return true;
        }
        self.rewind(mark);
        false
    }

    fn value(&mut self, embedded: bool, depth: usize) -> Result<Element, Mixed> {
        let depth = depth.checked_sub(1).ok_or(Mixed)?;
        if !self.has_next() {
            return Ok(None);
        }
        if embedded && self.eat("\"") {
            return Ok(Some(self.quoted()));
        }
        if self.eat_literal("null", embedded) {
            return Ok(None);
        }
        for literal in [true, false] {
            if self.eat_literal(if literal { "true" } else { "false" }, embedded) {
                return Ok(Some((Type::Boolean, Value::Boolean(literal))));
            }
        }
        if self.eat("[") {
            return self.array(depth).map(Some);
        }
        if self.eat("{") {
            return self.map(depth).map(Some);
        }
        let token = self.token();
        if trim(token).is_empty() {
            return Ok(Some((Type::String, Value::String(token.to_owned()))));
        }
        self.scalar(trim(token)).map(Some)
    }

    /// A time has colons, which are delimiters: it may take four more tokens.
    fn scalar(&mut self, token: &str) -> Result<(Type, Value), Mixed> {
        if token.starts_with(|first: char| first.is_ascii_digit()) {
            let mark = self.mark();
            let mut count = 0;
            while count < 4 && self.has_next() {
                self.token();
                count += 1;
            }
            if count == 4
                && let Some(found) = temporal(&format!("{token}{}", self.text.get(mark..self.at).unwrap_or_default()))
            {
                return Ok(found);
            }
            self.rewind(mark);
            if let Some(found) = temporal(token) {
                return Ok(found);
            }
        }
        number(token).ok_or(Mixed)
    }

    fn quoted(&mut self) -> (Type, Value) {
        let mut content = String::new();
        while self.has_next() && !self.eat("\"") {
            content.push_str(self.token());
        }
        temporal(&content).unwrap_or((Type::String, Value::String(content)))
    }

    fn array(&mut self, depth: usize) -> Result<(Type, Value), Mixed> {
        let mut elements = Vec::new();
        let mut merger = Merger::new();
        while self.has_next() {
            if self.eat("]") {
                let items = merger.common();
                if let Some(items) = &items {
                    elements = elements.into_iter().map(|element| items.convert(element)).collect::<Result<_, _>>()?;
                }
                return Ok((Type::Array(items), Value::Array(elements)));
            }
            if self.eat(",") {
                return Err(Mixed);
            }
            let element = self.value(true, depth)?;
            merger.add(element.as_ref().map(|(kind, _)| kind));
            elements.push(element.map_or(Value::Null, |(_, value)| value));
            let mark = self.mark();
            if self.eat("]") {
                self.rewind(mark);
            } else if !self.eat(",") {
                return Err(Mixed);
            }
        }
        Err(Mixed)
    }

    fn map(&mut self, depth: usize) -> Result<(Type, Value), Mixed> {
        let mut entries = Entries::default();
        let (mut key_merger, mut value_merger) = (Merger::new(), Merger::new());
        while self.has_next() {
            if self.eat("}") {
                return entries.aligned(key_merger.common(), value_merger.common());
            }
            if self.eat(",") {
                return Err(Mixed);
            }
            let (key_type, key) = self.value(true, depth)?.ok_or(Mixed)?;
            if !self.eat(":") {
                return Err(Mixed);
            }
            let (value_type, value) = self.value(true, depth)?.map_or((None, Value::Null), |(kind, value)| (Some(kind), value));
            entries.put(key, value);
            self.eat(",");
            key_merger.add(Some(&key_type));
            value_merger.add(value_type.as_ref());
        }
        Err(Mixed)
    }
}

/// The entries of a map: the last of several with one key counts, in the place of the first.
#[derive(Default)]
struct Entries {
    entries: Vec<(Value, Value)>,
    places: HashMap<String, usize>,
}

impl Entries {
    fn put(&mut self, key: Value, value: Value) {
        let place = *self.places.entry(format!("{key:?}")).or_insert(self.entries.len());
        match self.entries.get_mut(place) {
            Some(entry) => entry.1 = value,
            None => self.entries.push((key, value)),
        }
    }

    /// Brings keys, and values if they have a common type, to that type.
    fn aligned(self, keys: Option<Box<Type>>, values: Option<Box<Type>>) -> Result<(Type, Value), Mixed> {
        let Some(keys) = keys else { return Ok((Type::Map(None, None), Value::Map(self.entries))) };
        let mut aligned = Entries::default();
        for (key, value) in self.entries {
            let value = match &values {
                Some(values) => values.convert(value)?,
                None => value,
            };
            aligned.put(keys.convert(key)?, value);
        }
        Ok((Type::Map(Some(keys), values), Value::Map(aligned.entries)))
    }
}

fn temporal(text: &str) -> Option<(Type, Value)> {
    // Colons may have been escaped.
    let text = if text.contains('\\') { Cow::Owned(text.replace("\\:", ":")) } else { Cow::Borrowed(text) };
    Some(match time::parse(&text)? {
        Temporal::Date(days) => (Type::Date, Value::Date(i32::try_from(days).ok()?)),
        Temporal::Time(ms) => (Type::Time, Value::Time(i32::try_from(ms).ok()?)),
        Temporal::Timestamp(ms) => (Type::Timestamp, Value::Timestamp(ms)),
    })
}

/// A whole number is of the narrowest integer that holds it; a fraction is a float if that is not too small for it, else a double, else
/// a decimal, as are whole numbers beyond 64 bits.
fn number(token: &str) -> Option<(Type, Value)> {
    if !token.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-')) {
        return None;
    }
    if let Ok(number) = token.parse::<i64>() {
        return Some(narrowest(number));
    }
    let decimal = Decimal::parse(token)?;
    if let Some(integer) = integer(&decimal) {
        return Some(narrowest(integer));
    }
    let fits = |finite: bool| finite && decimal.scale != 0;
    match (token.parse::<f32>(), token.parse::<f64>()) {
        (Ok(number), _) if fits(number.is_finite()) => Some((Type::Float32, Value::Float32(number))),
        (_, Ok(number)) if fits(number.is_finite()) => Some((Type::Float64, Value::Float64(number))),
        _ => Some((Type::Decimal(decimal.scale), Value::Decimal(decimal))),
    }
}

fn narrowest(integer: i64) -> (Type, Value) {
    if let Ok(number) = i8::try_from(integer) {
        (Type::Int8, Value::Int8(number))
    } else if let Ok(number) = i16::try_from(integer) {
        (Type::Int16, Value::Int16(number))
    } else if let Ok(number) = i32::try_from(integer) {
        (Type::Int32, Value::Int32(number))
    } else {
        (Type::Int64, Value::Int64(integer))
    }
}

/// The number as an integer of 64 bits, if it is one.
fn integer(decimal: &Decimal) -> Option<i64> {
    const MAX_INTEGER_DIGITS: i64 = 19;
    let whole_digits = decimal.digits() as i64 - i64::from(decimal.scale);
    let in_range = decimal.is_zero() || (1..=MAX_INTEGER_DIGITS).contains(&whole_digits);
    if in_range { i64::try_from(decimal.rescale(0)?.unscaled).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(kind: Type, value: Value) -> Parsed {
        Parsed::Value(kind, value)
    }

    fn array(kind: Option<Type>, elements: &[Value]) -> Parsed {
        Parsed::Value(Type::Array(kind.map(Box::new)), Value::Array(elements.to_vec()))
    }

    #[test]
    fn scalars() {
        for (text, expect) in [
            ("", Parsed::Text),
            ("   ", Parsed::Text),
            ("null", Parsed::Null),
            (" null ", Parsed::Null),
            ("nullx", Parsed::Text),
            ("true", value(Type::Boolean, Value::Boolean(true))),
            ("true}", Parsed::Text),
            ("\"quoted\"", Parsed::Text),
            ("5", value(Type::Int8, Value::Int8(5))),
            ("-129", value(Type::Int16, Value::Int16(-129))),
            ("+70000", value(Type::Int32, Value::Int32(70_000))),
            ("9223372036854775807", value(Type::Int64, Value::Int64(i64::MAX))),
            ("9223372036854775808", value(Type::Decimal(0), Value::Decimal(Decimal::parse("9223372036854775808").unwrap()))),
            ("1.0", value(Type::Int8, Value::Int8(1))),
            ("1e2", value(Type::Int8, Value::Int8(100))),
            ("0e999999999", value(Type::Int8, Value::Int8(0))),
            ("3.15", value(Type::Float32, Value::Float32(3.15))),
            ("1.5e300", value(Type::Float64, Value::Float64(1.5e300))),
            ("1e400", value(Type::Decimal(-400), Value::Decimal(Decimal::parse("1e400").unwrap()))),
            ("1e-400", value(Type::Float32, Value::Float32(0.0))),
            ("2024-02-29", value(Type::Date, Value::Date(19_782))),
            ("12:34:56.789Z", value(Type::Time, Value::Time(45_296_789))),
            ("2024-02-29T12:34:56.789Z", value(Type::Timestamp, Value::Timestamp(1_709_210_096_789))),
            ("2024-02-29T12\\:34\\:56.789Z", value(Type::Timestamp, Value::Timestamp(1_709_210_096_789))),
            ("10.0.0.1:8083", Parsed::Text),
            ("12:30", Parsed::Text),
            ("1,2", Parsed::Text),
            ("-", Parsed::Text),
            ("1x", Parsed::Text),
        ] {
            assert_eq!(parse(text), expect, "{text}");
        }
    }

    #[test]
    fn containers() {
        use Value::*;
        for (text, expect) in [
            ("[]", array(None, &[])),
            ("[null]", array(None, &[Null])),
            ("[1, 2 ,300]", array(Some(Type::Int16), &[Int16(1), Int16(2), Int16(300)])),
            ("[1,2.5]", array(Some(Type::Float32), &[Float32(1.0), Float32(2.5)])),
            ("[1,\"a\"]", array(None, &[Int8(1), String("a".into())])),
            ("[\"a\",\"b\\\"c\"]", array(Some(Type::String), &[String("a".into()), String("b\\\"c".into())])),
            ("[1,]", array(Some(Type::Int8), &[Int8(1)])),
            ("[1,null]", Parsed::Text),
            ("[,1]", Parsed::Text),
            ("[a]", Parsed::Text),
            ("[1", Parsed::Text),
            ("[1] rest", Parsed::Text),
            ("[\"2024-02-29\"]", array(Some(Type::Date), &[Date(19_782)])),
            ("[\"2024-02-29\", 5]", array(Some(Type::Date), &[Date(19_782), Date(5)])),
            ("[\"2024-02-29\", 70000]", Parsed::Text),
            ("{}", value(Type::Map(None, None), Map(vec![]))),
            (
                "{\"a\":1,\"b\":2,\"a\":3}",
                value(
                    Type::Map(Some(Box::new(Type::String)), Some(Box::new(Type::Int8))),
                    Map(vec![(String("a".into()), Int8(3)), (String("b".into()), Int8(2))]),
                ),
            ),
            (
                "{1:[true],2:[false]}",
                value(
                    Type::Map(Some(Box::new(Type::Int8)), Some(Box::new(Type::Array(Some(Box::new(Type::Boolean)))))),
                    Map(vec![(Int8(1), Array(vec![Boolean(true)])), (Int8(2), Array(vec![Boolean(false)]))]),
                ),
            ),
            (
                "{\"a\":1,\"b\":\"x\"}",
                value(
                    Type::Map(Some(Box::new(Type::String)), None),
                    Map(vec![(String("a".into()), Int8(1)), (String("b".into()), String("x".into()))]),
                ),
            ),
            ("{a:1}", Parsed::Text),
            ("{null:1}", Parsed::Text),
            ("{\"a\" 1}", Parsed::Text),
        ] {
            assert_eq!(parse(text), expect, "{text}");
        }
        assert_eq!(parse(&"[".repeat(1_000_000)), Parsed::Text);
        assert_eq!(parse(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000))), Parsed::Text);
    }
}
