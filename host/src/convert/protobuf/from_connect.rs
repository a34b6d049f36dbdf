//! The Protobuf schema for a Connect schema: `ProtobufData.fromConnectSchema`.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::options::Options;
use super::{
    ENUM, GENERALIZED_ENUM, GENERALIZED_UNION, TAG, TYPE, UNION_PREFIX, WRAPPER_MARK, is_union, known, map_entry, parameter,
};
use crate::convert::ConvertError;
use crate::convert::avro::scrub;
use crate::convert::data::{Kind, Logical, Schema};

/// The text, and the full name of the message that records are.
///
/// # Errors
/// A `DataException` for what Protobuf has no type for.
pub fn protobuf_schema(schema: &Schema, options: Options) -> Result<(String, String), ConvertError> {
    let Kind::Struct(_) = &schema.kind else {
        let wrapper = wrapper(schema).ok_or_else(|| {
            ConvertError::data(format!(
                "Unsupported root schema of type {}; put it into a struct (HoistField)",
                schema.kind.name()
            ))
        })?;
        return Ok((known::WRAPPERS_FILE.to_owned(), wrapper.to_owned()));
    };
    let mut conversion = FromConnect { options, imports: BTreeSet::new(), unnamed: 0 };
    let full = conversion.name(schema);
    let parts = full.split('.').map(|part| conversion.scrubbed(part)).collect::<Result<Vec<_>, _>>()?;
    let full = parts.join(".");
    let (package, name) = full.rsplit_once('.').map_or((None, full.as_str()), |(package, name)| (Some(package), name));
    let body = conversion.message(name, schema, 0)?;
    let mut text = "syntax = \"proto3\";\n".to_owned();
    if let Some(package) = package {
        let _ = writeln!(text, "package {package};");
    }
    text.push('\n');
    for import in &conversion.imports {
        let _ = writeln!(text, "import \"{import}\";");
    }
    if !conversion.imports.is_empty() {
        text.push('\n');
    }
    Ok((text + &body, full))
}

/// The wrapper of a scalar.
fn wrapper(schema: &Schema) -> Option<&'static str> {
    Some(match (&schema.kind, parameter(schema, TYPE)) {
        (Kind::Int8 | Kind::Int16 | Kind::Int32, _) => "google.protobuf.Int32Value",
        (Kind::Int64, Some("uint32" | "fixed32")) => "google.protobuf.UInt32Value",
        (Kind::Int64, Some("uint64" | "fixed64")) => "google.protobuf.UInt64Value",
        (Kind::Int64, _) => "google.protobuf.Int64Value",
        (Kind::Float32, _) => "google.protobuf.FloatValue",
        (Kind::Float64, _) => "google.protobuf.DoubleValue",
        (Kind::Boolean, _) => "google.protobuf.BoolValue",
        (Kind::String, _) => "google.protobuf.StringValue",
        (Kind::Bytes, _) => "google.protobuf.BytesValue",
        _ => return None,
    })
}

struct FromConnect {
    options: Options,
    imports: BTreeSet<&'static str>,
    unnamed: usize,
}

/// The parts of a message.
#[derive(Default)]
struct Body {
    fields: String,
    types: String,
    defined: Vec<String>,
    next_tag: u32,
}

type Done = Result<(), ConvertError>;

impl FromConnect {
    fn message(&mut self, name: &str, schema: &Schema, depth: usize) -> Result<String, ConvertError> {
        let Kind::Struct(fields) = &schema.kind else { return Ok(String::new()) };
        let mut body = Body { next_tag: 1, ..Body::default() };
        for field in fields {
            let name = self.scrubbed(&field.name)?;
            if is_union(&field.schema) {
                self.oneof(&mut body, &field.schema, depth + 1)?;
            } else {
                self.field(&mut body, &name, &field.schema, false, depth + 1)?;
            }
        }
        let pad = "  ".repeat(depth);
        Ok(format!("{pad}message {name} {{\n{}{}{pad}}}\n", body.fields, body.types))
    }

    fn oneof(&mut self, body: &mut Body, schema: &Schema, depth: usize) -> Done {
        let Kind::Struct(fields) = &schema.kind else { return Ok(()) };
        let full = parameter(schema, GENERALIZED_UNION).or(schema.name.as_deref()).unwrap_or_default();
        let full = full.strip_prefix(UNION_PREFIX).unwrap_or(full);
        let name = self.scrubbed(full.rsplit_once('.').map_or(full, |(_, name)| name))?;
        let pad = "  ".repeat(depth);
        let _ = writeln!(body.fields, "{pad}oneof {name} {{");
        for field in fields {
            let name = self.scrubbed(&field.name)?;
            self.field(body, &name, &field.schema, true, depth + 1)?;
        }
        let _ = writeln!(body.fields, "{pad}}}");
        Ok(())
    }

    fn field(&mut self, body: &mut Body, name: &str, schema: &Schema, in_oneof: bool, depth: usize) -> Done {
        let tag = match parameter(schema, TAG).and_then(|tag| tag.parse().ok()) {
            Some(tag) => tag,
            None => {
                let tag = body.next_tag;
                body.next_tag += 1;
                tag
            }
        };
        let (label, element) = match &schema.kind {
            Kind::Array(items) => ("repeated ", &**items),
            Kind::Map(..) => ("repeated ", schema),
            _ if self.options.optional && schema.optional && !in_oneof => ("optional ", schema),
            _ => ("", schema),
        };
        if matches!(element.kind, Kind::Array(_)) {
            return Err(ConvertError::data(
                "Array cannot be nested: Protobuf has no lists of lists; put the inner one into a struct",
            ));
        }
        if in_oneof && label == "repeated " {
            return Err(ConvertError::data(format!(
                "{name} is a list in a union, which Protobuf does not have; put it into a struct"
            )));
        }
        let mut meta = Vec::new();
        let kind = self.kind(body, name, element, in_oneof, &mut meta, if in_oneof { depth - 1 } else { depth })?;
        let pad = "  ".repeat(depth);
        let _ = write!(body.fields, "{pad}{label}{kind} {name} = {tag}");
        if !meta.is_empty() {
            self.imports.insert("confluent/meta.proto");
            let entries: Vec<String> =
                meta.iter().map(|(key, value)| format!("{{ key: \"{key}\", value: \"{value}\" }}")).collect();
            let _ = write!(body.fields, " [(confluent.field_meta) = {{ params: [{}] }}]", entries.join(", "));
        }
        body.fields.push_str(";\n");
        Ok(())
    }

    /// The type of a field; what it needs besides is added to the message.
    fn kind(
        &mut self,
        body: &mut Body,
        field: &str,
        schema: &Schema,
        in_oneof: bool,
        meta: &mut Vec<(&'static str, String)>,
        depth: usize,
    ) -> Result<String, ConvertError> {
        let known = match schema.logical() {
            Some(Logical::Decimal(scale)) => {
                let precision =
                    parameter(schema, "connect.decimal.precision").and_then(|precision| precision.parse::<u32>().ok());
                meta.extend(precision.map(|precision| ("precision", precision.to_string())));
                meta.extend(scale.map(|scale| ("scale", scale.to_string())));
                Some(("confluent/type/decimal.proto", known::DECIMAL))
            }
            Some(Logical::Date) => Some(("google/type/date.proto", known::DATE)),
            Some(Logical::Time) => Some(("google/type/timeofday.proto", known::TIME)),
            Some(Logical::Timestamp) => Some(("google/protobuf/timestamp.proto", known::TIMESTAMP)),
            None => None,
        };
        if let Some((import, kind)) = known {
            self.imports.insert(import);
            return Ok(kind.to_owned());
        }
        match schema.kind {
            Kind::Int8 => meta.push(("connect.type", "int8".to_owned())),
            Kind::Int16 => meta.push(("connect.type", "int16".to_owned())),
            _ => {}
        }
        let symbols = [GENERALIZED_ENUM, ENUM].into_iter().find(|name| parameter(schema, name).is_some());
        if let (Kind::String | Kind::Int32, Some(parameters)) = (&schema.kind, symbols) {
            return self.enumeration(body, schema, parameters, depth);
        }
        match &schema.kind {
            Kind::Map(keys, values) => {
                let name = self.scrubbed_last(schema)?;
                let name = map_entry(&name);
                if define(body, &name) {
                    let mut entry = Body { next_tag: 1, ..Body::default() };
                    self.field(&mut entry, "key", &untagged(keys), false, depth + 1)?;
                    self.field(&mut entry, "value", &untagged(values), false, depth + 1)?;
                    let pad = "  ".repeat(depth);
                    let _ = write!(body.types, "{pad}message {name} {{\n{}{}{pad}}}\n", entry.fields, entry.types);
                }
                Ok(name)
            }
            Kind::Struct(_) => {
                let mut name = self.scrubbed_last(schema)?;
                if name == field {
                    name += "Message";
                }
                if define(body, &name) {
                    let message = self.message(&name, schema, depth)?;
                    body.types.push_str(&message);
                }
                Ok(name)
            }
            Kind::Array(_) => Err(ConvertError::data("Array cannot be nested")),
            _ => {
                let marked = parameter(schema, WRAPPER_MARK) == Some("true");
                if self.options.wrapper && schema.optional && (!in_oneof || marked) {
                    self.imports.insert("google/protobuf/wrappers.proto");
                    return Ok(wrapper(schema).unwrap_or_default().to_owned());
                }
                Ok(scalar(schema).to_owned())
            }
        }
    }

    fn enumeration(&mut self, body: &mut Body, schema: &Schema, parameters: &str, depth: usize) -> Result<String, ConvertError> {
        let full = parameter(schema, parameters).filter(|name| !name.is_empty()).or(schema.name.as_deref()).unwrap_or_default();
        let name = self.scrubbed(full.rsplit_once('.').map_or(full, |(_, name)| name))?;
        if define(body, &name) {
            let prefix = format!("{parameters}.");
            let pad = "  ".repeat(depth);
            let _ = writeln!(body.types, "{pad}enum {name} {{");
            let symbols = schema.parameters.iter().flatten().filter_map(|(name, tag)| Some((name.strip_prefix(&prefix)?, tag)));
            for (symbol, tag) in symbols {
                let tag: i32 =
                    tag.parse().map_err(|_| ConvertError::data(format!("The enum {name} has no number for {symbol}")))?;
                let _ = writeln!(body.types, "{pad}  {} = {tag};", self.scrubbed(symbol)?);
            }
            let _ = writeln!(body.types, "{pad}}}");
        }
        Ok(name)
    }

    fn name(&mut self, schema: &Schema) -> String {
        match schema.name.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => name.to_owned(),
            None => {
                self.unnamed += 1;
                format!("ConnectDefault{}", self.unnamed)
            }
        }
    }

    fn scrubbed_last(&mut self, schema: &Schema) -> Result<String, ConvertError> {
        let full = self.name(schema);
        self.scrubbed(full.rsplit_once('.').map_or(full.as_str(), |(_, name)| name))
    }

    fn scrubbed(&self, name: &str) -> Result<String, ConvertError> {
        scrubbed(name, self.options)
    }
}

/// A name as it may stand in Protobuf.
///
/// # Errors
/// A `DataException` when it has other characters, which are not to be replaced.
pub fn scrubbed(name: &str, options: Options) -> Result<String, ConvertError> {
    if options.scrub {
        let scrubbed = scrub(name);
        return Ok(if scrubbed.starts_with('_') { format!("x{scrubbed}") } else { scrubbed });
    }
    let starts = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if starts && name.chars().all(|each| each.is_ascii_alphanumeric() || each == '_') {
        return Ok(name.to_owned());
    }
    let rule = "Protobuf allows letters, digits and underscores; set scrub.invalid.names=true to have others replaced";
    Err(ConvertError::data(format!("Illegal character in: {name}: {rule}")))
}

fn define(body: &mut Body, name: &str) -> bool {
    let is_new = !body.defined.iter().any(|known| known == name);
    if is_new {
        body.defined.push(name.to_owned());
    }
    is_new
}

/// A key or value of a map, whose numbers are 1 and 2.
fn untagged(schema: &Schema) -> Schema {
    let mut schema = schema.clone();
    if let Some(parameters) = &mut schema.parameters {
        parameters.retain(|(name, _)| name != TAG);
    }
    schema
}

fn scalar(schema: &Schema) -> &'static str {
    const INT32: [&str; 2] = ["sint32", "sfixed32"];
    const INT64: [&str; 6] = ["uint32", "fixed32", "uint64", "sint64", "fixed64", "sfixed64"];
    let given = |allowed: &'static [&'static str], default: &'static str| {
        let kind = parameter(schema, TYPE).and_then(|kind| allowed.iter().find(|allowed| **allowed == kind));
        kind.copied().unwrap_or(default)
    };
    match schema.kind {
        Kind::Int8 | Kind::Int16 => "int32",
        Kind::Int32 => given(&INT32, "int32"),
        Kind::Int64 => given(&INT64, "int64"),
        Kind::Float32 => "float",
        Kind::Float64 => "double",
        Kind::Boolean => "bool",
        Kind::String => "string",
        _ => "bytes",
    }
}
