//! What is measured of connectors and tasks, and how it is told: `/metrics`, and what a status says beyond Kafka Connect's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dashmap::DashMap;
use tokio_util::sync::CancellationToken;

use super::classes::ClassKind;
use super::context::Context;
use super::model::{Bounded, ConnectorReport, InstanceReport, TaskDetails, TaskReport, Told};
use super::{Herder, KAFKA_CONNECT_VERSION, State};
use crate::metrics::{
    ConnectorView, GroupView, InstanceUse, Process, RestCounters, Scrape, TaskReading, TaskView, Vitals, WorkerView, now_millis,
};
use crate::sandbox::{InstanceLimits, LIMIT_KEYS};
use crate::store::Connector;

/// What is measured on this worker.
pub(super) struct Measures {
    /// When the worker started, in milliseconds since the epoch.
    since: i64,
    tasks_by_id: DashMap<(Arc<str>, u32), Measured>,
    /// Starts of connectors.
    pub(super) connectors: Startups,
    /// Starts of tasks.
    pub(super) tasks: Startups,
    rest: RestCounters,
}

impl Default for Measures {
    fn default() -> Measures {
        Measures {
            since: now_millis(),
            tasks_by_id: DashMap::new(),
            connectors: Startups::default(),
            tasks: Startups::default(),
            rest: RestCounters::default(),
        }
    }
}

/// A task that was started here at some time.
#[derive(Default)]
struct Measured {
    /// `None`: it does not run.
    vitals: Option<Arc<Vitals>>,
    starts: u64,
    failures: u64,
}

/// How starts ended.
#[derive(Default)]
pub(super) struct Startups {
    succeeded: AtomicU64,
    failed: AtomicU64,
}

impl Startups {
    pub(super) fn succeeded(&self) {
        self.succeeded.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> (u64, u64) {
        (self.succeeded.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }
}

impl Measures {
    /// Notes a task that was started.
    pub(super) fn started(&self, connector: &Arc<str>, task: u32, vitals: Option<Arc<Vitals>>) {
        let mut measured = self.tasks_by_id.entry((Arc::clone(connector), task)).or_default();
        measured.starts += 1;
        measured.vitals = vitals;
    }

    /// Notes a failure; what was measured stays readable until the task is started anew.
    pub(super) fn failed(&self, connector: &Arc<str>, task: u32) {
        self.tasks_by_id.entry((Arc::clone(connector), task)).or_default().failures += 1;
    }

    /// Notes that a task no longer runs.
    pub(super) fn stopped(&self, connector: &str, task: u32) {
        if let Some(mut measured) = self.tasks_by_id.get_mut(&(Arc::from(connector), task)) {
            measured.vitals = None;
        }
    }

    /// Forgets a connector that was deleted.
    pub(super) fn forget(&self, connector: &str) {
        self.tasks_by_id.retain(|(name, _), _| **name != *connector);
    }

    fn vitals(&self) -> Vec<Arc<Vitals>> {
        self.tasks_by_id.iter().filter_map(|measured| measured.vitals.clone()).collect()
    }
}

/// Ends a span of every task's sampling window whenever it is time, until the worker stops.
pub(super) async fn sample(context: Arc<Context>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(context.settings.metrics.window.width);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks.tick().await;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => context.measures.vitals().iter().for_each(|vitals| vitals.tick()),
        }
    }
}

impl Herder {
    /// What is counted of requests to the REST API.
    pub fn rest_counters(&self) -> &RestCounters {
        &self.context.measures.rest
    }

    /// Everything that is measured, in Prometheus text. Takes a while with many tasks: not for an async thread.
    ///
    /// # Errors
    /// Never, for a text that is written to memory.
    pub fn metrics(&self) -> Result<String, std::fmt::Error> {
        let settings = &self.context.settings.metrics;
        let tasks = self.task_views(settings.stalled_after);
        let scrape = Scrape {
            names: settings.names,
            worker: self.worker_view(&tasks),
            connectors: self
                .context
                .configs
                .snapshot()
                .connectors
                .iter()
                .map(|(name, known)| self.connector_view(name, known))
                .collect(),
            tasks,
            rest: self.rest_counters().read(),
            process: Process::read(),
        };
        scrape.into_text()
    }

    fn worker_view(&self, tasks: &[TaskView]) -> WorkerView {
        let (context, info) = (&self.context, self.server_info());
        let plugins = self.catalogue.list();
        let (instances, max_instances) = self.catalogue.instances();
        WorkerView {
            client_id: context.settings.metrics.client_id.clone(),
            version: KAFKA_CONNECT_VERSION.to_owned(),
            commit: info.commit.to_owned(),
            start_millis: context.measures.since,
            connectors: context.running.len() as u64,
            tasks: tasks.iter().filter(|task| task.vitals.is_some()).count() as u64,
            connector_startups: context.measures.connectors.read(),
            task_startups: context.measures.tasks.read(),
            // A worker that is alone in its group leads it and never rebalances.
            group: context.settings.metrics.protocol.as_ref().map(|protocol| GroupView {
                protocol: protocol.clone(),
                leader: context.identity.url.to_string(),
                epoch: context.identity.generation.into(),
                ..GroupView::default()
            }),
            instances: (instances as u64, max_instances as u64),
            plugins: (plugins.len() as u64, plugins.iter().map(|plugin| plugin.size).sum()),
            classes: plugins.iter().map(|plugin| plugin.manifest.classes.len() as u64).sum(),
        }
    }

    fn connector_view(&self, name: &str, connector: &Connector) -> ConnectorView {
        let class = connector.config.get("connector.class").unwrap_or_default();
        let found = self.context.classes.find(class, None).ok();
        let status = self.context.statuses.connector(name);
        ConnectorView {
            name: name.to_owned(),
            status: status.as_ref().map(|status| attribute(status.state)),
            kind: found.as_ref().map(|class| class.kind.name()),
            class: found.map_or_else(|| class.to_owned(), |class| class.name),
            version: status.and_then(|status| status.version),
            task_states: self.context.statuses.tasks(name).into_iter().map(|(_, status)| attribute(status.state)).collect(),
        }
    }

    /// Every task that has a status or was started here.
    fn task_views(&self, stalled_after: Duration) -> Vec<TaskView> {
        let measures = &self.context.measures.tasks_by_id;
        let mut views = Vec::new();
        for (name, connector) in &self.context.configs.snapshot().connectors {
            let class = connector.config.get("connector.class").unwrap_or_default();
            let is_source = self.context.classes.find(class, None).is_ok_and(|class| class.kind == ClassKind::Source);
            for (task, status) in self.context.statuses.tasks(name) {
                let measured = measures.get(&(Arc::clone(name), task));
                let vitals = measured.as_ref().and_then(|measured| measured.vitals.clone());
                let vitals = vitals.map(|vitals| {
                    let mut reading = vitals.read(stalled_after);
                    reading.stall = reading.stall.filter(|_| may_stall(status.state));
                    (vitals, reading)
                });
                views.push(TaskView {
                    connector: Arc::clone(name),
                    task,
                    status: Some(attribute(status.state)),
                    is_source,
                    starts: measured.as_ref().map_or(0, |measured| measured.starts),
                    failures: measured.as_ref().map_or(0, |measured| measured.failures),
                    vitals,
                });
            }
        }
        views
    }

    /// What a task's status says beyond Kafka Connect's.
    pub(super) fn task_report(&self, name: &str, task: u32, state: State, told: Told) -> Option<TaskReport> {
        if told == Told::Kafkas {
            return None;
        }
        let measured = self.context.measures.tasks_by_id.get(&(Arc::from(name), task))?;
        let (vitals, starts) = (measured.vitals.clone()?, measured.starts);
        drop(measured);
        let reading = vitals.read(self.context.settings.metrics.stalled_after);
        let stall = reading.stall.filter(|_| may_stall(state));
        let details = details_of(&reading, &vitals.limits, starts);
        Some(TaskReport {
            stalled: stall.is_some(),
            step: stall.map(|stall| stall.step.name()),
            stalled_since: stall.map(|stall| stall.since),
            details: if told == Told::Exact { details } else { settled(details) },
        })
    }

    /// The same for a connector: what it allows its instances, as far as tasks of it run here.
    pub(super) fn connector_report(&self, name: &str) -> Option<ConnectorReport> {
        let tasks = self.context.statuses.tasks(name).into_iter();
        let measures = &self.context.measures.tasks_by_id;
        let vitals = tasks.filter_map(|(task, _)| measures.get(&(Arc::from(name), task))?.vitals.clone()).next()?;
        Some(ConnectorReport { limits: LIMIT_KEYS.iter().map(|key| (*key, vitals.limits.get(key))).collect() })
    }
}

/// A task that rests or has ended stands still by right.
fn may_stall(state: State) -> bool {
    matches!(state, State::Running | State::Unassigned | State::Restarting)
}

/// Without what changes with every batch, and with a time that changes once a minute. An operator that copies the whole status writes it down
/// that often, and not in a loop.
fn settled(details: TaskDetails) -> TaskDetails {
    let still = |instance: InstanceReport| InstanceReport {
        call_cpu_ms: None,
        cpu_ms: None,
        crossings: None,
        log_lines_dropped: None,
        ..instance
    };
    TaskDetails {
        last_progress: details.last_progress.map(|millis| millis - millis.rem_euclid(60_000)),
        restarts: details.restarts,
        instances: details.instances.into_iter().map(still).collect(),
        ..TaskDetails::default()
    }
}

fn details_of(reading: &TaskReading, limits: &InstanceLimits, starts: u64) -> TaskDetails {
    TaskDetails {
        last_progress: Some(reading.last_progress).filter(|millis| *millis != 0),
        restarts: starts.saturating_sub(1),
        records_in: Some(reading.now.records_in),
        records_out: Some(reading.now.records_out),
        retries: Some(reading.now.retries),
        instances: reading.instances.iter().map(|instance| instance_report(instance, limits)).collect(),
    }
}

fn instance_report(instance: &InstanceUse, limits: &InstanceLimits) -> InstanceReport {
    let usage = instance.usage;
    let bounded = |used, key| Bounded { used, allowed: limits.get(key) };
    InstanceReport {
        class: instance.class.clone(),
        memory_bytes: bounded(usage.memory_bytes, "sandbox.memory.bytes"),
        table_elements: bounded(usage.table_elements, "sandbox.table.elements"),
        call_cpu_ms: Some(bounded(millis(usage.longest_call_cpu), "sandbox.cpu.ms")),
        cpu_ms: Some(millis(usage.cpu)),
        crossings: Some(usage.calls),
        log_lines_dropped: Some(usage.log_lines_dropped),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A state as Kafka Connect's metrics spell it.
fn attribute(state: State) -> &'static str {
    match state {
        State::Unassigned => "unassigned",
        State::Running => "running",
        State::Paused => "paused",
        State::Failed => "failed",
        State::Restarting => "restarting",
        State::Stopped => "stopped",
    }
}
