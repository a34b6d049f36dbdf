//! ReplaceField: leaves out fields, or renames them.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use hawser_plugin::prelude::*;
use hawser_plugin::schema;

use crate::shape::{Shape, add_field, copy_basics, defaults, fill_in, shape};
use crate::side::{KeyOrValue, REPLACE_NULL, ReplaceNullKey, two_sided};

const PURPOSE: &str = "field replacement";

/// Leaves out and renames fields.
#[derive(Debug)]
pub struct ReplaceField<S> {
    exclude: BTreeSet<String>,
    include: BTreeSet<String>,
    renames: BTreeMap<String, String>,
    replace_null: bool,
    schemas: SchemaCache<Changed>,
    side: PhantomData<S>,
}

/// What becomes of a schema.
#[derive(Debug)]
struct Changed {
    schema: SchemaId,
    defaults: Vec<(String, String)>,
}

fn check_renames(text: &str) -> Result<(), String> {
    text.split(',').map(str::trim).filter(|mapping| !mapping.is_empty()).try_for_each(|mapping| match parse_rename(mapping) {
        Some(_) => Ok(()),
        None => Err(format!("Invalid rename mapping: {mapping}")),
    })
}

fn parse_rename(mapping: &str) -> Option<(String, String)> {
    let (old, new) = mapping.split_once(':')?;
    (!new.is_empty() && !new.contains(':')).then(|| (old.to_owned(), new.to_owned()))
}

impl<S: KeyOrValue> Class for ReplaceField<S> {
    fn class() -> ClassInfo {
        let config = ConfigDef::new()
            .list("exclude")
            .default_value("")
            .doc("Fields to leave out. This takes precedence over the fields to include.")
            .list("include")
            .default_value("")
            .doc("Fields to include. If there are any, only these are kept.")
            .list("renames")
            .default_value("")
            .check(check_renames)
            .doc("Fields to rename, as old:new.")
            .replace_null_with_default();
        two_sided::<S>("ReplaceField").summary("Leaves out fields, or renames them.").config(config)
    }
}

impl<S: KeyOrValue> Transform for ReplaceField<S> {
    fn start(config: &Config) -> Result<Self> {
        Ok(Self {
            exclude: config.get::<Vec<String>>("exclude")?.into_iter().collect(),
            include: config.get::<Vec<String>>("include")?.into_iter().collect(),
            renames: config.get::<Vec<String>>("renames")?.iter().filter_map(|mapping| parse_rename(mapping)).collect(),
            replace_null: config.get(REPLACE_NULL)?,
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
        let mut object = record.object(S::SIDE)?;
        if self.include.is_empty() {
            for name in &self.exclude {
                object.remove(name);
            }
        } else {
            object.retain(|name| keeps(&self.exclude, &self.include, name));
        }
        if !self.renames.is_empty() {
            object.rename_each(self.renames.iter().map(|(old, new)| (old.as_str(), new.as_str())));
        }
        Ok(Verdict::Keep)
    }
}

fn keeps(exclude: &BTreeSet<String>, include: &BTreeSet<String>, name: &str) -> bool {
    !exclude.contains(name) && (include.is_empty() || include.contains(name))
}

impl<S> ReplaceField<S> {
    fn changed(&mut self, id: SchemaId) -> Result<std::rc::Rc<Changed>, RecordError> {
        let Self { exclude, include, renames, replace_null, schemas, .. } = self;
        schemas.get_or_insert_with(id, || {
            let schema = schema::get(id)?;
            let mut fields = Vec::new();
            for field in schema.fields().iter().filter(|field| keeps(exclude, include, &field.name)) {
                add_field(&mut fields, renames.get(&field.name).unwrap_or(&field.name), field.schema.clone())?;
            }
            let defaults = if *replace_null { defaults(&schema) } else { Vec::new() };
            Ok(Changed { schema: schema::put(&copy_basics(&schema, fields))?, defaults })
        })
    }
}
