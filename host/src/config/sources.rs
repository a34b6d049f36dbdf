//! Where a worker's keys come from: its properties file, the environment, the command line. Later ones win.

use std::collections::BTreeMap;
use std::path::Path;

use super::keys::KEYS;
use super::properties;
use super::worker::ConfigError;

/// The largest worker file, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// What the environment's names begin with.
const ENVIRONMENT: &str = "HAWSER_";

/// Keys and values, of which the last of a name counts.
pub type Pairs = Vec<(String, String)>;

/// Reads a worker's properties file, such as `connect-distributed.properties`.
///
/// # Errors
/// [`ConfigError`] if it cannot be read, is too large, or is malformed.
pub fn read_file(path: &Path) -> Result<Pairs, ConfigError> {
    let failed =
        |reason: String| ConfigError::new(format!("cannot read the worker's configuration {}: {reason}", path.display()));
    let size = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?.len();
    if size > MAX_FILE_BYTES {
        return Err(failed(format!("it is larger than {MAX_FILE_BYTES} bytes")));
    }
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    properties::parse(&properties::decode_latin1(&bytes)).map_err(|error| failed(error.to_string()))
}

/// The keys that the environment sets: `HAWSER_` and the key in capitals, with `_` for `.` and `__` for `_`. Keys that begin
/// with `hawser.` do without the second `HAWSER_`: `HAWSER_DATA_DIR` is `hawser.data.dir`.
pub fn from_environment(variables: impl IntoIterator<Item = (String, String)>) -> Pairs {
    let known: BTreeMap<String, &str> = KEYS.iter().map(|key| (variable(key.name), key.name)).collect();
    let pairs = variables.into_iter().filter_map(|(name, value)| {
        let rest = name.strip_prefix(ENVIRONMENT).filter(|rest| !rest.is_empty())?;
        let key = match known.get(name.as_str()) {
            Some(key) => (*key).to_owned(),
            None => rest.to_lowercase().split("__").map(|part| part.replace('_', ".")).collect::<Vec<_>>().join("_"),
        };
        Some((key, value))
    });
    pairs.collect()
}

/// The environment's name of a known key.
fn variable(key: &str) -> String {
    let name = key.replace('.', "_").to_uppercase();
    if name.starts_with(ENVIRONMENT) { name } else { format!("{ENVIRONMENT}{name}") }
}

/// A `key=value` of the command line.
///
/// # Errors
/// A message for the user if there is no `=` or nothing before it.
pub fn parse_override(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err("write it as key=value, such as offset.flush.interval.ms=10000".to_owned()),
    }
}

/// Lays the sources over each other; what comes later wins.
pub(super) fn merge(layers: impl IntoIterator<Item = Pairs>) -> Pairs {
    let merged: BTreeMap<String, String> = layers.into_iter().flatten().collect();
    merged.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_names_keys() {
        let check = |name: &str, expect: Option<&str>| {
            let pairs = from_environment([(name.to_owned(), "v".to_owned())]);
            assert_eq!(pairs.first().map(|(key, _)| key.as_str()), expect, "{name}");
        };
        check("HAWSER_BOOTSTRAP_SERVERS", Some("bootstrap.servers"));
        check("HAWSER_DATA_DIR", Some("hawser.data.dir"));
        check("HAWSER_SANDBOX_PUT_TIMEOUT_MS", Some("hawser.sandbox.put.timeout.ms"));
        check("HAWSER_PRODUCER_LINGER_MS", Some("producer.linger.ms"));
        check("HAWSER_CONFIG_PROVIDERS_MY__FILE_CLASS", Some("config.providers.my_file.class"));
        check("HAWSER_", None);
        check("PATH", None);
    }

    #[test]
    fn later_sources_win() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let merged = merge([vec![pair("b", "1"), pair("a", "1")], vec![pair("b", "2")], vec![]]);
        assert_eq!(merged, [pair("a", "1"), pair("b", "2")]);
        assert_eq!(parse_override("a = b=c"), Ok(pair("a", " b=c")));
        assert!(parse_override("a").is_err() && parse_override("=a").is_err());
    }

    #[test]
    fn files_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker.properties");
        std::fs::write(&path, "a=b\\u00e9").unwrap();
        assert_eq!(read_file(&path).unwrap(), [("a".to_owned(), "bé".to_owned())]);
        std::fs::write(&path, vec![b'#'; MAX_FILE_BYTES as usize + 1]).unwrap();
        assert!(read_file(&path).unwrap_err().to_string().contains("larger than"));
        assert!(read_file(&folder.path().join("none")).is_err());
    }
}
