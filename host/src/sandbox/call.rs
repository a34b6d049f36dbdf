//! One call into a plugin: its name, its deadlines, and the watch over it.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::lane::Lane;
use super::{CallError, InstanceLimits};

/// A kind of call into a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Call {
    Describe,
    Validate,
    TaskConfigs,
    Start,
    Poll,
    Committed,
    Open,
    Close,
    Put,
    Flush,
    Apply,
    Stop,
}

impl Call {
    /// All of them.
    pub const ALL: [Call; 12] = [
        Call::Describe,
        Call::Validate,
        Call::TaskConfigs,
        Call::Start,
        Call::Poll,
        Call::Committed,
        Call::Open,
        Call::Close,
        Call::Put,
        Call::Flush,
        Call::Apply,
        Call::Stop,
    ];

    /// Its name in the interface.
    pub fn name(self) -> &'static str {
        match self {
            Call::Describe => "describe",
            Call::Validate => "validate",
            Call::TaskConfigs => "task-configs",
            Call::Start => "start",
            Call::Poll => "poll",
            Call::Committed => "committed",
            Call::Open => "open",
            Call::Close => "close",
            Call::Put => "put",
            Call::Flush => "flush",
            Call::Apply => "apply",
            Call::Stop => "stop",
        }
    }

    /// The configuration key of its deadline.
    pub fn timeout_key(self) -> &'static str {
        match self {
            Call::Describe => "sandbox.describe.timeout.ms",
            Call::Validate => "sandbox.validate.timeout.ms",
            Call::TaskConfigs => "sandbox.task.configs.timeout.ms",
            Call::Start => "sandbox.start.timeout.ms",
            Call::Poll => "sandbox.poll.timeout.ms",
            Call::Committed => "sandbox.committed.timeout.ms",
            Call::Open | Call::Close => "sandbox.open.timeout.ms",
            Call::Put => "sandbox.put.timeout.ms",
            Call::Flush => "sandbox.flush.timeout.ms",
            Call::Apply => "sandbox.apply.timeout.ms",
            Call::Stop => "sandbox.stop.timeout.ms",
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an instance has used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of linear memory it holds. Memory never shrinks.
    pub memory_bytes: u64,
    /// Elements of its tables.
    pub table_elements: u64,
    /// Time that its calls spent on a processor.
    pub cpu: Duration,
    /// The same of the call that spent most.
    pub longest_call_cpu: Duration,
    /// Calls made into it.
    pub calls: u64,
    /// Log lines that were over its rate.
    pub log_lines_dropped: u64,
}

/// Runs a call under both of its deadlines, in the turns of its plugin, and adds the time it computes to `cpu`.
///
/// The guest gives way every tick of the epoch, so that this function sees a call that computes without end soon after its
/// deadline, and other tasks of the thread run meanwhile.
///
/// # Errors
/// [`CallError::Deadline`] or [`CallError::CpuDeadline`]; the call's future was dropped half-way, so its store must be, too.
pub(super) async fn watch<T>(
    call: Call,
    limits: &InstanceLimits,
    cpu: &mut Duration,
    lane: &Lane,
    future: impl Future<Output = T>,
) -> Result<T, CallError> {
    let mut future = pin!(future);
    let mut used = Duration::ZERO;
    let metered = poll_fn(|context| {
        let start = Instant::now();
        let polled = future.as_mut().poll(context);
        used += start.elapsed();
        match polled {
            Poll::Ready(answer) => Poll::Ready(Ok(answer)),
            Poll::Pending if used > limits.cpu => {
                Poll::Ready(Err(CallError::CpuDeadline { call, limit: limits.cpu, refused: None }))
            }
            Poll::Pending => Poll::Pending,
        }
    });
    let limit = limits.deadlines.of(call);
    let answer = tokio::time::timeout(limit, lane.keep(metered)).await;
    *cpu += used;
    answer.unwrap_or(Err(CallError::Deadline { call, limit, refused: None }))
}
