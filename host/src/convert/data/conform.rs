//! Whether payload JSON is already what Kafka's JsonConverter would write for its schema, so that it can be handed on untouched.

use super::json::{Cursor, MAX_READ_DEPTH};
use super::schema::{Kind, Logical, Schema};
use super::time::DAY_MS;

/// Whether `payload`, all of it, is a value of `schema` as Kafka's JsonConverter spells it: no white space, every field in its place.
/// `false` says nothing but that it must be read to know. Null defaults are for the reader to put in, if `replace_null_with_default`.
pub fn conforms(schema: &Schema, payload: &str, replace_null_with_default: bool) -> bool {
    let mut check = Check { cursor: Cursor::new(payload), replace_null_with_default };
    check.value(schema, MAX_READ_DEPTH) && check.cursor.position() == payload.len()
}

struct Check<'a> {
    cursor: Cursor<'a>,
    replace_null_with_default: bool,
}

impl Check<'_> {
    fn value(&mut self, schema: &Schema, depth: usize) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        if self.cursor.peek() == Some(b'n') {
            let replaced = self.replace_null_with_default && schema.default.is_some();
            return schema.optional && !replaced && self.cursor.eat_literal("null");
        }
        if schema.name.is_some()
            && let Some(logical) = schema.logical()
        {
            return self.logical(logical);
        }
        match &schema.kind {
            Kind::Boolean => self.cursor.eat_literal("true") || self.cursor.eat_literal("false"),
            Kind::Int8 => self.integer().is_some_and(|number| i8::try_from(number).is_ok()),
            Kind::Int16 => self.integer().is_some_and(|number| i16::try_from(number).is_ok()),
            Kind::Int32 => self.integer().is_some_and(|number| i32::try_from(number).is_ok()),
            Kind::Int64 => self.integer().is_some(),
            Kind::Float32 => self.number().is_some_and(|number| is_java_float(number, 9)),
            Kind::Float64 => self.number().is_some_and(|number| is_java_float(number, 17)),
            Kind::String => self.cursor.string().is_some(),
            Kind::Bytes => self.base64(),
            Kind::Array(items) => self.list(b'[', b']', |check| check.value(items, depth)),
            Kind::Map(keys, values) if keys.kind == Kind::String => self.list(b'{', b'}', |check| {
                check.cursor.string().is_some() && check.cursor.eat(b':') && check.value(values, depth)
            }),
            Kind::Map(keys, values) => self.list(b'[', b']', |check| {
                check.cursor.eat(b'[')
                    && check.value(keys, depth)
                    && check.cursor.eat(b',')
                    && check.value(values, depth)
                    && check.cursor.eat(b']')
            }),
            Kind::Struct(fields) => {
                let mut fields = fields.iter();
                let in_place = self.list(b'{', b'}', |check| {
                    let name = check.cursor.string();
                    fields.next().is_some_and(|field| {
                        name.is_some_and(|name| !name.escaped && name.text == field.name)
                            && check.cursor.eat(b':')
                            && check.value(&field.schema, depth)
                    })
                });
                in_place && fields.next().is_none()
            }
        }
    }

    fn logical(&mut self, logical: Logical) -> bool {
        match logical {
            Logical::Decimal(scale) => scale.is_some() && self.cursor.peek() == Some(b'"') && self.decimal(),
            Logical::Date => self.integer().is_some_and(|days| i32::try_from(days).is_ok()),
            Logical::Time => self.integer().is_some_and(|time| (0..=DAY_MS).contains(&time)),
            Logical::Timestamp => self.integer().is_some(),
        }
    }

    fn list(&mut self, open: u8, close: u8, mut element: impl FnMut(&mut Self) -> bool) -> bool {
        if !self.cursor.eat(open) {
            return false;
        }
        if self.cursor.eat(close) {
            return true;
        }
        loop {
            if !element(self) {
                return false;
            }
            if !self.cursor.eat(b',') {
                return self.cursor.eat(close);
            }
        }
    }

    /// A number as JSON spells it: Jackson's leading zeros are for the reader.
    fn number(&mut self) -> Option<&'_ str> {
        let number = self.cursor.number()?;
        let digits = number.strip_prefix('-').unwrap_or(number).as_bytes();
        (digits.len() < 2 || digits.first() != Some(&b'0') || !digits.get(1).is_some_and(u8::is_ascii_digit)).then_some(number)
    }

    fn integer(&mut self) -> Option<i64> {
        self.number().filter(|number| *number != "-0")?.parse().ok()
    }

    /// Base64 of whole groups, in the alphabet and padded.
    fn base64(&mut self) -> bool {
        self.cursor.string().is_some_and(|raw| is_base64(raw.text))
    }

    fn decimal(&mut self) -> bool {
        self.cursor.string().is_some_and(|raw| !raw.text.is_empty() && is_base64(raw.text))
    }
}

/// Whether a number of at most `digits` digits is spelled as Java spells floats: `12.5` between 0.001 and 10 million, else `1.25E-7`.
fn is_java_float(number: &str, digits: usize) -> bool {
    let number = number.strip_prefix('-').unwrap_or(number);
    let (mantissa, exponent) = number.split_once('E').map_or((number, None), |(mantissa, exponent)| (mantissa, Some(exponent)));
    let Some((whole, fraction)) = mantissa.split_once('.') else { return false };
    let short = whole.len() + fraction.len() <= digits && (fraction == "0" || !fraction.ends_with('0'));
    short
        && match exponent {
            Some(exponent) => whole.len() == 1 && whole != "0" && !exponent.starts_with('+'),
            None => {
                whole.len() <= 7 && (whole != "0" || fraction == "0" || !fraction.starts_with("000")) && !mantissa.contains('e')
            }
        }
}

fn is_base64(text: &str) -> bool {
    let digits = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    text.len().is_multiple_of(4) && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_kafka_would_write_conforms() {
        let schema = r#"{"type":"struct","fields":[{"field":"a","type":"int32"},{"field":"b","type":"string","optional":true},
            {"field":"c","type":"array","items":{"type":"double"}},{"field":"d","type":"map","keys":{"type":"int8"},"values":{"type":"bytes"}},
            {"field":"e","type":"int8","optional":true,"default":1}]}"#;
        let schema = Schema::parse(schema).unwrap();
        for (payload, expect) in [
            (r#"{"a":1,"b":"x","c":[1.5,-2.0E10],"d":[[1,"YQ=="]],"e":2}"#, true),
            (r#"{"a":1,"b":null,"c":[],"d":[],"e":2}"#, true),
            (r#"{"a":1,"b":null,"c":[],"d":[],"e":null}"#, false),
            (r#"{"a":1,"b":null,"c":[],"d":[]}"#, false),
            (r#"{"a":1,"b":null,"c":[],"d":[],"e":2,"f":3}"#, false),
            (r#"{"b":null,"a":1,"c":[],"d":[],"e":2}"#, false),
            (r#"{"a": 1,"b":null,"c":[],"d":[],"e":2}"#, false),
            (r#"{"a":1,"b":null,"c":[],"d":[],"e":2} "#, false),
            (r#"{"a":2147483648,"b":null,"c":[],"d":[],"e":2}"#, false),
            (r#"{"a":01,"b":null,"c":[],"d":[],"e":2}"#, false),
            (r#"{"a":null,"b":null,"c":[],"d":[],"e":2}"#, false),
            (r#"{"a":1,"b":5,"c":[],"d":[],"e":2}"#, false),
            (r#"{"a":1,"b":null,"c":[1],"d":[],"e":2}"#, false),
            (r#"{"a":1,"b":null,"c":[],"d":[[1,"YQ"]],"e":2}"#, false),
            (r#"{"a":1,"b":null,"c":[],"d":{},"e":2}"#, false),
            (r#"{"a":1"#, false),
            ("", false),
            ("null", false),
        ] {
            assert_eq!(conforms(&schema, payload, true), expect, "{payload}");
        }
        assert!(conforms(&schema, r#"{"a":1,"b":null,"c":[],"d":[],"e":null}"#, false));
    }
}
