//! Starting, accepting connections, stopping.

use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Runtime,
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use crate::{DevBrokerConfig, DevBrokerError, broker::Broker, connection, journal::Journal, maintenance, state::State};

/// The broker has threads of its own, so that clients may block theirs while waiting for it.
const WORKER_THREADS: usize = 2;

/// A running development broker. Dropping it stops it too; [`DevBroker::shutdown`] also syncs the journal.
#[derive(Debug)]
pub struct DevBroker {
    port: u16,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    _threads: Threads,
}

/// The broker's runtime, which must not be dropped where another one runs: it is left to end by itself.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl DevBroker {
    /// Opens the journal if there is one, binds 127.0.0.1 and starts to serve.
    ///
    /// # Errors
    /// See [`DevBrokerError`]: the port is taken, or the data folder is in use, unusable or damaged.
    pub async fn start(config: DevBrokerConfig) -> Result<Self, DevBrokerError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKER_THREADS)
            .thread_name("dev-broker")
            .enable_all()
            .build()
            .map_err(DevBrokerError::Runtime)?;
        let (stop, stopped) = watch::channel(false);
        let opening = runtime.spawn(open(config, stopped));
        let threads = Threads(Some(runtime));
        let ended = |e| Err(DevBrokerError::Runtime(std::io::Error::other(e)));
        let (port, accepting) = opening.await.unwrap_or_else(ended)?;
        tracing::warn!("development broker on 127.0.0.1:{port}: for development only, no authentication, no replication");
        Ok(Self { port, stop, accepting, _threads: threads })
    }

    /// The address for `bootstrap.servers`, such as `127.0.0.1:9092`.
    pub fn bootstrap(&self) -> String {
        format!("{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// Closes all connections, syncs the journal and gives up the data folder.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if let Err(e) = (&mut self.accepting).await {
            tracing::warn!("the development broker did not stop cleanly: {e}");
        }
    }
}

async fn open(config: DevBrokerConfig, stopped: watch::Receiver<bool>) -> Result<(u16, JoinHandle<()>), DevBrokerError> {
    let bind_error = |source| DevBrokerError::Bind { port: config.port, source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port)).await.map_err(bind_error)?;
    let port = listener.local_addr().map_err(bind_error)?.port();
    let mut state = State::new(&config);
    if let Some(dir) = &config.data_dir {
        let (journal, dropped) = Journal::open(dir, |entry| state.apply(entry))?;
        if dropped > 0 {
            tracing::warn!("the journal ended in a torn write of {dropped} bytes, which was dropped");
        }
        state.journal = Some(journal);
    }
    let broker = Arc::new(Broker::new(config, port, state)?);
    Ok((port, tokio::spawn(accept(broker, listener, stopped))))
}

async fn accept(broker: Arc<Broker>, listener: TcpListener, mut stopped: watch::Receiver<bool>) {
    let mut tasks = JoinSet::new();
    tasks.spawn(maintenance::run_timers(broker.clone()));
    tasks.spawn(maintenance::run_cleaner(broker.clone()));
    let next_id = AtomicU64::new(1);
    loop {
        tokio::select! {
            _ = stopped.changed() => break,
            Some(_) = tasks.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => admit(&broker, &mut tasks, stream, next_id.fetch_add(1, Ordering::Relaxed)),
                Err(e) => {
                    tracing::warn!("cannot accept a connection: {e}; raise the limit on open files");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                }
            },
        }
    }
    tasks.shutdown().await;
    // A cleaner at work still needs the data folder.
    let _cleaned = broker.cleaning.acquire().await;
    broker.lock().close();
}

fn admit(broker: &Arc<Broker>, tasks: &mut JoinSet<()>, stream: TcpStream, id: u64) {
    let Ok(permit) = broker.connections.clone().try_acquire_owned() else {
        tracing::warn!(
            "closed a new connection: max_connections ({}) are open; close clients or raise max_connections",
            broker.config.max_connections
        );
        return;
    };
    let broker = broker.clone();
    tasks.spawn(async move {
        connection::serve(&broker, stream, id).await;
        drop(permit);
    });
}
