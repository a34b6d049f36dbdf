//! Follows one file: reads what is appended, and notices when it is cut short or another file takes its name.
//!
//! Stable Rust gives no inode on WASI. So "is this path still the file that I have open?" is answered by what both say
//! of themselves: the length and the time of the last change, of the open file and of the path. They are equal for one
//! file and differ for two, unless somebody writes in between: so the path is looked at before and after the open file,
//! and only an answer between two equal looks counts.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::time::{Duration, Instant, SystemTime};

use hawser_plugin::{info, warn};

use crate::lines::Lines;

/// Bytes that are read at once.
const READ_BYTES: usize = 256 << 10;
/// A longer line fails the task; no broker takes it.
const MAX_LINE: usize = 16 << 20;
/// First bytes by which a file is told from another one under its name.
const HEAD_BYTES: u64 = 256;
/// For so long a writer may go on with a file that was moved away.
const MOVED_GRACE: Duration = Duration::from_secs(2);

/// A file that is followed.
#[derive(Debug)]
pub struct Follower {
    path: String,
    file: Option<File>,
    lines: Lines,
    /// How far the file was read, in bytes: the last of them are in `lines`.
    read: u64,
    /// What the file must begin with to be the one that was read to `read` before.
    begins: Option<String>,
    /// Its first bytes, as far as they were needed.
    head: Vec<u8>,
    /// Since when another file has the path while nothing has come from this one.
    moved: Option<Instant>,
    /// There was nothing to read at the last look.
    idle: bool,
}

/// How the open file and the path relate.
#[derive(Debug, PartialEq, Eq)]
enum Change {
    /// The path is the open file, or that cannot be told just now.
    None,
    /// The open file is shorter than what was read of it.
    Truncated,
    /// The path is another file.
    Replaced,
}

impl Follower {
    /// Follows a file from a place on, in bytes; from its start if its [`head`](Self::head) is no longer the one given.
    pub fn new(path: String, position: u64, begins: Option<String>) -> Self {
        let (lines, head) = (Lines::default(), Vec::new());
        Self { path, file: None, lines, read: position, begins, head, moved: None, idle: false }
    }

    /// What tells the file from another one under its name: how many of its first bytes, of those before
    /// [`position`](Self::position), and their hash. None if they cannot be read.
    pub fn head(&mut self) -> Option<String> {
        let wanted = self.position().min(HEAD_BYTES);
        let file = self.file.as_mut()?;
        if (self.head.len() as u64) < wanted {
            self.head.clear();
            let read = file.seek(SeekFrom::Start(0)).and_then(|_| Read::by_ref(file).take(wanted).read_to_end(&mut self.head));
            file.seek(SeekFrom::Start(self.read)).and(read).ok()?;
        }
        Some(describe(self.head.get(..usize::try_from(wanted).ok()?)?))
    }

    /// Its path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Where the next line begins, in bytes.
    pub fn position(&self) -> u64 {
        self.read.saturating_sub(self.lines.waiting().len() as u64)
    }

    /// Whether there was nothing to read at the last look.
    pub fn is_idle(&self) -> bool {
        self.idle
    }

    /// The next line of what was read.
    pub fn line(&mut self) -> Option<&[u8]> {
        self.lines.next()
    }

    /// Reads more. False if there is nothing more for now.
    ///
    /// # Errors
    /// Those of the file; it can be called again. [`ErrorKind::InvalidData`] for a line that is too long.
    pub fn more(&mut self, now: Instant) -> io::Result<bool> {
        if self.lines.waiting().len() > MAX_LINE {
            return Err(io::Error::new(ErrorKind::InvalidData, format!("a line is longer than {MAX_LINE} bytes")));
        }
        let more = self.open()? && (self.read()? || self.look_around(now)?);
        self.idle = !more;
        if self.idle {
            self.lines.shrink();
        }
        Ok(more)
    }

    /// Opens the file where it was read to. False if it does not exist.
    fn open(&mut self) -> io::Result<bool> {
        if self.file.is_some() {
            return Ok(true);
        }
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let length = file.metadata()?.len();
        if length < self.read {
            warn!(
                "{} has {length} bytes, fewer than the {} read before: it is another file, or was cut short; reading it from the start",
                self.path, self.read
            );
            self.read = 0;
        } else if let Some(begins) = self.begins.take()
            && !has_head(&mut file, &begins)?
        {
            warn!("{} does not begin as it did: it is another file; reading it from the start", self.path);
            self.read = 0;
        }
        file.seek(SeekFrom::Start(self.read))?;
        self.lines.clear();
        self.head.clear();
        self.file = Some(file);
        Ok(true)
    }

    fn read(&mut self) -> io::Result<bool> {
        let Some(file) = &mut self.file else { return Ok(false) };
        let read = self.lines.fill(READ_BYTES, |room| file.read(room))?;
        self.read += read as u64;
        if read == 0 {
            // On WASI a file's stream is closed once it has met the end of the file, and answers nothing more; a seek opens
            // another one.
            file.seek(SeekFrom::Start(self.read))?;
            return Ok(false);
        }
        self.moved = None;
        Ok(true)
    }

    /// At the end of the file: whether it goes on elsewhere.
    fn look_around(&mut self, now: Instant) -> io::Result<bool> {
        match self.change()? {
            Change::None => {
                self.moved = None;
                Ok(false)
            }
            Change::Truncated => {
                info!("{} was cut short: reading it from the start", self.path);
                self.start_over();
                Ok(true)
            }
            Change::Replaced => {
                if now.saturating_duration_since(*self.moved.get_or_insert(now)) < MOVED_GRACE {
                    return Ok(false);
                }
                // Nobody will end the last line of a file that was moved away.
                if !self.lines.end_last() {
                    info!("{} is another file now: reading it from the start", self.path);
                    self.start_over();
                }
                Ok(true)
            }
        }
    }

    fn start_over(&mut self) {
        self.file = None;
        self.lines.clear();
        self.read = 0;
        self.moved = None;
    }

    fn change(&self) -> io::Result<Change> {
        let Some(file) = &self.file else { return Ok(Change::None) };
        let before = looks(fs::metadata(&self.path))?;
        let open = looks(file.metadata())?;
        if open.is_some_and(|open| open.0 < self.read) {
            return Ok(Change::Truncated);
        }
        let after = looks(fs::metadata(&self.path))?;
        Ok(if before.is_some() && before == after && before != open { Change::Replaced } else { Change::None })
    }
}

/// A head as it stands in an offset: bytes and their FNV-1a hash.
fn describe(head: &[u8]) -> String {
    let hash = head.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{}:{hash:016x}", head.len())
}

/// Whether a file begins with what is described. What is no description describes every file.
fn has_head(file: &mut File, described: &str) -> io::Result<bool> {
    let Some(length) = described.split(':').next().and_then(|length| length.parse::<u64>().ok()) else { return Ok(true) };
    let mut head = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(length.min(HEAD_BYTES)).read_to_end(&mut head)?;
    Ok(describe(&head) == described)
}

/// Length and time of the last change; none if there is no such file.
fn looks(metadata: io::Result<Metadata>) -> io::Result<Option<(u64, SystemTime)>> {
    match metadata {
        Ok(metadata) => Ok(Some((metadata.len(), metadata.modified()?))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::path::PathBuf;

    struct Fixture {
        folder: tempfile::TempDir,
        follower: Follower,
        now: Instant,
    }

    impl Fixture {
        fn new(content: &str, position: u64) -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("log"), content).unwrap();
            let path = folder.path().join("log").to_string_lossy().into_owned();
            Self { folder, follower: Follower::new(path, position, None), now: Instant::now() }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.folder.path().join(name)
        }

        fn append(&self, name: &str, content: &str) {
            OpenOptions::new().append(true).open(self.path(name)).unwrap().write_all(content.as_bytes()).unwrap();
        }

        fn later(&mut self) {
            self.now += MOVED_GRACE;
        }

        fn lines(&mut self) -> Vec<String> {
            let mut lines = Vec::new();
            loop {
                while let Some(line) = self.follower.line() {
                    lines.push(String::from_utf8(line.to_vec()).unwrap());
                }
                if !self.follower.more(self.now).unwrap() {
                    return lines;
                }
            }
        }
    }

    #[test]
    fn follows_what_is_appended_and_keeps_a_partial_line_back() {
        let mut file = Fixture::new("one\ntw", 0);
        assert_eq!(file.lines(), ["one"]);
        assert_eq!(file.follower.position(), 4);
        file.append("log", "o\nthree\n");
        assert_eq!(file.lines(), ["two", "three"]);
        assert_eq!(file.follower.position(), 14);
        assert!(file.lines().is_empty());
    }

    #[test]
    fn starts_where_it_is_told() {
        assert_eq!(Fixture::new("one\ntwo\n", 4).lines(), ["two"]);
        assert_eq!(Fixture::new("one\n", 4).lines(), [""; 0]);
        assert_eq!(Fixture::new("one\n", 5).lines(), ["one"], "the file is shorter than that");
    }

    #[test]
    fn another_file_of_that_name_is_told_by_its_head() {
        let long = "x".repeat(300);
        for (before, after, expected) in [
            ("one\ntwo\n", "one\ntwo\nthree\n", vec!["three"]),
            ("one\ntwo\n", "uno\ndue\ntre\n", vec!["uno", "due", "tre"]),
            ("one\ntwo", "one\nelse\n", vec!["else"]),
            (format!("{long}\none\n").as_str(), format!("{long}\ntwo\nthree\n").as_str(), vec!["three"]),
        ] {
            let mut file = Fixture::new(before, 0);
            file.lines();
            let (position, head) = (file.follower.position(), file.follower.head());
            assert!(head.is_some());
            fs::write(file.path("log"), after).unwrap();
            file.follower = Follower::new(file.path("log").to_string_lossy().into_owned(), position, head);
            assert_eq!(file.lines(), expected, "{before:?}");
        }
    }

    #[test]
    fn waits_for_a_file_that_is_not_there() {
        let mut file = Fixture::new("", 0);
        fs::remove_file(file.path("log")).unwrap();
        assert!(file.lines().is_empty());
        fs::write(file.path("log"), "one\n").unwrap();
        assert_eq!(file.lines(), ["one"]);
    }

    #[test]
    fn starts_over_when_the_file_is_cut_short() {
        let mut file = Fixture::new("one\ntwo\npart", 0);
        assert_eq!(file.lines(), ["one", "two"]);
        fs::write(file.path("log"), "new\n").unwrap();
        assert_eq!(file.lines(), ["new"]);
        assert_eq!(file.follower.position(), 4);
    }

    #[test]
    fn goes_on_with_the_new_file_once_the_old_one_is_done() {
        for (left_over, expected) in [("", vec!["new"]), ("part", vec!["part", "new"]), ("part\r", vec!["part", "new"])] {
            let mut file = Fixture::new("one\n", 0);
            assert_eq!(file.lines(), ["one"]);
            fs::rename(file.path("log"), file.path("log.1")).unwrap();
            assert!(file.lines().is_empty());
            file.append("log.1", "two\n");
            assert_eq!(file.lines(), ["two"], "the writer has not noticed yet");
            fs::write(file.path("log"), "new\n").unwrap();
            file.append("log.1", left_over);
            assert!(file.lines().is_empty());
            file.later();
            assert_eq!(file.lines(), expected);
            assert_eq!(file.follower.position(), 4);
            file.append("log", "more\n");
            assert_eq!(file.lines(), ["more"]);
        }
    }

    #[test]
    fn a_new_file_as_long_as_the_old_one_is_noticed() {
        let mut file = Fixture::new("one\n", 0);
        assert_eq!(file.lines(), ["one"]);
        fs::write(file.path("new"), "two\n").unwrap();
        let changed = fs::metadata(file.path("log")).unwrap().modified().unwrap() + Duration::from_nanos(1);
        File::options().append(true).open(file.path("new")).unwrap().set_modified(changed).unwrap();
        fs::rename(file.path("new"), file.path("log")).unwrap();
        assert!(file.lines().is_empty());
        file.later();
        assert_eq!(file.lines(), ["two"]);
    }

    #[test]
    fn lines_may_be_longer_than_what_is_read_at_once() {
        let long = "x".repeat(3 * READ_BYTES + 1);
        let mut file = Fixture::new(&format!("{long}\ny\n"), 0);
        assert_eq!(file.lines(), [long, "y".to_owned()]);
    }
}
