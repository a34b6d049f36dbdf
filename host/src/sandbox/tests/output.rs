//! What plugins write, at a bounded rate.

use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::sandbox::InstanceLimits;

use super::fixture::{env, source};

type Lines = Arc<Mutex<Vec<String>>>;

/// Keeps the events of plugins that happen on this thread.
struct Keeper(Lines);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}

impl<S: Subscriber> Layer<S> for Keeper {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "hawser::plugin" {
            let mut fields = Fields(format!("{} ", event.metadata().level()));
            event.record(&mut fields);
            self.0.lock().unwrap().push(fields.0);
        }
    }
}

fn keep() -> (Lines, DefaultGuard) {
    let lines = Lines::default();
    let guard = tracing_subscriber::registry().with(Keeper(lines.clone())).set_default();
    (lines, guard)
}

async fn written(pairs: &[(&str, &str)]) -> (Vec<String>, u64) {
    let (lines, _guard) = keep();
    let source = source(pairs, env(InstanceLimits::default())).await.unwrap();
    let lines = lines.lock().unwrap().clone();
    (lines, source.usage().log_lines_dropped)
}

#[tokio::test(flavor = "current_thread")]
async fn lines_carry_connector_and_task() {
    let (lines, dropped) = written(&[("start", "log"), ("n", "2")]).await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[1].starts_with("INFO "), "{lines:?}");
    for part in [r#"connector="hostile""#, "task=3", "message=line 1"] {
        assert!(lines[1].contains(part), "{part} is not in {lines:?}");
    }
    assert_eq!(dropped, 0);
    let (lines, _) = written(&[("start", "stdout"), ("n", "2")]).await;
    assert!(lines.len() == 2 && lines[1].contains("message=line 1"), "{lines:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn floods_are_cut_to_the_rate() {
    for call in ["log", "stdout"] {
        let (lines, dropped) = written(&[("start", call), ("n", "20000")]).await;
        let kept = lines.iter().filter(|line| line.contains("message=line ")).count() as u64;
        assert_eq!(kept + dropped, 20_000, "{call}");
        assert!((100..2_000).contains(&kept), "{call}: {kept} lines were kept");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn long_lines_are_cut() {
    let (lines, _) = written(&[("start", "log-long")]).await;
    assert!(lines[0].len() < 9_000 && lines[0].contains("[cut from 1048576 bytes]"), "{}", lines[0].len());
    let (lines, _) = written(&[("start", "stderr-long")]).await;
    assert!(lines.is_empty(), "a line that has not ended waits");
}
