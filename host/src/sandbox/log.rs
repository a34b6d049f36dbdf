//! What plugins say: lines of `hawser:connect/log`, of stdout and of stderr, at a bounded rate.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use super::InstanceLimits;

/// The span over which lines are counted.
const WINDOW: Duration = Duration::from_secs(1);
/// Lines of stderr kept to explain a trap: what a language writes when it panics or raises.
const LAST_LINES: usize = 16;
/// Bytes of such a line.
const LAST_LINE_BYTES: usize = 500;
/// Bytes that a guest may write to stdout or stderr in one call.
const STREAM_CHUNK_BYTES: usize = 64 << 10;

/// The log of one instance. Its lines carry the connector and the task, and the target `hawser::plugin`.
pub(super) struct PluginLog {
    connector: Arc<str>,
    task: Option<u32>,
    lines_per_second: u32,
    line_bytes: usize,
    state: Mutex<State>,
}

struct State {
    window: Instant,
    lines: u32,
    over: u64,
    dropped: u64,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
    last_lines: VecDeque<String>,
}

/// A standard stream of the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

impl PluginLog {
    pub(super) fn new(connector: Arc<str>, task: Option<u32>, limits: &InstanceLimits) -> PluginLog {
        PluginLog {
            connector,
            task,
            lines_per_second: limits.log_lines_per_second,
            line_bytes: limits.log_line_bytes as usize,
            state: Mutex::new(State {
                window: Instant::now(),
                lines: 0,
                over: 0,
                dropped: 0,
                stdout: Vec::new(),
                stderr: Vec::new(),
                last_lines: VecDeque::new(),
            }),
        }
    }

    /// Writes a line, or counts it if the instance has written enough within this second.
    pub(super) fn line(&self, level: Level, text: &str) {
        let mut state = self.lock();
        self.write(&mut state, level, text);
    }

    /// Takes what the guest wrote to a standard stream. Whole lines are written, the rest waits for its end.
    fn stream(&self, stream: Stream, bytes: &[u8]) {
        let mut state = self.lock();
        let mut rest = mem::take(state.partial(stream));
        let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = lines.next() {
            let room = self.line_bytes.saturating_sub(rest.len());
            rest.extend_from_slice(&piece[..piece.len().min(room)]);
            if lines.peek().is_some() {
                self.stream_line(&mut state, stream, &rest);
                rest.clear();
            }
        }
        *state.partial(stream) = rest;
    }

    fn stream_line(&self, state: &mut State, stream: Stream, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        if text.trim().is_empty() {
            return;
        }
        if stream == Stream::Stderr {
            state.last_lines.push_back(cut(&text, LAST_LINE_BYTES).to_owned());
            if state.last_lines.len() > LAST_LINES {
                state.last_lines.pop_front();
            }
        }
        let level = if stream == Stream::Stderr { Level::WARN } else { Level::INFO };
        self.write(state, level, &text);
    }

    pub(super) fn forget_last_words(&self) {
        self.lock().last_lines.clear();
    }

    /// What the guest wrote to stderr since the last call of these functions: why it crashed, as its language tells it.
    pub(super) fn take_last_words(&self) -> String {
        let mut state = self.lock();
        let rest = mem::take(&mut state.stderr);
        self.stream_line(&mut state, Stream::Stderr, &rest);
        let lines = mem::take(&mut state.last_lines);
        Vec::from(lines).join("\n")
    }

    /// Lines that were over the rate.
    pub(super) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn write(&self, state: &mut State, level: Level, text: &str) {
        let now = Instant::now();
        if now.duration_since(state.window) >= WINDOW {
            let over = mem::take(&mut state.over);
            (state.window, state.lines) = (now, 0);
            if over > 0 {
                self.emit(
                    Level::WARN,
                    &format!("{over} lines were left out: a plugin may write {} a second", self.lines_per_second),
                );
            }
        }
        if state.lines >= self.lines_per_second {
            state.over += 1;
            state.dropped += 1;
            return;
        }
        state.lines += 1;
        let short = cut(text, self.line_bytes);
        if short.len() < text.len() {
            self.emit(level, &format!("{} [cut from {} bytes]", printable(short), text.len()));
        } else {
            self.emit(level, &printable(text));
        }
    }

    fn emit(&self, level: Level, text: &str) {
        let (connector, task) = (&*self.connector, self.task);
        match level {
            Level::TRACE => tracing::trace!(target: "hawser::plugin", connector, task, "{text}"),
            Level::DEBUG => tracing::debug!(target: "hawser::plugin", connector, task, "{text}"),
            Level::INFO => tracing::info!(target: "hawser::plugin", connector, task, "{text}"),
            Level::WARN => tracing::warn!(target: "hawser::plugin", connector, task, "{text}"),
            Level::ERROR => tracing::error!(target: "hawser::plugin", connector, task, "{text}"),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn partial(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        }
    }
}

/// At most `bytes` of a text, whole characters only.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// A plugin must not forge lines of the log or drive the terminal that shows it.
fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for character in text.trim_end().chars() {
        match character {
            '\t' => clean.push('\t'),
            control if control.is_control() => clean.extend(control.escape_default()),
            other => clean.push(other),
        }
    }
    clean
}

/// A standard stream of the guest that ends in its log.
#[derive(Clone)]
pub(super) struct LogStream {
    log: Arc<PluginLog>,
    stream: Stream,
}

impl LogStream {
    pub(super) fn new(log: Arc<PluginLog>, stream: Stream) -> LogStream {
        LogStream { log, stream }
    }
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    /// WASI 0.2 guests, the only ones that are linked, get [`StdoutStream::p2_stream`].
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

#[async_trait::async_trait]
impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.log.stream(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(STREAM_CHUNK_BYTES)
    }
}
