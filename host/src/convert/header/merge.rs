//! The types that header text can have, and what several of them have in common.

use crate::convert::data::schema::Logical;
use crate::convert::data::time::DAY_MS;
use crate::convert::data::{Kind, Schema, Value};

/// The type of a value that was read from text. All are required; the parts of a container are unknown where it is empty, holds only
/// nulls or a mixture.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Type {
    Boolean,
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    String,
    Decimal(i32),
    Date,
    Time,
    Timestamp,
    Array(Option<Box<Type>>),
    Map(Option<Box<Type>>, Option<Box<Type>>),
}

impl Type {
    /// Its schema, if every part of it is known.
    pub fn schema(&self) -> Option<Schema> {
        Some(match self {
            Type::Boolean => Schema::new(Kind::Boolean),
            Type::Int8 => Schema::new(Kind::Int8),
            Type::Int16 => Schema::new(Kind::Int16),
            Type::Int32 => Schema::new(Kind::Int32),
            Type::Int64 => Schema::new(Kind::Int64),
            Type::Float32 => Schema::new(Kind::Float32),
            Type::Float64 => Schema::new(Kind::Float64),
            Type::String => Schema::new(Kind::String),
            Type::Decimal(scale) => Schema::logical_type(Logical::Decimal(Some(*scale))),
            Type::Date => Schema::logical_type(Logical::Date),
            Type::Time => Schema::logical_type(Logical::Time),
            Type::Timestamp => Schema::logical_type(Logical::Timestamp),
            Type::Array(items) => Schema::new(Kind::Array(Box::new(items.as_ref()?.schema()?))),
            Type::Map(keys, values) => {
                let (keys, values) = (keys.as_ref()?.schema()?, values.as_ref()?.schema()?);
                Schema::new(Kind::Map(Box::new(keys), Box::new(values)))
            }
        })
    }

    /// Whether every part of it is known.
    pub fn is_known(&self) -> bool {
        match self {
            Type::Array(items) => items.as_ref().is_some_and(|items| items.is_known()),
            Type::Map(Some(keys), Some(values)) => keys.is_known() && values.is_known(),
            Type::Map(..) => false,
            _ => true,
        }
    }

    /// Whether `value` is of this type through and through. Kafka goes by the last of several elements, and by their outermost type.
    pub fn holds(&self, value: &Value) -> bool {
        match (self, value) {
            (Type::Boolean, Value::Boolean(_))
            | (Type::Int8, Value::Int8(_))
            | (Type::Int16, Value::Int16(_))
            | (Type::Int32, Value::Int32(_))
            | (Type::Int64, Value::Int64(_))
            | (Type::Float32, Value::Float32(_))
            | (Type::Float64, Value::Float64(_))
            | (Type::String, Value::String(_))
            | (Type::Date, Value::Date(_))
            | (Type::Timestamp, Value::Timestamp(_)) => true,
            (Type::Time, Value::Time(ms)) => (0..=DAY_MS).contains(&i64::from(*ms)),
            (Type::Decimal(scale), Value::Decimal(decimal)) => decimal.scale == *scale,
            (Type::Array(Some(items)), Value::Array(elements)) => elements.iter().all(|element| items.holds(element)),
            (Type::Map(Some(keys), Some(values)), Value::Map(entries)) => {
                entries.iter().all(|(key, value)| keys.holds(key) && values.holds(value))
            }
            _ => false,
        }
    }

    /// Place among the numbers; `None` for what is none. Dates and times count as the integers under them.
    fn rank(&self) -> Option<u8> {
        Some(match self {
            Type::Int8 => 0,
            Type::Int16 => 1,
            Type::Int32 | Type::Date | Type::Time => 2,
            Type::Int64 | Type::Timestamp => 3,
            Type::Float32 => 4,
            Type::Float64 => 5,
            _ => return None,
        })
    }

    /// Whether the types under both are the same.
    fn same_base(&self, other: &Type) -> bool {
        match (self.rank(), other.rank()) {
            (None, None) => std::mem::discriminant(self) == std::mem::discriminant(other),
            (mine, theirs) => mine == theirs,
        }
    }

    fn merge(self, latest: Type) -> Option<Type> {
        if self.same_base(&latest) {
            return Some(latest);
        }
        let (mine, theirs) = (self.rank()?, latest.rank()?);
        Some(if mine > theirs { self } else { latest })
    }

    /// `Values.convertTo` for a value among others whose common type this is.
    ///
    /// # Errors
    /// [`Mixed`] when it cannot be.
    pub fn convert(&self, value: Value) -> Result<Value, Mixed> {
        let integer = match &value {
            Value::Null => return Err(Mixed),
            Value::Int8(number) => Some(i64::from(*number)),
            Value::Int16(number) => Some(i64::from(*number)),
            Value::Int32(number) => Some(i64::from(*number)),
            Value::Int64(number) => Some(*number),
            _ => None,
        };
        let moment = value.milliseconds();
        Ok(match (self, integer, value) {
            (Type::Int16, Some(number), _) => Value::Int16(number as i16),
            (Type::Int32, Some(number), _) => Value::Int32(number as i32),
            (Type::Int64, Some(number), _) => Value::Int64(number),
            (Type::Date, Some(number), _) => Value::Date(number as i32),
            (Type::Time, Some(number), _) => {
                let time = i32::try_from(number).ok().filter(|time| (0..=DAY_MS).contains(&i64::from(*time))).ok_or(Mixed)?;
                Value::Time(time)
            }
            (Type::Timestamp, Some(number), _) => Value::Timestamp(number),
            (Type::Float32, Some(number), _) => Value::Float32(number as f64 as f32),
            (Type::Float64, Some(number), _) => Value::Float64(number as f64),
            (Type::Float64, None, Value::Float32(number)) => Value::Float64(f64::from(number)),
            (Type::Int32 | Type::Int64 | Type::Float32 | Type::Float64, None, _) if moment.is_some() => return Err(Mixed),
            (Type::Timestamp, None, value) => moment.map_or(value, Value::Timestamp),
            (_, _, value) => value,
        })
    }
}

/// Elements that have no common type, or not the one that they should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mixed;

/// Finds the common type of elements: `SchemaMerger`.
#[derive(Debug)]
pub struct Merger {
    common: Option<Type>,
    compatible: bool,
}

impl Merger {
    pub fn new() -> Self {
        Merger { common: None, compatible: true }
    }

    /// Takes in the type of one more element; a null has none.
    pub fn add(&mut self, latest: Option<&Type>) {
        if let Some(latest) = latest.filter(|_| self.compatible) {
            self.common = match self.common.take() {
                None => Some(latest.clone()),
                Some(common) => common.merge(latest.clone()),
            };
            self.compatible = self.common.is_some();
        }
    }

    /// The common type, if there is one.
    pub fn common(self) -> Option<Box<Type>> {
        self.common.map(Box::new)
    }
}
