//! What a manifest must keep to. It comes from the plugin itself, so nothing in it is taken on trust.

use std::collections::HashSet;

use semver::Version;

use crate::sandbox::{Class, ConfigKey, Exports, Kind, Manifest, ValueType};

const MAX_NAME_BYTES: usize = 100;
const MAX_CLASSES: usize = 200;
const MAX_ALIASES: usize = 20;
const MAX_CLASS_NAME_BYTES: usize = 200;
const MAX_KEYS: usize = 1_000;
const MAX_KEY_BYTES: usize = 200;
/// Bytes of a documentation, a summary, or any other text.
const MAX_TEXT_BYTES: usize = 16 << 10;
/// Entries of `recommended` and `dependents`.
const MAX_LIST: usize = 1_000;

/// Checks a manifest against the exports of its component.
///
/// # Errors
/// What is wrong, for the plugin's author.
pub(super) fn manifest(manifest: &Manifest, exports: Exports) -> Result<(), String> {
    let is_name_byte = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let name = &manifest.name;
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_name_byte) {
        return Err(format!("the name {} must be 1 to {MAX_NAME_BYTES} lower-case letters, digits, `-` and `.`", quote(name)));
    }
    if manifest.version.len() > MAX_NAME_BYTES || Version::parse(&manifest.version).is_err() {
        return Err(format!("the version {} is no semantic version such as `1.2.3`", quote(&manifest.version)));
    }
    text("the summary", &manifest.summary)?;
    count("classes", manifest.classes.len(), MAX_CLASSES)?;
    if manifest.classes.is_empty() {
        return Err("it holds no class".to_owned());
    }
    let mut names = HashSet::new();
    for class in &manifest.classes {
        for name in [&class.name].into_iter().chain(&class.aliases) {
            class_name(name)?;
            if !names.insert(name) {
                return Err(format!("the class name {} stands twice", quote(name)));
            }
        }
        self::class(class, exports).map_err(|reason| format!("class {}: {reason}", quote(&class.name)))?;
    }
    Ok(())
}

fn class(class: &Class, exports: Exports) -> Result<(), String> {
    let (interface, exported) = match class.kind {
        Kind::Source => ("source (with connector)", exports.source),
        Kind::Sink => ("sink (with connector)", exports.sink),
        Kind::Transform | Kind::Predicate => ("transform", exports.transform),
    };
    if !exported {
        return Err(format!("it is a {:?}, but the component does not export {interface}", class.kind).to_lowercase());
    }
    count("aliases", class.aliases.len(), MAX_ALIASES)?;
    count("configuration keys", class.config.len(), MAX_KEYS)?;
    text("the summary", &class.summary)?;
    let mut names = HashSet::new();
    for key in &class.config {
        if key.name.trim().is_empty() || key.name.len() > MAX_KEY_BYTES || key.name.chars().any(char::is_control) {
            return Err(format!(
                "a configuration key is named {}; use 1 to {MAX_KEY_BYTES} printable characters",
                quote(&key.name)
            ));
        }
        if !names.insert(&key.name) {
            return Err(format!("the configuration key {} stands twice", quote(&key.name)));
        }
        config_key(key).map_err(|reason| format!("configuration key {}: {reason}", quote(&key.name)))?;
    }
    Ok(())
}

fn config_key(key: &ConfigKey) -> Result<(), String> {
    text("the documentation", &key.documentation)?;
    text("the group", &key.group)?;
    text("the display name", &key.display_name)?;
    count("recommended values", key.recommended.len(), MAX_LIST)?;
    count("dependents", key.dependents.len(), MAX_LIST)?;
    for entry in key.recommended.iter().chain(&key.dependents) {
        text("an entry of a list", entry)?;
    }
    let Some(default) = &key.default else { return Ok(()) };
    text("the default", default)?;
    if key.required {
        return Err("it is required and has a default; it can be one of these".to_owned());
    }
    let fits = match key.value_type {
        ValueType::Boolean => matches!(default.to_ascii_lowercase().as_str(), "true" | "false"),
        ValueType::Short => default.parse::<i16>().is_ok(),
        ValueType::Int => default.parse::<i32>().is_ok(),
        ValueType::Long => default.parse::<i64>().is_ok(),
        ValueType::Double => default.parse::<f64>().is_ok(),
        ValueType::String | ValueType::List | ValueType::Class | ValueType::Password => true,
    };
    if fits { Ok(()) } else { Err(format!("its default {} is no {:?}", quote(default), key.value_type)) }
}

fn class_name(name: &str) -> Result<(), String> {
    let is_class_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'$');
    if name.is_empty() || name.len() > MAX_CLASS_NAME_BYTES || !name.bytes().all(is_class_byte) {
        let name = quote(name);
        return Err(format!("the class name {name} must be 1 to {MAX_CLASS_NAME_BYTES} letters, digits, `.`, `_`, `-` and `$`"));
    }
    Ok(())
}

fn text(what: &str, text: &str) -> Result<(), String> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(format!("{what} has {} bytes; {MAX_TEXT_BYTES} are allowed", text.len()));
    }
    Ok(())
}

fn count(what: &str, count: usize, allowed: usize) -> Result<(), String> {
    if count > allowed { Err(format!("{count} {what}; {allowed} are allowed")) } else { Ok(()) }
}

/// A text that came from outside, short and on one line.
fn quote(text: &str) -> String {
    let short = &text[..text.floor_char_boundary(MAX_NAME_BYTES)];
    format!("`{}`{}", short.escape_debug(), if short.len() < text.len() { "…" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{Importance, Width};

    const ALL: Exports = Exports { source: true, sink: true, transform: true };

    fn sample() -> Manifest {
        let key = ConfigKey {
            name: "path".into(),
            value_type: ValueType::Int,
            default: Some("5".into()),
            required: false,
            importance: Importance::High,
            documentation: String::new(),
            group: String::new(),
            order: 1,
            width: Width::None,
            display_name: String::new(),
            recommended: vec![],
            dependents: vec![],
        };
        let class = Class {
            name: "FileSource".into(),
            aliases: vec!["org.apache.kafka.connect.file.FileStreamSourceConnector".into()],
            kind: Kind::Source,
            summary: String::new(),
            config: vec![key],
        };
        Manifest { name: "file".into(), version: "1.0.0".into(), summary: String::new(), classes: vec![class] }
    }

    #[test]
    fn a_good_manifest_is_taken() {
        assert_eq!(manifest(&sample(), ALL), Ok(()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        fn check(change: impl FnOnce(&mut Manifest), expect: &str) {
            let mut changed = sample();
            change(&mut changed);
            let reason = manifest(&changed, Exports { sink: false, ..ALL }).unwrap_err();
            assert!(reason.contains(expect) && reason.len() < 500, "{reason}");
        }
        check(|m| m.name.clear(), "name ``");
        check(|m| m.name = "File".into(), "`File`");
        check(|m| m.name = "../x".into(), "`../x`");
        check(|m| m.name = "x".repeat(101), "1 to 100");
        check(|m| m.version = "1.0".into(), "semantic version");
        check(|m| m.summary = "x".repeat(1 << 20), "1048576 bytes");
        check(|m| m.classes.clear(), "no class");
        check(|m| m.classes = vec![m.classes[0].clone(); 201], "201 classes");
        check(|m| m.classes = vec![m.classes[0].clone(); 2], "`FileSource` stands twice");
        check(|m| m.classes[0].aliases = vec!["FileSource".into()], "`FileSource` stands twice");
        check(|m| m.classes[0].name = "a b\n".into(), "`a b\\n`");
        check(|m| m.classes[0].kind = Kind::Sink, "does not export sink");
        check(|m| m.classes[0].aliases = (0..21).map(|i| i.to_string()).collect(), "21 aliases");
        check(|m| m.classes[0].config[0].name = " ".into(), "` `");
        check(|m| m.classes[0].config[0].default = Some("five".into()), "`five` is no Int");
        check(|m| m.classes[0].config[0].required = true, "required and has a default");
        check(|m| m.classes[0].config = vec![m.classes[0].config[0].clone(); 2], "`path` stands twice");
        check(|m| m.classes[0].config[0].recommended = vec![String::new(); 1001], "1001 recommended");
    }
}
