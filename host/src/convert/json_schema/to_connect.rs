//! Connect's schema for a JSON Schema: `JsonSchemaData.toConnectSchema`.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::options::Options;
use super::{ENUM, GENERALIZED_ENUM, GENERALIZED_UNION, ONE_OF, data};
use crate::convert::ConvertError;
use crate::convert::data::json::Node;
use crate::convert::data::schema::MAX_SCHEMA_DEPTH;
use crate::convert::data::{Field, Kind, Schema, Value};
use crate::convert::registry::SchemaText;

/// Schemas that one may hold when what is referred to in several places is counted each time.
const MAX_SCHEMAS: usize = 50_000;

/// Connect's schema.
///
/// # Errors
/// A `DataException` when the text is no JSON Schema, or has no counterpart in Connect. `version` is the registry's.
pub fn connect_schema(text: &SchemaText, options: Options, version: Option<i32>) -> Result<Schema, ConvertError> {
    let parse = |text: &str| serde_json::from_str::<Json>(text).map_err(|error| wrong(format!("it is no JSON: {error}")));
    let mut documents = vec![(String::new(), parse(&text.text)?)];
    for reference in &text.references {
        documents.push((reference.name.clone(), parse(&reference.text)?));
    }
    let root = documents.first().map(|(_, root)| root).unwrap_or(&Json::Null);
    let mut conversion = ToConnect { documents: &documents, options, open: Vec::new(), schemas: 0, unions: 0 };
    conversion.schema(At { json: root, document: 0 }, version, false)
}

struct ToConnect<'a> {
    documents: &'a [(String, Json)],
    options: Options,
    /// Schemas that were referred to and are being converted.
    open: Vec<*const Json>,
    schemas: usize,
    unions: usize,
}

/// A schema, and which document it stands in.
#[derive(Clone, Copy)]
struct At<'a> {
    json: &'a Json,
    document: usize,
}

type Converted = Result<Schema, ConvertError>;

impl<'a> ToConnect<'a> {
    fn schema(&mut self, at: At<'a>, version: Option<i32>, optional: bool) -> Converted {
        self.schemas += 1;
        if self.schemas > MAX_SCHEMAS || self.open.len() > MAX_SCHEMA_DEPTH {
            return Err(wrong(format!("it is too large: {MAX_SCHEMAS} schemas, {MAX_SCHEMA_DEPTH} deep, are the limit")));
        }
        let address = std::ptr::from_ref(at.json);
        if self.open.contains(&address) {
            return Err(wrong("it contains itself, which records here cannot; flatten it".to_owned()));
        }
        self.open.push(address);
        let converted = self.opened(at, version, optional);
        self.open.pop();
        converted
    }

    fn opened(&mut self, at: At<'a>, version: Option<i32>, optional: bool) -> Converted {
        let Json::Object(members) = at.json else {
            return Err(wrong("a schema that allows anything has no type; give it one".to_owned()));
        };
        if let Some(reference) = members.get("$ref") {
            let target = self.resolve(at.document, reference.as_str().unwrap_or_default())?;
            return self.schema(target, version, optional);
        }
        let branches = |name: &str| members.get(name).and_then(Json::as_array).map(Vec::as_slice);
        let base = base_type(members);
        let is_symbol = members.contains_key("enum") || members.contains_key("const");
        if let Some(branches) = branches("allOf") {
            return self.all_of(at, branches, version, optional);
        }
        let union = branches("oneOf").or_else(|| branches("anyOf"));
        let mut schema = match (union, &base) {
            // Beside a struct's properties alternatives only say more about it.
            (Some(_), Some(Json::String(kind))) if kind == "object" && members.contains_key("properties") => {
                self.typed(kind, members, at.document)?
            }
            (Some(branches), _) => {
                let branches: Vec<At<'a>> = branches.iter().map(|json| At { json, ..at }).collect();
                match self.union(&branches, version)? {
                    Union::Single(schema) => return Ok(Schema { optional: optional || schema.optional, ..schema }),
                    Union::Many(schema) => schema,
                }
            }
            (None, Some(Json::String(kind))) if is_symbol && kind != "string" => self.typed(kind, members, at.document)?,
            (None, Some(Json::String(_))) if members.contains_key("enum") => self.symbols(members),
            (None, None) if is_symbol => self.symbols(members),
            (None, Some(Json::String(kind))) => self.typed(kind, members, at.document)?,
            (None, Some(Json::Array(kinds))) => {
                let mut found = Vec::new();
                let mut null = false;
                for kind in kinds.iter().filter_map(Json::as_str) {
                    match kind {
                        "null" => null = true,
                        kind => found.push(self.typed(kind, members, at.document)?),
                    }
                }
                match found.pop() {
                    Some(only) if found.is_empty() && (null || self.options.flatten) => Schema { optional: null, ..only },
                    Some(last) => {
                        found.push(last);
                        self.struct_of(found, null)
                    }
                    None => return Err(wrong("null alone has no counterpart".to_owned())),
                }
            }
            _ => return Err(wrong("a schema that allows anything has no type; give it one".to_owned())),
        };
        self.describe(&mut schema, members, version)?;
        schema.optional |= optional;
        Ok(schema)
    }

    fn typed(&mut self, kind: &str, members: &'a Map<String, Json>, document: usize) -> Converted {
        let connect = members.get("connect.type").and_then(Json::as_str);
        let numbers = |default: Kind| {
            Ok(match connect {
                None => default,
                Some("int8") => Kind::Int8,
                Some("int16") => Kind::Int16,
                Some("int32") => Kind::Int32,
                Some("int64") => Kind::Int64,
                Some("float32") => Kind::Float32,
                Some("float64") => Kind::Float64,
                Some("bytes") => Kind::Bytes,
                Some(other) => return Err(wrong(format!("unsupported connect.type {other}"))),
            })
        };
        let part = |name: &str| members.get(name).map(|json| At { json, document });
        Ok(Schema::new(match kind {
            "boolean" => Kind::Boolean,
            "integer" => numbers(Kind::Int64)?,
            "number" => numbers(Kind::Float64)?,
            "string" if connect == Some("bytes") => Kind::Bytes,
            "string" => Kind::String,
            "array" => {
                let items = part("items").filter(|items| items.json.is_object());
                let items = items.ok_or_else(|| ConvertError::data("Array schema did not specify the items type"))?;
                if connect == Some("map") {
                    let property = |name: &str| items.json.get("properties").and_then(|properties| properties.get(name));
                    let side = |name: &str| property(name).ok_or_else(|| wrong(format!("a map's entries lack {name}")));
                    let key = self.schema(At { json: side("key")?, document }, None, false)?;
                    let value = self.schema(At { json: side("value")?, document }, None, false)?;
                    Kind::Map(Box::new(key), Box::new(value))
                } else {
                    Kind::Array(Box::new(self.schema(items, None, false)?))
                }
            }
            "object" if connect == Some("map") => {
                let values = part("additionalProperties").filter(|values| values.json.is_object());
                let values = values.ok_or_else(|| wrong("a map has no additionalProperties".to_owned()))?;
                Kind::Map(Box::new(Schema::new(Kind::String)), Box::new(self.schema(values, None, false)?))
            }
            "object" => Kind::of_fields(self.properties(members, document)?)?,
            other => return Err(wrong(format!("{other} is no type"))),
        }))
    }

    fn properties(&mut self, members: &'a Map<String, Json>, document: usize) -> Result<Vec<Field>, ConvertError> {
        let required = members.get("required").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut sorted = BTreeMap::new();
        for (name, json) in members.get("properties").and_then(Json::as_object).into_iter().flatten() {
            let index = json.get("connect.index").and_then(Json::as_u64).unwrap_or(sorted.len() as u64);
            // Two of one place stand side by side.
            let mut place = (index, 0);
            while sorted.contains_key(&place) {
                place.1 += 1;
            }
            sorted.insert(place, (name, json));
        }
        let mut fields = Vec::with_capacity(sorted.len());
        for (name, json) in sorted.into_values() {
            let optional = self.options.non_required && !required.iter().any(|required| required.as_str() == Some(name));
            fields.push(Field { name: name.clone(), schema: self.schema(At { json, document }, None, optional)? });
        }
        Ok(fields)
    }

    fn symbols(&self, members: &Map<String, Json>) -> Schema {
        let one = members.get("const").map(std::slice::from_ref);
        let symbols = members.get("enum").and_then(Json::as_array).map(Vec::as_slice).or(one).unwrap_or_default();
        let name = if self.options.generalized { GENERALIZED_ENUM } else { ENUM };
        let mut parameters = vec![(name.to_owned(), String::new())];
        for (place, symbol) in symbols.iter().enumerate() {
            let text = match symbol {
                Json::Null => "<NULL>".to_owned(),
                Json::String(text) => text.clone(),
                other => other.to_string(),
            };
            let value = if self.options.generalized { place.to_string() } else { text.clone() };
            parameters.push((format!("{name}.{text}"), value));
        }
        Schema { parameters: Some(parameters), ..Schema::new(Kind::String) }
    }

    fn union(&mut self, branches: &[At<'a>], version: Option<i32>) -> Result<Union, ConvertError> {
        let is_null = |at: &At<'_>| at.json.get("type").and_then(Json::as_str) == Some("null");
        let null = branches.iter().any(is_null);
        let others: Vec<At<'a>> = branches.iter().copied().filter(|at| !is_null(at)).collect();
        match others.as_slice() {
            [only] if branches.len() == 2 && null => return self.schema(*only, version, true).map(Union::Single),
            [only] if branches.len() == 1 && self.options.flatten => return self.schema(*only, None, false).map(Union::Single),
            [] => return Err(wrong("null alone has no counterpart".to_owned())),
            _ => {}
        }
        let mut schemas = Vec::with_capacity(others.len());
        for branch in others {
            schemas.push(self.schema(branch, None, true)?);
        }
        Ok(Union::Many(self.struct_of(schemas, null)))
    }

    /// A struct of which one field is set.
    fn struct_of(&mut self, schemas: Vec<Schema>, optional: bool) -> Schema {
        let (name, prefix) = match self.options.generalized {
            true => (format!("connect_union_{}", self.unions), "connect_union_field_".to_owned()),
            false => (ONE_OF.to_owned(), format!("{ONE_OF}.field.")),
        };
        self.unions += 1;
        let field = |(place, schema)| Field { name: format!("{prefix}{place}"), schema: Schema { optional: true, ..schema } };
        let kind = Kind::Struct(schemas.into_iter().enumerate().map(field).collect());
        let parameters = self.options.generalized.then(|| vec![(GENERALIZED_UNION.to_owned(), name.clone())]);
        Schema { optional, name: Some(name), parameters, ..Schema::new(kind) }
    }

    fn all_of(&mut self, at: At<'a>, branches: &'a [Json], version: Option<i32>, optional: bool) -> Converted {
        let mut fields: Vec<(String, At<'a>, bool)> = Vec::new();
        self.collect(at, &mut fields, MAX_SCHEMA_DEPTH)?;
        if !fields.is_empty() {
            let mut connect = Vec::with_capacity(fields.len());
            for (name, property, required) in fields {
                let schema = self.schema(property, None, self.options.non_required && !required)?;
                connect.push(Field { name, schema });
            }
            return Ok(Schema { optional, ..Schema::new(Kind::of_fields(connect)?) });
        }
        let all = || branches.iter().chain([at.json]);
        let of = |json: &'a Json| At { json, document: at.document };
        let has = |name: &'static str| move |json: &&Json| json.get(name).is_some();
        let typed = |wanted: &'static [&'static str]| {
            move |json: &&Json| json.get("type").and_then(Json::as_str).is_some_and(|kind| wanted.contains(&kind))
        };
        let (number, text): (&[&str], &[&str]) = (&["integer", "number"], &["string"]);
        let combined = branches.iter().find(|json| has("oneOf")(json) || has("anyOf")(json) || has("allOf")(json));
        let chosen = combined
            .or_else(|| all().find(typed(number)))
            .or_else(|| branches.iter().find(has("enum")))
            .or_else(|| all().find(typed(text)))
            .or_else(|| branches.iter().find(has("$ref")));
        match chosen {
            // The schema itself, but for what it is a combination of.
            Some(json) if std::ptr::eq(json, at.json) => {
                let Json::Object(members) = json else { return Err(wrong("allOf".to_owned())) };
                let kind = members.get("type").and_then(Json::as_str).unwrap_or_default();
                let mut schema = self.typed(kind, members, at.document)?;
                self.describe(&mut schema, members, version)?;
                schema.optional |= optional;
                Ok(schema)
            }
            Some(json) => self.schema(of(json), version, optional),
            None => Err(wrong("Unsupported criterion allOf: no types, properties or references are in it".to_owned())),
        }
    }

    /// The properties of a schema and of all that it combines.
    fn collect(&self, at: At<'a>, fields: &mut Vec<(String, At<'a>, bool)>, depth: usize) -> Result<(), ConvertError> {
        let depth = depth.checked_sub(1).ok_or_else(|| wrong("allOf is nested too deep, or in itself".to_owned()))?;
        if let Some(reference) = at.json.get("$ref").and_then(Json::as_str) {
            return self.collect(self.resolve(at.document, reference)?, fields, depth);
        }
        for json in at.json.get("allOf").and_then(Json::as_array).into_iter().flatten() {
            self.collect(At { json, ..at }, fields, depth)?;
        }
        let required = at.json.get("required").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        for (name, json) in at.json.get("properties").and_then(Json::as_object).into_iter().flatten() {
            let required = required.iter().any(|required| required.as_str() == Some(name));
            let field = (name.clone(), At { json, ..at }, required);
            match fields.iter_mut().find(|(known, ..)| known == name) {
                Some(known) => *known = field,
                None => fields.push(field),
            }
        }
        if fields.len() > MAX_SCHEMAS {
            return Err(wrong("allOf has too many properties".to_owned()));
        }
        Ok(())
    }

    /// What a reference means: a place in its document, another document by the name under which it is referred to, or both.
    fn resolve(&self, document: usize, reference: &str) -> Result<At<'a>, ConvertError> {
        let unknown = || wrong(format!("{reference} is not to be found"));
        let (name, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let document = match name {
            "" => document,
            name => {
                let of_name = |(known, json): &(String, Json)| {
                    let id = json.get("$id").or_else(|| json.get("id")).and_then(Json::as_str);
                    known == name || known == reference || id == Some(name)
                };
                self.documents.iter().position(of_name).ok_or_else(unknown)?
            }
        };
        let (_, root) = self.documents.get(document).ok_or_else(unknown)?;
        let json = match fragment {
            "" => Some(root),
            pointer => {
                let decoded = percent_encoding::percent_decode_str(pointer).decode_utf8_lossy();
                root.pointer(&decoded)
            }
        };
        Ok(At { json: json.ok_or_else(unknown)?, document })
    }

    fn describe(&self, schema: &mut Schema, members: &Map<String, Json>, version: Option<i32>) -> Result<(), ConvertError> {
        let text = |name: &str| members.get(name).and_then(Json::as_str).map(str::to_owned);
        if schema.name.is_none() {
            schema.name = text("title");
        }
        let own = members.get("connect.version").and_then(Json::as_i64).and_then(|version| i32::try_from(version).ok());
        schema.version = own.or(version);
        schema.doc = text("description");
        if let Some(Json::Object(parameters)) = members.get("connect.parameters") {
            for (name, value) in parameters {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                schema.parameters.get_or_insert_default().push((name.clone(), value));
            }
        }
        if let Some(default) = members.get("default").filter(|default| !default.is_null()) {
            let text = default.to_string();
            let node = Node::parse(&text).ok_or_else(|| wrong("a default cannot be read".to_owned()))?;
            schema.default = Some(data::read(schema, Some(&node))?).filter(|value| *value != Value::Null);
        }
        Ok(())
    }
}

enum Union {
    /// One schema, optional if null is the other.
    Single(Schema),
    Many(Schema),
}

/// The type that is given, or that the other members speak of.
fn base_type(members: &Map<String, Json>) -> Option<Json> {
    const OBJECT: &[&str] =
        &["properties", "required", "additionalProperties", "minProperties", "maxProperties", "patternProperties"];
    const ARRAY: &[&str] = &["items", "minItems", "maxItems", "uniqueItems"];
    const NUMBER: &[&str] = &["minimum", "maximum", "multipleOf", "exclusiveMinimum", "exclusiveMaximum"];
    const STRING: &[&str] = &["minLength", "maxLength", "pattern", "format"];
    if let Some(kind) = members.get("type") {
        return Some(kind.clone());
    }
    let speaks = |names: &[&str]| names.iter().any(|name| members.contains_key(*name));
    let kinds = [("object", OBJECT), ("array", ARRAY), ("number", NUMBER), ("string", STRING)];
    kinds.iter().find(|(_, names)| speaks(names)).map(|(kind, _)| Json::from(*kind))
}

fn wrong(problem: String) -> ConvertError {
    ConvertError::data(format!("The JSON Schema cannot be read: {problem}"))
}
