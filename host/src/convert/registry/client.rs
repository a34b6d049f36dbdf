//! The registry's REST API, as far as converters need it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};

use super::keys;
use super::reach::{Reach, Refused};
use super::settings::{self, Endpoint};
use super::tls;
use super::wire::Origin;
use crate::convert::classes::Setting;
use crate::convert::config::{Checked, ConfigError};
use crate::convert::{ConvertError, Outage};

/// Bytes of an answer at most.
const MAX_ANSWER_BYTES: usize = 4 << 20;
/// Characters of the registry's own words in a message.
const MAX_QUOTED: usize = 500;
/// Schemas that one schema may refer to, directly or not.
const MAX_REFERENCES: usize = 200;
/// How far references may lead.
const MAX_REFERENCE_DEPTH: usize = 16;
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// Another schema that a schema uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// What the schema calls it: a type's name, a path to import, an address.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A schema's text and all that it refers to, in an order in which each stands behind what it uses itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaText {
    /// The schema.
    pub text: String,
    /// What it refers to, directly or not.
    pub references: Vec<Reference>,
}

/// A schema as the registry has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Registered {
    /// Its id.
    pub id: u32,
    /// `AVRO`, `JSON` or `PROTOBUF`.
    pub schema_type: String,
    /// Its text.
    pub schema: SchemaText,
    /// Its version in the subject it was asked for, if it has one.
    pub version: Option<i32>,
}

/// Why a question was not answered as hoped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskError {
    /// The registry has considered it and says no; the record is at fault, or its schema.
    No {
        /// The HTTP status.
        status: u16,
        /// What the registry says.
        message: String,
    },
    /// The question cannot be answered at all, whatever the record.
    Outage(Outage),
}

impl From<Outage> for AskError {
    fn from(outage: Outage) -> Self {
        AskError::Outage(outage)
    }
}

impl AskError {
    /// The error of a record, with what was tried, in Confluent's words.
    ///
    /// # Errors
    /// The outage, which is not the record's.
    pub fn of_record(self, tried: &str) -> Result<ConvertError, Outage> {
        match self {
            AskError::No { status, message } => Ok(ConvertError::data(format!("{tried}: {message}; error code: {status}"))),
            AskError::Outage(outage) => Err(outage),
        }
    }
}

/// Asks a registry. It answers from any of its URLs: one that does not is passed over, and comes last from then on.
pub struct Client {
    /// Each with what dials it, and nothing else.
    endpoints: Vec<(Endpoint, reqwest::Client)>,
    /// The URL that answered last.
    preferred: AtomicUsize,
}

type Asked<T> = Result<T, AskError>;

impl Client {
    /// A client with the settings of a converter.
    ///
    /// # Errors
    /// [`ConfigError`] when they are wrong, or the worker does not let converters reach one of the URLs.
    pub fn new(setting: &Setting<'_>, config: &Checked<'_>) -> Result<Self, ConfigError> {
        let [connect, read] = settings::timeouts(config);
        let url_error = |message: String| setting.error(keys::URL, format!("{}{}: {message}", setting.prefix, keys::URL));
        let reach = Reach::new(setting.worker).map_err(|error| url_error(error.to_string()))?;
        let tls = tls::client_config(setting, config)?;
        let with_client = |endpoint: Endpoint| {
            let door = reach.door(&endpoint.url).map_err(|refused| url_error(refused.to_string()))?;
            let http = reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .dns_resolver(Arc::new(door))
                .connect_timeout(connect)
                .timeout(read)
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .build();
            let http = http.map_err(|error| url_error(format!("the registry's client cannot be made: {error}")))?;
            Ok((endpoint, http))
        };
        let endpoints = settings::endpoints(setting, config)?.into_iter().map(with_client).collect::<Result<_, _>>()?;
        Ok(Client { endpoints, preferred: AtomicUsize::new(0) })
    }

    /// The schema that records name. `subject` is a hint to registries that keep ids apart.
    ///
    /// # Errors
    /// [`AskError::No`] when there is none of that id.
    pub async fn schema(&self, origin: Origin, subject: Option<&str>) -> Asked<Registered> {
        let (path, id) = match origin {
            Origin::Id(id) => (["schemas", "ids"], id),
            Origin::Guid(_) => (["schemas", "guids"], 0),
        };
        let name = origin.to_string();
        let query: Vec<_> = subject.iter().map(|subject| ("subject", *subject)).collect();
        let answer = self.ask(Method::GET, &[path[0], path[1], &name], &query, None).await?;
        self.registered(&answer, Some(id)).await
    }

    /// The version that a schema has in a subject.
    ///
    /// # Errors
    /// [`AskError::Outage`] alone: a registry that does not know has none.
    pub async fn version(&self, origin: Origin, subject: &str) -> Result<Option<i32>, Outage> {
        let Origin::Id(id) = origin else { return Ok(None) };
        match self.ask(Method::GET, &["schemas", "ids", &id.to_string(), "versions"], &[], None).await {
            Ok(answer) => {
                let versions = answer.as_array().into_iter().flatten();
                let of_subject = versions.filter(|version| version.get("subject").and_then(Json::as_str) == Some(subject));
                Ok(of_subject.filter_map(|version| i32::try_from(version.get("version")?.as_i64()?).ok()).max())
            }
            Err(AskError::No { .. }) => Ok(None),
            Err(AskError::Outage(outage)) => Err(outage),
        }
    }

    /// The subject's latest schema.
    ///
    /// # Errors
    /// [`AskError::No`] when it has none.
    pub async fn latest(&self, subject: &str) -> Asked<Registered> {
        let answer = self.ask(Method::GET, &["subjects", subject, "versions", "latest"], &[], None).await?;
        self.registered(&answer, None).await
    }

    /// Registers a schema, and answers its id. One that is registered already keeps its id.
    ///
    /// # Errors
    /// [`AskError::No`] when the registry refuses it: 409 for one that is not compatible, 422 for one that is none.
    pub async fn register(&self, subject: &str, schema_type: &str, schema: &str, normalize: bool) -> Asked<u32> {
        self.post(&["subjects", subject, "versions"], schema_type, schema, normalize).await
    }

    /// The id of a schema in a subject.
    ///
    /// # Errors
    /// [`AskError::No`] when it is not registered there.
    pub async fn look_up(&self, subject: &str, schema_type: &str, schema: &str, normalize: bool) -> Asked<u32> {
        self.post(&["subjects", subject], schema_type, schema, normalize).await
    }

    async fn post(&self, path: &[&str], schema_type: &str, schema: &str, normalize: bool) -> Asked<u32> {
        let mut body = json!({ "schema": schema });
        if schema_type != "AVRO" {
            body["schemaType"] = json!(schema_type);
        }
        let query: &[_] = if normalize { &[("normalize", "true")] } else { &[] };
        let answer = self.ask(Method::POST, path, query, Some(body.to_string())).await?;
        id(&answer).ok_or_else(|| Outage::passing("the schema registry's answer names no id; is it one?").into())
    }

    async fn registered(&self, answer: &Json, known_id: Option<u32>) -> Asked<Registered> {
        let malformed = || Outage::passing("the schema registry's answer holds no schema; is it one?");
        let text = answer.get("schema").and_then(Json::as_str).ok_or_else(malformed)?;
        let schema_type = answer.get("schemaType").and_then(Json::as_str).unwrap_or("AVRO");
        let id = known_id.or_else(|| id(answer)).ok_or_else(malformed)?;
        let references = self.references(answer).await?;
        let schema = SchemaText { text: text.to_owned(), references };
        let version = answer.get("version").and_then(Json::as_i64).and_then(|version| i32::try_from(version).ok());
        Ok(Registered { id, schema_type: schema_type.to_owned(), schema, version })
    }

    /// Everything that a schema refers to, each behind what it uses itself.
    async fn references(&self, answer: &Json) -> Asked<Vec<Reference>> {
        enum Step {
            Open { name: String, subject: String, version: i64, depth: usize },
            Close(Reference),
        }
        let direct = |answer: &Json, depth: usize| -> Vec<Step> {
            let listed = answer.get("references").and_then(Json::as_array).into_iter().flatten();
            let open = |reference: &Json| {
                let text = |member: &str| reference.get(member).and_then(Json::as_str).map(str::to_owned);
                let version = reference.get("version").and_then(Json::as_i64)?;
                Some(Step::Open { name: text("name")?, subject: text("subject")?, version, depth })
            };
            // The last is taken first.
            listed.filter_map(open).collect::<Vec<_>>().into_iter().rev().collect()
        };
        let mut steps = direct(answer, 0);
        let (mut references, mut seen) = (Vec::new(), HashSet::new());
        while let Some(step) = steps.pop() {
            let (name, subject, version, depth) = match step {
                Step::Close(reference) => {
                    references.push(reference);
                    continue;
                }
                Step::Open { name, subject, version, depth } => (name, subject, version, depth),
            };
            if !seen.insert(name.clone()) {
                continue;
            }
            if seen.len() > MAX_REFERENCES || depth >= MAX_REFERENCE_DEPTH {
                let message = format!("a schema may refer to {MAX_REFERENCES} others, {MAX_REFERENCE_DEPTH} deep, at most");
                return Err(AskError::No { status: 422, message });
            }
            let answer = self.ask(Method::GET, &["subjects", &subject, "versions", &version.to_string()], &[], None).await?;
            let text = answer.get("schema").and_then(Json::as_str);
            let text = text.ok_or_else(|| Outage::passing("the schema registry's answer holds no schema; is it one?"))?;
            steps.push(Step::Close(Reference { name, text: text.to_owned() }));
            steps.extend(direct(&answer, depth + 1));
        }
        Ok(references)
    }

    /// Asks each URL until one answers.
    async fn ask(&self, method: Method, path: &[&str], query: &[(&str, &str)], body: Option<String>) -> Asked<Json> {
        let first = self.preferred.load(Ordering::Relaxed);
        let mut last = Outage::passing("no URL");
        for step in 0..self.endpoints.len() {
            let at = (first + step) % self.endpoints.len();
            let Some(endpoint) = self.endpoints.get(at) else { break };
            match ask_one(endpoint, method.clone(), path, query, body.as_deref()).await {
                Err(AskError::Outage(outage)) if outage.passing => last = outage,
                answered => {
                    self.preferred.store(at, Ordering::Relaxed);
                    return answered;
                }
            }
        }
        Err(last.into())
    }
}

async fn ask_one(
    (endpoint, http): &(Endpoint, reqwest::Client),
    method: Method,
    path: &[&str],
    query: &[(&str, &str)],
    body: Option<&str>,
) -> Asked<Json> {
    let mut url = endpoint.url.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    let host = endpoint.url.host_str().unwrap_or_default();
    let shown = format!("{}://{host}:{}", endpoint.url.scheme(), endpoint.url.port_or_known_default().unwrap_or_default());
    let unreachable = |error: reqwest::Error| AskError::Outage(unreachable(error, &shown));
    let mut request = http.request(method, url).header(ACCEPT, format!("{MEDIA_TYPE}, application/json"));
    if let Some(authorization) = &endpoint.authorization {
        request = request.header(AUTHORIZATION, authorization.clone());
    }
    if let Some(body) = body {
        request = request.header(CONTENT_TYPE, MEDIA_TYPE).body(body.to_owned());
    }
    let mut response = request.send().await.map_err(unreachable)?;
    let status = response.status();
    let mut answer = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if answer.len() + chunk.len() > MAX_ANSWER_BYTES {
            let message = format!("the answer is over the limit of {MAX_ANSWER_BYTES} bytes");
            return Err(AskError::No { status: 422, message });
        }
        answer.extend_from_slice(&chunk);
    }
    judge(status, &answer, &shown)
}

/// Why no answer came.
fn unreachable(error: reqwest::Error, shown: &str) -> Outage {
    let error = error.without_url();
    if let Some(refused) = cause::<Refused>(&error) {
        return Outage::lasting(format!("the schema registry cannot be reached: {refused}"));
    }
    match cause::<rustls::Error>(&error) {
        Some(rustls::Error::InvalidCertificate(problem)) => Outage::lasting(format!(
            "the certificate of the schema registry at {shown} is not trusted ({problem:?}); put its authority into {}",
            keys::TRUSTSTORE_LOCATION
        )),
        Some(rustls::Error::AlertReceived(alert)) => Outage::lasting(format!(
            "the schema registry at {shown} ends the TLS handshake ({alert:?}); where it asks for a client certificate, give it one that \
             it trusts with {}",
            keys::KEYSTORE_LOCATION
        )),
        _ => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {}", innermost(cause))).unwrap_or_default();
            Outage::passing(format!("the schema registry at {shown} cannot be reached: {error}{cause}"))
        }
    }
}

/// The cause of that type. What an I/O error holds is no source of it.
fn cause<'e, T: std::error::Error + 'static>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e T> {
    let mut next = Some(error);
    while let Some(error) = next {
        let held = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let held = held.map(|held| held as &(dyn std::error::Error + 'static));
        if let Some(found) = error.downcast_ref::<T>().or_else(|| cause::<T>(held?)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// What an answer means.
fn judge(status: StatusCode, answer: &[u8], shown: &str) -> Asked<Json> {
    let parsed: Option<Json> = serde_json::from_slice(answer).ok();
    let said = parsed.as_ref().and_then(|answer| words(status, answer));
    let has_code = said.is_some();
    let said: String = said.unwrap_or_default().chars().filter(|character| !character.is_control()).take(MAX_QUOTED).collect();
    match (status.as_u16(), parsed) {
        (200..=299, Some(answer)) => Ok(answer),
        (200..=299, None) => {
            Err(Outage::passing(format!("the schema registry at {shown} does not answer in JSON; is it one?")).into())
        }
        (status @ (401 | 403), _) => Err(Outage::lasting(format!(
            "the schema registry at {shown} refuses these credentials (status {status}); see basic.auth.user.info and bearer.auth.token"
        ))
        .into()),
        (408 | 429 | 500..=599, _) => {
            Err(Outage::passing(format!("the schema registry at {shown} answers with status {}: {said}", status.as_u16())).into())
        }
        (404, _) if !has_code => Err(Outage::lasting(format!(
            "{shown} has no schema registry at the path of schema.registry.url (status 404)"
        ))
        .into()),
        (300..=399, _) => Err(Outage::lasting(format!(
            "the schema registry at {shown} sends elsewhere (status {status}); put the final address into schema.registry.url"
        ))
        .into()),
        (status, _) => {
            let message = if said.is_empty() { format!("status {status}") } else { said };
            Err(AskError::No { status, message })
        }
    }
}

/// The words of a schema registry: its errors have a code that begins with the HTTP status. Nothing else is ever quoted, for what a URL
/// leads to need not be a registry, nor is it meant for who gave the URL.
fn words(status: StatusCode, answer: &Json) -> Option<&str> {
    let code = answer.get("error_code")?.as_u64()?;
    let is_of_status = [code, code / 100].contains(&u64::from(status.as_u16()));
    answer.get("message")?.as_str().filter(|_| is_of_status)
}

fn id(answer: &Json) -> Option<u32> {
    u32::try_from(answer.get("id")?.as_u64()?).ok()
}

fn innermost<'e>(mut error: &'e (dyn std::error::Error + 'static)) -> &'e (dyn std::error::Error + 'static) {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error
}
