//! Java's regular expressions, as far as they are asked of topic names, which are ASCII. Look-around and back-references
//! are not to be had: what finds matches in linear time has neither.

use regex::bytes::{Regex, RegexBuilder};

/// A regular expression of a configuration.
#[derive(Debug)]
pub struct Pattern {
    /// Finds the expression anywhere.
    find: Regex,
    /// The whole text has to match.
    full: Regex,
}

impl Pattern {
    /// # Errors
    /// What is wrong with the expression.
    pub fn new(expression: &str) -> Result<Self, String> {
        let compile = |expression: &str| {
            // Without Unicode, as \w and \d are ASCII in Java.
            RegexBuilder::new(expression).unicode(false).build().map_err(|error| format!("Invalid regex: {error}"))
        };
        Ok(Self { find: compile(expression)?, full: compile(&format!("\\A(?:{expression})\\z"))? })
    }

    /// Whether the whole text matches (`Matcher.matches`).
    pub fn matches(&self, text: &str) -> bool {
        self.full.is_match(text.as_bytes())
    }

    /// The text with the first match replaced (`Matcher.replaceFirst`); none if the whole text does not match.
    pub fn replace(&self, text: &str, replacement: &Replacement) -> Option<String> {
        if !self.matches(text) {
            return None;
        }
        let captures = self.find.captures(text.as_bytes())?;
        let whole = captures.get(0)?;
        let mut replaced = text.get(..whole.start())?.to_owned();
        for part in &replacement.parts {
            match part {
                Part::Text(text) => replaced.push_str(text),
                Part::Group(group) => {
                    if let Some(group) = captures.get(*group) {
                        replaced.push_str(text.get(group.range())?);
                    }
                }
            }
        }
        replaced.push_str(text.get(whole.end()..)?);
        Some(replaced)
    }
}

/// A replacement in Java's notation: `$1` and `${name}` stand for groups, a backslash makes the next character itself.
#[derive(Debug, PartialEq, Eq)]
pub struct Replacement {
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Group(usize),
}

impl Replacement {
    /// # Errors
    /// What is wrong with the replacement, in the words of `java.util.regex.Matcher`.
    pub fn new(text: &str, pattern: &Pattern) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text.chars().peekable();
        while let Some(character) = rest.next() {
            match character {
                '\\' => literal.push(rest.next().ok_or("character to be escaped is missing")?),
                '$' => {
                    let group = match rest.peek().copied() {
                        Some('{') => named_group(&mut rest, pattern)?,
                        Some(digit) if digit.is_ascii_digit() => numbered_group(&mut rest, pattern)?,
                        Some(_) => return Err("Illegal group reference".to_owned()),
                        None => return Err("Illegal group reference: group index is missing".to_owned()),
                    };
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Group(group));
                }
                character => literal.push(character),
            }
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self { parts })
    }
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn named_group(rest: &mut Chars<'_>, pattern: &Pattern) -> Result<usize, String> {
    rest.next();
    let mut name = String::new();
    loop {
        match rest.next() {
            Some('}') => break,
            Some(character) => name.push(character),
            None => return Err("named capturing group is missing trailing '}'".to_owned()),
        }
    }
    let found = pattern.find.capture_names().position(|known| known == Some(name.as_str()));
    found.ok_or_else(|| format!("No group with name {{{name}}}"))
}

/// Takes as many digits as there are groups for.
fn numbered_group(rest: &mut Chars<'_>, pattern: &Pattern) -> Result<usize, String> {
    let mut group = 0;
    let mut digits = 0;
    while let Some(digit) = rest.peek().and_then(|character| character.to_digit(10)) {
        let longer = group * 10 + digit as usize;
        if longer >= pattern.find.captures_len() {
            if digits == 0 {
                return Err(format!("No group {longer}"));
            }
            break;
        }
        group = longer;
        digits += 1;
        rest.next();
    }
    Ok(group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_as_java_does() {
        for (expression, replacement, text, expected) in [
            ("(.*)", "new-$1", "topic", Some("new-topic")),
            ("(.*)", "${n}", "t", None),
            ("(?<n>[a-z]+)-(.*)", "$2.${n}", "db-table", Some("table.db")),
            (r"([^.]+)\.([^.]+)\.([^.]+)", "$3", "srv.public.users", Some("users")),
            (r"([^.]+)\.([^.]+)\.([^.]+)", "$3", "srv.users", None),
            ("a(b)?", "[$1]", "a", Some("[]")),
            ("(a)", "$10", "a", Some("a0")),
            ("a", r"\$0\\$0", "a", Some(r"$0\a")),
            ("a|ab", "x", "ab", Some("xb")),
            ("topic", "x", "topics", None),
            (r"\d+", "n", "٣", None),
        ] {
            let pattern = Pattern::new(expression).unwrap();
            let replaced = Replacement::new(replacement, &pattern).ok().and_then(|parsed| pattern.replace(text, &parsed));
            assert_eq!(replaced.as_deref(), expected, "{expression} {replacement} {text}");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        assert!(Pattern::new("(").unwrap_err().starts_with("Invalid regex: "));
        assert!(Pattern::new("(?!a)b").unwrap_err().contains("look-around"));
        let pattern = Pattern::new("(a)(?<n>b)").unwrap();
        for (replacement, expected) in [
            ("$3", "No group 3"),
            ("${m}", "No group with name {m}"),
            ("${n", "named capturing group is missing trailing '}'"),
            ("$", "Illegal group reference: group index is missing"),
            ("$x", "Illegal group reference"),
            ("\\", "character to be escaped is missing"),
        ] {
            assert_eq!(Replacement::new(replacement, &pattern), Err(expected.to_owned()));
        }
    }
}
