//! Kafka Connect's own transforms and predicates, under the names of the classes that they stand in for. One file per
//! transform; what they have in common is in `side` (key or value) and `shape` (with a schema or without).

mod cast;
mod cast_value;
mod date_format;
mod drop_headers;
mod extract_field;
mod filter;
mod flatten;
mod header_from;
mod hoist_field;
mod insert_field;
mod insert_header;
mod java;
mod mask_field;
mod members;
mod path;
mod pattern;
mod predicates;
mod regex_router;
mod replace_field;
mod set_schema_metadata;
mod shape;
mod side;
mod timestamp_converter;
mod timestamp_router;
mod value_to_key;

use cast::Cast;
use drop_headers::DropHeaders;
use extract_field::ExtractField;
use filter::Filter;
use flatten::Flatten;
use header_from::HeaderFrom;
use hoist_field::HoistField;
use insert_field::InsertField;
use insert_header::InsertHeader;
use mask_field::MaskField;
use predicates::{HasHeaderKey, RecordIsTombstone, TopicNameMatches};
use regex_router::RegexRouter;
use replace_field::ReplaceField;
use set_schema_metadata::SetSchemaMetadata;
use side::{Key, Value};
use timestamp_converter::TimestampConverter;
use timestamp_router::TimestampRouter;
use value_to_key::ValueToKey;

hawser_plugin::export! {
    name: "transforms",
    transforms: [
        Cast<Key>,
        Cast<Value>,
        DropHeaders,
        ExtractField<Key>,
        ExtractField<Value>,
        Filter,
        Flatten<Key>,
        Flatten<Value>,
        HeaderFrom<Key>,
        HeaderFrom<Value>,
        HoistField<Key>,
        HoistField<Value>,
        InsertField<Key>,
        InsertField<Value>,
        InsertHeader,
        MaskField<Key>,
        MaskField<Value>,
        RegexRouter,
        ReplaceField<Key>,
        ReplaceField<Value>,
        SetSchemaMetadata<Key>,
        SetSchemaMetadata<Value>,
        TimestampConverter<Key>,
        TimestampConverter<Value>,
        TimestampRouter,
        ValueToKey,
    ],
    predicates: [HasHeaderKey, RecordIsTombstone, TopicNameMatches],
}

#[cfg(test)]
mod tests;
