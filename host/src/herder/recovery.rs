//! The opt-in restart of failed connectors and tasks: Hawser's own `hawser.restart.*` keys of a connector.
//!
//! Off unless asked for, so that nothing fights an operator that watches for FAILED. While a restart is due, the instance shows as
//! RESTARTING with the reason of its failure; FAILED means that nothing more will be done without someone's doing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::engine::Config;
use super::plan::get;

/// Restarts in a row; 0, the default: none; -1: without end.
const MAX_ATTEMPTS: &str = "hawser.restart.max.attempts";
/// Milliseconds before the first restart; doubled for each further one.
const DELAY: &str = "hawser.restart.delay.ms";
/// Milliseconds before a restart at most.
const MAX_DELAY: &str = "hawser.restart.delay.max.ms";
/// Milliseconds of running after which the next failure counts as the first.
const HEALTHY: &str = "hawser.restart.healthy.ms";
/// What all keys begin with.
const PREFIX: &str = "hawser.restart.";

/// Each wait is changed at random by up to this part of it, so that what failed together does not come back together.
const JITTER: f64 = 0.2;
/// Milliseconds that a key may say at most: a year.
const MAX_MILLIS: i64 = 366 * 24 * 3600 * 1000;

/// When failed instances of a connector are restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecoveryPolicy {
    /// `None`: without end.
    max_attempts: Option<u32>,
    delay: Duration,
    max_delay: Duration,
    healthy: Duration,
}

impl RecoveryPolicy {
    /// The policy of a configuration; `None`: nothing is restarted.
    ///
    /// # Errors
    /// Each key that is wrong, and what is wrong with it.
    pub(super) fn parse(config: &Config) -> Result<Option<RecoveryPolicy>, Vec<(String, String)>> {
        let mut errors = Vec::new();
        let mut read = |key: &str, default: i64, least: i64, most: i64| {
            let Some(text) = get(config, key) else { return default };
            let reason = match text.trim().parse::<i64>() {
                Err(_) => "Not a number of type LONG".to_owned(),
                Ok(number) if number < least => format!("Value must be at least {least}"),
                Ok(number) if number > most => format!("Value must be no more than {most}"),
                Ok(number) => return number,
            };
            errors.push((key.to_owned(), super::config_def::invalid_value(key, text, &reason)));
            default
        };
        let attempts = read(MAX_ATTEMPTS, 0, -1, i32::MAX.into());
        let delay = read(DELAY, 10_000, 1, MAX_MILLIS);
        let max_delay = read(MAX_DELAY, 600_000, 1, MAX_MILLIS);
        let healthy = read(HEALTHY, 600_000, 0, MAX_MILLIS);
        let known = [MAX_ATTEMPTS, DELAY, MAX_DELAY, HEALTHY];
        for (key, _) in config.iter().filter(|(key, _)| key.starts_with(PREFIX) && !known.contains(&key.as_str())) {
            errors.push((key.clone(), format!("{key} is not a key of Hawser: use one of {}", known.join(", "))));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let millis = |number: i64| Duration::from_millis(u64::try_from(number).unwrap_or_default());
        let policy = RecoveryPolicy {
            max_attempts: u32::try_from(attempts).ok(),
            delay: millis(delay),
            max_delay: millis(max_delay),
            healthy: millis(healthy),
        };
        Ok((attempts != 0).then_some(policy))
    }

    /// The wait before a restart, after so many others. `random` is from 0 to 1.
    fn wait(&self, attempts: u32, random: f64) -> Duration {
        let wait = self.delay.saturating_mul(1_u32.checked_shl(attempts).unwrap_or(u32::MAX)).min(self.max_delay);
        wait.mul_f64(1.0 - JITTER + 2.0 * JITTER * random).min(self.max_delay)
    }
}

/// The failures and restarts of one instance: a connector or a task.
#[derive(Clone)]
pub(super) struct Recovery {
    state: Arc<Mutex<Attempts>>,
    /// Told when a restart becomes due at some time.
    news: Arc<Notify>,
}

#[derive(Default)]
struct Attempts {
    /// Restarts since it was last healthy.
    made: u32,
    due: Option<Instant>,
    running_since: Option<Instant>,
}

impl Recovery {
    pub(super) fn new(news: &Arc<Notify>) -> Recovery {
        Recovery { state: Arc::default(), news: Arc::clone(news) }
    }

    fn state(&self) -> MutexGuard<'_, Attempts> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The instance runs.
    pub(super) fn runs(&self) {
        self.runs_at(Instant::now());
    }

    fn runs_at(&self, now: Instant) {
        self.state().running_since.get_or_insert(now);
    }

    /// The instance failed. True: it will be restarted.
    pub(super) fn failed(&self, policy: Option<&RecoveryPolicy>) -> bool {
        self.failed_at(policy, Instant::now())
    }

    fn failed_at(&self, policy: Option<&RecoveryPolicy>, now: Instant) -> bool {
        let mut state = self.state();
        let ran = state.running_since.take().map(|since| now - since);
        state.due = None;
        let Some(policy) = policy else { return false };
        if ran.is_some_and(|ran| ran >= policy.healthy) {
            state.made = 0;
        }
        let is_due = policy.max_attempts.is_none_or(|max| state.made < max);
        state.due = is_due.then(|| now + policy.wait(state.made, rand::random::<f64>()));
        if is_due {
            state.made = state.made.saturating_add(1);
            self.news.notify_one();
        }
        is_due
    }

    /// When a restart is due, if one is.
    pub(super) fn due(&self) -> Option<Instant> {
        self.state().due
    }

    /// The restart that is due is being made.
    pub(super) fn begin(&self) {
        self.state().due = None;
    }

    /// Brings forward the restart that is due.
    pub(super) fn hasten(&self) {
        let mut state = self.state();
        if state.due.is_some() {
            state.due = Some(Instant::now());
        }
    }

    /// Someone has taken it in hand: what was before does not count.
    pub(super) fn reset(&self) {
        *self.state() = Attempts::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(keys: &[(&str, &str)]) -> Result<Option<RecoveryPolicy>, Vec<(String, String)>> {
        RecoveryPolicy::parse(&keys.iter().map(|(key, value)| (format!("{PREFIX}{key}"), (*value).to_owned())).collect())
    }

    #[test]
    fn keys_are_read_and_refused() {
        assert_eq!(policy(&[]), Ok(None));
        assert_eq!(policy(&[("delay.ms", "5")]), Ok(None), "it is asked for by the number of attempts");
        let found = policy(&[("max.attempts", "-1"), ("delay.ms", " 5 ")]).unwrap().unwrap();
        assert_eq!((found.max_attempts, found.delay), (None, Duration::from_millis(5)));
        let wrong = |key: &str, value: &str| policy(&[(key, value)]).unwrap_err().remove(0).1;
        assert_eq!(
            wrong("max.attempts", "-2"),
            "Invalid value -2 for configuration hawser.restart.max.attempts: Value must be at least -1"
        );
        assert!(wrong("delay.ms", "x").ends_with("Not a number of type LONG"));
        assert!(wrong("healthy.ms", "99999999999999").contains("no more than"));
        assert!(wrong("attempts", "1").contains("is not a key of Hawser"));
    }

    #[test]
    fn waits_double_up_to_a_limit_with_jitter() {
        let policy = policy(&[("max.attempts", "9"), ("delay.ms", "1000"), ("delay.max.ms", "6000")]).unwrap().unwrap();
        let waits = |random| [0, 1, 2, 3, 40].map(|made| policy.wait(made, random).as_millis());
        assert_eq!(waits(0.5), [1000, 2000, 4000, 6000, 6000]);
        assert_eq!(waits(0.0), [800, 1600, 3200, 4800, 4800]);
        assert_eq!(waits(1.0), [1200, 2400, 4800, 6000, 6000]);
    }

    #[test]
    fn attempts_run_out_unless_it_was_healthy_in_between() {
        let policy = policy(&[("max.attempts", "2"), ("delay.ms", "1000"), ("healthy.ms", "60000")]).unwrap().unwrap();
        let recovery = Recovery::new(&Arc::new(Notify::new()));
        let mut now = Instant::now();
        let mut fails_after = |seconds: u64| {
            recovery.begin();
            recovery.runs_at(now);
            now += Duration::from_secs(seconds);
            (recovery.failed_at(Some(&policy), now), recovery.due().map(|due| due - now))
        };
        let waits = |(fails, wait): (bool, Option<Duration>), first: u64, last: u64| {
            assert!(fails && wait.is_some_and(|wait| (first..=last).contains(&(wait.as_millis() as u64))), "{wait:?}");
        };
        waits(fails_after(1), 800, 1200);
        waits(fails_after(59), 1600, 2400);
        assert_eq!(fails_after(59), (false, None), "two were allowed");
        waits(fails_after(60), 800, 1200);
        recovery.reset();
        assert_eq!(recovery.due(), None);
        waits(fails_after(1), 800, 1200);
        assert!(!recovery.failed(None));
        assert!(recovery.due().is_none());
    }
}
