//! What a request to restart with `includeTasks` or `onlyFailed` concerns.

use crate::store::{RestartRequest, State, Status, StatusStore};

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
        // What waits for its restart by `hawser.restart.*` has failed, too.
        let has_failed =
            |status: &Status| status.state == State::Failed || (status.state == State::Restarting && status.trace.is_some());
        let concerns = |status: &Status| !request.only_failed || has_failed(status);
        let tasks = statuses.tasks(name).into_iter();
        RestartPlan {
            connector: statuses.connector(name).is_some_and(|status| concerns(&status)),
            tasks: match request.include_tasks {
                true => tasks.filter(|(_, status)| concerns(status)).map(|(number, _)| number).collect(),
                false => Vec::new(),
            },
        }
    }
}
