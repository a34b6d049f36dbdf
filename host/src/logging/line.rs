//! One line of the log.

use std::fmt;

use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::context::Owner;

/// Lines for people.
pub(super) struct Text;

/// Lines for machines.
pub(super) struct Json;

/// What an event says.
#[derive(Default)]
struct Said {
    owner: Owner,
    message: String,
    fields: Map<String, Value>,
    /// Where a line of the `log` crate comes from.
    target: Option<String>,
}

impl Said {
    fn of<S, N>(event: &Event<'_>, context: &FmtContext<'_, S, N>) -> Said
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
        N: for<'a> FormatFields<'a> + 'static,
    {
        let mut said = Said::default();
        event.record(&mut said);
        if said.owner.connector.is_none() {
            // The innermost context counts; a task number of the event's own stays.
            let spans = context.event_scope().into_iter().flatten();
            let owner = spans.filter_map(|span| span.extensions().get::<Owner>().cloned()).next().unwrap_or_default();
            said.owner = Owner { task: said.owner.task.or(owner.task), connector: owner.connector };
        }
        said
    }

    fn target<'a>(&'a self, event: &'a Event<'_>) -> &'a str {
        self.target.as_deref().unwrap_or(event.metadata().target())
    }

    fn text(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.message = value.to_owned(),
            "log.target" => self.target = Some(value.to_owned()),
            name if name.starts_with("log.") || self.owner.take_text(name, value) => {}
            name => self.value(name, value.into()),
        }
    }

    fn number(&mut self, field: &Field, value: Value) {
        if !self.owner.take_text(field.name(), &value.to_string()) {
            self.value(field.name(), value);
        }
    }

    fn value(&mut self, name: &str, value: Value) {
        self.fields.insert(name.to_owned(), value);
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(field.name(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.number(field, value.into());
    }
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let said = Said::of(event, context);
        SystemTime.format_time(&mut out)?;
        write_level(&mut out, *event.metadata().level())?;
        // The form of Kafka Connect's MDC key `connector.context` (KIP-449).
        match (&said.owner.connector, said.owner.task) {
            (Some(connector), Some(task)) => write!(out, "[{connector}|task-{task}] ")?,
            (Some(connector), None) => write!(out, "[{connector}|worker] ")?,
            (None, _) => {}
        }
        write!(out, "{}: {}", said.target(event), said.message)?;
        for (name, value) in &said.fields {
            match value {
                Value::String(text) => write!(out, " {name}={text}")?,
                value => write!(out, " {name}={value}")?,
            }
        }
        out.write_char('\n')
    }
}

/// The level, in colour on a terminal.
fn write_level(out: &mut Writer<'_>, level: Level) -> fmt::Result {
    let colour = match level {
        Level::ERROR => 31,
        Level::WARN => 33,
        Level::INFO => 32,
        Level::DEBUG => 34,
        Level::TRACE => 35,
    };
    match out.has_ansi_escapes() {
        true => write!(out, " \x1b[{colour}m{level:>5}\x1b[0m "),
        false => write!(out, " {level:>5} "),
    }
}

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let said = Said::of(event, context);
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let mut line = Map::new();
        line.insert("timestamp".to_owned(), timestamp.into());
        line.insert("level".to_owned(), event.metadata().level().as_str().into());
        line.insert("target".to_owned(), said.target(event).into());
        if let Some(connector) = said.owner.connector {
            line.insert("connector".to_owned(), connector.into());
        }
        if let Some(task) = said.owner.task {
            line.insert("task".to_owned(), task.into());
        }
        line.insert("message".to_owned(), said.message.into());
        if !said.fields.is_empty() {
            line.insert("fields".to_owned(), said.fields.into());
        }
        writeln!(out, "{}", json!(line))
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing::level_filters::LevelFilter;
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{Layer, fmt};

    use super::super::context::ContextLayer;
    use super::super::{context, filter};
    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Written {
        type Writer = Written;

        fn make_writer(&'a self) -> Written {
            self.clone()
        }
    }

    /// What is written without the time, in text and as JSON.
    fn written(level: LevelFilter, act: impl Fn()) -> (String, Vec<Value>) {
        let (text, json) = (Written::default(), Written::default());
        let text_lines =
            fmt::layer().with_ansi(false).with_writer(text.clone()).event_format(Text).with_filter(filter(level, []));
        let json_lines =
            fmt::layer().with_ansi(false).with_writer(json.clone()).event_format(Json).with_filter(filter(level, []));
        let subscriber = tracing_subscriber::registry().with(ContextLayer).with(text_lines).with(json_lines);
        tracing::subscriber::with_default(subscriber, act);
        let read = |written: Written| String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let text = read(text).lines().map(|line| line.split_once('Z').unwrap().1.to_owned() + "\n").collect();
        let json = read(json).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (text, json)
    }

    #[test]
    fn lines_say_for_whom() {
        let (text, json) = written(LevelFilter::INFO, || {
            tracing::info!(target: "t", count = 3, "for nobody");
            let connector = context("lines-in", None);
            let _entered = connector.enter();
            tracing::warn!(target: "t", "for the connector");
            tracing::info!(target: "t", task = 2, "for a task that the event names");
            let task = context("lines-in", Some(0));
            let _entered = task.enter();
            tracing::error!(target: "t", path = "/a b", flag = true, "for the task");
            tracing::info!(target: "t", connector = "other", task = Some(1_u32), "for another");
            tracing::debug!(target: "t", "not written");
        });
        let expect = "  INFO t: for nobody count=3\n\
                      \x20 WARN [lines-in|worker] t: for the connector\n\
                      \x20 INFO [lines-in|task-2] t: for a task that the event names\n\
                      \x20ERROR [lines-in|task-0] t: for the task path=/a b flag=true\n\
                      \x20 INFO [other|task-1] t: for another\n";
        assert_eq!(text, expect);
        let owners: Vec<_> = json.iter().map(|line| (line["connector"].as_str(), line["task"].as_u64())).collect();
        assert_eq!(
            owners,
            [
                (None, None),
                (Some("lines-in"), None),
                (Some("lines-in"), Some(2)),
                (Some("lines-in"), Some(0)),
                (Some("other"), Some(1))
            ]
        );
        assert_eq!(json[3]["fields"], json!({"path": "/a b", "flag": true}));
        assert_eq!(
            (&json[3]["message"], &json[3]["level"], &json[3]["target"]),
            (&json!("for the task"), &json!("ERROR"), &json!("t"))
        );
    }

    #[test]
    fn a_level_takes_no_context_away() {
        let (text, _) = written(LevelFilter::ERROR, || {
            let task = context("c", Some(0));
            let _entered = task.enter();
            tracing::info!(target: "t", "not written");
            tracing::error!(target: "t", "written");
        });
        assert_eq!(text, " ERROR [c|task-0] t: written\n");
    }
}
