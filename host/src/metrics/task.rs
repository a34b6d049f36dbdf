use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// What one task has done since it started. Counted once per batch, never per record; read at any time.
#[derive(Debug, Default)]
pub struct TaskCounters {
    /// Records that came in: polled from a source, consumed for a sink.
    pub records_in: AtomicU64,
    /// Records that went out: acknowledged by Kafka for a source, taken by `put` for a sink.
    pub records_out: AtomicU64,
    /// Bytes of the records that came in.
    pub bytes_in: AtomicU64,
    /// Bytes of the records that went out.
    pub bytes_out: AtomicU64,
    /// Batches with at least one record that came in.
    pub batches: AtomicU64,
    /// Records of the largest of these batches.
    pub batch_size_max: AtomicU64,
    /// Records between the first and the last step: polled but not acknowledged, consumed but not committed.
    pub active: AtomicU64,
    /// Calls to poll or put and retries of a batch that were repeated because of a retriable error.
    pub retries: AtomicU64,
    /// Commits that succeeded: checkpoints stored for a source, offsets committed for a sink.
    pub commits: AtomicU64,
    /// Commits that failed or took too long.
    pub commit_failures: AtomicU64,
    /// Milliseconds spent in commits that succeeded.
    pub commit_millis: AtomicU64,
    /// Milliseconds of the longest commit.
    pub commit_millis_max: AtomicU64,
    /// Milliseconds spent in poll or put.
    pub call_millis: AtomicU64,
    /// Milliseconds of the longest poll or put.
    pub call_millis_max: AtomicU64,
    /// Failed attempts at a record.
    pub record_failures: AtomicU64,
    /// Records that could not be handled.
    pub record_errors: AtomicU64,
    /// Records left out: dropped by a transform, or not handled and tolerated.
    pub records_skipped: AtomicU64,
    /// Errors written to the log.
    pub errors_logged: AtomicU64,
    /// Records handed to the dead letter queue.
    pub dead_letters: AtomicU64,
    /// Records that the dead letter queue did not take.
    pub dead_letter_failures: AtomicU64,
    /// When the last error happened, in milliseconds since the epoch; 0 for never.
    pub last_error: AtomicI64,
    /// When the task last got on: a record moved, a commit, or an answer that there is nothing to do. In milliseconds since
    /// the epoch; 0 for never.
    pub last_progress: AtomicI64,
    /// Partitions assigned to a sink.
    pub partitions: AtomicU64,
    /// Bytes of memory that the task's plugin instances hold.
    pub plugin_memory: AtomicU64,
}

impl TaskCounters {
    /// Adds to one counter.
    pub fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Reads one counter.
    pub fn read(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// Notes a batch that came in.
    pub fn batch_in(&self, records: usize, bytes: usize) {
        if records > 0 {
            Self::add(&self.records_in, records);
            Self::add(&self.bytes_in, bytes);
            Self::add(&self.batches, 1);
            self.batch_size_max.fetch_max(records as u64, Ordering::Relaxed);
        }
    }

    /// Notes records that went out.
    pub fn records_out(&self, records: usize, bytes: usize) {
        Self::add(&self.records_out, records);
        Self::add(&self.bytes_out, bytes);
    }

    /// Notes the time of a poll or put.
    pub fn call(&self, millis: u64) {
        self.call_millis.fetch_add(millis, Ordering::Relaxed);
        self.call_millis_max.fetch_max(millis, Ordering::Relaxed);
    }

    /// Notes a commit that succeeded.
    pub fn commit(&self, millis: u64) {
        Self::add(&self.commits, 1);
        self.commit_millis.fetch_add(millis, Ordering::Relaxed);
        self.commit_millis_max.fetch_max(millis, Ordering::Relaxed);
        self.progress();
    }

    /// Notes that the task got on.
    pub fn progress(&self) {
        self.last_progress.store(now_millis(), Ordering::Relaxed);
    }

    /// Notes that something went wrong.
    pub fn error(&self) {
        self.last_error.store(now_millis(), Ordering::Relaxed);
    }
}

fn now_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
