//! The JSON Schema for a Connect schema: `JsonSchemaData.fromConnectSchema`.

use serde_json::{Map, Value as Json, json};

use super::data::write;
use super::options::Options;
use super::{ENUM, NAMESPACE, is_enum, is_union};
use crate::convert::data::schema::DECIMAL;
use crate::convert::data::{Kind, Schema};

/// The schema's JSON.
pub fn json_schema(schema: &Schema, options: Options) -> Json {
    FromConnect { options }.schema(schema, None, false)
}

struct FromConnect {
    options: Options,
}

impl FromConnect {
    fn schema(&self, schema: &Schema, index: Option<usize>, ignore_optional: bool) -> Json {
        let required = Schema { optional: false, ..schema.clone() };
        let mut json = match &schema.kind {
            Kind::Struct(fields) if is_union(schema) => {
                let null = schema.optional.then(|| json!({"type": "null"}));
                let branch = |(place, field): (usize, &crate::convert::data::Field)| {
                    let branch = Schema { optional: false, ..field.schema.clone() };
                    self.schema(&branch, Some(place), true)
                };
                let branches: Vec<Json> = null.into_iter().chain(fields.iter().enumerate().map(branch)).collect();
                Map::from_iter([("oneOf".to_owned(), Json::Array(branches))])
            }
            Kind::Struct(_) if schema.optional => optional(self.schema(&required, None, false)),
            _ => {
                let described = self.described(schema);
                if schema.optional && !ignore_optional { optional(Json::Object(described)) } else { described }
            }
        };
        if let Some(index) = index {
            json.insert("connect.index".to_owned(), json!(index));
        }
        Json::Object(json)
    }

    fn described(&self, schema: &Schema) -> Map<String, Json> {
        let mut json = self.kind(schema);
        let mut add = |name: &str, value: Json| json.insert(name.to_owned(), value);
        if let Some(name) = &schema.name {
            add("title", json!(name));
        }
        if let Some(version) = schema.version {
            add("connect.version", json!(version));
        }
        if let Some(doc) = &schema.doc {
            add("description", json!(doc));
        }
        let own = schema.parameters.iter().flatten().filter(|(name, _)| !name.starts_with(NAMESPACE));
        let parameters: Map<String, Json> = own.map(|(name, value)| (name.clone(), json!(value))).collect();
        if !parameters.is_empty() {
            add("connect.parameters", Json::Object(parameters));
        }
        if let Some(default) = &schema.default {
            let mut text = Vec::new();
            write(schema, default, self.options.numeric, &mut text);
            if let Ok(default) = serde_json::from_slice(&text) {
                add("default", default);
            }
        }
        json
    }

    fn kind(&self, schema: &Schema) -> Map<String, Json> {
        let typed = |kind: &str, connect: Option<&str>| {
            let connect = connect.map(|connect| ("connect.type".to_owned(), json!(connect)));
            Map::from_iter([("type".to_owned(), json!(kind))].into_iter().chain(connect))
        };
        match &schema.kind {
            Kind::Int8 => typed("integer", Some("int8")),
            Kind::Int16 => typed("integer", Some("int16")),
            Kind::Int32 => typed("integer", Some("int32")),
            Kind::Int64 => typed("integer", Some("int64")),
            Kind::Float32 => typed("number", Some("float32")),
            Kind::Float64 => typed("number", Some("float64")),
            Kind::Boolean => typed("boolean", None),
            Kind::String if is_enum(schema) => {
                let prefix = format!("{}.", if self.options.generalized { super::GENERALIZED_ENUM } else { ENUM });
                let symbols = schema.parameters.iter().flatten().filter_map(|(name, _)| name.strip_prefix(&prefix));
                let symbol = |symbol| if symbol == "<NULL>" { Json::Null } else { json!(symbol) };
                Map::from_iter([("enum".to_owned(), symbols.map(symbol).collect())])
            }
            Kind::String => typed("string", None),
            Kind::Bytes if self.options.numeric && schema.name.as_deref() == Some(DECIMAL) => typed("number", Some("bytes")),
            Kind::Bytes => typed("string", Some("bytes")),
            Kind::Array(items) => {
                let mut json = typed("array", None);
                json.insert("items".to_owned(), self.schema(items, None, false));
                json
            }
            Kind::Map(keys, values) if keys.kind == Kind::String && !keys.optional => {
                let mut json = typed("object", Some("map"));
                json.insert("additionalProperties".to_owned(), self.schema(values, None, false));
                json
            }
            Kind::Map(keys, values) => {
                let mut json = typed("array", Some("map"));
                let (key, value) = (self.schema(keys, Some(0), false), self.schema(values, Some(1), false));
                json.insert("items".to_owned(), json!({"type": "object", "properties": {"key": key, "value": value}}));
                json
            }
            Kind::Struct(fields) => {
                let mut json = typed("object", None);
                let property = |(place, field): (usize, &crate::convert::data::Field)| {
                    (field.name.clone(), self.schema(&field.schema, Some(place), false))
                };
                json.insert("properties".to_owned(), Json::Object(fields.iter().enumerate().map(property).collect()));
                if !self.options.additional {
                    json.insert("additionalProperties".to_owned(), json!(false));
                }
                json
            }
        }
    }
}

fn optional(json: Json) -> Map<String, Json> {
    Map::from_iter([("oneOf".to_owned(), json!([{"type": "null"}, json]))])
}
