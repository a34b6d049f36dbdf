//! One response of a service: its records, and where the next one is.

use std::borrow::Cow;
use std::collections::HashMap;

use hawser_plugin::http::Response;
use serde_json::value::RawValue;

/// A value in a JSON text by its pointer (RFC 6901); its text is left as it is.
pub fn point<'a>(json: &'a RawValue, pointer: &str) -> Option<&'a RawValue> {
    pointer.split('/').skip(1).try_fold(json, |json, token| {
        let name = token.replace("~1", "/").replace("~0", "~");
        if json.get().starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(json.get()).ok()?;
            return items.get(name.parse::<usize>().ok()?).copied();
        }
        let members: HashMap<Cow<'_, str>, &RawValue> = serde_json::from_str(json.get()).ok()?;
        members.get(name.as_str()).copied()
    })
}

/// A text, or any other value as its JSON; nothing for null.
pub fn text(json: &RawValue) -> Option<String> {
    match json.get() {
        "null" => None,
        other => serde_json::from_str(other).ok().or_else(|| Some(other.to_owned())),
    }
}

/// What the body of a response is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON, with the records as an array in it.
    Json,
    /// A JSON value a line (NDJSON).
    Lines,
    /// One record.
    Text,
}

/// The texts of the records in a body.
pub fn records(body: &str, format: Format, pointer: &str) -> Result<Vec<String>, String> {
    match format {
        Format::Text => Ok(if body.is_empty() { Vec::new() } else { vec![body.to_owned()] }),
        Format::Lines => {
            let lines = body.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
            let checked = lines.map(|(at, line)| match serde_json::from_str::<&RawValue>(line) {
                Ok(_) => Ok(line.to_owned()),
                Err(error) => Err(format!("line {} of the response is not JSON: {error}", at + 1)),
            });
            checked.collect()
        }
        Format::Json if body.trim().is_empty() => Ok(Vec::new()),
        Format::Json => {
            let whole: &RawValue = serde_json::from_str(body).map_err(|error| format!("the response is not JSON: {error}"))?;
            let found = point(whole, pointer).ok_or_else(|| format!("the response has nothing at {pointer}"))?;
            match found.get() {
                "null" => Ok(Vec::new()),
                array if array.starts_with('[') => {
                    let items: Vec<&RawValue> = serde_json::from_str(array).map_err(|error| error.to_string())?;
                    Ok(items.into_iter().map(|item| item.get().to_owned()).collect())
                }
                single => Ok(vec![single.to_owned()]),
            }
        }
    }
}

/// The target of the link `rel="next"` in the headers `Link` (RFC 8288).
pub fn next_link(response: &Response) -> Option<String> {
    let links = response
        .headers
        .iter()
        .filter(|(name, _)| name == "link")
        .flat_map(|(_, value)| value.split(",<").flat_map(|part| part.split(", <")));
    links.filter_map(|link| link.trim().trim_start_matches('<').split_once('>')).find_map(|(target, parameters)| {
        let is_next = parameters.split(';').filter_map(|parameter| parameter.trim().split_once('=')).any(|(name, value)| {
            let value = value.trim().trim_end_matches(',').trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel") && value.split(' ').any(|rel| rel.eq_ignore_ascii_case("next"))
        });
        is_next.then(|| target.to_owned())
    })
}

/// The URL that a reference on a page means (RFC 3986, without `.` and `..`).
pub fn resolve(base: &str, reference: &str) -> String {
    if reference.contains("://") {
        return reference.to_owned();
    }
    let (scheme, rest) = base.split_once("://").unwrap_or(("https", base));
    if let Some(authority) = reference.strip_prefix("//") {
        return format!("{scheme}://{authority}");
    }
    let origin_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(origin_end);
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let path = match reference.chars().next() {
        Some('/') => reference.to_owned(),
        Some('?') => format!("{}{reference}", if path.is_empty() { "/" } else { path }),
        _ => format!("{}/{reference}", path.rsplit_once('/').map_or("", |(folder, _)| folder)),
    };
    format!("{scheme}://{authority}{path}")
}

/// A URL with a parameter in its query.
pub fn with_parameter(url: &str, name: &str, value: &str) -> String {
    let mut url = url.to_owned();
    url.push(if url.contains('?') { '&' } else { '?' });
    crate::template::escape(name.as_bytes(), &mut url);
    url.push('=');
    crate::template::escape(value.as_bytes(), &mut url);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_find_values_as_they_are_written() {
        let json: &RawValue = serde_json::from_str(r#"{"a":{"b/c":[1.50,{"~":"x"}]},"n":null}"#).unwrap();
        for (pointer, expect) in [
            ("/a/b~1c/0", Some("1.50")),
            ("/a/b~1c/1/~0", Some("\"x\"")),
            ("/n", Some("null")),
            ("/a/x", None),
            ("/a/b~1c/2", None),
            ("/n/x", None),
        ] {
            assert_eq!(point(json, pointer).map(RawValue::get), expect, "{pointer}");
        }
        assert_eq!(point(json, "").map(RawValue::get), Some(json.get()));
    }

    #[test]
    fn bodies_hold_records() {
        fn check(body: &str, format: Format, pointer: &str, expect: Result<&[&str], &str>) {
            match (records(body, format, pointer), expect) {
                (Ok(found), Ok(expect)) => assert_eq!(found, expect, "{body}"),
                (Err(found), Err(expect)) => assert!(found.contains(expect), "{found}"),
                (found, _) => panic!("{body}: {found:?}"),
            }
        }
        check(r#"[1,{"a": 2.0}]"#, Format::Json, "", Ok(&["1", r#"{"a": 2.0}"#]));
        check(r#"{"data":{"items":[1]}}"#, Format::Json, "/data/items", Ok(&["1"]));
        check(r#"{"data":null}"#, Format::Json, "/data", Ok(&[]));
        check(r#"{"a":1}"#, Format::Json, "", Ok(&[r#"{"a":1}"#]));
        check("", Format::Json, "", Ok(&[]));
        check("{", Format::Json, "", Err("not JSON"));
        check("{}", Format::Json, "/x", Err("nothing at /x"));
        check("1\n\n{\"a\":2}\n", Format::Lines, "", Ok(&["1", "{\"a\":2}"]));
        check("1\nx", Format::Lines, "", Err("line 2"));
        check("any text", Format::Text, "", Ok(&["any text"]));
    }

    #[test]
    fn the_next_page_is_found() {
        fn check(link: &str, expect: Option<&str>) {
            let response = Response { status: 200, headers: vec![("link".into(), link.into())], body: vec![] };
            assert_eq!(next_link(&response).as_deref(), expect, "{link}");
        }
        check(r#"<https://h/2>; rel="next""#, Some("https://h/2"));
        check(r#"<https://h/1>; rel="prev", <https://h/3?a=b,c>; rel="next"; title="x""#, Some("https://h/3?a=b,c"));
        check(r#"<https://h/1>; rel="first",<https://h/3>; rel=next"#, Some("https://h/3"));
        check(r#"<https://h/1>; rel="last""#, None);
        check("", None);
        for (base, reference, expect) in [
            ("http://h/a/b?c", "https://x/y", "https://x/y"),
            ("http://h/a/b?c", "/d?e", "http://h/d?e"),
            ("http://h/a/b?c", "?page=2", "http://h/a/b?page=2"),
            ("http://h/a/b?c", "d", "http://h/a/d"),
            ("http://h", "?page=2", "http://h/?page=2"),
            ("https://h/a", "//x/y", "https://x/y"),
        ] {
            assert_eq!(resolve(base, reference), expect);
        }
        assert_eq!(with_parameter("http://h/a?b=c", "d e", "f&g"), "http://h/a?b=c&d%20e=f%26g");
    }
}
