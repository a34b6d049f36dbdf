//! What both loops need around them: the task's target and state, starting plugins, the end.

use std::collections::HashSet;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument;

use super::backoff::Backoff;
use super::error::TaskError;
use super::{ErrorPolicy, Target, TaskHandle, TaskId, TaskState, TopicTracker};
use crate::convert::Outage;
use crate::logging;
use crate::metrics::{Phase, Step, TaskCounters};
use crate::sandbox::CallError;

/// Tries to start a plugin that cannot start for now, about two minutes in all.
const MAX_STARTS: u32 = 20;
/// Topic names that a task remembers having seen.
const MAX_TOPICS: usize = 10_000;
/// The first pause of `errors.retry.*`, from Kafka Connect.
const FIRST_RETRY: Duration = Duration::from_millis(300);

/// A running task's connection to its handle.
pub(super) struct Run {
    pub(super) counters: Arc<TaskCounters>,
    target: watch::Receiver<Target>,
    state: watch::Sender<TaskState>,
}

/// Sees to a final state, however the task ends.
struct Ending(watch::Sender<TaskState>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.send_if_modified(|state| {
            let torn_down = !state.is_final();
            if torn_down {
                *state = TaskState::Stopped;
            }
            torn_down
        });
    }
}

/// Runs a task's body as a tokio task.
pub(super) fn spawn<F>(id: TaskId, paused: bool, body: impl FnOnce(Run) -> F) -> TaskHandle
where
    F: Future<Output = Result<(), TaskError>> + Send + 'static,
{
    let (target, wanted) = watch::channel(if paused { Target::Pause } else { Target::Run });
    let (state, shown) = watch::channel(TaskState::Starting);
    let counters = Arc::new(TaskCounters::default());
    counters.begin(Step::Start);
    let ended = counters.clone();
    // Boxed, or the future around it would hold it twice.
    let body = Box::pin(body(Run { counters: counters.clone(), target: wanted, state: state.clone() }));
    let context = logging::context(&id.connector, Some(id.task));
    let body = async move {
        let ending = Ending(state);
        let outcome = AssertUnwindSafe(body).catch_unwind().await;
        ended.enter(Phase::Other);
        let trace = match outcome {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the worker has a defect: the task panicked; see the worker's log".to_owned(),
        };
        tracing::error!("the task failed and stays so until it is restarted: {trace}");
        ending.0.send_replace(TaskState::Failed { trace });
    };
    let running = tokio::spawn(body.instrument(context));
    TaskHandle { id, target, state: shown, counters, running: Some(running) }
}

impl Run {
    pub(super) fn target(&self) -> Target {
        *self.target.borrow()
    }

    /// Waits for a change of the target. A handle that is gone has told the task to stop before.
    pub(super) async fn changed(&mut self) {
        if self.target.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the task is to stop, and then for `grace`.
    pub(super) async fn stopped_for(&mut self, grace: Duration) {
        while self.target() != Target::Stop {
            self.changed().await;
        }
        tokio::time::sleep(grace).await;
    }

    pub(super) fn shown(&self) -> TaskState {
        self.state.borrow().clone()
    }

    pub(super) fn show(&self, state: TaskState) {
        self.state.send_if_modified(|shown| {
            let changes = *shown != state;
            if changes {
                tracing::info!("the task is {state:?}");
                self.counters.enter(phase(&state));
                *shown = state;
            }
            changes
        });
    }

    /// Holds a task that is paused from the start; it is not even started until it is resumed, as in Kafka Connect. `false`: it
    /// is to stop.
    pub(super) async fn may_start(&mut self) -> bool {
        loop {
            match self.target() {
                Target::Run => return true,
                Target::Stop => return false,
                Target::Pause => {
                    self.show(TaskState::Paused);
                    self.counters.end(Step::Start);
                    self.changed().await;
                    if self.target() == Target::Run {
                        self.show(TaskState::Starting);
                        self.counters.begin(Step::Start);
                    }
                }
            }
        }
    }

    /// Awaits something unless the task is to stop.
    pub(super) async fn unless_stopped<T>(&mut self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = future => Some(done),
            () = self.stopped_for(Duration::ZERO) => None,
        }
    }

    /// Starts a plugin, again and again for as long as it says that the world is in the way. `None`: the task is to stop.
    pub(super) async fn start<T, F>(&mut self, start: impl Fn() -> F) -> Result<Option<T>, CallError>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let mut backoff = Backoff::default();
        loop {
            match self.unless_stopped(start()).await {
                None => return Ok(None),
                Some(Ok(started)) => return Ok(Some(started)),
                Some(Err(error)) if error.is_retriable() && backoff.tries() < MAX_STARTS => {
                    TaskCounters::add(&self.counters.retries, 1);
                    tracing::warn!("starting the plugin, to be tried again: {error}");
                    if self.unless_stopped(tokio::time::sleep(backoff.next())).await.is_none() {
                        return Ok(None);
                    }
                }
                Some(Err(error)) => return Err(error),
            }
        }
    }
}

/// What is timed of a state.
fn phase(state: &TaskState) -> Phase {
    match state {
        TaskState::Running => Phase::Running,
        TaskState::Paused => Phase::Paused,
        TaskState::Starting | TaskState::Failed { .. } | TaskState::Stopped => Phase::Other,
    }
}

/// Tells the tracker each topic once.
pub(super) struct TopicsSeen {
    connector: Arc<str>,
    tracker: Arc<dyn TopicTracker>,
    seen: HashSet<String>,
}

impl TopicsSeen {
    pub(super) fn new(connector: Arc<str>, tracker: Arc<dyn TopicTracker>) -> Self {
        TopicsSeen { connector, tracker, seen: HashSet::new() }
    }

    pub(super) fn note(&mut self, topics: &[String]) {
        for topic in topics {
            if !self.seen.contains(topic) {
                if self.seen.len() >= MAX_TOPICS {
                    self.seen.clear();
                }
                self.seen.insert(topic.clone());
                self.tracker.used(&self.connector, topic);
            }
        }
    }
}

/// How long a stage that fails for now is repeated: `errors.retry.timeout` and `errors.retry.delay.max.ms`.
#[derive(Debug, Default)]
pub(super) struct RetryWindow {
    since: Option<Instant>,
    tries: u32,
}

impl RetryWindow {
    /// The next pause; `None` when the window is over.
    pub(super) fn next(&mut self, policy: &ErrorPolicy, now: Instant) -> Option<Duration> {
        let since = *self.since.get_or_insert(now);
        let left = policy.retry_timeout.map(|timeout| (since + timeout).saturating_duration_since(now));
        if left.is_some_and(|left| left.is_zero()) {
            return None;
        }
        // Kafka Connect draws at random below the longest pause once the doubled one is over it; the longest is as good.
        let pause = FIRST_RETRY.saturating_mul(1 << self.tries.min(16)).min(policy.retry_delay_max);
        self.tries = self.tries.saturating_add(1);
        Some(left.map_or(pause, |left| pause.min(left)))
    }
}

/// How long to wait before a batch is converted again that a schema registry held up: for as long as it takes, or, where
/// `errors.retry.timeout` is given, as that says.
///
/// # Errors
/// [`TaskError::Schemas`] when it is not to be tried again. The records are never skipped: the outage is none of theirs.
pub(super) fn outlast(
    outage: Outage,
    policy: &ErrorPolicy,
    window: &mut RetryWindow,
    backoff: &mut Backoff,
) -> Result<(Duration, String), TaskError> {
    let pause = match policy.retry_timeout {
        _ if !outage.passing => None,
        Some(Duration::ZERO) => Some(backoff.next()),
        _ => window.next(policy, Instant::now()),
    };
    match pause {
        Some(pause) => Ok((pause, outage.message)),
        None => Err(TaskError::Schemas(outage)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retry_window_ends_when_it_is_over() {
        let policy = |timeout: Option<u64>, most| ErrorPolicy {
            retry_timeout: timeout.map(Duration::from_millis),
            retry_delay_max: Duration::from_millis(most),
            ..ErrorPolicy::default()
        };
        let mut now = Instant::now();
        assert_eq!(RetryWindow::default().next(&policy(Some(0), 1000), now), None);
        let limited = policy(Some(1000), 500);
        let mut window = RetryWindow::default();
        let mut pauses = Vec::new();
        while let Some(pause) = window.next(&limited, now) {
            pauses.push(pause.as_millis());
            now += pause;
        }
        assert_eq!(pauses, [300, 500, 200]);
        let mut window = RetryWindow::default();
        let endless = policy(None, 60_000);
        assert!((0..1000).all(|_| window.next(&endless, now).is_some()));
    }
}
