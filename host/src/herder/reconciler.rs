//! The one owner of all running connectors: it hands what was written, and what is asked, to the actor of the connector
//! concerned, and never waits for any of them.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::context::Context;
use super::error::HerderError;
use super::loggers::Loggers;
use super::runner::{Command, MAX_COMMANDS, Runner};
use crate::logging;
use crate::store::{ConfigChange, RestartRequest};

/// Requests that may wait for the reconciler; it answers each at once, so this is a burst.
pub(super) const MAX_REQUESTS: usize = 256;

/// What the reconciler may be asked.
pub(super) enum Request {
    /// Answer: the reconciler is alive.
    Ping(oneshot::Sender<()>),
    /// Tell a connector something.
    Tell(Arc<str>, Command),
}

struct Handle {
    wake: watch::Sender<()>,
    commands: mpsc::Sender<Command>,
}

/// The actor.
pub(super) struct Reconciler {
    context: Arc<Context>,
    loggers: Arc<Loggers>,
    changes: broadcast::Receiver<ConfigChange>,
    requests: mpsc::Receiver<Request>,
    handles: HashMap<Arc<str>, Handle>,
    runners: JoinSet<Arc<str>>,
}

impl Reconciler {
    pub(super) fn new(context: Arc<Context>, loggers: Arc<Loggers>, requests: mpsc::Receiver<Request>) -> Reconciler {
        let changes = context.configs.changes();
        Reconciler { context, loggers, changes, requests, handles: HashMap::new(), runners: JoinSet::new() }
    }

    /// Runs until `stop` is cancelled, then stops every connector.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        self.wake_all();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                change = self.changes.recv() => match change {
                    Ok(change) => self.take(change),
                    Err(RecvError::Lagged(_)) => self.wake_all(),
                    Err(RecvError::Closed) => break,
                },
                Some(ended) = self.runners.join_next() => self.forget(ended),
                Some(request) = self.requests.recv() => match request {
                    Request::Ping(reply) => drop(reply.send(())),
                    Request::Tell(name, command) => self.tell(&name, command),
                },
            }
        }
        self.requests.close();
        self.handles.clear();
        while self.runners.join_next().await.is_some() {}
    }

    fn take(&mut self, change: ConfigChange) {
        match change {
            ConfigChange::Connector(name) => self.wake_for(&name, true),
            ConfigChange::Removed(name) | ConfigChange::Target(name) | ConfigChange::Tasks(name) => self.wake(&name),
            ConfigChange::Restart(request) => self.restart(request),
            ConfigChange::LoggerLevel { namespace, level } => {
                if let Err(error) = self.loggers.set(&namespace, &level) {
                    tracing::warn!("A log level asked for by another worker is not set: {error}");
                }
            }
            ConfigChange::SessionKey => {}
        }
    }

    fn wake_all(&mut self) {
        let mut names: Vec<Arc<str>> = self.context.configs.snapshot().connectors.keys().cloned().collect();
        names.extend(self.handles.keys().cloned());
        for name in names {
            self.wake(&name);
        }
    }

    fn wake(&mut self, name: &Arc<str>) {
        self.wake_for(name, false);
    }

    /// Lets a connector look at what was written; starts its actor if it is new. `created`: it was asked to run when it was
    /// created, whatever it has been asked since. (A first target state is written, and so heard of, before the connector.)
    fn wake_for(&mut self, name: &Arc<str>, created: bool) {
        match self.handles.get(name) {
            Some(handle) => handle.wake.send_replace(()),
            None if self.context.configs.snapshot().connector(name).is_some() => self.spawn(Arc::clone(name), created),
            None => {}
        }
    }

    fn spawn(&mut self, name: Arc<str>, created: bool) {
        let (wake, woken) = watch::channel(());
        let (commands, commanded) = mpsc::channel(MAX_COMMANDS);
        let runner = Runner::new(Arc::clone(&name), Arc::clone(&self.context), woken, commanded, created);
        self.handles.insert(Arc::clone(&name), Handle { wake, commands });
        let context = logging::context(&name, None);
        let running = async move {
            runner.run().await;
            name
        };
        self.runners.spawn(running.instrument(context));
    }

    /// A connector's actor has ended: it was deleted, and may have been created anew meanwhile.
    fn forget(&mut self, ended: Result<Arc<str>, tokio::task::JoinError>) {
        match ended {
            Ok(name) => {
                self.handles.remove(&name);
                self.wake(&name);
            }
            // Its channel is closed, which is how the broken actor is found.
            Err(error) => {
                tracing::error!(%error, "A connector's actor broke; it is started anew.");
                let broken: Vec<Arc<str>> = self
                    .handles
                    .iter()
                    .filter(|(_, handle)| handle.commands.is_closed())
                    .map(|(name, _)| Arc::clone(name))
                    .collect();
                for name in broken {
                    self.handles.remove(&name);
                    self.wake(&name);
                }
            }
        }
    }

    fn restart(&mut self, request: RestartRequest) {
        if let Some(handle) = self.handles.get(&request.connector)
            && let Err(error) = handle.commands.try_send(Command::Restart(request))
        {
            tracing::warn!("A request to restart is dropped, because too many wait: {error}");
        }
    }

    fn tell(&mut self, name: &Arc<str>, command: Command) {
        let refused = match self.handles.get(name) {
            Some(handle) => handle
                .commands
                .try_send(command)
                .err()
                .map(mpsc::error::TrySendError::into_inner)
                .map(|command| (command, HerderError::conflicting())),
            None => Some((command, HerderError::NotFound(format!("Unknown connector: {name}")))),
        };
        if let Some((Command::RestartConnector(reply) | Command::RestartTask(_, reply) | Command::AwaitStopped(reply), error)) =
            refused
        {
            // Who asked may have gone.
            let _ = reply.send(Err(error));
        }
    }
}
