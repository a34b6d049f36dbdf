//! Puts secrets into the headers of a request in the place of their names.

use http::{HeaderMap, HeaderValue};

use crate::sandbox::grants::{Destination, Scheme, Secret};

const OPEN: &str = "{{secret:";
const CLOSE: &str = "}}";

/// Replaces each `{{secret:NAME}}` in the values of headers. A header that holds a secret is marked as sensitive, so that no
/// layer below prints it.
///
/// # Errors
/// The name of a secret that is not there or not bound to the destination: what to say about it, without any secret.
pub(super) fn fill(
    headers: &mut HeaderMap,
    secrets: &[Secret],
    scheme: Scheme,
    destination: &Destination,
    port: u16,
) -> Result<(), String> {
    for value in headers.values_mut() {
        if !value.as_bytes().windows(OPEN.len()).any(|bytes| bytes == OPEN.as_bytes()) {
            continue;
        }
        let text = value.to_str().map_err(|_| "a header with {{secret:NAME}} holds characters that are not ASCII".to_owned())?;
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once(OPEN) {
            let (name, after) = behind.split_once(CLOSE).ok_or("a header holds {{secret: without }} behind it")?;
            filled.push_str(before);
            filled.push_str(find(secrets, name, scheme, destination, port)?.reveal());
            rest = after;
        }
        filled.push_str(rest);
        let mut secret = HeaderValue::try_from(filled).map_err(|_| "a header with a secret is no header".to_owned())?;
        secret.set_sensitive(true);
        *value = secret;
    }
    Ok(())
}

fn find<'s>(
    secrets: &'s [Secret],
    name: &str,
    scheme: Scheme,
    destination: &Destination,
    port: u16,
) -> Result<&'s Secret, String> {
    let secret = secrets.iter().find(|secret| secret.name() == name).ok_or_else(|| {
        format!(
            "the plugin uses the secret `{name}`, which is not there; set sandbox.secret.{name} and sandbox.secret.{name}.hosts \
             in the connector's configuration"
        )
    })?;
    if secret.may_go(scheme, destination, port) {
        return Ok(secret);
    }
    let url = format!("{}://{}", scheme.name(), destination.with_port(port));
    Err(format!(
        "the secret `{name}` is not for {url}; to send it there, add `{url}` to sandbox.secret.{name}.hosts in the connector's \
         configuration (without encryption only with `http://` before the host)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::Grants;

    #[test]
    fn names_are_replaced_where_the_secret_may_go() {
        let config = [("sandbox.secret.token", "s3cret"), ("sandbox.secret.token.hosts", "api.example.com")];
        let config: Vec<_> = config.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let secrets = Grants::parse(&config).unwrap().secrets;
        let fill = |text: &str, host: &str| {
            let mut headers = HeaderMap::new();
            headers.append("authorization", text.parse().unwrap());
            headers.append("other", "x".parse().unwrap());
            let destination = Destination::parse(host).unwrap();
            let filled = super::fill(&mut headers, &secrets, Scheme::Https, &destination, 443);
            filled.map(|()| headers["authorization"].clone())
        };
        let bearer = fill("Bearer {{secret:token}}", "api.example.com").unwrap();
        assert!(bearer == "Bearer s3cret" && bearer.is_sensitive() && !format!("{bearer:?}").contains("s3cret"));
        assert_eq!(fill("{{secret:token}}-{{secret:token}}", "API.example.com.").unwrap(), "s3cret-s3cret");
        assert_eq!(fill("{{secrets}} {secret:token}", "evil.com").unwrap(), "{{secrets}} {secret:token}");
        for (text, host, expect) in [
            ("{{secret:token}}", "evil.com", "add `https://evil.com:443` to sandbox.secret.token.hosts"),
            ("{{secret:other}}", "api.example.com", "set sandbox.secret.other and sandbox.secret.other.hosts"),
            ("{{secret:token", "api.example.com", "without }}"),
        ] {
            let refused = fill(text, host).unwrap_err();
            assert!(refused.contains(expect) && !refused.contains("s3cret"), "{refused}");
        }
    }
}
