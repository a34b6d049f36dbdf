//! Payloads to Avro data: in one pass over payloads that are spelled as Kafka spells them; others are respelled first.

use std::collections::HashMap;

use serde_json::Value as Json;

use super::decode::minimal;
use super::from_connect::scrub;
use super::is_union;
use super::options::Options;
use super::schema::{AvroSchema, Field as AvroField, Kind as AvroKind, TypeId};
use crate::convert::ConvertError;
use crate::convert::data::base64_bytes;
use crate::convert::data::json::Cursor;
use crate::convert::data::{Kind, Logical, Schema, Value};

/// How values of one Connect schema are written as one Avro type.
#[derive(Debug)]
pub struct Slot {
    /// The place of null in the union.
    null: Option<i64>,
    /// The place of the type in the union, if it stands in one.
    at: Option<i64>,
    /// Whether a default stands for null.
    replaces_null: bool,
    plan: Plan,
}

#[derive(Debug)]
enum Plan {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    String,
    Bytes,
    Fixed(usize),
    Decimal(Option<usize>),
    Enum(HashMap<String, i64>),
    Array(Box<Slot>),
    /// An object as a map.
    Map(Box<Slot>),
    /// An object as an array of records.
    ObjectAsPairs(Box<Slot>, Box<Slot>),
    /// An array of pairs as an array of records.
    Pairs(Box<Slot>, Box<Slot>),
    /// Fields in the order of the payload.
    Record(Box<[(Box<str>, Slot)]>),
    /// Fields in another order: the members of the payload, and what is written, from a member or fixed.
    Scattered(Box<[Box<str>]>, Box<[Written]>),
    /// A struct of which one field is set.
    Union(Box<[(Box<str>, i64, Slot)]>),
}

#[derive(Debug)]
enum Written {
    Member(usize, Slot),
    Default(Box<[u8]>),
}

/// Why a payload could not be written.
pub enum Refusal {
    /// It is not spelled as Kafka would; spelled so, it may be written.
    Spelling,
    /// It does not fit.
    Data(ConvertError),
}

type Done = Result<(), Refusal>;

fn refuse(message: impl Into<String>) -> Refusal {
    Refusal::Data(ConvertError::data(message))
}

/// Builds slots.
pub struct Planner<'a> {
    /// The target.
    pub avro: &'a AvroSchema,
    /// The converter's.
    pub options: Options,
    /// Whether all of the Connect schema must have a place.
    pub strict: bool,
}

type Planned<T> = Result<T, ConvertError>;

impl Planner<'_> {
    /// How values of `schema` are written as the type at `place`.
    ///
    /// # Errors
    /// A `DataException` when they do not fit.
    pub fn slot(&self, schema: &Schema, place: TypeId) -> Planned<Slot> {
        let of = self.avro.get(place);
        let AvroKind::Union(branches) = &of.kind else {
            return Ok(Slot { null: None, at: None, replaces_null: false, plan: self.plan(schema, place)? });
        };
        let null = branches.iter().position(|branch| self.avro.get(*branch).kind == AvroKind::Null).map(|at| at as i64);
        if is_union(schema) {
            let plan = self.union(schema, branches)?;
            return Ok(Slot { null, at: None, replaces_null: false, plan });
        }
        let mut problem = None;
        let name = schema.name.as_deref().map(|name| if self.options.scrub { scrub(name) } else { name.to_owned() });
        let named = |branch: &&TypeId| name.is_some() && self.avro.get(**branch).name == name;
        let ordered = branches.iter().filter(named).chain(branches.iter().filter(|branch| !named(branch)));
        for branch in ordered.filter(|branch| self.avro.get(**branch).kind != AvroKind::Null) {
            match self.plan(schema, *branch) {
                Ok(plan) => {
                    let at = branches.iter().position(|other| other == branch).map(|at| at as i64);
                    return Ok(Slot { null, at, replaces_null: false, plan });
                }
                Err(error) => problem = Some(error),
            }
        }
        Err(problem.unwrap_or_else(|| ConvertError::data(format!("{} has no type in the Avro union", schema.kind.name()))))
    }

    fn plan(&self, schema: &Schema, place: TypeId) -> Planned<Plan> {
        let of = self.avro.get(place);
        let plan = match (&schema.kind, &of.kind) {
            _ if matches!(schema.logical(), Some(Logical::Decimal(_))) => match of.kind {
                AvroKind::Bytes => Plan::Decimal(None),
                AvroKind::Fixed(size) => Plan::Decimal(Some(size)),
                _ => return Err(self.misfit(schema, place)),
            },
            (Kind::Boolean, AvroKind::Boolean) => Plan::Boolean,
            (Kind::Int8 | Kind::Int16 | Kind::Int32, AvroKind::Int) => Plan::Int,
            (Kind::Int8 | Kind::Int16 | Kind::Int32 | Kind::Int64, AvroKind::Long) => Plan::Long,
            (Kind::Float32, AvroKind::Float) => Plan::Float,
            (Kind::Float32 | Kind::Float64, AvroKind::Double) => Plan::Double,
            (Kind::String, AvroKind::String) => Plan::String,
            (Kind::String, AvroKind::Enum(symbols)) => Plan::Enum(symbols.iter().cloned().zip(0..).collect()),
            (Kind::Bytes, AvroKind::Bytes) => Plan::Bytes,
            (Kind::Bytes, AvroKind::Fixed(size)) => Plan::Fixed(*size),
            (Kind::Array(items), AvroKind::Array(avro)) => Plan::Array(Box::new(self.slot(items, *avro)?)),
            (Kind::Map(keys, values), AvroKind::Map(avro)) if keys.kind == Kind::String => {
                Plan::Map(Box::new(self.slot(values, *avro)?))
            }
            (Kind::Map(keys, values), AvroKind::Array(entry)) => match &self.avro.get(*entry).kind {
                AvroKind::Record(fields) => match fields.as_slice() {
                    [key, value] if key.name == "key" && value.name == "value" => {
                        let key = Box::new(self.slot(keys, key.schema)?);
                        let value = Box::new(self.slot(values, value.schema)?);
                        if keys.kind == Kind::String { Plan::ObjectAsPairs(key, value) } else { Plan::Pairs(key, value) }
                    }
                    _ => return Err(self.misfit(schema, place)),
                },
                _ => return Err(self.misfit(schema, place)),
            },
            (Kind::Struct(_), AvroKind::Record(fields)) => self.record(schema, fields)?,
            // A union of one type is that type.
            (Kind::Struct(_), _) if is_union(schema) => self.union(schema, &[place])?,
            _ => return Err(self.misfit(schema, place)),
        };
        Ok(plan)
    }

    fn misfit(&self, schema: &Schema, place: TypeId) -> ConvertError {
        let (ours, theirs) = (schema.kind.name(), self.avro.get(place).kind_name());
        ConvertError::data(format!("Incompatible schema: {ours} cannot be written as Avro {theirs}"))
    }

    fn record(&self, schema: &Schema, avro: &[AvroField]) -> Planned<Plan> {
        let Kind::Struct(fields) = &schema.kind else { return Ok(Plan::Record([].into())) };
        let names: Vec<String> =
            fields.iter().map(|field| if self.options.scrub { scrub(&field.name) } else { field.name.clone() }).collect();
        if self.strict
            && let Some(lost) = names.iter().find(|name| !avro.iter().any(|field| field.name == **name))
        {
            return Err(ConvertError::data(format!("Incompatible schema: the Avro record has no field {lost}")));
        }
        let mut written = Vec::with_capacity(avro.len());
        for field in avro {
            written.push(match names.iter().position(|name| *name == field.name).and_then(|at| Some((at, fields.get(at)?))) {
                Some((at, connect)) => {
                    let in_field = |error: ConvertError| ConvertError::data(format!("{} in field {}", error.message, field.name));
                    // `Struct.get` has a default stand for null; elements stay what they are.
                    let replaces_null = connect.schema.default.is_some() && !self.options.ignore_default;
                    Written::Member(at, Slot { replaces_null, ..self.slot(&connect.schema, field.schema).map_err(in_field)? })
                }
                None => {
                    let missing = || {
                        ConvertError::data(format!(
                            "Incompatible schema: the record lacks field {}, which has no default",
                            field.name
                        ))
                    };
                    let mut bytes = Vec::new();
                    self.default(field.schema, field.default.as_ref().ok_or_else(missing)?, &mut bytes).ok_or_else(missing)?;
                    Written::Default(bytes.into())
                }
            });
        }
        let in_order = written.len() == fields.len()
            && written.iter().enumerate().all(|(place, written)| matches!(written, Written::Member(at, _) if *at == place));
        let names = fields.iter().map(|field| field.name.as_str().into());
        Ok(if in_order {
            let slots = written.into_iter().filter_map(|written| match written {
                Written::Member(_, slot) => Some(slot),
                Written::Default(_) => None,
            });
            Plan::Record(names.zip(slots).collect())
        } else {
            Plan::Scattered(names.collect(), written.into())
        })
    }

    fn union(&self, schema: &Schema, branches: &[TypeId]) -> Planned<Plan> {
        let Kind::Struct(fields) = &schema.kind else { return Ok(Plan::Union([].into())) };
        let mut slots = Vec::with_capacity(fields.len());
        for (place, field) in fields.iter().enumerate() {
            let named = |(at, branch): &(usize, &TypeId)| {
                let of = self.avro.get(**branch);
                let short = of.short_name();
                of.kind != AvroKind::Null
                    && (of.name.as_deref() == Some(&field.name)
                        || short == Some(&field.name)
                        || of.name.is_none() && of.kind_name() == field.name
                        || field.name == format!("connect_union_field_{at}"))
            };
            let found = branches.iter().enumerate().find(named);
            // The types of a union that was made of this struct stand in its order.
            let (at, branch) = found
                .or_else(|| {
                    branches.iter().enumerate().filter(|(_, branch)| self.avro.get(**branch).kind != AvroKind::Null).nth(place)
                })
                .ok_or_else(|| {
                    ConvertError::data(format!("Incompatible schema: the Avro union has no type for {}", field.name))
                })?;
            slots.push((
                field.name.as_str().into(),
                at as i64,
                Slot { null: None, at: None, ..self.slot(&field.schema, *branch)? },
            ));
        }
        Ok(Plan::Union(slots.into()))
    }

    /// The data of a default.
    fn default(&self, place: TypeId, json: &Json, out: &mut Vec<u8>) -> Option<()> {
        let bytes = || json.as_str()?.chars().map(|byte| u8::try_from(u32::from(byte)).ok()).collect::<Option<Vec<_>>>();
        match &self.avro.get(place).kind {
            AvroKind::Null => {}
            AvroKind::Boolean => out.push(u8::from(json.as_bool()?)),
            AvroKind::Int | AvroKind::Long => long(json.as_i64()?, out),
            AvroKind::Float => out.extend_from_slice(&(json.as_f64()? as f32).to_le_bytes()),
            AvroKind::Double => out.extend_from_slice(&json.as_f64()?.to_le_bytes()),
            AvroKind::String => length_and(json.as_str()?.as_bytes(), out),
            AvroKind::Bytes => length_and(&bytes()?, out),
            AvroKind::Fixed(size) => out.extend_from_slice(&bytes().filter(|bytes| bytes.len() == *size)?),
            AvroKind::Enum(symbols) => {
                long(symbols.iter().position(|symbol| Some(symbol.as_str()) == json.as_str())? as i64, out)
            }
            AvroKind::Union(branches) => {
                let at = branches.iter().position(|branch| (self.avro.get(*branch).kind == AvroKind::Null) == json.is_null())?;
                long(at as i64, out);
                self.default(*branches.get(at)?, json, out)?;
            }
            AvroKind::Array(items) => {
                let elements = json.as_array()?;
                if !elements.is_empty() {
                    long(elements.len() as i64, out);
                }
                elements.iter().try_for_each(|element| self.default(*items, element, out))?;
                out.push(0);
            }
            AvroKind::Map(values) => {
                let entries = json.as_object()?;
                if !entries.is_empty() {
                    long(entries.len() as i64, out);
                }
                for (name, value) in entries {
                    length_and(name.as_bytes(), out);
                    self.default(*values, value, out)?;
                }
                out.push(0);
            }
            AvroKind::Record(fields) => {
                for field in fields {
                    self.default(field.schema, json.get(&field.name).or(field.default.as_ref())?, out)?;
                }
            }
        }
        Some(())
    }
}

impl Slot {
    /// Appends the data of a payload, all of it.
    ///
    /// # Errors
    /// [`Refusal`]; what was appended is void then.
    pub fn write(&self, payload: &str, out: &mut Vec<u8>) -> Done {
        let mut cursor = Cursor::new(payload);
        self.value(&mut cursor, out)?;
        if cursor.position() == payload.len() { Ok(()) } else { Err(Refusal::Spelling) }
    }

    /// Appends bytes that have no length before them, because they are all there is.
    ///
    /// # Errors
    /// [`Refusal`], as [`write`](Self::write).
    pub fn write_rest(&self, payload: &str, out: &mut Vec<u8>) -> Done {
        let mut cursor = Cursor::new(payload);
        let bytes = base64(&mut cursor)?;
        let bytes = match self.plan {
            Plan::Decimal(_) => minimal(&bytes).map_err(Refusal::Data)?,
            _ => &bytes,
        };
        out.extend_from_slice(bytes);
        if cursor.position() == payload.len() { Ok(()) } else { Err(Refusal::Spelling) }
    }

    fn value(&self, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Done {
        if cursor.peek() == Some(b'n') && cursor.eat_literal("null") {
            return match self.null {
                _ if self.replaces_null => Err(Refusal::Spelling),
                Some(place) => {
                    long(place, out);
                    Ok(())
                }
                None => Err(refuse("Found null value for non-optional schema")),
            };
        }
        if let Some(at) = self.at {
            long(at, out);
        }
        self.plan.value(cursor, out)
    }
}

impl Plan {
    fn value(&self, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Done {
        match self {
            Plan::Boolean => match (cursor.eat_literal("true"), cursor.eat_literal("false")) {
                (true, _) => out.push(1),
                (_, true) => out.push(0),
                _ => return Err(Refusal::Spelling),
            },
            Plan::Int => long(i64::from(number::<i32>(cursor)?), out),
            Plan::Long => long(number(cursor)?, out),
            Plan::Float => out.extend_from_slice(&float::<f32>(cursor)?.to_le_bytes()),
            Plan::Double => out.extend_from_slice(&float::<f64>(cursor)?.to_le_bytes()),
            Plan::String => {
                let text = cursor.string().ok_or(Refusal::Spelling)?;
                length_and(text.unescape().as_bytes(), out);
            }
            Plan::Bytes => length_and(&base64(cursor)?, out),
            Plan::Fixed(size) => {
                let bytes = base64(cursor)?;
                if bytes.len() != *size {
                    return Err(refuse(format!("{} bytes were given for an Avro fixed of {size}", bytes.len())));
                }
                out.extend_from_slice(&bytes);
            }
            Plan::Decimal(size) => decimal(*size, &base64(cursor)?, out)?,
            Plan::Enum(symbols) => {
                let text = cursor.string().ok_or(Refusal::Spelling)?.unescape();
                let place = symbols.get(&*text).ok_or_else(|| refuse(format!("The Avro enum has no symbol {text}")))?;
                long(*place, out);
            }
            Plan::Array(items) => block(cursor, b'[', b']', out, |cursor, out| items.value(cursor, out))?,
            Plan::Map(values) => block(cursor, b'{', b'}', out, |cursor, out| {
                name(cursor, out)?;
                values.value(cursor, out)
            })?,
            Plan::ObjectAsPairs(key, values) => block(cursor, b'{', b'}', out, |cursor, out| {
                if let Some(at) = key.at {
                    long(at, out);
                }
                name(cursor, out)?;
                values.value(cursor, out)
            })?,
            Plan::Pairs(key, value) => block(cursor, b'[', b']', out, |cursor, out| {
                eat(cursor, b'[')?;
                key.value(cursor, out)?;
                eat(cursor, b',')?;
                value.value(cursor, out)?;
                eat(cursor, b']')
            })?,
            Plan::Record(fields) => {
                let mut fields = fields.iter();
                list(cursor, b'{', b'}', |cursor| {
                    let (name, slot) = fields.next().ok_or(Refusal::Spelling)?;
                    member(cursor, name)?;
                    slot.value(cursor, out)
                })?;
                if fields.next().is_some() {
                    return Err(Refusal::Spelling);
                }
            }
            Plan::Scattered(names, written) => {
                let mut members = Vec::with_capacity(names.len());
                list(cursor, b'{', b'}', |cursor| {
                    member(cursor, names.get(members.len()).ok_or(Refusal::Spelling)?)?;
                    members.push(cursor.clone());
                    if cursor.skip_value(crate::convert::data::json::MAX_READ_DEPTH) { Ok(()) } else { Err(Refusal::Spelling) }
                })?;
                if members.len() != names.len() {
                    return Err(Refusal::Spelling);
                }
                for written in written {
                    match written {
                        Written::Member(at, slot) => slot.value(members.get_mut(*at).ok_or(Refusal::Spelling)?, out)?,
                        Written::Default(bytes) => out.extend_from_slice(bytes),
                    }
                }
            }
            Plan::Union(fields) => {
                let (mut place, mut found) = (0, false);
                list(cursor, b'{', b'}', |cursor| {
                    let (name, at, slot) = fields.get(place).ok_or(Refusal::Spelling)?;
                    place += 1;
                    member(cursor, name)?;
                    if cursor.eat_literal("null") {
                        return Ok(());
                    }
                    if found {
                        return Err(refuse("More than one field of a union is set"));
                    }
                    found = true;
                    long(*at, out);
                    slot.value(cursor, out)
                })?;
                if !found {
                    return Err(refuse("No field of a union is set"));
                }
            }
        }
        Ok(())
    }
}

fn eat(cursor: &mut Cursor<'_>, byte: u8) -> Done {
    if cursor.eat(byte) { Ok(()) } else { Err(Refusal::Spelling) }
}

fn member(cursor: &mut Cursor<'_>, name: &str) -> Done {
    let found = cursor.string().filter(|found| found.text == name && !found.escaped || found.escaped && found.unescape() == name);
    found.ok_or(Refusal::Spelling)?;
    eat(cursor, b':')
}

fn name(cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Done {
    let name = cursor.string().ok_or(Refusal::Spelling)?;
    length_and(name.unescape().as_bytes(), out);
    eat(cursor, b':')
}

fn number<T: std::str::FromStr>(cursor: &mut Cursor<'_>) -> Result<T, Refusal> {
    cursor.number().and_then(|number| number.parse().ok()).ok_or(Refusal::Spelling)
}

fn float<T: std::str::FromStr>(cursor: &mut Cursor<'_>) -> Result<T, Refusal> {
    let text = match cursor.peek() {
        Some(b'"') => {
            let text = cursor.string().map(|text| text.text);
            text.filter(|text| matches!(*text, "NaN" | "Infinity" | "-Infinity"))
        }
        _ => cursor.number(),
    };
    text.and_then(|text| text.parse().ok()).ok_or(Refusal::Spelling)
}

fn base64(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, Refusal> {
    let text = cursor.string().filter(|text| !text.escaped).ok_or(Refusal::Spelling)?;
    base64_bytes(text.text).ok_or(Refusal::Spelling)
}

fn decimal(size: Option<usize>, bytes: &[u8], out: &mut Vec<u8>) -> Done {
    let bytes = minimal(bytes).map_err(Refusal::Data)?;
    let Some(size) = size else {
        length_and(bytes, out);
        return Ok(());
    };
    let Some(missing) = size.checked_sub(bytes.len()) else {
        let message = format!("Unscaled value byte array length {} is greater than fixed size {size}", bytes.len());
        return Err(refuse(message));
    };
    let sign = if bytes.first().is_some_and(|first| first & 0x80 != 0) { 0xff } else { 0 };
    out.extend(std::iter::repeat_n(sign, missing));
    out.extend_from_slice(bytes);
    Ok(())
}

fn list<'p>(cursor: &mut Cursor<'p>, open: u8, close: u8, mut element: impl FnMut(&mut Cursor<'p>) -> Done) -> Done {
    eat(cursor, open)?;
    if cursor.eat(close) {
        return Ok(());
    }
    loop {
        element(cursor)?;
        if !cursor.eat(b',') {
            return eat(cursor, close);
        }
    }
}

/// Writes a list as one block, whose number of items is put before it when it is known.
fn block(
    cursor: &mut Cursor<'_>,
    open: u8,
    close: u8,
    out: &mut Vec<u8>,
    mut element: impl FnMut(&mut Cursor<'_>, &mut Vec<u8>) -> Done,
) -> Done {
    let (start, mut count) = (out.len(), 0_i64);
    list(cursor, open, close, |cursor| {
        count += 1;
        element(cursor, out)
    })?;
    if count > 0 {
        let end = out.len();
        long(count, out);
        let length = out.len() - end;
        if let Some(block) = out.get_mut(start..) {
            block.rotate_right(length);
        }
    }
    out.push(0);
    Ok(())
}

/// Appends a number, zigzag, seven bits a byte.
pub fn long(number: i64, out: &mut Vec<u8>) {
    let mut bits = ((number << 1) ^ (number >> 63)) as u64;
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

/// Appends bytes behind their length.
pub fn length_and(bytes: &[u8], out: &mut Vec<u8>) {
    long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

/// Appends data without a schema: a record of nine optional fields of which one is set.
pub fn anything(value: &Value, out: &mut Vec<u8>) {
    let field = match value {
        Value::Null => 9,
        Value::Boolean(_) => 0,
        Value::Float64(_) => 2,
        Value::Int64(_) => 5,
        Value::String(_) => 6,
        Value::Array(_) => 7,
        _ => 8,
    };
    out.extend(std::iter::repeat_n(0, field));
    if field == 9 {
        return;
    }
    out.push(2);
    match value {
        Value::Boolean(value) => out.push(u8::from(*value)),
        Value::Float64(number) => out.extend_from_slice(&number.to_le_bytes()),
        Value::Int64(number) => long(*number, out),
        Value::String(text) => length_and(text.as_bytes(), out),
        Value::Array(elements) => {
            if !elements.is_empty() {
                long(elements.len() as i64, out);
            }
            elements.iter().for_each(|element| anything(element, out));
            out.push(0);
        }
        Value::Map(entries) => {
            if !entries.is_empty() {
                long(entries.len() as i64, out);
            }
            for (key, value) in entries {
                anything(key, out);
                anything(value, out);
            }
            out.push(0);
        }
        _ => {}
    }
    out.extend(std::iter::repeat_n(0, 8 - field));
}
