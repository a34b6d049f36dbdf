//! What happens to connectors and tasks over time: recovery from failures, renewed secrets, versions, pauses.

mod keys;

use std::time::Duration;

use super::testing::{Fixture, until};
use crate::store::{RawConfig, TargetState};

const SOURCE: &[(&str, &str)] = &[("connector.class", "FileSource"), ("file", "f")];

async fn create(fixture: &Fixture, keys: &[(&str, &str)]) {
    let entries = SOURCE.iter().chain(keys).map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned())));
    fixture.herder.create_connector("a", RawConfig::new(entries), TargetState::Started).await.unwrap();
}

/// The states of connector and tasks, a `*` after those that have a trace.
fn states(fixture: &Fixture) -> String {
    let Ok(status) = fixture.herder.connector_status("a") else { return String::new() };
    let shown = |state: crate::store::State, trace: &Option<String>| {
        let text = serde_json::to_value(state).unwrap().as_str().unwrap().to_owned();
        if trace.is_some() { text + "*" } else { text }
    };
    let tasks = status.tasks.iter().map(|task| shown(task.state, &task.trace));
    std::iter::once(shown(status.connector.state, &status.connector.trace)).chain(tasks).collect::<Vec<_>>().join(" ")
}

async fn shows(fixture: &Fixture, expect: &str) {
    until(expect, || states(fixture) == expect).await;
}

fn started(fixture: &Fixture) -> usize {
    fixture.engine.started.lock().unwrap().len()
}

const RESTARTS: &[(&str, &str)] =
    &[("test.task", "fail"), ("hawser.restart.max.attempts", "3"), ("hawser.restart.delay.ms", "5")];

#[tokio::test]
async fn a_failed_task_is_restarted_until_it_works() {
    let fixture = Fixture::new().await;
    *fixture.engine.failures.lock().unwrap() = Some(2);
    create(&fixture, RESTARTS).await;
    shows(&fixture, "RUNNING RUNNING").await;
    assert_eq!(started(&fixture), 3);
}

#[tokio::test]
async fn a_task_that_goes_on_failing_stays_failed() {
    let fixture = Fixture::new().await;
    create(&fixture, RESTARTS).await;
    until("the last attempt", || started(&fixture) == 4).await;
    shows(&fixture, "RUNNING FAILED*").await;
    assert_eq!(started(&fixture), 4);
    // Someone takes it in hand: all attempts are there again.
    *fixture.engine.failures.lock().unwrap() = Some(1);
    fixture.herder.restart_task("a", 0).await.unwrap();
    until("restarted once", || started(&fixture) == 6).await;
    shows(&fixture, "RUNNING RUNNING").await;
    assert_eq!(started(&fixture), 6);
}

#[tokio::test]
async fn without_being_asked_for_nothing_is_restarted() {
    let fixture = Fixture::new().await;
    create(&fixture, &[("test.task", "fail")]).await;
    shows(&fixture, "RUNNING FAILED*").await;
    // Time enough for something that should not happen.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!((started(&fixture), states(&fixture).as_str()), (1, "RUNNING FAILED*"));
}

#[tokio::test]
async fn a_connector_that_does_not_start_is_restarted() {
    let fixture = Fixture::new().await;
    create(&fixture, &[("test.tasks", "fail"), ("hawser.restart.max.attempts", "1"), ("hawser.restart.delay.ms", "50")]).await;
    shows(&fixture, "RESTARTING*").await;
    shows(&fixture, "FAILED*").await;
}

#[tokio::test]
async fn whoever_acts_wins_over_a_restart_that_is_due() {
    let fixture = Fixture::new().await;
    let herder = &fixture.herder;
    create(&fixture, &[("test.task", "fail"), ("hawser.restart.max.attempts", "-1"), ("hawser.restart.delay.ms", "600000")])
        .await;
    shows(&fixture, "RUNNING RESTARTING*").await;
    // A pause holds it up, and the end of the pause is the end of the wait.
    herder.set_target("a", TargetState::Paused).await.unwrap();
    shows(&fixture, "PAUSED PAUSED").await;
    assert_eq!(started(&fixture), 1);
    herder.set_target("a", TargetState::Started).await.unwrap();
    until("started anew", || started(&fixture) == 2).await;
    shows(&fixture, "RUNNING RESTARTING*").await;
    // What waits has failed for `onlyFailed`.
    herder.restart_instances("a", true, true).await.unwrap();
    until("started anew", || started(&fixture) == 3).await;
    shows(&fixture, "RUNNING RESTARTING*").await;
    herder.set_target("a", TargetState::Stopped).await.unwrap();
    shows(&fixture, "STOPPED").await;
    assert_eq!(started(&fixture), 3);
    herder.set_target("a", TargetState::Started).await.unwrap();
    shows(&fixture, "RUNNING RESTARTING*").await;
    herder.delete_connector("a").await.unwrap();
    until("gone", || herder.connector_status("a").is_err()).await;
    assert_eq!(started(&fixture), 4);
}

#[tokio::test]
async fn what_waits_for_its_restart_is_unassigned_when_the_worker_stops() {
    let fixture = Fixture::new().await;
    create(&fixture, &[("test.task", "fail"), ("hawser.restart.max.attempts", "1")]).await;
    shows(&fixture, "RUNNING RESTARTING*").await;
    fixture.herder.stop().await;
    assert_eq!(states(&fixture), "UNASSIGNED UNASSIGNED");
}

#[tokio::test]
async fn wrong_keys_of_the_restarts_are_refused() {
    let fixture = Fixture::new().await;
    let entries = SOURCE.iter().chain(&[("name", "a"), ("hawser.restart.max.attempts", "many")]);
    let config = RawConfig::new(entries.map(|(key, value)| ((*key).to_owned(), Some((*value).to_owned()))));
    let infos = fixture.herder.validate(&config).await.unwrap();
    assert_eq!(infos.error_count, 1);
}

#[tokio::test]
async fn a_changed_secret_restarts_connector_and_tasks() {
    let fixture = Fixture::new().await;
    let ttl = Duration::from_millis(10);
    *fixture.engine.secret.lock().unwrap() = Some(("old".to_owned(), ttl));
    create(&fixture, &[("password", "${env:SECRET}"), ("tasks.max", "2")]).await;
    shows(&fixture, "RUNNING RUNNING RUNNING").await;
    tokio::time::sleep(ttl * 3).await;
    assert_eq!(started(&fixture), 2, "the secret is the same");
    *fixture.engine.secret.lock().unwrap() = Some(("new".to_owned(), ttl));
    *fixture.classes.version.lock().unwrap() = "2.0.0".to_owned();
    until("both tasks started anew", || started(&fixture) == 4).await;
    assert_eq!(*fixture.engine.started.lock().unwrap(), ["a-0 old", "a-1 old", "a-0 new", "a-1 new"]);
    assert!(fixture.engine.versions.lock().unwrap().iter().all(|version| version == "1.0.0"), "no plugin is exchanged by it");
    shows(&fixture, "RUNNING RUNNING RUNNING").await;
}

#[tokio::test]
async fn a_plugin_cannot_have_references_of_its_own_resolved() {
    for (given, expect) in [
        (("file", "plain"), "a-0 ${env:SECRET}"),
        (("sandbox.secret.api", "${env:SECRET}"), "a-0 ${env:SECRET}"),
        (("fields", "${env:SECRET}"), "a-0 hunter2"),
    ] {
        let fixture = Fixture::new().await;
        create(&fixture, &[("test.tasks", "beg"), given]).await;
        shows(&fixture, "RUNNING RUNNING").await;
        assert_eq!(*fixture.engine.started.lock().unwrap(), [expect], "{given:?}");
    }
}

#[tokio::test]
async fn a_changed_secret_is_left_alone_if_asked_for() {
    let fixture = Fixture::new().await;
    let ttl = Duration::from_millis(10);
    *fixture.engine.secret.lock().unwrap() = Some(("old".to_owned(), ttl));
    create(&fixture, &[("password", "${env:SECRET}"), ("config.action.reload", "none")]).await;
    shows(&fixture, "RUNNING RUNNING").await;
    *fixture.engine.secret.lock().unwrap() = Some(("new".to_owned(), ttl));
    tokio::time::sleep(ttl * 10).await;
    assert_eq!(started(&fixture), 1);
}

#[tokio::test]
async fn tasks_stay_on_the_version_of_their_connector() {
    let fixture = Fixture::new().await;
    create(&fixture, &[("tasks.max", "2")]).await;
    shows(&fixture, "RUNNING RUNNING RUNNING").await;
    *fixture.classes.version.lock().unwrap() = "2.0.0".to_owned();
    fixture.herder.restart_task("a", 0).await.unwrap();
    assert_eq!(*fixture.engine.versions.lock().unwrap(), ["1.0.0"; 3]);
    // A restart of the connector takes up the new version, and its tasks follow.
    fixture.herder.restart_connector("a").await.unwrap();
    until("both tasks started anew", || started(&fixture) == 5).await;
    assert_eq!(fixture.engine.versions.lock().unwrap()[3..], ["2.0.0"; 2]);
}

#[tokio::test]
async fn a_pause_right_after_the_creation_finds_tasks() {
    let fixture = Fixture::new().await;
    create(&fixture, &[]).await;
    fixture.herder.set_target("a", TargetState::Paused).await.unwrap();
    shows(&fixture, "PAUSED PAUSED").await;
}

#[tokio::test]
async fn an_equal_configuration_restarts_the_connector_alone() {
    let fixture = Fixture::new().await;
    create(&fixture, &[]).await;
    shows(&fixture, "RUNNING RUNNING").await;
    *fixture.classes.version.lock().unwrap() = "2.0.0".to_owned();
    let config = fixture.herder.connector_config("a").unwrap();
    fixture.herder.put_connector_config("a", (*config).clone()).await.unwrap();
    // Seen by the new version that it runs on.
    until("the connector has been started anew", || {
        fixture.herder.connector_status("a").is_ok_and(|status| status.connector.version.as_deref() == Some("2.0.0"))
    })
    .await;
}
