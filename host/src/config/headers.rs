//! `response.http.headers.config`: headers of every answer, in the syntax of Jetty's `HeaderFilter`.

use http::{HeaderName, HeaderValue};

/// Most headers that can be configured.
const MAX_HEADERS: usize = 100;

/// What a configured header holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderContent {
    /// Always the same text.
    Text(HeaderValue),
    /// A date this many milliseconds from now.
    Date(i64),
}

/// A header of every answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseHeader {
    /// Its name.
    pub name: HeaderName,
    /// Its value.
    pub content: HeaderContent,
    /// Beside those of its name that are there already; otherwise instead of them.
    pub is_added: bool,
}

/// Reads headers that are separated by commas; one with a comma in it stands in double quotes. The messages are those of Kafka Connect's
/// `RestServerConfig`.
pub(super) fn parse_all(text: &str) -> Result<Vec<ResponseHeader>, String> {
    let headers: Vec<_> = split(text).iter().map(|header| parse(header)).collect::<Result<_, _>>()?;
    match headers.len() <= MAX_HEADERS {
        true => Ok(headers),
        false => Err(format!("At most {MAX_HEADERS} headers can be configured")),
    }
}

fn split(text: &str) -> Vec<String> {
    let (mut items, mut item, mut is_quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => items.push(std::mem::take(&mut item)),
            c => item.push(c),
        }
    }
    items.push(item);
    items.into_iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

fn parse(header: &str) -> Result<ResponseHeader, String> {
    let format = || format!("Invalid format of header config '{header}'. Expected: '[action] [header name]:[header value]'");
    let (action, pair) = header.split_once(char::is_whitespace).ok_or_else(format)?;
    let (is_added, is_date) = match action.to_ascii_lowercase().as_str() {
        "set" => (false, false),
        "add" => (true, false),
        "setdate" => (false, true),
        "adddate" => (true, true),
        _ => {
            return Err(format!("Invalid header config action: '{action}'. Expected one of [set, add, setDate, addDate]"));
        }
    };
    let (name, value) = match pair.split_once(':') {
        Some((name, value)) if !value.contains(':') => (name.trim(), value.trim()),
        _ => {
            return Err(format!(
                "Invalid format of header name and header value pair '{}'. Expected: '[header name]:[header value]'",
                pair.trim()
            ));
        }
    };
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(format!("Invalid header name '{name}'. The '[header name]' cannot contain whitespace"));
    }
    let unusable = |what: &str| format!("Invalid header config '{header}': {what}");
    let content = match is_date {
        true => HeaderContent::Date(value.parse().map_err(|_| unusable("a date is a number of milliseconds from now"))?),
        false => HeaderContent::Text(value.parse().map_err(|_| unusable("the value cannot stand in a header"))?),
    };
    Ok(ResponseHeader { name: name.parse().map_err(|_| unusable("the name cannot be that of a header"))?, content, is_added })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_kafka_connect_reads_them() {
        let check = |text: &str, expect: Result<&[(&str, &str, bool)], &str>| match (parse_all(text), expect) {
            (Ok(headers), Ok(expect)) => {
                let shown = |header: &ResponseHeader| match &header.content {
                    HeaderContent::Text(text) => text.to_str().unwrap().to_owned(),
                    HeaderContent::Date(ms) => format!("{ms} ms"),
                };
                let read: Vec<_> =
                    headers.iter().map(|header| (header.name.to_string(), shown(header), header.is_added)).collect();
                let expect: Vec<_> =
                    expect.iter().map(|(name, value, add)| ((*name).to_owned(), (*value).to_owned(), *add)).collect();
                assert_eq!(read, expect, "{text}");
            }
            (Err(message), Err(part)) => assert!(message.contains(part), "{text}: {message}"),
            (read, _) => panic!("{text}: {read:?}"),
        };
        check("", Ok(&[]));
        check(
            r#"add Cache-Control: "no-cache, no-store", SET X-XSS-Protection: 1; mode=block"#,
            Ok(&[("cache-control", "no-cache, no-store", true), ("x-xss-protection", "1; mode=block", false)]),
        );
        check(r#""add A: b, c", setDate Expires: 31540000000"#, Ok(&[("a", "b, c", true), ("expires", "31540000000 ms", false)]));
        check("addDate Last-Modified: 0", Ok(&[("last-modified", "0 ms", true)]));
        check("set", Err("Invalid format of header config 'set'."));
        check("put A: b", Err("Invalid header config action: 'put'. Expected one of [set, add, setDate, addDate]"));
        check("set A b: c", Err("Invalid header name 'A b'."));
        check("set : c", Err("Invalid header name ''."));
        check("set A:b:c", Err("Invalid format of header name and header value pair 'A:b:c'."));
        check("set A", Err("Invalid format of header name and header value pair 'A'."));
        check("setDate A: tomorrow", Err("a number of milliseconds"));
        check("set Ä: b", Err("cannot be that of a header"));
        check("set A: b\u{7f}", Err("cannot stand in a header"));
        check(&"set A: b,".repeat(101), Err("At most 100"));
    }
}
