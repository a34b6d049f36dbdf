use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderValue;
use url::Url;

use super::keys;
use super::subject::Strategy;
use crate::convert::classes::{Role, Setting};
use crate::convert::config::{Checked, ConfigError};

/// URLs that are tried at most.
const MAX_URLS: usize = 16;
/// Schemas that are remembered at least.
const MIN_CACHED: usize = 16;
/// Schemas that are remembered at most.
const MAX_CACHED: usize = 10_000;

/// Where the registry is.
pub struct Endpoint {
    /// Without user and password.
    pub url: Url,
    /// The value of `Authorization`, marked as sensitive.
    pub authorization: Option<HeaderValue>,
}

/// Under which schema records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// The record's own, which is registered.
    Register,
    /// The record's own, which must be registered.
    LookUp,
    /// The subject's latest one.
    Latest {
        /// Whether it must have a place for everything.
        strict: bool,
        /// How long the answer holds; `None` for ever.
        ttl: Option<Duration>,
    },
    /// The one with that id.
    Id {
        /// The id.
        id: u32,
        /// Whether it must have a place for everything.
        strict: bool,
    },
}

/// What all registry converters are told.
#[derive(Debug, Clone, Copy)]
pub struct Common {
    /// For keys or values.
    pub role: Role,
    /// How subjects are named.
    pub strategy: Strategy,
    /// Under which schema records are written.
    pub choice: Choice,
    /// `normalize.schemas`
    pub normalize: bool,
    /// Schemas that are remembered.
    pub cached: usize,
}

impl Common {
    /// Reads the common keys.
    ///
    /// # Errors
    /// [`ConfigError`] for the first key that is wrong.
    pub fn new(setting: &Setting<'_>, config: &Checked<'_>) -> Result<Self, ConfigError> {
        let key = if setting.role == Role::Key { keys::KEY_STRATEGY } else { keys::VALUE_STRATEGY };
        let class = config.text(key).unwrap_or_default();
        let strategy = Strategy::of_class(class).ok_or_else(|| {
            let message =
                format!("Invalid value {class} for configuration {}{key}: Class {class} could not be found.", setting.prefix);
            setting.error(key, message)
        })?;
        let ttl = config.number(keys::LATEST_TTL).and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
        let id = config.number(keys::USE_ID).and_then(|id| u32::try_from(id).ok());
        let choice = match id {
            _ if config.boolean(keys::AUTO_REGISTER) => Choice::Register,
            Some(id) => Choice::Id { id, strict: config.boolean(keys::ID_STRICT) },
            None if config.boolean(keys::USE_LATEST) => Choice::Latest { strict: config.boolean(keys::LATEST_STRICT), ttl },
            None => Choice::LookUp,
        };
        let cached = config.size(keys::CACHE_SIZE).clamp(MIN_CACHED, MAX_CACHED);
        Ok(Common { role: setting.role, strategy, choice, normalize: config.boolean(keys::NORMALIZE), cached })
    }
}

/// Time limits of a request: to connect, and in all.
pub fn timeouts(config: &Checked<'_>) -> [Duration; 2] {
    [keys::CONNECT_TIMEOUT, keys::READ_TIMEOUT].map(|key| Duration::from_millis(config.size(key).max(1) as u64))
}

/// The registry's URLs and how to authenticate.
///
/// # Errors
/// [`ConfigError`] without any value in it: a URL may hold a password.
pub fn endpoints(setting: &Setting<'_>, config: &Checked<'_>) -> Result<Vec<Endpoint>, ConfigError> {
    let problem = |key: &str, message: &str| Err(setting.error(key, format!("{}{key}: {message}", setting.prefix)));
    let Some(urls) = config.text(keys::URL).filter(|urls| !urls.trim().is_empty()) else {
        let message = format!("Missing required configuration \"{}\" which has no default value.", keys::URL);
        return Err(setting.error(keys::URL, message));
    };
    let shared = match authorization(config) {
        Ok(shared) => shared,
        Err((key, message)) => return problem(key, message),
    };
    let mut endpoints = Vec::new();
    for text in urls.split(',').map(str::trim).filter(|text| !text.is_empty()) {
        // mock:// is Confluent's registry in the JVM's memory.
        let parsed = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let Some(mut url) = parsed else {
            return problem(keys::URL, "each URL must be of the form http://host:port or https://host:port");
        };
        let own = (!url.username().is_empty()).then(|| {
            let decode = |part: &str| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
            basic(&format!("{}:{}", decode(url.username()), decode(url.password().unwrap_or_default())))
        });
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        if cleared.is_err() || endpoints.len() == MAX_URLS {
            return problem(keys::URL, "there may be 16 URLs at most, each with a host");
        }
        url.set_query(None);
        url.set_fragment(None);
        let authorization = match &shared {
            Some(Auth::Value(value)) => Some(value.clone()),
            Some(Auth::OfUrl) => own.flatten(),
            None => None,
        };
        endpoints.push(Endpoint { url, authorization });
    }
    Ok(endpoints)
}

enum Auth {
    /// What stands in the URL.
    OfUrl,
    Value(HeaderValue),
}

fn authorization(config: &Checked<'_>) -> Result<Option<Auth>, (&'static str, &'static str)> {
    let token = config.text(keys::BEARER_TOKEN).filter(|token| !token.is_empty());
    match config.text(keys::BEARER_SOURCE).filter(|source| !source.is_empty()) {
        None => {}
        Some("STATIC_TOKEN") => {
            let token =
                token.ok_or((keys::BEARER_TOKEN, "a token must be given with bearer.auth.credentials.source=STATIC_TOKEN"))?;
            let value = sensitive(format!("Bearer {token}"));
            return value.map(|value| Some(Auth::Value(value))).ok_or((keys::BEARER_TOKEN, "the token has forbidden characters"));
        }
        Some(_) => return Err((keys::BEARER_SOURCE, "only STATIC_TOKEN is supported")),
    }
    match config.text(keys::CREDENTIALS_SOURCE).unwrap_or_default() {
        "URL" => Ok(Some(Auth::OfUrl)),
        "USER_INFO" => {
            let info =
                [keys::USER_INFO, keys::OLD_USER_INFO].iter().find_map(|key| config.text(key).filter(|info| !info.is_empty()));
            let info =
                info.ok_or((keys::USER_INFO, "user:password must be given with basic.auth.credentials.source=USER_INFO"))?;
            Ok(basic(info).map(Auth::Value))
        }
        _ => Err((
            keys::CREDENTIALS_SOURCE,
            "only URL and USER_INFO are supported; put user and password into basic.auth.user.info",
        )),
    }
}

fn basic(info: &str) -> Option<HeaderValue> {
    sensitive(format!("Basic {}", STANDARD.encode(info)))
}

fn sensitive(value: String) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(value).ok()?;
    value.set_sensitive(true);
    Some(value)
}
