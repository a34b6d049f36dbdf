use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::client::{ClientRole, ClientStats};
use super::task::{InstanceUse, Maxima, Stall, Step, TaskCounters, TaskTotals};
use super::window::{SampleWindow, Samples};
use crate::sandbox::InstanceLimits;

/// What a task is made of.
#[derive(Debug, Clone, Default)]
pub struct TaskParts {
    /// Kafka's names of its parts (`task-class`, `key-converter-class`, …) and what they are.
    pub classes: Vec<(&'static str, String)>,
    /// Its transforms and predicates.
    pub stages: Vec<TaskStage>,
}

/// A transform or predicate of a task.
#[derive(Debug, Clone)]
pub struct TaskStage {
    /// Whether it is a predicate.
    pub is_predicate: bool,
    /// Its alias in the connector's configuration.
    pub alias: String,
    /// Its class.
    pub class: String,
    /// The class's version.
    pub version: String,
}

/// Everything that can be measured of a task that was started. It stays readable after the task has failed.
#[derive(Debug)]
pub struct Vitals {
    /// What it has done.
    pub counters: Arc<TaskCounters>,
    /// Its Kafka clients.
    pub clients: Vec<Arc<ClientStats>>,
    /// What each of its plugin instances is allowed.
    pub limits: InstanceLimits,
    /// What it is made of.
    pub parts: TaskParts,
    window: Mutex<TaskWindow>,
}

#[derive(Debug)]
struct TaskWindow {
    totals: Samples<TaskTotals>,
    maxima: Samples<Maxima>,
}

/// A task now, and over the sampling window.
#[derive(Debug, Clone)]
pub struct TaskReading {
    /// What has been counted.
    pub now: TaskTotals,
    /// What had been counted when the window began.
    pub before: TaskTotals,
    /// The largest values of the window.
    pub maxima: Maxima,
    /// Records that are under way.
    pub active: u64,
    /// Partitions assigned to a sink.
    pub partitions: u64,
    /// When the last error happened, in milliseconds since the epoch; 0 for never.
    pub last_error: i64,
    /// When the task last got on, in milliseconds since the epoch; 0 for never.
    pub last_progress: i64,
    /// The step that holds the task up, if one does.
    pub stall: Option<Stall>,
    /// What its plugin instances have used.
    pub instances: Vec<InstanceUse>,
    /// Since the window began.
    passed: Duration,
    /// By which a difference is divided for a rate.
    rate_span: Duration,
}

impl Vitals {
    /// Of a task that starts now.
    pub fn new(
        counters: Arc<TaskCounters>,
        clients: Vec<Arc<ClientStats>>,
        limits: InstanceLimits,
        parts: TaskParts,
        window: SampleWindow,
    ) -> Vitals {
        let now = Instant::now();
        let totals = Samples::new(window, now, TaskTotals::default());
        let maxima = Samples::new(window, now, Maxima::default());
        Vitals { counters, clients, limits, parts, window: Mutex::new(TaskWindow { totals, maxima }) }
    }

    /// Ends a span of the sampling window. To be called every [`SampleWindow::width`].
    pub fn tick(&self) {
        let now = Instant::now();
        let mut window = self.window();
        window.totals.push(now, self.counters.totals());
        window.maxima.push(now, self.counters.take_maxima());
        for client in &self.clients {
            client.tick();
        }
    }

    /// What there is to read now; a step that takes longer than `stalled_after` holds the task up.
    pub fn read(&self, stalled_after: Duration) -> TaskReading {
        let window = self.window();
        let (before, passed) = window
            .totals
            .oldest(Instant::now())
            .map_or((TaskTotals::default(), Duration::ZERO), |(totals, passed)| (*totals, passed));
        let counters = &self.counters;
        TaskReading {
            now: counters.totals(),
            before,
            maxima: window.maxima.spans().fold(counters.maxima(), |largest, other| largest.max(*other)),
            active: TaskCounters::read(&counters.active),
            partitions: TaskCounters::read(&counters.partitions),
            last_error: counters.last_error.load(Ordering::Relaxed),
            last_progress: counters.last_progress.load(Ordering::Relaxed),
            stall: counters.stall(stalled_after).or_else(|| self.cut_off(stalled_after)),
            instances: counters.instances(),
            passed,
            rate_span: window.totals.rate_span(passed),
        }
    }

    /// Whether a sink's consumer has reached no broker for long. (An idle source has no client, and one that sends waits for an
    /// acknowledgement.)
    fn cut_off(&self, limit: Duration) -> Option<Stall> {
        let consumers = self.clients.iter().filter(|client| client.role == ClientRole::Consumer);
        let since = consumers.filter_map(|client| client.cut_off_since()).min()?;
        Stall { step: Step::Connect, since }.longer_than(limit)
    }

    fn window(&self) -> MutexGuard<'_, TaskWindow> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TaskReading {
    /// By how much a counter grew over the window.
    pub fn growth(&self, of: fn(&TaskTotals) -> u64) -> f64 {
        of(&self.now).saturating_sub(of(&self.before)) as f64
    }

    /// The same per second.
    pub fn rate(&self, of: fn(&TaskTotals) -> u64) -> f64 {
        ratio(self.growth(of), self.rate_span.as_secs_f64())
    }

    /// The average of a sum over the window.
    pub fn average(&self, sum: fn(&TaskTotals) -> u64, count: fn(&TaskTotals) -> u64) -> f64 {
        ratio(self.growth(sum), self.growth(count))
    }

    /// The part of the window that was spent in something that is counted in microseconds: from 0 to 1.
    pub fn share(&self, micros: fn(&TaskTotals) -> u64) -> f64 {
        ratio(self.growth(micros), self.passed.as_micros() as f64).min(1.0)
    }
}

/// A quotient; 0 of nothing.
pub(super) fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_of_the_window() {
        let counters = Arc::new(TaskCounters::default());
        let window = SampleWindow { samples: 2, width: Duration::from_secs(30) };
        let vitals = Vitals::new(counters.clone(), Vec::new(), InstanceLimits::default(), TaskParts::default(), window);
        counters.batch_in(60, 600);
        counters.call(Duration::from_millis(4));
        counters.call(Duration::from_millis(2));
        let reading = vitals.read(Duration::from_secs(1));
        assert_eq!(reading.rate(|totals| totals.records_in), 2.0);
        assert_eq!(reading.average(|totals| totals.call_micros, |totals| totals.calls), 3000.0);
        assert_eq!((reading.maxima.call_micros, reading.maxima.batch_size), (4000, 60));
        vitals.tick();
        assert_eq!(vitals.read(Duration::ZERO).maxima.batch_size, 60, "the last span still counts");
        vitals.tick();
        vitals.tick();
        let reading = vitals.read(Duration::ZERO);
        assert_eq!((reading.now.records_in, reading.rate(|totals| totals.records_in), reading.maxima.batch_size), (60, 0.0, 0));
    }
}
