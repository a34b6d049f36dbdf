//! Values from the payload JSON of Kafka's JsonConverter.

use std::cell::Cell;

use num_bigint::{BigInt, Sign};

use super::base64_bytes;
use super::decimal::Decimal;
use super::json::{Node, is_integral};
use super::schema::{Kind, Logical, Schema};
use super::time::DAY_MS;
use super::value::Value;
use crate::convert::ConvertError;

/// How payload JSON is read.
#[derive(Debug, Clone)]
pub struct Reader {
    /// As `JsonConverter.toConnectData` reads a topic: text where a number should be is 0, and the like. Otherwise as
    /// `fromConnectData` takes what a connector gives: such a mismatch is an error.
    lenient: bool,
    /// Whether a null becomes the schema's default, if it has one.
    replace_null_with_default: bool,
    /// Whether it does so in fields of structs alone, as `Struct.get` does.
    replace_in_fields: bool,
    /// Whether lenient reading made a null of something else, which a struct may have to refuse.
    made_null: Cell<bool>,
}

type Read = Result<Value, ConvertError>;

impl Reader {
    /// Reads what stands on a topic.
    pub fn of_topic(replace_null_with_default: bool) -> Self {
        Reader { lenient: true, replace_null_with_default, replace_in_fields: false, made_null: Cell::new(false) }
    }

    /// Reads what a plugin gives.
    pub fn of_plugin(replace_null_with_default: bool) -> Self {
        Reader { lenient: false, replace_null_with_default, replace_in_fields: false, made_null: Cell::new(false) }
    }

    /// Reads what a plugin gives as converters see it that look at the fields of structs with `Struct.get`: a default stands for the null
    /// of a field, but not for that of an element.
    pub fn of_fields(replace_null_with_default: bool) -> Self {
        Reader { replace_in_fields: replace_null_with_default, ..Reader::of_plugin(false) }
    }

    /// Reads the value that `node` holds under `schema`; `None` is a member that is missing.
    ///
    /// # Errors
    /// Those of Kafka's JsonConverter: a null that is not allowed, a container or logical type of the wrong kind, and if not lenient
    /// any other mismatch.
    pub fn read(&self, schema: &Schema, node: Option<&Node<'_>>) -> Read {
        let Some(node) = node.filter(|node| **node != Node::Null) else { return self.null(schema) };
        if let Some(logical) = schema.logical() {
            return self.logical(logical, node);
        }
        match &schema.kind {
            Kind::Boolean => self.boolean(node),
            Kind::Int8 => self.integer(schema, node, |number| Value::Int8(number as i8)),
            Kind::Int16 => self.integer(schema, node, |number| Value::Int16(number as i16)),
            Kind::Int32 => self.integer(schema, node, |number| Value::Int32(number as i32)),
            Kind::Int64 => self.integer(schema, node, Value::Int64),
            Kind::Float32 => self.float(schema, node, |text| Value::Float32(text.parse().unwrap_or(f32::NAN))),
            Kind::Float64 => self.float(schema, node, |text| Value::Float64(text.parse().unwrap_or(f64::NAN))),
            Kind::String => match node {
                Node::String(text) => Ok(Value::String(text.to_string())),
                _ => self.made_null(schema, node),
            },
            Kind::Bytes => match node {
                Node::String(text) => {
                    base64_bytes(text).map(Value::Bytes).ok_or_else(|| ConvertError::data("Invalid bytes field"))
                }
                _ if self.lenient => self.made_null(schema, node),
                _ => Err(ConvertError::data(format!("Invalid type for bytes type: {}", java_class(node)))),
            },
            Kind::Array(items) => self.array(schema, items, node),
            Kind::Map(keys, values) if keys.kind == Kind::String => self.map_of_object(schema, values, node),
            Kind::Map(keys, values) => self.map_of_pairs(schema, keys, values, node),
            Kind::Struct(_) => self.structure(schema, node),
        }
    }

    fn null(&self, schema: &Schema) -> Read {
        if self.replace_null_with_default
            && let Some(default) = &schema.default
        {
            return Ok(default.clone());
        }
        match (schema.optional, self.lenient) {
            (true, _) => Ok(Value::Null),
            (false, true) => Err(ConvertError::data(format!("Invalid null value for required {} field", schema.kind.name()))),
            (false, false) => {
                Err(ConvertError::data("Conversion error: null value for field that is required and has no default value"))
            }
        }
    }

    fn boolean(&self, node: &Node<'_>) -> Read {
        match node {
            Node::Boolean(value) => Ok(Value::Boolean(*value)),
            _ if self.lenient => Ok(Value::Boolean(false)),
            _ => Err(invalid_type("BOOLEAN", node)),
        }
    }

    fn integer(&self, schema: &Schema, node: &Node<'_>, of: impl Fn(i64) -> Value) -> Read {
        match node {
            Node::Number(number) if self.lenient => Ok(of(truncated(number))),
            _ if self.lenient => Ok(of(0)),
            Node::Number(number) if is_integral(number) && fits(&schema.kind, number) => Ok(of(truncated(number))),
            _ => Err(invalid_type(schema.kind.name(), node)),
        }
    }

    /// What JSON has no number for travels as text. Kafka's reader makes 0 of that as of any text; between plugin and topic it holds.
    fn float(&self, schema: &Schema, node: &Node<'_>, of: impl Fn(&str) -> Value) -> Read {
        match node {
            Node::Number(number) => Ok(of(number)),
            _ if self.lenient => Ok(of("0")),
            Node::String(text) if matches!(&**text, "NaN" | "Infinity" | "-Infinity") => Ok(of(text)),
            _ => Err(invalid_type(schema.kind.name(), node)),
        }
    }

    fn made_null(&self, schema: &Schema, node: &Node<'_>) -> Read {
        if !self.lenient {
            return Err(invalid_type(schema.kind.name(), node));
        }
        self.made_null.set(true);
        Ok(Value::Null)
    }

    fn array(&self, schema: &Schema, items: &Schema, node: &Node<'_>) -> Read {
        let read = |node| self.read(items, Some(node));
        let elements: Result<Vec<_>, _> = match node {
            Node::Array(elements) => elements.iter().map(read).collect(),
            _ if !self.lenient => return Err(invalid_type(schema.kind.name(), node)),
            Node::Object(members) => members.values().map(read).collect(),
            _ => Ok(Vec::new()),
        };
        elements.map(Value::Array)
    }

    fn map_of_object(&self, schema: &Schema, values: &Schema, node: &Node<'_>) -> Read {
        let Node::Object(members) = node else {
            return Err(self.wrong_container(schema, node, "Maps with string fields should be encoded as JSON objects"));
        };
        let entry = |(name, node): (&std::borrow::Cow<'_, str>, &Node<'_>)| {
            Ok((Value::String(name.to_string()), self.read(values, Some(node))?))
        };
        members.iter().map(entry).collect::<Result<_, _>>().map(Value::Map)
    }

    fn map_of_pairs(&self, schema: &Schema, keys: &Schema, values: &Schema, node: &Node<'_>) -> Read {
        let Node::Array(pairs) = node else {
            return Err(self.wrong_container(
                schema,
                node,
                "Maps with non-string fields should be encoded as JSON array of tuples",
            ));
        };
        let mut entries = Vec::with_capacity(pairs.len());
        for pair in pairs {
            let Node::Array(pair) = pair else {
                return Err(ConvertError::data(format!("Found invalid map entry instead of array tuple: {}", pair.kind())));
            };
            let [key, value] = pair.as_slice() else {
                let message = format!("Found invalid map entry, expected length 2 but found :{}", pair.len());
                return Err(ConvertError::data(message));
            };
            entries.push((self.read(keys, Some(key))?, self.read(values, Some(value))?));
        }
        Ok(Value::Map(entries))
    }

    fn structure(&self, schema: &Schema, node: &Node<'_>) -> Read {
        let Kind::Struct(fields) = &schema.kind else { return Ok(Value::Null) };
        if !matches!(node, Node::Object(_)) {
            return Err(self.wrong_container(schema, node, "Structs should be encoded as JSON objects"));
        }
        let mut values = Vec::with_capacity(fields.len());
        for field in fields {
            let value = match (node.get(&field.name), &field.schema.default) {
                (None | Some(Node::Null), Some(default)) if self.replace_in_fields => default.clone(),
                (node, _) => self.read(&field.schema, node)?,
            };
            if self.made_null.get() {
                check_nulls(&field.schema, &value, &format!("field: \"{}\"", field.name))?;
            }
            values.push(value);
        }
        Ok(Value::Struct(values))
    }

    fn wrong_container(&self, schema: &Schema, node: &Node<'_>, rule: &str) -> ConvertError {
        if self.lenient {
            ConvertError::data(format!("{rule}, but found {}", node.kind()))
        } else {
            invalid_type(schema.kind.name(), node)
        }
    }

    fn logical(&self, logical: Logical, node: &Node<'_>) -> Read {
        match logical {
            Logical::Decimal(scale) => self.decimal(scale, node),
            Logical::Date => self.days_or_time("Date", node).map(Value::Date),
            Logical::Time => {
                let time = self.days_or_time("Time", node)?;
                if (0..=DAY_MS).contains(&i64::from(time)) {
                    Ok(Value::Time(time))
                } else if self.lenient {
                    let rule = "Time values must use number of milliseconds greater than 0 and less than 86400000";
                    Err(ConvertError::data(rule))
                } else {
                    let rule = "Kafka Connect Time type should not have any date fields set to non-zero values.";
                    Err(ConvertError::data(rule))
                }
            }
            Logical::Timestamp => match node {
                Node::Number(number) if is_integral(number) => Ok(Value::Timestamp(truncated(number))),
                _ => Err(self.wrong_logical("Timestamp", "integral", node)),
            },
        }
    }

    fn days_or_time(&self, name: &str, node: &Node<'_>) -> Result<i32, ConvertError> {
        let number = match node {
            Node::Number(number) if is_integral(number) => number.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| self.wrong_logical(name, "integer", node))
    }

    fn wrong_logical(&self, name: &str, representation: &str, node: &Node<'_>) -> ConvertError {
        ConvertError::data(if self.lenient {
            format!("Invalid type for {name}, underlying representation should be {representation} but was {}", node.kind())
        } else {
            format!("Invalid type for {name}, expected Date but was {}", java_class(node))
        })
    }

    /// A number is brought to the scale of the schema, which a Connect Decimal must have.
    fn decimal(&self, scale: Option<i32>, node: &Node<'_>) -> Read {
        match (node, scale) {
            (Node::Number(number), Some(scale)) => {
                let decimal = Decimal::parse(number).ok_or_else(|| ConvertError::data("Invalid bytes for Decimal field"))?;
                decimal.rescale(scale).map(Value::Decimal).ok_or_else(|| {
                    ConvertError::data(format!(
                        "Decimal value has mismatching scale for given Decimal schema. Schema has scale {scale}, value has scale {}.",
                        decimal.scale
                    ))
                })
            }
            (Node::String(text), Some(scale)) => {
                let decimal = base64_bytes(text).and_then(|bytes| Decimal::from_bytes(&bytes, scale));
                decimal.map(Value::Decimal).ok_or_else(|| ConvertError::data("Invalid bytes for Decimal field"))
            }
            (Node::String(_), None) if self.lenient => Err(ConvertError::data("Invalid bytes for Decimal field")),
            (Node::Number(_) | Node::String(_), None) => {
                Err(ConvertError::data("Invalid Decimal schema: scale parameter not found."))
            }
            _ if self.lenient => Err(ConvertError::data(format!(
                "Invalid type for Decimal, underlying representation should be numeric or bytes but was {}",
                node.kind()
            ))),
            _ => Err(ConvertError::data(format!("Invalid type for Decimal, expected BigDecimal but was {}", java_class(node)))),
        }
    }
}

/// The value of JSON without a schema: integers have 64 bits (and lose what is above), all other numbers are doubles.
pub fn read_schemaless(node: &Node<'_>) -> Value {
    match node {
        Node::Null => Value::Null,
        Node::Boolean(value) => Value::Boolean(*value),
        Node::Number(number) if is_integral(number) => Value::Int64(truncated(number)),
        Node::Number(number) => Value::Float64(number.parse().unwrap_or(f64::NAN)),
        Node::String(text) => Value::String(text.to_string()),
        Node::Array(elements) => Value::Array(elements.iter().map(read_schemaless).collect()),
        Node::Object(members) => {
            let entry =
                |(name, node): (&std::borrow::Cow<'_, str>, &Node<'_>)| (Value::String(name.to_string()), read_schemaless(node));
            Value::Map(members.iter().map(entry).collect())
        }
    }
}

/// What `Struct.put` and `SchemaBuilder.defaultValue` check of a value that was read: nulls where none may be.
///
/// # Errors
/// The `DataException` of `ConnectSchema.validateValue`.
pub fn check_nulls(schema: &Schema, value: &Value, location: &str) -> Result<(), ConvertError> {
    match (&schema.kind, value) {
        (_, Value::Null) if schema.optional => Ok(()),
        (kind, Value::Null) => {
            let message = format!("Invalid value: null used for required {location}, schema type: {}", kind.name());
            Err(ConvertError::data(message))
        }
        (Kind::Array(items), Value::Array(elements)) => {
            let location = format!("element of array {location}");
            elements.iter().try_for_each(|element| check_nulls(items, element, &location))
        }
        (Kind::Map(keys, values), Value::Map(entries)) => entries.iter().try_for_each(|(key, value)| {
            check_nulls(keys, key, &format!("key of map {location}"))?;
            check_nulls(values, value, &format!("value of map {location}"))
        }),
        (Kind::Struct(fields), Value::Struct(values)) => fields.iter().zip(values).try_for_each(|(field, value)| match value {
            Value::Null if field.schema.default.is_some() => Ok(()),
            value => check_nulls(&field.schema, value, &format!("field: \"{}\"", field.name)),
        }),
        _ => Ok(()),
    }
}

/// `Number.longValue` of a JSON number: without its fraction, the low 64 bits.
pub fn truncated(number: &str) -> i64 {
    if let Ok(number) = number.parse() {
        return number;
    }
    let Some(Decimal { unscaled, scale }) = Decimal::parse(number) else { return 0 };
    let whole = match scale {
        ..=-64 => return 0,
        -63..0 => unscaled * BigInt::from(10).pow(scale.unsigned_abs()),
        0 => unscaled,
        _ if scale.unsigned_abs() as usize > number.len() => return 0,
        _ => unscaled / BigInt::from(10).pow(scale.unsigned_abs()),
    };
    let low = whole.magnitude().iter_u64_digits().next().unwrap_or_default() as i64;
    if whole.sign() == Sign::Minus { low.wrapping_neg() } else { low }
}

fn fits(kind: &Kind, number: &str) -> bool {
    match kind {
        Kind::Int8 => number.parse::<i8>().is_ok(),
        Kind::Int16 => number.parse::<i16>().is_ok(),
        Kind::Int32 => number.parse::<i32>().is_ok(),
        _ => number.parse::<i64>().is_ok(),
    }
}

fn invalid_type(kind: &str, node: &Node<'_>) -> ConvertError {
    ConvertError::data(format!("Invalid type for {kind}: {}", java_class(node)))
}

/// The Java class that JSON without a schema is read into.
fn java_class(node: &Node<'_>) -> &'static str {
    match node {
        Node::Array(_) => Value::Array(Vec::new()).java_class(),
        Node::Object(_) => Value::Map(Vec::new()).java_class(),
        scalar => read_schemaless(scalar).java_class(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::data::write::write_json;

    fn read(reader: &Reader, schema: &str, payload: &str) -> Result<String, String> {
        let schema = Schema::parse(schema).unwrap();
        let value = reader.read(&schema, Some(&Node::parse(payload).unwrap())).map_err(|error| error.message)?;
        let mut out = Vec::new();
        write_json(Some(&schema), &value, false, &mut out);
        Ok(String::from_utf8(out).unwrap())
    }

    const DECIMAL: &str = r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"}}"#;
    const DATE: &str = r#"{"type":"int32","name":"org.apache.kafka.connect.data.Date"}"#;
    const TIME: &str = r#"{"type":"int32","name":"org.apache.kafka.connect.data.Time"}"#;
    const TIMESTAMP: &str = r#"{"type":"int64","name":"org.apache.kafka.connect.data.Timestamp"}"#;
    const STRUCT: &str = r#"{"type":"struct","fields":[{"field":"a","type":"int32"},{"field":"b","type":"string","optional":true},{"field":"c","type":"int8","default":7}]}"#;

    #[test]
    fn topics_are_read_leniently() {
        for (schema, payload, expect) in [
            (r#"{"type":"int32"}"#, "\"text\"", Ok("0")),
            (r#"{"type":"int8"}"#, "300", Ok("44")),
            (r#"{"type":"int32"}"#, "2147483648", Ok("-2147483648")),
            (r#"{"type":"int64"}"#, "18446744073709551617", Ok("1")),
            (r#"{"type":"int64"}"#, "-1.9e1", Ok("-19")),
            (r#"{"type":"int64"}"#, "1e-999999999", Ok("0")),
            (r#"{"type":"int64"}"#, "007", Ok("7")),
            (r#"{"type":"boolean"}"#, "1", Ok("false")),
            (r#"{"type":"double"}"#, "1", Ok("1.0")),
            (r#"{"type":"double"}"#, "\"NaN\"", Ok("0.0")),
            (r#"{"type":"float"}"#, "0.1", Ok("0.1")),
            (r#"{"type":"string"}"#, "5", Ok("null")),
            (r#"{"type":"bytes"}"#, "\"!\"", Err("Invalid bytes field")),
            (r#"{"type":"bytes"}"#, "5", Ok("null")),
            (r#"{"type":"array","items":{"type":"int8"}}"#, "{\"a\":1}", Ok("[1]")),
            (r#"{"type":"array","items":{"type":"int8"}}"#, "5", Ok("[]")),
            (r#"{"type":"array","items":{"type":"int8"}}"#, "[null]", Err("Invalid null value for required INT8 field")),
            (r#"{"type":"map","keys":{"type":"string"},"values":{"type":"int8"}}"#, "{\"a\":1}", Ok("{\"a\":1}")),
            (
                r#"{"type":"map","keys":{"type":"string"},"values":{"type":"int8"}}"#,
                "[]",
                Err("Maps with string fields should be encoded as JSON objects, but found ARRAY"),
            ),
            (r#"{"type":"map","keys":{"type":"int8"},"values":{"type":"int8"}}"#, "[[1,2]]", Ok("[[1,2]]")),
            (
                r#"{"type":"map","keys":{"type":"int8"},"values":{"type":"int8"}}"#,
                "{}",
                Err("Maps with non-string fields should be encoded as JSON array of tuples, but found OBJECT"),
            ),
            (
                r#"{"type":"map","keys":{"type":"int8"},"values":{"type":"int8"}}"#,
                "[1]",
                Err("Found invalid map entry instead of array tuple: NUMBER"),
            ),
            (
                r#"{"type":"map","keys":{"type":"int8"},"values":{"type":"int8"}}"#,
                "[[1]]",
                Err("Found invalid map entry, expected length 2 but found :1"),
            ),
            (STRUCT, r#"{"b":"x","a":1,"d":9}"#, Ok(r#"{"a":1,"b":"x","c":7}"#)),
            (STRUCT, r#"{"b":"x"}"#, Err("Invalid null value for required INT32 field")),
            (STRUCT, "[]", Err("Structs should be encoded as JSON objects, but found ARRAY")),
            (
                r#"{"type":"struct","fields":[{"field":"a","type":"array","items":{"type":"string"}}]}"#,
                r#"{"a":["x",5]}"#,
                Err("Invalid value: null used for required element of array field: \"a\", schema type: STRING"),
            ),
            (DECIMAL, "\"AJY=\"", Ok("\"AJY=\"")),
            (DECIMAL, "1.5", Ok("\"AJY=\"")),
            (
                DECIMAL,
                "1.555",
                Err("Decimal value has mismatching scale for given Decimal schema. Schema has scale 2, value has scale 3."),
            ),
            (DECIMAL, "\"\"", Err("Invalid bytes for Decimal field")),
            (DECIMAL, "[]", Err("Invalid type for Decimal, underlying representation should be numeric or bytes but was ARRAY")),
            (DATE, "-5", Ok("-5")),
            (DATE, "3000000000", Err("Invalid type for Date, underlying representation should be integer but was NUMBER")),
            (TIME, "86400000", Ok("86400000")),
            (TIME, "-1", Err("Time values must use number of milliseconds greater than 0 and less than 86400000")),
            (TIMESTAMP, "1.0", Err("Invalid type for Timestamp, underlying representation should be integral but was NUMBER")),
            (TIMESTAMP, "1", Ok("1")),
        ] {
            assert_eq!(
                read(&Reader::of_topic(true), schema, payload),
                expect.map(str::to_owned).map_err(str::to_owned),
                "{payload}"
            );
        }
    }

    #[test]
    fn plugins_are_held_to_their_schema() {
        let missing = "Conversion error: null value for field that is required and has no default value";
        for (schema, payload, expect) in [
            (r#"{"type":"int32"}"#, "\"text\"", Err("Invalid type for INT32: class java.lang.String")),
            (r#"{"type":"int8"}"#, "300", Err("Invalid type for INT8: class java.lang.Long")),
            (r#"{"type":"int64"}"#, "1.5", Err("Invalid type for INT64: class java.lang.Double")),
            (r#"{"type":"boolean"}"#, "{}", Err("Invalid type for BOOLEAN: class java.util.HashMap")),
            (r#"{"type":"string"}"#, "[]", Err("Invalid type for STRING: class java.util.ArrayList")),
            (r#"{"type":"bytes"}"#, "true", Err("Invalid type for bytes type: class java.lang.Boolean")),
            (r#"{"type":"double"}"#, "\"NaN\"", Ok("\"NaN\"")),
            (r#"{"type":"float"}"#, "\"x\"", Err("Invalid type for FLOAT32: class java.lang.String")),
            (STRUCT, r#"{"a":1}"#, Ok(r#"{"a":1,"b":null,"c":7}"#)),
            (STRUCT, "{}", Err(missing)),
            (STRUCT, "1", Err("Invalid type for STRUCT: class java.lang.Long")),
            (DATE, "\"x\"", Err("Invalid type for Date, expected Date but was class java.lang.String")),
            (DECIMAL, "true", Err("Invalid type for Decimal, expected BigDecimal but was class java.lang.Boolean")),
            (TIME, "86400001", Err("Kafka Connect Time type should not have any date fields set to non-zero values.")),
        ] {
            assert_eq!(
                read(&Reader::of_plugin(true), schema, payload),
                expect.map(str::to_owned).map_err(str::to_owned),
                "{payload}"
            );
        }
    }

    #[test]
    fn nulls_may_stay_nulls() {
        let schema = r#"{"type":"struct","fields":[{"field":"a","type":"int8","optional":true,"default":7}]}"#;
        assert_eq!(read(&Reader::of_topic(true), schema, "{}").as_deref(), Ok(r#"{"a":7}"#));
        assert_eq!(read(&Reader::of_topic(false), schema, "{}").as_deref(), Ok(r#"{"a":null}"#));
    }
}
