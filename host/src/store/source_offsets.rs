//! Where one source connector's offsets are: in the worker's store, and before it in the connector's own (KIP-618), by the rules of
//! Kafka Connect's `ConnectorOffsetBackingStore`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::OnceCell;
use tracing::warn;

use super::{CompactedLog, OffsetStore, StoreError};

/// How long a commit waits for the copy in the worker's store, which need not succeed.
const COPY_WAIT: Duration = Duration::from_secs(1);

/// Finds or makes the log of a connector's own offsets.
pub type OpenLog = Box<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn CompactedLog>, StoreError>> + Send + Sync>;

/// The offsets of one source connector.
pub struct SourceOffsets {
    /// None if the connector's own topic is the worker's.
    worker: Option<Arc<OffsetStore>>,
    own: Option<OwnStore>,
}

/// A store that is opened when it is first used.
struct OwnStore {
    open: OpenLog,
    store: OnceCell<OffsetStore>,
}

impl OwnStore {
    async fn get(&self) -> Result<&OffsetStore, StoreError> {
        self.store.get_or_try_init(|| async { OffsetStore::open((self.open)().await?).await }).await
    }
}

impl SourceOffsets {
    /// Kept in the worker's store alone.
    pub fn in_worker(worker: Arc<OffsetStore>) -> SourceOffsets {
        SourceOffsets { worker: Some(worker), own: None }
    }

    /// Kept in a log of the connector's own. The worker's store, if there is one besides, is asked for what is not in it, and gets
    /// a copy of what is written.
    pub fn in_own(open: OpenLog, worker: Option<Arc<OffsetStore>>) -> SourceOffsets {
        SourceOffsets { worker, own: Some(OwnStore { open, store: OnceCell::new() }) }
    }

    /// Opens the connector's own log, if it has one: what is wrong with it is known then.
    pub async fn open(&self) -> Result<(), StoreError> {
        if let Some(own) = &self.own {
            own.get().await?;
        }
        Ok(())
    }

    /// The offsets of `partitions`, in their order, `None` where there is none.
    pub async fn get(&self, connector: &str, partitions: &[String]) -> Result<Vec<Option<Arc<str>>>, StoreError> {
        let mut found = match &self.worker {
            Some(worker) => worker.get(connector, partitions).await?,
            None => vec![None; partitions.len()],
        };
        if let Some(own) = &self.own {
            for (found, offset) in found.iter_mut().zip(own.get().await?.get(connector, partitions).await?) {
                *found = offset.or(found.take());
            }
        }
        Ok(found)
    }

    /// Writes offsets; `None` removes one. All are durable in the first store when this returns. What is removed is removed from the
    /// worker's store first, lest it come back from there (KAFKA-15018); what fails to be copied there is only logged.
    pub async fn put(&self, connector: &str, offsets: Vec<(String, Option<String>)>) -> Result<(), StoreError> {
        let Some(own) = &self.own else {
            return match &self.worker {
                Some(worker) => worker.put(connector, offsets).await,
                None => Ok(()),
            };
        };
        let own = own.get().await?;
        let Some(worker) = &self.worker else { return own.put(connector, offsets).await };
        let (removed, copied): (Vec<_>, Vec<_>) = offsets.iter().cloned().partition(|(_, offset)| offset.is_none());
        worker.put(connector, removed).await?;
        own.put(connector, offsets).await?;
        let copied = tokio::time::timeout(COPY_WAIT, worker.put(connector, copied));
        match copied.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn!(connector, %error, "The worker's store has no copy of the latest offsets."),
            Err(_) => warn!(connector, "The worker's store may have no copy of the latest offsets: it did not answer."),
        }
        Ok(())
    }

    /// All partitions with their offsets, in a fixed order.
    pub async fn list(&self, connector: &str) -> Result<Vec<(Arc<str>, Arc<str>)>, StoreError> {
        let mut merged = BTreeMap::new();
        if let Some(worker) = &self.worker {
            merged.extend(worker.entries(connector).await?);
        }
        if let Some(own) = &self.own {
            merged.extend(own.get().await?.entries(connector).await?);
        }
        Ok(merged.into_values().collect())
    }

    /// Removes all offsets.
    pub async fn reset(&self, connector: &str) -> Result<(), StoreError> {
        let own = match &self.own {
            Some(own) => Some(own.get().await?),
            None => None,
        };
        if let Some(worker) = &self.worker {
            worker.reset(connector).await?;
        }
        if let Some(own) = own {
            own.reset(connector).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::super::memory::MemoryLog;
    use super::*;

    const A: &str = r#"{"file":"a","n":1}"#;

    async fn store(log: &Arc<MemoryLog>) -> Arc<OffsetStore> {
        Arc::new(OffsetStore::open(log.clone()).await.unwrap())
    }

    fn own(log: &Arc<MemoryLog>, worker: Option<Arc<OffsetStore>>) -> SourceOffsets {
        let log = log.clone();
        SourceOffsets::in_own(
            Box::new(move || {
                let log: Arc<dyn CompactedLog> = log.clone();
                async move { Ok(log) }.boxed()
            }),
            worker,
        )
    }

    fn pairs<const N: usize>(offsets: [(&str, Option<&str>); N]) -> Vec<(String, Option<String>)> {
        offsets.into_iter().map(|(partition, offset)| (partition.to_owned(), offset.map(str::to_owned))).collect()
    }

    async fn get(offsets: &SourceOffsets, partition: &str) -> Option<String> {
        offsets.get("c", &[partition.to_owned()]).await.unwrap()[0].as_deref().map(str::to_owned)
    }

    #[tokio::test]
    async fn the_connectors_store_counts_before_the_workers() {
        let (worker_log, own_log) = (Arc::new(MemoryLog::default()), Arc::new(MemoryLog::default()));
        let worker = store(&worker_log).await;
        worker.put("c", pairs([(A, Some(r#"{"at":1}"#)), (r#"{"file":"b"}"#, Some(r#"{"at":10}"#))])).await.unwrap();
        let offsets = own(&own_log, Some(worker.clone()));
        offsets.open().await.unwrap();
        assert_eq!(get(&offsets, A).await.as_deref(), Some(r#"{"at":1}"#), "falls back");

        // The members come in another order: it is the same partition.
        offsets.put("c", pairs([(r#"{"n":1,"file":"a"}"#, Some(r#"{"at":2}"#))])).await.unwrap();
        assert_eq!(get(&offsets, A).await.as_deref(), Some(r#"{"at":2}"#));
        assert_eq!(worker.get("c", &[A.to_owned()]).await.unwrap()[0].as_deref(), Some(r#"{"at":2}"#), "has a copy");

        worker.put("c", pairs([(A, Some(r#"{"at":3}"#))])).await.unwrap();
        assert_eq!(get(&offsets, A).await.as_deref(), Some(r#"{"at":2}"#), "the own one counts");
        let listed = offsets.list("c").await.unwrap();
        let listed: Vec<&str> = listed.iter().map(|(_, offset)| &**offset).collect();
        assert_eq!(listed, [r#"{"at":2}"#, r#"{"at":10}"#]);
    }

    #[tokio::test]
    async fn what_is_removed_does_not_come_back_from_the_workers_store() {
        let (worker_log, own_log) = (Arc::new(MemoryLog::default()), Arc::new(MemoryLog::default()));
        let worker = store(&worker_log).await;
        let offsets = own(&own_log, Some(worker.clone()));
        let both = [(A, Some(r#"{"at":1}"#)), (r#"{"file":"b"}"#, Some(r#"{"at":2}"#))];
        offsets.put("c", pairs(both)).await.unwrap();
        offsets.put("c", pairs([(A, None)])).await.unwrap();
        assert_eq!(get(&offsets, A).await, None);
        assert_eq!(worker.list("c").await.unwrap().len(), 1);
        worker.put("c", pairs([(r#"{"file":"only here"}"#, Some(r#"{"at":2}"#))])).await.unwrap();
        offsets.reset("c").await.unwrap();
        assert!(offsets.list("c").await.unwrap().is_empty());
        assert!(worker.list("c").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_store_that_is_not_to_be_had_is_tried_again() {
        let log = Arc::new(MemoryLog::default());
        let tries = Arc::new(std::sync::atomic::AtomicU32::new(0));
        let open = move || {
            let first = tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
            let log: Arc<dyn CompactedLog> = log.clone();
            async move { if first { Err(StoreError::Topic("not compacted".to_owned())) } else { Ok(log) } }.boxed()
        };
        let offsets = SourceOffsets::in_own(Box::new(open), None);
        assert!(matches!(offsets.open().await, Err(StoreError::Topic(_))));
        offsets.put("c", pairs([(A, Some(r#"{"at":1}"#))])).await.unwrap();
        assert_eq!(get(&offsets, A).await.as_deref(), Some(r#"{"at":1}"#));
    }
}
