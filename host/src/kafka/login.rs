//! SASL logins: what the Java client keeps in one JAAS line, librdkafka keeps in settings of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;

/// How long an unsecured development token is valid.
const UNSECURED_LIFETIME: Duration = Duration::from_secs(3600);
/// How long a token file is trusted whose token does not say when it expires.
const UNSTATED_LIFETIME: Duration = Duration::from_secs(300);
/// Bytes of a token file at most.
const MAX_TOKEN_BYTES: u64 = 64 << 10;

/// Where OAUTHBEARER tokens come from.
#[derive(Clone, Default)]
pub(super) enum Login {
    /// No token is ever asked for.
    #[default]
    None,
    /// A self-made unsigned token for this principal, for brokers in development.
    Unsecured(String),
    /// A file that something else keeps fresh.
    File(PathBuf),
}

impl fmt::Debug for Login {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Login::None => "None",
            Login::Unsecured(_) => "Unsecured",
            Login::File(_) => "File",
        })
    }
}

#[derive(Debug)]
pub(super) enum LoginError {
    Unsupported { key: &'static str, instead: String },
    Invalid { key: &'static str, reason: String },
}

const JAAS: &str = "sasl.jaas.config";
const TOKEN_URL: &str = "sasl.oauthbearer.token.endpoint.url";

impl Login {
    /// Reads the SASL keys of the Java client from `given` and puts librdkafka's into `native`.
    pub(super) fn from_given(
        given: &BTreeMap<String, String>,
        native: &mut BTreeMap<String, String>,
    ) -> Result<Login, LoginError> {
        let mechanism = given.get("sasl.mechanism").or_else(|| given.get("sasl.mechanisms")).map(String::as_str);
        let options = given.get(JAAS).map(|line| parse_jaas(line)).transpose()?;
        match mechanism {
            Some("OAUTHBEARER") => Login::oauthbearer(given.get(TOKEN_URL).map(String::as_str), options),
            Some("GSSAPI") => {
                let instead = "Kerberos is not part of this build; use SCRAM, PLAIN or OAUTHBEARER".to_owned();
                Err(LoginError::Unsupported { key: "sasl.mechanism", instead })
            }
            _ => {
                for (option, key) in [("username", "sasl.username"), ("password", "sasl.password")] {
                    if let Some(value) = options.as_ref().and_then(|options| options.get(option)) {
                        native.insert(key.to_owned(), value.clone());
                    }
                }
                Ok(Login::None)
            }
        }
    }

    fn oauthbearer(url: Option<&str>, options: Option<BTreeMap<String, String>>) -> Result<Login, LoginError> {
        match url {
            Some(url) => match url.strip_prefix("file://") {
                Some(path) => Ok(Login::File(PathBuf::from(path))),
                None => {
                    let instead = "only file: addresses can be used; let a sidecar keep the token in a file".to_owned();
                    Err(LoginError::Unsupported { key: TOKEN_URL, instead })
                }
            },
            None => {
                let principal = options.and_then(|mut options| options.remove("unsecuredLoginStringClaim_sub"));
                principal.map(Login::Unsecured).ok_or_else(|| LoginError::Invalid {
                    key: JAAS,
                    reason: format!(
                        "OAUTHBEARER needs `{TOKEN_URL}`, or `unsecuredLoginStringClaim_sub` for a development broker"
                    ),
                })
            }
        }
    }

    /// A fresh token.
    pub(super) fn token(&self, now: SystemTime) -> Result<OAuthToken, String> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        match self {
            Login::None => Err("no OAUTHBEARER login is configured".to_owned()),
            Login::Unsecured(principal) => {
                let expires = now + UNSECURED_LIFETIME;
                let claims = serde_json::json!({"sub": principal, "iat": now.as_secs(), "exp": expires.as_secs()});
                let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
                let token = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&claims.to_string()));
                Ok(OAuthToken { token, principal_name: principal.clone(), lifetime_ms: millis(expires) })
            }
            Login::File(path) => {
                let length = std::fs::metadata(path).map_err(|error| format!("the token file cannot be read: {error}"))?.len();
                if length > MAX_TOKEN_BYTES {
                    return Err(format!("the token file has {length} bytes; a token has {MAX_TOKEN_BYTES} at most"));
                }
                let text = std::fs::read_to_string(path).map_err(|error| format!("the token file cannot be read: {error}"))?;
                let token = text.trim().to_owned();
                let claims =
                    token.split('.').nth(1).and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok());
                let claims: serde_json::Value = claims.and_then(|json| serde_json::from_slice(&json).ok()).unwrap_or_default();
                let principal = claims["sub"].as_str().unwrap_or("hawser").to_owned();
                let expires = claims["exp"].as_u64().map_or(now + UNSTATED_LIFETIME, Duration::from_secs);
                Ok(OAuthToken { token, principal_name: principal, lifetime_ms: millis(expires) })
            }
        }
    }
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// The options of a JAAS line: `org.example.LoginModule required name="value" other='x';`.
fn parse_jaas(line: &str) -> Result<BTreeMap<String, String>, LoginError> {
    let invalid = |reason: &str| LoginError::Invalid { key: JAAS, reason: reason.to_owned() };
    let mut rest = line.trim().trim_end_matches(';').trim_end();
    for part in ["a login module's class", "a control flag such as `required`"] {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        if end == 0 {
            return Err(invalid(&format!("{part} is missing")));
        }
        rest = rest[end..].trim_start();
    }
    let mut options = BTreeMap::new();
    while !rest.is_empty() {
        let (name, tail) = rest.split_once('=').ok_or_else(|| invalid("an option has no value; write name=\"value\""))?;
        let (value, after) = jaas_value(tail.trim_start()).ok_or_else(|| invalid("a quoted value does not end"))?;
        options.insert(name.trim().to_owned(), value);
        rest = after.trim_start();
    }
    Ok(options)
}

/// A value, quoted with backslash escapes or bare, and what follows it.
fn jaas_value(text: &str) -> Option<(String, &str)> {
    let quote = match text.chars().next() {
        Some(quote @ ('"' | '\'')) => quote,
        _ => {
            let end = text.find(char::is_whitespace).unwrap_or(text.len());
            return Some((text[..end].to_owned(), &text[end..]));
        }
    };
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, found)) = chars.next() {
        match found {
            '\\' => value.push(chars.next()?.1),
            found if found == quote => return Some((value, &text[at + 1..])),
            found => value.push(found),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Vec<(String, String)>, String> {
        parse_jaas(line).map(|options| options.into_iter().collect()).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn jaas_lines_are_read() {
        let check = |line: &str, expect: &[(&str, &str)]| {
            let expect: Vec<_> = expect.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
            assert_eq!(options(line), Ok(expect), "{line}");
        };
        check("org.X required;", &[]);
        check("org.PlainLoginModule required username=\"u\" password=\"p w;=\";", &[("password", "p w;="), ("username", "u")]);
        check(
            "org.ScramLoginModule required\n username='u' password=\"a\\\"b\\\\c\" ;",
            &[("password", "a\"b\\c"), ("username", "u")],
        );
        check("m required a=1 b=2", &[("a", "1"), ("b", "2")]);
    }

    #[test]
    fn broken_jaas_lines_are_refused_without_their_text() {
        for line in ["", "org.X", "org.X required secretword", "org.X required password=\"secretword"] {
            let error = options(line).expect_err(line);
            assert!(!error.contains("secretword"), "{error}");
        }
    }

    #[test]
    fn unsecured_tokens_carry_the_principal_and_expire() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        let token = Login::Unsecured("alice".to_owned()).token(now).expect("a token");
        assert_eq!((token.principal_name.as_str(), token.lifetime_ms), ("alice", 4_600_000));
        assert_eq!(token.token.split('.').count(), 3);
    }

    #[test]
    fn token_files_are_read_at_each_refresh() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("token");
        let claims = BASE64_URL_SAFE_NO_PAD.encode(r#"{"sub":"bob","exp":2000}"#);
        std::fs::write(&file, format!("e30.{claims}.x\n")).expect("written");
        let login = Login::File(file.clone());
        let token = login.token(UNIX_EPOCH).expect("a token");
        assert_eq!((token.principal_name.as_str(), token.lifetime_ms), ("bob", 2_000_000));
        std::fs::remove_file(file).expect("removed");
        assert!(login.token(UNIX_EPOCH).is_err());
    }
}
