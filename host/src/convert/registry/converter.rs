use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indexmap::IndexSet;

use super::client::{Client, Registered};
use super::settings::{Choice, Common};
use super::wire::{self, MAGIC_ID, Origin};
use super::{Format, Reading, Writing};
use crate::convert::classes::{Role, Setting};
use crate::convert::config::{Checked, ConfigError, ConfigKey};
use crate::convert::converter::{Converter, Decoded, Encoded, Place};
use crate::convert::payload::Schemas;
use crate::convert::{ConvertError, Outage};
use crate::record::{SCHEMA_BYTES, SCHEMA_JSON, SchemaId};

/// How long a refusal holds before the registry is asked again.
const REFUSAL_HOLDS: Duration = Duration::from_secs(30);

/// A converter whose schemas stand in a registry.
pub struct RegistryConverter<F> {
    format: F,
    common: Common,
    client: Client,
    schemas: Schemas,
    readers: Known<Origin, Box<dyn Reading>>,
    writers: Known<SchemaId, Writer>,
}

struct Writer {
    id: u32,
    writing: Box<dyn Writing>,
}

impl<F: Format + 'static> RegistryConverter<F> {
    /// Makes one of a format, which `format` makes from its own keys.
    ///
    /// # Errors
    /// [`ConfigError`] when a property cannot be.
    pub fn make(
        keys: &[ConfigKey],
        setting: &Setting<'_>,
        format: impl FnOnce(&Checked<'_>) -> F,
    ) -> Result<Box<dyn Converter>, ConfigError> {
        let config = Checked::new(keys, setting.properties, setting.prefix)?;
        Ok(Box::new(RegistryConverter {
            format: format(&config),
            common: Common::new(setting, &config)?,
            client: Client::new(setting, &config)?,
            schemas: Schemas::new(setting.schemas),
            readers: Known::default(),
            writers: Known::default(),
        }))
    }

    fn side(&self) -> &'static str {
        if self.common.role == Role::Key { "key" } else { "value" }
    }

    fn of_type(&self, schema: &Registered) -> Result<(), ConvertError> {
        let (ours, theirs) = (self.format.schema_type(), &schema.schema_type);
        if theirs.eq_ignore_ascii_case(ours) {
            return Ok(());
        }
        let message = format!("Schema {} is of type {theirs}, not {ours}; use the converter of that type", schema.id);
        Err(ConvertError::data(message))
    }

    async fn learn_reader(&mut self, origin: Origin, topic: &str) -> Result<Result<Box<dyn Reading>, ConvertError>, Outage> {
        let title = self.format.title();
        let early = self.common.strategy.subject(topic, self.common.role, None).ok();
        let mut schema = match self.client.schema(origin, early.as_deref()).await {
            Ok(schema) => schema,
            Err(error) => {
                let tried = format!("Error retrieving {title} {} schema for id {origin}", self.side());
                return error.of_record(&tried).map(Err);
            }
        };
        if let Err(error) = self.of_type(&schema) {
            return Ok(Err(error));
        }
        let named = self.format.record_name(&schema.schema);
        let subject = named.and_then(|name| self.common.strategy.subject(topic, self.common.role, name.as_deref()));
        schema.version = match subject {
            Ok(subject) => self.client.version(origin, &subject).await?,
            Err(error) => return Ok(Err(error)),
        };
        Ok(self.format.reader(&schema, &mut self.schemas))
    }

    async fn learn_writer(&mut self, id: SchemaId, topic: &str) -> Result<Result<Writer, ConvertError>, Outage> {
        let schema = match self.schemas.get(id) {
            Ok(schema) => schema.cloned(),
            Err(error) => return Ok(Err(error)),
        };
        let schema = schema.as_deref();
        let draft = match self.format.draft(schema) {
            Ok(draft) => draft,
            Err(error) => return Ok(Err(error)),
        };
        let name = self.format.record_name(&draft);
        let subject = match name.and_then(|name| self.common.strategy.subject(topic, self.common.role, name.as_deref())) {
            Ok(subject) => subject,
            Err(error) => return Ok(Err(error)),
        };
        let (kind, normalize, title) = (self.format.schema_type(), self.common.normalize, self.format.title());
        let own = |id| Registered { id, schema_type: kind.to_owned(), schema: draft.clone(), version: None };
        let (tried, strict, target) = match self.common.choice {
            Choice::Register => {
                let id = self.client.register(&subject, kind, &draft.text, normalize).await;
                (format!("Error registering {title} schema in subject {subject}"), true, id.map(own))
            }
            Choice::LookUp => {
                let id = self.client.look_up(&subject, kind, &draft.text, normalize).await;
                (format!("Error retrieving {title} schema in subject {subject}"), true, id.map(own))
            }
            Choice::Latest { strict, .. } => {
                let latest = self.client.latest(&subject).await;
                (format!("Error retrieving latest version of {title} schema in subject {subject}"), strict, latest)
            }
            Choice::Id { id, strict } => {
                let schema = self.client.schema(Origin::Id(id), Some(&subject)).await;
                (format!("Error retrieving schema ID {id}"), strict, schema)
            }
        };
        let target = match target {
            Ok(target) => target,
            Err(error) => return error.of_record(&tried).map(Err),
        };
        if let Err(error) = self.of_type(&target) {
            return Ok(Err(error));
        }
        let writing = self.format.writer(schema, &target, strict);
        Ok(writing.map(|writing| Writer { id: target.id, writing }))
    }

    /// How long what was learned about writing holds.
    fn holds(&self) -> Option<Duration> {
        match self.common.choice {
            Choice::Latest { ttl, .. } => ttl,
            _ => None,
        }
    }
}

#[async_trait::async_trait]
impl<F: Format + 'static> Converter for RegistryConverter<F> {
    fn keeps_decoded(&mut self, bytes: Option<&[u8]>) -> Option<SchemaId> {
        bytes.is_none().then_some(SCHEMA_BYTES)
    }

    fn decode(&mut self, place: &Place<'_>, bytes: Option<&[u8]>, out: &mut Vec<u8>) -> Result<Decoded, ConvertError> {
        let Some(bytes) = bytes else { return Ok(Decoded::Null(SCHEMA_BYTES)) };
        let schemas = &mut self.schemas;
        let (origin, indexes, data) = match wire::open(self.common.role, &place.headers, bytes) {
            Ok(opened) => opened,
            Err(error) => return Err(failed_to_read(self.format.title(), place.topic, error)),
        };
        let reading = match self.readers.get(origin, place.topic) {
            Some(Ok(reading)) => reading,
            Some(Err(error)) => return Err(failed_to_read(self.format.title(), place.topic, error.clone())),
            None => return Err(ConvertError::unknown_schema()),
        };
        let decoded = if indexes.is_empty() {
            reading.decode(data, schemas, out)
        } else {
            reading.decode(&[indexes, data].concat(), schemas, out)
        };
        decoded.map_err(|error| failed_to_read(self.format.title(), place.topic, error))
    }

    fn keeps_encoded(&mut self, schema: SchemaId, payload: Option<&[u8]>) -> bool {
        payload.is_none() && schema <= SCHEMA_JSON
    }

    fn encode(
        &mut self,
        place: &Place<'_>,
        schema: SchemaId,
        payload: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<Encoded, ConvertError> {
        if payload.is_none() && schema <= SCHEMA_JSON {
            return Ok(Encoded::Null);
        }
        let writer = match self.writers.get(schema, place.topic) {
            Some(Ok(writer)) => writer,
            Some(Err(error)) => return Err(failed_to_write(self.format.title(), place.topic, error.clone())),
            None => return Err(ConvertError::unknown_schema()),
        };
        out.push(MAGIC_ID);
        out.extend_from_slice(&writer.id.to_be_bytes());
        match writer.writing.encode(schema, payload, out) {
            Ok(true) => Ok(Encoded::Bytes),
            Ok(false) => {
                out.truncate(out.len() - 5);
                Ok(Encoded::Null)
            }
            Err(error) => Err(failed_to_write(self.format.title(), place.topic, error)),
        }
    }

    fn lacks_schemas(&self) -> bool {
        !(self.readers.wanted.is_empty() && self.writers.wanted.is_empty())
    }

    async fn learn(&mut self) -> Result<(), Outage> {
        self.readers.make_room(self.common.cached);
        while let Some((origin, topic)) = self.readers.wanted.first().cloned() {
            let learned = self.learn_reader(origin, &topic).await?;
            self.readers.put(origin, topic, learned, None);
        }
        self.writers.make_room(self.common.cached);
        while let Some((id, topic)) = self.writers.wanted.first().cloned() {
            let learned = self.learn_writer(id, &topic).await?;
            let holds = self.holds();
            self.writers.put(id, topic, learned, holds);
        }
        Ok(())
    }
}

fn failed_to_read(title: &str, topic: &str, cause: ConvertError) -> ConvertError {
    ConvertError::data(format!("Failed to deserialize data for topic {topic} to {title}: ")).caused_by(cause)
}

fn failed_to_write(title: &str, topic: &str, cause: ConvertError) -> ConvertError {
    ConvertError::data(format!("Failed to serialize {title} data from topic {topic}: ")).caused_by(cause)
}

/// What was learned about schemas, by what names them and topic, and what is to be learned.
struct Known<K, T> {
    places: HashMap<K, Vec<(Arc<str>, usize)>>,
    entries: Vec<Entry<T>>,
    /// The entry that was asked for last: mostly it is the next one too.
    last: Option<(K, Arc<str>, usize)>,
    wanted: IndexSet<(K, Arc<str>)>,
}

struct Entry<T> {
    learned: Result<T, ConvertError>,
    until: Option<Instant>,
}

impl<K, T> Default for Known<K, T> {
    fn default() -> Self {
        Known { places: HashMap::new(), entries: Vec::new(), last: None, wanted: IndexSet::new() }
    }
}

impl<K: Copy + Eq + std::hash::Hash, T> Known<K, T> {
    /// What is known; `None` if it is to be learned first.
    fn get(&mut self, key: K, topic: &str) -> Option<Result<&mut T, &ConvertError>> {
        let place = match &self.last {
            Some((last, of, place)) if *last == key && **of == *topic => Some(*place),
            _ => {
                let found = self.places.get(&key).and_then(|places| places.iter().find(|(of, _)| **of == *topic));
                if let Some((of, place)) = found {
                    self.last = Some((key, of.clone(), *place));
                }
                found.map(|(_, place)| *place)
            }
        };
        let known = place.and_then(|place| self.entries.get_mut(place));
        match known.filter(|entry| entry.until.is_none_or(|until| Instant::now() < until)) {
            Some(entry) => Some(entry.learned.as_mut().map_err(|error| &*error)),
            None => {
                self.wanted.insert((key, topic.into()));
                None
            }
        }
    }

    fn put(&mut self, key: K, topic: Arc<str>, learned: Result<T, ConvertError>, holds: Option<Duration>) {
        self.wanted.shift_remove(&(key, topic.clone()));
        let holds = if learned.is_err() { Some(REFUSAL_HOLDS) } else { holds };
        let entry = Entry { learned, until: holds.map(|holds| Instant::now() + holds) };
        let places = self.places.entry(key).or_default();
        match places.iter().find(|(of, _)| *of == topic).and_then(|(_, place)| self.entries.get_mut(*place)) {
            Some(known) => *known = entry,
            None => {
                places.push((topic, self.entries.len()));
                self.entries.push(entry);
            }
        }
    }

    /// Forgets everything when there is too much of it. What one batch needs is learned together, and stays together.
    fn make_room(&mut self, most: usize) {
        if self.entries.len() + self.wanted.len() > most {
            self.places.clear();
            self.entries.clear();
            self.last = None;
        }
    }
}
