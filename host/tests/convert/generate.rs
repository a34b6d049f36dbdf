//! Schemas, values and texts at random.

use hawser::convert::data::schema::Logical;
use hawser::convert::data::write::write_json;
use hawser::convert::data::{Field, Kind, Schema, Value, decimal::Decimal};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Which schemas and values are made.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Entries of a map at most. Java's maps have an order of their own.
    pub map_entries: usize,
    /// Whether there are bytes. Java has no text for them.
    pub bytes: bool,
    /// Whether there are defaults.
    pub defaults: bool,
}

pub const ANY: Shape = Shape { map_entries: 4, bytes: true, defaults: true };

pub fn text() -> BoxedStrategy<String> {
    prop_oneof![
        4 => "[a-z ]{0,12}",
        2 => "[ -~]{0,20}",
        1 => "\\PC{0,8}",
        1 => vec(any::<char>(), 0..6).prop_map(String::from_iter),
        1 => select(vec!["\u{0}", "\"", "\\", "\u{1f}\u{7f}", "é", "漢字", "😀", "\u{2028}", "null", "NaN", "12", "{}"]).prop_map(str::to_owned),
    ]
    .boxed()
}

fn leaf(shape: Shape) -> BoxedStrategy<Schema> {
    let mut kinds =
        vec![Kind::Boolean, Kind::Int8, Kind::Int16, Kind::Int32, Kind::Int64, Kind::Float32, Kind::Float64, Kind::String];
    if shape.bytes {
        kinds.push(Kind::Bytes);
    }
    let logical = prop_oneof![
        (-3..12i32).prop_map(|scale| Logical::Decimal(Some(scale))),
        select(vec![Logical::Date, Logical::Time, Logical::Timestamp])
    ];
    let name = option::weighted(0.1, "[a-z]{1,5}(\\.[A-Z][a-z]{1,4})?");
    let plain = (select(kinds), name, option::weighted(0.1, 1..9i32), option::weighted(0.1, text()), parameters())
        .prop_map(|(kind, name, version, doc, parameters)| Schema { name, version, doc, parameters, ..Schema::new(kind) });
    prop_oneof![5 => plain, 1 => logical.prop_map(Schema::logical_type)].boxed()
}

fn parameters() -> BoxedStrategy<Option<Vec<(String, String)>>> {
    let some = btree_map("[a-z]{1,4}", text(), 1..3).prop_map(|parameters| parameters.into_iter().collect());
    option::weighted(0.1, some).boxed()
}

/// A schema, optional or not, with or without a default.
pub fn schema(shape: Shape) -> BoxedStrategy<Schema> {
    let leaf = finished(leaf(shape), shape);
    leaf.prop_recursive(4, 24, 6, move |inner| {
        let key = prop_oneof![3 => Just(Schema::new(Kind::String)), 1 => Just(Schema::new(Kind::Int32)), 1 => Just(Schema::new(Kind::Boolean))];
        let fields = btree_map("[a-z]{1,4}|\\PC{1,3}", inner.clone(), 0..6).prop_map(|fields| {
            Kind::Struct(fields.into_iter().map(|(name, schema)| Field { name, schema }).collect())
        });
        let kind = prop_oneof![
            1 => inner.clone().prop_map(|items| Kind::Array(Box::new(items))),
            1 => (key, inner).prop_map(|(key, values)| Kind::Map(Box::new(key), Box::new(values))),
            2 => fields,
        ];
        let optional = |(kind, optional, name)| Schema { optional, name, ..Schema::new(kind) };
        (kind, any::<bool>(), option::weighted(0.2, "[a-z]{1,5}\\.[A-Z][a-z]{1,4}")).prop_map(optional)
    })
    .boxed()
}

fn finished(schema: BoxedStrategy<Schema>, shape: Shape) -> BoxedStrategy<Schema> {
    (schema, any::<bool>(), prop::bool::weighted(if shape.defaults { 0.2 } else { 0.0 }))
        .prop_flat_map(move |(schema, optional, with_default)| {
            let default = if with_default { value(&schema, shape).prop_map(Some).boxed() } else { Just(None).boxed() };
            (Just(schema), Just(optional), default)
        })
        .prop_map(|(schema, optional, default)| Schema { optional, default, ..schema })
        .boxed()
}

/// A value of a schema.
pub fn value(schema: &Schema, shape: Shape) -> BoxedStrategy<Value> {
    let value = match schema.logical() {
        Some(Logical::Decimal(scale)) => {
            let scale = scale.unwrap_or_default();
            let unscaled = prop_oneof![any::<i64>().prop_map(i128::from), any::<i128>(), (-300..300i128)];
            unscaled.prop_map(move |unscaled| Value::Decimal(Decimal { unscaled: unscaled.into(), scale })).boxed()
        }
        Some(Logical::Date) => (-100_000..3_000_000i32).prop_map(Value::Date).boxed(),
        Some(Logical::Time) => (0..=86_400_000i32).prop_map(Value::Time).boxed(),
        Some(Logical::Timestamp) => (-10_000_000_000_000i64..200_000_000_000_000).prop_map(Value::Timestamp).boxed(),
        None => of_kind(&schema.kind, shape),
    };
    if schema.optional { prop_oneof![1 => Just(Value::Null), 5 => value].boxed() } else { value }
}

fn of_kind(kind: &Kind, shape: Shape) -> BoxedStrategy<Value> {
    match kind {
        Kind::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        Kind::Int8 => any::<i8>().prop_map(Value::Int8).boxed(),
        Kind::Int16 => any::<i16>().prop_map(Value::Int16).boxed(),
        Kind::Int32 => any::<i32>().prop_map(Value::Int32).boxed(),
        Kind::Int64 => prop_oneof![any::<i64>(), -5..5i64].prop_map(Value::Int64).boxed(),
        Kind::Float32 => prop_oneof![any::<f32>(), (-9999..9999i32).prop_map(|cents| cents as f32 / 100.0)]
            .prop_filter("finite", |number| number.is_finite())
            // Jackson reads -0.0 as 0.0.
            .prop_map(|number| Value::Float32(number + 0.0))
            .boxed(),
        Kind::Float64 => double().prop_map(Value::Float64).boxed(),
        Kind::String => text().prop_map(Value::String).boxed(),
        Kind::Bytes => vec(any::<u8>(), 0..12).prop_map(Value::Bytes).boxed(),
        Kind::Array(items) => vec(value(items, shape), 0..4).prop_map(Value::Array).boxed(),
        Kind::Map(keys, values) => vec((value(keys, shape), value(values, shape)), 0..=shape.map_entries)
            .prop_map(|mut entries: Vec<(Value, Value)>| {
                let mut seen = Vec::new();
                entries.retain(|(key, _)| {
                    !seen.contains(key) && {
                        seen.push(key.clone());
                        true
                    }
                });
                Value::Map(entries)
            })
            .boxed(),
        Kind::Struct(fields) => {
            let values: Vec<_> = fields.iter().map(|field| value(&field.schema, shape)).collect();
            values.prop_map(Value::Struct).boxed()
        }
    }
}

fn double() -> BoxedStrategy<f64> {
    prop_oneof![any::<f64>(), (-99999..99999i32).prop_map(|cents| f64::from(cents) / 100.0), -1e9..1e9f64]
        .prop_filter("finite", |number| number.is_finite())
        .prop_map(|number| number + 0.0)
        .boxed()
}

/// A schema and a payload that follows it, both as JSON.
pub fn record(shape: Shape) -> BoxedStrategy<(Schema, String)> {
    schema(shape)
        .prop_flat_map(move |schema| (Just(schema.clone()), value(&schema, shape)))
        .prop_map(|(schema, value)| {
            let payload = json_of(Some(&schema), &value);
            (schema, payload)
        })
        .boxed()
}

pub fn json_of(schema: Option<&Schema>, value: &Value) -> String {
    let mut out = Vec::new();
    write_json(schema, value, false, &mut out);
    String::from_utf8(out).unwrap()
}

/// JSON without a schema, never null as a whole.
pub fn json(map_entries: usize) -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Boolean),
        2 => any::<i64>().prop_map(Value::Int64),
        2 => double().prop_map(Value::Float64),
        3 => text().prop_map(Value::String),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        let object = btree_map("[a-z]{1,4}|\\PC{1,3}", inner.clone(), 0..=map_entries);
        prop_oneof![
            vec(inner, 0..4).prop_map(Value::Array),
            object
                .prop_map(|members| Value::Map(members.into_iter().map(|(name, value)| (Value::String(name), value)).collect())),
        ]
    })
    .prop_filter("not null", |value| *value != Value::Null)
    .prop_map(|value| json_of(None, &value))
    .boxed()
}

/// Header text around what the grammar of header values knows.
pub fn header_text() -> BoxedStrategy<String> {
    let scalar = prop_oneof![
        2 => "[+-]?[0-9]{1,22}",
        2 => "[+-]?[0-9]{0,6}\\.[0-9]{0,6}([eE][+-]?[0-9]{1,3})?",
        1 => "[0-9]{1,3}[eE][+-]?[0-9]{1,4}",
        1 => "(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]",
        1 => "[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\\.[0-9]{3}Z",
        1 => "(19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\\.[0-9]{3}Z",
        1 => "true|false|null|True| true|null ",
        2 => "[a-z ]{0,6}",
    ];
    let quoted =
        prop_oneof![scalar.clone(), text().prop_map(|text| text.replace('"', "\\\""))].prop_map(|text| format!("\"{text}\""));
    let element = prop_oneof![3 => scalar.clone().boxed(), 3 => quoted.boxed()];
    let space = || select(vec!["", "", "", " "]);
    let container = element.prop_recursive(3, 16, 4, move |inner| {
        let list = |inner: BoxedStrategy<String>| vec((space(), inner, space()).prop_map(|(a, b, c)| format!("{a}{b}{c}")), 0..4);
        let entry =
            (inner.clone(), space(), inner.clone()).prop_map(|(key, space, value)| format!("{key}{space}:{space}{value}"));
        prop_oneof![
            list(inner.boxed()).prop_map(|elements| format!("[{}]", elements.join(","))),
            list(entry.boxed()).prop_map(|entries| format!("{{{}}}", entries.join(","))),
        ]
    });
    let noise = "[0-9:,\\[\\]{}\"\\\\ a-z.+-]{0,12}";
    prop_oneof![
        3 => scalar,
        4 => container.clone(),
        2 => noise,
        1 => (container, noise).prop_map(|(text, noise)| format!("{text}{noise}")),
        1 => text(),
    ]
    .boxed()
}

/// Bytes with a few of them changed, dropped or doubled.
pub fn damaged(bytes: BoxedStrategy<Vec<u8>>) -> BoxedStrategy<Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..4u8);
    (bytes, vec(change, 0..4))
        .prop_map(|(mut bytes, changes)| {
            for (place, byte, how) in changes {
                if bytes.is_empty() {
                    break;
                }
                let place = place.index(bytes.len());
                match how {
                    0 => bytes[place] = byte,
                    1 => drop(bytes.remove(place)),
                    2 => bytes.insert(place, byte),
                    _ => bytes.truncate(place),
                }
            }
            bytes
        })
        .boxed()
}
