use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How far each partition of a topic has been read.
pub(super) struct Progress {
    next: Mutex<Vec<i64>>,
    moved: Notify,
}

impl Progress {
    /// Nothing has been read.
    pub fn new(partitions: usize) -> Progress {
        Progress { next: Mutex::new(vec![0; partitions]), moved: Notify::new() }
    }

    /// Partitions have been read up to (not including) these offsets.
    pub fn advance(&self, positions: impl IntoIterator<Item = (i32, i64)>) {
        let mut next = self.next();
        for (partition, offset) in positions {
            if let Some(known) = usize::try_from(partition).ok().and_then(|index| next.get_mut(index)) {
                *known = offset.max(*known);
            }
        }
        drop(next);
        self.moved.notify_waiters();
    }

    /// Waits until every partition has been read up to its target. Gives up, with false, when nothing has been read for `patience`.
    pub async fn reach(&self, targets: &[(i32, i64)], patience: Duration) -> bool {
        let mut seen = self.total();
        let mut deadline = Instant::now() + patience;
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            if self.has_reached(targets) {
                return true;
            }
            if tokio::time::timeout_at(deadline, moved).await.is_err() {
                return false;
            }
            let total = self.total();
            if total != seen {
                seen = total;
                deadline = Instant::now() + patience;
            }
        }
    }

    fn has_reached(&self, targets: &[(i32, i64)]) -> bool {
        let next = self.next();
        targets.iter().all(|&(partition, target)| {
            usize::try_from(partition).ok().and_then(|index| next.get(index)).is_some_and(|&offset| offset >= target)
        })
    }

    fn total(&self) -> i64 {
        self.next().iter().fold(0, |total, &offset| total.saturating_add(offset))
    }

    fn next(&self) -> MutexGuard<'_, Vec<i64>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
