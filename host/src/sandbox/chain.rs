use std::sync::Arc;

use crate::record::{Batch, SchemaTable};

use super::bindings::guest::transform;
use super::instance::Instance;
use super::{Call, CallError, Config, Transformed, Usage, batch};

/// A step of a chain.
#[derive(Clone)]
pub struct Step {
    /// Name of a transform. Or of a predicate: then the step drops the records for which it is false (with `negate`: true).
    pub class: String,
    /// The alias that the user gave it in `transforms`.
    pub alias: String,
    /// Its configuration, keys without prefix.
    pub config: Config,
    /// Place among the chain's guards of the predicate that guards it; records for which it is false pass unchanged.
    pub predicate: Option<u32>,
    /// The step takes the records for which its predicate is false instead.
    pub negate: bool,
}

/// A predicate that guards steps.
#[derive(Clone)]
pub struct Guard {
    /// Name of a predicate.
    pub class: String,
    /// The alias that the user gave it in `predicates`.
    pub alias: String,
    /// Its configuration, keys without prefix.
    pub config: Config,
}

impl Step {
    pub(super) fn lower<'a>(&'a self, config: &'a [(&'a str, &'a str)]) -> transform::Step<'a> {
        transform::Step { class: &self.class, alias: &self.alias, config, predicate: self.predicate, negate: self.negate }
    }
}

impl Guard {
    pub(super) fn lower<'a>(&'a self, config: &'a [(&'a str, &'a str)]) -> transform::Guard<'a> {
        transform::Guard { class: &self.class, alias: &self.alias, config }
    }
}

/// Transforms of one component that stand next to each other, in an instance of their own. Dropping it, or the future of a
/// call, drops its store.
pub struct ChainInstance {
    instance: Instance<transform::Guest>,
    schemas: Arc<SchemaTable>,
    steps: usize,
}

impl ChainInstance {
    pub(super) fn new(instance: Instance<transform::Guest>, schemas: Arc<SchemaTable>, steps: usize) -> ChainInstance {
        ChainInstance { instance, schemas, steps }
    }

    /// Runs the records through all steps. Not for empty batches.
    ///
    /// # Errors
    /// [`CallError`], the plugin's own errors among them.
    pub async fn apply(&mut self, records: &Batch) -> Result<Transformed, CallError> {
        let (schemas, steps) = (self.schemas.clone(), self.steps);
        let names = batch::Names::of(records);
        let lowered = batch::lower(records, &names);
        let work = async |guest: &transform::Guest, store: &mut _, chain| guest.chain().call_apply(store, chain, lowered).await;
        self.instance
            .call(Call::Apply, work, |answer, live| {
                let batch = batch::lift(Call::Apply, answer.records, live.limits(), &schemas)?;
                let failures = batch::lift_failures(Call::Apply, answer.failures, records.count)?;
                let transformed = Transformed { records: batch, origins: answer.origins, failures };
                check(&transformed, records.count, steps)?;
                Ok(transformed)
            })
            .await
    }

    /// What it has used, up to the last call that ended well.
    pub fn usage(&self) -> Usage {
        self.instance.usage()
    }
}

/// Origins ascend, stay within the batch that went in, and name no record that failed; failures are of steps that there are.
fn check(answer: &Transformed, count: u32, steps: usize) -> Result<(), CallError> {
    let refuse = |reason: String| Err(CallError::BadAnswer { call: Call::Apply, reason });
    let (origins, records) = (&answer.origins, answer.records.count);
    if origins.is_empty() && records > 0 && (records != count || !answer.failures.is_empty()) {
        return refuse(format!("{records} records came out of {count} with {} failures, without origins", answer.failures.len()));
    }
    if !origins.is_empty() && origins.len() != records as usize {
        return refuse(format!("{} origins for {records} records", origins.len()));
    }
    if !origins.is_sorted() || origins.last().is_some_and(|last| *last >= count) {
        return refuse(format!("origins do not ascend within the {count} records that went in"));
    }
    if let Some(failure) = answer.failures.iter().find(|failure| failure.step as usize >= steps) {
        return refuse(format!("a failure of step {} in a chain of {steps}", failure.step));
    }
    match answer.failures.iter().find(|failure| origins.binary_search(&failure.index).is_ok()) {
        Some(failure) => refuse(format!("record {} both failed and came out", failure.index)),
        None => Ok(()),
    }
}
