//! Schemas as the JSON of Kafka Connect's JsonConverter (`connect/json`, JsonConverter.asJsonSchema).

use serde_json::{Map, Value, json};

use super::{Field, Kind, Schema};

pub fn read(text: &str) -> Result<Schema, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    schema(&value)
}

fn schema(value: &Value) -> Result<Schema, String> {
    let members = value.as_object().ok_or("a schema is a JSON object")?;
    let kind = match text(members, "type")?.ok_or("Schema must contain 'type' field")?.as_str() {
        "boolean" => Kind::Boolean,
        "int8" => Kind::Int8,
        "int16" => Kind::Int16,
        "int32" => Kind::Int32,
        "int64" => Kind::Int64,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "string" => Kind::String,
        "bytes" => Kind::Bytes,
        "array" => Kind::Array(Box::new(schema(member(members, "items")?)?)),
        "map" => Kind::Map(Box::new(schema(member(members, "keys")?)?), Box::new(schema(member(members, "values")?)?)),
        "struct" => {
            let fields = member(members, "fields")?.as_array().ok_or("'fields' is not a list")?;
            Kind::Struct(fields.iter().map(field).collect::<Result<_, _>>()?)
        }
        unknown => return Err(format!("Unknown schema type: {unknown}")),
    };
    Ok(Schema {
        kind,
        optional: members.get("optional").and_then(Value::as_bool).unwrap_or(false),
        name: text(members, "name")?,
        version: members.get("version").and_then(Value::as_i64).and_then(|version| version.try_into().ok()),
        doc: text(members, "doc")?,
        parameters: members.get("parameters").filter(|value| !value.is_null()).map(parameters).transpose()?,
        default: members.get("default").filter(|value| !value.is_null()).cloned(),
    })
}

fn field(value: &Value) -> Result<Field, String> {
    let name = value.get("field").and_then(Value::as_str).ok_or("a field of a struct has no 'field' name")?;
    Ok(Field { name: name.to_owned(), schema: schema(value)? })
}

fn parameters(value: &Value) -> Result<Vec<(String, String)>, String> {
    let members = value.as_object().ok_or("'parameters' is not an object")?;
    members
        .iter()
        .map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect::<Option<_>>()
        .ok_or_else(|| "a parameter is not a string".to_owned())
}

fn member<'a>(members: &'a Map<String, Value>, name: &str) -> Result<&'a Value, String> {
    members.get(name).ok_or_else(|| format!("'{name}' is missing"))
}

fn text(members: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match members.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(format!("'{name}' is not a string")),
    }
}

pub fn write(schema: &Schema) -> Value {
    let mut members = Map::new();
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    let name = match &schema.kind {
        Kind::Boolean => "boolean",
        Kind::Int8 => "int8",
        Kind::Int16 => "int16",
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        Kind::Float => "float",
        Kind::Double => "double",
        Kind::String => "string",
        Kind::Bytes => "bytes",
        Kind::Array(_) => "array",
        Kind::Map(..) => "map",
        Kind::Struct(_) => "struct",
    };
    put("type", json!(name));
    match &schema.kind {
        Kind::Array(items) => {
            put("items", write(items));
        }
        Kind::Map(keys, values) => {
            put("keys", write(keys));
            put("values", write(values));
        }
        Kind::Struct(fields) => {
            put("fields", fields.iter().map(write_field).collect());
        }
        _ => {}
    }
    put("optional", json!(schema.optional));
    if let Some(name) = &schema.name {
        put("name", json!(name));
    }
    if let Some(version) = schema.version {
        put("version", json!(version));
    }
    if let Some(doc) = &schema.doc {
        put("doc", json!(doc));
    }
    if let Some(parameters) = &schema.parameters {
        put("parameters", parameters.iter().map(|(name, value)| (name.clone(), json!(value))).collect());
    }
    if let Some(default) = &schema.default {
        put("default", default.clone());
    }
    Value::Object(members)
}

fn write_field(field: &Field) -> Value {
    let mut value = write(&field.schema);
    if let Some(members) = value.as_object_mut() {
        members.insert("field".to_owned(), json!(field.name));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_out_as_it_went_in() {
        for text in [
            r#"{"type":"int8","optional":false}"#,
            r#"{"type":"string","optional":true,"name":"n","version":3,"doc":"d","parameters":{"b":"1","a":"2"},"default":"x"}"#,
            r#"{"type":"array","items":{"type":"float","optional":false},"optional":true}"#,
            r#"{"type":"map","keys":{"type":"int32","optional":false},"values":{"type":"bytes","optional":true},"optional":false}"#,
            r#"{"type":"struct","fields":[{"type":"int64","optional":false,"field":"id"},{"type":"struct","fields":[],"optional":true,"default":{},"field":"s"}],"optional":false,"name":"r"}"#,
        ] {
            assert_eq!(Schema::from_json(text).unwrap().to_json(), text);
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (text, expected) in [
            ("[", "EOF while parsing a list at line 1 column 1"),
            ("1", "a schema is a JSON object"),
            ("{}", "Schema must contain 'type' field"),
            (r#"{"type":"uint8"}"#, "Unknown schema type: uint8"),
            (r#"{"type":"array"}"#, "'items' is missing"),
            (r#"{"type":"struct","fields":[{"type":"int8"}]}"#, "a field of a struct has no 'field' name"),
            (r#"{"type":"int8","parameters":{"a":1}}"#, "a parameter is not a string"),
            (r#"{"type":"int8","name":1}"#, "'name' is not a string"),
        ] {
            assert_eq!(read(text), Err(expected.to_owned()), "{text}");
        }
    }
}
