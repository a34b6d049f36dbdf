//! A task of a running connector, and the reporter of its status.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::context::Context;
use super::engine::{RunningTask, TaskPhase};
use super::plan::Plan;
use super::recovery::Recovery;
use crate::store::{RawConfig, State};

/// A task, running or failed.
pub(super) struct Task {
    connector_config: Arc<RawConfig>,
    config: Arc<RawConfig>,
    /// The uploads that it runs on.
    uses: Vec<(Arc<str>, String)>,
    recovery: Recovery,
    /// None: it could not be started.
    running: Option<Started>,
}

struct Started {
    handle: Box<dyn RunningTask>,
    reporter: JoinHandle<()>,
}

impl Task {
    /// Starts a task from its stored configuration. If it cannot be started, its status says why.
    pub(super) async fn start(
        context: &Arc<Context>,
        plan: &Arc<Plan>,
        number: u32,
        config: Arc<RawConfig>,
        paused: bool,
        recovery: Recovery,
    ) -> Task {
        let is_restarting = context.statuses.task(&plan.name, number).is_some_and(|status| status.state == State::Restarting);
        if !is_restarting {
            context.statuses.put_task(&plan.name, number, context.status(&plan.name, State::Unassigned, None));
        }
        let running = match launch(context, plan, number, &config, paused).await {
            Ok(handle) => {
                tracing::info!(connector = &*plan.name, task = number, "The task starts.");
                context.measures.started(&plan.name, number, handle.vitals());
                let reporter =
                    tokio::spawn(report(Arc::clone(context), Arc::clone(plan), number, handle.phase(), recovery.clone()));
                Some(Started { handle, reporter })
            }
            Err(message) => {
                let message = plan.secrets.hide(&message);
                tracing::error!(connector = &*plan.name, task = number, "The task does not start: {message}");
                put_failure(context, plan, number, message, &recovery);
                context.measures.tasks.failed();
                context.measures.failed(&plan.name, number);
                None
            }
        };
        Task { connector_config: Arc::clone(&plan.raw), config, uses: plan.uses.clone(), recovery, running }
    }

    /// Whether it was started from these configurations, on these versions of plugins.
    pub(super) fn is_of(&self, plan: &Plan, config: &Arc<RawConfig>) -> bool {
        self.connector_config == plan.raw && self.config == *config && self.uses == plan.uses
    }

    pub(super) fn is_started(&self) -> bool {
        self.running.is_some()
    }

    pub(super) fn pause(&self) {
        if let Some(running) = &self.running {
            running.handle.pause();
        }
    }

    pub(super) fn resume(&self) {
        if let Some(running) = &self.running {
            running.handle.resume();
        }
    }

    /// Ends the task; when this returns, its status says so, and nothing more is reported of it.
    pub(super) async fn stop(self, context: &Context, name: &str, number: u32) {
        let awaits_restart = self.recovery.due().is_some();
        let unassigned = || context.statuses.put_task_safe(name, number, context.status(name, State::Unassigned, None));
        let Some(mut running) = self.running else {
            return if awaits_restart {
                unassigned()
            };
        };
        let within = context.settings.graceful_stop;
        running.handle.stop(within).await;
        context.measures.stopped(name, number);
        let phases = running.handle.phase();
        drop(running.handle);
        // A reporter ends when its task does, and an abandoned task is no longer to be heard.
        if tokio::time::timeout(within, &mut running.reporter).await.is_err() {
            running.reporter.abort();
        }
        let has_failed = matches!(*phases.borrow(), TaskPhase::Failed(_));
        if !has_failed || awaits_restart {
            unassigned();
        }
    }
}

/// Says why a task failed: as RESTARTING if it will be restarted.
fn put_failure(context: &Context, plan: &Plan, number: u32, trace: String, recovery: &Recovery) {
    let state = match recovery.failed(plan.recovery.as_ref()) {
        true => State::Restarting,
        false => State::Failed,
    };
    if state == State::Failed {
        tracing::error!(connector = &*plan.name, task = number, "The task stays failed until it is restarted.");
    }
    context.statuses.put_task_safe(&plan.name, number, context.status(&plan.name, state, Some(trace)));
}

async fn launch(
    context: &Context,
    plan: &Plan,
    number: u32,
    config: &RawConfig,
    paused: bool,
) -> Result<Box<dyn RunningTask>, String> {
    let config = plan.resolve_task(config, &*context.engine).await?;
    context.engine.start_task(plan, number, &config, paused)
}

/// Writes each phase of a task as its status.
async fn report(context: Arc<Context>, plan: Arc<Plan>, number: u32, mut phases: watch::Receiver<TaskPhase>, recovery: Recovery) {
    let statuses = &context.statuses;
    let mut has_run = false;
    loop {
        let phase = phases.borrow_and_update().clone();
        match phase {
            // The end is told by whoever asked for it.
            TaskPhase::Starting | TaskPhase::Stopped => {}
            TaskPhase::Running => {
                if !std::mem::replace(&mut has_run, true) {
                    context.measures.tasks.succeeded();
                }
                recovery.runs();
                statuses.put_task(&plan.name, number, context.status(&plan.name, State::Running, None));
            }
            TaskPhase::Paused => statuses.put_task(&plan.name, number, context.status(&plan.name, State::Paused, None)),
            TaskPhase::Failed(trace) => {
                if !has_run {
                    context.measures.tasks.failed();
                }
                context.measures.failed(&plan.name, number);
                let trace = plan.secrets.hide(&trace);
                tracing::error!(connector = &*plan.name, task = number, "The task failed: {trace}");
                put_failure(&context, &plan, number, trace, &recovery);
            }
        }
        if phases.changed().await.is_err() {
            return;
        }
    }
}
