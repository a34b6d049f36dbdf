//! The source loop: poll, transforms, converters, producer; checkpoints stored behind acknowledgements.

mod outflow;
#[cfg(test)]
mod tests;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::error::TaskError;
use super::pipeline::{Direction, Pipeline, Processed};
use super::report::Reporter;
use super::run::{RetryWindow, Run, TopicsSeen, outlast};
use super::select::coordinates;
use super::{Checkpoints, SourcePlugin, SourceSpec, Target, TaskContext, TaskState};
use crate::kafka::SourceProducer;
use crate::metrics::{Step, TaskCounters};
use crate::record::Batch;
use crate::sandbox::{CallError, OffsetReader, Polled};
use outflow::Outflow;
use topics::Topics;

pub(super) use topics::create_if_missing;

/// How long a call of poll, or a batch that finds no room, may go on after the task was told to stop.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// How long the clients may take to close.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);

struct StoredOffsets {
    connector: Arc<str>,
    checkpoints: Arc<dyn Checkpoints>,
}

#[async_trait]
impl OffsetReader for StoredOffsets {
    async fn offsets(&self, partitions: &[String]) -> Result<Vec<Option<String>>, String> {
        self.checkpoints.get(&self.connector, partitions).await
    }
}

struct SourceTask {
    run: Run,
    plugin: Box<dyn SourcePlugin>,
    pipeline: Pipeline,
    outflow: Outflow,
    topics: Topics,
    reporter: Reporter,
    backoff: Backoff,
    poll_at: Instant,
}

/// Runs a source task to its end. What it does not need while it waits is boxed, here and below: a worker may have thousands of
/// tasks that wait.
pub(super) async fn run(spec: Box<SourceSpec>, context: TaskContext, run: Run) -> Result<(), TaskError> {
    let Some(mut task) = Box::pin(start(*spec, context, run)).await? else { return Ok(()) };
    let outcome = task.work().await;
    Box::pin(task.finish(outcome)).await
}

/// Starts it. `None`: it is to stop.
async fn start(spec: SourceSpec, context: TaskContext, mut run: Run) -> Result<Option<Box<SourceTask>>, TaskError> {
    if !run.may_start().await {
        return Ok(None);
    }
    let Some(turn) = run.unless_stopped(context.starts.turn()).await else { return Ok(None) };
    let pipeline = Pipeline::start(&mut run, Direction::Source, spec.converters, spec.chains).await?;
    let Some(pipeline) = pipeline else { return Ok(None) };
    let reporter = run.unless_stopped(Reporter::start(spec.id.clone(), spec.errors, run.counters.clone())).await;
    let Some(reporter) = reporter.transpose()? else { return Ok(None) };
    let (connector, checkpoints) = (spec.id.connector.clone(), context.checkpoints.clone());
    match run.unless_stopped(context.checkpoints.open()).await {
        None => return Ok(None),
        Some(opened) => opened.map_err(TaskError::Offsets)?,
    }
    let stored: Arc<dyn OffsetReader> = Arc::new(StoredOffsets { connector, checkpoints });
    let started = run.start(|| spec.plugin.start(stored.clone())).await;
    let Some(plugin) = started.map_err(TaskError::plugin("start"))? else { return Ok(None) };
    let producer = SourceProducer::new(spec.producer, spec.producer_limits);
    let seen = TopicsSeen::new(spec.id.connector.clone(), context.topics);
    let task = Box::new(SourceTask {
        plugin,
        pipeline,
        outflow: Outflow::new(&spec.id, producer, context.checkpoints, spec.commit, seen, run.counters.clone()),
        topics: Topics::new(spec.creation, context.reserved),
        reporter,
        backoff: Backoff::default(),
        poll_at: Instant::now(),
        run,
    });
    let classes = std::iter::once(spec.plugin.class()).chain(task.pipeline.classes());
    task.run.counters.has_instances(classes);
    task.note_usage();
    task.run.counters.end(Step::Start);
    drop(turn);
    Ok(Some(task))
}

/// Awaits something while acknowledgements are collected and checkpoints stored.
macro_rules! attend {
    ($task:expr, $future:expr) => {{
        let awaited = $future;
        tokio::pin!(awaited);
        loop {
            tokio::select! {
                done = &mut awaited => break done,
                tended = $task.outflow.tend(&mut $task.reporter) => tended?,
            }
        }
    }};
}

impl SourceTask {
    /// Works until the task is to stop.
    async fn work(&mut self) -> Result<(), TaskError> {
        loop {
            if self.outflow.has_news() {
                self.tell_committed().await?;
            }
            match self.run.target() {
                Target::Stop => return Ok(()),
                Target::Pause => {
                    self.run.show(TaskState::Paused);
                    self.run.counters.end(Step::Poll);
                    self.rest(None).await?;
                    // Whatever the plugin said about being idle was said before.
                    self.poll_at = Instant::now();
                }
                Target::Run if Instant::now() < self.poll_at => {
                    self.run.show(TaskState::Running);
                    self.rest(Some(self.poll_at)).await?;
                }
                Target::Run => {
                    self.run.show(TaskState::Running);
                    self.tell_committed().await?;
                    if let Some(polled) = self.poll().await? {
                        self.run.counters.begin(Step::Deliver);
                        Box::pin(self.forward(polled)).await?;
                        self.run.counters.end(Step::Deliver);
                    }
                }
            }
        }
    }

    /// Waits until a time, a change of the target, or checkpoints that the plugin is to hear of.
    async fn rest(&mut self, until: Option<Instant>) -> Result<(), TaskError> {
        let run = &mut self.run;
        let woken = async {
            let time = async {
                match until {
                    Some(until) => tokio::time::sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = run.changed() => {}
                () = time => {}
            }
        };
        tokio::pin!(woken);
        while !self.outflow.has_news() {
            tokio::select! {
                () = &mut woken => break,
                tended = self.outflow.tend(&mut self.reporter) => tended?,
            }
        }
        Ok(())
    }

    /// One call of poll; `None` when it is to be made again, or the task stops.
    async fn poll(&mut self) -> Result<Option<Polled>, TaskError> {
        self.run.counters.begin(Step::Poll);
        let (run, plugin, since) = (&mut self.run, &mut self.plugin, Instant::now());
        let polled = attend!(self, async {
            tokio::select! {
                polled = plugin.poll() => Some(polled),
                () = run.stopped_for(STOP_GRACE) => None,
            }
        });
        let counters = &self.run.counters;
        counters.call(since.elapsed());
        match polled {
            None => {
                tracing::warn!("the plugin was ended in the middle of a poll because the task stops");
                Ok(None)
            }
            Some(Ok(polled)) => {
                self.backoff.reset();
                counters.end(Step::Poll);
                counters.progress();
                self.note_usage();
                Ok(Some(polled))
            }
            Some(Err(CallError::Retriable(reason))) => {
                let pause = self.backoff.next();
                TaskCounters::add(&counters.retries, 1);
                tracing::warn!("poll, to be called again in {} ms: {reason}", pause.as_millis());
                self.poll_at = Instant::now() + pause;
                Ok(None)
            }
            Some(Err(error)) => Err(TaskError::Plugin { call: "poll", error }),
        }
    }

    /// Sends what was polled on its way.
    async fn forward(&mut self, polled: Polled) -> Result<(), TaskError> {
        let Polled { records, checkpoints, idle } = polled;
        let count = records.len();
        self.run.counters.batch_in(count, records.data.len());
        if !idle.is_zero() {
            self.poll_at = Instant::now() + idle;
        }
        if records.is_empty() {
            self.outflow.pass(checkpoints, &self.reporter);
            return Ok(());
        }
        let came = if self.reporter.wants_originals() { records.clone() } else { coordinates(&records) };
        let Some(mut processed) = self.process(records, &came).await? else { return Ok(()) };
        self.reporter.skipped(count.saturating_sub(processed.batch.len()));
        self.reporter.report(processed.rejected, &came).await?;
        if processed.batch.is_empty() {
            self.outflow.pass(checkpoints, &self.reporter);
            return Ok(());
        }
        processed.batch.drop_unused_topics();
        let (run, topics) = (&mut self.run, &mut self.topics);
        let known = attend!(self, run.unless_stopped(topics.ensure(&processed.batch.topics)));
        match known {
            None => return Ok(()),
            Some(result) => result?,
        }
        tokio::select! {
            sent = self.outflow.send(processed.batch, checkpoints, &self.reporter) => sent?,
            // Its checkpoints are not noted: it will be read again.
            () = self.run.stopped_for(STOP_GRACE) => return Ok(()),
        }
        self.outflow.collect(&mut self.reporter).await
    }

    fn note_usage(&self) {
        self.run.counters.used(std::iter::once(self.plugin.usage()).chain(self.pipeline.usages()));
    }

    /// Transforms and converts; `None` when the task stops meanwhile.
    async fn process(&mut self, records: Batch, came: &Batch) -> Result<Option<Processed>, TaskError> {
        let (mut window, mut backoff) = (RetryWindow::default(), Backoff::default());
        let mut flow = self.pipeline.enter(records);
        loop {
            let pipeline = &mut self.pipeline;
            let processed = match attend!(self, pipeline.run(&mut flow)) {
                Err(crash) if crash.is_crash() => {
                    let run = &mut self.run;
                    match attend!(self, pipeline.recover(&mut flow, crash, run))? {
                        true => continue,
                        false => return Ok(None),
                    }
                }
                Err(TaskError::Schemas(outage)) => {
                    let (pause, reason) = outlast(outage, self.reporter.policy(), &mut window, &mut backoff)?;
                    if !self.pause(pause, &reason).await? {
                        return Ok(None);
                    }
                    continue;
                }
                Err(TaskError::Transform { class, error: CallError::Retriable(reason) }) => {
                    match window.next(self.reporter.policy(), Instant::now()) {
                        Some(pause) if !self.pause(pause, &reason).await? => return Ok(None),
                        Some(_) => {}
                        None => {
                            let error = CallError::Retriable(reason);
                            self.pipeline.give_up(&mut flow, TaskError::Transform { class, error })?;
                        }
                    }
                    continue;
                }
                tried => tried?,
            };
            let passing = processed.rejected.iter().find(|rejected| rejected.retriable && self.reporter.retries());
            let Some(reason) = passing.map(|rejected| rejected.text()) else { return Ok(Some(processed)) };
            let Some(pause) = window.next(self.reporter.policy(), Instant::now()) else { return Ok(Some(processed)) };
            if !self.pause(pause, &reason).await? {
                return Ok(None);
            }
            flow = self.pipeline.enter(came.clone());
        }
    }

    /// Waits before a batch is tried again. `false`: the task stops.
    async fn pause(&mut self, pause: Duration, reason: &str) -> Result<bool, TaskError> {
        TaskCounters::add(&self.run.counters.retries, 1);
        tracing::warn!("a batch is to be tried again in {} ms: {reason}", pause.as_millis());
        let run = &mut self.run;
        Ok(attend!(self, run.unless_stopped(tokio::time::sleep(pause))).is_some())
    }

    /// Tells the plugin which checkpoints are stored.
    async fn tell_committed(&mut self) -> Result<(), TaskError> {
        let stored = self.outflow.take_stored();
        if stored.is_empty() {
            return Ok(());
        }
        let plugin = &mut self.plugin;
        match attend!(self, plugin.committed(&stored)) {
            Ok(()) => Ok(()),
            Err(CallError::Retriable(reason)) => {
                tracing::warn!("the plugin could not acknowledge checkpoints, to be told again: {reason}");
                self.outflow.untold(stored);
                Ok(())
            }
            Err(error) => Err(TaskError::Plugin { call: "committed", error }),
        }
    }

    /// Waits for what is on its way, stores the checkpoints behind it, and closes; also after a failure.
    async fn finish(mut self, mut outcome: Result<(), TaskError>) -> Result<(), TaskError> {
        let settled = self.outflow.finish(&mut self.reporter).await;
        if outcome.is_ok() {
            outcome = settled;
        }
        if outcome.as_ref().err().is_none_or(TaskError::spares_plugin) {
            let stored = self.outflow.take_stored();
            if !stored.is_empty()
                && let Err(error) = self.plugin.committed(&stored).await
            {
                tracing::warn!("the plugin could not acknowledge its last checkpoints: {error}");
            }
            self.plugin.stop().await;
        }
        self.outflow.close(CLOSE_LIMIT).await;
        self.reporter.close(CLOSE_LIMIT).await;
        outcome
    }
}
