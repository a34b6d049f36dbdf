//! The stages between client and plugin: converters and transforms, each a function from batch to batch.

use std::borrow::Cow;

use crate::convert::{Converted, Converters};
use crate::record::Batch;
use crate::sandbox::{CallError, Failure, Usage};

use super::chain::Link;
use super::error::TaskError;
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
    /// Whether it may be handled later.
    pub(super) retriable: bool,
}

/// Kafka Connect's exception for a record whose data is at fault: what a plugin's refusal is called if it does not say.
const DATA_EXCEPTION: &str = "org.apache.kafka.connect.errors.DataException";

impl Rejected {
    /// A record that a plugin refused; `origin` is its place in the batch that came in.
    pub(super) fn refused(failure: Failure, origin: u32, stage: &'static str, class: String) -> Rejected {
        let exception = failure.kind.map_or(Cow::Borrowed(DATA_EXCEPTION), Cow::Owned);
        Rejected { origin, stage, class, exception, message: failure.reason, retriable: false }
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

/// Converters and transforms of one task.
pub(super) struct Pipeline {
    direction: Direction,
    converters: Converters,
    links: Vec<Link>,
}

impl Pipeline {
    pub(super) fn new(direction: Direction, converters: Converters, links: Vec<Link>) -> Self {
        Pipeline { direction, converters, links }
    }

    /// Runs a batch through all stages. A batch that no stage touches is moved.
    ///
    /// # Errors
    /// [`TaskError::Transform`] when a chain as a whole fails; no stage has kept anything then.
    pub(super) async fn run(&mut self, batch: Batch) -> Result<Processed, TaskError> {
        let mut flow = Processed { batch, ..Processed::default() };
        if self.direction == Direction::Sink {
            flow.convert(|batch| self.converters.decode(batch));
        }
        for link in &mut self.links {
            if flow.batch.is_empty() {
                break;
            }
            flow.transform(link).await.map_err(|error| TaskError::Transform { class: link.class(), error })?;
        }
        if self.direction == Direction::Source && !flow.batch.is_empty() {
            flow.convert(|batch| self.converters.encode(batch));
        }
        Ok(flow)
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

impl Processed {
    fn convert(&mut self, conversion: impl FnOnce(Batch) -> Converted) {
        let converted = conversion(std::mem::take(&mut self.batch));
        for failure in converted.failures {
            self.rejected.push(Rejected {
                origin: place(&self.origins, failure.index as usize),
                stage: failure.stage.name(),
                class: failure.class.to_owned(),
                exception: failure.error.exception.into(),
                message: failure.error.to_string(),
                retriable: failure.error.retriable,
            });
        }
        self.batch = converted.batch;
        self.origins = compose_or_clear(&self.batch, std::mem::take(&mut self.origins), converted.origins);
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
                let failed: Vec<u32> = chosen.failures.iter().map(|failure| failure.index).collect();
                let mut inside = vec![false; self.batch.len()];
                for index in 0..chosen.records.len() {
                    if let Some(inside) = inside.get_mut(place(&chosen.origins, index) as usize) {
                        *inside = true;
                    }
                }
                self.reject(link, &[], chosen.failures);
                let is_inside = |at: usize| inside.get(at).copied().unwrap_or_default();
                let (entering, entered) = select(&self.batch, is_inside);
                let (passing, passed) = select(&self.batch, |at| !is_inside(at) && !failed.contains(&(at as u32)));
                if entering.is_empty() {
                    (passing, passed)
                } else {
                    let out = link.chain.apply(&entering).await?;
                    self.reject(link, &entered, out.failures);
                    let origins = compose(entered, out.origins);
                    merge((&out.records, &origins), (&passing, &passed))
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
    use crate::record::{BatchBuilder, Record};
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

    async fn check(pipeline: &mut Pipeline, values: &[&str], expect: &[(&str, u32)], rejected: &[u32]) {
        let out = pipeline.run(batch(values)).await.expect("run");
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
        let mut sink = Pipeline::new(Direction::Sink, converters(INTEGER), links());
        // Four bytes are a number; other lengths are refused by the converter.
        check(&mut sink, &["bad", "\0\0\0\x05", "", "\0\0\0\x07"], &[("5", 1), ("7", 3)], &[0, 2]).await;
        let mut source = Pipeline::new(Direction::Source, converters(BYTES), links());
        check(&mut source, &["ax", "b", "c!", "d", "ex"], &[("b", 1), ("d", 3)], &[2]).await;
        check(&mut source, &["a", "b"], &[("a", 0), ("b", 1)], &[]).await;
        check(&mut source, &["ax", "bx"], &[], &[]).await;
    }

    #[tokio::test]
    async fn a_foreign_predicate_lets_records_by_in_order() {
        // The predicate lets in what does not end in x; what goes by keeps its place.
        let mut source = Pipeline::new(Direction::Source, converters(BYTES), vec![link(Some(FakeChain::default()))]);
        check(&mut source, &["ax", "b", "c!", "d", "ex"], &[("ax", 0), ("b", 1), ("d", 3), ("ex", 4)], &[2]).await;
        check(&mut source, &["ax", "bx"], &[("ax", 0), ("bx", 1)], &[]).await;
    }
}
