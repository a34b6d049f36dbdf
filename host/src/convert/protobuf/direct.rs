//! Messages of single scalars and of such messages, the most of all: read and written in one pass, without a value in between. Whatever is
//! out of the ordinary is left to the general way: `None` is its answer, and what was appended until then is void.

use prost_reflect::{Cardinality, FieldDescriptor, Kind as ProtoKind, MessageDescriptor, Syntax};

use super::from_connect::scrubbed;
use super::options::Options;
use super::to_connect::{Member, Plan};
use crate::convert::avro::opening;
use crate::convert::data::json::{Cursor, write_string};
use crate::convert::data::write::{base64, write_integer, write_json_double, write_json_float};
use crate::convert::data::{Kind, Schema};

/// Fields of a message beyond which it goes the general way: fields are looked for one by one.
const MAX_FIELDS: usize = 200;

const VARINT: u64 = 0;
const BITS_64: u64 = 1;
const BYTES: u64 = 2;
const BITS_32: u64 = 5;

/// A scalar of Protobuf, and what it is in Connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scalar {
    Bool,
    Int8,
    Int16,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Float,
    Double,
    String,
    Bytes,
}

impl Scalar {
    fn of(field: &FieldDescriptor) -> Option<Scalar> {
        Some(match field.kind() {
            ProtoKind::Bool => Scalar::Bool,
            ProtoKind::Int32 => Scalar::Int32,
            ProtoKind::Int64 => Scalar::Int64,
            ProtoKind::Uint32 => Scalar::Uint32,
            ProtoKind::Uint64 => Scalar::Uint64,
            ProtoKind::Sint32 => Scalar::Sint32,
            ProtoKind::Sint64 => Scalar::Sint64,
            ProtoKind::Fixed32 => Scalar::Fixed32,
            ProtoKind::Fixed64 => Scalar::Fixed64,
            ProtoKind::Sfixed32 => Scalar::Sfixed32,
            ProtoKind::Sfixed64 => Scalar::Sfixed64,
            ProtoKind::Float => Scalar::Float,
            ProtoKind::Double => Scalar::Double,
            ProtoKind::String => Scalar::String,
            ProtoKind::Bytes => Scalar::Bytes,
            ProtoKind::Enum(_) | ProtoKind::Message(_) => return None,
        })
    }

    fn wire(self) -> u64 {
        match self {
            Scalar::Fixed64 | Scalar::Sfixed64 | Scalar::Double => BITS_64,
            Scalar::Fixed32 | Scalar::Sfixed32 | Scalar::Float => BITS_32,
            Scalar::String | Scalar::Bytes => BYTES,
            _ => VARINT,
        }
    }
}

/// Reads messages of one type.
#[derive(Debug)]
pub struct DirectReader {
    fields: Box<[ReadField]>,
    /// What was found of each: its bits, or where its bytes begin and end.
    found: Vec<Option<(u64, u64)>>,
}

#[derive(Debug)]
struct ReadField {
    number: u64,
    wire: u64,
    opening: Box<[u8]>,
    nullable: bool,
    content: ReadContent,
}

#[derive(Debug)]
enum ReadContent {
    Scalar(Scalar),
    Message(DirectReader),
}

impl DirectReader {
    /// `None` if messages of that plan go the general way.
    pub fn new(plan: &Plan) -> Option<Self> {
        let Plan::Struct(members) = plan else { return None };
        let field = |(place, member): (usize, &Member)| {
            let Member::Field { field, plan, nullable } = member else { return None };
            let content = match (plan, Scalar::of(field)) {
                // Proto2 has defaults.
                _ if field.cardinality() == Cardinality::Repeated || field.parent_file().syntax() != Syntax::Proto3 => {
                    return None;
                }
                (Plan::Scalar, Some(scalar)) => ReadContent::Scalar(scalar),
                (Plan::Int8, Some(Scalar::Int32)) => ReadContent::Scalar(Scalar::Int8),
                (Plan::Int16, Some(Scalar::Int32)) => ReadContent::Scalar(Scalar::Int16),
                (Plan::Struct(_), None) if *nullable => ReadContent::Message(DirectReader::new(plan)?),
                _ => return None,
            };
            let wire = match &content {
                ReadContent::Scalar(scalar) => scalar.wire(),
                ReadContent::Message(_) => BYTES,
            };
            let opening = opening(field.name(), place == 0);
            Some(ReadField { number: u64::from(field.number()), wire, opening, nullable: *nullable, content })
        };
        let fields: Box<[_]> = members.iter().enumerate().map(field).collect::<Option<_>>()?;
        let found = vec![None; fields.len()];
        (fields.len() <= MAX_FIELDS).then_some(DirectReader { fields, found })
    }

    /// Appends the payload of a message.
    pub fn read(&mut self, data: &[u8], out: &mut Vec<u8>) -> Option<()> {
        self.scan(data)?;
        if self.fields.is_empty() {
            out.push(b'{');
        }
        for (field, found) in self.fields.iter_mut().zip(&self.found) {
            out.extend_from_slice(&field.opening);
            match (&mut field.content, *found) {
                (_, None) if field.nullable => out.extend_from_slice(b"null"),
                (ReadContent::Scalar(scalar), found) => scalar.read(found.unwrap_or_default(), data, out)?,
                (ReadContent::Message(reader), Some(found)) => reader.read(slice(data, found)?, out)?,
                (ReadContent::Message(_), None) => return None,
            }
        }
        out.push(b'}');
        Some(())
    }

    /// Finds the fields; of scalars that are there several times the last one counts.
    fn scan(&mut self, data: &[u8]) -> Option<()> {
        self.found.fill(None);
        let mut at = 0;
        let mut expected = 0;
        while at < data.len() {
            let key = varint(data, &mut at)?;
            let (number, wire) = (key >> 3, key & 7);
            let value = match wire {
                VARINT => (varint(data, &mut at)?, 0),
                BITS_64 => (u64::from_le_bytes(*data.get(at..)?.first_chunk()?), 8),
                BITS_32 => (u64::from(u32::from_le_bytes(*data.get(at..)?.first_chunk()?)), 4),
                BYTES => {
                    let length = varint(data, &mut at)?;
                    let end = (at as u64).checked_add(length).filter(|end| *end <= data.len() as u64)?;
                    (at as u64, end)
                }
                _ => return None,
            };
            at = match wire {
                BYTES => usize::try_from(value.1).ok()?,
                _ => at + value.1 as usize,
            };
            // Mostly they stand in order.
            let is_next = self.fields.get(expected).is_some_and(|field| field.number == number);
            let place = if is_next { Some(expected) } else { self.fields.iter().position(|field| field.number == number) };
            let Some(place) = place else {
                // What is not known is passed over, but for what cannot be a field.
                if number == 0 || number >= 1 << 29 {
                    return None;
                }
                continue;
            };
            expected = place + 1;
            let (field, found) = (self.fields.get(place)?, self.found.get_mut(place)?);
            // Messages that are there several times are merged, and of texts each is checked.
            if field.wire != wire || wire == BYTES && found.is_some() {
                return None;
            }
            *found = Some(value);
        }
        Some(())
    }
}

fn slice(data: &[u8], (start, end): (u64, u64)) -> Option<&[u8]> {
    data.get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
}

fn varint(data: &[u8], at: &mut usize) -> Option<u64> {
    let mut bits = 0_u64;
    for (place, byte) in data.get(*at..)?.iter().enumerate().take(10) {
        if place == 9 && *byte > 1 {
            return None;
        }
        bits |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            *at += place + 1;
            return Some(bits);
        }
    }
    None
}

impl Scalar {
    fn read(self, found: (u64, u64), data: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let bits = found.0;
        match self {
            Scalar::Bool => out.extend_from_slice(if bits == 0 { b"false" } else { b"true" }),
            Scalar::Int8 => write_integer(bits as i8, out),
            Scalar::Int16 => write_integer(bits as i16, out),
            Scalar::Int32 | Scalar::Sfixed32 => write_integer(bits as i32, out),
            Scalar::Uint32 | Scalar::Fixed32 => write_integer(bits as u32, out),
            // Java has no unsigned numbers.
            Scalar::Int64 | Scalar::Sfixed64 | Scalar::Uint64 | Scalar::Fixed64 => write_integer(bits as i64, out),
            Scalar::Sint32 => write_integer((bits as u32 >> 1) as i32 ^ -((bits & 1) as i32), out),
            Scalar::Sint64 => write_integer((bits >> 1) as i64 ^ -((bits & 1) as i64), out),
            Scalar::Float => write_json_float(f32::from_bits(bits as u32), out),
            Scalar::Double => write_json_double(f64::from_bits(bits), out),
            Scalar::String => write_string(std::str::from_utf8(slice(data, found)?).ok()?, out),
            Scalar::Bytes => base64(slice(data, found)?, out),
        }
        Some(())
    }
}

/// Writes payloads of one schema, whose fields stand in the order of their numbers.
#[derive(Debug)]
pub struct DirectWriter {
    fields: Box<[WriteField]>,
}

#[derive(Debug)]
struct WriteField {
    opening: Box<str>,
    key: Box<[u8]>,
    /// Whether null may be written, as nothing.
    nullable: bool,
    /// Whether the default of its type is written.
    has_presence: bool,
    content: WriteContent,
}

#[derive(Debug)]
enum WriteContent {
    /// The scalar, and the smallest and largest number that Connect's type has.
    Scalar(Scalar, i64, i64),
    Message(DirectWriter),
}

impl DirectWriter {
    /// `None` if payloads of that schema go the general way.
    pub fn new(message: &MessageDescriptor, schema: &Schema, options: Options) -> Option<Self> {
        let Kind::Struct(fields) = &schema.kind else { return None };
        let mut last = 0;
        let mut written = Vec::with_capacity(fields.len());
        for (place, connect) in fields.iter().enumerate() {
            let field = message.get_field_by_name(&scrubbed(&connect.name, options).ok()?)?;
            let schema = &connect.schema;
            let is_odd = field.cardinality() == Cardinality::Repeated
                || field.parent_file().syntax() != Syntax::Proto3
                || field.number() <= last
                || schema.logical().is_some()
                || schema.default.is_some()
                // Of a oneof only one may be written.
                || field.containing_oneof().is_some_and(|oneof| !oneof.is_synthetic());
            if is_odd {
                return None;
            }
            last = field.number();
            let (low, high) = match schema.kind {
                Kind::Int8 => (i64::from(i8::MIN), i64::from(i8::MAX)),
                Kind::Int16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
                Kind::Int32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
                _ => (i64::MIN, i64::MAX),
            };
            let (content, wire) = match (&schema.kind, Scalar::of(&field)) {
                (Kind::Struct(_), None) if !super::is_union(schema) => match field.kind() {
                    ProtoKind::Message(of) => (WriteContent::Message(DirectWriter::new(&of, schema, options)?), BYTES),
                    _ => return None,
                },
                (kind, Some(scalar)) if fits(kind, scalar) => (WriteContent::Scalar(scalar, low, high), scalar.wire()),
                _ => return None,
            };
            let opening = String::from_utf8(opening(&connect.name, place == 0).into()).ok()?.into();
            let mut key = Vec::new();
            push_varint(u64::from(field.number()) << 3 | wire, &mut key);
            let (nullable, has_presence) = (schema.optional, field.supports_presence());
            written.push(WriteField { opening, key: key.into(), nullable, has_presence, content });
        }
        (!written.is_empty()).then(|| DirectWriter { fields: written.into() })
    }

    /// Appends the message of a payload.
    pub fn write(&self, payload: &str, out: &mut Vec<u8>) -> Option<()> {
        let mut cursor = Cursor::new(payload);
        self.value(&mut cursor, out)?;
        (cursor.position() == payload.len()).then_some(())
    }

    fn value(&self, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Option<()> {
        for field in &self.fields {
            cursor.eat_literal(&field.opening).then_some(())?;
            if cursor.eat_literal("null") {
                field.nullable.then_some(())?;
                continue;
            }
            let start = out.len();
            out.extend_from_slice(&field.key);
            let is_default = match &field.content {
                WriteContent::Scalar(scalar, low, high) => scalar.write(*low, *high, cursor, out)?,
                WriteContent::Message(writer) => {
                    let start = out.len();
                    writer.value(cursor, out)?;
                    let length = (out.len() - start) as u64;
                    push_varint(length, out);
                    let prefix = out.len() - start - length as usize;
                    out.get_mut(start..)?.rotate_right(prefix);
                    false
                }
            };
            if is_default && !field.has_presence {
                out.truncate(start);
            }
        }
        cursor.eat(b'}').then_some(())
    }
}

/// Whether every value of a Connect type is one of the scalar, but for the range of integers.
fn fits(kind: &Kind, scalar: Scalar) -> bool {
    match kind {
        Kind::Boolean => scalar == Scalar::Bool,
        Kind::Int8 | Kind::Int16 | Kind::Int32 => matches!(
            scalar,
            Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32 | Scalar::Int64 | Scalar::Sint64 | Scalar::Sfixed64
        ),
        Kind::Int64 => {
            scalar.wire() != BYTES
                && !matches!(
                    scalar,
                    Scalar::Bool | Scalar::Float | Scalar::Double | Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32
                )
        }
        Kind::Float32 => scalar == Scalar::Float,
        Kind::Float64 => scalar == Scalar::Double,
        Kind::String => scalar == Scalar::String,
        _ => false,
    }
}

impl Scalar {
    /// Whether it was the default of its type.
    fn write(self, low: i64, high: i64, cursor: &mut Cursor<'_>, out: &mut Vec<u8>) -> Option<bool> {
        match self {
            Scalar::Bool => {
                let value = cursor.eat_literal("true");
                (value || cursor.eat_literal("false")).then_some(())?;
                out.push(u8::from(value));
                Some(!value)
            }
            Scalar::Float => {
                let number: f32 = cursor.number()?.parse().ok().filter(|number: &f32| number.is_finite())?;
                out.extend_from_slice(&number.to_le_bytes());
                Some(number.to_bits() == 0)
            }
            Scalar::Double => {
                let number: f64 = cursor.number()?.parse().ok().filter(|number: &f64| number.is_finite())?;
                out.extend_from_slice(&number.to_le_bytes());
                Some(number.to_bits() == 0)
            }
            Scalar::String => {
                let text = cursor.string()?.unescape();
                push_varint(text.len() as u64, out);
                out.extend_from_slice(text.as_bytes());
                Some(text.is_empty())
            }
            Scalar::Bytes => None,
            _ => {
                let number: i64 = cursor.number()?.parse().ok().filter(|number| (low..=high).contains(number))?;
                match self {
                    Scalar::Uint32 => push_varint(u64::from(number as u32), out),
                    Scalar::Sint32 | Scalar::Sint64 => push_varint((number << 1 ^ number >> 63) as u64, out),
                    Scalar::Fixed32 | Scalar::Sfixed32 => out.extend_from_slice(&(number as u32).to_le_bytes()),
                    Scalar::Fixed64 | Scalar::Sfixed64 => out.extend_from_slice(&number.to_le_bytes()),
                    _ => push_varint(number as u64, out),
                }
                let is_narrow = matches!(self, Scalar::Uint32 | Scalar::Fixed32);
                Some(number == 0 || is_narrow && number as u32 == 0)
            }
        }
    }
}

fn push_varint(mut bits: u64, out: &mut Vec<u8>) {
    while bits >= 0x80 {
        out.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    out.push(bits as u8);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::super::*;
    use crate::convert::config::{Checked, Properties};
    use crate::record::SchemaTable;

    const SCHEMA: &str = r#"syntax = "proto3"; package p;
        message M { bool a = 1; int32 b = 2; int64 c = 3; uint32 d = 4; uint64 e = 5; sint32 f = 6; sint64 g = 7; fixed32 h = 8;
            fixed64 i = 9; sfixed32 j = 10; sfixed64 k = 11; float l = 12; double m = 13; string n = 14; bytes o = 15;
            optional int32 p = 16; N q = 20; message N { int64 x = 1; string y = 300; } }
        message W { bool a = 1; int32 b = 2; int64 c = 3; uint32 d = 4; uint64 e = 5; sint32 f = 6; sint64 g = 7; fixed32 h = 8;
            fixed64 i = 9; sfixed32 j = 10; sfixed64 k = 11; float l = 12; double m = 13; string n = 14; optional int32 p = 16;
            M.N q = 20; }"#;

    fn protobuf() -> Protobuf {
        Protobuf::new(&Checked::new(&KEYS, &Properties::new(), "").unwrap())
    }

    /// Both ways to read a message with these indexes.
    fn readings(indexes: &[i32], data: &[u8]) -> [Result<(bool, Vec<u8>), ConvertError>; 2] {
        let schema =
            Registered { schema: SchemaText { text: SCHEMA.to_owned(), references: Vec::new() }, ..Registered::default() };
        let mut reading = ProtobufReading {
            options: protobuf().options,
            version: None,
            file: files::compile(&schema.schema).unwrap(),
            messages: Vec::new(),
        };
        let table = Arc::new(SchemaTable::default());
        let mut schemas = Schemas::new(&table);
        let known = reading.known(indexes, &mut schemas).unwrap();
        assert!(known.direct.is_some());
        let mut data_with_indexes = Vec::new();
        varint(indexes.len() as i32, &mut data_with_indexes);
        indexes.iter().for_each(|index| varint(*index, &mut data_with_indexes));
        data_with_indexes.extend_from_slice(data);
        [true, false].map(|direct| {
            if !direct {
                reading.messages[0].direct = None;
            }
            let mut out = Vec::new();
            let read = reading.decode(&data_with_indexes, &mut schemas, &mut out);
            read.map(|read| (matches!(read, Decoded::Payload(_)), out))
        })
    }

    /// A field of any number and wire type, mostly of those that there are.
    fn field() -> impl Strategy<Value = Vec<u8>> {
        let number = prop_oneof![9 => 1..21_u64, 1 => any::<u32>().prop_map(u64::from)];
        let content = prop_oneof![
            3 => prop_oneof![any::<u64>(), 0..5_u64].prop_map(|bits| { let mut out = vec![0]; super::push_varint(bits, &mut out); out }),
            2 => any::<[u8; 8]>().prop_map(|bytes| [&[1][..], &bytes].concat()),
            2 => any::<[u8; 4]>().prop_map(|bytes| [&[5][..], &bytes].concat()),
            3 => prop_oneof![vec(any::<u8>(), 0..6), "[a-zäöü\"\\n]{0,6}".prop_map(String::into_bytes), Just(vec![8, 5])]
                .prop_map(|bytes| [&[2, bytes.len() as u8][..], &bytes].concat()),
        ];
        (number, content).prop_map(|(number, content)| {
            let mut out = Vec::new();
            super::push_varint(number << 3 | u64::from(content[0]), &mut out);
            [out, content[1..].to_vec()].concat()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn both_ways_of_reading_agree(fields in vec(field(), 0..6), cut in 0..4_usize) {
            let mut data = fields.concat();
            data.truncate(data.len().saturating_sub(cut / 3));
            let [direct, general] = readings(&[0], &data);
            prop_assert_eq!(direct.is_ok(), general.is_ok());
            if let (Ok(direct), Ok(general)) = (direct, general) {
                prop_assert_eq!(String::from_utf8(direct.1), String::from_utf8(general.1));
            }
        }

        #[test]
        fn both_ways_of_writing_agree(
            numbers in vec(prop_oneof![any::<i64>().prop_map(|number| number.to_string()), (-3..3i64).prop_map(|number| number.to_string()),
                Just("null".to_owned()), Just("1.5".to_owned()), Just("\"x\"".to_owned())], 12),
            floats in (any::<f32>(), any::<f64>()), text in "\\PC{0,5}", flag in any::<bool>(), nested in 0..3_u8,
        ) {
            let schema = Registered { schema: SchemaText { text: SCHEMA.to_owned(), references: Vec::new() }, ..Registered::default() };
            let file = files::compile(&schema.schema).unwrap();
            let message = files::message(&file, &[1]).unwrap();
            let (connect, _) = to_connect::root(&message, protobuf().options, None).unwrap();
            let nested = match nested {
                0 => "null".to_owned(),
                1 => r#"{"x":0,"y":""}"#.to_owned(),
                _ => format!(r#"{{"x":{},"y":{}}}"#, numbers[11], serde_json::json!(text)),
            };
            let mut payload = format!(r#"{{"a":{flag}"#);
            let float = |number: f64| if number.is_finite() { (number + 0.0).to_string() } else { "0.5".to_owned() };
            for (name, number) in ["b", "c", "d", "e", "f", "g", "h", "i", "j", "k"].into_iter().zip(&numbers) {
                payload += &format!(r#","{name}":{number}"#);
            }
            payload += &format!(r#","l":{},"m":{},"n":{},"p":{},"q":{nested}}}"#,
                float(f64::from(floats.0)), float(floats.1), serde_json::json!(text), numbers[10]);
            let direct = DirectWriter::new(&message, &connect, protobuf().options);
            prop_assert!(direct.is_some());
            let [direct, general] = [direct, None].map(|direct| {
                let mut writing = ProtobufWriting {
                    options: protobuf().options, schema: connect.clone(), message: message.clone(), opening: vec![2, 2], strict: true, direct,
                };
                let mut out = Vec::new();
                writing.encode(FIRST_SCHEMA_ID, Some(payload.as_bytes()), &mut out).map(|written| (written, out))
            });
            prop_assert_eq!(direct.is_ok(), general.is_ok(), "{}", payload);
            if let (Ok(direct), Ok(general)) = (direct, general) {
                prop_assert_eq!(direct, general);
            }
        }
    }
}
