//! A schema registry for one schema: it answers whatever it is asked with the schema that was registered last.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Bytes of a request at most.
const MAX_REQUEST: usize = 1 << 20;

/// The registry; it ends when it is dropped.
pub struct Registry {
    /// For `schema.registry.url`.
    pub url: String,
    schema: Arc<Mutex<Value>>,
    server: JoinHandle<()>,
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Registry {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let schema = Arc::new(Mutex::new(Value::Null));
        let shared = Arc::clone(&schema);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that goes away is none of our concern.
                let _ = answer(stream, &shared).await;
            }
        });
        Ok(Registry { url, schema, server })
    }

    /// The text of the schema that was registered.
    pub fn schema(&self) -> String {
        let schema = self.schema.lock().unwrap_or_else(PoisonError::into_inner);
        schema["schema"].as_str().unwrap_or_default().to_owned()
    }
}

/// Answers one request, and closes the connection.
async fn answer(mut stream: TcpStream, schema: &Mutex<Value>) -> std::io::Result<()> {
    let mut request = Vec::new();
    let body = loop {
        if stream.read_buf(&mut request).await? == 0 || request.len() > MAX_REQUEST {
            return Ok(());
        }
        let head = request.windows(4).position(|end| end == b"\r\n\r\n");
        let Some(head) = head else { continue };
        let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
        let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
        if request.len() >= head + 4 + length {
            break request.split_off(head + 4);
        }
    };
    let answer = {
        let mut schema = schema.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(registered) = serde_json::from_slice::<Value>(&body) {
            let kind = registered.get("schemaType").cloned().unwrap_or_else(|| json!("AVRO"));
            *schema = json!({"id": 1, "version": 1, "schemaType": kind, "schema": registered["schema"]});
        }
        schema.to_string()
    };
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        answer.len()
    );
    stream.write_all((head + &answer).as_bytes()).await?;
    stream.shutdown().await
}
