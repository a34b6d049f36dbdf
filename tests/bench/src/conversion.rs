//! Converters and transforms alone, a batch at a time in memory: what each row of [`ROWS`] takes here and in the JVM.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hawser::convert::Converters;
use hawser::record::{Batch, BatchBuilder, HeaderRef, Record, SCHEMA_BYTES, SchemaTable};
use hawser::sandbox::{ChainInstance, Component, Step};
use serde_json::Value;

use crate::jvm::{Jvm, Measured};
use crate::meter::thread_cpu;
use crate::registry::Registry;
use crate::rows::{Config, ENVELOPED_JSON, KeyAndValue, ROWS, Records, Row, with_headers};
use crate::stages::{Pairs, environment, known, pairs};

/// Records in a batch, as the worker makes them.
const BATCH: usize = 500;
/// How long a row is run before it is measured, how long in one round, and how often.
const WARM_UP: Duration = Duration::from_millis(200);
const ROUND: Duration = Duration::from_millis(300);
const ROUNDS: usize = 5;

/// What a row took.
pub struct Outcome {
    /// The row.
    pub row: &'static Row,
    /// Nanoseconds of processor time per record.
    pub ours: f64,
    /// The same in the JVM.
    pub theirs: Option<Measured>,
}

/// Measures every row whose records have a size; or those whose records have none.
///
/// # Errors
/// When a row fails, or the JVM makes something else of a record.
pub async fn rows(transforms: &Arc<Component>, jvm: Option<&Jvm>, size: Option<usize>) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for row in ROWS.iter().filter(|row| row.records.are_sized() == size.is_some()) {
        let mut records: Vec<_> = (0..BATCH).map(|number| row.records.make(number, size.unwrap_or_default())).collect();
        let registry = Registry::start().await?;
        if row.records == Records::Registered {
            records = registered(row, &records, &registry).await.with_context(|| row.name)?;
        }
        let mut path = Path::start(row, transforms, batch(&records), &registry).await.with_context(|| row.name)?;
        let first = path.once(path.batch.clone()).await.with_context(|| row.name)?;
        let ours = path.measure(&first).await?;
        let schema = registry.schema();
        let theirs = jvm.map(|jvm| jvm.measure(row, &records, &schema)).transpose()?.flatten();
        if let Some(theirs) = &theirs {
            compare(row, &first, theirs)?;
        }
        outcomes.push(Outcome { row, ours, theirs });
    }
    Ok(outcomes)
}

/// Records in envelopes as the row's converter writes them.
async fn registered(row: &Row, records: &[KeyAndValue], registry: &Registry) -> anyhow::Result<Vec<KeyAndValue>> {
    let schemas = Arc::new(SchemaTable::default());
    let mut read = Converters::from_config(&with_headers(ENVELOPED_JSON), &[], &schemas)?;
    let mut write = Converters::from_config(&configured(row.encode, registry), &[], &schemas)?;
    let decoded = known(read.try_decode(batch(records)))?;
    let written = write.encode(decoded.batch).await.map_err(|postponed| anyhow::anyhow!("{}", postponed.outage))?;
    ensure!(written.failures.is_empty(), "{:?}", written.failures.first());
    Ok(written.batch.records().map(|record| (record.value.map(<[u8]>::to_vec), None)).collect())
}

/// A row's converters, and the registry for those that want one.
fn configured(config: Config, registry: &Registry) -> Pairs {
    let mut config = with_headers(config);
    config.push(("value.converter.schema.registry.url".to_owned(), registry.url.clone()));
    config
}

/// Converters, transforms, converters.
struct Path {
    decode: Converters,
    encode: Converters,
    chain: Option<ChainInstance>,
    batch: Batch,
}

impl Path {
    async fn start(row: &Row, transforms: &Arc<Component>, batch: Batch, registry: &Registry) -> anyhow::Result<Self> {
        let schemas = Arc::new(SchemaTable::default());
        let step = |(number, config): (usize, &Config)| {
            let (types, config): (Vec<_>, Vec<_>) = pairs(config).into_iter().partition(|(key, _)| key == "type");
            let class = types.into_iter().next().map(|(_, class)| class).unwrap_or_default();
            Step { class, alias: number.to_string(), config, predicate: None, negate: false }
        };
        let steps: Vec<_> = row.transforms.iter().enumerate().map(step).collect();
        let chain = match steps.is_empty() {
            true => None,
            false => Some(transforms.start_chain(steps, Vec::new(), environment(&schemas)).await?),
        };
        let converters = |config| Converters::from_config(&configured(config, registry), &[], &schemas);
        let (mut decode, mut encode) = (converters(row.decode)?, converters(row.encode)?);
        if row.records == Records::Registered {
            // They learn the schema.
            let decoded = decode.decode(batch.clone()).await.map_err(|postponed| anyhow::anyhow!("{}", postponed.outage))?;
            encode.encode(decoded.batch).await.map_err(|postponed| anyhow::anyhow!("{}", postponed.outage))?;
        }
        Ok(Path { decode, encode, chain, batch })
    }

    async fn once(&mut self, batch: Batch) -> anyhow::Result<Batch> {
        let decoded = known(self.decode.try_decode(batch))?;
        let transformed = match &mut self.chain {
            None => decoded.batch,
            Some(chain) => chain.apply(&decoded.batch).await?.records,
        };
        let encoded = known(self.encode.try_encode(transformed))?;
        ensure!(encoded.batch.len() == BATCH, "{} of {BATCH} records came out", encoded.batch.len());
        Ok(encoded.batch)
    }

    /// Nanoseconds of processor time per record. Where records come out as they went in, the next batch is the last one's outcome; elsewhere
    /// it is a copy, which is counted against us.
    async fn measure(&mut self, first: &Batch) -> anyhow::Result<f64> {
        let gives_back = *first == self.batch;
        let mut again = gives_back.then(|| first.clone());
        let mut best = f64::INFINITY;
        for round in 0..=ROUNDS {
            let (began, before, mut records) = (Instant::now(), thread_cpu(), 0);
            while began.elapsed() < if round == 0 { WARM_UP } else { ROUND } {
                let batch = again.take().unwrap_or_else(|| self.batch.clone());
                let out = self.once(batch).await?;
                again = gives_back.then_some(out);
                records += BATCH;
            }
            if round > 0 {
                best = best.min((thread_cpu() - before).as_nanos() as f64 / records as f64);
            }
        }
        Ok(best)
    }
}

fn batch(records: &[KeyAndValue]) -> Batch {
    let mut builder = BatchBuilder::default();
    for (number, (value, header)) in (0..).zip(records) {
        let record = Record {
            topic: "bench",
            partition: 0,
            timestamp: 1_700_000_000_000 + number,
            offset: Some(number.unsigned_abs()),
            value: value.as_deref(),
            ..Record::default()
        };
        let header = header.as_ref().map(|value| HeaderRef { name: "h", value: Some(value), schema: SCHEMA_BYTES });
        builder.push(record, header);
    }
    builder.finish()
}

/// Both sides did the same work: each record is the same, as JSON where it is JSON.
fn compare(row: &Row, ours: &Batch, theirs: &Measured) -> anyhow::Result<()> {
    ensure!(ours.len() == theirs.records.len(), "{}: {} records in the JVM", row.name, theirs.records.len());
    for (record, theirs) in ours.records().zip(&theirs.records) {
        let header = record.headers().next().and_then(|header| header.value);
        for (ours, theirs) in [record.key, record.value, header].into_iter().zip(theirs) {
            let json = |bytes: Option<&[u8]>| bytes.and_then(|bytes| serde_json::from_slice::<Value>(bytes).ok());
            let same = ours == theirs.as_deref() || {
                let ours = json(ours);
                ours.is_some() && ours == json(theirs.as_deref())
            };
            let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"null")).into_owned();
            ensure!(same, "{}: {} here, {} in the JVM", row.name, text(ours), text(theirs.as_deref()));
        }
    }
    Ok(())
}
