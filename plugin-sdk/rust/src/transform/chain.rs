//! Steps that stand next to each other: each record goes through all of them before the next one comes.

use crate::bindings::wit;
use crate::errors::{Error, Result};
use crate::export::find;
use crate::record::Batch;
use crate::transform::{Predicate, PredicateClass, Record, RecordError, Transform, TransformClass, Verdict};

/// Steps that run in one call.
pub struct Chain {
    steps: Vec<Step>,
}

struct Step {
    action: Action,
    guard: Option<Guard>,
}

enum Action {
    Transform(Box<dyn Transform>),
    /// Drops the records that the guard does not take.
    Select(Guard),
}

struct Guard {
    predicate: Box<dyn Predicate>,
    /// What the predicate must answer.
    takes: bool,
}

impl Guard {
    fn takes(&mut self, record: &mut Record) -> Result<bool, RecordError> {
        Ok(self.predicate.test(record)? == self.takes)
    }
}

impl Chain {
    /// Starts the steps.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] for an unknown class or a bad configuration, and those of the steps.
    pub(crate) fn start(
        transforms: &[TransformClass],
        predicates: &[PredicateClass],
        steps: Vec<wit::Step>,
        guards: &[wit::Guard],
    ) -> Result<Self> {
        let steps = steps.into_iter().map(|step| {
            let guard = match step.predicate {
                None => None,
                Some(place) => {
                    let guard = guards.get(place as usize).ok_or_else(|| {
                        Error::invalid_config(format!("the transform {} names predicate {place} of {}", step.alias, guards.len()))
                    })?;
                    let predicate = start_predicate(predicates, &guard.class, guard.config.clone())?;
                    Some(Guard { predicate, takes: !step.negate })
                }
            };
            let action = match find(transforms, |class| &class.common, &step.class) {
                Ok(class) => Action::Transform((class.start)(&(class.common.parse)(step.config)?)?),
                Err(_) => {
                    let predicate = start_predicate(predicates, &step.class, step.config)?;
                    Action::Select(Guard { predicate, takes: !step.negate })
                }
            };
            Ok(Step { action, guard })
        });
        Ok(Self { steps: steps.collect::<Result<_>>()? })
    }

    /// Takes a batch through the steps.
    ///
    /// # Errors
    /// What is no record's fault; nothing comes out then.
    pub(crate) fn apply(&mut self, batch: Batch) -> Result<wit::Transformed> {
        let mut record = Record::new(batch.into_columns());
        let mut failures = Vec::new();
        while record.load() {
            match self.run(&mut record) {
                Ok(Verdict::Keep) => record.keep(),
                Ok(Verdict::Drop) => record.skip(),
                Err((step, RecordError::Data { reason, kind })) => {
                    let (step, kind) = (u32::try_from(step).unwrap_or(u32::MAX), kind.map(str::to_owned));
                    failures.push(wit::Failure { index: record.index(), reason, kind, step });
                    record.skip();
                }
                Err((_, RecordError::Task(error))) => return Err(error),
            }
        }
        let (records, origins) = record.finish();
        Ok(wit::Transformed { records, origins, failures })
    }

    /// Takes a record through the steps; an error comes with the place of its step.
    fn run(&mut self, record: &mut Record) -> Result<Verdict, (usize, RecordError)> {
        for (place, step) in self.steps.iter_mut().enumerate() {
            if step.run(record).map_err(|error| (place, error))? == Verdict::Drop {
                return Ok(Verdict::Drop);
            }
        }
        Ok(Verdict::Keep)
    }
}

impl Step {
    fn run(&mut self, record: &mut Record) -> Result<Verdict, RecordError> {
        if let Some(guard) = &mut self.guard
            && !guard.takes(record)?
        {
            return Ok(Verdict::Keep);
        }
        match &mut self.action {
            Action::Transform(transform) => transform.apply(record),
            Action::Select(guard) => Ok(if guard.takes(record)? { Verdict::Keep } else { Verdict::Drop }),
        }
    }
}

fn start_predicate(predicates: &[PredicateClass], class: &str, config: Vec<(String, String)>) -> Result<Box<dyn Predicate>> {
    let class = find(predicates, |class| &class.common, class)?;
    (class.start)(&(class.common.parse)(config)?)
}
