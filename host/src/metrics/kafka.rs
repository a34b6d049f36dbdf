//! What Kafka Connect and its clients measure, under Kafka's names. The source of names and meanings is Kafka's
//! `ConnectMetricsRegistry`, and the rules of the JMX exporter that Strimzi ships.

use super::client::{ClientRole, ClientTotals};
use super::exposition::Exposition;
use super::scrape::{ClientView, ConnectorView, GroupView, Scrape, TaskView, WorkerView};
use super::table::{Attribute, Described, Group, Value};
use super::vitals::ratio;

const CONNECTOR: &[(&str, &str)] = &[("connector", "connector")];
const TASK: &[(&str, &str)] = &[("connector", "connector"), ("task", "task")];
/// The JMX exporter is told to write labels in small letters.
const CLIENT: &[(&str, &str)] = &[("clientid", "client_id")];
const NODE: &[(&str, &str)] = &[("clientid", "client_id"), ("nodeid", "node_id")];
const TOPIC: &[(&str, &str)] = &[("clientid", "client_id"), ("topic", "topic")];
const PARTITION: &[(&str, &str)] = &[("clientid", "client_id"), ("topic", "topic"), ("partition", "partition")];

const fn figure<S>(name: &'static str, help: &'static str, value: fn(&S) -> Value) -> Attribute<S> {
    Attribute { name, help, value }
}

/// `type=connector-metrics`.
const CONNECTOR_METRICS: Group<ConnectorView> = Group {
    own: None,
    jmx: Some("kafka_connect_connector"),
    reporter: Some("kafka_connect_connector_metrics"),
    labels: CONNECTOR,
    attributes: &[
        figure("status", "State of the connector.", |c| c.status.into()),
        figure("connector-type", "Source or sink.", |c| c.kind.into()),
        figure("connector-class", "Class of the connector.", |c| c.class.as_str().into()),
        figure("connector-version", "Version of the connector's class.", |c| c.version.as_deref().into()),
    ],
};

/// `type=connector-task-metrics`.
const TASK_METRICS: Group<TaskView> = Group {
    own: None,
    jmx: Some("kafka_connect_connector_task"),
    reporter: Some("kafka_connect_connector_task_metrics"),
    labels: TASK,
    attributes: &[
        figure("status", "State of the task.", |t| t.status.into()),
        figure("running-ratio", "Part of the time that the task was running.", |t| t.of(|r| r.share(|c| c.running_micros))),
        figure("pause-ratio", "Part of the time that the task was paused.", |t| t.of(|r| r.share(|c| c.paused_micros))),
        figure("offset-commit-max-time-ms", "Longest commit of offsets.", |t| t.of(|r| millis(r.maxima.commit_micros as f64))),
        figure("offset-commit-avg-time-ms", "Average time of a commit of offsets.", |t| {
            t.of(|r| millis(r.average(|c| c.commit_micros, |c| c.commits)))
        }),
        figure("offset-commit-success-percentage", "Part of the commits of offsets that succeeded.", |t| {
            t.of(|r| r.average(|c| c.commits, |c| c.commits + c.commit_failures))
        }),
        figure("offset-commit-failure-percentage", "Part of the commits of offsets that failed.", |t| {
            t.of(|r| r.average(|c| c.commit_failures, |c| c.commits + c.commit_failures))
        }),
        figure("batch-size-max", "Records of the largest batch.", |t| t.of(|r| r.maxima.batch_size as f64)),
        figure("batch-size-avg", "Records of a batch on average.", |t| t.of(|r| r.average(|c| c.records_in, |c| c.batches))),
        figure("connector-class", "Class of the connector.", |t| t.part("connector-class")),
        figure("connector-version", "Version of the connector's class.", |t| t.part("connector-version")),
        figure("connector-type", "Source or sink.", |t| t.part("connector-type")),
        figure("task-class", "Class of the task.", |t| t.part("task-class")),
        figure("task-version", "Version of the task's class.", |t| t.part("task-version")),
        figure("key-converter-class", "Class of the converter of keys.", |t| t.part("key-converter-class")),
        figure("key-converter-version", "Version of the converter of keys.", |t| t.part("key-converter-version")),
        figure("value-converter-class", "Class of the converter of values.", |t| t.part("value-converter-class")),
        figure("value-converter-version", "Version of the converter of values.", |t| t.part("value-converter-version")),
        figure("header-converter-class", "Class of the converter of headers.", |t| t.part("header-converter-class")),
        figure("header-converter-version", "Version of the converter of headers.", |t| t.part("header-converter-version")),
    ],
};

/// `type=source-task-metrics`.
const SOURCE_METRICS: Group<TaskView> = Group {
    own: None,
    jmx: Some("kafka_connect_source_task"),
    reporter: Some("kafka_connect_source_task_metrics"),
    labels: TASK,
    attributes: &[
        figure("source-record-poll-rate", "Records polled, before transforms.", |t| t.of(|r| r.rate(|c| c.records_in))),
        figure("source-record-poll-total", "Records polled, before transforms.", |t| t.of(|r| r.now.records_in as f64)),
        figure("source-record-write-rate", "Records written to Kafka.", |t| t.of(|r| r.rate(|c| c.records_out))),
        figure("source-record-write-total", "Records written to Kafka.", |t| t.of(|r| r.now.records_out as f64)),
        figure("poll-batch-max-time-ms", "Longest poll.", |t| t.of(|r| millis(r.maxima.call_micros as f64))),
        figure("poll-batch-avg-time-ms", "Average time of a poll.", |t| {
            t.of(|r| millis(r.average(|c| c.call_micros, |c| c.calls)))
        }),
        figure("source-record-active-count", "Records sent but not yet acknowledged.", |t| t.of(|r| r.active as f64)),
        figure("source-record-active-count-max", "Most records sent but not yet acknowledged.", |t| {
            t.of(|r| r.maxima.active.max(r.active) as f64)
        }),
        figure("source-record-active-count-avg", "Records sent but not yet acknowledged, on average.", |t| {
            t.of(|r| r.average(|c| c.active_sum, |c| c.active_samples))
        }),
    ],
};

/// `type=sink-task-metrics`.
const SINK_METRICS: Group<TaskView> = Group {
    own: None,
    jmx: Some("kafka_connect_sink_task"),
    reporter: Some("kafka_connect_sink_task_metrics"),
    labels: TASK,
    attributes: &[
        figure("sink-record-read-rate", "Records read from Kafka, before transforms.", |t| t.of(|r| r.rate(|c| c.records_in))),
        figure("sink-record-read-total", "Records read from Kafka, before transforms.", |t| t.of(|r| r.now.records_in as f64)),
        figure("sink-record-send-rate", "Records given to put, after transforms.", |t| t.of(|r| r.rate(|c| c.records_put))),
        figure("sink-record-send-total", "Records given to put, after transforms.", |t| t.of(|r| r.now.records_put as f64)),
        figure("partition-count", "Partitions assigned to the task.", |t| t.of(|r| r.partitions as f64)),
        figure("offset-commit-seq-no", "Number of the last commit of offsets.", |t| {
            t.of(|r| (r.now.commits + r.now.commit_failures) as f64)
        }),
        figure("offset-commit-completion-rate", "Commits of offsets that succeeded.", |t| t.of(|r| r.rate(|c| c.commits))),
        figure("offset-commit-completion-total", "Commits of offsets that succeeded.", |t| t.of(|r| r.now.commits as f64)),
        figure("offset-commit-skip-rate", "Commits of offsets left out because one was under way.", |t| {
            t.of(|r| r.rate(|c| c.commits_skipped))
        }),
        figure("offset-commit-skip-total", "Commits of offsets left out because one was under way.", |t| {
            t.of(|r| r.now.commits_skipped as f64)
        }),
        figure("put-batch-max-time-ms", "Longest put.", |t| t.of(|r| millis(r.maxima.call_micros as f64))),
        figure("put-batch-avg-time-ms", "Average time of a put.", |t| {
            t.of(|r| millis(r.average(|c| c.call_micros, |c| c.calls)))
        }),
        figure("sink-record-active-count", "Records read but not yet committed.", |t| t.of(|r| r.active as f64)),
        figure("sink-record-active-count-max", "Most records read but not yet committed.", |t| {
            t.of(|r| r.maxima.active.max(r.active) as f64)
        }),
        figure("sink-record-active-count-avg", "Records read but not yet committed, on average.", |t| {
            t.of(|r| r.average(|c| c.active_sum, |c| c.active_samples))
        }),
    ],
};

/// `type=task-error-metrics`.
const ERROR_METRICS: Group<TaskView> = Group {
    own: None,
    jmx: Some("kafka_connect_task_error"),
    reporter: Some("kafka_connect_task_error_metrics"),
    labels: TASK,
    attributes: &[
        figure("total-record-failures", "Failed attempts at a record.", |t| t.of(|r| r.now.record_failures as f64)),
        figure("total-record-errors", "Records that could not be handled.", |t| t.of(|r| r.now.record_errors as f64)),
        figure("total-records-skipped", "Records left out.", |t| t.of(|r| r.now.records_skipped as f64)),
        figure("total-retries", "Repetitions after a passing error.", |t| t.of(|r| r.now.retries as f64)),
        figure("total-errors-logged", "Errors of records written to the log.", |t| t.of(|r| r.now.errors_logged as f64)),
        figure("deadletterqueue-produce-requests", "Records for the dead letter queue.", |t| t.of(|r| r.now.dead_letters as f64)),
        figure("deadletterqueue-produce-failures", "Records that the dead letter queue did not take.", |t| {
            t.of(|r| r.now.dead_letter_failures as f64)
        }),
        figure("last-error-timestamp", "When the last error happened; 0 for never.", |t| t.of(|r| r.last_error as f64)),
    ],
};

/// `type=connector-transform-metrics` and `type=connector-predicate-metrics`: a class and its version.
type Stage = (String, String);

const TRANSFORM_METRICS: Group<Stage> = Group {
    own: None,
    jmx: Some("kafka_connect_connector_transform"),
    reporter: Some("kafka_connect_connector_transform_metrics"),
    labels: &[("connector", "connector"), ("task", "task"), ("transform", "transform")],
    attributes: &[
        figure("transform-class", "Class of the transform.", |(class, _)| class.as_str().into()),
        figure("transform-version", "Version of the transform's class.", |(_, version)| version.as_str().into()),
    ],
};

const PREDICATE_METRICS: Group<Stage> = Group {
    own: None,
    jmx: Some("kafka_connect_connector_predicate"),
    reporter: Some("kafka_connect_connector_predicate_metrics"),
    labels: &[("connector", "connector"), ("task", "task"), ("predicate", "predicate")],
    attributes: &[
        figure("predicate-class", "Class of the predicate.", |(class, _)| class.as_str().into()),
        figure("predicate-version", "Version of the predicate's class.", |(_, version)| version.as_str().into()),
    ],
};

/// `type=connect-worker-metrics`.
const WORKER_METRICS: Group<WorkerView> = Group {
    own: None,
    jmx: Some("kafka_connect_worker"),
    reporter: Some("kafka_connect_connect_worker_metrics"),
    labels: &[],
    attributes: &[
        figure("connector-count", "Connectors that run on this worker.", |w| w.connectors.into()),
        figure("task-count", "Tasks that run on this worker.", |w| w.tasks.into()),
        figure("connector-startup-attempts-total", "Starts of connectors.", |w| sum(w.connector_startups).into()),
        figure("connector-startup-success-total", "Starts of connectors that succeeded.", |w| w.connector_startups.0.into()),
        figure("connector-startup-success-percentage", "Part of the starts of connectors that succeeded.", |w| {
            part(w.connector_startups.0, w.connector_startups).into()
        }),
        figure("connector-startup-failure-total", "Starts of connectors that failed.", |w| w.connector_startups.1.into()),
        figure("connector-startup-failure-percentage", "Part of the starts of connectors that failed.", |w| {
            part(w.connector_startups.1, w.connector_startups).into()
        }),
        figure("task-startup-attempts-total", "Starts of tasks.", |w| sum(w.task_startups).into()),
        figure("task-startup-success-total", "Starts of tasks that succeeded.", |w| w.task_startups.0.into()),
        figure("task-startup-success-percentage", "Part of the starts of tasks that succeeded.", |w| {
            part(w.task_startups.0, w.task_startups).into()
        }),
        figure("task-startup-failure-total", "Starts of tasks that failed.", |w| w.task_startups.1.into()),
        figure("task-startup-failure-percentage", "Part of the starts of tasks that failed.", |w| {
            part(w.task_startups.1, w.task_startups).into()
        }),
    ],
};

/// `type=connect-worker-metrics,connector=X`.
const WORKER_CONNECTOR_METRICS: Group<ConnectorView> = Group {
    own: None,
    jmx: Some("kafka_connect_worker"),
    reporter: Some("kafka_connect_connect_worker_metrics"),
    labels: CONNECTOR,
    attributes: &[
        figure("connector-total-task-count", "Tasks of the connector.", |c| (c.task_states.len() as u64).into()),
        figure("connector-running-task-count", "Running tasks of the connector.", |c| c.tasks_in("running")),
        figure("connector-paused-task-count", "Paused tasks of the connector.", |c| c.tasks_in("paused")),
        figure("connector-failed-task-count", "Failed tasks of the connector.", |c| c.tasks_in("failed")),
        figure("connector-unassigned-task-count", "Unassigned tasks of the connector.", |c| c.tasks_in("unassigned")),
        figure("connector-destroyed-task-count", "Destroyed tasks of the connector.", |c| c.tasks_in("destroyed")),
        figure("connector-restarting-task-count", "Restarting tasks of the connector.", |c| c.tasks_in("restarting")),
    ],
};

/// `type=connect-worker-rebalance-metrics`.
const REBALANCE_METRICS: Group<GroupView> = Group {
    own: None,
    jmx: Some("kafka_connect_worker_rebalance"),
    reporter: Some("kafka_connect_connect_worker_rebalance_metrics"),
    labels: &[],
    attributes: &[
        figure("connect-protocol", "Protocol that divides the work.", |g| g.protocol.as_str().into()),
        figure("leader-name", "URL of the leader.", |g| g.leader.as_str().into()),
        figure("epoch", "Generation of the group.", |g| Value::Number(g.epoch as f64)),
        figure("completed-rebalances-total", "Rebalances that this worker went through.", |g| g.rebalances.into()),
        figure("rebalancing", "Whether the group rebalances: 1 or 0.", |g| g.is_rebalancing.into()),
        figure("rebalance-max-time-ms", "Longest rebalance.", |g| millis(g.longest.as_micros() as f64).into()),
        figure("rebalance-avg-time-ms", "Average time of a rebalance.", |g| {
            ratio(millis(g.spent.as_micros() as f64), g.rebalances as f64).into()
        }),
        figure("time-since-last-rebalance-ms", "Time since the last rebalance; none before the first.", |g| {
            g.last.map(|passed| millis(passed.as_micros() as f64)).into()
        }),
    ],
};

/// `type=connect-coordinator-metrics`.
const COORDINATOR_METRICS: Group<WorkerView> = Group {
    own: None,
    jmx: Some("kafka_connect_coordinator"),
    reporter: Some("kafka_connect_connect_coordinator_metrics"),
    labels: CLIENT,
    attributes: &[
        figure("assigned-connectors", "Connectors assigned to this worker.", |w| w.connectors.into()),
        figure("assigned-tasks", "Tasks assigned to this worker.", |w| w.tasks.into()),
    ],
};

/// `type=app-info`.
const APP_INFO: Group<WorkerView> = Group {
    own: None,
    jmx: None,
    reporter: Some("kafka_connect_app_info"),
    labels: CLIENT,
    attributes: &[
        figure("version", "Release of Kafka Connect whose interface this is.", |w| w.version.as_str().into()),
        figure("commit-id", "What was built.", |w| w.commit.as_str().into()),
        figure("start-time-ms", "When the worker started, since 1970.", |w| Value::Number(w.start_millis as f64)),
    ],
};

/// The same as the JMX exporter's rules name it.
const APP_INFO_JMX: Group<WorkerView> = Group {
    own: None,
    jmx: Some("kafka_connect"),
    reporter: None,
    labels: CLIENT,
    attributes: &[
        figure("version-info", "Release of Kafka Connect whose interface this is.", |w| w.version.as_str().into()),
        figure("commit-id-info", "What was built.", |w| w.commit.as_str().into()),
        figure("start-time-seconds", "When the worker started, since 1970.", |w| Value::Number(w.start_millis as f64 / 1000.0)),
    ],
};

/// What both kinds of clients have, for the network and for one broker of it.
macro_rules! network {
    ($role:literal, $metrics:ident, $nodes:ident) => {
        const $metrics: Group<ClientView> = Group {
            own: None,
            jmx: Some(concat!("kafka_", $role)),
            reporter: Some(concat!("kafka_", $role, "_", $role, "_metrics")),
            labels: CLIENT,
            attributes: &[
                figure("connection-count", "Connections that are up.", |c| c.reading.figures.connections.into()),
                figure("outgoing-byte-total", "Sent to all brokers.", |c| c.totals().bytes_out.into()),
                figure("outgoing-byte-rate", "Sent to all brokers.", |c| c.reading.rate(|t| t.bytes_out).into()),
                figure("incoming-byte-total", "Received from all brokers.", |c| c.totals().bytes_in.into()),
                figure("incoming-byte-rate", "Received from all brokers.", |c| c.reading.rate(|t| t.bytes_in).into()),
                figure("request-total", "Requests sent.", |c| c.totals().requests.into()),
                figure("request-rate", "Requests sent.", |c| c.reading.rate(|t| t.requests).into()),
                figure("response-total", "Responses received.", |c| c.totals().responses.into()),
                figure("response-rate", "Responses received.", |c| c.reading.rate(|t| t.responses).into()),
                figure("requests-in-flight", "Requests without a response yet.", |c| c.reading.figures.in_flight.into()),
                figure("request-latency-avg", "From a request to its response, on average.", |c| {
                    c.reading.figures.latency.average().into()
                }),
                figure("request-latency-max", "From a request to its response, at most.", |c| {
                    c.reading.figures.latency.max.into()
                }),
            ],
        };

        const $nodes: Group<super::client::NodeFigures> = Group {
            own: None,
            jmx: Some(concat!("kafka_", $role, "_node")),
            reporter: Some(concat!("kafka_", $role, "_", $role, "_node_metrics")),
            labels: NODE,
            attributes: &[
                figure("outgoing-byte-total", "Sent to the broker.", |n| n.totals.bytes_out.into()),
                figure("incoming-byte-total", "Received from the broker.", |n| n.totals.bytes_in.into()),
                figure("request-total", "Requests sent to the broker.", |n| n.totals.requests.into()),
                figure("response-total", "Responses received from the broker.", |n| n.totals.responses.into()),
                figure("request-latency-avg", "From a request to its response, on average.", |n| n.latency.average().into()),
                figure("request-latency-max", "From a request to its response, at most.", |n| n.latency.max.into()),
            ],
        };
    };
}

network!("producer", PRODUCER_NETWORK, PRODUCER_NODES);
network!("consumer", CONSUMER_NETWORK, CONSUMER_NODES);

/// The rest of `kafka.producer:type=producer-metrics`.
const PRODUCER_METRICS: Group<ClientView> = Group {
    own: None,
    jmx: Some("kafka_producer"),
    reporter: Some("kafka_producer_producer_metrics"),
    labels: CLIENT,
    attributes: &[
        figure("record-send-total", "Records sent.", |c| c.totals().records.into()),
        figure("record-send-rate", "Records sent.", |c| c.reading.rate(|t| t.records).into()),
        figure("batch-size-avg", "Bytes of a batch that was sent, on average.", |c| {
            c.reading.figures.batch_bytes.average().into()
        }),
        figure("batch-size-max", "Bytes of the largest batch that was sent.", |c| c.reading.figures.batch_bytes.max.into()),
        figure("records-per-request-avg", "Records of a batch that was sent, on average.", |c| {
            c.reading.figures.batch_records.average().into()
        }),
        figure("buffer-total-bytes", "Room for records that are not sent yet.", |c| c.reading.figures.buffer.1.into()),
        figure("buffer-available-bytes", "What is free of it.", |c| {
            c.reading.figures.buffer.1.saturating_sub(c.reading.figures.buffer.0).into()
        }),
        figure("produce-throttle-time-avg", "For how long brokers held the client back, on average.", |c| {
            c.reading.figures.throttle.average().into()
        }),
        figure("produce-throttle-time-max", "For how long brokers held the client back, at most.", |c| {
            c.reading.figures.throttle.max.into()
        }),
    ],
};

/// `kafka.producer:type=producer-topic-metrics`.
const PRODUCER_TOPICS: Group<super::client::TopicFigures> = Group {
    own: None,
    jmx: Some("kafka_producer_topic"),
    reporter: Some("kafka_producer_producer_topic_metrics"),
    labels: TOPIC,
    attributes: &[
        figure("record-send-total", "Records sent to the topic.", |t| t.records.into()),
        figure("byte-total", "Sent to the topic.", |t| t.bytes.into()),
    ],
};

/// `kafka.consumer:type=consumer-fetch-manager-metrics`.
const CONSUMER_FETCHES: Group<ClientView> = Group {
    own: None,
    jmx: Some("kafka_consumer_fetch_manager"),
    reporter: Some("kafka_consumer_consumer_fetch_manager_metrics"),
    labels: CLIENT,
    attributes: &[
        figure("records-consumed-total", "Records consumed.", |c| c.totals().records.into()),
        figure("records-consumed-rate", "Records consumed.", |c| c.reading.rate(|t| t.records).into()),
        figure("bytes-consumed-total", "Consumed.", |c| c.totals().record_bytes.into()),
        figure("bytes-consumed-rate", "Consumed.", |c| c.reading.rate(|t| t.record_bytes).into()),
        figure("fetch-total", "Fetch requests.", |c| c.totals().fetches.into()),
        figure("fetch-rate", "Fetch requests.", |c| c.reading.rate(|t| t.fetches).into()),
        figure("records-lag-max", "Records between the last one read and the end, in the partition where they are most.", |c| {
            c.reading.figures.partitions.iter().map(|partition| partition.lag).max().into()
        }),
        figure("fetch-throttle-time-avg", "For how long brokers held the client back, on average.", |c| {
            c.reading.figures.throttle.average().into()
        }),
        figure("fetch-throttle-time-max", "For how long brokers held the client back, at most.", |c| {
            c.reading.figures.throttle.max.into()
        }),
    ],
};

/// The same for one partition.
const CONSUMER_PARTITIONS: Group<super::client::PartitionFigures> = Group {
    own: None,
    jmx: Some("kafka_consumer_fetch_manager"),
    reporter: Some("kafka_consumer_consumer_fetch_manager_metrics"),
    labels: PARTITION,
    attributes: &[figure("records-lag", "Records between the last one read and the end.", |p| p.lag.into())],
};

/// `kafka.consumer:type=consumer-coordinator-metrics`.
const CONSUMER_GROUPS: Group<super::client::GroupFigures> = Group {
    own: None,
    jmx: Some("kafka_consumer_coordinator"),
    reporter: Some("kafka_consumer_consumer_coordinator_metrics"),
    labels: CLIENT,
    attributes: &[
        figure("assigned-partitions", "Partitions assigned to the consumer.", |g| g.partitions.into()),
        figure("rebalance-total", "Rebalances of the group.", |g| g.rebalances.into()),
        figure("last-rebalance-seconds-ago", "Time since the last one.", |g| Value::Number(g.rebalance_age as f64 / 1000.0)),
    ],
};

impl ClientView {
    fn totals(&self) -> &ClientTotals {
        &self.reading.figures.totals
    }

    fn label(&self) -> Vec<String> {
        vec![self.client_id.clone()]
    }

    fn and(&self, more: impl ToString) -> Vec<String> {
        vec![self.client_id.clone(), more.to_string()]
    }
}

fn millis(micros: f64) -> f64 {
    micros / 1000.0
}

fn sum((good, bad): (u64, u64)) -> u64 {
    good + bad
}

fn part(of: u64, all: (u64, u64)) -> f64 {
    ratio(of as f64, sum(all) as f64)
}

/// Tells all of it.
pub(super) fn tell(scrape: &Scrape, clients: &[ClientView], out: &mut Exposition) {
    let names = scrape.names;
    let worker = || std::iter::once((Vec::new(), &scrape.worker));
    let client_of_worker = || std::iter::once((vec![scrape.worker.client_id.clone()], &scrape.worker));
    WORKER_METRICS.tell(out, names, worker());
    APP_INFO.tell(out, names, client_of_worker());
    APP_INFO_JMX.tell(out, names, client_of_worker());
    if let Some(group) = &scrape.worker.group {
        REBALANCE_METRICS.tell(out, names, std::iter::once((Vec::new(), group)));
        COORDINATOR_METRICS.tell(out, names, client_of_worker());
    }
    let connectors = scrape.connectors.iter().map(|connector| (vec![connector.name.clone()], connector));
    CONNECTOR_METRICS.tell(out, names, connectors.clone());
    WORKER_CONNECTOR_METRICS.tell(out, names, connectors);
    let tasks = scrape.tasks.iter().map(|task| (task.labels(), task));
    TASK_METRICS.tell(out, names, tasks.clone());
    SOURCE_METRICS.tell(out, names, tasks.clone().filter(|(_, task)| task.is_source));
    SINK_METRICS.tell(out, names, tasks.clone().filter(|(_, task)| !task.is_source));
    ERROR_METRICS.tell(out, names, tasks);
    tell_stages(scrape, out);
    tell_clients(scrape, clients, out);
}

fn tell_stages(scrape: &Scrape, out: &mut Exposition) {
    for (group, is_predicate) in [(TRANSFORM_METRICS, false), (PREDICATE_METRICS, true)] {
        let mut stages: Vec<(Vec<String>, Stage)> = Vec::new();
        for task in &scrape.tasks {
            let of_task = task.vitals.iter().flat_map(|(vitals, _)| &vitals.parts.stages);
            for stage in of_task.filter(|stage| stage.is_predicate == is_predicate) {
                let labels = vec![task.connector.to_string(), task.task.to_string(), stage.alias.clone()];
                stages.push((labels, (stage.class.clone(), stage.version.clone())));
            }
        }
        group.tell(out, scrape.names, stages.iter().map(|(labels, stage)| (labels.clone(), stage)));
    }
}

fn tell_clients(scrape: &Scrape, clients: &[ClientView], out: &mut Exposition) {
    let names = scrape.names;
    let of = |role| clients.iter().filter(move |client| client.role == role);
    let (producers, consumers) = (of(ClientRole::Producer), of(ClientRole::Consumer));
    for (role, network, nodes) in
        [(ClientRole::Producer, PRODUCER_NETWORK, PRODUCER_NODES), (ClientRole::Consumer, CONSUMER_NETWORK, CONSUMER_NODES)]
    {
        network.tell(out, names, of(role).map(|client| (client.label(), client)));
        let each = of(role).flat_map(|client| client.reading.figures.nodes.iter().map(|node| (client.and(node.id), node)));
        nodes.tell(out, names, each);
    }
    PRODUCER_METRICS.tell(out, names, producers.clone().map(|client| (client.label(), client)));
    let topics = producers.flat_map(|client| client.reading.figures.topics.iter().map(|topic| (client.and(&topic.topic), topic)));
    PRODUCER_TOPICS.tell(out, names, topics);
    CONSUMER_FETCHES.tell(out, names, consumers.clone().map(|client| (client.label(), client)));
    let partitions = consumers.clone().flat_map(|client| {
        let labels = |topic: &str, number: i32| vec![client.client_id.clone(), topic.to_owned(), number.to_string()];
        client.reading.figures.partitions.iter().map(move |part| (labels(&part.topic, part.partition), part))
    });
    CONSUMER_PARTITIONS.tell(out, names, partitions);
    CONSUMER_GROUPS.tell(
        out,
        names,
        consumers.filter_map(|client| Some((client.label(), client.reading.figures.group.as_ref()?))),
    );
}

/// Attributes that are told as labels.
const TEXTS: &[&str] = &[
    "status",
    "connector-type",
    "connector-class",
    "connector-version",
    "task-class",
    "task-version",
    "key-converter-class",
    "key-converter-version",
    "value-converter-class",
    "value-converter-version",
    "header-converter-class",
    "header-converter-version",
    "transform-class",
    "transform-version",
    "predicate-class",
    "predicate-version",
    "connect-protocol",
    "leader-name",
    "version",
    "version-info",
    "commit-id",
    "commit-id-info",
];

/// All names, by Kafka's groups.
pub(super) fn describe() -> Vec<(&'static str, Vec<Described>)> {
    vec![
        ("connect-worker-metrics", WORKER_METRICS.describe(TEXTS)),
        ("connect-worker-metrics, of a connector", WORKER_CONNECTOR_METRICS.describe(TEXTS)),
        ("connector-metrics", CONNECTOR_METRICS.describe(TEXTS)),
        ("connector-task-metrics", TASK_METRICS.describe(TEXTS)),
        ("source-task-metrics", SOURCE_METRICS.describe(TEXTS)),
        ("sink-task-metrics", SINK_METRICS.describe(TEXTS)),
        ("task-error-metrics", ERROR_METRICS.describe(TEXTS)),
        ("connector-transform-metrics", TRANSFORM_METRICS.describe(TEXTS)),
        ("connector-predicate-metrics", PREDICATE_METRICS.describe(TEXTS)),
        ("connect-worker-rebalance-metrics", REBALANCE_METRICS.describe(TEXTS)),
        ("connect-coordinator-metrics", COORDINATOR_METRICS.describe(TEXTS)),
        ("app-info", [APP_INFO_JMX.describe(TEXTS), APP_INFO.describe(TEXTS)].concat()),
        ("producer-metrics", [PRODUCER_NETWORK.describe(TEXTS), PRODUCER_METRICS.describe(TEXTS)].concat()),
        ("producer-node-metrics", PRODUCER_NODES.describe(TEXTS)),
        ("producer-topic-metrics", PRODUCER_TOPICS.describe(TEXTS)),
        ("consumer-metrics", CONSUMER_NETWORK.describe(TEXTS)),
        ("consumer-node-metrics", CONSUMER_NODES.describe(TEXTS)),
        ("consumer-fetch-manager-metrics", [CONSUMER_FETCHES.describe(TEXTS), CONSUMER_PARTITIONS.describe(TEXTS)].concat()),
        ("consumer-coordinator-metrics", CONSUMER_GROUPS.describe(TEXTS)),
    ]
}
