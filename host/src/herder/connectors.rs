//! Writes: creating, changing, deleting, pausing, stopping and restarting connectors.

use std::sync::Arc;

use super::error::HerderError;
use super::model::{ConnectorInfo, ConnectorStateInfo};
use super::restart::RestartPlan;
use super::runner::Command;
use super::validation::refusal;
use super::{Herder, State};
use crate::store::{RawConfig, RestartRequest, TargetState, Written};

/// Tries of a patch whose configuration others change while it is validated.
const MAX_PATCH_TRIES: usize = 10;

impl Herder {
    /// Creates a connector.
    ///
    /// # Errors
    /// The configuration is not valid (400), or the name is taken (409).
    pub async fn create_connector(
        self: &Arc<Self>,
        name: &str,
        config: RawConfig,
        initial: TargetState,
    ) -> Result<ConnectorInfo, HerderError> {
        let config = with_name(name, config)?;
        self.check_config(&config).await?;
        let initial = Some(initial).filter(|state| *state != TargetState::Started);
        self.write(name, move |herder, name| async move {
            if herder.known(&name).is_ok() {
                return Err(HerderError::Conflict(format!("Connector {name} already exists")));
            }
            herder.context.configs.put_connector(&name, config, initial).await?;
            herder.connector(&name)
        })
        .await
    }

    /// Creates a connector or replaces its configuration; true: it is new. The answer has the new configuration and the
    /// tasks of the old one.
    ///
    /// # Errors
    /// The configuration is not valid (400).
    pub async fn put_connector_config(
        self: &Arc<Self>,
        name: &str,
        config: RawConfig,
    ) -> Result<(bool, ConnectorInfo), HerderError> {
        let config = with_name(name, config)?;
        self.check_config(&config).await?;
        self.write(name, move |herder, name| async move { herder.replace(&name, config).await }).await
    }

    /// Changes single keys of a connector's configuration; null removes a key.
    ///
    /// # Errors
    /// There is no such connector (404), or the configuration would not be valid (400).
    pub async fn patch_connector_config(self: &Arc<Self>, name: &str, patch: RawConfig) -> Result<ConnectorInfo, HerderError> {
        for _ in 0..MAX_PATCH_TRIES {
            let before = self.connector_config(name)?;
            let config = patched(&before, &patch);
            self.check_config(&config).await?;
            let written = self
                .write(name, move |herder, name| async move {
                    // Another request may have changed it while this one was validated.
                    match herder.known(&name)?.config == before {
                        true => herder.replace(&name, config).await.map(|(_, info)| Some(info)),
                        false => Ok(None),
                    }
                })
                .await?;
            if let Some(info) = written {
                return Ok(info);
            }
        }
        Err(HerderError::Conflict(format!("The configuration of connector {name} keeps being changed by others; try again")))
    }

    async fn replace(&self, name: &str, config: RawConfig) -> Result<(bool, ConnectorInfo), HerderError> {
        let is_new = self.known(name).is_err();
        let written = self.context.configs.put_connector(name, config, None).await?;
        if written == Written::Unchanged {
            // As Kafka Connect does; the answer is for whoever asks for a restart.
            let (reply, _) = tokio::sync::oneshot::channel();
            let restart = super::Request::Tell(name.into(), Command::RestartConnector(reply));
            self.requests.send(restart).await.map_err(|_| shutting_down())?;
        }
        Ok((is_new, self.connector(name)?))
    }

    /// Deletes a connector; its offsets stay.
    ///
    /// # Errors
    /// There is no such connector (404).
    pub async fn delete_connector(self: &Arc<Self>, name: &str) -> Result<(), HerderError> {
        self.write(name, |herder, name| async move {
            herder.known(&name)?;
            Ok(herder.context.configs.delete_connector(&name).await?)
        })
        .await
    }

    /// Asks a connector to run, rest or stop. It takes effect later.
    ///
    /// # Errors
    /// There is no such connector (404).
    pub async fn set_target(self: &Arc<Self>, name: &str, target: TargetState) -> Result<(), HerderError> {
        self.write(name, move |herder, name| async move {
            let connector = herder.known(&name).map_err(|_| HerderError::unknown_connector(&name))?;
            let has_tasks = !connector.tasks.is_empty() || connector.inconsistent;
            if target == TargetState::Stopped && has_tasks {
                herder.context.configs.put_task_configs(&name, Vec::new()).await?;
            }
            Ok(herder.context.configs.put_target_state(&name, target).await?)
        })
        .await
    }

    /// Starts a connector anew, without its tasks, and waits until it has started or failed.
    ///
    /// # Errors
    /// There is no such connector (404), or it does not start (500).
    pub async fn restart_connector(&self, name: &str) -> Result<(), HerderError> {
        self.known(name).map_err(|_| HerderError::NotFound(format!("Unknown connector: {name}")))?;
        self.tell(name, Command::RestartConnector).await
    }

    /// Starts a task anew.
    ///
    /// # Errors
    /// There is no such connector or task (404), or it does not start (500).
    pub async fn restart_task(&self, name: &str, task: i32) -> Result<(), HerderError> {
        let connector = self.known(name).map_err(|_| HerderError::NotFound(format!("Unknown connector: {name}")))?;
        let known = u32::try_from(task).ok().filter(|number| connector.tasks.get(*number as usize).is_some());
        let task = known.ok_or_else(|| HerderError::NotFound(format!("Unknown task: {name}-{task}")))?;
        self.tell(name, |reply| Command::RestartTask(task, reply)).await
    }

    /// Asks for a restart of a connector and its tasks; answers with what will be restarted.
    ///
    /// # Errors
    /// There is no such connector, or nothing is known of it (404).
    pub async fn restart_instances(
        &self,
        name: &str,
        include_tasks: bool,
        only_failed: bool,
    ) -> Result<ConnectorStateInfo, HerderError> {
        self.known(name).map_err(|_| HerderError::NotFound(format!("Unknown connector: {name}")))?;
        let mut info =
            self.connector_status(name).map_err(|_| HerderError::NotFound(format!("Status for connector {name} not found")))?;
        let request = RestartRequest { connector: name.into(), include_tasks, only_failed };
        let plan = RestartPlan::of(&self.context.statuses, name, &request);
        self.context.configs.put_restart(request).await?;
        if plan.connector {
            info.connector.state = State::Restarting;
        }
        for task in info.tasks.iter_mut().filter(|task| plan.tasks.contains(&task.id)) {
            task.state = State::Restarting;
        }
        Ok(info)
    }

    /// Validates a configuration that is to be stored.
    async fn check_config(&self, config: &RawConfig) -> Result<(), HerderError> {
        refusal(&self.validate(config).await?)
    }

    /// Reads and writes the configuration with nobody in between. It goes on when whoever asked for it has gone.
    async fn write<T, W, F>(self: &Arc<Self>, name: &str, work: W) -> Result<T, HerderError>
    where
        T: Send + 'static,
        W: FnOnce(Arc<Herder>, String) -> F + Send + 'static,
        F: Future<Output = Result<T, HerderError>> + Send,
    {
        let (herder, name) = (Arc::clone(self), name.to_owned());
        let written = tokio::spawn(async move {
            let context = Arc::clone(&herder.context);
            let _turn = context.writes.lock().await;
            work(herder, name).await
        });
        written.await.map_err(|_| shutting_down())?
    }
}

fn shutting_down() -> HerderError {
    HerderError::Internal("Worker is shutting down".to_owned())
}

/// The configuration with its `name`, which must be that of the connector.
fn with_name(name: &str, config: RawConfig) -> Result<RawConfig, HerderError> {
    match config.get("name") {
        Some(given) if given != name => Err(HerderError::BadRequest(format!(
            "Connector name configuration ({given}) doesn't match connector name in the URL ({name})"
        ))),
        Some(_) => Ok(config),
        None => {
            let mut entries = config.into_entries();
            entries.push(("name".to_owned(), Some(name.to_owned())));
            Ok(RawConfig::new(entries))
        }
    }
}

fn patched(config: &RawConfig, patch: &RawConfig) -> RawConfig {
    let present = config.iter().filter(|(key, _)| !patch.iter().any(|(changed, value)| changed == *key && value.is_none()));
    let set = patch.iter().filter(|(_, value)| value.is_some());
    RawConfig::new(present.chain(set).map(|(key, value)| (key.to_owned(), value.map(str::to_owned))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(entries: &[(&str, Option<&str>)]) -> RawConfig {
        RawConfig::new(entries.iter().map(|(key, value)| ((*key).to_owned(), value.map(str::to_owned))))
    }

    #[test]
    fn a_patch_sets_in_place_and_removes_by_null() {
        let before = config(&[("a", Some("1")), ("b", Some("2")), ("c", None)]);
        let after = patched(&before, &config(&[("b", Some("3")), ("a", None), ("d", Some("4"))]));
        assert_eq!(after.iter().collect::<Vec<_>>(), [("b", Some("3")), ("c", None), ("d", Some("4"))]);
    }

    #[test]
    fn the_name_is_added_and_must_fit() {
        let named = with_name("a", config(&[("x", Some("1"))])).unwrap();
        assert_eq!(named.iter().collect::<Vec<_>>(), [("x", Some("1")), ("name", Some("a"))]);
        assert_eq!(
            with_name("b", named).unwrap_err().to_string(),
            "Connector name configuration (a) doesn't match connector name in the URL (b)"
        );
    }
}
