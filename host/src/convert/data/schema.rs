//! Connect's schemas, read and written as the JSON of Kafka's JsonConverter.

use std::collections::HashSet;

use super::json::{Node, is_integral, write_string};
use super::read::{Reader, check_nulls, truncated};
use super::value::Value;
use super::write::write_json;
use crate::convert::ConvertError;

/// Nesting of schemas beyond which they are refused: what is read and written by them takes a stack, and a task's is 2 MiB.
pub const MAX_SCHEMA_DEPTH: usize = 64;

/// What a schema describes.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// `boolean`
    Boolean,
    /// `int8`
    Int8,
    /// `int16`
    Int16,
    /// `int32`
    Int32,
    /// `int64`
    Int64,
    /// `float`
    Float32,
    /// `double`
    Float64,
    /// `string`
    String,
    /// `bytes`
    Bytes,
    /// `array` of items.
    Array(Box<Schema>),
    /// `map` of keys and values.
    Map(Box<Schema>, Box<Schema>),
    /// `struct` of fields.
    Struct(Vec<Field>),
}

impl Kind {
    /// A struct of fields.
    ///
    /// # Errors
    /// A `SchemaBuilderException` where `SchemaBuilder.field` throws one: a name is empty, or there twice.
    pub fn of_fields(fields: Vec<Field>) -> Result<Self, ConvertError> {
        let mut names = HashSet::with_capacity(fields.len());
        for Field { name, .. } in &fields {
            if name.is_empty() {
                return Err(ConvertError::schema("fieldName cannot be null."));
            }
            if !names.insert(name) {
                return Err(ConvertError::schema(format!("Cannot create field because of field name duplication {name}")));
            }
        }
        Ok(Kind::Struct(fields))
    }

    /// The type as Connect's messages have it.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Boolean => "BOOLEAN",
            Kind::Int8 => "INT8",
            Kind::Int16 => "INT16",
            Kind::Int32 => "INT32",
            Kind::Int64 => "INT64",
            Kind::Float32 => "FLOAT32",
            Kind::Float64 => "FLOAT64",
            Kind::String => "STRING",
            Kind::Bytes => "BYTES",
            Kind::Array(_) => "ARRAY",
            Kind::Map(..) => "MAP",
            Kind::Struct(_) => "STRUCT",
        }
    }

    /// The type as the JSON of a schema has it.
    fn json_name(&self) -> &'static str {
        match self {
            Kind::Boolean => "boolean",
            Kind::Int8 => "int8",
            Kind::Int16 => "int16",
            Kind::Int32 => "int32",
            Kind::Int64 => "int64",
            Kind::Float32 => "float",
            Kind::Float64 => "double",
            Kind::String => "string",
            Kind::Bytes => "bytes",
            Kind::Array(_) => "array",
            Kind::Map(..) => "map",
            Kind::Struct(_) => "struct",
        }
    }
}

/// A field of a struct.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its schema.
    pub schema: Schema,
}

/// A meaning on top of a type. Connect goes by the schema's name alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logical {
    /// A decimal; without a scale where the schema gives none or no integer.
    Decimal(Option<i32>),
    /// Days since the epoch.
    Date,
    /// Milliseconds after midnight.
    Time,
    /// Milliseconds since the epoch.
    Timestamp,
}

/// Schema name of decimals.
pub const DECIMAL: &str = "org.apache.kafka.connect.data.Decimal";
/// Schema name of dates.
pub const DATE: &str = "org.apache.kafka.connect.data.Date";
/// Schema name of times of day.
pub const TIME: &str = "org.apache.kafka.connect.data.Time";
/// Schema name of timestamps.
pub const TIMESTAMP: &str = "org.apache.kafka.connect.data.Timestamp";

/// A Connect schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Schema {
    /// What it describes.
    pub kind: Kind,
    /// Whether null is a value of it.
    pub optional: bool,
    /// What stands for a null.
    pub default: Option<Value>,
    /// Its name.
    pub name: Option<String>,
    /// Its version.
    pub version: Option<i32>,
    /// Its documentation.
    pub doc: Option<String>,
    /// Further properties, in order.
    pub parameters: Option<Vec<(String, String)>>,
}

impl Schema {
    /// A required schema without further properties.
    pub fn new(kind: Kind) -> Self {
        Schema { kind, optional: false, default: None, name: None, version: None, doc: None, parameters: None }
    }

    /// The schema of a logical type, required.
    pub fn logical_type(logical: Logical) -> Self {
        let (kind, name) = match logical {
            Logical::Decimal(_) => (Kind::Bytes, DECIMAL),
            Logical::Date => (Kind::Int32, DATE),
            Logical::Time => (Kind::Int32, TIME),
            Logical::Timestamp => (Kind::Int64, TIMESTAMP),
        };
        let parameters = match logical {
            Logical::Decimal(Some(scale)) => Some(vec![("scale".to_owned(), scale.to_string())]),
            _ => None,
        };
        Schema { name: Some(name.to_owned()), version: Some(1), parameters, ..Schema::new(kind) }
    }

    /// Its meaning beyond its type.
    pub fn logical(&self) -> Option<Logical> {
        match self.name.as_deref()? {
            DECIMAL => {
                let scale = self.parameters.iter().flatten().find(|(name, _)| name == "scale");
                Some(Logical::Decimal(scale.and_then(|(_, scale)| scale.parse().ok())))
            }
            DATE => Some(Logical::Date),
            TIME => Some(Logical::Time),
            TIMESTAMP => Some(Logical::Timestamp),
            _ => None,
        }
    }

    /// That its name, if it is a logical type's, is that of its type, and a decimal has a scale.
    ///
    /// # Errors
    /// The `DataException` that values under it get, where the converters of Avro and Protobuf meet them.
    pub fn check_logical(&self) -> Result<(), ConvertError> {
        let (name, kind) = match self.logical() {
            None => return Ok(()),
            Some(Logical::Decimal(None)) if self.kind == Kind::Bytes => {
                return Err(ConvertError::data("Invalid Decimal schema: scale parameter not found."));
            }
            Some(Logical::Decimal(_)) => ("Decimal", Kind::Bytes),
            Some(Logical::Date) => ("Date", Kind::Int32),
            Some(Logical::Time) => ("Time", Kind::Int32),
            Some(Logical::Timestamp) => ("Timestamp", Kind::Int64),
        };
        if self.kind == kind {
            return Ok(());
        }
        let (expected, found) = (kind.json_name(), self.kind.json_name());
        let message = format!("Invalid type for {name}, underlying representation should be {expected} but was {found}");
        Err(ConvertError::data(message))
    }

    /// Whether `test` holds for this schema or one inside it.
    pub fn any(&self, test: &impl Fn(&Schema) -> bool) -> bool {
        test(self)
            || match &self.kind {
                Kind::Array(items) => items.any(test),
                Kind::Map(keys, values) => keys.any(test) || values.any(test),
                Kind::Struct(fields) => fields.iter().any(|field| field.schema.any(test)),
                _ => false,
            }
    }

    /// Reads a schema.
    ///
    /// # Errors
    /// Those of Kafka's `JsonConverter.asConnectSchema`.
    pub fn parse(text: &str) -> Result<Self, ConvertError> {
        let node = Node::parse(text).ok_or_else(|| ConvertError::data("Schema must contain 'type' field"))?;
        Schema::from_node(&node)
    }

    /// Reads a schema that is part of a document.
    ///
    /// # Errors
    /// As [`Schema::parse`].
    pub fn from_node(node: &Node<'_>) -> Result<Self, ConvertError> {
        Schema::nested(node, MAX_SCHEMA_DEPTH)
    }

    fn nested(node: &Node<'_>, depth: usize) -> Result<Self, ConvertError> {
        let too_deep = || ConvertError::data(format!("A schema may be nested {MAX_SCHEMA_DEPTH} deep at most; flatten it"));
        let depth = depth.checked_sub(1).ok_or_else(too_deep)?;
        let kind = node.get("type").and_then(Node::text).ok_or_else(|| ConvertError::data("Schema must contain 'type' field"))?;
        let mut schema = Schema::new(kind_from_node(kind, node, depth)?);
        schema.optional = node.get("optional") == Some(&Node::Boolean(true));
        schema.name = text_member(node, "name");
        if let Some(Node::Number(version)) = node.get("version").filter(|node| is_integral_number(node)) {
            schema.version = Some(truncated(version) as i32);
        }
        schema.doc = text_member(node, "doc");
        if let Some(Node::Object(parameters)) = node.get("parameters") {
            let parameter = |(name, value): (&std::borrow::Cow<'_, str>, &Node<'_>)| match value {
                Node::String(text) => Ok((name.to_string(), text.to_string())),
                _ => Err(ConvertError::data("Schema parameters must have string values.")),
            };
            let parameters = parameters.iter().map(parameter).collect::<Result<Vec<_>, _>>()?;
            schema.parameters = Some(parameters).filter(|parameters| !parameters.is_empty());
        }
        if let Some(default) = node.get("default") {
            let value = Reader::of_topic(true).read(&schema, Some(default))?;
            check_nulls(&schema, &value, "value")
                .map_err(|cause| ConvertError::schema("Invalid default value").caused_by(format!(": {cause}")))?;
            schema.default = Some(value).filter(|value| *value != Value::Null);
        }
        Ok(schema)
    }

    /// The schema as Kafka's JsonConverter writes it.
    pub fn to_json(&self, numeric_decimals: bool) -> String {
        let mut out = Vec::new();
        self.write(numeric_decimals, None, &mut out);
        String::from_utf8(out).unwrap_or_default()
    }

    fn write(&self, numeric_decimals: bool, field: Option<&str>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"");
        out.extend_from_slice(self.kind.json_name().as_bytes());
        out.push(b'"');
        match &self.kind {
            Kind::Array(items) => {
                out.extend_from_slice(b",\"items\":");
                items.write(numeric_decimals, None, out);
            }
            Kind::Map(keys, values) => {
                out.extend_from_slice(b",\"keys\":");
                keys.write(numeric_decimals, None, out);
                out.extend_from_slice(b",\"values\":");
                values.write(numeric_decimals, None, out);
            }
            Kind::Struct(fields) => {
                out.extend_from_slice(b",\"fields\":[");
                for (place, field) in fields.iter().enumerate() {
                    if place > 0 {
                        out.push(b',');
                    }
                    field.schema.write(numeric_decimals, Some(&field.name), out);
                }
                out.push(b']');
            }
            _ => {}
        }
        out.extend_from_slice(if self.optional { b",\"optional\":true" } else { b",\"optional\":false" });
        write_member("name", self.name.as_deref(), out);
        if let Some(version) = self.version {
            out.extend_from_slice(format!(",\"version\":{version}").as_bytes());
        }
        write_member("doc", self.doc.as_deref(), out);
        if let Some(parameters) = &self.parameters {
            out.extend_from_slice(b",\"parameters\":{");
            for (place, (name, value)) in parameters.iter().enumerate() {
                if place > 0 {
                    out.push(b',');
                }
                write_string(name, out);
                out.push(b':');
                write_string(value, out);
            }
            out.push(b'}');
        }
        if let Some(default) = &self.default {
            out.extend_from_slice(b",\"default\":");
            write_json(Some(self), default, numeric_decimals, out);
        }
        write_member("field", field, out);
        out.push(b'}');
    }
}

fn kind_from_node(kind: &str, node: &Node<'_>, depth: usize) -> Result<Kind, ConvertError> {
    Ok(match kind {
        "boolean" => Kind::Boolean,
        "int8" => Kind::Int8,
        "int16" => Kind::Int16,
        "int32" => Kind::Int32,
        "int64" => Kind::Int64,
        "float" => Kind::Float32,
        "double" => Kind::Float64,
        "string" => Kind::String,
        "bytes" => Kind::Bytes,
        "array" => {
            let items = node.get("items").filter(|items| **items != Node::Null);
            let items = items.ok_or_else(|| ConvertError::data("Array schema did not specify the element type"))?;
            Kind::Array(Box::new(Schema::nested(items, depth)?))
        }
        "map" => {
            let keys = node.get("keys").ok_or_else(|| ConvertError::data("Map schema did not specify the key type"))?;
            let values = node.get("values").ok_or_else(|| ConvertError::data("Map schema did not specify the value type"))?;
            let part = |part: &Node<'_>, name: &str| match part {
                Node::Null => Err(ConvertError::schema(format!("{name} cannot be null."))),
                part => Schema::nested(part, depth).map(Box::new),
            };
            Kind::Map(part(keys, "keySchema")?, part(values, "valueSchema")?)
        }
        "struct" => {
            let Some(Node::Array(nodes)) = node.get("fields") else {
                return Err(ConvertError::data("Struct schema's \"fields\" argument is not an array."));
            };
            let mut fields = Vec::with_capacity(nodes.len());
            for node in nodes {
                let name = node.get("field").and_then(Node::text);
                let name = name.ok_or_else(|| ConvertError::data("Struct schema's field name not specified properly"))?;
                fields.push(Field { name: name.to_owned(), schema: Schema::nested(node, depth)? });
            }
            Kind::of_fields(fields)?
        }
        unknown => return Err(ConvertError::data(format!("Unknown schema type: {unknown}"))),
    })
}

fn is_integral_number(node: &Node<'_>) -> bool {
    matches!(node, Node::Number(number) if is_integral(number))
}

fn text_member(node: &Node<'_>, name: &str) -> Option<String> {
    node.get(name).and_then(Node::text).map(str::to_owned)
}

fn write_member(name: &str, text: Option<&str>, out: &mut Vec<u8>) {
    if let Some(text) = text {
        out.push(b',');
        write_string(name, out);
        out.push(b':');
        write_string(text, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> String {
        Schema::parse(text).unwrap().to_json(false)
    }

    #[test]
    fn members_are_written_in_kafkas_order() {
        for (text, expect) in [
            (r#"{"type":"int32"}"#, r#"{"type":"int32","optional":false}"#),
            (r#"{"optional":true,"type":"double","optional":true}"#, r#"{"type":"double","optional":true}"#),
            (r#"{"type":"float","optional":"true"}"#, r#"{"type":"float","optional":false}"#),
            (
                r#"{"type":"array","optional":true,"items":{"type":"map","values":{"type":"int8"},"keys":{"type":"string"}}}"#,
                r#"{"type":"array","items":{"type":"map","keys":{"type":"string","optional":false},"values":{"type":"int8","optional":false},"optional":false},"optional":true}"#,
            ),
            (
                r#"{"type":"struct","name":"n","version":3,"doc":"d","fields":[{"field":"a","type":"string","default":"x"}]}"#,
                r#"{"type":"struct","fields":[{"type":"string","optional":false,"default":"x","field":"a"}],"optional":false,"name":"n","version":3,"doc":"d"}"#,
            ),
            (
                r#"{"type":"bytes","name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"},"default":1.50,"extra":1}"#,
                r#"{"type":"bytes","optional":false,"name":"org.apache.kafka.connect.data.Decimal","parameters":{"scale":"2"},"default":"AJY="}"#,
            ),
        ] {
            assert_eq!(rewritten(text), expect);
            assert_eq!(rewritten(expect), expect);
        }
    }

    #[test]
    fn errors_are_those_of_kafka() {
        for (text, expect) in [
            ("5", "Schema must contain 'type' field"),
            (r#"{"type":5}"#, "Schema must contain 'type' field"),
            (r#"{"type":"int"}"#, "Unknown schema type: int"),
            (r#"{"type":"array"}"#, "Array schema did not specify the element type"),
            (r#"{"type":"array","items":null}"#, "Array schema did not specify the element type"),
            (r#"{"type":"map","keys":{"type":"string"}}"#, "Map schema did not specify the value type"),
            (r#"{"type":"map","values":{"type":"string"}}"#, "Map schema did not specify the key type"),
            (r#"{"type":"map","keys":null,"values":null}"#, "keySchema cannot be null."),
            (r#"{"type":"struct","fields":{}}"#, "Struct schema's \"fields\" argument is not an array."),
            (r#"{"type":"struct","fields":[{"type":"int8"}]}"#, "Struct schema's field name not specified properly"),
            (
                r#"{"type":"struct","fields":[{"type":"int8","field":"a"},{"type":"int8","field":"a"}]}"#,
                "Cannot create field because of field name duplication a",
            ),
            (r#"{"type":"string","parameters":{"a":1}}"#, "Schema parameters must have string values."),
            (r#"{"type":"string","default":null}"#, "Invalid null value for required STRING field"),
            (r#"{"type":"string","default":5}"#, "Invalid default value"),
        ] {
            assert_eq!(Schema::parse(text).unwrap_err().message, expect, "{text}");
        }
    }
}
