//! Where the source connectors are: one record per connector and source partition, in Kafka Connect's form.
//!
//! A key is the JSON array `["connector",{partition}]`, a value the JSON object of the offset. Kafka compares keys as bytes,
//! but two workers may write the members of one partition in different orders; so keys are matched by value here, and a
//! partition is written again under the very bytes under which it was found.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
use tracing::warn;

use super::{CompactedLog, Entry, LogReader, LogRecord, StoreError, log::readable};

/// Source partitions of one connector that are remembered; a connector that invents ever new ones is refused more.
pub const MAX_PARTITIONS_PER_CONNECTOR: usize = 1_000_000;

/// The offsets of all source connectors.
///
/// Partitions and offsets are JSON texts: an object of strings, numbers, booleans and nulls; a partition may also be `null`.
pub struct OffsetStore {
    log: Arc<dyn CompactedLog>,
    reader: Arc<Reader>,
}

#[derive(Default)]
struct Reader {
    connectors: Mutex<HashMap<String, BTreeMap<Canonical, Partition>>>,
}

/// A partition as JSON text with sorted members.
type Canonical = Arc<str>;

/// One source partition.
struct Partition {
    /// The record keys under which it is stored: one, unless workers disagree on the order of members. The last is the newest.
    keys: Vec<Vec<u8>>,
    /// The partition as it stands in the newest key.
    text: Arc<str>,
    offset: Arc<str>,
}

impl Reader {
    fn connectors(&self) -> MutexGuard<'_, HashMap<String, BTreeMap<Canonical, Partition>>> {
        self.connectors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LogReader for Reader {
    fn apply(&self, records: &[LogRecord<'_>]) {
        let mut connectors = self.connectors();
        for record in records {
            match decode(record) {
                Ok((connector, canonical, partition, Some(offset))) => {
                    let partitions = connectors.entry(connector).or_default();
                    let mut keys = partitions.remove(&canonical).map(|known| known.keys).unwrap_or_default();
                    keys.retain(|key| key != record.key);
                    keys.push(record.key.to_vec());
                    partitions.insert(canonical, Partition { keys, text: partition, offset });
                }
                Ok((connector, canonical, _, None)) => forget(&mut connectors, &connector, &canonical, record.key),
                Err(reason) => {
                    warn!(key = readable(record.key), offset = record.offset, "ignoring a source offset: {reason}");
                }
            }
        }
    }
}

/// Removes one key of a partition, and with the last one the partition.
fn forget(connectors: &mut HashMap<String, BTreeMap<Canonical, Partition>>, connector: &str, canonical: &str, key: &[u8]) {
    let Some(partitions) = connectors.get_mut(connector) else { return };
    if let Some(known) = partitions.get_mut(canonical) {
        known.keys.retain(|present| present != key);
        if known.keys.is_empty() {
            partitions.remove(canonical);
        }
    }
    if partitions.is_empty() {
        connectors.remove(connector);
    }
}

impl OffsetStore {
    /// Reads the whole log and follows it from then on.
    pub async fn open(log: Arc<dyn CompactedLog>) -> Result<OffsetStore, StoreError> {
        let reader = Arc::new(Reader::default());
        log.start(reader.clone()).await?;
        Ok(OffsetStore { log, reader })
    }

    /// The offsets of `partitions`, in their order, `None` where there is none. Catches up with other workers first.
    pub async fn get(&self, connector: &str, partitions: &[String]) -> Result<Vec<Option<Arc<str>>>, StoreError> {
        let wanted = partitions.iter().map(|text| parse_partition(text)).collect::<Result<Vec<_>, _>>()?;
        self.log.read_to_end().await?;
        let connectors = self.reader.connectors();
        let known = connectors.get(connector);
        Ok(wanted.iter().map(|partition| Some(known?.get(canonical(partition).as_str())?.offset.clone())).collect())
    }

    /// Writes offsets; `None` removes one. All are durable when this returns. The order of different partitions is free.
    pub async fn put(&self, connector: &str, offsets: Vec<(String, Option<String>)>) -> Result<(), StoreError> {
        let mut entries = Vec::with_capacity(offsets.len());
        {
            let connectors = self.reader.connectors();
            let known = connectors.get(connector);
            let mut room = MAX_PARTITIONS_PER_CONNECTOR.saturating_sub(known.map_or(0, BTreeMap::len));
            for (partition, offset) in offsets {
                let partition = parse_partition(&partition)?;
                let value = offset.map(|text| offset_bytes(&text)).transpose()?;
                match known.and_then(|known| known.get(canonical(&partition).as_str())) {
                    // Under every key, lest an older record of the same partition should count after a restart.
                    Some(known) => entries.extend(known.keys.iter().map(|key| (key.clone(), value.clone()))),
                    None if value.is_none() => {}
                    None => {
                        room = room.checked_sub(1).ok_or_else(|| too_many(connector))?;
                        entries.push((encode_key(connector, &partition), value));
                    }
                }
            }
        }
        self.append(entries).await
    }

    /// All partitions of a connector with their offsets, in a fixed order. Catches up with other workers first.
    pub async fn list(&self, connector: &str) -> Result<Vec<(Arc<str>, Arc<str>)>, StoreError> {
        Ok(self.entries(connector).await?.into_iter().map(|(_, entry)| entry).collect())
    }

    /// The same, each partition under a text that is the same for the same partition.
    pub(super) async fn entries(&self, connector: &str) -> Result<Vec<(Arc<str>, (Arc<str>, Arc<str>))>, StoreError> {
        self.log.read_to_end().await?;
        let connectors = self.reader.connectors();
        let partitions = connectors.get(connector).into_iter().flatten();
        Ok(partitions.map(|(canonical, known)| (canonical.clone(), (known.text.clone(), known.offset.clone()))).collect())
    }

    /// Removes all offsets of a connector; answers how many partitions it had.
    pub async fn reset(&self, connector: &str) -> Result<usize, StoreError> {
        self.log.read_to_end().await?;
        let (count, entries) = {
            let connectors = self.reader.connectors();
            let partitions = connectors.get(connector);
            let keys = partitions.into_iter().flat_map(BTreeMap::values).flat_map(|known| known.keys.iter());
            (partitions.map_or(0, BTreeMap::len), keys.map(|key| (key.clone(), None)).collect())
        };
        self.append(entries).await?;
        Ok(count)
    }

    async fn append(&self, entries: Vec<Entry>) -> Result<(), StoreError> {
        if entries.is_empty() { Ok(()) } else { self.log.append(entries).await }
    }
}

fn too_many(connector: &str) -> StoreError {
    StoreError::Invalid(format!(
        "Connector {connector} has offsets for {MAX_PARTITIONS_PER_CONNECTOR} source partitions, which is the limit; \
         use fewer source partitions or reset the connector's offsets"
    ))
}

type Decoded = (String, Canonical, Arc<str>, Option<Arc<str>>);

/// Reads a record: connector, partition (sorted and as written), offset. The offset keeps its digits: it is not re-printed.
fn decode(record: &LogRecord<'_>) -> Result<Decoded, &'static str> {
    let (connector, partition): (String, Box<RawValue>) =
        serde_json::from_slice(record.key).map_err(|_| "its key is not a JSON array of a connector and a partition")?;
    let value = read(partition.get()).map_err(|_| "its partition is not JSON")?;
    if !value.is_object() && !value.is_null() {
        return Err("its partition is not a JSON object");
    }
    let offset = match record.value {
        None => None,
        Some(bytes) => {
            serde_json::from_slice::<Map<String, Value>>(bytes).map_err(|_| "its value is not a JSON object")?;
            Some(str::from_utf8(bytes).map_err(|_| "its value is not UTF-8")?.trim().into())
        }
    };
    Ok((connector, canonical(&value).into(), partition.get().into(), offset))
}

fn encode_key(connector: &str, partition: &Value) -> Vec<u8> {
    let mut key = Vec::new();
    let written = (connector, partition).serialize(&mut Serializer::with_formatter(&mut key, LikeJackson));
    // Writing JSON to memory cannot fail.
    written.map(|()| key).unwrap_or_default()
}

/// Escapes as the JSON library of Kafka Connect does, because Kafka compares keys as bytes.
struct LikeJackson;

impl Formatter for LikeJackson {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for char in fragment.chars() {
            let mut units = [0; 2];
            match char.encode_utf16(&mut units) {
                [high, low] => write!(writer, "\\u{high:04X}\\u{low:04X}")?,
                _ => writer.write_all(char.encode_utf8(&mut [0; 4]).as_bytes())?,
            }
        }
        Ok(())
    }

    fn write_char_escape<W: Write + ?Sized>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        match escape {
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04X}"),
            other => CompactFormatter.write_char_escape(writer, other),
        }
    }
}

/// A partition as given by a caller.
fn parse_partition(text: &str) -> Result<Value, StoreError> {
    match parse(text)? {
        partition @ (Value::Object(_) | Value::Null) => Ok(partition),
        _ => Err(StoreError::Invalid("A source partition must be a JSON object or null".to_owned())),
    }
}

/// The bytes of an offset as given by a caller; its numbers are not re-printed.
fn offset_bytes(text: &str) -> Result<Vec<u8>, StoreError> {
    match parse(text)? {
        Value::Object(_) => Ok(text.trim().as_bytes().to_vec()),
        _ => Err(StoreError::Invalid("A source offset must be a JSON object".to_owned())),
    }
}

/// JSON whose members, if it is an object, are primitives.
fn parse(text: &str) -> Result<Value, StoreError> {
    let value = read(text).map_err(|_| StoreError::Invalid("A source partition or offset must be JSON".to_owned()))?;
    for (field, member) in value.as_object().into_iter().flatten() {
        let kind = match member {
            Value::Array(_) => "ARRAY",
            Value::Object(_) => "MAP",
            _ => continue,
        };
        // Kafka Connect's own words (its OffsetUtils).
        let message = format!("Offsets may only contain primitive types as values, but field {field} contains {kind}");
        return Err(StoreError::Invalid(message));
    }
    Ok(value)
}

/// Reads JSON so that each double is the one nearest to its digits. `serde_json` alone may be off in the last place, and then does
/// not read back what it printed: a partition would not be found again.
fn read(text: &str) -> serde_json::Result<Value> {
    fn has_double(value: &Value) -> bool {
        match value {
            Value::Number(number) => number.is_f64(),
            Value::Array(items) => items.iter().any(has_double),
            Value::Object(members) => members.values().any(has_double),
            _ => false,
        }
    }
    fn exact(value: Value, text: &str) -> serde_json::Result<Value> {
        Ok(match value {
            Value::Number(number) if number.is_f64() => {
                let nearest = text.trim().parse().ok().and_then(Number::from_f64);
                Value::Number(nearest.unwrap_or(number))
            }
            Value::Array(items) => {
                let texts: Vec<Box<RawValue>> = serde_json::from_str(text)?;
                let items = items.into_iter().zip(texts).map(|(item, text)| exact(item, text.get()));
                Value::Array(items.collect::<serde_json::Result<_>>()?)
            }
            Value::Object(members) => {
                let texts: HashMap<String, Box<RawValue>> = serde_json::from_str(text)?;
                let member = |(name, value): (String, Value)| {
                    let value = match texts.get(&name) {
                        Some(text) => exact(value, text.get())?,
                        None => value,
                    };
                    Ok((name, value))
                };
                Value::Object(members.into_iter().map(member).collect::<serde_json::Result<_>>()?)
            }
            other => other,
        })
    }
    // Also bounds the depth.
    let value = serde_json::from_str(text)?;
    if has_double(&value) { exact(value, text) } else { Ok(value) }
}

/// JSON text with the members of objects sorted, so that equal values have equal text.
fn canonical(value: &Value) -> String {
    fn sorted(value: &Value) -> Value {
        match value {
            Value::Object(map) => {
                let mut members: Vec<_> = map.iter().collect();
                members.sort_unstable_by_key(|(name, _)| *name);
                Value::Object(members.into_iter().map(|(name, value)| (name.clone(), sorted(value))).collect())
            }
            Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
            other => other.clone(),
        }
    }
    sorted(value).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::memory::MemoryLog;
    use super::*;

    async fn open(log: &Arc<MemoryLog>) -> OffsetStore {
        OffsetStore::open(log.clone()).await.unwrap()
    }

    /// Found by fuzzing: serde_json reads the first of these one off, and what it then prints one off again.
    #[tokio::test]
    async fn partitions_with_doubles_are_found_again() {
        let store = open(&MemoryLog::with::<&str, &str>([])).await;
        for number in
            ["1.07777777777777775777777777777777777777777777777777777777", "0.1", "1e-320", "-0.0", "1.7976931348623157e308"]
        {
            for partition in [format!(r#"{{"b":{number}}}"#), format!(r#"{{"b": {number} ,"a":1}}"#)] {
                store.put("c", vec![pair(&partition, Some(r#"{"x":1}"#))]).await.unwrap();
                let found = store.get("c", std::slice::from_ref(&partition)).await.unwrap();
                assert_eq!(found[0].as_deref(), Some(r#"{"x":1}"#), "{partition}");
            }
        }
    }

    fn pair(partition: &str, offset: Option<&str>) -> (String, Option<String>) {
        (partition.to_owned(), offset.map(str::to_owned))
    }

    async fn get(store: &OffsetStore, connector: &str, partition: &str) -> Option<String> {
        let found = store.get(connector, &[partition.to_owned()]).await.unwrap();
        found[0].as_deref().map(str::to_owned)
    }

    #[tokio::test]
    async fn records_have_the_bytes_of_kafka_connect() {
        let log = Arc::new(MemoryLog::default());
        let store = open(&log).await;
        let offsets = vec![
            pair(r#"{ "filename": "/tmp/in.txt" }"#, Some(r#"{"position":35}"#)),
            pair("null", Some(r#"{"x":null,"y":1.10,"z":12345678901234567890123}"#)),
            pair(r#"{"never":"seen"}"#, None),
        ];
        store.put("local-file-source", offsets).await.unwrap();
        let expect = [
            (r#"["local-file-source",{"filename":"/tmp/in.txt"}]"#, r#"{"position":35}"#),
            // Numbers keep their digits.
            (r#"["local-file-source",null]"#, r#"{"x":null,"y":1.10,"z":12345678901234567890123}"#),
        ];
        assert_eq!(log.texts(), expect.map(|(key, value)| (key.to_owned(), Some(value.to_owned()))));
        let again = open(&log.reopened(true)).await;
        assert_eq!(get(&again, "local-file-source", "null").await.as_deref(), Some(expect[1].1));
        assert_eq!(get(&again, "local-file-source", r#"{"never":"seen"}"#).await, None);
        assert_eq!(get(&again, "other", "null").await, None);
    }

    #[test]
    fn keys_are_escaped_as_kafka_connect_escapes_them() {
        let check = |text: &str, expect: &str| {
            let key = encode_key("c", &serde_json::from_str(text).unwrap());
            assert_eq!(String::from_utf8(key).unwrap(), format!(r#"["c",{expect}]"#));
        };
        check("null", "null");
        check(r#"{ "f" : "/é/€", "n": -1, "b": true, "x": null }"#, r#"{"f":"/é/€","n":-1,"b":true,"x":null}"#);
        check(r#"{"f":"😀/\u001f\t\"\\"}"#, r#"{"f":"\uD83D\uDE00/\u001F\t\"\\"}"#);
    }

    #[tokio::test]
    async fn keys_are_matched_by_value_and_kept() {
        let found = r#"["c",{"table":"t","db" : "\u0064"}]"#;
        let log = MemoryLog::with([(found, Some(r#"{"row":1}"#))]);
        let store = open(&log).await;
        let ours = r#"{"db":"d","table":"t"}"#;
        assert_eq!(get(&store, "c", ours).await.as_deref(), Some(r#"{"row":1}"#));
        store.put("c", vec![pair(ours, Some(r#"{"row":2}"#))]).await.unwrap();
        assert_eq!(log.texts()[1], (found.to_owned(), Some(r#"{"row":2}"#.to_owned())));

        // Another worker uses another order: both records are kept up, and removed together.
        let theirs = br#"["c",{"db":"d","table":"t"}]"#.to_vec();
        log.append(vec![(theirs, Some(br#"{"row":3}"#.to_vec()))]).await.unwrap();
        assert_eq!(get(&store, "c", ours).await.as_deref(), Some(r#"{"row":3}"#));
        store.put("c", vec![pair(ours, Some(r#"{"row":4}"#))]).await.unwrap();
        assert_eq!(log.texts().len(), 5);
        assert_eq!(store.list("c").await.unwrap(), [(ours.into(), r#"{"row":4}"#.into())]);
        assert_eq!(store.reset("c").await.unwrap(), 1);
        assert_eq!(store.list("c").await.unwrap(), []);
        assert!(log.reopened(true).texts().is_empty());
        assert_eq!(store.reset("c").await.unwrap(), 0);
    }

    #[tokio::test]
    async fn connectors_are_kept_apart() {
        let log = Arc::new(MemoryLog::default());
        let store = open(&log).await;
        for connector in ["a", "b"] {
            let offsets = (0..3).map(|n| pair(&format!(r#"{{"p":{n}}}"#), Some(&format!(r#"{{"o":"{connector}{n}"}}"#))));
            store.put(connector, offsets.collect()).await.unwrap();
        }
        store.put("a", vec![pair(r#"{"p":1}"#, None)]).await.unwrap();
        let texts = |list: Vec<(Arc<str>, Arc<str>)>| list.iter().map(|(p, o)| format!("{p}{o}")).collect::<Vec<_>>();
        assert_eq!(texts(store.list("a").await.unwrap()), [r#"{"p":0}{"o":"a0"}"#, r#"{"p":2}{"o":"a2"}"#]);
        assert_eq!(store.reset("b").await.unwrap(), 3);
        assert_eq!(store.list("a").await.unwrap().len(), 2);
        assert_eq!(texts(open(&log.reopened(true)).await.list("a").await.unwrap()).len(), 2);
    }

    #[tokio::test]
    async fn bad_offsets_are_refused_as_a_whole() {
        let log = Arc::new(MemoryLog::default());
        let store = open(&log).await;
        let check = async |partition: &str, offset: &str, expect: &str| {
            let offsets = vec![pair("{}", Some("{}")), pair(partition, Some(offset))];
            let error = store.put("c", offsets).await.unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
            assert!(log.texts().is_empty());
        };
        let nested = "Offsets may only contain primitive types as values, but field x contains";
        check(r#"{"x":{}}"#, "{}", &format!("{nested} MAP")).await;
        check("{}", r#"{"x":[1]}"#, &format!("{nested} ARRAY")).await;
        check("[]", "{}", "partition must be a JSON object or null").await;
        check("{}", "null", "offset must be a JSON object").await;
        check("{}", "{}{}", "must be JSON").await;
        check("no", "{}", "must be JSON").await;
        assert!(store.get("c", &["no".to_owned()]).await.is_err());
    }

    fn hostile() -> impl Strategy<Value = (Vec<u8>, Option<Vec<u8>>)> {
        let keys = prop::sample::select(vec![
            r#"["c",{"a":1,"b":2}]"#,
            r#"["c",{"b":2,"a":1}]"#,
            r#"["c",{"a":[{"z":1,"y":{}}]}]"#,
            r#"["c",null]"#,
            r#"["c",{}]"#,
            r#"["c",[]]"#,
            r#"["c"]"#,
            r#"["c",{},{}]"#,
            r#"[1,{}]"#,
            r#"["c",{"a":1e999}]"#,
            "{}",
            "",
        ]);
        let key = prop_oneof![keys.prop_map(|text| text.as_bytes().to_vec()), any::<Vec<u8>>()];
        let values = prop::sample::select(vec![r#"{"a":1}"#, r#" {"a":{"b":[]}} "#, "null", "[]", "1", ""]);
        let value = prop_oneof![values.prop_map(|text| text.as_bytes().to_vec()), any::<Vec<u8>>()];
        (key, prop::option::of(value))
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    proptest! {
        #[test]
        fn no_bytes_cause_a_panic(records in prop::collection::vec(hostile(), 0..40)) {
            block_on(async {
                let log = MemoryLog::with(records);
                let store = open(&log).await;
                for (partition, offset) in store.list("c").await.unwrap() {
                    prop_assert_eq!(get(&store, "c", "{}").await.is_some(), get(&store, "c", " { } ").await.is_some());
                    prop_assert!(serde_json::from_str::<Map<String, Value>>(&offset).is_ok(), "{partition}");
                }
                store.reset("c").await.unwrap();
                prop_assert!(open(&log.reopened(true)).await.list("c").await.unwrap().is_empty());
                Ok(())
            })?;
        }

        #[test]
        fn what_is_put_is_found_in_any_order(
            members in prop::collection::btree_map("\\PC{0,6}", prop_oneof![
                Just(Value::Null), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from), "\\PC{0,6}".prop_map(Value::from),
            ], 0..5),
            position: u64,
        ) {
            block_on(async {
                let log = Arc::new(MemoryLog::default());
                let store = open(&log).await;
                let forward: Map<String, Value> = members.clone().into_iter().collect();
                let backward: Map<String, Value> = members.into_iter().rev().collect();
                let offset = format!(r#"{{"position":{position}}}"#);
                store.put("c", vec![pair(&Value::Object(forward).to_string(), Some(&offset))]).await.unwrap();
                let again = open(&log.reopened(true)).await;
                prop_assert_eq!(get(&again, "c", &Value::Object(backward).to_string()).await, Some(offset));
                Ok(())
            })?;
        }
    }
}
