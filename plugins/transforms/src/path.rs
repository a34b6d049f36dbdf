//! Paths to nested fields (KIP-821).

use hawser_plugin::prelude::*;

/// The names of the fields on the way, from the outermost one.
#[derive(Debug, PartialEq, Eq)]
pub struct FieldPath {
    text: String,
    first: String,
    rest: Vec<String>,
}

impl FieldPath {
    /// The path of the keys `field` and `field.syntax.version`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn configured(config: &Config) -> Result<Self, String> {
        let field: &str = config.get("field").map_err(|error| error.to_string())?;
        let version: &str = config.get("field.syntax.version").map_err(|error| error.to_string())?;
        let steps = if version.eq_ignore_ascii_case("V2") { parse(field)? } else { vec![field.to_owned()] };
        let mut steps = steps.into_iter();
        let first = steps.next().unwrap_or_default();
        Ok(Self { text: field.to_owned(), first, rest: steps.collect() })
    }

    /// As it was configured.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The outermost step, and the others.
    pub fn split(&self) -> (&str, &[String]) {
        (&self.first, &self.rest)
    }

    /// All steps.
    pub fn steps(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.first).chain(&self.rest)
    }
}

/// Steps with dots between them. Backticks around a step hide its dots; a backtick inside such a step that is followed by
/// a dot has a backslash before it.
fn parse(path: &str) -> Result<Vec<String>, String> {
    let mut steps = Vec::new();
    let mut rest = path;
    loop {
        if let Some(quoted) = rest.strip_prefix('`') {
            let (step, after) = quoted_step(quoted).ok_or_else(|| {
                let position = path.len() - rest.len();
                format!(
                    "Incomplete backtick pair in path: [{path}], consider adding a backslash before backtick at position \
                     {position} to escape it"
                )
            })?;
            steps.push(step);
            match after {
                Some(after) => rest = after,
                None => return Ok(steps),
            }
            continue;
        }
        match rest.split_once('.') {
            Some((step, after)) => {
                steps.push(step.to_owned());
                rest = after;
            }
            None => {
                steps.push(rest.to_owned());
                return Ok(steps);
            }
        }
    }
}

/// The step up to the backtick that ends it, and what follows after the dot.
fn quoted_step(text: &str) -> Option<(String, Option<&str>)> {
    let mut step = String::new();
    for (place, character) in text.char_indices() {
        let after = text.get(place + character.len_utf8()..)?;
        if character != '`' {
            step.push(character);
            continue;
        }
        let ends = after.is_empty() || after.starts_with('.');
        if ends && !step.ends_with('\\') {
            return Some((step, after.strip_prefix('.')));
        }
        if ends {
            step.pop();
        }
        step.push('`');
    }
    None
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_paths() {
        for (path, expected) in [
            ("a", vec!["a"]),
            ("a.b", vec!["a", "b"]),
            ("a.", vec!["a", ""]),
            ("", vec![""]),
            ("`a.b`.c", vec!["a.b", "c"]),
            ("a.`b.c`", vec!["a", "b.c"]),
            ("`a`b`.c", vec!["a`b", "c"]),
            (r"`a\`.b`", vec!["a`.b"]),
            ("a`b.c", vec!["a`b", "c"]),
        ] {
            assert_eq!(parse(path).unwrap(), expected, "{path}");
        }
        assert_eq!(
            parse("a.`b"),
            Err("Incomplete backtick pair in path: [a.`b], consider adding a backslash before backtick at position 2 to escape it"
                .to_owned())
        );
    }
}
