//! JSON as Jackson reads it in Kafka's JsonConverter: the first value of the text, leading zeros allowed, the spelling of numbers kept.

use std::borrow::Cow;

use indexmap::IndexMap;

/// Nesting of arrays and objects beyond which Jackson refuses a document.
pub const MAX_DEPTH: usize = 1000;
/// Nesting beyond which a document is not read into values: reading takes a stack, and a task's is 2 MiB.
pub const MAX_READ_DEPTH: usize = 256;
/// Characters in a number beyond which Jackson refuses it.
pub const MAX_NUMBER_LENGTH: usize = 1000;

/// A JSON value, borrowed from its text where it can be.
#[derive(Debug, Clone, PartialEq)]
pub enum Node<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Boolean(bool),
    /// A number as it is spelled.
    Number(&'a str),
    /// A string without its quotes and escapes.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Node<'a>>),
    /// An object: the last of several members of one name counts, in the place of the first.
    Object(IndexMap<Cow<'a, str>, Node<'a>>),
}

impl<'a> Node<'a> {
    /// Reads the first value of a text; `None` if it is malformed. What follows that value is ignored.
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut cursor = Cursor::new(text);
        let node = cursor.node(MAX_READ_DEPTH)?;
        cursor.root_ends(matches!(node, Node::Number(_) | Node::Null | Node::Boolean(_))).then_some(node)
    }

    /// Jackson's name of the node's kind, as messages have it.
    pub fn kind(&self) -> &'static str {
        match self {
            Node::Null => "NULL",
            Node::Boolean(_) => "BOOLEAN",
            Node::Number(_) => "NUMBER",
            Node::String(_) => "STRING",
            Node::Array(_) => "ARRAY",
            Node::Object(_) => "OBJECT",
        }
    }

    /// A member of an object.
    pub fn get(&self, name: &str) -> Option<&Node<'a>> {
        match self {
            Node::Object(members) => members.get(name),
            _ => None,
        }
    }

    /// The string, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Node::String(text) => Some(text),
            _ => None,
        }
    }
}

/// Whether a number's text has neither fraction nor exponent.
pub fn is_integral(number: &str) -> bool {
    !number.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'))
}

/// Walks JSON text. Every method that finds malformed text answers `None` or `false` and leaves the cursor anywhere.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
    /// Whether something was met that Jackson reads and JSON forbids.
    irregular: bool,
}

/// A string's text between its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawString<'a> {
    /// The text, escapes included.
    pub text: &'a str,
    /// Whether it has escapes.
    pub escaped: bool,
}

impl<'a> RawString<'a> {
    /// The string that is meant. An escape that names half a character is replaced by U+FFFD: Java keeps halves, UTF-8 cannot.
    pub fn unescape(self) -> Cow<'a, str> {
        if !self.escaped {
            return Cow::Borrowed(self.text);
        }
        let mut text = String::with_capacity(self.text.len());
        let mut units = Vec::new();
        let mut rest = self.text;
        while let Some(at) = rest.find('\\') {
            let (plain, escape) = rest.split_at(at);
            if !plain.is_empty() {
                push_units(&mut units, &mut text);
                text.push_str(plain);
            }
            let (unit, length) = unescape(escape.as_bytes());
            units.push(unit);
            rest = escape.get(length..).unwrap_or_default();
        }
        push_units(&mut units, &mut text);
        Cow::Owned(text + rest)
    }
}

/// The UTF-16 unit that an escape names, and the escape's length. The text was checked by [`Cursor::string`].
fn unescape(escape: &[u8]) -> (u16, usize) {
    match escape {
        [_, b'u', digits @ ..] => {
            let digits = digits.get(..4).and_then(|digits| std::str::from_utf8(digits).ok()).unwrap_or_default();
            (u16::from_str_radix(digits, 16).unwrap_or_default(), 6)
        }
        [_, b'b', ..] => (0x08, 2),
        [_, b'f', ..] => (0x0c, 2),
        [_, b'n', ..] => (u16::from(b'\n'), 2),
        [_, b'r', ..] => (u16::from(b'\r'), 2),
        [_, b't', ..] => (u16::from(b'\t'), 2),
        [_, itself, ..] => (u16::from(*itself), 2),
        _ => (0, escape.len()),
    }
}

fn push_units(units: &mut Vec<u16>, text: &mut String) {
    text.extend(char::decode_utf16(units.drain(..)).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `text`.
    pub fn new(text: &'a str) -> Self {
        Cursor { text, at: 0, irregular: false }
    }

    /// Bytes walked so far.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next byte.
    pub fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Takes the next byte if it is `byte`.
    pub fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes `literal` if it is next.
    pub fn eat_literal(&mut self, literal: &str) -> bool {
        let found = self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(literal.as_bytes()));
        if found {
            self.at += literal.len();
        }
        found
    }

    /// Takes white space.
    pub fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Whether nothing but white space is left.
    pub fn at_end(&mut self) -> bool {
        self.skip_space();
        self.at == self.text.len()
    }

    /// Takes the string that starts here.
    pub fn string(&mut self) -> Option<RawString<'a>> {
        if !self.eat(b'"') {
            return None;
        }
        let start = self.at;
        let mut escaped = false;
        loop {
            self.at = end_of_plain_run::<false>(self.text.as_bytes(), self.at);
            match self.peek()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    self.at += 1;
                    self.escape()?;
                }
                _ => return None,
            }
        }
        let text = self.text.get(start..self.at)?;
        self.at += 1;
        Some(RawString { text, escaped })
    }

    fn escape(&mut self) -> Option<()> {
        let kind = self.peek()?;
        self.at += 1;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
                self.at += 4;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    /// Takes the number that starts here.
    pub fn number(&mut self) -> Option<&'a str> {
        let start = self.at;
        self.eat(b'-');
        let leading_zero = self.peek() == Some(b'0');
        let digits = self.digits()?;
        self.irregular |= leading_zero && digits > 1;
        if self.eat(b'.') {
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            let _ = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        self.text.get(start..self.at).filter(|number| number.len() <= MAX_NUMBER_LENGTH)
    }

    fn digits(&mut self) -> Option<usize> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        (self.at > start).then_some(self.at - start)
    }

    /// Walks over one value of at most `depth` levels.
    pub fn skip_value(&mut self, depth: usize) -> bool {
        match self.peek() {
            Some(b'"') => self.string().is_some(),
            Some(b'{') => self.members(depth, |cursor, _, depth| cursor.skip_value(depth).then_some(())).is_some(),
            Some(b'[') => self.elements(depth, |cursor, depth| cursor.skip_value(depth).then_some(())).is_some(),
            Some(b't') => self.eat_literal("true"),
            Some(b'f') => self.eat_literal("false"),
            Some(b'n') => self.eat_literal("null"),
            _ => self.number().is_some(),
        }
    }

    /// Walks over the members of an object, each value by `member`.
    pub fn members(&mut self, depth: usize, mut member: impl FnMut(&mut Self, RawString<'a>, usize) -> Option<()>) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.eat(b'{').then_some(())?;
        self.skip_space();
        if self.eat(b'}') {
            return Some(());
        }
        loop {
            self.skip_space();
            let name = self.string()?;
            self.skip_space();
            self.eat(b':').then_some(())?;
            self.skip_space();
            member(self, name, depth)?;
            self.skip_space();
            if !self.eat(b',') {
                return self.eat(b'}').then_some(());
            }
        }
    }

    fn elements(&mut self, depth: usize, mut element: impl FnMut(&mut Self, usize) -> Option<()>) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.eat(b'[').then_some(())?;
        self.skip_space();
        if self.eat(b']') {
            return Some(());
        }
        loop {
            self.skip_space();
            element(self, depth)?;
            self.skip_space();
            if !self.eat(b',') {
                return self.eat(b']').then_some(());
            }
        }
    }

    fn node(&mut self, depth: usize) -> Option<Node<'a>> {
        self.skip_space();
        match self.peek()? {
            b'"' => self.string().map(|string| Node::String(string.unescape())),
            b'{' => {
                let mut members = IndexMap::new();
                self.members(depth, |cursor, name, depth| {
                    let node = cursor.node(depth)?;
                    members.insert(name.unescape(), node);
                    Some(())
                })?;
                Some(Node::Object(members))
            }
            b'[' => {
                let mut elements = Vec::new();
                self.elements(depth, |cursor, depth| {
                    elements.push(cursor.node(depth)?);
                    Some(())
                })?;
                Some(Node::Array(elements))
            }
            b't' => self.eat_literal("true").then_some(Node::Boolean(true)),
            b'f' => self.eat_literal("false").then_some(Node::Boolean(false)),
            b'n' => self.eat_literal("null").then_some(Node::Null),
            _ => self.number().map(Node::Number),
        }
    }

    /// Whether the text may go on as it does after a root value: a number or literal needs white space behind it.
    fn root_ends(&self, bare: bool) -> bool {
        !bare || matches!(self.peek(), None | Some(b' ' | b'\t' | b'\n' | b'\r'))
    }
}

/// Whether `text` is one JSON value, strictly, and nothing else but white space.
pub fn is_valid(text: &str) -> bool {
    let mut cursor = Cursor::new(text);
    cursor.skip_space();
    cursor.skip_value(MAX_DEPTH) && cursor.at_end() && !cursor.irregular
}

const EACH: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = EACH << 7;

/// The place of the first byte from `at` on that ends a run of ordinary characters in a string: a quote, a backslash or a control
/// character; if `BASIC`, also a character outside the basic plane. Looks at eight bytes a step.
fn end_of_plain_run<const BASIC: bool>(bytes: &[u8], mut at: usize) -> usize {
    while let Some(Ok(chunk)) = bytes.get(at..at + 8).map(<[u8; 8]>::try_from) {
        let word = u64::from_le_bytes(chunk);
        let quote = word ^ (EACH * u64::from(b'"'));
        let backslash = word ^ (EACH * u64::from(b'\\'));
        let mut found = (quote.wrapping_sub(EACH) & !quote)
            | (backslash.wrapping_sub(EACH) & !backslash)
            | (word.wrapping_sub(EACH * 0x20) & !word);
        if BASIC {
            found |= word & word << 1 & word << 2 & word << 3;
        }
        found &= HIGH;
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f) || BASIC && *byte >= 0xf0;
    while bytes.get(at).is_some_and(|byte| !special(byte)) {
        at += 1;
    }
    at
}

/// Appends a string in quotes, escaped as Jackson does it: characters outside the basic plane as two escapes, hexadecimal digits in
/// upper case.
pub fn write_string(text: &str, out: &mut Vec<u8>) {
    const HEX: [u8; 16] = *b"0123456789ABCDEF";
    fn unit(unit: u16, out: &mut Vec<u8>) {
        out.extend_from_slice(b"\\u");
        out.extend([12, 8, 4, 0].map(|shift| HEX[usize::from(unit >> shift & 0xf)]));
    }
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        let end = end_of_plain_run::<true>(bytes, at);
        out.extend_from_slice(bytes.get(at..end).unwrap_or_default());
        let Some(byte) = bytes.get(end) else { break };
        at = end + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0..=0x1f => unit(u16::from(*byte), out),
            _ => {
                let character = text.get(end..).and_then(|rest| rest.chars().next()).unwrap_or_default();
                let mut units = [0; 2];
                character.encode_utf16(&mut units).iter().for_each(|half| unit(*half, out));
                at = end + character.len_utf8();
            }
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validity() {
        for valid in ["{}", " [1, 2.5e-3 ,\"x\"]\n", "null", "-0", "\"\\u00e9\\n\"", r#"{"a":{"b":[true,false,null]}}"#, "1E+2"] {
            assert!(is_valid(valid), "{valid}");
        }
        for invalid in [
            "",
            " ",
            "{",
            "{]",
            "[1,]",
            "{\"a\"}",
            "{\"a\":1,}",
            "nul",
            "01",
            "1.",
            ".5",
            "+1",
            "\"a",
            "\"\t\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "1 2",
            "{} x",
            "'a'",
            "NaN",
            "-",
        ] {
            assert!(!is_valid(invalid), "{invalid}");
        }
        assert!(is_valid(&format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH))));
        assert!(!is_valid(&format!("{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1))));
        assert!(!is_valid(&"[".repeat(1_000_000)));
    }

    #[test]
    fn what_jackson_reads_beyond_json() {
        assert_eq!(Node::parse("007"), Some(Node::Number("007")));
        assert_eq!(Node::parse("[1] garbage"), Some(Node::Array(vec![Node::Number("1")])));
        assert_eq!(Node::parse("\"a\"b"), Some(Node::String("a".into())));
        for refused in ["1x", "truex", "null,", "1]"] {
            assert_eq!(Node::parse(refused), None, "{refused}");
        }
        assert_eq!(Node::parse(&"1".repeat(MAX_NUMBER_LENGTH + 1)), None);
    }

    #[test]
    fn the_last_member_of_a_name_counts() {
        let node = Node::parse(r#"{"a":1,"b":2,"a":3}"#).unwrap();
        let Node::Object(members) = node else { panic!("not an object") };
        let members: Vec<_> = members.into_iter().collect();
        assert_eq!(members, [("a".into(), Node::Number("3")), ("b".into(), Node::Number("2"))]);
    }

    #[test]
    fn strings_are_escaped_as_jackson_does() {
        fn check(text: &str, expect: &str) {
            let mut out = Vec::new();
            write_string(text, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expect);
        }
        check("plain", r#""plain""#);
        check("a\"b\\c/d", r#""a\"b\\c/d""#);
        check("\u{8}\u{c}\n\r\t\u{1}\u{1f}\u{7f}", "\"\\b\\f\\n\\r\\t\\u0001\\u001F\u{7f}\"");
        check("é漢", "\"é漢\"");
        check("a😀b", "\"a\\uD83D\\uDE00b\"");
    }

    #[test]
    fn strings_are_unescaped() {
        for (text, expect) in [
            (r#""plain""#, "plain"),
            (r#""a\"\\\/\b\f\n\r\tz""#, "a\"\\/\u{8}\u{c}\n\r\tz"),
            (r#""\u00e9x\uD83D\uDE00""#, "éx😀"),
            (r#""\uD83Dx\uDE00\n\uD83D""#, "\u{fffd}x\u{fffd}\n\u{fffd}"),
        ] {
            assert_eq!(Node::parse(text), Some(Node::String(expect.into())));
        }
    }

    #[test]
    fn plain_runs_end_at_the_first_special_byte() {
        for length in 0..40 {
            for special in [b'"', b'\\', 0, 0x1f, b'\n', 0xf0, 0xff] {
                let mut bytes = vec![if special == 0 { 0xef } else { b'x' }; length];
                bytes.extend([special, b'"', 0x80, 0xff]);
                assert_eq!(end_of_plain_run::<true>(&bytes, 0), length);
                assert_eq!(end_of_plain_run::<false>(&bytes, 0), length + usize::from(special >= 0xf0));
            }
            let high = vec![0xffu8; length];
            assert_eq!(end_of_plain_run::<false>(&high, 0), length);
        }
    }
}
