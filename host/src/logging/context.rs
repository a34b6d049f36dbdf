use std::fmt;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Span, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

/// Target of the spans; no filter takes them away.
pub(super) const CONTEXT_TARGET: &str = "hawser::context";

/// A span for everything that is done for a connector, or for one of its tasks.
pub fn context(connector: &str, task: Option<u32>) -> Span {
    tracing::error_span!(target: CONTEXT_TARGET, "context", connector, task)
}

/// For whom something is done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) connector: Option<String>,
    pub(super) task: Option<u64>,
}

impl Owner {
    /// Takes a field if it says for whom; `false` if it does not.
    pub(super) fn take_text(&mut self, field: &str, value: &str) -> bool {
        match field {
            "connector" => self.connector = Some(value.to_owned()),
            "task" => match value.parse() {
                Ok(number) => self.task = Some(number),
                Err(_) => return false,
            },
            _ => return false,
        }
        true
    }
}

impl Visit for Owner {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take_text(field.name(), &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take_text(field.name(), value);
    }
}

/// Remembers in each span of a [`context`] whose it is.
#[derive(Debug)]
pub struct ContextLayer;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for ContextLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if attributes.metadata().target() != CONTEXT_TARGET {
            return;
        }
        if let Some(span) = context.span(id) {
            let mut owner = Owner::default();
            attributes.record(&mut owner);
            span.extensions_mut().insert(owner);
        }
    }
}
