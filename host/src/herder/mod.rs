//! The herder: from what connectors are asked to be to what runs.
//!
//! ```text
//! request -> validation -> ConfigStore (what is desired) -> reconciler -> one actor per connector -> tasks
//!                                                                              |
//! answers <- snapshots of the stores <- statuses of live tasks  <--------------+
//! ```
//!
//! - Reads answer from snapshots and wait for nobody.
//! - A write is validated first, outside of everything; then it is stored; then it takes effect, as it would on every other
//!   worker that reads it from the log.
//! - Each connector has an actor of its own ([`runner`]): a plugin that hangs holds up nobody else.
//! - Calls into plugins, tasks and Kafka are behind [`engine::Engine`].

pub mod classes;
pub mod config_def;
pub mod engine;
pub mod framework;
pub mod installed;
pub mod live;
pub mod loggers;
pub mod model;
pub mod plan;
pub mod secrets;
pub mod source_stores;
pub mod validation;

mod client_keys;
mod connectors;
mod context;
mod error;
mod measures;
mod offsets;
mod plugins;
mod reconciler;
mod recovery;
mod restart;
mod runner;
mod status;
mod task;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod validator;

use std::sync::Arc;
use std::time::Duration;

use dashmap::DashMap;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use classes::Classes;
use context::Context;
use engine::Engine;
use framework::Framework;
use loggers::Loggers;
use measures::Measures;
use model::{ServerInfo, WorkerStatus};
use reconciler::{MAX_REQUESTS, Reconciler, Request};
use runner::Command;

pub use context::{Measuring, Settings};
pub use error::HerderError;

use crate::cluster::Identity;
use crate::plugin::Catalogue;
use crate::store::{ConfigStore, OffsetStore, State, StatusStore, StoreError};

/// The release of Kafka Connect whose interface this is.
pub const KAFKA_CONNECT_VERSION: &str = "4.3.1";

/// How long the reconciler may take to answer before the worker is called unhealthy: Kafka Connect's.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(10);

/// Uploads that are read and compiled at a time; further ones wait.
const MAX_UPLOADS: usize = 2;

/// Time for the last statuses to be stored when the worker stops.
const LAST_STATUSES: Duration = Duration::from_secs(5);

/// What a herder is made of.
pub struct Parts {
    /// Connectors and their tasks.
    pub configs: ConfigStore,
    /// Offsets of sources.
    pub offsets: Arc<OffsetStore>,
    /// Statuses and topics.
    pub statuses: Arc<StatusStore>,
    /// Uploaded plugins.
    pub catalogue: Arc<Catalogue>,
    /// Every class that a configuration can name.
    pub classes: Arc<dyn Classes>,
    /// Plugins, tasks and Kafka.
    pub engine: Arc<dyn Engine>,
    /// The worker's default converters.
    pub framework: Framework,
    /// Log levels.
    pub loggers: Arc<Loggers>,
    /// This worker.
    pub identity: Identity,
    /// How it behaves.
    pub settings: Settings,
}

/// Answers every request of the REST API.
pub struct Herder {
    context: Arc<Context>,
    catalogue: Arc<Catalogue>,
    loggers: Arc<Loggers>,
    requests: mpsc::Sender<Request>,
    uploads: Semaphore,
    stop: CancellationToken,
    reconciler: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Herder {
    /// Starts everything that the configuration store asks for.
    pub fn start(parts: Parts) -> Arc<Herder> {
        let context = Arc::new(Context {
            configs: Arc::new(parts.configs),
            offsets: parts.offsets,
            statuses: parts.statuses,
            classes: parts.classes,
            engine: parts.engine,
            framework: parts.framework,
            identity: parts.identity,
            settings: parts.settings,
            writes: tokio::sync::Mutex::new(()),
            running: DashMap::new(),
            measures: Measures::default(),
        });
        forget_former_life(&context);
        let (requests, asked) = mpsc::channel(MAX_REQUESTS);
        let stop = CancellationToken::new();
        let reconciler = Reconciler::new(Arc::clone(&context), Arc::clone(&parts.loggers), asked);
        let reconciler = tokio::spawn(reconciler.run(stop.clone()));
        tokio::spawn(measures::sample(Arc::clone(&context), stop.clone()));
        Arc::new(Herder {
            context,
            catalogue: parts.catalogue,
            loggers: parts.loggers,
            requests,
            uploads: Semaphore::new(MAX_UPLOADS),
            stop,
            reconciler: std::sync::Mutex::new(Some(reconciler)),
        })
    }

    /// Stops every connector and task, each within the graceful time, and stores their last statuses.
    pub async fn stop(&self) {
        self.stop.cancel();
        let reconciler = self.reconciler.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(reconciler) = reconciler
            && let Err(error) = reconciler.await
        {
            tracing::error!(%error, "The reconciler broke.");
        }
        if let Err(error) = self.context.statuses.flush(LAST_STATUSES).await {
            tracing::warn!(%error, "The last statuses are not stored.");
        }
    }

    /// What this worker is.
    pub fn server_info(&self) -> ServerInfo {
        ServerInfo {
            version: KAFKA_CONNECT_VERSION,
            commit: concat!("hawser-", env!("CARGO_PKG_VERSION")),
            kafka_cluster_id: self.context.settings.kafka_cluster_id.clone(),
        }
    }

    /// Whether the reconciler answers.
    pub async fn health(&self) -> WorkerStatus {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.requests.send(Request::Ping(reply)).await.ok()?;
            answer.await.ok()
        };
        match tokio::time::timeout(HEALTH_TIMEOUT, asked).await {
            Ok(Some(())) => WorkerStatus {
                status: "healthy",
                message: "Worker has completed startup and is ready to handle requests.".to_owned(),
            },
            _ => WorkerStatus {
                status: "unhealthy",
                message: "Worker was unable to handle this request and may be unable to handle other requests.".to_owned(),
            },
        }
    }

    /// Log levels.
    pub fn loggers(&self) -> &Loggers {
        &self.loggers
    }

    /// Sets a log level on every worker; it takes effect later.
    ///
    /// # Errors
    /// The level is not known (404), or it cannot be written (500).
    pub async fn set_logger_everywhere(&self, name: &str, level: &str) -> Result<(), HerderError> {
        Loggers::check_level(level)?;
        Ok(self.context.configs.put_logger_level(name, level).await?)
    }

    /// Tells a connector's actor something and waits for its answer.
    async fn tell(
        &self,
        name: &str,
        command: impl FnOnce(oneshot::Sender<Result<(), HerderError>>) -> Command,
    ) -> Result<(), HerderError> {
        let (reply, answer) = oneshot::channel();
        let request = Request::Tell(name.into(), command(reply));
        self.requests.send(request).await.map_err(|_| self.unanswered())?;
        answer.await.map_err(|_| self.unanswered())?
    }

    /// Why there was no answer: the worker stops; or the actor that was asked ended, because its connector was deleted just before
    /// (and perhaps created anew).
    fn unanswered(&self) -> HerderError {
        match self.stop.is_cancelled() {
            true => HerderError::Internal("Worker is shutting down".to_owned()),
            false => HerderError::conflicting(),
        }
    }
}

/// What the statuses say of this worker's former life is no longer true: nothing runs yet.
fn forget_former_life(context: &Context) {
    let snapshot = context.configs.snapshot();
    for name in context.statuses.connectors() {
        if snapshot.connector(&name).is_none() {
            context.statuses.remove_connector(&name);
            context.statuses.reset_topics(&name);
            continue;
        }
        for (task, _) in context.statuses.tasks(&name) {
            context.statuses.put_task_safe(&name, task, context.status(&name, State::Unassigned, None));
        }
        context.statuses.put_connector_safe(&name, context.status(&name, State::Unassigned, None));
    }
}

impl From<StoreError> for HerderError {
    fn from(error: StoreError) -> HerderError {
        match error {
            StoreError::TooLarge { .. } | StoreError::Invalid(_) => HerderError::BadRequest(error.to_string()),
            error => HerderError::Internal(error.to_string()),
        }
    }
}
