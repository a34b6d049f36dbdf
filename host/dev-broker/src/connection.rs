//! One connection: read a request, answer it, read the next. Like Kafka, a connection handles one request at a time.

use std::{collections::VecDeque, io, io::IoSlice, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::timeout,
};

use crate::{api, broker::Broker};

/// A request that has begun must be complete, and an answer taken, within this time.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes reserved at once for a request; more only as they arrive, and then against the shared budget.
const FIRST_CHUNK: usize = 1024 * 1024;
/// API key, API version and correlation id.
const MIN_REQUEST_BYTES: usize = 8;

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Close {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("a request of {0} bytes was announced; is this a Kafka client, is max_request_bytes large enough?")]
    Length(i32),
    #[error("a request or an answer took longer than {} s", TRANSFER_TIMEOUT.as_secs())]
    Timeout,
    #[error("{0}")]
    Malformed(String),
}

/// An answer as a chain of buffers, so that record batches go out without being copied.
#[derive(Debug, Default)]
pub(crate) struct Chunks(pub VecDeque<Bytes>);

impl Buf for Chunks {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |c| c.as_ref())
    }

    fn chunks_vectored<'a>(&'a self, dst: &mut [IoSlice<'a>]) -> usize {
        let mut filled = 0;
        for (slot, chunk) in dst.iter_mut().zip(&self.0) {
            *slot = IoSlice::new(chunk);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, mut count: usize) {
        while let Some(front) = self.0.front_mut() {
            if count < front.len() {
                front.advance(count);
                return;
            }
            count -= front.len();
            self.0.pop_front();
        }
    }
}

/// Serves until the client leaves, breaks the protocol or is too slow.
pub(crate) async fn serve(broker: &Broker, mut stream: TcpStream, id: u64) {
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!("connection {id}: {e}");
    }
    loop {
        match exchange(broker, &mut stream, id).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(Close::Io(e)) => return tracing::debug!("connection {id} ended: {e}"),
            Err(e) => return tracing::warn!("connection {id} closed: {e}"),
        }
    }
}

/// Handles one request; false when the client has left.
async fn exchange(broker: &Broker, stream: &mut TcpStream, id: u64) -> Result<bool, Close> {
    let Some((frame, memory)) = read_frame(broker, stream).await? else {
        return Ok(false);
    };
    let answer = tokio::select! {
        biased;
        answer = api::handle(broker, id, frame) => answer?,
        () = closed(stream) => return Ok(false),
    };
    drop(memory);
    if let Some(mut chunks) = answer {
        timeout(TRANSFER_TIMEOUT, stream.write_all_buf(&mut chunks)).await.map_err(|_| Close::Timeout)??;
    }
    Ok(true)
}

/// Returns when the client has gone while its request waits; never if further requests are already there to be read.
async fn closed(stream: &TcpStream) {
    if let Ok(1..) = stream.peek(&mut [0]).await {
        std::future::pending::<()>().await;
    }
}

type Memory = Vec<OwnedSemaphorePermit>;

async fn read_frame(broker: &Broker, stream: &mut TcpStream) -> Result<Option<(Bytes, Memory)>, Close> {
    let mut prefix = [0; 4];
    if stream.read(&mut prefix[..1]).await? == 0 {
        return Ok(None);
    }
    let body = async {
        stream.read_exact(&mut prefix[1..]).await?;
        let announced = i32::from_be_bytes(prefix);
        let length = usize::try_from(announced).map_err(|_| Close::Length(announced))?;
        if !(MIN_REQUEST_BYTES..=broker.config.max_request_bytes).contains(&length) {
            return Err(Close::Length(announced));
        }
        read_body(broker, stream, length).await
    };
    timeout(TRANSFER_TIMEOUT, body).await.map_err(|_| Close::Timeout)?.map(Some)
}

async fn read_body(broker: &Broker, stream: &mut TcpStream, length: usize) -> Result<(Bytes, Memory), Close> {
    let mut memory = Memory::new();
    let mut body = BytesMut::with_capacity(length.min(FIRST_CHUNK));
    while body.len() < length {
        if body.len() == body.capacity() {
            let grow = body.len().min(length - body.len());
            let permits = u32::try_from(grow).unwrap_or(u32::MAX);
            let permit = broker.request_memory.clone().acquire_many_owned(permits).await;
            memory.push(permit.map_err(|_| Close::Timeout)?);
            body.reserve(grow);
        }
        let missing = length - body.len();
        let spare = body.capacity() - body.len();
        let mut room = bytes::BufMut::limit(&mut body, missing.min(spare));
        if stream.read_buf(&mut room).await? == 0 {
            return Err(Close::Io(io::ErrorKind::UnexpectedEof.into()));
        }
    }
    Ok((body.freeze(), memory))
}
