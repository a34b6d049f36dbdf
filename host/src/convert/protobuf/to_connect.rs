//! Connect's schema for a message, and how its data is read: `ProtobufData.toConnectSchema` and `toConnectData`.

use prost_reflect::{
    Cardinality, DynamicMessage, FieldDescriptor, Kind as ProtoKind, MapKey, MessageDescriptor, OneofDescriptor, Syntax,
    Value as Proto,
};

use super::files::wrong;
use super::known;
use super::options::Options;
use super::{ENUM, GENERALIZED_ENUM, GENERALIZED_UNION, TAG, TYPE, UNION_PREFIX, WRAPPER_MARK, map_field};
use crate::convert::ConvertError;
use crate::convert::data::schema::MAX_SCHEMA_DEPTH;
use crate::convert::data::{Field, Kind, Logical, Schema, Value};

/// Messages that a schema may have when what is used in several places is counted each time.
const MAX_MESSAGES: usize = 20_000;

/// How a value is read.
#[derive(Debug)]
pub enum Plan {
    /// As it is.
    Scalar,
    /// Cut to 8 bits.
    Int8,
    /// Cut to 16 bits.
    Int16,
    /// The name of its number.
    Enum,
    /// The field of a wrapper.
    Wrapped,
    /// At that scale.
    Decimal(i32),
    /// A date.
    Date,
    /// A time.
    Time,
    /// A timestamp.
    Timestamp,
    /// The fields of a message.
    Struct(Vec<Member>),
    /// Of each element.
    List(Box<Plan>),
    /// Of each key and value.
    Map(Box<Plan>, Box<Plan>),
}

/// A field of a struct.
#[derive(Debug)]
pub enum Member {
    /// A field of the message; null if it is not there and `nullable`.
    Field { field: FieldDescriptor, plan: Plan, nullable: bool },
    /// A struct of the fields of a oneof, of which one is set.
    Oneof(Vec<(FieldDescriptor, Plan)>),
}

/// Connect's schema of a message, and how it is read.
///
/// # Errors
/// A `DataException` for a message that contains itself.
pub fn root(message: &MessageDescriptor, options: Options, version: Option<i32>) -> Result<(Schema, Plan), ConvertError> {
    let mut conversion = ToConnect { options, open: Vec::new(), messages: 0 };
    let (mut schema, plan) = match known::wrapped(message).filter(|_| options.wrapper_raw) {
        Some(kind) => (Schema::new(kind), Plan::Wrapped),
        None => conversion.message(message)?,
    };
    schema.version = version;
    Ok((schema, plan))
}

struct ToConnect {
    options: Options,
    open: Vec<MessageDescriptor>,
    messages: usize,
}

type Converted = Result<(Schema, Plan), ConvertError>;

impl ToConnect {
    fn message(&mut self, message: &MessageDescriptor) -> Converted {
        self.messages += 1;
        if self.messages > MAX_MESSAGES || self.open.len() >= MAX_SCHEMA_DEPTH {
            return Err(wrong(format!("it is too large: {MAX_MESSAGES} messages, {MAX_SCHEMA_DEPTH} deep, are the limit")));
        }
        if self.open.contains(message) {
            let name = message.full_name();
            return Err(wrong(format!("{name} contains itself, which records here cannot; flatten it")));
        }
        self.open.push(message.clone());
        let converted = self.members(message);
        self.open.pop();
        let (fields, members) = converted?;
        let name = if self.options.enhanced { message.full_name() } else { message.name() };
        let schema = Schema { name: Some(name.to_owned()), ..Schema::new(Kind::of_fields(fields)?) };
        schema.check_logical()?;
        Ok((schema, Plan::Struct(members)))
    }

    fn members(&mut self, message: &MessageDescriptor) -> Result<(Vec<Field>, Vec<Member>), ConvertError> {
        let (mut fields, mut members) = (Vec::new(), Vec::new());
        for (index, oneof) in message.oneofs().filter(|oneof| !oneof.is_synthetic()).enumerate() {
            let mut branches = Vec::new();
            let mut inner = Vec::new();
            for field in oneof.fields() {
                let (schema, plan) = self.field(&field, true)?;
                inner.push(Field { name: field.name().to_owned(), schema });
                branches.push((field, plan));
            }
            if self.options.flatten_unions {
                fields.extend(inner);
                members.extend(branches.into_iter().map(|(field, plan)| Member::Field { field, plan, nullable: true }));
            } else {
                let mut name = oneof.name().to_owned();
                if self.options.index_for_unions {
                    name = format!("{name}_{index}");
                }
                fields.push(Field { name, schema: self.union(&oneof, inner) });
                members.push(Member::Oneof(branches));
            }
        }
        for field in fields_in_order(message) {
            if field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic()) {
                continue;
            }
            let (mut schema, plan) = self.field(&field, false)?;
            let is_message = matches!(field.kind(), ProtoKind::Message(_)) && field.cardinality() != Cardinality::Repeated;
            let marked = field.field_descriptor_proto().proto3_optional() || self.options.optional_proto2 && has_keyword(&field);
            let nullable = (is_message || marked) && !self.options.struct_for_nulls;
            // Confluent leaves some of these required, and then hands on structs which Connect's own validation refuses.
            schema.optional |= nullable;
            fields.push(Field { name: field.name().to_owned(), schema });
            members.push(Member::Field { field, plan, nullable });
        }
        Ok((fields, members))
    }

    fn union(&self, oneof: &OneofDescriptor, fields: Vec<Field>) -> Schema {
        let name = if self.options.enhanced { oneof.full_name() } else { oneof.name() };
        let union = Schema { optional: true, ..Schema::new(Kind::Struct(fields)) };
        if self.options.generalized {
            let parameters = Some(vec![(GENERALIZED_UNION.to_owned(), oneof.name().to_owned())]);
            Schema { name: Some(oneof.name().to_owned()), parameters, ..union }
        } else {
            Schema { name: Some(format!("{UNION_PREFIX}{name}")), ..union }
        }
    }

    fn field(&mut self, field: &FieldDescriptor, in_oneof: bool) -> Converted {
        let (mut schema, mut plan) = self.kind(field)?;
        let is_map = matches!(schema.kind, Kind::Map(..));
        if field.cardinality() == Cardinality::Repeated && !is_map {
            schema.optional = true;
            schema = Schema { optional: true, ..Schema::new(Kind::Array(Box::new(schema))) };
            plan = Plan::List(Box::new(plan));
        }
        let parameters = |schema: &mut Schema, name: &str, value: String| {
            schema.parameters.get_or_insert_default().push((name.to_owned(), value));
        };
        if in_oneof {
            schema.optional = true;
            let wrapper = matches!(field.kind(), ProtoKind::Message(message) if known::wrapped(&message).is_some());
            if self.options.wrapper && wrapper {
                parameters(&mut schema, WRAPPER_MARK, "true".to_owned());
            }
        } else if self.options.optional {
            schema.optional |= has_keyword(field);
        } else if !self.options.wrapper {
            schema.optional = true;
        }
        parameters(&mut schema, TAG, field.number().to_string());
        Ok((schema, plan))
    }

    fn kind(&mut self, field: &FieldDescriptor) -> Converted {
        let typed = |kind: Kind, name: &str| {
            let parameters = Some(vec![(TYPE.to_owned(), name.to_owned())]);
            Ok((Schema { parameters, ..Schema::new(kind) }, Plan::Scalar))
        };
        let plain = |kind: Kind| Ok((Schema::new(kind), Plan::Scalar));
        let connect_type = || meta(field, "connect.type");
        match field.kind() {
            ProtoKind::Int32 => match connect_type().as_deref() {
                Some("int8") => Ok((Schema::new(Kind::Int8), Plan::Int8)),
                Some("int16") => Ok((Schema::new(Kind::Int16), Plan::Int16)),
                _ => plain(Kind::Int32),
            },
            ProtoKind::Sint32 => typed(Kind::Int32, "sint32"),
            ProtoKind::Sfixed32 => typed(Kind::Int32, "sfixed32"),
            ProtoKind::Int64 => plain(Kind::Int64),
            ProtoKind::Uint32 => typed(Kind::Int64, "uint32"),
            ProtoKind::Fixed32 => typed(Kind::Int64, "fixed32"),
            ProtoKind::Uint64 => typed(Kind::Int64, "uint64"),
            ProtoKind::Sint64 => typed(Kind::Int64, "sint64"),
            ProtoKind::Fixed64 => typed(Kind::Int64, "fixed64"),
            ProtoKind::Sfixed64 => typed(Kind::Int64, "sfixed64"),
            ProtoKind::Float => plain(Kind::Float32),
            ProtoKind::Double => plain(Kind::Float64),
            ProtoKind::Bool => plain(Kind::Boolean),
            ProtoKind::String => plain(Kind::String),
            ProtoKind::Bytes => plain(Kind::Bytes),
            ProtoKind::Enum(of) => {
                let (kind, plan) =
                    if self.options.int_for_enums { (Kind::Int32, Plan::Scalar) } else { (Kind::String, Plan::Enum) };
                let parameter = if self.options.generalized { GENERALIZED_ENUM } else { ENUM };
                let own = (parameter.to_owned(), of.name().to_owned());
                let values = of.values().map(|value| (format!("{parameter}.{}", value.name()), value.number().to_string()));
                let name = if self.options.enhanced { of.full_name() } else { of.name() };
                let parameters = Some(std::iter::once(own).chain(values).collect());
                Ok((Schema { optional: true, name: Some(name.to_owned()), parameters, ..Schema::new(kind) }, plan))
            }
            ProtoKind::Message(of) => {
                let (schema, plan) = self.of_message(field, &of)?;
                Ok((Schema { optional: true, ..schema }, plan))
            }
        }
    }

    fn of_message(&mut self, field: &FieldDescriptor, of: &MessageDescriptor) -> Converted {
        let logical = |logical: Logical, plan: Plan| Ok((Schema::logical_type(logical), plan));
        match of.full_name() {
            known::DECIMAL => {
                let number = |name: &str| meta(field, name).and_then(|text| text.parse::<i32>().ok());
                let scale = number("scale").unwrap_or_default();
                let (mut schema, plan) = (Schema::logical_type(Logical::Decimal(Some(scale))), Plan::Decimal(scale));
                if let Some(precision) = number("precision") {
                    let precision = ("connect.decimal.precision".to_owned(), precision.to_string());
                    schema.parameters.get_or_insert_default().push(precision);
                }
                Ok((schema, plan))
            }
            known::DATE => logical(Logical::Date, Plan::Date),
            known::TIME => logical(Logical::Time, Plan::Time),
            known::TIMESTAMP => logical(Logical::Timestamp, Plan::Timestamp),
            _ => match known::wrapped(of).filter(|_| self.options.wrapper) {
                Some(kind) => Ok((Schema::new(kind), Plan::Wrapped)),
                None => match map_entry(field, of) {
                    None => self.message(of),
                    Some((key, value)) => {
                        let (key, key_plan) = self.field(&key, false)?;
                        let (value, value_plan) = self.field(&value, false)?;
                        let name = map_field(if self.options.enhanced { of.full_name() } else { of.name() });
                        let kind = Kind::Map(Box::new(key), Box::new(value));
                        let plan = Plan::Map(Box::new(key_plan), Box::new(value_plan));
                        Ok((Schema { name: Some(name), ..Schema::new(kind) }, plan))
                    }
                },
            },
        }
    }
}

/// Fields in the order of the text.
fn fields_in_order(message: &MessageDescriptor) -> Vec<FieldDescriptor> {
    let listed = message.descriptor_proto().field.iter();
    listed.filter_map(|field| message.get_field_by_name(field.name())).collect()
}

fn has_keyword(field: &FieldDescriptor) -> bool {
    let proto = field.field_descriptor_proto();
    let proto2 = field.parent_file().syntax() == Syntax::Proto2;
    proto.proto3_optional() || proto2 && field.cardinality() == Cardinality::Optional && field.containing_oneof().is_none()
}

fn map_entry(field: &FieldDescriptor, of: &MessageDescriptor) -> Option<(FieldDescriptor, FieldDescriptor)> {
    if field.cardinality() != Cardinality::Repeated || !of.name().ends_with("Entry") || of.fields().len() != 2 {
        return None;
    }
    let side = |name: &str| of.get_field_by_name(name).filter(|field| field.cardinality() != Cardinality::Repeated);
    Some((side("key")?, side("value")?))
}

/// A parameter in the option `confluent.field_meta` of a field.
fn meta(field: &FieldDescriptor, name: &str) -> Option<String> {
    let extension = field.parent_message().parent_pool().get_extension_by_name("confluent.field_meta")?;
    let options = field.options();
    let Proto::Message(meta) = &*options.get_extension(&extension) else { return None };
    let Proto::Map(parameters) = &*meta.get_field_by_name("params")? else { return None };
    match parameters.get(&MapKey::String(name.to_owned()))? {
        Proto::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// A message as Connect's value.
///
/// # Errors
/// A `DataException` for values that Connect's types do not have.
pub fn read(plan: &Plan, kind: &ProtoKind, value: &Proto) -> Result<Value, ConvertError> {
    let message = || match value {
        Proto::Message(message) => Ok(message),
        _ => Err(ConvertError::data("Error deserializing Protobuf message: a message is missing")),
    };
    match plan {
        Plan::Scalar => Ok(scalar(value)),
        Plan::Int8 => Ok(match value {
            Proto::I32(number) => Value::Int8(*number as i8),
            other => scalar(other),
        }),
        Plan::Int16 => Ok(match value {
            Proto::I32(number) => Value::Int16(*number as i16),
            other => scalar(other),
        }),
        Plan::Enum => Ok(match (value, kind) {
            (Proto::EnumNumber(number), ProtoKind::Enum(of)) => Value::String(match of.get_value(*number) {
                Some(value) => value.name().to_owned(),
                None => format!("UNKNOWN_ENUM_VALUE_{}_{number}", of.name()),
            }),
            (other, _) => scalar(other),
        }),
        Plan::Wrapped => Ok(message()?.get_field_by_name("value").map_or(Value::Null, |value| scalar(&value))),
        Plan::Decimal(scale) => known::decimal(message()?, *scale),
        Plan::Date => known::date(message()?),
        Plan::Time => known::time(message()?),
        Plan::Timestamp => known::timestamp(message()?),
        Plan::List(plan) => match value {
            Proto::List(elements) => {
                elements.iter().map(|element| read(plan, kind, element)).collect::<Result<_, _>>().map(Value::Array)
            }
            _ => Ok(Value::Array(Vec::new())),
        },
        Plan::Map(key_plan, value_plan) => map(key_plan, value_plan, kind, value),
        Plan::Struct(members) => structure(members, message()?),
    }
}

fn structure(members: &[Member], message: &DynamicMessage) -> Result<Value, ConvertError> {
    let mut values = Vec::with_capacity(members.len());
    for member in members {
        values.push(match member {
            Member::Field { field, nullable: true, .. } if !message.has_field(field) => Value::Null,
            Member::Field { field, plan, .. } => read(plan, &field.kind(), &message.get_field(field))?,
            Member::Oneof(branches) if branches.iter().any(|(field, _)| message.has_field(field)) => {
                let branch = |(field, plan): &(FieldDescriptor, Plan)| match message.has_field(field) {
                    true => read(plan, &field.kind(), &message.get_field(field)),
                    false => Ok(Value::Null),
                };
                Value::Struct(branches.iter().map(branch).collect::<Result<_, _>>()?)
            }
            Member::Oneof(_) => Value::Null,
        });
    }
    Ok(Value::Struct(values))
}

fn map(key_plan: &Plan, value_plan: &Plan, kind: &ProtoKind, value: &Proto) -> Result<Value, ConvertError> {
    let ProtoKind::Message(entry) = kind else { return Ok(Value::Map(Vec::new())) };
    let kind_of = |name: &str| entry.get_field_by_name(name).map(|field| field.kind());
    let (Some(key_kind), Some(value_kind)) = (kind_of("key"), kind_of("value")) else { return Ok(Value::Map(Vec::new())) };
    let mut entries = Vec::new();
    match value {
        Proto::Map(map) => {
            for (key, value) in map {
                let key = Proto::from(key.clone());
                entries.push((read(key_plan, &key_kind, &key)?, read(value_plan, &value_kind, value)?));
            }
        }
        Proto::List(messages) => {
            for message in messages {
                let Proto::Message(message) = message else { continue };
                let side = |name: &str| message.get_field_by_name(name).map(|value| value.into_owned());
                if let (Some(key), Some(value)) = (side("key"), side("value")) {
                    entries.push((read(key_plan, &key_kind, &key)?, read(value_plan, &value_kind, &value)?));
                }
            }
        }
        _ => {}
    }
    Ok(Value::Map(entries))
}

fn scalar(value: &Proto) -> Value {
    match value {
        Proto::Bool(value) => Value::Boolean(*value),
        Proto::I32(number) | Proto::EnumNumber(number) => Value::Int32(*number),
        Proto::I64(number) => Value::Int64(*number),
        Proto::U32(number) => Value::Int64(i64::from(*number)),
        Proto::U64(number) => Value::Int64(*number as i64),
        Proto::F32(number) => Value::Float32(*number),
        Proto::F64(number) => Value::Float64(*number),
        Proto::String(text) => Value::String(text.clone()),
        Proto::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
        Proto::Message(_) | Proto::List(_) | Proto::Map(_) => Value::Null,
    }
}
