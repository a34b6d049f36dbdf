use std::sync::Arc;

use tokio::sync::oneshot::{Receiver, Sender, channel};
use tokio::task::JoinHandle;

/// Sees to it that a client's last reference goes where blocking is allowed, because librdkafka's shutdown blocks.
///
/// Must be the last field of the struct that holds the client: it tells by its own end that the struct's reference is gone.
pub(super) struct LastOut {
    gone: Option<Receiver<()>>,
    _here: Sender<()>,
}

impl LastOut {
    pub(super) fn new() -> Self {
        let (here, gone) = channel();
        LastOut { gone: Some(gone), _here: here }
    }

    /// Has the blocking pool, or a thread of its own outside of a runtime, wait for the owner's end and then close the client.
    /// `None` if that is under way already, or cannot be awaited.
    pub(super) fn release<T: Send + Sync + 'static>(&mut self, client: Arc<T>) -> Option<JoinHandle<()>> {
        let gone = self.gone.take()?;
        let close = move || {
            // Ends with an error, always: nothing is ever sent.
            let _ = gone.blocking_recv();
            drop(client);
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => Some(runtime.spawn_blocking(close)),
            Err(_) => {
                std::thread::spawn(close);
                None
            }
        }
    }
}
