//! One connector: an actor that brings its instances to what the configuration asks for.
//!
//! Everything that happens to a connector happens here, one thing at a time; connectors know nothing of each other. A call into
//! the plugin runs beside the loop, so that a change of mind ends it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, join_all};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use super::context::{Context, Running};
use super::engine::{Config, PluginError};
use super::error::HerderError;
use super::plan::{Plan, PlanError};
use super::recovery::{Recovery, RecoveryPolicy};
use super::task::Task;
use crate::store::{Connector, RawConfig, RestartRequest, State, TargetState};

/// First wait before task configurations are asked for again; doubles up to [`MAX_BACKOFF`]. Kafka Connect's figures.
const MIN_BACKOFF: Duration = Duration::from_millis(250);
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// Commands that may wait for a connector.
pub(super) const MAX_COMMANDS: usize = 16;

/// Where the answer to a request goes.
pub(super) type Reply = oneshot::Sender<Result<(), HerderError>>;

/// What a connector may be told.
pub(super) enum Command {
    /// Start the connector, but not its tasks, anew.
    RestartConnector(Reply),
    /// Start one task anew.
    RestartTask(u32, Reply),
    /// Start anew what the request names.
    Restart(RestartRequest),
    /// Answer once no task runs.
    AwaitStopped(Reply),
}

/// The actor.
pub(super) struct Runner {
    name: Arc<str>,
    context: Arc<Context>,
    /// Something about the connector was written.
    wake: watch::Receiver<()>,
    commands: mpsc::Receiver<Command>,
    /// The running connector.
    plan: Option<Arc<Plan>>,
    /// The configuration with which the connector failed: it is not tried again unless someone asks.
    failed: Option<Arc<RawConfig>>,
    /// A call for task configurations under way.
    call: Option<BoxFuture<'static, Result<Vec<Config>, PluginError>>>,
    /// When to ask for task configurations again.
    next_call: Option<Instant>,
    /// Wait before the next try of a call that failed.
    backoff: Duration,
    /// Task configurations of `plan` were stored since it started.
    has_tasks: bool,
    /// Who waits for the connector to start.
    waiting: Vec<Reply>,
    tasks: BTreeMap<u32, Task>,
    /// It was created to run, and has not been started yet, whatever it has been asked since.
    is_created: bool,
    /// It was asked to rest when it was looked at last.
    is_resting: bool,
    /// When to look whether the secrets of `plan` have changed.
    reload_at: Option<Instant>,
    /// Told when a failed instance is to be restarted at some time.
    news: Arc<Notify>,
    recovery: Recovery,
    task_recoveries: BTreeMap<u32, Recovery>,
}

impl Runner {
    pub(super) fn new(
        name: Arc<str>,
        context: Arc<Context>,
        wake: watch::Receiver<()>,
        commands: mpsc::Receiver<Command>,
        is_created: bool,
    ) -> Runner {
        let news = Arc::new(Notify::new());
        Runner {
            name,
            context,
            wake,
            commands,
            plan: None,
            failed: None,
            call: None,
            next_call: None,
            backoff: MIN_BACKOFF,
            has_tasks: false,
            waiting: Vec::new(),
            tasks: BTreeMap::new(),
            is_created,
            is_resting: false,
            reload_at: None,
            recovery: Recovery::new(&news),
            task_recoveries: BTreeMap::new(),
            news,
        }
    }

    /// Runs until the connector is deleted or the worker stops (the sender of `wake` is dropped).
    pub(super) async fn run(mut self) {
        let mut is_there = self.apply().await;
        while is_there {
            let (next_call, reload_at, next_recovery) = (self.next_call, self.reload_at, self.next_recovery());
            tokio::select! {
                biased;
                changed = self.wake.changed() => match changed {
                    Ok(()) => is_there = self.apply().await,
                    Err(_) => break,
                },
                outcome = next(&mut self.call), if self.call.is_some() => {
                    self.call = None;
                    self.take_tasks(outcome).await;
                }
                command = self.commands.recv() => match command {
                    Some(command) => self.execute(command).await,
                    None => break,
                },
                () = until(next_call), if next_call.is_some() => self.ask_for_tasks(),
                () = until(reload_at), if reload_at.is_some() => self.reload().await,
                // What is due next has changed.
                () = self.news.notified() => {}
                () = until(next_recovery), if next_recovery.is_some() => self.recover().await,
            }
        }
        if is_there {
            self.end().await;
        }
        self.context.running.remove(&self.name);
    }

    /// What the configuration says now; `None`: the connector is deleted.
    fn desired(&self) -> Option<Arc<Connector>> {
        self.context.configs.snapshot().connector(&self.name).cloned()
    }

    /// Brings everything to what is desired. False: the connector is deleted.
    async fn apply(&mut self) -> bool {
        let Some(desired) = self.desired() else {
            self.delete().await;
            return false;
        };
        match desired.target {
            TargetState::Stopped => self.stop().await,
            TargetState::Paused => self.pause(&desired).await,
            TargetState::Started => self.start(&desired).await,
        }
        true
    }

    async fn delete(&mut self) {
        tracing::info!(connector = &*self.name, "The connector is deleted.");
        self.forget_plan();
        self.stop_tasks(|_, _| true).await;
        self.context.statuses.remove_connector(&self.name);
        self.context.statuses.reset_topics(&self.name);
        self.context.measures.forget(&self.name);
    }

    /// The worker stops: the connector goes on elsewhere or later.
    async fn end(&mut self) {
        self.forget_plan();
        self.stop_tasks(|_, _| true).await;
        if self.failed.is_none() || self.recovery.due().is_some() {
            let status = self.context.status(&self.name, State::Unassigned, None);
            self.context.statuses.put_connector_safe(&self.name, status);
        }
    }

    async fn stop(&mut self) {
        tracing::info!(connector = &*self.name, "The connector stops.");
        self.forget_plan();
        self.forget_failures();
        self.is_created = false;
        self.failed = None;
        let numbers: Vec<u32> = self.context.statuses.tasks(&self.name).into_iter().map(|(task, _)| task).collect();
        self.stop_tasks(|_, _| true).await;
        for task in numbers {
            self.context.statuses.remove_task(&self.name, task);
        }
        self.context.running.remove(&self.name);
        self.put_state(State::Stopped);
        self.answer_waiting(Ok(()));
    }

    /// A call for task configurations under way goes on, so that it does not depend on the moment whether there are tasks.
    async fn pause(&mut self, desired: &Connector) {
        if std::mem::take(&mut self.is_created) {
            self.start_connector(&desired.config).await;
        }
        self.is_resting = true;
        if self.has_tasks {
            self.next_call = None;
        }
        self.answer_waiting(Ok(()));
        for task in self.tasks.values() {
            task.pause();
        }
        let has_failed = self.failed.as_ref().is_some_and(|failed| *failed == desired.config);
        if has_failed && self.recovery.due().is_none() {
            return;
        }
        let rests = |number: &u32| {
            !self.tasks.contains_key(number) || self.task_recoveries.get(number).is_some_and(|task| task.due().is_some())
        };
        for number in (0..u32::MAX).take(desired.tasks.len()).filter(rests) {
            self.context.statuses.put_task(&self.name, number, self.context.status(&self.name, State::Paused, None));
        }
        self.put_state(State::Paused);
    }

    async fn start(&mut self, desired: &Connector) {
        self.is_created = false;
        if std::mem::take(&mut self.is_resting) {
            self.recoveries().for_each(Recovery::hasten);
        }
        let is_new = self.plan.as_ref().is_none_or(|plan| plan.raw != desired.config);
        for task in self.tasks.values() {
            task.resume();
        }
        if is_new && self.failed.as_ref().is_some_and(|failed| *failed == desired.config) {
            return;
        }
        if is_new {
            self.forget_failures();
            self.start_connector(&desired.config).await;
            return;
        }
        self.put_state(State::Running);
        match self.has_tasks {
            true => self.align_tasks(desired).await,
            false => self.ask_for_tasks(),
        }
        if self.next_call.is_none() && self.call.is_none() {
            self.schedule_check();
        }
    }

    /// Makes a new plan and asks the plugin for tasks; they start when it has answered.
    async fn start_connector(&mut self, config: &Arc<RawConfig>) {
        let made = Plan::make(&self.name, config, &*self.context.classes, &*self.context.engine).await;
        self.start_from(config, made);
    }

    fn start_from(&mut self, config: &Arc<RawConfig>, made: Result<Plan, PlanError>) {
        self.forget_plan();
        self.failed = None;
        match made {
            Ok(plan) => {
                self.reload_at = plan.ttl.map(|ttl| Instant::now() + ttl);
                let running = Running { version: plan.class.version.clone(), uses: plan.uses.clone() };
                self.context.running.insert(Arc::clone(&self.name), running);
                let (class, version) = (&plan.class.name, &plan.class.version);
                tracing::info!(connector = &*self.name, class, version, "The connector starts.");
                self.plan = Some(Arc::new(plan));
                self.context.measures.connectors.succeeded();
                self.put_state(State::Running);
                self.ask_for_tasks();
            }
            Err(message) => self.fail(config, message),
        }
    }

    fn fail(&mut self, config: &Arc<RawConfig>, message: String) {
        tracing::error!(connector = &*self.name, "The connector failed: {message}");
        self.forget_plan();
        self.failed = Some(Arc::clone(config));
        self.context.measures.connectors.failed();
        let status = self.context.status(&self.name, failure_state(&self.recovery, config), Some(message));
        self.context.statuses.put_connector_safe(&self.name, status);
        let failure = HerderError::Internal(format!("Failed to start connector: {}", self.name));
        self.answer_waiting(Err(failure));
    }

    fn forget_plan(&mut self) {
        self.plan = None;
        self.call = None;
        self.next_call = None;
        self.has_tasks = false;
        self.reload_at = None;
        self.backoff = MIN_BACKOFF;
    }

    /// Failures so far do not count any more, and nothing is restarted because of them.
    fn forget_failures(&mut self) {
        self.recovery.reset();
        self.task_recoveries.values().for_each(Recovery::reset);
        self.task_recoveries.clear();
    }

    fn recoveries(&self) -> impl Iterator<Item = &Recovery> {
        std::iter::once(&self.recovery).chain(self.task_recoveries.values())
    }

    /// When the next failed instance is to be restarted.
    fn next_recovery(&self) -> Option<Instant> {
        let due = self.recoveries().filter_map(Recovery::due).min()?;
        self.desired().is_some_and(|desired| desired.target == TargetState::Started).then_some(due)
    }

    /// Restarts the failed instances whose time has come.
    async fn recover(&mut self) {
        let now = Instant::now();
        let is_due = |recovery: &Recovery| recovery.due().is_some_and(|due| due <= now);
        if is_due(&self.recovery) {
            self.recovery.begin();
            tracing::info!(connector = &*self.name, "The failed connector is restarted.");
            self.restart_connector().await;
        }
        let tasks: Vec<u32> = self.task_recoveries.iter().filter(|(_, task)| is_due(task)).map(|(number, _)| *number).collect();
        for number in tasks {
            self.task_recoveries.get(&number).inspect(|task| task.begin());
            tracing::info!(connector = &*self.name, task = number, "The failed task is restarted.");
            // A task that does not start says so in its status.
            let _ = self.restart_task(number).await;
        }
    }

    /// Restarts the connector and its tasks if a secret that they use has changed; the versions of its plugins stay.
    async fn reload(&mut self) {
        let Some(plan) = self.plan.clone() else { return };
        self.reload_at = plan.ttl.map(|ttl| Instant::now() + ttl);
        if self.is_resting {
            return;
        }
        let renewed = match plan.renewed(&*self.context.engine).await {
            Ok(renewed) if renewed.config == plan.config => return,
            Ok(renewed) => renewed,
            Err(message) => {
                tracing::warn!(connector = &*self.name, "Values from config providers cannot be renewed: {message}");
                return;
            }
        };
        tracing::info!(connector = &*self.name, "A value from a config provider has changed: everything is restarted.");
        self.put_state(State::Restarting);
        self.start_from(&plan.raw, Ok(renewed));
        for number in self.tasks.keys().copied().collect::<Vec<_>>() {
            // A task that does not start says so in its status.
            let _ = self.restart_task(number).await;
        }
    }

    fn answer_waiting(&mut self, answer: Result<(), HerderError>) {
        for reply in self.waiting.drain(..) {
            // Who asked may have gone.
            let _ = reply.send(answer.clone());
        }
    }

    fn put_state(&self, state: State) {
        self.context.statuses.put_connector(&self.name, self.context.status(&self.name, state, None));
    }

    fn ask_for_tasks(&mut self) {
        self.next_call = None;
        let Some(plan) = self.plan.clone() else { return };
        let engine = Arc::clone(&self.context.engine);
        let max_tasks = max_tasks(&plan);
        self.call = Some(async move { engine.task_configs(&plan, max_tasks).await }.boxed());
    }

    fn schedule_check(&mut self) {
        self.next_call = self.context.settings.task_refresh_interval.map(|interval| Instant::now() + interval);
    }

    async fn take_tasks(&mut self, outcome: Result<Vec<Config>, PluginError>) {
        let Some(plan) = self.plan.clone() else { return };
        let stored = match outcome {
            Ok(tasks) => self.store_tasks(&plan, tasks).await,
            Err(error) => Err(error),
        };
        match stored {
            Ok(()) => {
                self.has_tasks = true;
                self.recovery.runs();
                self.backoff = MIN_BACKOFF;
                self.answer_waiting(Ok(()));
                if let Some(desired) = self.desired().filter(|desired| desired.config == plan.raw) {
                    if desired.target == TargetState::Started {
                        self.schedule_check();
                    }
                    self.align_tasks(&desired).await;
                }
            }
            Err(PluginError::Failed(message)) if !self.has_tasks => {
                self.fail(&plan.raw, plan.secrets.hide(&message));
            }
            Err(error) => {
                let message = plan.secrets.hide(&error.to_string());
                tracing::warn!(connector = &*self.name, "No task configurations, asking again: {message}");
                self.answer_waiting(Ok(()));
                self.next_call = Some(Instant::now() + self.backoff);
                self.backoff = (self.backoff * 2).min(MAX_BACKOFF);
            }
        }
    }

    /// Stores task configurations if they differ from what is stored, as Kafka Connect compares them.
    async fn store_tasks(&mut self, plan: &Plan, tasks: Vec<Config>) -> Result<(), PluginError> {
        let most = max_tasks(plan);
        let count = u32::try_from(tasks.len()).unwrap_or(u32::MAX);
        if count > most {
            let message = format!(
                "The connector {} has generated {count} tasks, which is greater than {most}, the maximum number of tasks it \
                 is configured to create. This behaviour should be considered a bug and is disallowed. If necessary, it can \
                 be permitted by reconfiguring the connector with 'tasks.max.enforce' set to false; however, this option \
                 will be removed in a future release of Kafka Connect.",
                plan.name
            );
            match plan.get("tasks.max.enforce").is_none_or(|enforce| !enforce.trim().eq_ignore_ascii_case("false")) {
                true => return Err(PluginError::Failed(message)),
                false => tracing::warn!(connector = &*self.name, "{message}"),
            }
        }
        let tasks: Vec<RawConfig> = tasks.into_iter().map(|config| plan.stored_task(config)).collect();
        let _turn = self.context.writes.lock().await;
        let snapshot = self.context.configs.snapshot();
        let Some(present) = snapshot.connector(&self.name) else { return Ok(()) };
        if present.config != plan.raw || present.target == TargetState::Stopped {
            return Ok(());
        }
        let is_same = !present.inconsistent
            && present.generation.is_some()
            && present.applied.as_ref() == Some(&plan.raw)
            && present.tasks.iter().map(|config| &**config).eq(tasks.iter());
        if is_same {
            return Ok(());
        }
        let written = self.context.configs.put_task_configs(&self.name, tasks).await;
        written.map_err(|error| PluginError::Retriable(error.to_string()))
    }

    /// Stops tasks that are too many or out of date, and starts those that are missing.
    async fn align_tasks(&mut self, desired: &Connector) {
        let Some(plan) = self.plan.clone() else { return };
        let wanted: BTreeMap<u32, Arc<RawConfig>> = (0..).zip(desired.tasks.iter().cloned()).collect();
        let known = self.context.statuses.tasks(&self.name);
        self.stop_tasks(|number, task| wanted.get(number).is_none_or(|config| !task.is_of(&plan, config))).await;
        self.task_recoveries.retain(|number, _| wanted.contains_key(number));
        for (number, _) in known.into_iter().filter(|(number, _)| !wanted.contains_key(number)) {
            self.context.statuses.remove_task(&self.name, number);
        }
        for (number, config) in wanted {
            if !self.tasks.contains_key(&number) {
                // A task that does not start says so in its status.
                let _ = self.start_task(&plan, number, config).await;
            }
        }
    }

    async fn start_task(&mut self, plan: &Arc<Plan>, number: u32, config: Arc<RawConfig>) -> Result<(), HerderError> {
        let paused = self.desired().is_some_and(|desired| desired.target == TargetState::Paused);
        let recovery = self.task_recoveries.entry(number).or_insert_with(|| Recovery::new(&self.news)).clone();
        let task = Task::start(&self.context, plan, number, config, paused, recovery).await;
        let is_started = task.is_started();
        self.tasks.insert(number, task);
        match is_started {
            true => Ok(()),
            false => Err(HerderError::Internal(format!("Failed to start task: {}-{number}", self.name))),
        }
    }

    /// Stops the tasks for which `which` holds, all at once.
    async fn stop_tasks(&mut self, which: impl Fn(&u32, &Task) -> bool) {
        let numbers: Vec<u32> =
            self.tasks.iter().filter(|(number, task)| which(number, task)).map(|(number, _)| *number).collect();
        let tasks: Vec<(u32, Task)> =
            numbers.into_iter().filter_map(|number| Some((number, self.tasks.remove(&number)?))).collect();
        join_all(tasks.into_iter().map(|(number, task)| task.stop(&self.context, &self.name, number))).await;
    }

    async fn execute(&mut self, command: Command) {
        match command {
            Command::RestartConnector(reply) => {
                self.waiting.push(reply);
                self.recovery.reset();
                self.restart_connector().await;
            }
            Command::RestartTask(number, reply) => {
                self.task_recoveries.get(&number).inspect(|task| task.reset());
                let answer = self.restart_task(number).await;
                let _ = reply.send(answer);
            }
            Command::Restart(request) => self.restart(&request).await,
            Command::AwaitStopped(reply) => {
                let is_stopped = self.tasks.is_empty() && self.plan.is_none();
                let _ = reply.send(match is_stopped {
                    true => Ok(()),
                    false => Err(HerderError::Conflict(format!("Connector {} is no longer stopped", self.name))),
                });
            }
        }
    }

    async fn restart_connector(&mut self) {
        let Some(desired) = self.desired() else { return };
        self.put_state(State::Restarting);
        match desired.target {
            TargetState::Started => self.start_connector(&desired.config).await,
            TargetState::Paused => {
                self.forget_plan();
                self.failed = None;
                self.pause(&desired).await;
            }
            TargetState::Stopped => {
                self.put_state(State::Stopped);
                self.answer_waiting(Ok(()));
            }
        }
    }

    async fn restart_task(&mut self, number: u32) -> Result<(), HerderError> {
        let config = self.desired().and_then(|desired| Some(Arc::clone(desired.tasks.get(usize::try_from(number).ok()?)?)));
        let Some(config) = config else {
            return Err(HerderError::NotFound(format!("Unknown task: {}-{number}", self.name)));
        };
        self.stop_tasks(|known, _| *known == number).await;
        self.context.statuses.put_task(&self.name, number, self.context.status(&self.name, State::Restarting, None));
        // References are resolved at every start of an instance, so that a renewed secret is taken up.
        let raw = self.desired().map(|desired| Arc::clone(&desired.config)).unwrap_or_default();
        // The versions of plugins are those of the connector.
        let plan = match self.plan.clone().filter(|plan| plan.raw == raw) {
            Some(plan) => plan.renewed(&*self.context.engine).await,
            None => Plan::make(&self.name, &raw, &*self.context.classes, &*self.context.engine).await,
        };
        match plan {
            Ok(plan) => self.start_task(&Arc::new(plan), number, config).await,
            Err(message) => {
                let recovery = self.task_recoveries.entry(number).or_insert_with(|| Recovery::new(&self.news));
                let status = self.context.status(&self.name, failure_state(recovery, &raw), Some(message));
                self.context.statuses.put_task_safe(&self.name, number, status);
                Err(HerderError::Internal(format!("Failed to start task: {}-{number}", self.name)))
            }
        }
    }

    async fn restart(&mut self, request: &RestartRequest) {
        let plan = super::restart::RestartPlan::of(&self.context.statuses, &self.name, request);
        for number in &plan.tasks {
            self.context.statuses.put_task(&self.name, *number, self.context.status(&self.name, State::Restarting, None));
        }
        self.stop_tasks(|number, _| plan.tasks.contains(number)).await;
        for number in &plan.tasks {
            self.task_recoveries.get(number).inspect(|task| task.reset());
            self.context.statuses.put_task(&self.name, *number, self.context.status(&self.name, State::Restarting, None));
        }
        if plan.connector {
            self.recovery.reset();
            self.restart_connector().await;
        }
        for number in plan.tasks {
            if !self.tasks.contains_key(&number) {
                // A task that does not start says so in its status.
                let _ = self.restart_task(number).await;
            }
        }
    }
}

/// How an instance that failed before it had a plan is shown.
fn failure_state(recovery: &Recovery, config: &RawConfig) -> State {
    let keys = config.iter().filter_map(|(key, value)| Some((key.to_owned(), value?.to_owned()))).collect();
    let policy = RecoveryPolicy::parse(&keys).ok().flatten();
    if recovery.failed(policy.as_ref()) { State::Restarting } else { State::Failed }
}

fn max_tasks(plan: &Plan) -> u32 {
    plan.get("tasks.max").and_then(|text| text.trim().parse().ok()).filter(|max| *max > 0).unwrap_or(1)
}

async fn next<T>(call: &mut Option<BoxFuture<'static, T>>) -> T {
    match call {
        Some(call) => call.await,
        None => std::future::pending().await,
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
