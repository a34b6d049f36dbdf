//! The sink loop: consumer, converters, transforms, put; offsets committed behind flush.

mod assignment;
mod commit;
mod rebalance;
mod recover;
mod suspects;
#[cfg(test)]
mod tests;
mod work;

use std::time::Duration;

use tokio::time::Instant;

use super::backoff::Backoff;
use super::error::TaskError;
use super::pipeline::{Direction, Flow, Pipeline, Rejected};
use super::poison::Search;
use super::report::Reporter;
use super::run::{RetryWindow, Run, TopicsSeen, outlast};
use super::select::{coordinates, place, select};
use super::{CommitTiming, SinkPlugin, SinkSpec, StartSink, Target, TaskContext, TaskState};
use crate::kafka::{Filled, SinkConsumer, TopicOffset};
use crate::metrics::{Step, TaskCounters};
use crate::record::{Batch, BatchBuilder, BatchLimits, RecordRef};
use crate::sandbox::{CallError, Failure};
use assignment::{Assignment, spans_of};
use suspects::{Kind, Suspects};
use work::{Stage, Work, restore_offsets};

/// How often the consumer is served while a batch waits to be put again.
const KEEP_ALIVE: Duration = Duration::from_millis(100);
/// Between two tries of a transform that crashed: the consumer is served.
const BREATH: Duration = Duration::from_millis(1);
/// How long the clients may take to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);
/// What Kafka Connect names as the class that was executed when a sink refuses a record.
const TASK_PUT_CLASS: &str = "org.apache.kafka.connect.sink.SinkTask";

struct SinkTask {
    run: Run,
    spec: Box<dyn StartSink>,
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
    suspects: Suspects,
    search: Search,
    /// The batch over a part of which the plugin has crashed.
    in_hand: Option<Batch>,
}

/// Calls after whose crash a record is sought.
const PUT: &str = "put";
const FLUSH: &str = "flush";

/// How an attempt at a batch ended.
enum Attempt {
    Done,
    /// To be tried again after a while.
    Later(Duration, String),
}

/// Runs a sink task to its end. What it does not need while it waits is boxed, here and below: a worker may have thousands of tasks
/// that wait.
pub(super) async fn run(spec: Box<SinkSpec>, context: TaskContext, run: Run) -> Result<(), TaskError> {
    let Some(mut task) = Box::pin(start(*spec, context, run)).await? else { return Ok(()) };
    let outcome = task.work().await;
    Box::pin(task.finish(outcome)).await
}

/// Starts it. `None`: it is to stop.
async fn start(spec: SinkSpec, context: TaskContext, mut run: Run) -> Result<Option<Box<SinkTask>>, TaskError> {
    if !run.may_start().await {
        return Ok(None);
    }
    let Some(turn) = run.unless_stopped(context.starts.turn()).await else { return Ok(None) };
    let pipeline = Pipeline::start(&mut run, Direction::Sink, spec.converters, spec.chains).await?;
    let Some(pipeline) = pipeline else { return Ok(None) };
    let reporter = run.unless_stopped(Reporter::start(spec.id.clone(), spec.errors, run.counters.clone())).await;
    let Some(reporter) = reporter.transpose()? else { return Ok(None) };
    let Some(plugin) = run.start(|| spec.plugin.start()).await.map_err(TaskError::plugin("start"))? else { return Ok(None) };
    let most = spec.consumer.max_poll_records().unwrap_or(usize::MAX);
    let limits = BatchLimits { records: spec.batch.records.min(most), ..spec.batch };
    let consumer = SinkConsumer::connect(&spec.consumer, spec.subscription).await?;
    let task = Box::new(SinkTask {
        run,
        spec: spec.plugin,
        plugin,
        pipeline,
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
        suspects: Suspects::default(),
        search: Search::default(),
        in_hand: None,
    });
    let classes = std::iter::once(task.spec.class()).chain(task.pipeline.classes());
    task.run.counters.has_instances(classes);
    task.note_usage();
    task.run.counters.end(Step::Start);
    drop(turn);
    Ok(Some(task))
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
            match self.turn().await {
                Err(crash @ TaskError::Plugin { call: PUT | FLUSH, .. }) if crash.is_crash() => {
                    Box::pin(self.recover(crash)).await?
                }
                turned => turned?,
            }
        }
    }

    /// Commits if it is time, and moves what has arrived.
    async fn turn(&mut self) -> Result<(), TaskError> {
        self.commit_if_due().await?;
        let filled = tokio::select! {
            filled = self.consumer.fill(&mut self.builder, self.limits, self.commit_at) => filled?,
            () = self.run.changed() => return Ok(()),
        };
        match filled {
            Filled::Records => {
                Box::pin(self.deliver()).await?;
                // While records are waiting nothing above has to: the other tasks of this thread get their turn.
                tokio::task::yield_now().await;
            }
            Filled::Rebalance(event) => Box::pin(self.rebalanced(event, None)).await?,
            // Nobody has said that there is nothing to do.
            Filled::Idle if self.consumer.is_cut_off() => {}
            Filled::Idle => self.run.counters.progress(),
        }
        Ok(())
    }

    fn run_is_shown(&self) -> bool {
        self.run.shown() != TaskState::Paused
    }

    /// Puts what the builder holds.
    async fn deliver(&mut self) -> Result<(), TaskError> {
        let batch = self.builder.finish();
        self.run.counters.batch_in(batch.len(), batch.data.len());
        self.run.counters.begin(Step::Deliver);
        self.topics.note(&batch.topics);
        // All of it, before any part is put: a crash over one part throws the others away, too, and they must come again.
        self.assignment.came(&spans_of(&batch));
        if self.suspects.any() {
            let put = self.put_in_parts(&batch).await;
            self.in_hand = put.is_err().then_some(batch);
            put?;
        } else {
            self.put_all(batch).await?;
        }
        self.run.counters.end(Step::Deliver);
        self.obey().await
    }

    /// Puts a batch in which there are, or were, records on which the plugin crashes.
    async fn put_in_parts(&mut self, batch: &Batch) -> Result<(), TaskError> {
        for (range, kind) in self.suspects.parts(batch) {
            // Partitions may go while a part is put.
            let is_ours = |record: RecordRef<'_>| self.assignment.contains(record.topic(), record.partition());
            let keeps: Vec<bool> = batch.records().map(|record| range.contains(&record.index) && is_ours(record)).collect();
            let (part, _) = select(batch, |index| keeps.get(index).copied().unwrap_or_default());
            match kind {
                _ if part.is_empty() => {}
                Kind::Found => self.assignment.advance(&spans_of(&part)),
                Kind::Plain => {
                    if !self.put_all(part).await? {
                        return Ok(());
                    }
                }
                Kind::Suspect => {
                    self.save().await?;
                    self.suspects.accuse(self.original(&part));
                    if !self.put_all(part).await? {
                        return Ok(());
                    }
                    self.save().await?;
                    self.suspects.acquit();
                }
            }
        }
        if self.suspects.forget(&self.assignment) {
            self.search.ended();
        }
        if self.suspects.any() && !self.suspects.is_searching() {
            // What is committed does not come again, and batches need no longer be looked through for it.
            self.commit_at = Instant::now();
        }
        Ok(())
    }

    /// A batch as far as it may be needed once more.
    fn original(&self, batch: &Batch) -> Batch {
        if self.reporter.wants_originals() { batch.clone() } else { coordinates(batch) }
    }

    /// Puts a batch, as often as it takes. `false`: the task stops, and the batch is not put.
    async fn put_all(&mut self, batch: Batch) -> Result<bool, TaskError> {
        let (came, spans, bytes) = (self.original(&batch), spans_of(&batch), batch.data.len());
        let mut work = Work { came, spans, bytes, stage: Stage::Raw(Some(batch)), window: RetryWindow::default() };
        let mut backoff = Backoff::default();
        loop {
            match self.attempt(&mut work, &mut backoff).await? {
                Attempt::Done => break,
                Attempt::Later(pause, reason) => {
                    TaskCounters::add(&self.run.counters.retries, 1);
                    if pause > BREATH {
                        let millis = pause.as_millis();
                        tracing::warn!("a batch is to be tried again in {millis} ms: {reason}");
                    }
                    if !self.wait(pause, &mut work).await? {
                        // The task stops: what was not put is not committed, and read again by its successor.
                        return Ok(false);
                    }
                }
            }
        }
        self.assignment.advance(&work.spans);
        self.run.counters.active(self.assignment.lag());
        self.run.counters.progress();
        Ok(true)
    }

    /// Takes a batch as far as it goes now.
    async fn attempt(&mut self, work: &mut Work, backoff: &mut Backoff) -> Result<Attempt, TaskError> {
        let flow = match &mut work.stage {
            Stage::Raw(batch) => Some(self.pipeline.enter(batch.take().unwrap_or_else(|| work.came.clone()))),
            Stage::Halted(flow) => Some(std::mem::take(flow)),
            Stage::Ready(..) => None,
        };
        if let Some(flow) = flow
            && let Some((pause, reason)) = self.prepare(flow, work, backoff).await?
        {
            return Ok(Attempt::Later(pause, reason));
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
                self.search.got_through();
                TaskCounters::add(&counters.records_put, batch.len());
                counters.records_out(batch.len().saturating_sub(failures.len()), work.bytes);
                self.reporter.skipped(failures.len());
                let rejected = failures.into_iter().map(|failure| refused(failure, origins)).collect();
                self.reporter.report(rejected, &work.came).await?;
                Ok(Attempt::Done)
            }
            Err(CallError::Retriable(reason)) => Ok(Attempt::Later(backoff.next(), reason)),
            Err(error) => {
                let place = work.spans.first().map(|span| span.partition.to_string()).unwrap_or_default();
                tracing::error!("put failed on a batch of {} records, the first of {place}", batch.len());
                self.suspects.accuse(std::mem::take(&mut work.came));
                Err(TaskError::Plugin { call: PUT, error })
            }
        }
    }

    /// Converts and transforms; answers a pause if that is to be tried again.
    async fn prepare(
        &mut self,
        mut flow: Flow,
        work: &mut Work,
        backoff: &mut Backoff,
    ) -> Result<Option<(Duration, String)>, TaskError> {
        let tried = match self.pipeline.run(&mut flow).await {
            Err(crash) if crash.is_crash() => {
                let reason = crash.to_string();
                // If the task is to stop, the wait that follows says so.
                self.pipeline.recover(&mut flow, crash, &mut self.run).await?;
                work.stage = Stage::Halted(flow);
                return Ok(Some((BREATH, reason)));
            }
            Err(TaskError::Schemas(outage)) => {
                work.stage = Stage::Halted(flow);
                return outlast(outage, self.reporter.policy(), &mut work.window, backoff).map(Some);
            }
            Err(TaskError::Transform { class, error: CallError::Retriable(reason) }) => {
                let pause = work.window.next(self.reporter.policy(), Instant::now());
                if pause.is_none() {
                    let error = CallError::Retriable(reason.clone());
                    self.pipeline.give_up(&mut flow, TaskError::Transform { class, error })?;
                }
                work.stage = Stage::Halted(flow);
                return Ok(Some((pause.unwrap_or(BREATH), reason)));
            }
            tried => tried,
        };
        let passing = match &tried {
            Ok(processed) => processed.rejected.iter().find(|rejected| rejected.retriable).map(|rejected| rejected.text()),
            Err(_) => None,
        };
        if self.reporter.retries()
            && let Some(reason) = passing
            && let Some(pause) = work.window.next(self.reporter.policy(), Instant::now())
        {
            work.stage = Stage::Raw(None);
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
    Rejected::refused(failure, origin, "TASK_PUT", TASK_PUT_CLASS.to_owned())
}
