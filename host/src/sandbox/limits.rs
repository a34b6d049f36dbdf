//! What one instance may use. Each limit has a name, a default, a configuration key, and an error that names it.

use std::time::Duration;

use crate::record::BatchLimits;

use super::Call;

/// What one instance may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceLimits {
    /// Bytes of linear memory, all memories of the instance together.
    pub memory_bytes: u64,
    /// Elements of tables, all tables of the instance together.
    pub table_elements: u64,
    /// Bytes that the plugin may hand to the host in one call or answer.
    pub hostcall_bytes: u64,
    /// Records in one answer.
    pub batch_records: u32,
    /// Time on a processor for one call, from which it is ended.
    pub cpu: Duration,
    /// Time on the clock for one call, by kind of call.
    pub deadlines: Deadlines,
    /// HTTP requests that it may have under way, and sockets that it may hold.
    pub connections: u32,
    /// Bytes of the body of one HTTP request or response.
    pub http_body_bytes: u64,
    /// Lines a second that the instance may write to the log, `stdout` and `stderr` together.
    pub log_lines_per_second: u32,
    /// Bytes of a line after which it is cut.
    pub log_line_bytes: u32,
}

/// Time on the clock for one call, by kind of call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlines {
    /// `plugin.describe`.
    pub describe: Duration,
    /// `plugin.validate`.
    pub validate: Duration,
    /// `connector.task-configs`.
    pub task_configs: Duration,
    /// `start` of a task or chain, its instantiation included.
    pub start: Duration,
    /// `source.task.poll`.
    pub poll: Duration,
    /// `source.task.committed`.
    pub committed: Duration,
    /// `sink.task.open` and `close`.
    pub open: Duration,
    /// `sink.task.put`.
    pub put: Duration,
    /// `sink.task.flush`.
    pub flush: Duration,
    /// `transform.chain.apply`.
    pub apply: Duration,
    /// `stop`.
    pub stop: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Deadlines {
            describe: seconds(10),
            validate: seconds(10),
            task_configs: seconds(60),
            start: seconds(60),
            poll: seconds(60),
            committed: seconds(30),
            open: seconds(30),
            put: seconds(120),
            flush: seconds(120),
            apply: seconds(60),
            stop: seconds(10),
        }
    }
}

impl Default for InstanceLimits {
    fn default() -> Self {
        InstanceLimits {
            memory_bytes: 256 << 20,
            table_elements: 50_000,
            hostcall_bytes: 2 * BatchLimits::default().bytes as u64,
            batch_records: 10 * BatchLimits::default().records as u32,
            cpu: Duration::from_secs(30),
            deadlines: Deadlines::default(),
            connections: 64,
            http_body_bytes: 64 << 20,
            log_lines_per_second: 100,
            log_line_bytes: 8 << 10,
        }
    }
}

/// A key's value cannot be used as a limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// Not a number.
    #[error("{key} must be a whole number of at least 1, not `{value}`")]
    NotANumber {
        /// The key.
        key: &'static str,
        /// What it holds.
        value: String,
    },
    /// More than the worker allows.
    #[error(
        "{key} is {asked}, but this worker allows {allowed} at most; lower it or ask the worker's operator to raise {key} there"
    )]
    OverCeiling {
        /// The key.
        key: &'static str,
        /// What was asked.
        asked: u64,
        /// What the worker allows.
        allowed: u64,
    },
}

pub(super) const MEMORY_KEY: &str = "sandbox.memory.bytes";
pub(super) const TABLE_KEY: &str = "sandbox.table.elements";
pub(super) const HOSTCALL_KEY: &str = "sandbox.hostcall.bytes";
pub(super) const BATCH_KEY: &str = "sandbox.batch.records";
pub(super) const CPU_KEY: &str = "sandbox.cpu.ms";
pub(super) const CONNECTIONS_KEY: &str = "sandbox.connections";
pub(super) const HTTP_BODY_KEY: &str = "sandbox.http.body.bytes";
const LOG_LINES_KEY: &str = "sandbox.log.lines.per.second";
const LOG_BYTES_KEY: &str = "sandbox.log.line.bytes";

/// The keys that set limits, of a connector and of the worker alike, in the order of their documentation.
pub const LIMIT_KEYS: [&str; 20] = [
    MEMORY_KEY,
    TABLE_KEY,
    HOSTCALL_KEY,
    BATCH_KEY,
    CPU_KEY,
    CONNECTIONS_KEY,
    HTTP_BODY_KEY,
    LOG_LINES_KEY,
    LOG_BYTES_KEY,
    "sandbox.describe.timeout.ms",
    "sandbox.validate.timeout.ms",
    "sandbox.task.configs.timeout.ms",
    "sandbox.start.timeout.ms",
    "sandbox.poll.timeout.ms",
    "sandbox.committed.timeout.ms",
    "sandbox.open.timeout.ms",
    "sandbox.put.timeout.ms",
    "sandbox.flush.timeout.ms",
    "sandbox.apply.timeout.ms",
    "sandbox.stop.timeout.ms",
];

impl InstanceLimits {
    /// No limits: the ceiling of the worker's own configuration.
    pub fn unlimited() -> InstanceLimits {
        let mut limits = InstanceLimits::default();
        for key in LIMIT_KEYS {
            limits.set(key, u64::MAX);
        }
        limits
    }

    /// These limits, changed by the [`LIMIT_KEYS`] that a configuration sets. Each may go up to what `ceiling` allows.
    ///
    /// # Errors
    /// [`LimitError`] names the key that is no number or above the ceiling.
    pub fn with_config(&self, config: &[(String, String)], ceiling: &InstanceLimits) -> Result<InstanceLimits, LimitError> {
        let mut limits = self.clone();
        for key in LIMIT_KEYS {
            let Some((_, value)) = config.iter().find(|(name, _)| name == key) else { continue };
            let asked = value.trim().parse().ok().filter(|number| *number > 0);
            let asked: u64 = asked.ok_or_else(|| LimitError::NotANumber { key, value: value.clone() })?;
            let allowed = ceiling.get(key);
            if asked > allowed {
                return Err(LimitError::OverCeiling { key, asked, allowed });
            }
            limits.set(key, asked);
        }
        Ok(limits)
    }

    /// The value of one of the [`LIMIT_KEYS`], in the unit that its name says; 0 for any other key.
    pub fn get(&self, key: &str) -> u64 {
        match key {
            MEMORY_KEY => self.memory_bytes,
            TABLE_KEY => self.table_elements,
            HOSTCALL_KEY => self.hostcall_bytes,
            BATCH_KEY => self.batch_records.into(),
            CONNECTIONS_KEY => self.connections.into(),
            HTTP_BODY_KEY => self.http_body_bytes,
            LOG_LINES_KEY => self.log_lines_per_second.into(),
            LOG_BYTES_KEY => self.log_line_bytes.into(),
            CPU_KEY => millis(self.cpu),
            key => Call::ALL.iter().find(|call| call.timeout_key() == key).map_or(0, |call| millis(self.deadlines.of(*call))),
        }
    }

    fn set(&mut self, key: &str, value: u64) {
        let small = u32::try_from(value).unwrap_or(u32::MAX);
        match key {
            MEMORY_KEY => self.memory_bytes = value,
            TABLE_KEY => self.table_elements = value,
            HOSTCALL_KEY => self.hostcall_bytes = value,
            BATCH_KEY => self.batch_records = small,
            CONNECTIONS_KEY => self.connections = small,
            HTTP_BODY_KEY => self.http_body_bytes = value,
            LOG_LINES_KEY => self.log_lines_per_second = small,
            LOG_BYTES_KEY => self.log_line_bytes = small,
            CPU_KEY => self.cpu = Duration::from_millis(value),
            key => {
                if let Some(call) = Call::ALL.iter().find(|call| call.timeout_key() == key) {
                    *self.deadlines.of_mut(*call) = Duration::from_millis(value);
                }
            }
        }
    }
}

impl Deadlines {
    /// The deadline of a kind of call.
    pub fn of(&self, call: Call) -> Duration {
        match call {
            Call::Describe => self.describe,
            Call::Validate => self.validate,
            Call::TaskConfigs => self.task_configs,
            Call::Start => self.start,
            Call::Poll => self.poll,
            Call::Committed => self.committed,
            Call::Open | Call::Close => self.open,
            Call::Put => self.put,
            Call::Flush => self.flush,
            Call::Apply => self.apply,
            Call::Stop => self.stop,
        }
    }

    fn of_mut(&mut self, call: Call) -> &mut Duration {
        match call {
            Call::Describe => &mut self.describe,
            Call::Validate => &mut self.validate,
            Call::TaskConfigs => &mut self.task_configs,
            Call::Start => &mut self.start,
            Call::Poll => &mut self.poll,
            Call::Committed => &mut self.committed,
            Call::Open | Call::Close => &mut self.open,
            Call::Put => &mut self.put,
            Call::Flush => &mut self.flush,
            Call::Apply => &mut self.apply,
            Call::Stop => &mut self.stop,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_sets_what_it_reads() {
        let mut ceiling = InstanceLimits::default();
        for key in LIMIT_KEYS {
            ceiling.set(key, 4_000_000_000);
        }
        for key in LIMIT_KEYS {
            let limits = InstanceLimits::default().with_config(&[(key.into(), "12345".into())], &ceiling).unwrap();
            assert_eq!(limits.get(key), 12_345, "{key}");
            let untouched = LIMIT_KEYS.iter().filter(|other| **other != key);
            for other in untouched {
                assert_eq!(limits.get(other), InstanceLimits::default().get(other), "{key} changed {other}");
            }
        }
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        fn check(value: &str, expect: &str) {
            let limits = InstanceLimits::default();
            let error = limits.with_config(&[(CPU_KEY.into(), value.into())], &limits).unwrap_err().to_string();
            assert!(error.contains(CPU_KEY) && error.contains(expect), "{error}");
        }
        check("0", "at least 1");
        check("-1", "at least 1");
        check("soon", "`soon`");
        check("99999999999999999999999", "at least 1");
        check("30001", "allows 30000 at most");
    }
}
