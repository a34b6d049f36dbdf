//! Log levels at run time: what `/admin/loggers` reads and sets.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use super::error::HerderError;
use crate::logging;

/// Most loggers whose level can be set.
const MAX_LOGGERS: usize = 1000;

/// Most bytes of a logger's name.
const MAX_NAME_BYTES: usize = 200;

/// Loggers that exist from the start: the rooms of the worker, and the libraries that log.
const KNOWN: &[&str] = &[
    "hawser",
    "hawser.access",
    "hawser.cluster",
    "hawser.convert",
    "hawser.herder",
    "hawser.kafka",
    "hawser.plugin",
    "hawser.rest",
    "hawser.sandbox",
    "hawser.store",
    "hawser.task",
    "hawser.worker",
    "librdkafka",
    "rdkafka",
];

/// A logger's level, as answers show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LoggerLevel {
    /// `OFF`, `FATAL`, `ERROR`, `WARN`, `INFO`, `DEBUG`, `TRACE` or `ALL`.
    pub level: &'static str,
    /// Milliseconds since the epoch at which it was set through the API.
    pub last_modified: Option<u64>,
}

/// The levels of log4j, and what they let through here.
const LEVELS: [(&str, LevelFilter); 8] = [
    ("OFF", LevelFilter::OFF),
    ("FATAL", LevelFilter::ERROR),
    ("ERROR", LevelFilter::ERROR),
    ("WARN", LevelFilter::WARN),
    ("INFO", LevelFilter::INFO),
    ("DEBUG", LevelFilter::DEBUG),
    ("TRACE", LevelFilter::TRACE),
    ("ALL", LevelFilter::TRACE),
];

#[derive(Clone, Copy)]
struct Level {
    name: &'static str,
    filter: LevelFilter,
    last_modified: Option<u64>,
}

impl Level {
    fn shown(self) -> LoggerLevel {
        LoggerLevel { level: self.name, last_modified: self.last_modified }
    }
}

type Apply = Box<dyn Fn(Targets) + Send + Sync>;

/// The loggers of this worker.
pub struct Loggers {
    state: Mutex<State>,
    apply: Apply,
}

struct State {
    root: Level,
    /// By name, dots between the parts. None: it follows its parent.
    loggers: BTreeMap<String, Option<Level>>,
}

impl Loggers {
    /// Loggers that are all at `root`; `apply` puts a new filter in force.
    pub fn new(root: LevelFilter, apply: impl Fn(Targets) + Send + Sync + 'static) -> Loggers {
        let loggers = KNOWN.iter().map(|name| ((*name).to_owned(), None)).collect();
        let name = root.into_level().map_or("OFF", |level| level.as_str());
        let root = Level { name, filter: root, last_modified: None };
        Loggers { state: Mutex::new(State { root, loggers }), apply: Box::new(apply) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every logger whose level was set, and `root`.
    pub fn all(&self) -> BTreeMap<String, LoggerLevel> {
        let state = self.state();
        let mut all: BTreeMap<String, LoggerLevel> =
            state.loggers.iter().filter_map(|(name, level)| Some((name.clone(), (*level)?.shown()))).collect();
        all.insert("root".to_owned(), state.root.shown());
        all
    }

    /// The level that holds for a logger that exists.
    pub fn get(&self, name: &str) -> Option<LoggerLevel> {
        let state = self.state();
        if name.eq_ignore_ascii_case("root") {
            return Some(state.root.shown());
        }
        let own = state.loggers.get(name)?;
        Some(own.unwrap_or_else(|| state.inherited(name)).shown())
    }

    /// Whether a level is known.
    ///
    /// # Errors
    /// It is not (404).
    pub fn check_level(level: &str) -> Result<(), HerderError> {
        parse_level(level).map(drop)
    }

    /// Sets a level and answers with the names of the loggers that it changed: of all that start with `name`, and of `name` itself,
    /// those that had another.
    ///
    /// # Errors
    /// The level is not known (404), or there are too many loggers (400).
    pub fn set(&self, name: &str, level: &str) -> Result<Vec<String>, HerderError> {
        let (level_name, filter) = parse_level(level)?;
        let level = Level { name: level_name, filter, last_modified: Some(now_ms()) };
        let mut state = self.state();
        let is_root = name.eq_ignore_ascii_case("root");
        if !is_root && !state.loggers.contains_key(name) {
            if state.loggers.len() >= MAX_LOGGERS || name.len() > MAX_NAME_BYTES {
                return Err(HerderError::BadRequest(format!(
                    "A worker has at most {MAX_LOGGERS} loggers, with names of at most {MAX_NAME_BYTES} bytes"
                )));
            }
            state.loggers.insert(name.to_owned(), None);
        }
        let mut changed = Vec::new();
        for (known, own) in &mut state.loggers {
            let is_new = own.is_none_or(|own| own.name != level_name);
            if is_new && (is_root || known.starts_with(name)) {
                *own = Some(level);
                changed.push(known.clone());
            }
        }
        if is_root && state.root.name != level_name {
            state.root = level;
            changed.push("root".to_owned());
            changed.sort();
        }
        (self.apply)(state.filter());
        Ok(changed)
    }
}

impl State {
    fn inherited(&self, name: &str) -> Level {
        let mut parent = name;
        while let Some((shorter, _)) = parent.rsplit_once('.') {
            parent = shorter;
            if let Some(Some(level)) = self.loggers.get(parent) {
                return *level;
            }
        }
        self.root
    }

    /// The filter of `tracing`, where the parts of a target are separated by `::`.
    fn filter(&self) -> Targets {
        let set = self.loggers.iter().filter_map(|(name, level)| Some((name.replace('.', "::"), (*level)?.filter)));
        logging::filter(self.root.filter, set)
    }
}

fn parse_level(level: &str) -> Result<(&'static str, LevelFilter), HerderError> {
    let known = LEVELS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(level));
    known.ok_or_else(|| HerderError::NotFound(format!("invalid log level '{level}'.")))
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn levels_are_set_inherited_and_applied() {
        let applied = Arc::new(Mutex::new(None));
        let seen = Arc::clone(&applied);
        let loggers = Loggers::new(LevelFilter::INFO, move |targets| *seen.lock().unwrap() = Some(targets));
        assert_eq!(loggers.all().keys().collect::<Vec<_>>(), ["root"]);
        assert_eq!(loggers.get("hawser.rest").unwrap().level, "INFO");
        assert!(loggers.get("unknown").is_none());
        assert_eq!(loggers.set("hawser.task", "debug").unwrap(), ["hawser.task"]);
        assert_eq!(loggers.get("hawser.task").unwrap().level, "DEBUG");
        assert_eq!(loggers.set("org.apache", "all").unwrap(), ["org.apache"]);
        assert_eq!(loggers.set("org.apache", "trace").unwrap(), ["org.apache"], "which lets the same through");
        assert_eq!(loggers.get("org.apache").unwrap().level, "TRACE");
        assert!(loggers.set("org.apache", "TRACE").unwrap().is_empty());
        assert_eq!(loggers.get("ROOT").unwrap().level, "INFO");
        assert_eq!(loggers.set("hawser.task", "loud"), Err(HerderError::NotFound("invalid log level 'loud'.".into())));
        let targets = applied.lock().unwrap().clone().unwrap();
        assert!(targets.would_enable("hawser::task::sink", &tracing::Level::DEBUG));
        assert!(!targets.would_enable("hawser::rest", &tracing::Level::DEBUG));
        assert!(loggers.set("root", "WARN").unwrap().contains(&"root".to_owned()));
    }
}
