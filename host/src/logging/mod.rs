//! The log: text or JSON on stderr, each line with the connector and the task that it is about.
//!
//! What runs for a connector or task runs inside of a [`context`]; whoever logs there need not say for whom. Lines that come up
//! elsewhere, as on the threads of librdkafka, have fields `connector` and `task` of their own, which go first.

mod context;
mod line;

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Registry, fmt, reload};

pub use context::context;

use context::{CONTEXT_TARGET, ContextLayer};
use line::{Json, Text};

/// Form of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people: `2026-01-01T00:00:00.000000Z  INFO [name|task-0] hawser::task: The task starts.`
    Text,
    /// One object a line, with `timestamp`, `level`, `target`, `message`, and where they apply `connector`, `task` and `fields`.
    Json,
}

/// Starts the log of this process; what is returned changes its levels.
///
/// # Errors
/// There is a log already.
pub fn start(format: Format, level: LevelFilter) -> Result<reload::Handle<Targets, Lines>, TryInitError> {
    let (filter, handle) = reload::Layer::new(filter(level, []));
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    // The filter is a layer of its own and not one of the lines' layer (`with_filter`): of those, each `tracing::enabled!` that
    // answers no would drop the next line of its thread, because a cached interest does not ask the filter again.
    let log = tracing_subscriber::registry().with(ContextLayer).with(filter);
    match format {
        Format::Text => log.with(lines.event_format(Text)).try_init()?,
        Format::Json => log.with(lines.event_format(Json)).try_init()?,
    }
    Ok(handle)
}

/// What the lines are taken from.
pub type Lines = tracing_subscriber::layer::Layered<ContextLayer, Registry>;

/// Which lines are written: those of `root`'s level, and of each target's own. Contexts are always known.
pub fn filter(root: LevelFilter, targets: impl IntoIterator<Item = (String, LevelFilter)>) -> Targets {
    Targets::new().with_default(root).with_targets(targets).with_target(CONTEXT_TARGET, LevelFilter::ERROR)
}
