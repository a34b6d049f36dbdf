//! Avro data to payloads, in one pass without values in between.

use super::to_connect::opening;
use crate::convert::ConvertError;
use crate::convert::data::json::write_string;
use crate::convert::data::value::{write_double, write_float};
use crate::convert::data::write::{base64, write_json};
use crate::convert::data::{Field, Value};

/// What a payload may hold at most beyond [`EXPANSION`] times its data: names stand in payloads and not in Avro.
const BASE_BYTES: usize = 1 << 20;
/// How many times its data a payload may hold.
const EXPANSION: usize = 256;
/// Items of no bytes that one block may have: data does not bound these.
const MAX_EMPTY_ITEMS: u64 = 1000;
/// Nesting of data without a schema.
const MAX_ANYTHING_DEPTH: usize = 64;

/// How data of one type is read.
#[derive(Debug)]
pub enum Plan {
    /// `boolean`
    Boolean,
    /// `int` cut to 8 bits.
    Int8,
    /// `int` cut to 16 bits.
    Int16,
    /// `int`
    Int,
    /// `int`: milliseconds of a day.
    Time,
    /// `long`
    Long,
    /// `float`
    Float,
    /// `double`
    Double,
    /// `string`
    String,
    /// `bytes`
    Bytes,
    /// `fixed`
    Fixed(usize),
    /// `bytes`, or `fixed` of that size, of a decimal.
    Decimal(Option<usize>),
    /// `enum`, its symbols as JSON.
    Enum(Box<[Box<[u8]>]>),
    /// `array`, and whether its items may take no bytes.
    Array(Box<Plan>, bool),
    /// `map`
    Map(Box<Plan>),
    /// `array` of keys and values.
    Pairs {
        /// Of keys.
        key: Box<Plan>,
        /// Of values.
        value: Box<Plan>,
        /// Whether the key stands first.
        key_first: bool,
        /// Whether the payload is an object.
        as_object: bool,
    },
    /// `record`
    Record(Box<[Step]>),
    /// `union` of null, at that place, and a type.
    Optional(usize, Box<Plan>),
    /// `union` of one type.
    Single(Box<Plan>),
    /// Any other `union`; null is none.
    Union(Box<[Option<Branch>]>),
    /// `bytes` that are all there is, which have no length before them.
    Rest(Box<Plan>),
    /// Data without a schema.
    Anything,
}

/// A field of a record.
#[derive(Debug)]
pub struct Step {
    /// What stands before its value.
    pub opening: Box<[u8]>,
    /// How it is read.
    pub plan: Plan,
}

/// A type of a union, which is a struct of which one field is set.
#[derive(Debug)]
pub struct Branch {
    before: Box<[u8]>,
    plan: Plan,
    after: Box<[u8]>,
}

impl Branch {
    /// The type at place `at` of the struct.
    pub fn new(fields: &[Field], at: usize, plan: Plan) -> Self {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for (place, field) in fields.iter().enumerate() {
            let part = if place <= at { &mut before } else { &mut after };
            part.extend_from_slice(&opening(&field.name, place == 0));
            if place != at {
                part.extend_from_slice(b"null");
            }
        }
        after.push(b'}');
        Branch { before: before.into(), plan, after: after.into() }
    }
}

impl Plan {
    /// The plan of an array.
    pub fn array(items: Plan) -> Plan {
        let empty = !items.takes_bytes();
        Plan::Array(Box::new(items), empty)
    }

    /// Whether every value takes a byte at least.
    fn takes_bytes(&self) -> bool {
        match self {
            Plan::Fixed(size) | Plan::Decimal(Some(size)) => *size > 0,
            Plan::Record(steps) => steps.iter().any(|step| step.plan.takes_bytes()),
            Plan::Rest(_) => false,
            _ => true,
        }
    }

    /// Appends the payload of all of `data`. `false`: it is null.
    ///
    /// # Errors
    /// A `DataException` when the data is not of the schema.
    pub fn read(&self, data: &[u8], out: &mut Vec<u8>) -> Result<bool, ConvertError> {
        let most = out.len() + BASE_BYTES + EXPANSION * data.len();
        let start = out.len();
        let mut input = Input { data, most };
        let null = match self {
            Plan::Anything => {
                let value = input.anything(MAX_ANYTHING_DEPTH)?;
                write_json(None, &value, false, out);
                value == Value::Null
            }
            Plan::Rest(plan) => match &**plan {
                Plan::Decimal(_) => {
                    base64(minimal(data)?, out);
                    false
                }
                _ => {
                    base64(data, out);
                    false
                }
            },
            plan => {
                input.value(plan, out)?;
                // No other value begins with n.
                out.get(start) == Some(&b'n')
            }
        };
        Ok(!null)
    }
}

struct Input<'a> {
    data: &'a [u8],
    /// The end of what may be written.
    most: usize,
}

type Read<T> = Result<T, ConvertError>;

impl<'a> Input<'a> {
    fn value(&mut self, plan: &Plan, out: &mut Vec<u8>) -> Read<()> {
        match plan {
            Plan::Boolean => {
                let text: &[u8] = if self.boolean()? { b"true" } else { b"false" };
                out.extend_from_slice(text);
            }
            Plan::Int8 => integer(i64::from(self.int()? as i8), out),
            Plan::Int16 => integer(i64::from(self.int()? as i16), out),
            Plan::Int => integer(i64::from(self.int()?), out),
            Plan::Time => {
                let time = self.int()?;
                if !(0..=86_400_000).contains(&time) {
                    let rule = "Time values must use number of milliseconds greater than 0 and less than 86400000";
                    return Err(ConvertError::data(rule));
                }
                integer(i64::from(time), out);
            }
            Plan::Long => integer(self.long()?, out),
            Plan::Float => {
                let number = self.float()?;
                quoted_unless(number.is_finite(), out, |out| write_float(number, out));
            }
            Plan::Double => {
                let number = self.double()?;
                quoted_unless(number.is_finite(), out, |out| write_double(number, out));
            }
            Plan::String => write_string(self.string()?, out),
            Plan::Bytes => base64(self.bytes()?, out),
            Plan::Fixed(size) => base64(self.take(*size)?, out),
            Plan::Decimal(Some(size)) => base64(minimal(self.take(*size)?)?, out),
            Plan::Decimal(None) => base64(minimal(self.bytes()?)?, out),
            Plan::Enum(symbols) => {
                let place = usize::try_from(self.int()?).ok();
                out.extend_from_slice(
                    place.and_then(|place| symbols.get(place)).ok_or_else(|| malformed("no symbol of that number"))?,
                );
            }
            Plan::Array(items, may_be_empty) => {
                self.blocks(b"[]", *may_be_empty, out, |input, out| input.value(items, out))?;
            }
            Plan::Map(values) => self.blocks(b"{}", false, out, |input, out| {
                write_string(input.string()?, out);
                out.push(b':');
                input.value(values, out)
            })?,
            Plan::Pairs { key, value, key_first, as_object } => self.pairs(key, value, *key_first, *as_object, out)?,
            Plan::Record(steps) => {
                if steps.is_empty() {
                    out.push(b'{');
                }
                for step in steps {
                    out.extend_from_slice(&step.opening);
                    self.value(&step.plan, out)?;
                }
                out.push(b'}');
            }
            Plan::Optional(null, plan) => match self.long()? {
                0 | 1 if out.len() > self.most => return Err(too_large()),
                place @ (0 | 1) if place as usize == *null => out.extend_from_slice(b"null"),
                0 | 1 => self.value(plan, out)?,
                _ => return Err(malformed("no type of that number in a union")),
            },
            Plan::Single(plan) => match self.long()? {
                0 => self.value(plan, out)?,
                _ => return Err(malformed("no type of that number in a union")),
            },
            Plan::Union(branches) => {
                let place = usize::try_from(self.long()?).ok();
                match place.and_then(|place| branches.get(place)) {
                    None => return Err(malformed("no type of that number in a union")),
                    Some(None) => out.extend_from_slice(b"null"),
                    Some(Some(branch)) => {
                        out.extend_from_slice(&branch.before);
                        self.value(&branch.plan, out)?;
                        out.extend_from_slice(&branch.after);
                    }
                }
            }
            Plan::Rest(plan) => self.value(plan, out)?,
            Plan::Anything => write_json(None, &self.anything(MAX_ANYTHING_DEPTH)?, false, out),
        }
        Ok(())
    }

    fn pairs(&mut self, key: &Plan, value: &Plan, key_first: bool, as_object: bool, out: &mut Vec<u8>) -> Read<()> {
        let brackets = if as_object { b"{}" } else { b"[]" };
        self.blocks(brackets, true, out, |input, out| {
            let mut late = Vec::new();
            if !key_first {
                input.value(value, &mut late)?;
            }
            if !as_object {
                out.push(b'[');
            }
            let start = out.len();
            input.value(key, out)?;
            if as_object && out.get(start) == Some(&b'n') {
                // The name of a null in an object, as Kafka's JsonConverter writes it.
                out.truncate(start);
                out.extend_from_slice(b"\"null\"");
            }
            out.push(if as_object { b':' } else { b',' });
            if key_first {
                input.value(value, out)?;
            } else {
                out.extend_from_slice(&late);
            }
            if !as_object {
                out.push(b']');
            }
            Ok(())
        })
    }

    /// Reads blocks of items, and writes them with commas between.
    fn blocks(
        &mut self,
        brackets: &[u8; 2],
        may_be_empty: bool,
        out: &mut Vec<u8>,
        mut item: impl FnMut(&mut Self, &mut Vec<u8>) -> Read<()>,
    ) -> Read<()> {
        out.push(brackets[0]);
        let mut first = true;
        loop {
            let count = self.block(may_be_empty)?;
            if count == 0 {
                break;
            }
            for _ in 0..count {
                if out.len() > self.most {
                    return Err(too_large());
                }
                if !first {
                    out.push(b',');
                }
                first = false;
                item(self, out)?;
            }
        }
        out.push(brackets[1]);
        Ok(())
    }

    /// The number of items in the block that begins here. It is believed only as far as data is left for them.
    fn block(&mut self, may_be_empty: bool) -> Read<u64> {
        let count = self.long()?;
        if count < 0 {
            // The size of the block in bytes, which is for readers that pass it over.
            self.long()?;
        }
        let count = count.unsigned_abs();
        let most = if may_be_empty { (self.data.len() as u64).max(MAX_EMPTY_ITEMS) } else { self.data.len() as u64 };
        if count > most { Err(malformed("a block says that it has more items than there is data")) } else { Ok(count) }
    }

    fn boolean(&mut self) -> Read<bool> {
        Ok(self.take(1)? == [1])
    }

    fn int(&mut self) -> Read<i32> {
        i32::try_from(self.long()?).map_err(|_| malformed("an int of more than 32 bits"))
    }

    fn long(&mut self) -> Read<i64> {
        let mut bits = 0_u64;
        for (place, byte) in self.data.iter().enumerate().take(10) {
            if place == 9 && *byte > 1 {
                break;
            }
            bits |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                self.data = self.data.get(place + 1..).unwrap_or_default();
                return Ok((bits >> 1) as i64 ^ -((bits & 1) as i64));
            }
        }
        Err(if self.data.len() < 10 { short() } else { malformed("a number without an end") })
    }

    fn float(&mut self) -> Read<f32> {
        let (bytes, rest) = self.data.split_first_chunk::<4>().ok_or_else(short)?;
        self.data = rest;
        Ok(f32::from_le_bytes(*bytes))
    }

    fn double(&mut self) -> Read<f64> {
        let (bytes, rest) = self.data.split_first_chunk::<8>().ok_or_else(short)?;
        self.data = rest;
        Ok(f64::from_le_bytes(*bytes))
    }

    fn bytes(&mut self) -> Read<&'a [u8]> {
        let length = usize::try_from(self.long()?).map_err(|_| malformed("a length below 0"))?;
        self.take(length)
    }

    fn string(&mut self) -> Read<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| malformed("a string that is no UTF-8"))
    }

    fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.data.split_at_checked(length).ok_or_else(short)?;
        self.data = rest;
        Ok(taken)
    }

    /// A record of `Anything`: nine optional fields, of which one is set.
    fn anything(&mut self, depth: usize) -> Read<Value> {
        let depth = depth.checked_sub(1).ok_or_else(|| malformed("data without a schema is nested too deep"))?;
        let mut found = Value::Null;
        for field in 0..9 {
            match self.long()? {
                0 => continue,
                1 => {}
                _ => return Err(malformed("no type of that number in a union")),
            }
            let value = match field {
                0 => Value::Boolean(self.boolean()?),
                1 => Value::Bytes(self.bytes()?.to_vec()),
                2 => Value::Float64(self.double()?),
                3 => Value::Float32(self.float()?),
                4 => Value::Int32(self.int()?),
                5 => Value::Int64(self.long()?),
                6 => Value::String(self.string()?.to_owned()),
                7 => {
                    let mut elements = Vec::new();
                    self.each(|input| {
                        elements.push(input.anything(depth)?);
                        Ok(())
                    })?;
                    Value::Array(elements)
                }
                _ => {
                    let mut entries = Vec::new();
                    self.each(|input| {
                        entries.push((input.anything(depth)?, input.anything(depth)?));
                        Ok(())
                    })?;
                    Value::Map(entries)
                }
            };
            if found == Value::Null {
                found = value;
            }
        }
        Ok(found)
    }

    fn each(&mut self, mut item: impl FnMut(&mut Self) -> Read<()>) -> Read<()> {
        loop {
            let count = self.block(false)?;
            if count == 0 {
                return Ok(());
            }
            for _ in 0..count {
                item(self)?;
            }
        }
    }
}

/// The bytes of a decimal as Java writes them: no more than are needed.
pub fn minimal(bytes: &[u8]) -> Result<&[u8], ConvertError> {
    let mut bytes = bytes;
    while let [first @ (0 | 0xff), second, ..] = bytes {
        if (*first == 0) != (second & 0x80 == 0) {
            break;
        }
        bytes = bytes.get(1..).unwrap_or_default();
    }
    if bytes.is_empty() { Err(ConvertError::data("Invalid bytes for Decimal field: there are none")) } else { Ok(bytes) }
}

fn integer(number: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn quoted_unless(finite: bool, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    if finite {
        return write(out);
    }
    out.push(b'"');
    write(out);
    out.push(b'"');
}

fn malformed(problem: &str) -> ConvertError {
    ConvertError::data(format!("Error deserializing Avro message: {problem}"))
}

fn short() -> ConvertError {
    malformed("the data ends in the middle of a value")
}

fn too_large() -> ConvertError {
    malformed("it expands to far more than its data")
}
