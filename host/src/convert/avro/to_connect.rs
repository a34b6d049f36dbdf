//! Connect's schema for an Avro schema, and the plan by which its data is read: `AvroData.toConnectSchema`.

use serde_json::Value as Json;

use super::decode::{Branch, Plan, Step};
use super::options::Options;
use super::schema::{AvroSchema, Field as AvroField, Kind as AvroKind, Type, TypeId};
use super::{ANYTHING, DEFAULT_NAME, ENUM, FIXED_SIZE, GENERALIZED_ENUM, GENERALIZED_UNION, MAP_ENTRY, PRECISION, UNION};
use crate::convert::ConvertError;
use crate::convert::data::json::write_string;
use crate::convert::data::read::check_nulls;
use crate::convert::data::schema::{DECIMAL, MAX_SCHEMA_DEPTH};
use crate::convert::data::{Field, Kind, Logical, Schema, Value};

/// Types that a schema may have when what is used in several places is counted each time: Connect's schemas repeat it.
const MAX_TYPES: usize = 50_000;
const DEFAULT_PRECISION: i64 = 64;
const INTERNAL_TYPE: &str = "connect.internal.type";

/// Converts one schema.
pub struct ToConnect<'a> {
    avro: &'a AvroSchema,
    options: Options,
    /// Records around the type that is being converted.
    open: Vec<TypeId>,
    types: usize,
    unions: usize,
}

/// What a field says about its schema.
#[derive(Clone, Copy, Default)]
struct Context<'a> {
    optional: bool,
    default: Option<&'a Json>,
    doc: Option<&'a str>,
    version: Option<i32>,
}

type Converted = Result<(Schema, Plan), ConvertError>;

impl<'a> ToConnect<'a> {
    /// Connect's schema and the plan. `version` is the registry's. Data without a schema has none.
    ///
    /// # Errors
    /// Those of `AvroData`, and a `DataException` for a schema that contains itself.
    pub fn convert(avro: &'a AvroSchema, options: Options, version: Option<i32>) -> Result<(Option<Schema>, Plan), ConvertError> {
        if avro.get(avro.root).name.as_deref() == Some(ANYTHING) {
            return Ok((None, Plan::Anything));
        }
        let mut conversion = ToConnect { avro, options, open: Vec::new(), types: 0, unions: 0 };
        let (schema, plan) = conversion.schema(avro.root, Context { version, ..Context::default() })?;
        let plan = if avro.get(avro.root).kind == AvroKind::Bytes { Plan::Rest(Box::new(plan)) } else { plan };
        Ok((Some(schema), plan))
    }

    fn schema(&mut self, place: TypeId, context: Context<'_>) -> Converted {
        self.types += 1;
        if self.types > MAX_TYPES || self.open.len() > MAX_SCHEMA_DEPTH {
            let message = format!("The Avro schema is too large: {MAX_TYPES} types, {MAX_SCHEMA_DEPTH} deep, are the limit");
            return Err(ConvertError::data(message));
        }
        if self.open.contains(&place) {
            let name = self.avro.get(place).name.clone().unwrap_or_default();
            return Err(ConvertError::data(format!(
                "The Avro schema contains itself at {name}, which records here cannot; flatten it"
            )));
        }
        let avro = self.avro;
        let of = avro.get(place);
        if let AvroKind::Union(branches) = &of.kind
            && let Some((only, nullable)) = self.single(branches)
        {
            let inner = Context {
                optional: nullable || context.optional && branches.len() == 2,
                default: None,
                version: None,
                ..context
            };
            let (schema, plan) = self.schema(only, inner)?;
            let null = branches.iter().position(|branch| *branch != only && self.avro.get(*branch).kind == AvroKind::Null);
            return Ok((
                schema,
                if nullable { Plan::Optional(null.unwrap_or_default(), Box::new(plan)) } else { Plan::Single(Box::new(plan)) },
            ));
        }
        let nests = matches!(of.kind, AvroKind::Record(_) | AvroKind::Union(_) | AvroKind::Array(_) | AvroKind::Map(_));
        if nests {
            self.open.push(place);
        }
        let converted = self.kind(of);
        if nests {
            self.open.pop();
        }
        let (mut schema, plan) = converted?;
        self.describe(&mut schema, place, of, context)?;
        Ok((schema, plan))
    }

    /// The type that a union stands for when it is no more than an optional type, and whether null is in it.
    fn single(&self, branches: &[TypeId]) -> Option<(TypeId, bool)> {
        match *branches {
            [only] if self.options.flatten => Some((only, false)),
            [first, second] => match (&self.avro.get(first).kind, &self.avro.get(second).kind) {
                (AvroKind::Null, AvroKind::Null) => None,
                (AvroKind::Null, _) => Some((second, true)),
                (_, AvroKind::Null) => Some((first, true)),
                _ => None,
            },
            _ => None,
        }
    }

    fn kind(&mut self, of: &'a Type) -> Converted {
        let logical = of.text("logicalType");
        let is = |name: &str| logical.is_some_and(|logical| logical.eq_ignore_ascii_case(name));
        let plain = |kind: Kind, plan: Plan| Ok((Schema::new(kind), plan));
        match &of.kind {
            AvroKind::Null => Err(ConvertError::data("Standalone null schemas are not supported by this converter")),
            AvroKind::Boolean => plain(Kind::Boolean, Plan::Boolean),
            AvroKind::Int if is("date") => Ok((Schema::logical_type(Logical::Date), Plan::Int)),
            AvroKind::Int if is("time-millis") => Ok((Schema::logical_type(Logical::Time), Plan::Time)),
            AvroKind::Int => match of.text("connect.type").filter(|_| logical.is_none()) {
                None => plain(Kind::Int32, Plan::Int),
                Some("int8") => plain(Kind::Int8, Plan::Int8),
                Some("int16") => plain(Kind::Int16, Plan::Int16),
                Some(_) => Err(ConvertError::data("Connect type annotation for Avro int field is null")),
            },
            AvroKind::Long if is("timestamp-millis") => Ok((Schema::logical_type(Logical::Timestamp), Plan::Long)),
            AvroKind::Long => plain(Kind::Int64, Plan::Long),
            AvroKind::Float => plain(Kind::Float32, Plan::Float),
            AvroKind::Double => plain(Kind::Float64, Plan::Double),
            AvroKind::String => plain(Kind::String, Plan::String),
            AvroKind::Bytes | AvroKind::Fixed(_) => bytes(of, is("decimal")),
            AvroKind::Enum(symbols) => Ok(self.enumeration(of, symbols)),
            AvroKind::Array(items) => self.array(*items),
            AvroKind::Map(values) => {
                let (values, plan) = self.schema(*values, Context::default())?;
                plain(Kind::Map(Box::new(Schema::new(Kind::String)), Box::new(values)), Plan::Map(Box::new(plan)))
            }
            AvroKind::Record(fields) => self.record(of, fields),
            AvroKind::Union(branches) => self.union(branches),
        }
    }

    fn array(&mut self, items: TypeId) -> Converted {
        let of = self.avro.get(items);
        let AvroKind::Record(fields) = &of.kind else {
            let (items, plan) = self.schema(items, Context::default())?;
            return Ok((Schema::new(Kind::Array(Box::new(items))), Plan::array(plan)));
        };
        if of.name.as_deref() != Some(MAP_ENTRY) && of.text(INTERNAL_TYPE) != Some("MapEntry") {
            let (items, plan) = self.schema(items, Context::default())?;
            return Ok((Schema::new(Kind::Array(Box::new(items))), Plan::array(plan)));
        }
        let (key_first, key, value) = match fields.as_slice() {
            [key, value] if key.name == "key" && value.name == "value" => (true, key, value),
            [value, key] if key.name == "key" && value.name == "value" => (false, key, value),
            _ => {
                let rule = "Found map encoded as array of key-value pairs, but array elements do not match the expected format.";
                return Err(ConvertError::data(rule));
            }
        };
        self.open.push(items);
        let key = self.schema(key.schema, Context::default());
        let value = self.schema(value.schema, Context::default());
        self.open.pop();
        let ((key, key_plan), (value, value_plan)) = (key?, value?);
        let as_object = key.kind == Kind::String;
        let plan = Plan::Pairs { key: Box::new(key_plan), value: Box::new(value_plan), key_first, as_object };
        Ok((Schema::new(Kind::Map(Box::new(key), Box::new(value))), plan))
    }

    fn record(&mut self, of: &'a Type, fields: &'a [AvroField]) -> Converted {
        let documented = self.options.meta_data && !self.options.discard_doc;
        let mut parameters = Vec::new();
        if let Some(doc) = of.doc.as_deref().filter(|_| documented) {
            parameters.push(("io.confluent.connect.avro.record.doc".to_owned(), doc.to_owned()));
        }
        let (mut connect, mut steps) = (Vec::with_capacity(fields.len()), Vec::with_capacity(fields.len()));
        for field in fields {
            if let Some(doc) = field.doc.as_deref().filter(|_| documented) {
                parameters.push((format!("io.confluent.connect.avro.field.doc.{}", field.name), doc.to_owned()));
            }
            let context = Context { default: field.default.as_ref(), doc: field.doc.as_deref(), ..Context::default() };
            let (mut schema, plan) = self.schema(field.schema, context)?;
            if let (true, Some(Json::Object(own))) = (self.options.meta_data, &field.parameters) {
                for (name, value) in own {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    set_parameter(&mut schema, name, value);
                }
            }
            steps.push(Step { opening: opening(&field.name, steps.is_empty()), plan });
            connect.push(Field { name: field.name.clone(), schema });
        }
        let schema =
            Schema { parameters: Some(parameters).filter(|all| !all.is_empty()), ..Schema::new(Kind::of_fields(connect)?) };
        Ok((schema, Plan::Record(steps.into())))
    }

    fn enumeration(&self, of: &Type, symbols: &[String]) -> (Schema, Plan) {
        let short = of.short_name().unwrap_or_default();
        let mut parameters = Vec::new();
        if self.options.meta_data {
            if let Some(doc) = &of.doc {
                let name = match self.options.discard_doc {
                    true => "connect.enum.doc".to_owned(),
                    false => format!("io.confluent.connect.avro.enum.doc.{short}"),
                };
                parameters.push((name, doc.clone()));
            }
            if let (false, Some(default)) = (self.options.discard_doc, of.text("default")) {
                parameters.push((format!("io.confluent.connect.avro.enum.default.{short}"), default.to_owned()));
            }
        }
        let name = if self.options.generalized { GENERALIZED_ENUM } else { ENUM };
        parameters.push((name.to_owned(), of.name.clone().unwrap_or_default()));
        for (place, symbol) in symbols.iter().enumerate() {
            let value = if self.options.generalized { place.to_string() } else { symbol.clone() };
            parameters.push((format!("{name}.{symbol}"), value));
        }
        let quoted = symbols.iter().map(|symbol| {
            let mut text = Vec::new();
            write_string(symbol, &mut text);
            text.into()
        });
        (Schema { parameters: Some(parameters), ..Schema::new(Kind::String) }, Plan::Enum(quoted.collect()))
    }

    fn union(&mut self, branches: &[TypeId]) -> Converted {
        let name = if self.options.generalized { format!("connect_union_{}", self.unions) } else { UNION.to_owned() };
        self.unions += 1;
        let mut schema = Schema { name: Some(name.clone()), ..Schema::new(Kind::Struct(Vec::new())) };
        if self.options.generalized {
            schema.parameters = Some(vec![(GENERALIZED_UNION.to_owned(), name)]);
        }
        let mut fields: Vec<Field> = Vec::new();
        let mut plans = Vec::with_capacity(branches.len());
        for (place, branch) in branches.iter().enumerate() {
            let of = self.avro.get(*branch);
            if of.kind == AvroKind::Null {
                schema.optional = true;
                plans.push(None);
                continue;
            }
            let name = self.member_name(of, place);
            if fields.iter().any(|field| field.name == name) {
                return Err(ConvertError::data("Multiple union schemas map to the Connect union field name"));
            }
            let (field, plan) = self.schema(*branch, Context { optional: true, ..Context::default() })?;
            plans.push(Some((fields.len(), plan)));
            fields.push(Field { name, schema: field });
        }
        let branch = |plan: Option<(usize, Plan)>| plan.map(|(at, plan)| Branch::new(&fields, at, plan));
        let plans = plans.into_iter().map(branch).collect();
        schema.kind = Kind::of_fields(fields)?;
        Ok((schema, Plan::Union(plans)))
    }

    fn member_name(&self, of: &Type, place: usize) -> String {
        match (&of.name, self.options) {
            (_, Options { generalized: true, .. }) => format!("connect_union_field_{place}"),
            (Some(full), Options { enhanced: true, .. }) => full.clone(),
            (Some(_), _) => of.short_name().unwrap_or_default().to_owned(),
            (None, _) => of.kind_name().to_owned(),
        }
    }

    /// Name, version, documentation, parameters and default.
    fn describe(&mut self, schema: &mut Schema, place: TypeId, of: &Type, context: Context<'_>) -> Result<(), ConvertError> {
        let connect_doc = of.text("connect.doc").map(str::to_owned);
        if self.options.discard_doc {
            schema.doc = context.doc.map(str::to_owned).or_else(|| of.doc.clone()).or(connect_doc);
            if let Some(doc) = of.doc.clone().filter(|_| self.options.meta_data) {
                set_parameter(schema, "connect.record.doc", doc);
            }
        } else if self.options.meta_data {
            schema.doc = connect_doc;
        }
        let version = match of.members.get("connect.version") {
            None => context.version,
            Some(Json::Number(number)) => number.as_i64().and_then(|number| i32::try_from(number).ok()),
            Some(other) => return Err(ConvertError::data(format!("Invalid Connect version found: {other}"))),
        };
        if let Some(version) = version.filter(|version| *version >= 0) {
            match schema.version {
                Some(builtin) if builtin != version => {
                    return Err(ConvertError::data(format!(
                        "Mismatched versions: version already added to SchemaBuilder ({builtin}) differs from version in source schema ({version})"
                    )));
                }
                _ => schema.version = Some(version),
            }
        }
        match of.members.get("connect.parameters").filter(|_| self.options.meta_data) {
            None => {}
            Some(Json::Object(parameters)) => {
                for (name, value) in parameters {
                    let Json::String(value) = value else {
                        let message = format!("Expected schema parameter values to be strings but found: {value}");
                        return Err(ConvertError::data(message));
                    };
                    set_parameter(schema, name, value.clone());
                }
            }
            Some(other) => {
                return Err(ConvertError::data(format!("Expected JSON object for schema parameters but found: {other}")));
            }
        }
        for (name, value) in of.members.iter().filter(|(name, _)| name.starts_with("avro")) {
            set_parameter(schema, name, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        let connect_default = of.members.get("connect.default").filter(|default| **default != Json::Null);
        let default = context.default.filter(|default| **default != Json::Null);
        if context.default.is_some() && !self.options.discard_doc && self.options.meta_data && connect_default.is_none() {
            set_parameter(schema, "io.confluent.connect.avro.field.default", "true".to_owned());
        }
        self.name(schema, of)?;
        schema.check_logical()?;
        schema.optional |= context.optional;
        if let Some(default) = default.or(connect_default) {
            // One that does not fit is ignored, as in AvroData.
            let value = self.default(schema, place, default);
            schema.default = value.filter(|value| *value != Value::Null && check_nulls(schema, value, "value").is_ok());
        }
        Ok(())
    }

    fn name(&self, schema: &mut Schema, of: &Type) -> Result<(), ConvertError> {
        let name = match of.members.get("connect.name") {
            Some(Json::String(name)) => Some(name.as_str()),
            Some(other) => return Err(ConvertError::data(format!("Invalid schema name: {other}"))),
            None if schema.name.as_deref() == Some(DECIMAL) => None,
            None => of.name.as_deref(),
        };
        let Some(name) = name.filter(|name| !name.starts_with(DEFAULT_NAME)) else { return Ok(()) };
        match &schema.name {
            Some(builtin) if builtin != name => Err(ConvertError::data(format!(
                "Mismatched names: name already added to SchemaBuilder ({builtin}) differs from name in source schema ({name})"
            ))),
            _ => {
                schema.name = Some(name.to_owned());
                Ok(())
            }
        }
    }

    /// A default in Avro's JSON as Connect's value.
    fn default(&self, schema: &Schema, place: TypeId, json: &Json) -> Option<Value> {
        let of = self.avro.get(place);
        if let AvroKind::Union(branches) = &of.kind {
            let first = *branches.first()?;
            if *json == Json::Null {
                return Some(Value::Null);
            }
            if self.single(branches).is_some() {
                return self.default(schema, self.single(branches)?.0, json);
            }
            let Kind::Struct(fields) = &schema.kind else { return None };
            let value = self.default(&fields.first()?.schema, first, json)?;
            let rest = std::iter::repeat_n(Value::Null, fields.len() - 1);
            return Some(Value::Struct(std::iter::once(value).chain(rest).collect()));
        }
        let integer = || json.as_i64().or_else(|| json.as_f64().map(|number| number as i64));
        match (&of.kind, &schema.kind, schema.logical()) {
            _ if *json == Json::Null => Some(Value::Null),
            (AvroKind::Int, _, Some(Logical::Date)) => integer().map(|days| Value::Date(days as i32)),
            (AvroKind::Int, _, Some(Logical::Time)) => integer().map(|time| Value::Time(time as i32)),
            (AvroKind::Long, _, Some(Logical::Timestamp)) => integer().map(Value::Timestamp),
            (AvroKind::Int, Kind::Int8, _) => integer().map(|number| Value::Int8(number as i8)),
            (AvroKind::Int, Kind::Int16, _) => integer().map(|number| Value::Int16(number as i16)),
            (AvroKind::Int, Kind::Int32, _) => integer().map(|number| Value::Int32(number as i32)),
            (AvroKind::Long, ..) => integer().map(Value::Int64),
            (AvroKind::Float, ..) => json.as_f64().map(|number| Value::Float32(number as f32)),
            (AvroKind::Double, ..) => json.as_f64().map(Value::Float64),
            (AvroKind::Boolean, ..) => json.as_bool().map(Value::Boolean),
            (AvroKind::String | AvroKind::Enum(_), ..) => json.as_str().map(|text| Value::String(text.to_owned())),
            (AvroKind::Bytes | AvroKind::Fixed(_), _, logical) => {
                // Each character is a byte.
                let bytes = json.as_str()?.chars().map(|character| u8::try_from(u32::from(character)).ok());
                let bytes = bytes.collect::<Option<Vec<_>>>()?;
                match logical {
                    Some(Logical::Decimal(scale)) => {
                        crate::convert::data::decimal::Decimal::from_bytes(&bytes, scale?).map(Value::Decimal)
                    }
                    _ => Some(Value::Bytes(bytes)),
                }
            }
            (AvroKind::Array(items), Kind::Array(schema), _) => {
                json.as_array()?.iter().map(|item| self.default(schema, *items, item)).collect::<Option<_>>().map(Value::Array)
            }
            (AvroKind::Array(_), Kind::Map(..), _) => json.as_array()?.is_empty().then(|| Value::Map(Vec::new())),
            (AvroKind::Map(values), Kind::Map(_, schema), _) => {
                let entry =
                    |(name, value): (&String, &Json)| Some((Value::String(name.clone()), self.default(schema, *values, value)?));
                json.as_object()?.iter().map(entry).collect::<Option<_>>().map(Value::Map)
            }
            (AvroKind::Record(fields), Kind::Struct(schemas), _) => {
                let object = json.as_object()?;
                let field = |(avro, field): (&AvroField, &Field)| match object.get(&avro.name).or(avro.default.as_ref()) {
                    Some(value) => self.default(&field.schema, avro.schema, value),
                    None => Some(field.schema.default.clone().unwrap_or(Value::Null)),
                };
                fields.iter().zip(schemas).map(field).collect::<Option<_>>().map(Value::Struct)
            }
            _ => None,
        }
    }
}

fn bytes(of: &Type, is_decimal: bool) -> Converted {
    let size = match of.kind {
        AvroKind::Fixed(size) => Some(size),
        _ => None,
    };
    let mut schema = Schema::new(Kind::Bytes);
    if is_decimal {
        let scale = of.members.get("scale").and_then(Json::as_i64).and_then(|scale| i32::try_from(scale).ok());
        schema = Schema::logical_type(Logical::Decimal(Some(scale.unwrap_or_default())));
        match of.members.get("precision") {
            None => {}
            Some(Json::Number(precision)) if precision.as_i64() == Some(DEFAULT_PRECISION) => {}
            Some(Json::Number(precision)) => set_parameter(&mut schema, PRECISION, precision.to_string()),
            Some(_) => return Err(ConvertError::data("precision property must be a JSON Integer.")),
        }
    }
    if let Some(size) = size {
        set_parameter(&mut schema, FIXED_SIZE, size.to_string());
    }
    let plan = match (is_decimal, size) {
        (true, size) => Plan::Decimal(size),
        (false, Some(size)) => Plan::Fixed(size),
        (false, None) => Plan::Bytes,
    };
    Ok((schema, plan))
}

/// What stands before a field's value: `{"name":` or `,"name":`.
pub fn opening(name: &str, is_first: bool) -> Box<[u8]> {
    let mut text = vec![if is_first { b'{' } else { b',' }];
    write_string(name, &mut text);
    text.push(b':');
    text.into()
}

/// Sets a parameter, in its old place if it has one.
pub fn set_parameter(schema: &mut Schema, name: &str, value: String) {
    let parameters = schema.parameters.get_or_insert_default();
    match parameters.iter_mut().find(|(known, _)| known == name) {
        Some((_, old)) => *old = value,
        None => parameters.push((name.to_owned(), value)),
    }
}
