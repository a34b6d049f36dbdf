//! What Hawser measures beside what Kafka Connect has.

use super::client::MAX_PARTS_OF_CLIENT;
use super::exposition::{Exposition, Kind};
use super::process::Process;
use super::scrape::{Scrape, TaskView, WorkerView, seconds};
use super::table::{Attribute, Described, Group, Value};
use super::task::InstanceUse;
use crate::sandbox::InstanceLimits;

const TASK: &[(&str, &str)] = &[("connector", "connector"), ("task", "task")];
const INSTANCE: &[(&str, &str)] = &[("connector", "connector"), ("task", "task"), ("instance", "instance"), ("class", "class")];

const fn figure<S>(name: &'static str, help: &'static str, value: fn(&S) -> Value) -> Attribute<S> {
    Attribute { name, help, value }
}

const WORKER: Group<WorkerView> = Group {
    own: Some("hawser"),
    jmx: None,
    reporter: None,
    labels: &[],
    attributes: &[
        figure("build-info", "What was built.", |w| w.commit.as_str().into()),
        figure("instances", "Plugin instances alive.", |w| w.instances.0.into()),
        figure("instances-limit", "Most plugin instances that there may be.", |w| w.instances.1.into()),
        figure("catalogue-plugins", "Uploaded plugins, each version counted.", |w| w.plugins.0.into()),
        figure("catalogue-bytes", "Their components together.", |w| w.plugins.1.into()),
        figure("catalogue-classes", "Classes in them.", |w| w.classes.into()),
    ],
};

const TASKS: Group<TaskView> = Group {
    own: Some("hawser_task"),
    jmx: None,
    reporter: None,
    labels: TASK,
    attributes: &[
        figure("restarts-total", "Starts of the task after its first one on this worker.", |t| t.starts.saturating_sub(1).into()),
        figure("failures-total", "Failures of the task on this worker.", |t| t.failures.into()),
        figure("records-in-total", "Records polled or consumed.", |t| t.of(|r| r.now.records_in as f64)),
        figure("records-out-total", "Records acknowledged by Kafka, or taken by put.", |t| t.of(|r| r.now.records_out as f64)),
        figure("in-bytes-total", "Keys, values and headers that came in.", |t| t.of(|r| r.now.bytes_in as f64)),
        figure("out-bytes-total", "Keys, values and headers that went out.", |t| t.of(|r| r.now.bytes_out as f64)),
        figure("batches-total", "Batches that came in.", |t| t.of(|r| r.now.batches as f64)),
        figure("retries-total", "Calls and batches that were repeated after a passing error.", |t| {
            t.of(|r| r.now.retries as f64)
        }),
        figure("call-seconds-total", "Time in poll or put.", |t| t.of(|r| r.now.call_micros as f64 / 1e6)),
        figure("commits-total", "Commits of offsets that succeeded.", |t| t.of(|r| r.now.commits as f64)),
        figure("commit-failures-total", "Commits of offsets that failed.", |t| t.of(|r| r.now.commit_failures as f64)),
        figure("last-progress-timestamp-seconds", "When the task last got on; 0 for never.", |t| {
            t.of(|r| r.last_progress as f64 / 1000.0)
        }),
        figure("stalled", "Whether one step of the task has been under way, or tried again, for too long: 1 or 0.", |t| {
            t.of(|r| f64::from(r.stall.is_some()))
        }),
        figure(
            "stalled-since-timestamp-seconds",
            "Since when that step has been under way; 0 if the task is not stalled.",
            |t| t.of(|r| r.stall.map_or(0.0, |stall| stall.since as f64 / 1000.0)),
        ),
    ],
};

/// An instance, and what it is allowed.
type Instance = (InstanceUse, InstanceLimits);

const INSTANCES: Group<Instance> = Group {
    own: Some("hawser_instance"),
    jmx: None,
    reporter: None,
    labels: INSTANCE,
    attributes: &[
        figure("memory-bytes", "Linear memory of the instance.", |(i, _)| i.usage.memory_bytes.into()),
        figure("memory-limit-bytes", "Linear memory that it may have.", |(_, l)| l.memory_bytes.into()),
        figure("table-elements", "Elements of the instance's tables.", |(i, _)| i.usage.table_elements.into()),
        figure("table-elements-limit", "Elements that it may have.", |(_, l)| l.table_elements.into()),
        figure("cpu-seconds-total", "Time on a processor.", |(i, _)| seconds(i.usage.cpu).into()),
        figure("longest-call-cpu-seconds", "Time on a processor of the call that took most.", |(i, _)| {
            seconds(i.usage.longest_call_cpu).into()
        }),
        figure("call-cpu-limit-seconds", "Time on a processor that one call may take.", |(_, l)| seconds(l.cpu).into()),
        figure("crossings-total", "Calls into the instance.", |(i, _)| i.usage.calls.into()),
        figure("call-transfer-limit-bytes", "What the instance may hand over in one call.", |(_, l)| l.hostcall_bytes.into()),
        figure("batch-records-limit", "Records that it may answer with at once.", |(_, l)| u64::from(l.batch_records).into()),
        figure("log-lines-dropped-total", "Lines of its log that were over its rate.", |(i, _)| i.usage.log_lines_dropped.into()),
        figure("log-lines-limit-rate", "Lines that it may log.", |(_, l)| u64::from(l.log_lines_per_second).into()),
        figure("log-line-limit-bytes", "Length after which a line is cut.", |(_, l)| u64::from(l.log_line_bytes).into()),
    ],
};

const PROCESS: Group<Process> = Group {
    own: Some("process"),
    jmx: None,
    reporter: None,
    labels: &[],
    attributes: &[
        figure("cpu-seconds-total", "Time on a processor, user and system.", |p| p.cpu_seconds.into()),
        figure("resident-memory-bytes", "Resident memory.", |p| p.resident_bytes.into()),
        figure("virtual-memory-bytes", "Address space.", |p| p.virtual_bytes.into()),
        figure("open-fds", "Open file descriptors.", |p| p.open_fds.into()),
        figure("threads", "Threads.", |p| p.threads.into()),
    ],
};

const PROCESS_START: Group<WorkerView> = Group {
    own: Some("process"),
    jmx: None,
    reporter: None,
    labels: &[],
    attributes: &[figure("start-time-seconds", "When the process started, since 1970.", |w| {
        Value::Number(w.start_millis as f64 / 1000.0)
    })],
};

const REST_NAME: &str = "hawser_rest_request_seconds";
const REST_HELP: &str = "Requests to the REST API and the time to their answers, by route and status. Unit: seconds.";

const LEFT_OUT_NAME: &str = "hawser_metrics_left_out";
const LEFT_OUT_HELP: &str = "Samples that this scrape leaves out because there are too many.";

/// Tells all of it.
pub(super) fn tell(scrape: &Scrape, out: &mut Exposition) {
    let names = scrape.names;
    let worker = || std::iter::once((Vec::new(), &scrape.worker));
    WORKER.tell(out, names, worker());
    PROCESS.tell(out, names, std::iter::once((Vec::new(), &scrape.process)));
    PROCESS_START.tell(out, names, worker());
    TASKS.tell(out, names, scrape.tasks.iter().map(|task| (task.labels(), task)));
    let mut instances: Vec<(Vec<String>, Instance)> = Vec::new();
    for task in &scrape.tasks {
        for (vitals, reading) in task.vitals.iter() {
            for (place, instance) in reading.instances.iter().enumerate().take(MAX_PARTS_OF_CLIENT) {
                let labels = vec![task.connector.to_string(), task.task.to_string(), place.to_string(), instance.class.clone()];
                instances.push((labels, (instance.clone(), vitals.limits.clone())));
            }
        }
    }
    INSTANCES.tell(out, names, instances.iter().map(|(labels, instance)| (labels.clone(), instance)));
    out.family(REST_NAME, REST_HELP, Kind::Histogram);
    for request in &scrape.rest {
        let status = request.status.to_string();
        let labels = [("method", request.method), ("path", request.path.as_str()), ("status", status.as_str())];
        out.histogram(&labels, request.times.clone());
    }
    let left_out = out.left_out;
    out.always(LEFT_OUT_NAME, LEFT_OUT_HELP, left_out as f64);
}

/// All names.
pub(super) fn describe() -> Vec<(&'static str, Vec<Described>)> {
    let told = |name: &str, kind: &'static str, labels: &[&str], help, unit| Described {
        name: Some(name.to_owned()),
        reporter: None,
        kind,
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        help,
        unit,
    };
    let rest = told(
        REST_NAME,
        "histogram",
        &["method", "path", "status"],
        "Requests to the REST API and the time to their answers, by route and status.",
        "seconds",
    );
    vec![
        (
            "The worker",
            [WORKER.describe(&["build-info"]), vec![rest, told(LEFT_OUT_NAME, "gauge", &[], LEFT_OUT_HELP, "")]].concat(),
        ),
        ("Tasks", TASKS.describe(&[])),
        ("Plugin instances: what they use and what they are allowed", INSTANCES.describe(&[])),
        ("The process", [PROCESS.describe(&[]), PROCESS_START.describe(&[])].concat()),
    ]
}
