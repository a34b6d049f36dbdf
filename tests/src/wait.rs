//! Waiting for a condition without guessing how long it takes.

use std::time::{Duration, Instant};

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a test waits for something before it fails. Generous: a passing test never waits this long, and the
/// machine may be busy.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Duration);

impl Deadline {
    /// What one process does at once: a state change, an answer.
    pub const SHORT: Self = Self(Duration::from_secs(30));
    /// What moves records, compiles a plugin or waits for a group to settle.
    pub const LONG: Self = Self(Duration::from_secs(120));

    /// A deadline of that many seconds.
    pub const fn secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The deadline as a duration.
    pub const fn duration(self) -> Duration {
        self.0
    }
}

/// Looks until `look` returns `Ok`, and returns what it found. `Err` carries what was seen instead; past the deadline the
/// last of these is in the panic's message, after `what` was awaited.
#[track_caller]
pub fn wait_for<T>(what: &str, deadline: Deadline, mut look: impl FnMut() -> Result<T, String>) -> T {
    let end = Instant::now() + deadline.0;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) if Instant::now() >= end => {
                panic!("waited {:?} for {what}; the last look saw: {seen}", deadline.0)
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}
