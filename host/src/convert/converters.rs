use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use super::classes::{self, Role};
use super::column::{Cells, ConvertedCells, Side};
use super::converter::{Converter, Encoded, Place};
use super::schema_column::SchemaColumn;
use super::{ConfigError, ConvertError, Outage, Stage};
use crate::record::{Batch, NULL_LENGTH, RecordRef, SCHEMA_BYTES, SchemaId, SchemaTable};

/// A record that could not be converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its place in the batch that came in.
    pub index: u32,
    /// What could not be converted.
    pub stage: Stage,
    /// JVM class name of the converter.
    pub class: &'static str,
    /// Why.
    pub error: ConvertError,
}

/// A batch after conversion.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Converted {
    /// The records that could be converted.
    pub batch: Batch,
    /// For each of them, its place in the batch that came in. Empty: each is where it was.
    pub origins: Vec<u32>,
    /// Those that could not, in order.
    pub failures: Vec<Failure>,
}

impl Converted {
    /// The place that the record at `index` had in the batch that came in.
    pub fn origin(&self, index: usize) -> usize {
        self.origins.get(index).map_or(index, |origin| *origin as usize)
    }
}

/// How often schemas are fetched for one batch: the key of a record may be converted before its value is looked at.
const MAX_LESSONS: usize = 4;
/// How long fetching schemas for one batch may take at a stretch: a sink's consumer is not served meanwhile.
const MAX_LEARNING: Duration = Duration::from_secs(60);

/// A batch that cannot be converted now, as it was.
#[derive(Debug)]
pub struct Postponed {
    /// Why.
    pub outage: Outage,
    /// The batch.
    pub batch: Batch,
}

/// A connector's converters of one stage each.
struct Part {
    class: &'static str,
    converter: Box<dyn Converter>,
}

/// The converters of one task: for keys, for values and for headers. A worker makes one for each task.
pub struct Converters {
    key: Part,
    value: Part,
    header: Part,
    /// Bytes of the last buffer that was made anew: the next one will be as large.
    last_bytes: usize,
}

impl std::fmt::Debug for Converters {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Converters({}, {}, {})", self.key.class, self.value.class, self.header.class)
    }
}

impl Converters {
    /// The converters that a connector's configuration names, those of the worker's where it names none. As in Kafka Connect, a
    /// converter's own properties (`value.converter.schemas.enable`) are taken from where its class is named.
    ///
    /// # Errors
    /// [`ConfigError`] when a class is unknown or missing, or a property cannot be.
    pub fn from_config(
        connector: &[(String, String)],
        worker: &[(String, String)],
        schemas: &Arc<SchemaTable>,
    ) -> Result<Self, ConfigError> {
        let part = |role| {
            let (class, converter) = classes::converter(role, connector, worker, schemas)?;
            Ok(Part { class, converter })
        };
        Ok(Converters { key: part(Role::Key)?, value: part(Role::Value)?, header: part(Role::Header)?, last_bytes: 0 })
    }

    /// The classes for keys, values and headers.
    pub fn classes(&self) -> [&'static str; 3] {
        [self.key.class, self.value.class, self.header.class]
    }

    /// Bytes as they stand on topics to payloads. A batch in which nothing needs rewriting is moved, not copied. Schemas that
    /// are not known yet are fetched, each once.
    ///
    /// # Errors
    /// [`Postponed`] when a schema cannot be had, for now or ever.
    pub async fn decode(&mut self, batch: Batch) -> Result<Converted, Box<Postponed>> {
        self.convert(batch, Self::try_decode).await
    }

    /// Payloads to the bytes that go to topics. A batch in which nothing needs rewriting is moved, not copied. Schemas that are
    /// not known yet are fetched or registered, each once.
    ///
    /// # Errors
    /// [`Postponed`] when the registry cannot be asked, for now or ever.
    pub async fn encode(&mut self, batch: Batch) -> Result<Converted, Box<Postponed>> {
        self.convert(batch, Self::try_encode).await
    }

    async fn convert(
        &mut self,
        mut batch: Batch,
        convert: impl Fn(&mut Self, Batch) -> Result<Converted, Box<Batch>>,
    ) -> Result<Converted, Box<Postponed>> {
        for _ in 0..MAX_LESSONS {
            match convert(self, batch) {
                Ok(converted) => return Ok(converted),
                Err(unconverted) => batch = *unconverted,
            }
            let learned = tokio::time::timeout(MAX_LEARNING, self.learn()).await;
            let slow = || Err(Outage::passing(format!("the schema registry takes longer than {MAX_LEARNING:?}")));
            if let Err(outage) = learned.unwrap_or_else(|_| slow()) {
                return Err(Box::new(Postponed { outage, batch }));
            }
        }
        let outage =
            Outage::passing("the schemas of one batch are more than the converters remember; raise schemas.cache.config");
        Err(Box::new(Postponed { outage, batch }))
    }

    /// As [`decode`](Self::decode), with what is known already.
    ///
    /// # Errors
    /// The batch as it was, when schemas have to be fetched first.
    pub fn try_decode(&mut self, batch: Batch) -> Result<Converted, Box<Batch>> {
        let whole = self.whole_decoded(&batch);
        if let Some(schemas) = self.keep_decoded(&batch, whole) {
            let [key_schemas, value_schemas, header_schemas] = schemas.map(SchemaColumn::into_ids);
            return Ok(Converted {
                batch: Batch { key_schemas, value_schemas, header_schemas, ..batch },
                ..Converted::default()
            });
        }
        match self.one_column(&batch, whole, |converter, cells| converter.decode_column(cells)) {
            Some((side, cells)) => Ok(self.replace(batch, whole, side, cells)),
            None => self.rebuild(batch, &mut |part, place, _, bytes, out| Ok(part.converter.decode(place, bytes, out)?.parts())),
        }
    }

    /// As [`encode`](Self::encode), with what is known already.
    ///
    /// # Errors
    /// The batch as it was, when schemas have to be fetched or registered first.
    pub fn try_encode(&mut self, batch: Batch) -> Result<Converted, Box<Batch>> {
        let whole = self.whole_encoded(&batch);
        if self.keeps_encoded(&batch, whole) {
            let bare = Batch { key_schemas: Vec::new(), value_schemas: Vec::new(), header_schemas: Vec::new(), ..batch };
            return Ok(Converted { batch: bare, ..Converted::default() });
        }
        match self.one_column(&batch, whole, |converter, cells| converter.encode_column(cells)) {
            Some((side, cells)) => Ok(self.replace(batch, whole, side, cells)),
            None => self.rebuild(batch, &mut |part, place, schema, bytes, out| {
                Ok((SCHEMA_BYTES, part.converter.encode(place, schema, bytes, out)? == Encoded::Bytes))
            }),
        }
    }

    /// For keys, values and headers the id under which a plugin can have the whole column as it stands.
    fn whole_decoded(&mut self, batch: &Batch) -> [Option<SchemaId>; 3] {
        let ascii = OnceCell::new();
        let is_ascii = || *ascii.get_or_init(|| batch.data.is_ascii());
        let whole = |part: &mut Part, lengths: &[i32]| match part.converter.keeps_column_decoded().if_ascii(is_ascii) {
            // Nothing but nulls.
            None if lengths.is_empty() => part.converter.keeps_decoded(None),
            kept => kept,
        };
        let headers = match batch.header_lengths.is_empty() {
            true => Some(SCHEMA_BYTES),
            false => whole(&mut self.header, &batch.header_lengths),
        };
        [whole(&mut self.key, &batch.key_lengths), whole(&mut self.value, &batch.value_lengths), headers]
    }

    fn parts(&mut self) -> [&mut Part; 3] {
        [&mut self.key, &mut self.value, &mut self.header]
    }

    async fn learn(&mut self) -> Result<(), Outage> {
        for part in self.parts() {
            if part.converter.lacks_schemas() {
                part.converter.learn().await?;
            }
        }
        Ok(())
    }

    /// The schema columns of a batch that can be handed on as it stands.
    fn keep_decoded(&mut self, batch: &Batch, whole: [Option<SchemaId>; 3]) -> Option<[SchemaColumn; 3]> {
        let lengths = [batch.len(), batch.len(), batch.header_lengths.len()];
        let mut columns = [0, 1, 2].map(|side| whole[side].map(|id| SchemaColumn::of(id, lengths[side])).unwrap_or_default());
        if whole.iter().all(Option::is_some) {
            return Some(columns);
        }
        let missing = whole.map(|id| id.is_none());
        let [keys, values, headers] = &mut columns;
        for record in batch.records() {
            if missing[0] {
                keys.push(self.key.converter.keeps_decoded(record.key)?);
            }
            if missing[1] {
                values.push(self.value.converter.keeps_decoded(record.value)?);
            }
            if missing[2] {
                for header in record.headers() {
                    headers.push(self.header.converter.keeps_decoded(header.value)?);
                }
            }
        }
        Some(columns)
    }

    /// For keys, values and headers whether the whole column goes to the topic as it stands: 0 if so.
    fn whole_encoded(&mut self, batch: &Batch) -> [Option<SchemaId>; 3] {
        let ascii = OnceCell::new();
        let is_ascii = || *ascii.get_or_init(|| batch.data.is_ascii());
        let whole = |part: &mut Part, lengths: &[i32], schemas: &[SchemaId]| {
            let first = schemas.first().copied().unwrap_or(SCHEMA_BYTES);
            let kept = part.converter.keeps_column_encoded(schemas).if_ascii(is_ascii).is_some()
                // Nothing but nulls of one kind.
                || lengths.is_empty()
                    && schemas.iter().all(|schema| *schema == first)
                    && part.converter.keeps_encoded(first, None);
            kept.then_some(SCHEMA_BYTES)
        };
        let headers = match batch.header_lengths.is_empty() {
            true => Some(SCHEMA_BYTES),
            false => whole(&mut self.header, &batch.header_lengths, &batch.header_schemas),
        };
        let keys = whole(&mut self.key, &batch.key_lengths, &batch.key_schemas);
        [keys, whole(&mut self.value, &batch.value_lengths, &batch.value_schemas), headers]
    }

    fn keeps_encoded(&mut self, batch: &Batch, whole: [Option<SchemaId>; 3]) -> bool {
        let [keys, values, headers] = whole.map(|kept| kept.is_some());
        if keys && values && headers {
            return true;
        }
        batch.records().all(|record| {
            (keys || self.key.converter.keeps_encoded(record.key_schema(), record.key))
                && (values || self.value.converter.keeps_encoded(record.value_schema(), record.value))
                && (headers || record.headers().all(|header| self.header.converter.keeps_encoded(header.schema, header.value)))
        })
    }

    /// Converts the only column that cannot stay as it is; `None` if there are several, or a record cannot be converted.
    fn one_column(
        &mut self,
        batch: &Batch,
        whole: [Option<SchemaId>; 3],
        convert: impl FnOnce(&mut dyn Converter, Cells<'_>) -> Option<ConvertedCells>,
    ) -> Option<(Side, ConvertedCells)> {
        let (side, part) = match whole {
            [None, Some(_), Some(_)] => (Side::Key, &mut self.key),
            [Some(_), None, Some(_)] => (Side::Value, &mut self.value),
            _ => return None,
        };
        let capacity = self.last_bytes.max(batch.data.len());
        Some((side, convert(&mut *part.converter, Cells::new(batch, side, capacity))?))
    }

    /// Puts a converted column in the place of the one that it was made of.
    fn replace(&mut self, batch: Batch, whole: [Option<SchemaId>; 3], side: Side, cells: ConvertedCells) -> Converted {
        self.last_bytes = cells.data.len();
        let lengths = [batch.len(), batch.len(), batch.header_lengths.len()];
        let [key_schemas, value_schemas, header_schemas] =
            [0, 1, 2].map(|side| SchemaColumn::of(whole[side].unwrap_or_default(), lengths[side]).into_ids());
        let mut batch = Batch { data: cells.data, key_schemas, value_schemas, header_schemas, ..batch };
        let (column, schemas) = match side {
            Side::Key => (&mut batch.key_lengths, &mut batch.key_schemas),
            Side::Value => (&mut batch.value_lengths, &mut batch.value_schemas),
        };
        *column = cells.lengths;
        *schemas = cells.schemas.into_ids();
        Converted { batch, ..Converted::default() }
    }

    /// Converts record by record into a new buffer. The columns that conversion does not touch are moved, or thinned out by the
    /// records that failed. The batch comes back as it was if a converter has to learn schemas first.
    fn rebuild(&mut self, mut batch: Batch, convert: &mut Convert<'_>) -> Result<Converted, Box<Batch>> {
        let mut rebuilt = Rebuilt::with_capacity(&batch, self.last_bytes.max(batch.data.len()));
        let mut failures = Vec::new();
        let mut origins = Vec::with_capacity(batch.len());
        for record in batch.records() {
            let mark = rebuilt.mark();
            match self.record(&record, &mut rebuilt, convert) {
                Ok(()) => origins.push(record.index as u32),
                Err((stage, class, error)) => {
                    rebuilt.rewind(mark);
                    failures.push(Failure { index: record.index as u32, stage, class, error });
                }
            }
        }
        if !failures.is_empty() && self.parts().iter().any(|part| part.converter.lacks_schemas()) {
            return Err(Box::new(batch));
        }
        self.last_bytes = rebuilt.data.len();
        rebuilt.move_into(&mut batch);
        if failures.is_empty() {
            origins.clear();
        } else {
            thin_out(&mut batch, &origins);
        }
        Ok(Converted { batch, origins, failures })
    }

    fn record(
        &mut self,
        record: &RecordRef<'_>,
        rebuilt: &mut Rebuilt,
        convert: &mut Convert<'_>,
    ) -> Result<(), (Stage, &'static str, ConvertError)> {
        let place = Place { topic: record.topic(), headers: record.headers() };
        let data = &mut rebuilt.data;
        let mut run = |stage, part: &mut Part, schema, bytes, column: &mut Column| {
            let before = data.len();
            let (schema, non_null) = convert(part, &place, schema, bytes, data).map_err(|error| (stage, part.class, error))?;
            let length = i32::try_from(data.len() - before).map_err(|_| {
                (
                    stage,
                    part.class,
                    ConvertError::data("The converted record is larger than 2 GiB; split it before it reaches a topic"),
                )
            })?;
            column.lengths.push(if non_null { length } else { NULL_LENGTH });
            column.schemas.push(schema);
            Ok(())
        };
        run(Stage::Key, &mut self.key, record.key_schema(), record.key, &mut rebuilt.keys)?;
        run(Stage::Value, &mut self.value, record.value_schema(), record.value, &mut rebuilt.values)?;
        for header in record.headers() {
            run(Stage::Header, &mut self.header, header.schema, header.value, &mut rebuilt.headers)?;
        }
        Ok(())
    }
}

/// Converts one key, value or header; answers the schema id and whether it is not null.
type Convert<'c> =
    dyn FnMut(&mut Part, &Place<'_>, SchemaId, Option<&[u8]>, &mut Vec<u8>) -> Result<(SchemaId, bool), ConvertError> + 'c;

/// A length column and its schemas.
#[derive(Debug, Default)]
struct Column {
    lengths: Vec<i32>,
    schemas: SchemaColumn,
}

impl Column {
    fn len(&self) -> usize {
        self.lengths.len()
    }

    fn truncate(&mut self, length: usize) {
        self.lengths.truncate(length);
        self.schemas.truncate(length);
    }
}

/// The buffer of a batch and the columns that describe it.
#[derive(Debug, Default)]
struct Rebuilt {
    data: Vec<u8>,
    keys: Column,
    values: Column,
    headers: Column,
}

impl Rebuilt {
    fn with_capacity(batch: &Batch, bytes: usize) -> Self {
        let column = |length| Column { lengths: Vec::with_capacity(length), ..Column::default() };
        Rebuilt {
            data: Vec::with_capacity(bytes),
            keys: column(batch.len()),
            values: column(batch.len()),
            headers: column(batch.header_lengths.len()),
        }
    }

    fn mark(&self) -> [usize; 4] {
        [self.data.len(), self.keys.len(), self.values.len(), self.headers.len()]
    }

    fn rewind(&mut self, [data, keys, values, headers]: [usize; 4]) {
        self.data.truncate(data);
        self.keys.truncate(keys);
        self.values.truncate(values);
        self.headers.truncate(headers);
    }

    fn move_into(self, batch: &mut Batch) {
        batch.data = self.data;
        batch.key_lengths = self.keys.lengths;
        batch.key_schemas = self.keys.schemas.into_ids();
        batch.value_lengths = self.values.lengths;
        batch.value_schemas = self.values.schemas.into_ids();
        batch.header_lengths = self.headers.lengths;
        batch.header_schemas = self.headers.schemas.into_ids();
    }
}

/// Leaves of the columns that conversion does not touch only the records that are left.
fn thin_out(batch: &mut Batch, origins: &[u32]) {
    fn thin<T: Copy>(column: &mut Vec<T>, origins: &[u32]) {
        if !column.is_empty() {
            *column = origins.iter().filter_map(|origin| column.get(*origin as usize).copied()).collect();
        }
    }
    let mut header = 0;
    let mut header_names = Vec::with_capacity(batch.header_name_indexes.len());
    let mut kept = origins.iter().copied().peekable();
    for (index, count) in (0..).zip(&batch.header_counts) {
        let end = header + *count as usize;
        if kept.next_if_eq(&index).is_some() {
            header_names.extend_from_slice(batch.header_name_indexes.get(header..end).unwrap_or_default());
        }
        header = end;
    }
    batch.header_name_indexes = header_names;
    thin(&mut batch.header_counts, origins);
    thin(&mut batch.topic_indexes, origins);
    thin(&mut batch.partitions, origins);
    thin(&mut batch.timestamps, origins);
    thin(&mut batch.offsets, origins);
    batch.count = origins.len() as u32;
}
