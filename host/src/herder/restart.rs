//! What a request to restart with `includeTasks` or `onlyFailed` concerns.

use crate::store::{RestartRequest, State, StatusStore};

/// The instances to restart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RestartPlan {
    /// The connector itself.
    pub(super) connector: bool,
    /// Numbers of its tasks.
    pub(super) tasks: Vec<u32>,
}

impl RestartPlan {
    /// Kafka Connect's rules: with `only_failed` what has failed, with `include_tasks` tasks too.
    pub(super) fn of(statuses: &StatusStore, name: &str, request: &RestartRequest) -> RestartPlan {
        let concerns = |state: State| !request.only_failed || state == State::Failed;
        let tasks = statuses.tasks(name).into_iter();
        RestartPlan {
            connector: statuses.connector(name).is_some_and(|status| concerns(status.state)),
            tasks: match request.include_tasks {
                true => tasks.filter(|(_, status)| concerns(status.state)).map(|(number, _)| number).collect(),
                false => Vec::new(),
            },
        }
    }
}
