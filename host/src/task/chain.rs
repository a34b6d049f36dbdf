//! Transform chains: neighbouring steps of one component run in one call.

use std::sync::Arc;

use async_trait::async_trait;

use super::Chain;
use crate::sandbox::{CallError, Component, Config, Guard, InstanceEnv, Step};

/// A predicate of a connector's configuration, found in the catalogue.
#[derive(Clone)]
pub struct PredicateStep {
    /// Its name in `predicates`.
    pub alias: String,
    /// Its class.
    pub class: String,
    /// The component that has the class.
    pub component: Arc<Component>,
    /// Its own keys, without their prefix.
    pub config: Config,
}

/// A transform of a connector's configuration, found in the catalogue.
#[derive(Clone)]
pub struct TransformStep {
    /// Its name in `transforms`.
    pub alias: String,
    /// Its class.
    pub class: String,
    /// Its class as the dead letter queue names it: a JVM name where the user wrote one.
    pub shown: String,
    /// The component that has the class.
    pub component: Arc<Component>,
    /// Its own keys, without their prefix and without `predicate` and `negate`.
    pub config: Config,
    /// The predicate that guards it.
    pub predicate: Option<PredicateStep>,
    /// Whether it takes the records for which its predicate is false.
    pub negate: bool,
}

/// Steps that run in one call.
pub struct ChainSpec {
    /// The component of all steps.
    pub component: Arc<Component>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Their classes as the dead letter queue names them.
    pub shown: Vec<String>,
    /// The predicates of the same component that guard them.
    pub predicates: Vec<Guard>,
    /// A predicate of another component that guards them all: the component, and the predicate as a filtering step.
    pub when: Option<(Arc<Component>, Step)>,
    /// Grants, limits, schemas.
    pub env: InstanceEnv,
}

/// Starts a chain's instances; may be asked again when it could not for now.
#[async_trait]
pub trait StartChain: Send + Sync {
    /// Starts them.
    async fn start(&self) -> Result<Link, CallError>;
}

/// A started chain.
pub struct Link {
    /// The steps.
    pub chain: Box<dyn Chain>,
    /// What lets records into them; the others pass by unchanged.
    pub when: Option<Box<dyn Chain>>,
    /// The classes of the steps, for messages and the dead letter queue.
    pub classes: Vec<String>,
}

impl Link {
    /// All classes, for messages about the chain as a whole.
    pub(super) fn class(&self) -> String {
        self.classes.join(",")
    }

    /// The class of a step. A predicate counts as the transform that it guards, as in Kafka Connect.
    pub(super) fn class_of(&self, step: u32) -> String {
        self.classes.get(step as usize).cloned().unwrap_or_default()
    }
}

#[async_trait]
impl StartChain for ChainSpec {
    async fn start(&self) -> Result<Link, CallError> {
        let when: Option<Box<dyn Chain>> = match &self.when {
            None => None,
            Some((component, step)) => {
                Some(Box::new(component.start_chain(vec![step.clone()], Vec::new(), self.env.clone()).await?))
            }
        };
        let chain = Box::new(self.component.start_chain(self.steps.clone(), self.predicates.clone(), self.env.clone()).await?);
        Ok(Link { chain, when, classes: self.shown.clone() })
    }
}

/// Groups a connector's transforms, in their order, into as few calls as possible: steps of one component that stand next to
/// each other run together, unless one is guarded by a predicate of another component.
pub fn group_steps(steps: Vec<TransformStep>, env: &InstanceEnv) -> Vec<Box<dyn StartChain>> {
    let mut groups: Vec<ChainSpec> = Vec::new();
    for step in steps {
        let (guard, when) = match step.predicate {
            Some(predicate) if Arc::ptr_eq(&predicate.component, &step.component) => {
                (Some(Guard { class: predicate.class, alias: predicate.alias, config: predicate.config }), None)
            }
            Some(predicate) => {
                let filter = Step {
                    class: predicate.class,
                    alias: predicate.alias,
                    config: predicate.config,
                    predicate: None,
                    negate: step.negate,
                };
                (None, Some((predicate.component, filter)))
            }
            None => (None, None),
        };
        let negate = step.negate && when.is_none();
        let step_of = |group: &mut ChainSpec, class, alias, config, shown| {
            let predicate = guard.clone().map(|guard| place_of(&mut group.predicates, guard));
            group.steps.push(Step { class, alias, config, predicate, negate });
            group.shown.push(shown);
        };
        match groups.last_mut() {
            Some(last) if when.is_none() && last.when.is_none() && Arc::ptr_eq(&last.component, &step.component) => {
                step_of(last, step.class, step.alias, step.config, step.shown);
            }
            _ => {
                let (steps, shown, predicates) = (Vec::new(), Vec::new(), Vec::new());
                let mut group = ChainSpec { component: step.component, steps, shown, predicates, when, env: env.clone() };
                step_of(&mut group, step.class, step.alias, step.config, step.shown);
                groups.push(group);
            }
        }
    }
    groups.into_iter().map(|group| Box::new(group) as Box<dyn StartChain>).collect()
}

/// The guard's place in a list that holds each alias once.
fn place_of(guards: &mut Vec<Guard>, guard: Guard) -> u32 {
    let place = guards.iter().position(|known| known.alias == guard.alias).unwrap_or(guards.len());
    if place == guards.len() {
        guards.push(guard);
    }
    place as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::InstanceLimits;
    use crate::sandbox::tests::fixture::{batch, component, env, patched, sandbox};

    fn step(component: &Arc<Component>, guard: Option<&Arc<Component>>) -> TransformStep {
        let class = || "HostileTransform".to_owned();
        let predicate = |component: &Arc<Component>| PredicateStep {
            alias: "p".to_owned(),
            class: class(),
            component: component.clone(),
            config: Vec::new(),
        };
        TransformStep {
            alias: "t".to_owned(),
            class: class(),
            shown: class(),
            component: component.clone(),
            config: Vec::new(),
            predicate: guard.map(predicate),
            negate: false,
        }
    }

    /// The steps of each call that one batch takes.
    async fn calls(steps: Vec<TransformStep>) -> Vec<usize> {
        let mut calls = Vec::new();
        for group in group_steps(steps, &env(InstanceLimits::default())) {
            let mut link = group.start().await.expect("start");
            let before = link.chain.usage().calls;
            link.chain.apply(&batch(10, 100)).await.expect("apply");
            assert_eq!(link.chain.usage().calls - before, 1, "one call for all steps of a group");
            calls.push(link.classes.len());
        }
        calls
    }

    #[tokio::test]
    async fn neighbouring_steps_of_one_component_run_in_one_call() {
        let ours = component().await;
        let other = sandbox().load(patched("", "9.9.9")).await.expect("load");
        let check = async |steps: Vec<TransformStep>, expect: &[usize]| assert_eq!(calls(steps).await, expect);
        check((0..5).map(|_| step(&ours, None)).collect(), &[5]).await;
        check(vec![step(&ours, Some(&ours)), step(&ours, None), step(&ours, Some(&ours))], &[3]).await;
        check(vec![step(&ours, None), step(&other, None), step(&other, None), step(&ours, None)], &[1, 2, 1]).await;
        // A predicate of another component decides before the call: its step has a call of its own.
        check(vec![step(&ours, None), step(&ours, Some(&other)), step(&ours, None)], &[1, 1, 1]).await;
    }
}
