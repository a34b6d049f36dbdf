//! Who this worker is. With one worker there is no more to say: no membership, leadership or assignment.

use std::net::SocketAddr;
use std::sync::Arc;

/// This worker, as statuses and other workers name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `host:port` under which the REST API is advertised: the `worker_id` of statuses.
    pub worker_id: Arc<str>,
    /// Where the REST API is reached, such as `http://127.0.0.1:8083`.
    pub url: Arc<str>,
    /// The group's generation, for the rule of who may overwrite a status; 0 without a group.
    pub generation: i32,
}

impl Identity {
    /// A worker without a group, reached at this address.
    pub fn alone(address: SocketAddr) -> Identity {
        let worker_id = address.to_string();
        let url = format!("http://{worker_id}").into();
        Identity { worker_id: worker_id.into(), url, generation: 0 }
    }
}
