//! Which files are meant: one, or those of a directory whose names match.

use std::fs;
use std::io;
use std::path::Path;

/// Files that a task follows at most; further ones are left out with a warning.
pub const MAX_FILES: usize = 1000;

/// A path whose last part may have the wildcards `*` (any characters) and `?` (one character).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    File(String),
    Names { directory: String, name: String },
}

impl Pattern {
    pub fn new(path: &str) -> Self {
        let (directory, name) = path.rsplit_once('/').unwrap_or((".", path));
        if !name.contains(['*', '?']) {
            return Self::File(path.to_owned());
        }
        let directory = if directory.is_empty() { "/" } else { directory };
        Self::Names { directory: directory.to_owned(), name: name.to_owned() }
    }

    /// Whether it can stand for more than one file.
    pub fn is_many(&self) -> bool {
        matches!(self, Self::Names { .. })
    }

    /// The directory that the files are in.
    pub fn directory(&self) -> &str {
        match self {
            Self::Names { directory, .. } => directory,
            Self::File(path) => match path.rsplit_once('/') {
                Some(("", _)) => "/",
                Some((directory, _)) => directory,
                None => ".",
            },
        }
    }

    /// The paths of the files, in order. A file that is named outright need not exist.
    pub fn files(&self) -> io::Result<Vec<String>> {
        let (directory, pattern) = match self {
            Self::File(path) => return Ok(vec![path.clone()]),
            Self::Names { directory, name } => (directory, name),
        };
        let mut paths = Vec::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| matches(pattern.as_bytes(), name.as_bytes())) else { continue };
            if fs::metadata(entry.path()).is_ok_and(|metadata| metadata.is_file()) {
                paths.push(Path::new(directory).join(name).to_string_lossy().into_owned());
            }
        }
        paths.sort_unstable();
        Ok(paths)
    }
}

/// Whether a name matches, with one place to come back to per `*`: time grows with the product of the lengths at most.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(b'?') => {
                // One character, however many bytes it has.
                read += 1;
                while name.get(read).is_some_and(|byte| byte & 0xc0 == 0x80) {
                    read += 1;
                }
                at += 1;
            }
            Some(byte) if Some(byte) == name.get(read) => {
                read += 1;
                at += 1;
            }
            _ => match star {
                Some((before, from)) => {
                    star = Some((before, from + 1));
                    at = before + 1;
                    read = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).is_some_and(|rest| rest.iter().all(|&byte| byte == b'*'))
}

/// Which of `count` tasks a file belongs to: always the same one, so that new files need no restart of tasks (FNV-1a).
pub fn owner(path: &str, count: u64) -> u64 {
    let hash = path.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    (hash ^ hash >> 32) % count.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_names() {
        for (pattern, name, expected) in [
            ("*", "", true),
            ("*.log", "a.log", true),
            ("*.log", "a.log.1", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("a?c", "abc", true),
            ("a?c", "aéc", true),
            ("a?c", "ac", false),
            ("a**", "a", true),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn only_the_last_part_is_a_pattern() {
        assert_eq!(Pattern::new("/a*/b"), Pattern::File("/a*/b".to_owned()));
        assert_eq!(Pattern::new("/a/*"), Pattern::Names { directory: "/a".to_owned(), name: "*".to_owned() });
        assert_eq!(Pattern::new("/*"), Pattern::Names { directory: "/".to_owned(), name: "*".to_owned() });
        assert_eq!(Pattern::new("?"), Pattern::Names { directory: ".".to_owned(), name: "?".to_owned() });
    }

    #[test]
    fn files_are_spread_evenly() {
        let mut owned = [0; 4];
        for file in 0..400 {
            owned[usize::try_from(owner(&format!("/var/log/app-{file}.log"), 4)).unwrap()] += 1;
        }
        assert!(owned.iter().all(|&files| files > 70), "{owned:?}");
    }
}
