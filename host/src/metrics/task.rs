use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::sandbox::Usage;

/// Declares the counters of a task, what they are at one moment, and the largest values of a sampling window.
macro_rules! counters {
    (
        counters { $($(#[$count_doc:meta])* $count:ident,)* }
        maxima { $($(#[$max_doc:meta])* $max:ident,)* }
    ) => {
        /// What one task has done since it started. Counted once per batch, never per record; read at any time.
        #[derive(Debug, Default)]
        pub struct TaskCounters {
            $($(#[$count_doc])* pub $count: AtomicU64,)*
            /// Records between the first and the last step: polled but not acknowledged, consumed but not committed.
            pub active: AtomicU64,
            /// Partitions assigned to a sink.
            pub partitions: AtomicU64,
            /// When the last error happened, in milliseconds since the epoch; 0 for never.
            pub last_error: AtomicI64,
            /// When the task last got on: a record moved, a commit, or an answer that there is nothing to do. In milliseconds
            /// since the epoch; 0 for never.
            pub last_progress: AtomicI64,
            largest: LiveMaxima,
            steps: [AtomicI64; Step::ALL.len()],
            clock: Mutex<Clock>,
            instances: Mutex<Vec<InstanceUse>>,
        }

        /// The counters at one moment.
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
        pub struct TaskTotals {
            $($(#[$count_doc])* pub $count: u64,)*
            /// Microseconds in which the task was running.
            pub running_micros: u64,
            /// Microseconds in which it was paused.
            pub paused_micros: u64,
        }

        #[derive(Debug, Default)]
        struct LiveMaxima {
            $($max: AtomicU64,)*
        }

        /// The largest values of a span of time.
        #[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
        pub struct Maxima {
            $($(#[$max_doc])* pub $max: u64,)*
        }

        impl TaskCounters {
            /// All counters now.
            pub fn totals(&self) -> TaskTotals {
                let (running, paused) = lock(&self.clock).totals(Instant::now());
                TaskTotals {
                    $($count: Self::read(&self.$count),)*
                    running_micros: micros(running),
                    paused_micros: micros(paused),
                }
            }

            /// The largest values since [`take_maxima`](Self::take_maxima) was called last.
            pub fn maxima(&self) -> Maxima {
                Maxima { $($max: Self::read(&self.largest.$max),)* }
            }

            /// The same, and begins anew.
            pub(super) fn take_maxima(&self) -> Maxima {
                Maxima { $($max: self.largest.$max.swap(0, Ordering::Relaxed),)* }
            }
        }

        impl Maxima {
            /// The larger one of each.
            pub(super) fn max(self, other: Maxima) -> Maxima {
                Maxima { $($max: self.$max.max(other.$max),)* }
            }
        }
    };
}

counters! {
    counters {
        /// Records that came in: polled from a source, consumed for a sink.
        records_in,
        /// Records that were handed to a sink's `put` and not asked for again.
        records_put,
        /// Records that went out: acknowledged by Kafka for a source, taken by `put` for a sink.
        records_out,
        /// Bytes of the records that came in.
        bytes_in,
        /// Bytes of the records that went out.
        bytes_out,
        /// Batches with at least one record that came in.
        batches,
        /// Calls of poll or put.
        calls,
        /// Microseconds spent in them.
        call_micros,
        /// Calls to poll or put and retries of a batch that were repeated because of a retriable error.
        retries,
        /// Commits that succeeded: checkpoints stored for a source, offsets committed for a sink.
        commits,
        /// Commits that failed or took too long.
        commit_failures,
        /// Commits that were due while the one before was under way.
        commits_skipped,
        /// Microseconds spent in commits that succeeded.
        commit_micros,
        /// Failed attempts at a record.
        record_failures,
        /// Records that could not be handled.
        record_errors,
        /// Records left out: dropped by a transform, or not handled and tolerated.
        records_skipped,
        /// Errors written to the log.
        errors_logged,
        /// Records handed to the dead letter queue.
        dead_letters,
        /// Records that the dead letter queue did not take.
        dead_letter_failures,
        /// Sum of the active records whenever they were looked at.
        active_sum,
        /// How often they were looked at.
        active_samples,
    }
    maxima {
        /// Records of the largest batch that came in.
        batch_size,
        /// Most active records.
        active,
        /// Microseconds of the longest poll or put.
        call_micros,
        /// Microseconds of the longest commit.
        commit_micros,
    }
}

/// A step of a task that may take long, because a plugin computes or waits, or because the world is in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Its plugins and clients are being started.
    Start,
    /// A source is asked for records.
    Poll,
    /// A batch is converted, transformed, and put or sent.
    Deliver,
    /// Records that were sent await their acknowledgements.
    Acknowledge,
    /// A sink makes what was put durable.
    Flush,
    /// Offsets are being stored or committed.
    Commit,
    /// A sink's consumer reaches no broker.
    Connect,
}

impl Step {
    /// All of them.
    pub const ALL: [Step; 7] =
        [Step::Start, Step::Poll, Step::Deliver, Step::Acknowledge, Step::Flush, Step::Commit, Step::Connect];

    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Step::Start => "start",
            Step::Poll => "poll",
            Step::Deliver => "deliver",
            Step::Acknowledge => "acknowledge",
            Step::Flush => "flush",
            Step::Commit => "commit",
            Step::Connect => "connect",
        }
    }
}

/// A step that has been under way, or has failed and been tried again, for long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stall {
    /// The step.
    pub step: Step,
    /// Since when, in milliseconds since the epoch.
    pub since: i64,
}

impl Stall {
    /// Itself, if it has lasted longer than `limit`.
    pub(super) fn longer_than(self, limit: Duration) -> Option<Stall> {
        let latest = now_millis().saturating_sub(i64::try_from(limit.as_millis()).unwrap_or(i64::MAX));
        (self.since < latest).then_some(self)
    }
}

/// What is timed of a task's states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Neither of the others.
    #[default]
    Other,
    /// It moves records, or waits for some.
    Running,
    /// It holds.
    Paused,
}

#[derive(Debug, Default)]
struct Clock {
    phase: Phase,
    since: Option<Instant>,
    running: Duration,
    paused: Duration,
}

impl Clock {
    fn totals(&self, now: Instant) -> (Duration, Duration) {
        let passed = self.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        match self.phase {
            Phase::Other => (self.running, self.paused),
            Phase::Running => (self.running + passed, self.paused),
            Phase::Paused => (self.running, self.paused + passed),
        }
    }
}

/// A plugin instance of a task, and what it has used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceUse {
    /// The classes that it runs, with commas between them.
    pub class: String,
    /// What it has used, up to the last call that ended well.
    pub usage: Usage,
}

impl TaskCounters {
    /// Adds to one counter.
    pub fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Reads one counter.
    pub fn read(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// Notes a batch that came in.
    pub fn batch_in(&self, records: usize, bytes: usize) {
        if records > 0 {
            Self::add(&self.records_in, records);
            Self::add(&self.bytes_in, bytes);
            Self::add(&self.batches, 1);
            self.largest.batch_size.fetch_max(records as u64, Ordering::Relaxed);
        }
    }

    /// Notes records that went out.
    pub fn records_out(&self, records: usize, bytes: usize) {
        Self::add(&self.records_out, records);
        Self::add(&self.bytes_out, bytes);
    }

    /// Notes how many records are under way.
    pub fn active(&self, records: u64) {
        self.active.store(records, Ordering::Relaxed);
        self.active_sum.fetch_add(records, Ordering::Relaxed);
        Self::add(&self.active_samples, 1);
        self.largest.active.fetch_max(records, Ordering::Relaxed);
    }

    /// Notes the time of a poll or put.
    pub fn call(&self, time: Duration) {
        Self::add(&self.calls, 1);
        self.call_micros.fetch_add(micros(time), Ordering::Relaxed);
        self.largest.call_micros.fetch_max(micros(time), Ordering::Relaxed);
    }

    /// Notes a commit that succeeded.
    pub fn commit(&self, time: Duration) {
        Self::add(&self.commits, 1);
        self.commit_micros.fetch_add(micros(time), Ordering::Relaxed);
        self.largest.commit_micros.fetch_max(micros(time), Ordering::Relaxed);
        self.end(Step::Commit);
        self.progress();
    }

    /// Notes that the task got on.
    pub fn progress(&self) {
        self.last_progress.store(now_millis(), Ordering::Relaxed);
    }

    /// Notes that something went wrong.
    pub fn error(&self) {
        self.last_error.store(now_millis(), Ordering::Relaxed);
    }

    /// Notes that a step begins. One that is tried again after a failure has begun before.
    pub fn begin(&self, step: Step) {
        if let Some(since) = self.steps.get(step as usize) {
            // Whichever comes first counts.
            let _ = since.compare_exchange(0, now_millis(), Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Notes that a step got on, but goes on.
    pub fn renew(&self, step: Step) {
        if let Some(since) = self.steps.get(step as usize) {
            since.store(now_millis(), Ordering::Relaxed);
        }
    }

    /// Notes that a step has ended.
    pub fn end(&self, step: Step) {
        if let Some(since) = self.steps.get(step as usize) {
            since.store(0, Ordering::Relaxed);
        }
    }

    /// The step that has been under way longest, if that is longer than `limit`.
    pub fn stall(&self, limit: Duration) -> Option<Stall> {
        let begun =
            Step::ALL.iter().zip(&self.steps).map(|(step, since)| Stall { step: *step, since: since.load(Ordering::Relaxed) });
        begun.filter(|stall| stall.since != 0).min_by_key(|stall| stall.since)?.longer_than(limit)
    }

    /// Notes that the task is in another state.
    pub fn enter(&self, phase: Phase) {
        let now = Instant::now();
        let mut clock = lock(&self.clock);
        (clock.running, clock.paused) = clock.totals(now);
        (clock.phase, clock.since) = (phase, Some(now));
    }

    /// What the task's plugin instances have used.
    pub fn instances(&self) -> Vec<InstanceUse> {
        lock(&self.instances).clone()
    }

    /// Notes which instances the task has: the classes of each, in the order in which [`used`](Self::used) gets their usage.
    pub fn has_instances(&self, classes: impl Iterator<Item = String>) {
        *lock(&self.instances) = classes.map(|class| InstanceUse { class, usage: Usage::default() }).collect();
    }

    /// Notes what the instances have used.
    pub fn used(&self, usages: impl Iterator<Item = Usage>) {
        for (instance, usage) in lock(&self.instances).iter_mut().zip(usages) {
            instance.usage = usage;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Milliseconds since the epoch.
pub(crate) fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_that_is_repeated_counts_from_its_first_try() {
        let counters = TaskCounters::default();
        assert_eq!(counters.stall(Duration::ZERO), None);
        let long_ago = now_millis() - 60_000;
        counters.steps[Step::Deliver as usize].store(long_ago, Ordering::Relaxed);
        counters.begin(Step::Deliver);
        counters.begin(Step::Commit);
        let stall = Stall { step: Step::Deliver, since: long_ago };
        assert_eq!(counters.stall(Duration::from_secs(30)), Some(stall));
        assert_eq!(counters.stall(Duration::from_secs(3600)), None);
        counters.renew(Step::Deliver);
        assert_eq!(counters.stall(Duration::from_secs(30)), None);
        counters.end(Step::Deliver);
        counters.end(Step::Commit);
        assert_eq!(counters.stall(Duration::ZERO), None);
    }

    #[test]
    fn states_are_timed() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let clock = Clock { phase: Phase::Running, since: Some(start), running: second, paused: second };
        assert_eq!(clock.totals(start + second), (2 * second, second));
        assert_eq!(Clock { phase: Phase::Paused, ..clock }.totals(start + second), (second, 2 * second));
    }

    #[test]
    fn maxima_begin_anew_when_they_are_taken() {
        let counters = TaskCounters::default();
        counters.batch_in(5, 10);
        counters.batch_in(3, 10);
        counters.active(7);
        assert_eq!((counters.take_maxima().batch_size, counters.maxima().batch_size), (5, 0));
        let totals = counters.totals();
        assert_eq!((totals.records_in, totals.bytes_in, totals.batches, totals.active_sum), (8, 20, 2, 7));
    }
}
