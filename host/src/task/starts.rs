//! How many tasks of a worker start at a time: a worker with a thousand connectors would otherwise make all of their instances and
//! clients at once when it starts.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

/// Tasks that start at a time.
const MAX_STARTING: usize = 64;
/// How long a task counts as one that starts. A longer start waits for something, and must not hold up those of others.
const TURN: Duration = Duration::from_secs(2);

/// The turns of one worker's tasks.
#[derive(Debug, Clone)]
pub struct Starts(Arc<Semaphore>);

/// A task's turn to start; dropping it ends it.
pub(super) struct Turn(#[allow(dead_code)] oneshot::Sender<()>);

impl Default for Starts {
    fn default() -> Self {
        Starts(Arc::new(Semaphore::new(MAX_STARTING)))
    }
}

impl Starts {
    /// Waits for a turn.
    pub(super) async fn turn(&self) -> Turn {
        let place = self.0.clone().acquire_owned().await;
        let (turn, ended) = oneshot::channel();
        tokio::spawn(async move {
            // Ended, or over.
            let _ = timeout(TURN, ended).await;
            drop(place);
        });
        Turn(turn)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn turns_are_bounded_and_end() {
        let starts = Starts::default();
        let mut turns = Vec::new();
        for _ in 0..MAX_STARTING {
            turns.push(starts.turn().await);
        }
        assert!(starts.turn().now_or_never().is_none());
        turns.pop();
        turns.push(starts.turn().await);
        assert!(starts.turn().now_or_never().is_none());
        // Nobody ends a turn now: they are over by themselves.
        starts.turn().await;
        assert_eq!(turns.len(), MAX_STARTING);
    }
}
