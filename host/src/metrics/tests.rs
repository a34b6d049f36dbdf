//! That names, documentation and dashboards agree.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::*;

/// What stands before the generated part of the documentation.
const MARK: &str = "# All metrics\n";

/// Set to write the generated part instead of comparing it.
const WRITE: &str = "HAWSER_WRITE_DOCS";

fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

#[test]
fn the_documentation_lists_what_there_is() {
    let file = checkout("docs/metrics.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (written_by_hand, listed) = text.split_once(MARK).expect("the mark");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&file, format!("{written_by_hand}{MARK}{}", reference())).unwrap();
    } else {
        assert!(listed == reference(), "docs/metrics.md is out of date: run this test with {WRITE}=1");
    }
}

fn all() -> Vec<Described> {
    documented().into_iter().flatten().flat_map(|(_, figures)| figures).collect()
}

fn is_valid(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

#[test]
fn names_are_valid_and_each_is_one_figure() {
    let mut seen = HashSet::new();
    for figure in all() {
        assert!(!figure.help.is_empty() && figure.help.ends_with('.'), "{figure:?}");
        assert!(figure.labels.iter().all(|label| is_valid(label)), "{figure:?}");
        for name in figure.name.iter().chain(&figure.reporter) {
            assert!(is_valid(name), "{name}");
            assert!(seen.insert(name.clone()), "{name} is told twice");
        }
    }
}

/// Names that Strimzi's own dashboards and alerts read, of both kinds, but for those of what does not exist here.
#[test]
fn the_usual_dashboards_find_their_names() {
    let names: HashSet<String> = all().into_iter().flat_map(|figure| figure.name.into_iter().chain(figure.reporter)).collect();
    for name in [
        "kafka_connect_worker_connector_count",
        "kafka_connect_worker_task_count",
        "kafka_connect_worker_connector_running_task_count",
        "kafka_connect_worker_connector_paused_task_count",
        "kafka_connect_worker_connector_failed_task_count",
        "kafka_connect_worker_connector_unassigned_task_count",
        "kafka_connect_worker_connector_destroyed_task_count",
        "kafka_connect_worker_rebalance_rebalancing",
        "kafka_connect_coordinator_assigned_connectors",
        "kafka_connect_coordinator_assigned_tasks",
        "kafka_connect_connector_status",
        "kafka_connect_connector_task_status",
        "kafka_connect_connector_connector_class",
        "kafka_connect_connector_connector_type",
        "kafka_connect_connector_connector_version",
        "kafka_connect_task_error_total_record_failures",
        "kafka_connect_sink_task_put_batch_avg_time_ms",
        "kafka_connect_source_task_source_record_poll_total",
        "kafka_connect_connector_task_batch_size_avg",
        "kafka_connect_worker_task_startup_failure_total",
        "kafka_producer_outgoing_byte_total",
        "kafka_consumer_incoming_byte_total",
        "kafka_consumer_connection_count",
        "kafka_consumer_fetch_manager_records_lag_max",
        "kafka_producer_record_send_total",
        "process_cpu_seconds_total",
        "kafka_connect_connect_worker_metrics_connector_count",
        "kafka_connect_connect_worker_metrics_task_count",
        "kafka_connect_connect_coordinator_metrics_assigned_connectors",
        "kafka_connect_connector_metrics_status_info",
        "kafka_connect_connector_metrics_connector_class_info",
        "kafka_connect_connector_metrics_connector_version_info",
        "kafka_connect_connector_metrics_connector_type_info",
        "kafka_connect_connector_task_metrics_status_info",
        "kafka_connect_task_error_metrics_total_record_failures",
        "kafka_consumer_consumer_metrics_connection_count",
        "kafka_producer_producer_metrics_connection_count",
        "kafka_producer_producer_metrics_outgoing_byte",
        "kafka_producer_producer_node_metrics_incoming_byte",
    ] {
        assert!(names.contains(name), "{name}");
    }
}
