//! What all connections share.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use kafka_protocol::protocol::StrBytes;
use tokio::sync::{Notify, Semaphore};

use crate::{
    DevBrokerConfig, DevBrokerError,
    journal::Change,
    state::{State, random_uuid},
};

/// The one node of the cluster.
pub(crate) const NODE_ID: i32 = 1;
/// Leader epoch of every partition: the leader never changes.
pub(crate) const LEADER_EPOCH: i32 = 0;
/// The only address that the broker listens on.
pub(crate) const HOST: StrBytes = StrBytes::from_static_str("127.0.0.1");
/// Bytes of partly received requests above the first MiB of each connection, over all connections.
const MAX_BUFFERED_REQUEST_BYTES: usize = 256 * 1024 * 1024;

/// One lock guards all state: a request holds it for a few microseconds (for a produce request: the time of one write
/// to the page cache), and what is in memory and what is in the journal can never disagree on the order of things.
#[derive(Debug)]
pub(crate) struct Broker {
    pub config: DevBrokerConfig,
    pub port: i32,
    pub cluster_id: StrBytes,
    pub connections: Arc<Semaphore>,
    /// One permit per byte.
    pub request_memory: Arc<Semaphore>,
    /// Held while the cleaner works.
    pub cleaning: Arc<Semaphore>,
    /// Rung when a deadline may have become earlier.
    pub timers: Notify,
    state: Mutex<State>,
}

impl Broker {
    pub fn new(config: DevBrokerConfig, port: u16, mut state: State) -> Result<Self, DevBrokerError> {
        if state.cluster_id.is_empty() {
            let id = random_uuid().simple().to_string();
            if state.commit(vec![Change::Cluster { id: id[..22].to_owned() }.into()]).is_err() {
                let path = config.data_dir.clone().unwrap_or_default();
                let source = std::io::Error::other("the first write to the journal failed");
                return Err(DevBrokerError::Io { action: "write to the journal in", path, source });
            }
        }
        Ok(Self {
            port: i32::from(port),
            cluster_id: StrBytes::from_string(state.cluster_id.clone()),
            connections: Arc::new(Semaphore::new(config.max_connections)),
            request_memory: Arc::new(Semaphore::new(MAX_BUFFERED_REQUEST_BYTES.max(config.max_request_bytes))),
            cleaning: Arc::new(Semaphore::new(1)),
            timers: Notify::new(),
            state: Mutex::new(state),
            config,
        })
    }

    /// A panic in another request (a bug) must not take the whole broker down, so poisoning is ignored.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
