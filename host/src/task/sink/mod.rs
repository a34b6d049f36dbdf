//! The sink loop: consumer, converters, transforms, put; offsets committed behind flush.

mod assignment;
mod commit;
mod rebalance;
#[cfg(test)]
mod tests;
mod work;

use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;
use super::error::TaskError;
use super::pipeline::{Direction, Pipeline, Rejected};
use super::report::Reporter;
use super::run::{RetryWindow, Run, TopicsSeen};
use super::select::{coordinates, place};
use super::{CommitTiming, SinkPlugin, SinkSpec, Target, TaskContext, TaskState};
use crate::kafka::{Filled, SinkConsumer, TopicOffset};
use crate::metrics::{Step, TaskCounters};
use crate::record::{BatchBuilder, BatchLimits};
use crate::sandbox::{CallError, Failure};
use assignment::{Assignment, ends_of};
use work::{Stage, Work, restore_offsets};

/// How often the consumer is served while a batch waits to be put again.
const KEEP_ALIVE: Duration = Duration::from_millis(100);
/// How long the clients may take to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

struct SinkTask {
    run: Run,
    plugin: Box<dyn SinkPlugin>,
    pipeline: Pipeline,
    consumer: SinkConsumer,
    reporter: Reporter,
    topics: TopicsSeen,
    timing: CommitTiming,
    limits: BatchLimits,
    builder: BatchBuilder,
    assignment: Assignment,
    /// Where partitions are to be read from once they are assigned.
    rewinds: Vec<TopicOffset>,
    /// All partitions are paused: the task is, or a batch waits to be put again.
    held: bool,
    commit_at: Instant,
    /// When the commit that is under way began.
    committing: Option<Instant>,
}

/// How an attempt at a batch ended.
enum Attempt {
    Done,
    /// To be tried again after a while.
    Later(Duration, String),
}

/// Runs a sink task to its end.
pub(super) async fn run(spec: SinkSpec, context: TaskContext, mut run: Run) -> Result<(), TaskError> {
    if !run.may_start().await {
        return Ok(());
    }
    let Some(links) = run.start_chains(&spec.chains).await? else { return Ok(()) };
    let reporter = Reporter::start(spec.id.clone(), spec.errors, run.counters.clone()).await?;
    let Some(plugin) = run.start(|| spec.plugin.start()).await.map_err(TaskError::plugin("start"))? else { return Ok(()) };
    let most = spec.consumer.max_poll_records().unwrap_or(usize::MAX);
    let limits = BatchLimits { records: spec.batch.records.min(most), ..spec.batch };
    let consumer = SinkConsumer::connect(&spec.consumer, spec.subscription).await?;
    let mut task = SinkTask {
        run,
        plugin,
        pipeline: Pipeline::new(Direction::Sink, spec.converters, links),
        consumer,
        reporter,
        topics: TopicsSeen::new(spec.id.connector, context.topics),
        timing: spec.commit,
        limits,
        builder: BatchBuilder::default(),
        assignment: Assignment::default(),
        rewinds: Vec::new(),
        held: false,
        commit_at: Instant::now() + spec.commit.interval,
        committing: None,
    };
    let classes = std::iter::once(spec.plugin.class()).chain(task.pipeline.classes());
    task.run.counters.has_instances(classes);
    task.note_usage();
    task.run.counters.end(Step::Start);
    let outcome = task.work().await;
    task.finish(outcome).await
}

impl SinkTask {
    /// Works until the task is to stop.
    async fn work(&mut self) -> Result<(), TaskError> {
        // What was asked for while starting.
        self.obey().await?;
        loop {
            match self.run.target() {
                Target::Stop => return Ok(()),
                Target::Pause if self.run_is_shown() => {
                    self.hold(true)?;
                    self.run.show(TaskState::Paused);
                    self.commit_at = Instant::now();
                }
                Target::Pause => {}
                Target::Run => {
                    self.hold(false)?;
                    self.run.show(TaskState::Running);
                }
            }
            self.commit_if_due().await?;
            let filled = tokio::select! {
                filled = self.consumer.fill(&mut self.builder, self.limits, self.commit_at) => filled?,
                () = self.run.changed() => continue,
            };
            match filled {
                Filled::Records => {
                    self.deliver().await?;
                    // While records are waiting nothing above has to: the other tasks of this thread get their turn.
                    tokio::task::yield_now().await;
                }
                Filled::Rebalance(event) => self.rebalanced(event, None).await?,
                Filled::Idle => self.run.counters.progress(),
            }
        }
    }

    fn run_is_shown(&self) -> bool {
        self.run.shown() != TaskState::Paused
    }

    /// Puts what the builder holds, as often as it takes.
    async fn deliver(&mut self) -> Result<(), TaskError> {
        let batch = self.builder.finish();
        self.run.counters.batch_in(batch.len(), batch.data.len());
        self.run.counters.begin(Step::Deliver);
        self.topics.note(&batch.topics);
        let came = if self.reporter.wants_originals() { batch.clone() } else { coordinates(&batch) };
        let (ends, bytes) = (ends_of(&batch), batch.data.len());
        self.assignment.begin(&ends, &batch);
        let mut work = Work { came, ends, bytes, stage: Stage::Raw(Some(batch)), window: RetryWindow::default() };
        let mut backoff = Backoff::default();
        loop {
            match self.attempt(&mut work, &mut backoff).await? {
                Attempt::Done => break,
                Attempt::Later(pause, reason) => {
                    TaskCounters::add(&self.run.counters.retries, 1);
                    let millis = pause.as_millis();
                    tracing::warn!("a batch is to be tried again in {millis} ms: {reason}");
                    if !self.wait(pause, &mut work).await? {
                        // The task stops: what was not put is not committed, and read again by its successor.
                        return Ok(());
                    }
                }
            }
        }
        self.assignment.advance(&work.ends);
        self.run.counters.end(Step::Deliver);
        self.run.counters.active(self.assignment.lag());
        self.run.counters.progress();
        self.obey().await
    }

    /// Takes a batch as far as it goes now.
    async fn attempt(&mut self, work: &mut Work, backoff: &mut Backoff) -> Result<Attempt, TaskError> {
        if let Stage::Raw(batch) = &mut work.stage {
            let batch = batch.take().unwrap_or_else(|| work.came.clone());
            if let Some((pause, reason)) = self.prepare(batch, work).await? {
                return Ok(Attempt::Later(pause, reason));
            }
        }
        let Stage::Ready(batch, origins) = &work.stage else { return Ok(Attempt::Done) };
        if batch.is_empty() {
            return Ok(Attempt::Done);
        }
        let since = Instant::now();
        let put = self.plugin.put(batch).await;
        let counters = &self.run.counters;
        counters.call(since.elapsed());
        self.note_usage();
        match put {
            Ok(failures) => {
                TaskCounters::add(&counters.records_put, batch.len());
                counters.records_out(batch.len().saturating_sub(failures.len()), work.bytes);
                self.reporter.skipped(failures.len());
                let rejected = failures.into_iter().map(|failure| refused(failure, origins)).collect();
                self.reporter.report(rejected, &work.came).await?;
                Ok(Attempt::Done)
            }
            Err(CallError::Retriable(reason)) => Ok(Attempt::Later(backoff.next(), reason)),
            Err(error) => {
                let place = work.ends.first().map(|end| end.partition.to_string()).unwrap_or_default();
                tracing::error!("put failed on a batch of {} records, the first of {place}", batch.len());
                Err(TaskError::Plugin { call: "put", error })
            }
        }
    }

    /// Converts and transforms; answers a pause if that is to be tried again.
    async fn prepare(&mut self, batch: crate::record::Batch, work: &mut Work) -> Result<Option<(Duration, String)>, TaskError> {
        let tried = self.pipeline.run(batch).await;
        let passing = match &tried {
            Ok(processed) => {
                processed.rejected.iter().find(|rejected| rejected.retriable).map(|rejected| rejected.message.clone())
            }
            Err(TaskError::Transform { error: CallError::Retriable(reason), .. }) => Some(reason.clone()),
            Err(_) => None,
        };
        if self.reporter.retries()
            && let Some(reason) = passing
            && let Some(pause) = work.window.next(self.reporter.policy(), Instant::now())
        {
            return Ok(Some((pause, reason)));
        }
        let mut processed = tried?;
        self.reporter.skipped(work.came.len().saturating_sub(processed.batch.len()));
        self.reporter.report(processed.rejected, &work.came).await?;
        restore_offsets(&mut processed.batch, &processed.origins, &work.came);
        work.stage = Stage::Ready(processed.batch, processed.origins);
        Ok(None)
    }

    /// Waits with a batch in hand while the consumer stays in its group; also for as long as the task is paused. `false`: the
    /// task stops.
    async fn wait(&mut self, pause: Duration, work: &mut Work) -> Result<bool, TaskError> {
        let until = Instant::now() + pause;
        self.hold(true)?;
        loop {
            match self.run.target() {
                Target::Stop => return Ok(false),
                Target::Run if Instant::now() >= until => return Ok(true),
                Target::Run => self.run.show(TaskState::Running),
                Target::Pause => {
                    self.run.show(TaskState::Paused);
                    // A pause is no stand-still of the batch in hand.
                    self.run.counters.renew(Step::Deliver);
                }
            }
            if let Some(event) = self.consumer.keep_alive(&mut self.builder, self.limits)? {
                self.rebalanced(event, Some(&mut *work)).await?;
            }
            self.commit_if_due().await?;
            let next = Instant::now() + KEEP_ALIVE;
            let next = if self.run.target() == Target::Pause { next } else { next.min(until) };
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.run.changed() => {}
            }
        }
    }

    fn note_usage(&self) {
        self.run.counters.used(std::iter::once(self.plugin.usage()).chain(self.pipeline.usages()));
    }

    /// Stops or resumes fetching, but for what the plugin itself has paused.
    fn hold(&mut self, hold: bool) -> Result<(), TaskError> {
        if self.held != hold {
            self.held = hold;
            if hold {
                self.consumer.pause(&self.assignment.partitions(true))?;
            } else {
                self.consumer.resume(&self.assignment.partitions(false))?;
            }
        }
        Ok(())
    }

    /// Flushes, commits, closes and leaves the group; after a failure as far as the plugin still can.
    async fn finish(mut self, outcome: Result<(), TaskError>) -> Result<(), TaskError> {
        if outcome.as_ref().err().is_none_or(TaskError::spares_plugin) {
            let last = self.give_up(self.assignment.partitions(true)).await;
            if let Err(error) = &last {
                tracing::warn!("what was put last could not be committed: {error}");
            }
            if last.as_ref().err().is_none_or(TaskError::spares_plugin) {
                self.plugin.stop().await;
            }
        }
        self.consumer.close(CLOSE_LIMIT).await;
        self.reporter.close(CLOSE_LIMIT).await;
        outcome
    }
}

/// A record that `put` did not take.
fn refused(failure: Failure, origins: &[u32]) -> Rejected {
    let origin = place(origins, failure.index as usize);
    Rejected::refused(failure, origin, "TASK_PUT", "org.apache.kafka.connect.sink.SinkTask".to_owned())
}
