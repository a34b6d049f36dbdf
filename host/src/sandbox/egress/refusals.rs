use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::Level;

use crate::sandbox::log::{PluginLog, cut};

/// Refusals that are remembered for the error of a call; of more, the latest.
const MAX_NOTES: usize = 8;
/// Bytes of one of them: destinations are the guest's words.
const MAX_NOTE_BYTES: usize = 1 << 10;

/// What one instance was refused, so that the log and the error of its call can say which grant is missing: WASI itself can
/// only say that something was refused.
pub(in crate::sandbox) struct Refusals {
    log: Arc<PluginLog>,
    notes: Mutex<VecDeque<String>>,
}

impl Refusals {
    pub(in crate::sandbox) fn new(log: Arc<PluginLog>) -> Refusals {
        Refusals { log, notes: Mutex::default() }
    }

    /// Writes a refusal to the log and remembers it.
    pub(in crate::sandbox) fn note(&self, message: &str) {
        let message = cut(message, MAX_NOTE_BYTES);
        self.log.line(Level::WARN, message);
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.iter().any(|note| note == message) {
            return;
        }
        if notes.len() == MAX_NOTES {
            notes.pop_front();
        }
        notes.push_back(message.to_owned());
    }

    /// What was refused since the last call of this function, and how to allow it.
    pub(in crate::sandbox) fn take(&self) -> Option<String> {
        let notes = std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner));
        (!notes.is_empty()).then(|| Vec::from(notes).join("; "))
    }
}
