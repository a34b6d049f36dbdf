//! What a transform finds on its side of a record, and Kafka Connect's words for what it cannot take.

use std::rc::Rc;

use hawser_plugin::prelude::*;
use hawser_plugin::schema::{self, Kind, logical};
use hawser_plugin::transform::Json;

use crate::java;

/// What is there.
#[derive(Debug)]
pub enum Shape {
    /// Null without a schema.
    Null,
    /// Null that has a schema.
    NullWithSchema,
    /// A JSON object without a schema.
    Map,
    /// A JSON object that follows the schema of a struct.
    Struct(SchemaId, Rc<Schema>),
}

/// What is there, if it is something that a transform of fields can take.
///
/// # Errors
/// What Kafka Connect's `Requirements.requireMap` and `requireStruct` say of anything else.
pub fn shape(record: &Record, side: Side, purpose: &str) -> Result<Shape, RecordError> {
    let id = record.schema(side);
    let only_structs = |found| RecordError::data(format!("Only Struct objects supported for [{purpose}], found: {found}"));
    if record.is_null(side) {
        // Text has a schema of its own in Kafka Connect, OPTIONAL_STRING; bytes and JSON may have none.
        return Ok(if id.has_schema() || id == SchemaId::TEXT { Shape::NullWithSchema } else { Shape::Null });
    }
    if id == SchemaId::BYTES {
        return Err(only_structs("[B"));
    }
    if id == SchemaId::TEXT {
        return Err(only_structs("java.lang.String"));
    }
    let json = record.json(side);
    let kind = json.kind();
    if !id.has_schema() {
        return match kind {
            JsonKind::Object => Ok(Shape::Map),
            JsonKind::Null => Ok(Shape::Null),
            _ => {
                let found = class_without_schema(json);
                let message = format!("Only Map objects supported in absence of schema for [{purpose}], found: {found}");
                Err(RecordError::data(message))
            }
        };
    }
    if kind == JsonKind::Null {
        return Ok(Shape::NullWithSchema);
    }
    let schema = schema::get(id)?;
    if schema.is_struct() { Ok(Shape::Struct(id, schema)) } else { Err(only_structs(class_of(&schema))) }
}

/// The schema that Kafka Connect has for a payload: for text and bytes, the one that StringConverter and ByteArrayConverter
/// give to what they read.
///
/// # Errors
/// If the host knows no such schema.
pub fn schema_of(id: SchemaId) -> Result<Rc<Schema>> {
    match id {
        SchemaId::TEXT => Ok(Rc::new(Schema::new(Kind::String).optional())),
        SchemaId::BYTES => Ok(Rc::new(Schema::new(Kind::Bytes).optional())),
        id => schema::get(id),
    }
}

/// Kafka Connect's error for the fields of a schema that has none.
pub fn no_fields() -> RecordError {
    RecordError::data("Cannot list fields on non-struct type")
}

/// The error for a null, which a transform that needs a value cannot take.
pub fn refuse_null(shape: &Shape, purpose: &str) -> RecordError {
    RecordError::data(match shape {
        Shape::NullWithSchema => format!("Only Struct objects supported for [{purpose}], found: null"),
        _ => format!("Only Map objects supported in absence of schema for [{purpose}], found: null"),
    })
}

/// The class that Kafka Connect's JsonConverter reads a piece of JSON as when there is no schema.
pub fn class_without_schema(json: Json<'_>) -> &'static str {
    match json.kind() {
        JsonKind::Null => "null",
        JsonKind::Boolean => "java.lang.Boolean",
        JsonKind::Number if is_double(json) => "java.lang.Double",
        JsonKind::Number => "java.lang.Long",
        JsonKind::String => "java.lang.String",
        JsonKind::Array => "java.util.ArrayList",
        JsonKind::Object => "java.util.HashMap",
    }
}

/// A number that JSON has with a fraction or an exponent is a Double for Kafka Connect, another one a Long.
pub fn is_double(number: Json<'_>) -> bool {
    number.as_bytes().iter().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

/// The class of the values that follow a schema.
pub fn class_of(schema: &Schema) -> &'static str {
    match schema.name.as_deref() {
        Some(logical::DECIMAL) => return "java.math.BigDecimal",
        Some(logical::DATE | logical::TIME | logical::TIMESTAMP) => return "java.util.Date",
        _ => {}
    }
    match schema.kind {
        Kind::Boolean => "java.lang.Boolean",
        Kind::Int8 => "java.lang.Byte",
        Kind::Int16 => "java.lang.Short",
        Kind::Int32 => "java.lang.Integer",
        Kind::Int64 => "java.lang.Long",
        Kind::Float => "java.lang.Float",
        Kind::Double => "java.lang.Double",
        Kind::String => "java.lang.String",
        Kind::Bytes => "[B",
        Kind::Array(_) => "java.util.ArrayList",
        Kind::Map(..) => "java.util.HashMap",
        Kind::Struct(_) => "org.apache.kafka.connect.data.Struct",
    }
}

/// Kafka Connect's name for a kind of schema.
pub fn type_name(schema: &Schema) -> &'static str {
    match schema.kind {
        Kind::Boolean => "BOOLEAN",
        Kind::Int8 => "INT8",
        Kind::Int16 => "INT16",
        Kind::Int32 => "INT32",
        Kind::Int64 => "INT64",
        Kind::Float => "FLOAT32",
        Kind::Double => "FLOAT64",
        Kind::String => "STRING",
        Kind::Bytes => "BYTES",
        Kind::Array(_) => "ARRAY",
        Kind::Map(..) => "MAP",
        Kind::Struct(_) => "STRUCT",
    }
}

/// The fields of a schema that have defaults, with these as JSON text.
pub fn defaults(schema: &Schema) -> Vec<(String, String)> {
    let default = |field: &schema::Field| Some((field.name.clone(), field.schema.default.as_ref()?.to_string()));
    schema.fields().iter().filter_map(default).collect()
}

/// Puts defaults in the place of fields that are null or missing, as a Struct's `get` does.
///
/// # Errors
/// If the payload is not JSON.
pub fn fill_in(record: &mut Record, side: Side, defaults: &[(String, String)]) -> Result<(), RecordError> {
    if defaults.is_empty() {
        return Ok(());
    }
    let mut object = record.object(side)?;
    for (name, default) in defaults {
        if object.get(name).is_none_or(|value| value.is_null()) {
            object.set_raw(name, default);
        }
    }
    Ok(())
}

/// A struct with the name, version, doc and parameters of another, but optional no more and without a default, as Kafka
/// Connect's `SchemaUtil.copySchemaBasics` makes it.
pub fn copy_basics(schema: &Schema, fields: Vec<schema::Field>) -> Schema {
    Schema { kind: Kind::Struct(fields), optional: false, default: None, ..schema.clone() }
}

/// A struct's fields with one more.
///
/// # Errors
/// If there is a field of that name, in the words of Kafka Connect's SchemaBuilder.
pub fn add_field(fields: &mut Vec<schema::Field>, name: &str, schema: Schema) -> Result<(), RecordError> {
    if fields.iter().any(|field| field.name == name) {
        let message = format!("Cannot create field because of field name duplication {name}");
        return Err(RecordError::of_kind(java::SCHEMA_BUILDER_EXCEPTION, message));
    }
    fields.push(schema::Field { name: name.to_owned(), schema });
    Ok(())
}
