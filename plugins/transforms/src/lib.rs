//! Kafka Connect's own transforms and predicates, under the names of the classes that they stand in for. One file per
//! transform; what they have in common is in `side` (key or value) and `shape` (with a schema or without).

mod filter;
mod insert_field;
mod mask_field;
mod pattern;
mod predicates;
mod regex_router;
mod replace_field;
mod shape;
mod side;

use filter::Filter;
use insert_field::InsertField;
use mask_field::MaskField;
use predicates::{HasHeaderKey, RecordIsTombstone, TopicNameMatches};
use regex_router::RegexRouter;
use replace_field::ReplaceField;
use side::{Key, Value};

hawser_plugin::export! {
    name: "transforms",
    transforms: [
        Filter,
        InsertField<Key>,
        InsertField<Value>,
        MaskField<Key>,
        MaskField<Value>,
        RegexRouter,
        ReplaceField<Key>,
        ReplaceField<Value>,
    ],
    predicates: [HasHeaderKey, RecordIsTombstone, TopicNameMatches],
}

#[cfg(test)]
mod tests;
