//! The stages between client and plugin: converters and transforms, each a function from batch to batch.

use std::borrow::Cow;

use crate::convert::{Converted, Converters, Postponed};
use crate::record::{Batch, BatchBuilder};
use crate::sandbox::{CallError, Failure, Usage};
use tokio::time::Instant;

use super::StartChain;
use super::chain::Link;
use super::error::TaskError;
use super::poison::{Search, Verdict};
use super::run::Run;
use super::select::{compose, merge, place, select};

/// Which way records go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// Kafka to plugin: converters, then transforms.
    Sink,
    /// Plugin to Kafka: transforms, then converters.
    Source,
}

/// A record that a stage could not handle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rejected {
    /// Its place in the batch that came in.
    pub(super) origin: u32,
    /// Kafka Connect's name of the stage.
    pub(super) stage: &'static str,
    /// The class that was executed.
    pub(super) class: String,
    /// The exception that Kafka Connect would name.
    pub(super) exception: Cow<'static, str>,
    /// What is wrong.
    pub(super) message: String,
    /// What lies behind it, where that is not in the message.
    pub(super) cause: Option<String>,
    /// Whether it may be handled later.
    pub(super) retriable: bool,
}

/// Kafka Connect's exception for a record whose data is at fault: what a plugin's refusal is called if it does not say.
const DATA_EXCEPTION: &str = "org.apache.kafka.connect.errors.DataException";

impl Rejected {
    /// A record that a plugin refused; `origin` is its place in the batch that came in.
    pub(super) fn refused(failure: Failure, origin: u32, stage: &'static str, class: String) -> Rejected {
        let exception = failure.kind.map_or(Cow::Borrowed(DATA_EXCEPTION), Cow::Owned);
        Rejected { origin, stage, class, exception, message: failure.reason, cause: None, retriable: false }
    }

    /// A record over which a plugin as a whole failed. What it wrote before, and where it was, is what lies behind.
    pub(super) fn crashed(crash: &TaskError, origin: u32, stage: &'static str, class: String) -> Rejected {
        let text = crash.to_string();
        let (message, cause) = match text.split_once('\n') {
            Some((first, rest)) => (first.to_owned(), Some(rest.to_owned())),
            None => (text, None),
        };
        Rejected { origin, stage, class, exception: crash.exception().into(), message, cause, retriable: false }
    }

    /// What is wrong, and what lies behind it.
    pub(super) fn text(&self) -> String {
        format!("{}{}", self.message, self.cause.as_deref().unwrap_or_default())
    }
}

/// What came out of the stages.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Processed {
    /// The records.
    pub(super) batch: Batch,
    /// For each its place in the batch that came in. Empty: each is where it was.
    pub(super) origins: Vec<u32>,
    /// Those that failed, in no particular order.
    pub(super) rejected: Vec<Rejected>,
}

/// Records on their way through the stages. When a transform crashes, they are still here.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// What is to be converted first.
    arriving: Option<Processed>,
    /// What is not through: links passed, and records. The first records stand last.
    todo: Vec<(usize, Processed)>,
    /// What is through, in order.
    done: Vec<Processed>,
}

/// Converters and transforms of one task.
pub(super) struct Pipeline {
    direction: Direction,
    converters: Converters,
    links: Vec<Link>,
    /// What the links were started from.
    specs: Vec<Box<dyn StartChain>>,
    search: Search,
}

impl Pipeline {
    /// Starts the transforms. `None`: the task is to stop.
    pub(super) async fn start(
        run: &mut Run,
        direction: Direction,
        converters: Converters,
        specs: Vec<Box<dyn StartChain>>,
    ) -> Result<Option<Self>, TaskError> {
        let mut links = Vec::with_capacity(specs.len());
        for spec in &specs {
            match start(run, spec.as_ref()).await? {
                Some(link) => links.push(link),
                None => return Ok(None),
            }
        }
        Ok(Some(Pipeline { direction, converters, links, specs, search: Search::default() }))
    }

    /// Sends a batch on its way.
    pub(super) fn enter(&self, batch: Batch) -> Flow {
        let entering = Processed { batch, ..Processed::default() };
        match self.direction {
            Direction::Sink => Flow { arriving: Some(entering), ..Flow::default() },
            Direction::Source => Flow { todo: vec![(0, entering)], ..Flow::default() },
        }
    }

    /// Runs a batch through the stages that are left. A batch that no stage touches is moved.
    ///
    /// # Errors
    /// [`TaskError::Transform`] when a chain as a whole fails; the records are where they were before it. After a crash it
    /// takes [`recover`](Self::recover) to go on. [`TaskError::Schemas`] when a schema registry is in the way: the next call goes on
    /// from there.
    pub(super) async fn run(&mut self, flow: &mut Flow) -> Result<Processed, TaskError> {
        if let Some(arriving) = &mut flow.arriving {
            let converted = self.converters.decode(std::mem::take(&mut arriving.batch)).await;
            arriving.converted(converted)?;
            flow.todo.extend(flow.arriving.take().map(|arrived| (0, arrived)));
        }
        while let Some((passed, part)) = flow.todo.last_mut() {
            while let Some(link) = self.links.get_mut(*passed).filter(|_| !part.batch.is_empty()) {
                part.transform(link).await.map_err(|error| TaskError::Transform { class: link.class(), error })?;
                *passed += 1;
                self.search.got_through();
            }
            if self.direction == Direction::Source && !part.batch.is_empty() {
                let converted = self.converters.encode(std::mem::take(&mut part.batch)).await;
                part.converted(converted)?;
            }
            flow.done.extend(flow.todo.pop().map(|(_, part)| part));
        }
        self.search.ended();
        Ok(join(std::mem::take(&mut flow.done)))
    }

    /// After a crash: starts the chain anew, and has it take half of the records that it crashed on, or leaves out the one.
    /// `false`: the task is to stop.
    ///
    /// # Errors
    /// The crash, when the search for its record does not go on; [`TaskError::Transform`] when the chain does not start.
    pub(super) async fn recover(&mut self, flow: &mut Flow, crash: TaskError, run: &mut Run) -> Result<bool, TaskError> {
        let Some((passed, part)) = flow.todo.pop() else { return Err(crash) };
        let (Some(link), Some(spec)) = (self.links.get_mut(passed), self.specs.get(passed)) else { return Err(crash) };
        let (verdict, crash) = self.search.crashed(part.batch.len(), crash, Instant::now())?;
        tracing::warn!("of {} records one may be at fault, to be sought with a new instance: {crash}", part.batch.len());
        match verdict {
            Verdict::Found => flow.done.push(part.condemned(link.class(), &crash)),
            Verdict::Split => flow.split(passed, part),
        }
        let started = start(run, spec.as_ref()).await?;
        Ok(started.map(|started| *link = started).is_some())
    }

    /// After a transform that was in the way for now, and for too long: has it take half of the records that it was given, or leaves
    /// out the one.
    ///
    /// # Errors
    /// The error, if there is no record that it could be about.
    pub(super) fn give_up(&mut self, flow: &mut Flow, error: TaskError) -> Result<(), TaskError> {
        let Some((passed, part)) = flow.todo.pop() else { return Err(error) };
        let Some(link) = self.links.get(passed) else { return Err(error) };
        match part.batch.len() {
            1 => flow.done.push(part.condemned(link.class(), &error)),
            _ => flow.split(passed, part),
        }
        Ok(())
    }

    /// The classes of each instance.
    pub(super) fn classes(&self) -> impl Iterator<Item = String> {
        let of = |link: &Link| [Some(link.class()), link.when.as_ref().map(|_| format!("predicate of {}", link.class()))];
        self.links.iter().flat_map(of).flatten()
    }

    /// What each instance has used, in the same order.
    pub(super) fn usages(&self) -> impl Iterator<Item = Usage> {
        let of = |link: &Link| [Some(link.chain.usage()), link.when.as_ref().map(|when| when.usage())];
        self.links.iter().flat_map(of).flatten()
    }
}

/// Starts transforms. `None`: the task is to stop.
async fn start(run: &mut Run, spec: &dyn StartChain) -> Result<Option<Link>, TaskError> {
    let started = run.start(|| spec.start()).await;
    started.map_err(|error| TaskError::Transform { class: "start".to_owned(), error })
}

impl Flow {
    /// Two halves of what was in hand, to be taken one after the other.
    fn split(&mut self, passed: usize, part: Processed) {
        let (front, back) = part.halves();
        self.todo.extend([back, front].into_iter().filter(|half| !half.batch.is_empty()).map(|half| (passed, half)));
    }

    /// Drops records by their places in the batch that came in.
    pub(super) fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        let parts = self.todo.iter_mut().map(|(_, part)| part).chain(&mut self.arriving).chain(&mut self.done);
        for part in parts {
            part.rejected.retain(|rejected| keep(rejected.origin));
            let (batch, places) = select(&part.batch, |index| keep(place(&part.origins, index)));
            part.origins = compose_or_clear(&batch, std::mem::take(&mut part.origins), places);
            part.batch = batch;
        }
    }
}

/// Parts of one batch, in order.
fn join(mut parts: Vec<Processed>) -> Processed {
    if parts.len() <= 1 {
        return parts.pop().unwrap_or_default();
    }
    let (mut builder, mut whole) = (BatchBuilder::default(), Processed::default());
    for part in parts {
        for record in part.batch.records() {
            builder.push(record.into(), record.headers());
            whole.origins.push(place(&part.origins, record.index));
        }
        whole.rejected.extend(part.rejected);
    }
    whole.batch = builder.finish();
    whole
}

impl Processed {
    /// Two parts of it; one that has a single record is the first.
    fn halves(self) -> (Processed, Processed) {
        let middle = self.batch.len().div_ceil(2);
        let part = |back: bool| {
            let (batch, places) = select(&self.batch, |index| (index >= middle) == back);
            let origins = places.into_iter().map(|at| place(&self.origins, at as usize)).collect();
            Processed { batch, origins, rejected: Vec::new() }
        };
        (Processed { rejected: self.rejected.clone(), ..part(false) }, part(true))
    }

    /// Without its only record, which transforms could not take.
    fn condemned(mut self, class: String, crash: &TaskError) -> Processed {
        self.rejected.push(Rejected::crashed(crash, place(&self.origins, 0), "TRANSFORMATION", class));
        Processed { rejected: self.rejected, ..Processed::default() }
    }

    /// Takes what a conversion made of its batch, or the batch back.
    fn converted(&mut self, result: Result<Converted, Box<Postponed>>) -> Result<(), TaskError> {
        let converted = result.map_err(|postponed| {
            let Postponed { outage, batch } = *postponed;
            self.batch = batch;
            TaskError::Schemas(outage)
        })?;
        for failure in converted.failures {
            self.rejected.push(Rejected {
                origin: place(&self.origins, failure.index as usize),
                stage: failure.stage.name(),
                class: failure.class.to_owned(),
                exception: failure.error.exception.into(),
                message: failure.error.message,
                cause: failure.error.cause,
                retriable: failure.error.retriable,
            });
        }
        self.batch = converted.batch;
        self.origins = compose_or_clear(&self.batch, std::mem::take(&mut self.origins), converted.origins);
        Ok(())
    }

    async fn transform(&mut self, link: &mut Link) -> Result<(), CallError> {
        let (batch, origins) = match &mut link.when {
            None => {
                let out = link.chain.apply(&self.batch).await?;
                self.reject(link, &[], out.failures);
                (out.records, out.origins)
            }
            Some(when) => {
                // Those that the predicate lets in go through the steps, the others by, and all come out in order.
                let chosen = when.apply(&self.batch).await?;
                let refused = chosen.failures;
                let failed: Vec<u32> = refused.iter().map(|failure| failure.index).collect();
                let mut inside = vec![false; self.batch.len()];
                for index in 0..chosen.records.len() {
                    if let Some(inside) = inside.get_mut(place(&chosen.origins, index) as usize) {
                        *inside = true;
                    }
                }
                let is_inside = |at: usize| inside.get(at).copied().unwrap_or_default();
                let (entering, entered) = select(&self.batch, is_inside);
                let (passing, passed) = select(&self.batch, |at| !is_inside(at) && !failed.contains(&(at as u32)));
                // Nothing is noted before all calls have gone well: after a crash they are made again.
                let out = if entering.is_empty() { None } else { Some(link.chain.apply(&entering).await?) };
                self.reject(link, &[], refused);
                match out {
                    None => (passing, passed),
                    Some(out) => {
                        self.reject(link, &entered, out.failures);
                        let origins = compose(entered, out.origins);
                        merge((&out.records, &origins), (&passing, &passed))
                    }
                }
            }
        };
        let before = std::mem::take(&mut self.origins);
        self.origins = compose_or_clear(&batch, before, origins);
        self.batch = batch;
        Ok(())
    }

    /// Notes records that a chain refused; `entered` are the places of what it was given.
    fn reject(&mut self, link: &Link, entered: &[u32], failures: Vec<Failure>) {
        for failure in failures {
            let origin = place(&self.origins, place(entered, failure.index as usize) as usize);
            let class = link.class_of(failure.step);
            self.rejected.push(Rejected::refused(failure, origin, "TRANSFORMATION", class));
        }
    }
}

/// An empty list of origins says that nothing moved; of an empty batch it says nothing.
fn compose_or_clear(batch: &Batch, before: Vec<u32>, after: Vec<u32>) -> Vec<u32> {
    if batch.is_empty() { Vec::new() } else { compose(before, after) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;
    use crate::task::testing::{BYTES, FakeChain, INTEGER, converters};

    fn batch(values: &[&str]) -> Batch {
        let mut builder = BatchBuilder::default();
        for value in values {
            builder.push(Record { topic: "t", value: Some(value.as_bytes()), ..Record::default() }, []);
        }
        builder.finish()
    }

    fn link(when: Option<FakeChain>) -> Link {
        Link {
            chain: Box::new(FakeChain::default()),
            when: when.map(|when| Box::new(when) as Box<dyn super::super::Chain>),
            classes: vec!["C".to_owned()],
        }
    }

    fn of(direction: Direction, class: &str, links: Vec<Link>) -> Pipeline {
        Pipeline { direction, converters: converters(class), links, specs: Vec::new(), search: Search::default() }
    }

    async fn check(pipeline: &mut Pipeline, values: &[&str], expect: &[(&str, u32)], rejected: &[u32]) {
        let mut flow = pipeline.enter(batch(values));
        let out = pipeline.run(&mut flow).await.expect("run");
        let values: Vec<_> = out
            .batch
            .records()
            .map(|record| {
                (String::from_utf8_lossy(record.value.unwrap_or_default()).into_owned(), place(&out.origins, record.index))
            })
            .collect();
        let expect: Vec<_> = expect.iter().map(|(value, origin)| (value.to_string(), *origin)).collect();
        let mut refused: Vec<_> = out.rejected.iter().map(|rejected| rejected.origin).collect();
        refused.sort_unstable();
        assert_eq!((values, refused.as_slice()), (expect, rejected));
    }

    #[tokio::test]
    async fn origins_lead_back_through_all_stages() {
        let links = || vec![link(None), link(None)];
        let mut sink = of(Direction::Sink, INTEGER, links());
        // Four bytes are a number; other lengths are refused by the converter.
        check(&mut sink, &["bad", "\0\0\0\x05", "", "\0\0\0\x07"], &[("5", 1), ("7", 3)], &[0, 2]).await;
        let mut source = of(Direction::Source, BYTES, links());
        check(&mut source, &["ax", "b", "c!", "d", "ex"], &[("b", 1), ("d", 3)], &[2]).await;
        check(&mut source, &["a", "b"], &[("a", 0), ("b", 1)], &[]).await;
        check(&mut source, &["ax", "bx"], &[], &[]).await;
    }

    #[tokio::test]
    async fn a_foreign_predicate_lets_records_by_in_order() {
        // The predicate lets in what does not end in x; what goes by keeps its place.
        let mut source = of(Direction::Source, BYTES, vec![link(Some(FakeChain::default()))]);
        check(&mut source, &["ax", "b", "c!", "d", "ex"], &[("ax", 0), ("b", 1), ("d", 3), ("ex", 4)], &[2]).await;
        check(&mut source, &["ax", "bx"], &[("ax", 0), ("bx", 1)], &[]).await;
    }
}
