//! Outgoing HTTP of plugins: refused unless `sandbox.http` allows the host.

use std::sync::Arc;

use http::Request;
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tracing::Level;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks, default_send_request};

use super::HostPattern;
use super::grants::HTTP_KEY;
use super::log::PluginLog;

/// Connections that one instance may hold at a time.
const MAX_CONNECTIONS: usize = 64;
/// Bytes of a request's body that wait in memory; one instance may hold as many bodies as handles.
const BODY_CHUNK_BYTES: usize = 64 << 10;

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Box<dyn Future<Output = Result<(http::Response<WasiBody>, Io), Error>> + Send>;

/// Lets through what is granted and remembers what is not, so that the error of the call can say what was missing.
pub(super) struct Gate {
    allowed: Vec<HostPattern>,
    log: Arc<PluginLog>,
    connections: Arc<Semaphore>,
    refused: Option<String>,
}

impl Gate {
    pub(super) fn new(allowed: Vec<HostPattern>, log: Arc<PluginLog>) -> Gate {
        Gate { allowed, log, connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)), refused: None }
    }

    /// What was refused since the last call of this function, and how to allow it.
    pub(super) fn take_refused(&mut self) -> Option<String> {
        self.refused.take()
    }

    /// Whether the name in the request is granted. The addresses behind the name are to be checked where they are dialled.
    fn check(&mut self, uri: &http::Uri) -> Result<(), Error> {
        let scheme = uri.scheme_str().unwrap_or_default();
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
        if self.allowed.iter().any(|pattern| pattern.allows(scheme, host, port)) {
            return Ok(());
        }
        let message = format!(
            "HTTP to {scheme}://{host}:{port} is not granted; to grant it, add `{scheme}://{host}:{port}` to {HTTP_KEY} in the connector's configuration"
        );
        self.log.line(Level::WARN, &message);
        self.refused = Some(message);
        Err(Error::HttpRequestDenied)
    }
}

impl WasiHttpHooks for Gate {
    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK_BYTES
    }

    fn send_request(&mut self, request: Request<WasiBody>, options: Option<RequestOptions>, _: Io) -> Sent {
        if let Err(refused) = self.check(request.uri()) {
            return Box::new(async move { Err(refused) });
        }
        let connections = self.connections.clone();
        Box::new(async move {
            let permit = connections.try_acquire_owned().map_err(|_| Error::ConnectionLimitReached)?;
            let (response, io) = default_send_request(request, options).await?;
            let io = async move {
                let ended = io.await;
                drop(permit);
                ended
            };
            Ok((response.map(BodyExt::boxed_unsync), Box::new(io) as Io))
        })
    }
}
