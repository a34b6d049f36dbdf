use std::time::Duration;

use crate::kafka::{ClientSettings, SettingsError, Subscription};

/// Whether a task goes on without records that it cannot handle (`errors.tolerance`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tolerance {
    /// The task fails.
    #[default]
    None,
    /// The record is reported and left out.
    All,
}

/// A dead letter queue.
#[derive(Debug, Clone)]
pub struct DeadLetterSpec {
    /// The topic (`errors.deadletterqueue.topic.name`), created if it is missing.
    pub topic: String,
    /// Replicas of a topic that is created (`errors.deadletterqueue.topic.replication.factor`).
    pub replication: i16,
    /// Whether to add the `__connect.errors.*` headers (`errors.deadletterqueue.context.headers.enable`).
    pub headers: bool,
    /// Settings of its producer.
    pub producer: ClientSettings,
    /// Settings of the client that creates the topic.
    pub admin: ClientSettings,
}

/// What happens to records that cannot be handled: Kafka Connect's `errors.*` keys.
#[derive(Debug, Clone)]
pub struct ErrorPolicy {
    /// Whether to go on without them.
    pub tolerance: Tolerance,
    /// How long a stage that fails for now is repeated (`errors.retry.timeout`); `None` for ever.
    pub retry_timeout: Option<Duration>,
    /// The longest pause between two tries (`errors.retry.delay.max.ms`).
    pub retry_delay_max: Duration,
    /// Whether each is logged (`errors.log.enable`).
    pub log: bool,
    /// Whether the log names the record too (`errors.log.include.messages`).
    pub log_messages: bool,
    /// Where they go.
    pub dead_letter: Option<DeadLetterSpec>,
}

impl Default for ErrorPolicy {
    fn default() -> Self {
        ErrorPolicy {
            tolerance: Tolerance::None,
            retry_timeout: Some(Duration::ZERO),
            retry_delay_max: Duration::from_secs(60),
            log: false,
            log_messages: false,
            dead_letter: None,
        }
    }
}

/// A key of the error policy has a value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A value of another type or range.
    #[error("the value of `{key}` is not valid: it must be {expected}")]
    Invalid {
        /// The key.
        key: &'static str,
        /// What it may be.
        expected: &'static str,
    },
    /// The dead letter queue's clients cannot be set up.
    #[error("dead letter queue: {0}")]
    Client(#[from] SettingsError),
    /// The sink would read its own dead letters.
    #[error("the dead letter queue topic '{0}' is one of the topics that the connector reads; use another")]
    Loop(String),
}

const TOLERANCE: &str = "errors.tolerance";
const RETRY_TIMEOUT: &str = "errors.retry.timeout";
const RETRY_DELAY: &str = "errors.retry.delay.max.ms";
const LOG: &str = "errors.log.enable";
const LOG_MESSAGES: &str = "errors.log.include.messages";
const TOPIC: &str = "errors.deadletterqueue.topic.name";
const REPLICATION: &str = "errors.deadletterqueue.topic.replication.factor";
const HEADERS: &str = "errors.deadletterqueue.context.headers.enable";

impl ErrorPolicy {
    /// The policy in a connector's configuration, without a dead letter queue.
    ///
    /// # Errors
    /// [`PolicyError`] naming the key.
    pub fn from_config(config: &[(String, String)]) -> Result<Self, PolicyError> {
        let invalid = |key, expected| PolicyError::Invalid { key, expected };
        let tolerance = match get(config, TOLERANCE) {
            None => Tolerance::None,
            Some(value) if value.eq_ignore_ascii_case("none") => Tolerance::None,
            Some(value) if value.eq_ignore_ascii_case("all") => Tolerance::All,
            Some(_) => return Err(invalid(TOLERANCE, "none or all")),
        };
        let retry_timeout = match number(config, RETRY_TIMEOUT)? {
            None => Some(Duration::ZERO),
            Some(-1) => None,
            Some(millis) => {
                Some(u64::try_from(millis).map(Duration::from_millis).map_err(|_| invalid(RETRY_TIMEOUT, "-1 or more"))?)
            }
        };
        let retry_delay_max = match number(config, RETRY_DELAY)? {
            None => Duration::from_secs(60),
            Some(millis) => u64::try_from(millis).map(Duration::from_millis).map_err(|_| invalid(RETRY_DELAY, "0 or more"))?,
        };
        let (log, log_messages) = (boolean(config, LOG)?, boolean(config, LOG_MESSAGES)?);
        Ok(ErrorPolicy { tolerance, retry_timeout, retry_delay_max, log, log_messages, dead_letter: None })
    }

    /// The policy of a sink task, with the dead letter queue if one is configured.
    ///
    /// # Errors
    /// [`PolicyError`] naming the key.
    pub fn for_sink(
        worker: &[(String, String)],
        connector: &str,
        task: u32,
        config: &[(String, String)],
        reads: &Subscription,
    ) -> Result<Self, PolicyError> {
        let policy = Self::for_source(worker, connector, task, config)?;
        match policy.dead_letter.as_ref().filter(|queue| reads.covers(&queue.topic)) {
            Some(queue) => Err(PolicyError::Loop(queue.topic.clone())),
            None => Ok(policy),
        }
    }

    /// The policy of a source task, with the dead letter queue if one is configured.
    ///
    /// # Errors
    /// [`PolicyError`] naming the key.
    pub fn for_source(
        worker: &[(String, String)],
        connector: &str,
        task: u32,
        config: &[(String, String)],
    ) -> Result<Self, PolicyError> {
        let mut policy = Self::from_config(config)?;
        let Some(topic) = get(config, TOPIC).filter(|topic| !topic.is_empty()) else { return Ok(policy) };
        let replication = number(config, REPLICATION)?.unwrap_or(3);
        let replication = i16::try_from(replication).ok().filter(|factor| *factor == -1 || *factor >= 1);
        policy.dead_letter = Some(DeadLetterSpec {
            topic: topic.to_owned(),
            replication: replication.ok_or(PolicyError::Invalid { key: REPLICATION, expected: "-1 or at least 1" })?,
            headers: boolean(config, HEADERS)?,
            producer: ClientSettings::dlq_producer(worker, connector, task, config)?,
            admin: ClientSettings::admin(worker, "connector-dlq-adminclient-", config)?,
        });
        Ok(policy)
    }
}

fn get<'a>(config: &'a [(String, String)], key: &str) -> Option<&'a str> {
    config.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.trim())
}

fn number(config: &[(String, String)], key: &'static str) -> Result<Option<i64>, PolicyError> {
    let parse = |value: &str| value.parse().map_err(|_| PolicyError::Invalid { key, expected: "a whole number" });
    get(config, key).map(parse).transpose()
}

fn boolean(config: &[(String, String)], key: &'static str) -> Result<bool, PolicyError> {
    match get(config, key) {
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(PolicyError::Invalid { key, expected: "true or false" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::ReservedTopics;

    fn config(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn keys_are_read_as_kafka_connect_reads_them() {
        let policy = ErrorPolicy::from_config(&config(&[
            ("errors.tolerance", "ALL"),
            ("errors.retry.timeout", "-1"),
            ("errors.retry.delay.max.ms", "100"),
            ("errors.log.enable", "true"),
        ]))
        .expect("a policy");
        assert_eq!(
            (policy.tolerance, policy.retry_timeout, policy.log, policy.log_messages),
            (Tolerance::All, None, true, false)
        );
        assert_eq!(policy.retry_delay_max, Duration::from_millis(100));
        let standard = ErrorPolicy::from_config(&[]).expect("defaults");
        assert_eq!((standard.tolerance, standard.retry_timeout), (Tolerance::None, Some(Duration::ZERO)));
    }

    #[test]
    fn bad_values_name_their_key() {
        for (key, value) in [(TOLERANCE, "some"), (RETRY_TIMEOUT, "-2"), (RETRY_DELAY, "x"), (LOG, "1"), (LOG_MESSAGES, "yes")] {
            let error = ErrorPolicy::from_config(&config(&[(key, value)])).expect_err(key);
            assert!(error.to_string().contains(key), "{error}");
        }
    }

    #[test]
    fn a_sink_may_not_read_its_dead_letters() {
        let worker = config(&[("bootstrap.servers", "localhost:1")]);
        let reads = Subscription::pattern("orders.*", &ReservedTopics::default()).expect("a pattern");
        let check = |topic: &str| ErrorPolicy::for_sink(&worker, "s", 0, &config(&[(TOPIC, topic)]), &reads);
        assert_eq!(check("orders-dlq").expect_err("a loop"), PolicyError::Loop("orders-dlq".to_owned()));
        let queue = check("dead").expect("a policy").dead_letter.expect("a queue");
        assert_eq!((queue.topic.as_str(), queue.replication, queue.headers), ("dead", 3, false));
        assert_eq!(check("").expect("none").dead_letter.map(|queue| queue.topic), None);
    }
}
