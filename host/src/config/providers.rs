//! References to secrets, such as `${file:/run/secrets/db.properties:password}`, and where they are looked up.
//!
//! The rules are those of Kafka's `ConfigTransformer` and of its three providers. References are resolved when something
//! starts, never stored, and what they resolve to is never logged.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use regex::{Captures, Regex};

use super::properties;

/// Kafka's pattern of a reference: `${provider:path:key}` or `${provider:key}`.
const REFERENCE: &str = r"\$\{([^}]*?):(([^}]*?):)?([^}]*?)\}";
/// The largest file that a provider reads, in bytes.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// The shortest and the longest `ttl.ms`: a second and a year.
const MIN_TTL_MS: u64 = 1000;
const MAX_TTL_MS: u64 = 366 * 24 * 3600 * 1000;

/// Why references could not be set up or resolved. Holds no value of a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// A provider's own configuration is wrong.
    #[error("{0}")]
    Setup(String),
    /// A file of secrets cannot be read.
    #[error("Could not read {what} from file {path}: {reason}")]
    Unreadable {
        /// `properties` or `a value`.
        what: &'static str,
        /// The file.
        path: String,
        /// The cause.
        reason: String,
    },
    /// The environment has no paths.
    #[error("Path is not supported for EnvVarConfigProvider, invalid value '{0}'; write ${{provider:VARIABLE}}")]
    PathInEnvironment(String),
}

/// A configuration whose references have been resolved. `Debug` shows keys only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Keys and values in their order.
    pub config: Vec<(String, Option<String>)>,
    /// The keys whose value came, in part or as a whole, from a provider: never to be shown.
    pub secret_keys: BTreeSet<String>,
    /// How long what was looked up may be trusted: the shortest `ttl.ms` of the providers that gave a value; `None`: for ever.
    pub ttl: Option<Duration>,
}

impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.config.iter().map(|(key, _)| key)).finish()
    }
}

/// The providers of a worker.
pub struct Providers {
    by_name: HashMap<String, Provider>,
    reference: Regex,
}

struct Provider {
    source: Source,
    /// `param.ttl.ms`: how long its values may be trusted.
    ttl: Option<Duration>,
}

enum Source {
    File(Allowed),
    Directory(Allowed),
    Environment(Option<Regex>),
}

/// Folders and files that may be read; `None` for all.
struct Allowed(Option<Vec<PathBuf>>);

impl Providers {
    /// Reads `config.providers` and `config.providers.NAME.*` from a worker's configuration.
    ///
    /// # Errors
    /// [`ProviderError::Setup`] names the key that is wrong.
    pub fn new(worker: &[(String, String)]) -> Result<Providers, ProviderError> {
        let get = |key: &str| worker.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.trim());
        let names = get("config.providers").unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
        let mut by_name = HashMap::new();
        for name in names {
            let key = format!("config.providers.{name}.class");
            let param = |param: &str| get(&format!("config.providers.{name}.param.{param}"));
            let class = get(&key).ok_or_else(|| {
                ProviderError::Setup(format!("Missing required configuration \"{key}\" which has no default value."))
            })?;
            let source = match class.rsplit('.').next().unwrap_or(class) {
                "FileConfigProvider" => Source::File(Allowed::new(param("allowed.paths"))?),
                "DirectoryConfigProvider" => Source::Directory(Allowed::new(param("allowed.paths"))?),
                "EnvVarConfigProvider" => Source::Environment(pattern(name, param("allowlist.pattern"))?),
                _ => {
                    return Err(ProviderError::Setup(format!(
                        "Invalid value {class} for configuration {key}: use FileConfigProvider, DirectoryConfigProvider or \
                         EnvVarConfigProvider of org.apache.kafka.common.config.provider"
                    )));
                }
            };
            let ttl = ttl(name, param("ttl.ms"))?;
            by_name.insert(name.to_owned(), Provider { source, ttl });
        }
        let reference = Regex::new(REFERENCE).map_err(|error| ProviderError::Setup(error.to_string()))?;
        Ok(Providers { by_name, reference })
    }

    /// Whether a value holds something that looks like a reference, to whatever provider.
    pub fn has_reference(&self, value: &str) -> bool {
        self.reference.is_match(value)
    }

    /// Replaces every reference whose provider and key are known; all other text stays as it is, what a provider gives
    /// included. Reads files: not for an async thread.
    ///
    /// # Errors
    /// [`ProviderError`] if a provider fails.
    pub fn resolve<'a>(&self, config: impl IntoIterator<Item = (&'a str, Option<&'a str>)>) -> Result<Resolved, ProviderError> {
        let mut resolved = Resolved::default();
        let mut lookups = Lookups::default();
        for (key, value) in config {
            let value = match value {
                Some(text) if text.contains("${") => {
                    let replaced = self.replace(text, &mut lookups)?;
                    if replaced.is_some() {
                        resolved.secret_keys.insert(key.to_owned());
                    }
                    Some(replaced.unwrap_or_else(|| text.to_owned()))
                }
                other => other.map(str::to_owned),
            };
            resolved.config.push((key.to_owned(), value));
        }
        resolved.ttl = lookups.ttl;
        Ok(resolved)
    }

    /// The text with its references replaced, `None` if there is none to replace.
    fn replace(&self, text: &str, lookups: &mut Lookups) -> Result<Option<String>, ProviderError> {
        let mut result = String::new();
        let mut end = 0;
        let mut is_replaced = false;
        for reference in self.reference.captures_iter(text) {
            let Some(whole) = reference.get(0) else { continue };
            if let Some(value) = self.look_up(&reference, lookups)? {
                result.push_str(text.get(end..whole.start()).unwrap_or_default());
                result.push_str(&value);
                end = whole.end();
                is_replaced = true;
            }
        }
        result.push_str(text.get(end..).unwrap_or_default());
        Ok(is_replaced.then_some(result))
    }

    fn look_up(&self, reference: &Captures<'_>, lookups: &mut Lookups) -> Result<Option<String>, ProviderError> {
        let part = |index: usize| reference.get(index).map_or("", |part| part.as_str());
        let Some(provider) = self.by_name.get(part(1)) else { return Ok(None) };
        let value = provider.source.look_up(part(3), part(4), &mut lookups.files)?;
        if value.is_some()
            && let Some(ttl) = provider.ttl
        {
            lookups.ttl = Some(lookups.ttl.map_or(ttl, |known| known.min(ttl)));
        }
        Ok(value)
    }
}

impl Source {
    fn look_up(&self, path: &str, key: &str, files: &mut Files) -> Result<Option<String>, ProviderError> {
        match self {
            Source::File(allowed) => match allowed.check(Path::new(path)) {
                Some(path) => Ok(properties_of(path, files)?.get(key).cloned()),
                None => Ok(None),
            },
            Source::Directory(allowed) => {
                let mut components = Path::new(key).components();
                let is_plain = matches!((components.next(), components.next()), (Some(Component::Normal(_)), None));
                match allowed.check(&Path::new(path).join(key)) {
                    Some(file) if is_plain && !path.is_empty() && file.is_file() => read(&file, "a value").map(Some),
                    _ => Ok(None),
                }
            }
            Source::Environment(_) if !path.is_empty() => Err(ProviderError::PathInEnvironment(path.to_owned())),
            Source::Environment(allowed) => {
                let is_allowed = allowed.as_ref().is_none_or(|pattern| pattern.is_match(key));
                Ok(std::env::var(key).ok().filter(|_| is_allowed))
            }
        }
    }
}

/// What has been looked up for the present configuration.
#[derive(Default)]
struct Lookups {
    files: Files,
    ttl: Option<Duration>,
}

/// Property files that have been read.
type Files = HashMap<PathBuf, HashMap<String, String>>;

fn properties_of(path: PathBuf, files: &mut Files) -> Result<&HashMap<String, String>, ProviderError> {
    if !files.contains_key(&path) {
        let text = read(&path, "properties")?;
        let entries = properties::parse(&text).map_err(|error| unreadable("properties", &path, error.to_string()))?;
        files.insert(path.clone(), entries.into_iter().collect());
    }
    Ok(files.entry(path).or_default())
}

fn read(path: &Path, what: &'static str) -> Result<String, ProviderError> {
    let mut text = String::new();
    let file = File::open(path).map_err(|error| unreadable(what, path, error.to_string()))?;
    let length = file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text);
    let length = length.map_err(|error| unreadable(what, path, error.to_string()))?;
    if length as u64 > MAX_FILE_BYTES {
        return Err(unreadable(what, path, format!("it is larger than {MAX_FILE_BYTES} bytes")));
    }
    Ok(text)
}

fn unreadable(what: &'static str, path: &Path, reason: String) -> ProviderError {
    ProviderError::Unreadable { what, path: path.display().to_string(), reason }
}

/// A time to live must be long enough not to keep the worker busy with it.
fn ttl(name: &str, text: Option<&str>) -> Result<Option<Duration>, ProviderError> {
    let Some(text) = text else { return Ok(None) };
    match text.parse() {
        Ok(millis) if (MIN_TTL_MS..=MAX_TTL_MS).contains(&millis) => Ok(Some(Duration::from_millis(millis))),
        _ => Err(ProviderError::Setup(format!(
            "Invalid value {text} for configuration config.providers.{name}.param.ttl.ms: use a number from {MIN_TTL_MS} to \
             {MAX_TTL_MS}"
        ))),
    }
}

fn pattern(name: &str, text: Option<&str>) -> Result<Option<Regex>, ProviderError> {
    let Some(text) = text else { return Ok(None) };
    // The whole name must match.
    Regex::new(&format!("^(?:{text})$")).map(Some).map_err(|_| {
        ProviderError::Setup(format!(
            "Invalid value {text} for configuration config.providers.{name}.param.allowlist.pattern: not a regular expression"
        ))
    })
}

impl Allowed {
    fn new(paths: Option<&str>) -> Result<Allowed, ProviderError> {
        let paths = paths.filter(|paths| !paths.is_empty()).map(|paths| {
            paths
                .split(',')
                .map(|path| {
                    let path = Path::new(path.trim());
                    if !path.is_absolute() {
                        return Err(ProviderError::Setup(format!("Path {} is not absolute", path.display())));
                    }
                    path.canonicalize().map_err(|_| ProviderError::Setup(format!("Path {} does not exist", path.display())))
                })
                .collect()
        });
        Ok(Allowed(paths.transpose()?))
    }

    /// The path if it may be read. Links are followed first: a link does not lead out of what is allowed.
    fn check(&self, path: &Path) -> Option<PathBuf> {
        match &self.0 {
            None => (!path.as_os_str().is_empty()).then(|| path.to_owned()),
            Some(allowed) => {
                // What does not exist is an error when it is read, if it may be read.
                let is_straight = !path.components().any(|component| component == Component::ParentDir);
                let path = path.canonicalize().ok().or_else(|| is_straight.then(|| path.to_owned()))?;
                allowed.iter().any(|allowed| path.starts_with(allowed)).then_some(path)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn providers(pairs: &[(&str, &str)]) -> Result<Providers, ProviderError> {
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Providers::new(&pairs)
    }

    const KAFKA: &str = "org.apache.kafka.common.config.provider.";

    #[test]
    fn references_are_replaced_by_kafkas_rules() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().display().to_string();
        std::fs::write(folder.path().join("db.properties"), "user=me\npass\\ word=s\\u0065cret\nloop=${file:x:y}\n").unwrap();
        std::fs::write(folder.path().join("token"), "t0k=en\n").unwrap();
        let providers = providers(&[
            ("config.providers", "file, dir,env"),
            ("config.providers.file.class", &format!("{KAFKA}FileConfigProvider")),
            ("config.providers.dir.class", &format!("{KAFKA}DirectoryConfigProvider")),
            ("config.providers.env.class", &format!("{KAFKA}EnvVarConfigProvider")),
            ("config.providers.env.param.allowlist.pattern", "PAT.?"),
        ])
        .unwrap();
        let check = |value: &str, expect: &str| {
            let value = value.replace("DIR", &dir);
            let resolved = providers.resolve([("k", Some(value.as_str())), ("other", None)]).unwrap();
            let expect = expect.replace("DIR", &dir);
            assert_eq!(resolved.config, [("k".to_owned(), Some(expect.clone())), ("other".to_owned(), None)]);
            assert_eq!(resolved.secret_keys.contains("k"), expect != value, "{value}");
            assert!(!format!("{resolved:?}").contains("s3cret"));
        };
        check("plain $ {x} ${}", "plain $ {x} ${}");
        check("${file:DIR/db.properties:user}", "me");
        check("a ${file:DIR/db.properties:user}/${file:DIR/db.properties:pass word}!", "a me/secret!");
        check("${file:DIR/db.properties:loop}", "${file:x:y}");
        check("${file:DIR/db.properties:none}${file:DIR/db.properties:user}", "${file:DIR/db.properties:none}me");
        check("${nobody:a:b}", "${nobody:a:b}");
        check("${file:user}", "${file:user}");
        check("${dir:DIR:token}", "t0k=en\n");
        check("${dir:DIR:none}", "${dir:DIR:none}");
        check("${dir:DIR/..:../token}", "${dir:DIR/..:../token}");
        check("${dir::/etc/hostname}", "${dir::/etc/hostname}");
        check("${dir:token}", "${dir:token}");
        let path = std::env::var("PATH").unwrap();
        check("${env:PATH}", &path);
        check("${env::PATH}", &path);
        check("${env:HOME}", "${env:HOME}");
        check("${env:PATX}", "${env:PATX}");
        assert!(providers.has_reference("x${a:b}") && !providers.has_reference("${a}"));

        let error = |value: &str| providers.resolve([("k", Some(value))]).unwrap_err().to_string();
        assert!(error("${env:a:b}").starts_with("Path is not supported for EnvVarConfigProvider, invalid value 'a'"));
        assert!(error("${file:/no/such/file:x}").starts_with("Could not read properties from file /no/such/file"));
        std::fs::write(folder.path().join("bad"), "secret=\\u12").unwrap();
        assert!(!error(&format!("${{file:{dir}/bad:x}}")).contains("secret"));
        std::fs::write(folder.path().join("huge"), vec![b' '; MAX_FILE_BYTES as usize + 1]).unwrap();
        assert!(error(&format!("${{dir:{dir}:huge}}")).contains("larger than"));
    }

    #[test]
    fn only_allowed_paths_are_read() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["in", "out", "in-between"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("f"), "k=v").unwrap();
        }
        std::os::unix::fs::symlink("../out/f", folder.path().join("in/link")).unwrap();
        std::os::unix::fs::symlink("f", folder.path().join("in/near")).unwrap();
        let dir = folder.path().display().to_string();
        for (class, key) in [("FileConfigProvider", ":k"), ("DirectoryConfigProvider", "")] {
            let allowed = format!("{dir}/in");
            let providers = providers(&[
                ("config.providers", "p"),
                ("config.providers.p.class", class),
                ("config.providers.p.param.allowed.paths", &allowed),
            ])
            .unwrap();
            for (path, is_read) in [
                ("in/f", true),
                ("in/near", true),
                ("out/f", false),
                ("in/../out/f", false),
                ("in/link", false),
                ("in-between/f", false),
            ] {
                let path = if key.is_empty() {
                    path.replace("/f", ":f").replace("/link", ":link").replace("/near", ":near")
                } else {
                    path.to_owned()
                };
                let value = format!("${{p:{dir}/{path}{key}}}");
                let resolved = providers.resolve([("x", Some(value.as_str()))]).unwrap();
                assert_eq!(!resolved.secret_keys.is_empty(), is_read, "{class} {path}");
            }
        }
    }

    #[test]
    fn a_missing_file_is_an_error_where_it_may_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().canonicalize().unwrap().display().to_string();
        let providers = providers(&[
            ("config.providers", "p"),
            ("config.providers.p.class", "FileConfigProvider"),
            ("config.providers.p.param.allowed.paths", &dir),
        ])
        .unwrap();
        assert!(providers.resolve([("x", Some(format!("${{p:{dir}/none:k}}").as_str()))]).is_err());
        assert!(providers.resolve([("x", Some("${p:/no/such/file:k}"))]).unwrap().secret_keys.is_empty());
    }

    #[test]
    fn the_shortest_time_to_live_of_what_was_used_counts() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("p"), "k=v").unwrap();
        let dir = folder.path().display().to_string();
        let providers = providers(&[
            ("config.providers", "f,slow,env"),
            ("config.providers.f.class", "FileConfigProvider"),
            ("config.providers.f.param.ttl.ms", "2000"),
            ("config.providers.slow.class", "DirectoryConfigProvider"),
            ("config.providers.slow.param.ttl.ms", "9000"),
            ("config.providers.env.class", "EnvVarConfigProvider"),
        ])
        .unwrap();
        let check = |value: String, ttl: Option<u64>| {
            let resolved = providers.resolve([("a", Some(value.as_str()))]).unwrap();
            assert_eq!(resolved.ttl, ttl.map(Duration::from_millis), "{value}");
        };
        check("plain".to_owned(), None);
        check("${env:PATH}".to_owned(), None);
        check(format!("${{f:{dir}/p:none}}"), None);
        check(format!("${{slow:{dir}:p}}${{env:PATH}}"), Some(9000));
        check(format!("${{slow:{dir}:p}}${{f:{dir}/p:k}}"), Some(2000));
    }

    #[test]
    fn a_wrong_setup_is_refused() {
        let check = |pairs: &[(&str, &str)], expect: &str| {
            let error = providers(pairs).err().unwrap().to_string();
            assert!(error.contains(expect), "{error}");
        };
        check(&[("config.providers", "p")], "Missing required configuration \"config.providers.p.class\"");
        check(&[("config.providers", "p"), ("config.providers.p.class", "com.example.Vault")], "com.example.Vault");
        let file = [("config.providers", "p"), ("config.providers.p.class", "FileConfigProvider")];
        check(&[file[0], file[1], ("config.providers.p.param.allowed.paths", "/no/such")], "/no/such does not exist");
        check(&[file[0], file[1], ("config.providers.p.param.allowed.paths", "rel")], "rel is not absolute");
        let env = [("config.providers", "p"), ("config.providers.p.class", "EnvVarConfigProvider")];
        check(&[env[0], env[1], ("config.providers.p.param.allowlist.pattern", "(")], "not a regular expression");
        check(&[env[0], env[1], ("config.providers.p.param.ttl.ms", "0")], "use a number from 1000");
    }
}
