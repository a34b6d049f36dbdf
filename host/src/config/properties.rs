//! Java's `.properties` format, read just as `java.util.Properties.load` reads it.

use std::iter::Peekable;
use std::str::Chars;

/// A file that Java would refuse as well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Malformed \\uxxxx encoding in line {line}: write four hexadecimal digits after \\u, or double the backslash")]
pub struct PropertiesError {
    /// The line, counted from 1, in which the key begins.
    pub line: usize,
}

/// The text of a file as `Properties.load(InputStream)` takes it: each byte is a character (ISO 8859-1). This is how Kafka
/// reads worker and connector files.
pub fn decode_latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

/// The keys and values of a file, in the order of the file; of a repeated key the last value counts.
///
/// # Errors
/// [`PropertiesError`] for an escape that is not one.
pub fn parse(text: &str) -> Result<Vec<(String, String)>, PropertiesError> {
    let mut lines = LogicalLines { chars: text.chars().peekable(), number: 1, ended_with_two: false };
    let mut entries: Vec<(String, String)> = Vec::new();
    let mut positions = std::collections::HashMap::new();
    while let Some((number, line)) = lines.next_line() {
        let (key, value) = split(&line);
        let unescaped = |part| unescape(part).ok_or(PropertiesError { line: number });
        let (key, value) = (unescaped(key)?, unescaped(value)?);
        let position = *positions.entry(key.clone()).or_insert(entries.len());
        match entries.get_mut(position) {
            Some(entry) => entry.1 = value,
            None => entries.push((key, value)),
        }
    }
    Ok(entries)
}

/// Lines without comments, blanks and leading white space; lines that a backslash continues are joined.
struct LogicalLines<'a> {
    chars: Peekable<Chars<'a>>,
    number: usize,
    /// Whether the last end of line was `\r\n`.
    ended_with_two: bool,
}

impl LogicalLines<'_> {
    /// The next line, and the number of the line of the file in which it begins. Escapes are kept.
    fn next_line(&mut self) -> Option<(usize, String)> {
        let mut line = String::new();
        let mut begins = self.number;
        let mut skips_space = true;
        let mut is_continued = false;
        let mut is_escaped = false;
        while let Some(char) = self.next_char() {
            if skips_space {
                if is_space(char) || (!is_continued && char == '\n') {
                    continue;
                }
                skips_space = false;
                is_continued = false;
            }
            if line.is_empty() {
                begins = if char == '\n' { self.number - 1 } else { self.number };
                if char == '#' || char == '!' {
                    while self.next_char().is_some_and(|char| char != '\n') {}
                    skips_space = true;
                    continue;
                }
            }
            if char != '\n' {
                line.push(char);
                is_escaped = char == '\\' && !is_escaped;
            } else if line.is_empty() {
                skips_space = true;
            } else if is_escaped && (self.ended_with_two || self.chars.peek().is_some()) {
                line.pop();
                skips_space = true;
                is_continued = true;
                is_escaped = false;
            } else {
                break;
            }
        }
        if line.is_empty() {
            return None;
        }
        if is_escaped {
            line.pop();
        }
        Some((begins, line))
    }

    /// The next character; every end of line is a `\n`.
    fn next_char(&mut self) -> Option<char> {
        let char = self.chars.next()?;
        self.ended_with_two = char == '\r' && self.chars.next_if_eq(&'\n').is_some();
        if char == '\r' || char == '\n' {
            self.number += 1;
            return Some('\n');
        }
        Some(char)
    }
}

fn is_space(char: char) -> bool {
    matches!(char, ' ' | '\t' | '\x0c')
}

/// Splits a line at the first unescaped `=`, `:` or white space; escapes are kept.
fn split(line: &str) -> (&str, &str) {
    let mut is_escaped = false;
    let end = line.find(|char: char| {
        let ends = !is_escaped && (matches!(char, '=' | ':') || is_space(char));
        is_escaped = char == '\\' && !is_escaped;
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(is_space);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(is_space))
}

/// Resolves escapes; `None` if one is malformed. Half of a surrogate pair becomes U+FFFD.
fn unescape(text: &str) -> Option<String> {
    if !text.contains('\\') {
        return Some(text.to_owned());
    }
    let mut units = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        let plain = match char {
            '\\' => match chars.next() {
                Some('u') => {
                    units.push(unicode(&mut chars)?);
                    continue;
                }
                Some('t') => '\t',
                Some('r') => '\r',
                Some('n') => '\n',
                Some('f') => '\x0c',
                Some(other) => other,
                None => break,
            },
            other => other,
        };
        units.extend_from_slice(plain.encode_utf16(&mut [0; 2]));
    }
    Some(String::from_utf16_lossy(&units))
}

/// Four hexadecimal digits.
fn unicode(chars: &mut Chars<'_>) -> Option<u16> {
    let mut code = 0;
    for _ in 0..4 {
        code = code * 16 + chars.next()?.to_digit(16)?;
    }
    u16::try_from(code).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn files_are_read_as_java_reads_them() {
        let check = |text: &str, expect: &[(&str, &str)]| {
            let parsed = parse(text).unwrap();
            let parsed: Vec<_> = parsed.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            assert_eq!(parsed, expect, "{text:?}");
        };
        check("", &[]);
        check("a=b", &[("a", "b")]);
        check("a=b\nc=d\r\ne=f\rg=h", &[("a", "b"), ("c", "d"), ("e", "f"), ("g", "h")]);
        check("a:b\na1 b1\na2\tb2\na3\x0cb3", &[("a", "b"), ("a1", "b1"), ("a2", "b2"), ("a3", "b3")]);
        check("  a \t = \x0c b c \n", &[("a", "b c ")]);
        check("a = = b\na2 == b\na3 : = b", &[("a", "= b"), ("a2", "= b"), ("a3", "= b")]);
        check("a\nb=\nc:\nd ", &[("a", ""), ("b", ""), ("c", ""), ("d", "")]);
        check("=v\n:v2", &[("", "v2")]);
        check("a=1\nb=2\na=3", &[("a", "3"), ("b", "2")]);
        // Comments, which cannot be continued.
        check("# c=1\n  ! d=2\n#e\\\nf=3\ng=#4\nh=5 # 6", &[("f", "3"), ("g", "#4"), ("h", "5 # 6")]);
        // Continuation lines.
        check("a=b\\\n   c\\\r\n\td", &[("a", "bcd")]);
        check("a=b\\\\\nc=d", &[("a", "b\\"), ("c", "d")]);
        check("a=b\\\\\\\nc=d", &[("a", "b\\c=d")]);
        check("a=b\\\n\nc=d", &[("a", "b"), ("c", "d")]);
        check("a=b\\\n# no comment\nc=d", &[("a", "b# no comment"), ("c", "d")]);
        check("a\\\n=b", &[("a", "b")]);
        check("a=b\\", &[("a", "b")]);
        check("a=b\\\n", &[("a", "b")]);
        check("\\\n", &[("", "")]);
        check("\\", &[("", "")]);
        check("\\\r\n", &[]);
        check("\\\na=b", &[("a", "b")]);
        check("\\\n# c\na=b", &[("a", "b")]);
        // Escapes.
        check(r"a\=b=c\:d", &[("a=b", "c:d")]);
        check(r"a\ b c\ d", &[("a b", "c d")]);
        check(r"\#a=\!b", &[("#a", "!b")]);
        check(r"a=\t\n\r\f\\\q\'", &[("a", "\t\n\r\x0c\\q'")]);
        check(r"a\u003db=\u00e9\u20AC\uD83D\uDE00x", &[("a=b", "é€😀x")]);
        check(r"a=\uD83Dx", &[("a", "\u{fffd}x")]);
    }

    #[test]
    fn bad_escapes_are_refused_with_their_line() {
        for (text, line) in [(r"a=\u12", 1), ("a=b\n\n# c\nd=e\\\n \\u00zz", 4), (r"\u=", 1), (r"a=\uu0041", 1), (r"a=\u+123", 1)]
        {
            assert_eq!(parse(text), Err(PropertiesError { line }), "{text:?}");
        }
    }

    #[test]
    fn bytes_are_latin_1() {
        assert_eq!(decode_latin1(b"a=\xe9\xff"), "a=éÿ");
        assert_eq!(decode_latin1("é".as_bytes()), "Ã©");
    }

    /// Writes a key or value as Java's `Properties.store` does.
    fn escape(text: &str, is_key: bool) -> String {
        let mut escaped = String::new();
        for (index, unit) in text.encode_utf16().enumerate() {
            match char::from_u32(unit.into()).filter(|char| (' '..='~').contains(char)) {
                Some(char @ ('=' | ':' | '#' | '!' | '\\')) => escaped.extend(['\\', char]),
                Some(' ') if is_key || index == 0 => escaped.push_str("\\ "),
                Some(char) => escaped.push(char),
                None => escaped.push_str(&format!("\\u{unit:04X}")),
            }
        }
        escaped
    }

    proptest! {
        #[test]
        fn what_java_writes_is_read_back(entries in prop::collection::btree_map("(?s).{0,8}", "(?s).{0,12}", 0..6)) {
            let text: String = entries.iter().map(|(key, value)| format!("{}={}\n", escape(key, true), escape(value, false))).collect();
            prop_assert_eq!(parse(&text).unwrap(), entries.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn no_text_causes_a_panic(text in "(?s)([ =:#!\\\\\n\r\tu0-9a-f]|.){0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn no_bytes_cause_a_panic(bytes: Vec<u8>) {
            let _ = parse(&decode_latin1(&bytes));
        }
    }
}
