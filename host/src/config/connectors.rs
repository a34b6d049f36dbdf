//! Connectors in files that are named on the command line of a worker on its own.

use std::path::Path;

use serde::Deserialize;

use super::properties;
use crate::store::{RawConfig, TargetState};

/// The largest file of a connector, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
const NAME: &str = "name";

/// A connector that a file asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorFile {
    /// Its name.
    pub name: String,
    /// Its configuration, `name` included.
    pub config: RawConfig,
    /// What it begins with.
    pub initial_state: Option<TargetState>,
}

/// A file that holds no connector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Connector configuration at '{path}' {reason}")]
pub struct ConnectorFileError {
    path: String,
    reason: String,
}

/// Reads a file of any of Kafka Connect's three forms: a JSON object of a connector's configuration, a JSON object with
/// `name`, `config` and `initial_state`, or properties.
///
/// # Errors
/// [`ConnectorFileError`] if the file cannot be read, is of no such form, or lacks a name.
pub fn read_connector(path: &Path) -> Result<ConnectorFile, ConnectorFileError> {
    let failed = |reason: String| ConnectorFileError { path: path.display().to_string(), reason };
    let unreadable = |error: std::io::Error| failed(format!("cannot be read: {error}"));
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_FILE_BYTES {
        return Err(failed(format!("is larger than {MAX_FILE_BYTES} bytes")));
    }
    parse_connector(&std::fs::read(path).map_err(unreadable)?).map_err(failed)
}

/// The second JSON form. Unknown members are ignored.
#[derive(Deserialize)]
struct Request {
    name: String,
    config: RawConfig,
    initial_state: Option<String>,
}

fn parse_connector(bytes: &[u8]) -> Result<ConnectorFile, String> {
    if let Ok(config) = serde_json::from_slice::<RawConfig>(bytes) {
        return named(config);
    }
    match serde_json::from_slice::<Request>(bytes) {
        Ok(request) => return from_request(request),
        // Text in braces was meant to be JSON.
        Err(error) if bytes.trim_ascii_start().starts_with(b"{") => {
            return Err(format!("is neither a JSON object of texts nor one with `name` and `config`: {error}"));
        }
        Err(_) => {}
    }
    let entries = properties::parse(&properties::decode_latin1(bytes)).map_err(|error| format!("is malformed: {error}"))?;
    named(entries.into_iter().collect())
}

fn named(config: RawConfig) -> Result<ConnectorFile, String> {
    let name = config.get(NAME).ok_or_else(|| format!("is missing the mandatory '{NAME}' configuration"))?.to_owned();
    Ok(ConnectorFile { name, config, initial_state: None })
}

fn from_request(request: Request) -> Result<ConnectorFile, String> {
    let Request { name, config, initial_state } = request;
    let initial_state = initial_state.as_deref().map(state).transpose()?;
    let config = match config.get(NAME) {
        Some(inner) if inner == name => config,
        Some(_) => return Err("has a name in 'config' that doesn't match the one specified in 'name'".to_owned()),
        None => RawConfig::new(config.into_entries().into_iter().chain([(NAME.to_owned(), Some(name.clone()))])),
    };
    Ok(ConnectorFile { name, config, initial_state })
}

fn state(text: &str) -> Result<TargetState, String> {
    match text.to_ascii_uppercase().as_str() {
        "RUNNING" => Ok(TargetState::Started),
        "PAUSED" => Ok(TargetState::Paused),
        "STOPPED" => Ok(TargetState::Stopped),
        _ => Err("has an initial_state that is none of RUNNING, PAUSED, STOPPED".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_are_read() {
        let check = |text: &str, expect: Result<(&str, &str, Option<TargetState>), &str>| {
            let found = parse_connector(text.as_bytes());
            match (found, expect) {
                (Ok(found), Ok((name, config, state))) => {
                    assert_eq!(found.name, name);
                    assert_eq!(serde_json::to_string(&found.config).unwrap(), config);
                    assert_eq!(found.initial_state, state);
                }
                (Err(error), Err(expect)) => assert!(error.contains(expect), "{error}"),
                (found, expect) => panic!("{text}: {found:?}, not {expect:?}"),
            }
        };
        check("name=c\nfile=/tmp/x\n", Ok(("c", r#"{"name":"c","file":"/tmp/x"}"#, None)));
        check("# c\nfile=x", Err("missing the mandatory 'name'"));
        check("name=c\nx=\\u1", Err("Malformed"));
        check(r#"{"name":"c","z":"1","a":null}"#, Ok(("c", r#"{"name":"c","z":"1","a":null}"#, None)));
        check(r#"{"z":"1"}"#, Err("missing the mandatory 'name'"));
        check(r#"{"name":"c","tasks.max":1}"#, Ok(("c", r#"{"name":"c","tasks.max":"1"}"#, None)));
        check(r#"{"name":"c","config":{"z":"1"}}"#, Ok(("c", r#"{"z":"1","name":"c"}"#, None)));
        let stopped = r#" {"name":"c","config":{"name":"c"},"initial_state":"stopped","more":[]}"#;
        check(stopped, Ok(("c", r#"{"name":"c"}"#, Some(TargetState::Stopped))));
        check(r#"{"name":"c","config":{},"initial_state":"RUNNING"}"#, Ok(("c", r#"{"name":"c"}"#, Some(TargetState::Started))));
        check(r#"{"name":"c","config":{"name":"d"}}"#, Err("doesn't match"));
        check(r#"{"name":"c","config":{},"initial_state":"GONE"}"#, Err("initial_state"));
        check(r#"{"name":"c","config":[]}"#, Err("neither"));
        check(r#"{"name":"#, Err("neither"));
        check("", Err("missing the mandatory 'name'"));
    }

    #[test]
    fn errors_name_the_file() {
        let error = read_connector(Path::new("/no/such/file")).unwrap_err().to_string();
        assert!(error.starts_with("Connector configuration at '/no/such/file' cannot be read"), "{error}");
    }
}
