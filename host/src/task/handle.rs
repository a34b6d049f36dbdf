use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::metrics::TaskCounters;

/// Which task: connector and number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TaskId {
    /// The connector's name.
    pub connector: Arc<str>,
    /// The task's number, from 0.
    pub task: u32,
}

impl fmt::Display for TaskId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.connector, self.task)
    }
}

/// Where a task is, at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskState {
    /// Its plugin and clients are being started.
    Starting,
    /// It moves records, or waits for some.
    Running,
    /// It holds its place and moves nothing.
    Paused,
    /// It ended by an error and stays so until someone starts it anew.
    Failed {
        /// The reason, for people.
        trace: String,
    },
    /// It was asked to stop, and did.
    Stopped,
}

impl TaskState {
    /// Whether the task has come to its end.
    pub fn is_final(&self) -> bool {
        matches!(self, TaskState::Failed { .. } | TaskState::Stopped)
    }
}

/// What a task is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Move records.
    Run,
    /// Hold.
    Pause,
    /// End in good order.
    Stop,
}

/// Holds a running task. Dropping it stops the task, without waiting for it.
#[derive(Debug)]
pub struct TaskHandle {
    pub(super) id: TaskId,
    pub(super) target: watch::Sender<Target>,
    pub(super) state: watch::Receiver<TaskState>,
    pub(super) counters: Arc<TaskCounters>,
    pub(super) running: Option<JoinHandle<()>>,
}

impl TaskHandle {
    /// Which task this is.
    pub fn id(&self) -> &TaskId {
        &self.id
    }

    /// Has the task hold: a sink stays in its group, commits what it can, and puts nothing more.
    pub fn pause(&self) {
        self.set_target(Target::Pause);
    }

    /// Has the task move records again.
    pub fn resume(&self) {
        self.set_target(Target::Run);
    }

    /// Asks the task to end in good order, without waiting for it; several tasks can so be stopped at once.
    pub fn request_stop(&self) {
        self.set_target(Target::Stop);
    }

    /// Stops the task: what is on its way is finished and committed, at most for `limit`; then it is torn down as it stands,
    /// and what was not committed is done again by its successor. `false` if that was necessary.
    pub async fn stop(mut self, limit: Duration) -> bool {
        self.request_stop();
        let Some(mut running) = self.running.take() else { return true };
        let ended = tokio::time::timeout(limit, &mut running).await.is_ok();
        if !ended {
            running.abort();
            let (connector, task) = (&*self.id.connector, self.id.task);
            tracing::warn!(connector, task, "the task did not stop within {} ms and was torn down", limit.as_millis());
        }
        ended
    }

    /// The task's state now.
    pub fn state(&self) -> TaskState {
        self.state.borrow().clone()
    }

    /// The task's state as it changes. Ends, with a final state, when the task has ended.
    pub fn watch(&self) -> watch::Receiver<TaskState> {
        self.state.clone()
    }

    /// What the task has done.
    pub fn counters(&self) -> &Arc<TaskCounters> {
        &self.counters
    }

    /// Stopping is final: a task that was told to stop no longer listens.
    fn set_target(&self, wanted: Target) {
        self.target.send_if_modified(|target| {
            let changes = *target != Target::Stop && *target != wanted;
            if changes {
                *target = wanted;
            }
            changes
        });
    }
}

impl Drop for TaskHandle {
    fn drop(&mut self) {
        self.request_stop();
    }
}
