//! InsertField: adds what is known of a record, or a fixed text, as fields.

use std::marker::PhantomData;
use std::rc::Rc;

use hawser_plugin::prelude::*;
use hawser_plugin::schema::{self, Kind};

use crate::shape::{Shape, add_field, copy_basics, defaults, fill_in, shape};
use crate::side::{KeyOrValue, REPLACE_NULL, ReplaceNullKey, two_sided};

const PURPOSE: &str = "field insertion";

/// Adds fields.
#[derive(Debug)]
pub struct InsertField<S> {
    topic: Option<Insertion>,
    partition: Option<Insertion>,
    offset: Option<Insertion>,
    timestamp: Option<Insertion>,
    fixed: Option<(Insertion, String)>,
    replace_null: bool,
    /// The topic of the present record.
    topic_name: String,
    schemas: SchemaCache<Changed>,
    side: PhantomData<S>,
}

/// A field to add.
#[derive(Debug)]
struct Insertion {
    name: String,
    optional: bool,
}

/// What becomes of a schema.
#[derive(Debug)]
struct Changed {
    schema: SchemaId,
    defaults: Vec<(String, String)>,
}

impl Insertion {
    /// `name!` is required, `name?` or `name` is optional.
    fn new(spec: &str) -> Self {
        let (name, optional) = match (spec.strip_suffix('!'), spec.strip_suffix('?')) {
            (Some(name), _) => (name, false),
            (_, Some(name)) => (name, true),
            _ => (spec, true),
        };
        Self { name: name.to_owned(), optional }
    }

    fn find(config: &Config, key: &str) -> Result<Option<Self>> {
        Ok(config.find(key)?.map(Self::new))
    }

    fn add_to(&self, fields: &mut Vec<schema::Field>, schema: Schema) -> Result<(), RecordError> {
        add_field(fields, &self.name, Schema { optional: self.optional, ..schema })
    }
}

impl<S: KeyOrValue> Class for InsertField<S> {
    fn class() -> ClassInfo {
        const SUFFIX: &str = "\nSuffix with ! to make this a required field, or ? to keep it optional (the default).";
        let doc = |text: &str| format!("{text}{SUFFIX}");
        let config = ConfigDef::new()
            .string("topic.field")
            .doc(&doc("Field name for the Kafka topic."))
            .string("partition.field")
            .doc(&doc("Field name for the Kafka partition."))
            .string("offset.field")
            .doc(&doc("Field name for the Kafka offset; only for sinks."))
            .string("timestamp.field")
            .doc(&doc("Field name for the timestamp of the record."))
            .string("static.field")
            .doc(&doc("Field name for a fixed text."))
            .string("static.value")
            .doc("The fixed text, if there is a field for it.")
            .replace_null_with_default();
        two_sided::<S>("InsertField").summary("Adds what is known of a record, or a fixed text, as fields.").config(config)
    }

    fn validate(config: &Config) -> Vec<Problem> {
        let is_set = |key: &str| matches!(config.find::<&str>(key), Ok(Some(_)));
        let fields = ["topic.field", "partition.field", "offset.field", "timestamp.field", "static.field"];
        if !fields.into_iter().any(is_set) {
            return vec![Problem::new("topic.field", "No field insertion configured")];
        }
        match config.find::<&str>("static.field") {
            Ok(Some(field)) if !is_set("static.value") => {
                let reason = format!("No value specified for static field: {field}");
                vec![Problem::invalid("static.value", "null", &reason)]
            }
            _ => Vec::new(),
        }
    }
}

impl<S: KeyOrValue> Transform for InsertField<S> {
    fn start(config: &Config) -> Result<Self> {
        Ok(Self {
            topic: Insertion::find(config, "topic.field")?,
            partition: Insertion::find(config, "partition.field")?,
            offset: Insertion::find(config, "offset.field")?,
            timestamp: Insertion::find(config, "timestamp.field")?,
            fixed: Insertion::find(config, "static.field")?.zip(config.find("static.value")?),
            replace_null: config.get(REPLACE_NULL)?,
            topic_name: String::new(),
            schemas: SchemaCache::default(),
            side: PhantomData,
        })
    }

    fn apply(&mut self, record: &mut Record) -> Result<Verdict, RecordError> {
        match shape(record, S::SIDE, PURPOSE)? {
            Shape::Null | Shape::NullWithSchema => return Ok(Verdict::Keep),
            Shape::Map => {}
            Shape::Struct(id, _) => {
                let changed = self.changed(id)?;
                fill_in(record, S::SIDE, &changed.defaults)?;
                record.set_schema(S::SIDE, changed.schema);
            }
        }
        self.insert(record)?;
        Ok(Verdict::Keep)
    }
}

impl<S: KeyOrValue> InsertField<S> {
    fn insert(&mut self, record: &mut Record) -> Result<(), RecordError> {
        let (partition, offset, timestamp) = (record.partition(), record.offset(), record.timestamp());
        record.topic().clone_into(&mut self.topic_name);
        let mut object = record.object(S::SIDE)?;
        if let Some(field) = &self.topic {
            object.set_text(&field.name, &self.topic_name);
        }
        if let Some((field, partition)) = self.partition.as_ref().zip(partition) {
            object.set_number(&field.name, partition);
        }
        if let Some(field) = &self.offset {
            let offset = offset.ok_or_else(|| {
                RecordError::data(format!(
                    "Only SinkRecord supported for [{PURPOSE}], found: org.apache.kafka.connect.source.SourceRecord"
                ))
            })?;
            object.set_number(&field.name, offset.cast_signed());
        }
        if let Some((field, timestamp)) = self.timestamp.as_ref().zip(timestamp) {
            object.set_number(&field.name, timestamp);
        }
        if let Some((field, text)) = &self.fixed {
            object.set_text(&field.name, text);
        }
        Ok(())
    }

    fn changed(&mut self, id: SchemaId) -> Result<Rc<Changed>, RecordError> {
        let Self { topic, partition, offset, timestamp, fixed, replace_null, schemas, .. } = self;
        schemas.get_or_insert_with(id, || {
            let schema = schema::get(id)?;
            let mut fields = schema.fields().to_vec();
            let added = [
                (topic.as_ref(), Schema::new(Kind::String)),
                (partition.as_ref(), Schema::new(Kind::Int32)),
                (offset.as_ref(), Schema::new(Kind::Int64)),
                (timestamp.as_ref(), Schema::timestamp()),
                (fixed.as_ref().map(|(field, _)| field), Schema::new(Kind::String)),
            ];
            for (field, schema) in added {
                if let Some(field) = field {
                    field.add_to(&mut fields, schema)?;
                }
            }
            let defaults = if *replace_null { defaults(&schema) } else { Vec::new() };
            Ok(Changed { schema: schema::put(&copy_basics(&schema, fields))?, defaults })
        })
    }
}
