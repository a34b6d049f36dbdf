//! Addresses to listen on.

use std::sync::LazyLock;

use regex::Regex;

/// Kafka Connect's pattern (its `RestServer`).
static LISTENER: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(?P<scheme>.*)://\[?(?P<host>[0-9a-zA-Z\-%._:]*)\]?:(?P<port>-?[0-9]+)").ok());

/// An address to listen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// With TLS.
    pub is_https: bool,
    /// Host name or address without brackets; empty for all addresses.
    pub host: String,
    /// 0 for any free port.
    pub port: u16,
}

/// Reads URLs such as `http://localhost:8083`; there must be one at least.
pub(super) fn parse_all(urls: &[String]) -> Result<Vec<Listener>, String> {
    if urls.is_empty() {
        let message =
            "Invalid value for listeners, at least one URL is expected, ex: http://localhost:8080,https://localhost:8443.";
        return Err(message.to_owned());
    }
    urls.iter().map(|url| parse(url)).collect()
}

fn parse(url: &str) -> Result<Listener, String> {
    if url.is_empty() {
        return Err("Empty URL found when parsing listeners list.".to_owned());
    }
    let malformed = || "Listener doesn't have the right format or protocol.".to_owned();
    let captures = LISTENER.as_ref().and_then(|pattern| pattern.captures(url)).ok_or_else(malformed)?;
    let part = |name: &str| captures.name(name).map_or("", |part| part.as_str());
    let is_https = match part("scheme").to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        _ => return Err("Listener protocol must be either \"http\" or \"https\".".to_owned()),
    };
    Ok(Listener { is_https, host: part("host").to_owned(), port: part("port").parse().map_err(|_| malformed())? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_kafka_connect_reads_them() {
        let check = |url: &str, expect: Option<(bool, &str, u16)>| {
            let listener = parse(url).ok().map(|listener| (listener.is_https, listener.host, listener.port));
            assert_eq!(listener, expect.map(|(is_https, host, port)| (is_https, host.to_owned(), port)), "{url}");
        };
        check("http://:8083", Some((false, "", 8083)));
        check("HTTPS://0.0.0.0:8443", Some((true, "0.0.0.0", 8443)));
        check("http://[::1]:0", Some((false, "::1", 0)));
        check("http://connect-1.local:1", Some((false, "connect-1.local", 1)));
        for url in
            ["", "localhost:8083", "http://localhost", "http://localhost:-1", "http://a:70000", "ftp://a:1", "http://a b:1"]
        {
            check(url, None);
        }
        assert!(parse_all(&[]).is_err());
    }
}
