//! Protobuf schemas from their text.

use std::collections::HashMap;

use prost_reflect::{DescriptorPool, FileDescriptor, MessageDescriptor};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use protox::{Compiler, Error};

use crate::convert::ConvertError;
use crate::convert::registry::SchemaText;

/// Name of the schema's own file.
const ROOT: &str = "registered.proto";
/// Brackets in brackets that a schema may have: its parser takes a stack.
const MAX_DEPTH: usize = 64;

/// Files that every Confluent registry knows.
const KNOWN: [(&str, &str); 4] = [
    (
        "confluent/meta.proto",
        r#"syntax = "proto3"; package confluent; import "google/protobuf/descriptor.proto";
        message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; repeated Rule rules = 4; }
        message Rule { string name = 1; string doc = 2; string expr = 3; string sql = 4; }
        extend google.protobuf.FileOptions { Meta file_meta = 1088; }
        extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
        extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
        extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
        extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }"#,
    ),
    (
        "confluent/type/decimal.proto",
        r#"syntax = "proto3"; package confluent.type; message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }"#,
    ),
    (
        "google/type/date.proto",
        r#"syntax = "proto3"; package google.type; message Date { int32 year = 1; int32 month = 2; int32 day = 3; }"#,
    ),
    (
        "google/type/timeofday.proto",
        r#"syntax = "proto3"; package google.type;
        message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }"#,
    ),
];

/// The files of one schema, by the names under which they are imported.
struct Texts(HashMap<String, String>);

impl FileResolver for Texts {
    fn open_file(&self, name: &str) -> Result<File, Error> {
        match self.0.get(name) {
            Some(text) => File::from_source(name, text),
            None => Err(Error::file_not_found(name)),
        }
    }
}

/// Compiles a schema.
///
/// # Errors
/// A `DataException` that says where it is wrong.
pub fn compile(schema: &SchemaText) -> Result<FileDescriptor, ConvertError> {
    let mut texts: HashMap<String, String> = KNOWN.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
    texts.extend(schema.references.iter().map(|reference| (reference.name.clone(), reference.text.clone())));
    texts.insert(ROOT.to_owned(), schema.text.clone());
    if texts.values().any(|text| depth(text) > MAX_DEPTH) {
        return Err(wrong(format!("it is nested more than {MAX_DEPTH} deep")));
    }
    let mut resolver = ChainFileResolver::new();
    resolver.add(Texts(texts));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_file(ROOT).map_err(|error| wrong(error.to_string()))?;
    let pool: DescriptorPool = compiler.descriptor_pool();
    pool.get_file_by_name(ROOT).ok_or_else(|| wrong("it is empty".to_owned()))
}

/// The messages that stand inside of another. Confluent counts what is written there; the entries of maps are not.
fn nested(message: &MessageDescriptor) -> impl Iterator<Item = MessageDescriptor> {
    message.child_messages().filter(|child| !child.is_map_entry())
}

/// The message that indexes lead to from the file.
pub fn message(file: &FileDescriptor, indexes: &[i32]) -> Option<MessageDescriptor> {
    let (first, rest) = indexes.split_first()?;
    let place = |index: &i32| usize::try_from(*index).ok();
    let mut message = file.messages().nth(place(first)?)?;
    for index in rest {
        let child = nested(&message).nth(place(index)?)?;
        message = child;
    }
    Some(message)
}

/// The indexes that lead to a message from its file.
pub fn indexes(message: &MessageDescriptor) -> Vec<i32> {
    let mut indexes = Vec::new();
    let mut at = message.clone();
    while let Some(parent) = at.parent_message() {
        indexes.push(nested(&parent).position(|child| child == at).unwrap_or_default() as i32);
        at = parent;
    }
    indexes.push(at.parent_file().messages().position(|root| root == at).unwrap_or_default() as i32);
    indexes.reverse();
    indexes
}

fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'{' | b'[' | b'(' | b'<' => depth += 1,
            b'}' | b']' | b')' | b'>' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

/// The error for a schema that cannot be read.
pub fn wrong(problem: String) -> ConvertError {
    ConvertError::data(format!("The Protobuf schema cannot be read: {problem}"))
}
