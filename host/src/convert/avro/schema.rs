//! Avro schemas: their JSON, with the properties that Connect keeps in it, which apache-avro's schemas drop from unnamed types.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Map, Value as Json};

use crate::convert::ConvertError;
use crate::convert::registry::SchemaText;

/// Nesting of a schema's JSON beyond which it is refused.
const MAX_DEPTH: usize = 64;

/// Place of a type in [`AvroSchema::types`].
pub type TypeId = usize;

/// A schema and all types in it. Types may refer to those that contain them.
#[derive(Debug, Clone)]
pub struct AvroSchema {
    types: Vec<Type>,
    /// The schema itself.
    pub root: TypeId,
}

/// A type.
#[derive(Debug, Clone)]
pub struct Type {
    /// What it is.
    pub kind: Kind,
    /// Full name of a record, enum or fixed.
    pub name: Option<String>,
    /// Its documentation.
    pub doc: Option<String>,
    /// The members of its JSON but for the types in it.
    pub members: Map<String, Json>,
}

/// Kinds of types.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// No bytes.
    Null,
    /// One byte.
    Boolean,
    /// 32 bits, zigzag.
    Int,
    /// 64 bits, zigzag.
    Long,
    /// 4 bytes.
    Float,
    /// 8 bytes.
    Double,
    /// Bytes behind their length.
    Bytes,
    /// UTF-8 behind its length.
    String,
    /// So many bytes.
    Fixed(usize),
    /// The place of a symbol.
    Enum(Vec<String>),
    /// Blocks of items.
    Array(TypeId),
    /// Blocks of keys and values.
    Map(TypeId),
    /// The place of a type, and a value of it.
    Union(Vec<TypeId>),
    /// Fields in order.
    Record(Vec<Field>),
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub schema: TypeId,
    /// Its documentation.
    pub doc: Option<String>,
    /// Its default.
    pub default: Option<Json>,
    /// `connect.parameters`
    pub parameters: Option<Json>,
}

impl Type {
    /// A property that is text.
    pub fn text(&self, property: &str) -> Option<&str> {
        self.members.get(property)?.as_str()
    }

    /// The name without its namespace.
    pub fn short_name(&self) -> Option<&str> {
        self.name.as_deref().map(|name| name.rsplit_once('.').map_or(name, |(_, short)| short))
    }

    /// The type as unions of Connect name it.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "null",
            Kind::Boolean => "boolean",
            Kind::Int => "int",
            Kind::Long => "long",
            Kind::Float => "float",
            Kind::Double => "double",
            Kind::Bytes => "bytes",
            Kind::String => "string",
            Kind::Fixed(_) => "fixed",
            Kind::Enum(_) => "enum",
            Kind::Array(_) => "array",
            Kind::Map(_) => "map",
            Kind::Union(_) => "union",
            Kind::Record(_) => "record",
        }
    }
}

impl AvroSchema {
    /// Reads a schema.
    ///
    /// # Errors
    /// A `DataException` that says where it is wrong.
    pub fn parse(schema: &SchemaText) -> Result<Self, ConvertError> {
        let mut parser = Parser { types: Vec::new(), names: HashMap::new() };
        for reference in &schema.references {
            parser.text(&reference.text)?;
        }
        let root = parser.text(&schema.text)?;
        Ok(AvroSchema { types: parser.types, root })
    }

    /// A type. Places come from this schema alone, so that there always is one.
    pub fn get(&self, place: TypeId) -> &Type {
        static NULL: LazyLock<Type> = LazyLock::new(|| Type { kind: Kind::Null, name: None, doc: None, members: Map::new() });
        self.types.get(place).unwrap_or(&NULL)
    }
}

struct Parser {
    types: Vec<Type>,
    names: HashMap<String, TypeId>,
}

type Parsed = Result<TypeId, ConvertError>;

impl Parser {
    fn text(&mut self, text: &str) -> Parsed {
        let text = text.trim();
        // The registry keeps a primitive schema as JSON text, and takes it bare as well.
        let json = match serde_json::from_str(text) {
            Ok(json) => json,
            Err(_) if primitive(text).is_some() => Json::String(text.to_owned()),
            Err(error) => return Err(wrong(format!("it is no JSON: {error}"))),
        };
        self.schema(&json, None, MAX_DEPTH)
    }

    fn add(&mut self, kind: Kind, members: &Map<String, Json>) -> TypeId {
        let doc = members.get("doc").and_then(Json::as_str).map(str::to_owned);
        let own = members.iter().filter(|(name, _)| !matches!(name.as_str(), "type" | "fields" | "items" | "values" | "symbols"));
        let members = own.map(|(name, value)| (name.clone(), value.clone())).collect();
        self.types.push(Type { kind, name: None, doc, members });
        self.types.len() - 1
    }

    fn schema(&mut self, json: &Json, space: Option<&str>, depth: usize) -> Parsed {
        let depth = depth.checked_sub(1).ok_or_else(|| wrong(format!("it is nested more than {MAX_DEPTH} deep")))?;
        match json {
            Json::String(name) => match primitive(name) {
                Some(kind) => Ok(self.add(kind, &Map::new())),
                None => self.named(name, space),
            },
            Json::Array(branches) => {
                let branches = branches.iter().map(|branch| self.schema(branch, space, depth)).collect::<Result<Vec<_>, _>>()?;
                if branches.iter().any(|branch| matches!(self.types.get(*branch), Some(Type { kind: Kind::Union(_), .. }))) {
                    return Err(wrong("a union stands in a union".to_owned()));
                }
                Ok(self.add(Kind::Union(branches), &Map::new()))
            }
            Json::Object(members) => self.object(members, space, depth),
            _ => Err(wrong(format!("{json} is no type"))),
        }
    }

    fn named(&self, name: &str, space: Option<&str>) -> Parsed {
        let full = full_name(name, space);
        let found = self.names.get(&full).or_else(|| self.names.get(name));
        found.copied().ok_or_else(|| wrong(format!("the type {full} is not defined before it is used")))
    }

    fn object(&mut self, members: &Map<String, Json>, space: Option<&str>, depth: usize) -> Parsed {
        let kind = match members.get("type") {
            Some(Json::String(kind)) => kind.as_str(),
            Some(nested @ (Json::Object(_) | Json::Array(_))) => return self.schema(nested, space, depth),
            _ => return Err(wrong("a type is missing".to_owned())),
        };
        let part = |name: &str| members.get(name).ok_or_else(|| wrong(format!("{name} is missing in {kind}")));
        match kind {
            "array" => {
                let items = self.schema(part("items")?, space, depth)?;
                Ok(self.add(Kind::Array(items), members))
            }
            "map" => {
                let values = self.schema(part("values")?, space, depth)?;
                Ok(self.add(Kind::Map(values), members))
            }
            "fixed" => {
                let size = part("size")?.as_u64().and_then(|size| usize::try_from(size).ok());
                let size = size.filter(|size| *size <= i32::MAX as usize).ok_or_else(|| wrong("size is no number".to_owned()))?;
                self.define(Kind::Fixed(size), members, space).map(|(place, _)| place)
            }
            "enum" => {
                let symbols = part("symbols")?.as_array().into_iter().flatten();
                let symbols = symbols.map(|symbol| symbol.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
                let symbols = symbols.ok_or_else(|| wrong("symbols are no texts".to_owned()))?;
                self.define(Kind::Enum(symbols), members, space).map(|(place, _)| place)
            }
            "record" | "error" => {
                let (place, space) = self.define(Kind::Record(Vec::new()), members, space)?;
                let listed = part("fields")?.as_array().ok_or_else(|| wrong("fields are no list".to_owned()))?;
                let fields = listed.iter().map(|field| self.field(field, space.as_deref(), depth));
                let fields = fields.collect::<Result<_, _>>()?;
                if let Some(record) = self.types.get_mut(place) {
                    record.kind = Kind::Record(fields);
                }
                Ok(place)
            }
            name => match primitive(name) {
                Some(kind) => Ok(self.add(kind, members)),
                None => self.named(name, space),
            },
        }
    }

    fn field(&mut self, json: &Json, space: Option<&str>, depth: usize) -> Result<Field, ConvertError> {
        let text = |member: &str| json.get(member).and_then(Json::as_str).map(str::to_owned);
        let name = text("name").ok_or_else(|| wrong("a field has no name".to_owned()))?;
        let schema = json.get("type").ok_or_else(|| wrong(format!("the field {name} has no type")))?;
        let schema = self.schema(schema, space, depth)?;
        let parameters = json.get("connect.parameters").cloned();
        Ok(Field { name, schema, doc: text("doc"), default: json.get("default").cloned(), parameters })
    }

    /// Adds a named type; answers also the namespace of what stands in it.
    fn define(
        &mut self,
        kind: Kind,
        members: &Map<String, Json>,
        space: Option<&str>,
    ) -> Result<(TypeId, Option<String>), ConvertError> {
        let text = |member: &str| members.get(member).and_then(Json::as_str);
        let name = text("name")
            .filter(|name| !name.is_empty() && !name.ends_with('.'))
            .ok_or_else(|| wrong("a type has no name".to_owned()))?;
        let full = full_name(name, text("namespace").or(space));
        let place = self.add(kind, members);
        if let Some(defined) = self.types.get_mut(place) {
            defined.name = Some(full.clone());
        }
        let space = full.rsplit_once('.').map(|(space, _)| space.to_owned());
        if self.names.insert(full.clone(), place).is_some() {
            return Err(wrong(format!("the type {full} is defined twice")));
        }
        Ok((place, space))
    }
}

fn full_name(name: &str, space: Option<&str>) -> String {
    match space.filter(|space| !space.is_empty() && !name.contains('.')) {
        Some(space) => format!("{space}.{name}"),
        None => name.to_owned(),
    }
}

fn primitive(name: &str) -> Option<Kind> {
    Some(match name {
        "null" => Kind::Null,
        "boolean" => Kind::Boolean,
        "int" => Kind::Int,
        "long" => Kind::Long,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "bytes" => Kind::Bytes,
        "string" => Kind::String,
        _ => return None,
    })
}

fn wrong(problem: String) -> ConvertError {
    ConvertError::data(format!("The Avro schema cannot be read: {problem}"))
}
