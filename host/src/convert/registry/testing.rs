//! A schema registry in the process, to inject faults; what a real one answers is tested with a real one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value as Json, json};
use tokio_util::sync::CancellationToken;

/// What to answer instead.
#[derive(Debug, Clone)]
pub enum Fault {
    /// A status and a body.
    Status(u16, String),
    /// More than anyone wants.
    Endless,
    /// Nothing, for ever.
    Silence,
}

#[derive(Default)]
struct Shelf {
    /// Type, text and references, from id 1 on.
    schemas: Vec<(String, String, Json)>,
    /// Subject and id; its version is its place among those of the subject.
    versions: Vec<(String, usize)>,
    faults: VecDeque<Fault>,
    requests: Vec<String>,
}

/// The registry.
#[derive(Clone)]
pub struct FakeRegistry {
    shelf: Arc<Mutex<Shelf>>,
    /// Where it listens.
    pub url: String,
}

impl FakeRegistry {
    /// Starts one on a free port. It ends with the runtime.
    pub async fn start() -> Self {
        Self::start_with(None).await
    }

    /// Starts one that is reached with TLS, as `localhost`.
    pub async fn start_with(tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = if tls.is_some() { format!("https://localhost:{port}") } else { format!("http://127.0.0.1:{port}") };
        let registry = FakeRegistry { shelf: Arc::default(), url };
        let app = axum::Router::new().fallback(answer).with_state(registry.clone());
        tokio::spawn(crate::rest::serve(listener, tls, app, CancellationToken::new()));
        registry
    }

    /// Answers the next requests with these.
    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shelf.lock().unwrap().faults.extend(faults);
    }

    /// Registers a schema by hand; answers its id.
    pub fn put(&self, subject: &str, schema_type: &str, text: &str, references: Json) -> u32 {
        self.shelf.lock().unwrap().put(subject, schema_type, text, references)
    }

    /// What was asked since the last call: method, path, credentials.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.shelf.lock().unwrap().requests)
    }
}

impl Shelf {
    fn put(&mut self, subject: &str, schema_type: &str, text: &str, references: Json) -> u32 {
        let known = self.schemas.iter().position(|(_, known, _)| known == text);
        let place = known.unwrap_or_else(|| {
            self.schemas.push((schema_type.to_owned(), text.to_owned(), references));
            self.schemas.len() - 1
        });
        if !self.versions.iter().any(|(of, id)| of == subject && *id == place) {
            self.versions.push((subject.to_owned(), place));
        }
        place as u32 + 1
    }

    fn of_subject(&self, subject: &str) -> Vec<usize> {
        self.versions.iter().filter(|(of, _)| of == subject).map(|(_, place)| *place).collect()
    }

    fn describe(&self, place: usize, version: Option<usize>) -> Json {
        let (schema_type, text, references) = &self.schemas[place];
        json!({"id": place + 1, "version": version, "schemaType": schema_type, "schema": text, "references": references})
    }

    fn route(&mut self, path: &[&str], body: &Json) -> Option<Json> {
        let text = body["schema"].as_str().unwrap_or_default();
        Some(match path {
            ["POST", "subjects", subject, "versions"] => {
                json!({"id": self.put(subject, body["schemaType"].as_str().unwrap_or("AVRO"), text, json!([]))})
            }
            ["POST", "subjects", subject] => {
                let places = self.of_subject(subject);
                let place = places.into_iter().find(|place| self.schemas[*place].1 == text)?;
                self.describe(place, None)
            }
            ["GET", "subjects", subject, "versions", version] => {
                let places = self.of_subject(subject);
                let version = version.parse().unwrap_or(places.len());
                self.describe(*places.get(version.checked_sub(1)?)?, Some(version))
            }
            ["GET", "schemas", "ids", id] => {
                let place = id.parse::<usize>().ok()?.checked_sub(1).filter(|place| *place < self.schemas.len())?;
                self.describe(place, None)
            }
            ["GET", "schemas", "ids", id, "versions"] => {
                let place = id.parse::<usize>().ok()?.checked_sub(1)?;
                let subjects = self.versions.iter().filter(|(_, id)| *id == place).map(|(subject, _)| subject);
                let version = |subject: &String| self.of_subject(subject).iter().position(|id| *id == place).unwrap() + 1;
                subjects.map(|subject| json!({"subject": subject, "version": version(subject)})).collect()
            }
            _ => return None,
        })
    }
}

async fn answer(State(registry): State<FakeRegistry>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 24).await.unwrap();
    let credentials = parts.headers.get("authorization").map(|value| format!(" {}", value.to_str().unwrap())).unwrap_or_default();
    let path = parts.uri.path().to_owned();
    let fault = {
        let mut shelf = registry.shelf.lock().unwrap();
        shelf.requests.push(format!("{} {}{credentials}", parts.method, parts.uri));
        shelf.faults.pop_front()
    };
    match fault {
        Some(Fault::Status(status, body)) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Some(Fault::Endless) => {
            let chunks = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 1 << 16]));
            axum::body::Body::from_stream(chunks).into_response()
        }
        Some(Fault::Silence) => std::future::pending().await,
        None => {
            let body = serde_json::from_slice(&body).unwrap_or_default();
            let method = parts.method.as_str();
            let segments: Vec<&str> = std::iter::once(method).chain(path.split('/').filter(|part| !part.is_empty())).collect();
            match registry.shelf.lock().unwrap().route(&segments, &body) {
                Some(answer) => axum::Json(answer).into_response(),
                None => (StatusCode::NOT_FOUND, axum::Json(json!({"error_code": 40403, "message": "Schema not found"})))
                    .into_response(),
            }
        }
    }
}
