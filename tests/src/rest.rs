//! A client of the worker's REST API.

use std::{sync::LazyLock, time::Duration};

use reqwest::{Client, Method, header};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::{Deadline, Plugin, wait_for};

/// Longest wait for one answer: an upload compiles a component, and a worker may hold a request for 90 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// Where the harness's async clients run.
pub(crate) static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("tokio runtime"));

/// The REST API of one worker.
#[derive(Debug, Clone)]
pub struct Rest {
    url: String,
    client: Client,
}

/// What the worker answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body: parsed if it is JSON, null if it is empty, else a string.
    pub body: Value,
    /// The headers.
    pub headers: header::HeaderMap,
    request: String,
}

impl Answer {
    /// The body of an answer that must have this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}: {}", self.request, self.body);
        self.body
    }

    /// The message of an error answer that must have this status; its body must be one of Kafka Connect's error bodies.
    #[track_caller]
    pub fn error(self, status: u16) -> String {
        let request = self.request.clone();
        let body = self.expect(status);
        assert_eq!(body["error_code"], status, "{request}: error_code in {body}");
        body["message"].as_str().unwrap_or_else(|| panic!("{request}: no message in {body}")).to_owned()
    }
}

impl Rest {
    /// A client of the worker at `url` (`http://HOST:PORT`).
    pub fn new(url: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default(); // reqwest brings none; another client may have been first
        Self::with(url, Client::builder())
    }

    /// The same with a client of one's own making.
    pub fn with(url: &str, client: reqwest::ClientBuilder) -> Self {
        let client = client.timeout(REQUEST_TIMEOUT).build().expect("HTTP client");
        Self { url: url.trim_end_matches('/').to_owned(), client }
    }

    /// `http://HOST:PORT` of the worker.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// GET.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None)
    }

    /// PUT without a body.
    #[track_caller]
    pub fn put_empty(&self, path: &str) -> Answer {
        self.send(Method::PUT, path, None)
    }

    /// PUT of JSON.
    #[track_caller]
    pub fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, Some(("application/json", body.to_string().into_bytes())))
    }

    /// POST without a body.
    #[track_caller]
    pub fn post_empty(&self, path: &str) -> Answer {
        self.send(Method::POST, path, None)
    }

    /// POST of JSON.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(("application/json", body.to_string().into_bytes())))
    }

    /// PATCH of JSON.
    #[track_caller]
    pub fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, Some(("application/json", body.to_string().into_bytes())))
    }

    /// DELETE.
    #[track_caller]
    pub fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None)
    }

    /// Any request; `body` is its content type and its bytes.
    #[track_caller]
    pub fn send(&self, method: Method, path: &str, body: Option<(&str, Vec<u8>)>) -> Answer {
        let request = format!("{method} {path}");
        self.try_send(method, path, body).unwrap_or_else(|e| panic!("{request}: {e}"))
    }

    /// A request with exactly these headers beside those that HTTP demands.
    #[track_caller]
    pub fn exact(&self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let request = format!("{method} {path}");
        let mut builder = self.client.request(method, format!("{}{path}", self.url)).body(body.to_owned());
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        self.answer(request.clone(), builder).unwrap_or_else(|e| panic!("{request}: {e}"))
    }

    /// Like [`Rest::send`]; `Err` says why there was no answer (the worker may be down).
    pub fn try_send(&self, method: Method, path: &str, body: Option<(&str, Vec<u8>)>) -> Result<Answer, String> {
        let request = format!("{method} {path}");
        let mut builder = self.client.request(method, format!("{}{path}", self.url));
        if let Some((content_type, bytes)) = body {
            builder = builder.header(header::CONTENT_TYPE, content_type).body(bytes);
        }
        self.answer(request, builder)
    }

    fn answer(&self, request: String, builder: reqwest::RequestBuilder) -> Result<Answer, String> {
        RUNTIME
            .block_on(async {
                let response = builder.send().await?;
                let (status, headers) = (response.status().as_u16(), response.headers().clone());
                Ok((status, headers, response.text().await?))
            })
            .map(|(status, headers, text)| {
                let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap_or(Value::String(text)) };
                Answer { status, body, headers, request }
            })
            .map_err(|e: reqwest::Error| format!("{e:?}"))
    }

    /// Uploads a plugin, which may be there already. Returns what the worker says about it.
    #[track_caller]
    pub fn upload(&self, plugin: &Plugin) -> Value {
        let answer = self.upload_bytes(plugin.bytes.clone());
        assert!(matches!(answer.status, 200 | 201), "upload of {plugin:?}: {} {}", answer.status, answer.body);
        answer.body
    }

    /// POST /plugins with these bytes as `application/wasm`.
    #[track_caller]
    pub fn upload_bytes(&self, bytes: Vec<u8>) -> Answer {
        self.send(Method::POST, "/plugins", Some(("application/wasm", bytes)))
    }

    /// Creates the connector or gives it this config.
    #[track_caller]
    pub fn configure(&self, connector: &str, config: &Value) -> Value {
        let answer = self.put(&format!("/connectors/{connector}/config"), config);
        assert!(matches!(answer.status, 200 | 201), "config of {connector}: {} {}", answer.status, answer.body);
        answer.body
    }

    /// Waits until the connector and exactly `tasks` tasks are in `state` (`RUNNING`, `PAUSED`, ...); returns the status.
    #[track_caller]
    pub fn wait_state(&self, connector: &str, state: &str, tasks: usize) -> Value {
        wait_for(&format!("{connector} and {tasks} tasks {state}"), Deadline::LONG, || {
            let status = self.status(connector)?;
            let all = status["tasks"].as_array().map(Vec::as_slice).unwrap_or_default();
            let right = status["connector"]["state"] == state && all.len() == tasks && all.iter().all(|t| t["state"] == state);
            if right { Ok(status) } else { Err(status.to_string()) }
        })
    }

    /// Waits until one of the connector's tasks has failed; returns its trace.
    #[track_caller]
    pub fn wait_failed_task(&self, connector: &str) -> String {
        wait_for(&format!("a failed task of {connector}"), Deadline::LONG, || {
            let status = self.status(connector)?;
            let failed = status["tasks"].as_array().and_then(|tasks| tasks.iter().find(|t| t["state"] == "FAILED"));
            failed.map(|t| t["trace"].as_str().unwrap_or_default().to_owned()).ok_or(status.to_string())
        })
    }

    /// The connector's status, or what the worker said instead.
    pub fn status(&self, connector: &str) -> Result<Value, String> {
        let answer = self.try_send(Method::GET, &format!("/connectors/{connector}/status"), None)?;
        if answer.status == 200 { Ok(answer.body) } else { Err(format!("{} {}", answer.status, answer.body)) }
    }
}
