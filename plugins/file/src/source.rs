//! The source: lines of files as records.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::time::{Duration, Instant, SystemTime};

use hawser_plugin::prelude::*;
use serde::{Deserialize, Serialize};

use crate::follower::Follower;
use crate::lines::text;
use crate::pattern::{MAX_FILES, Pattern, owner};

/// How long the source idles when no file has anything new.
const IDLE: Duration = Duration::from_millis(200);
/// How often it looks for new files of a pattern.
const SCAN_INTERVAL: Duration = Duration::from_secs(5);

/// Sends each line of a file, or of the files that match a pattern, as a record.
pub struct FileSource {
    topic: String,
    batch_size: usize,
    pattern: Pattern,
    task: u64,
    tasks: u64,
    followers: BTreeMap<String, Follower>,
    scanned: Option<Instant>,
    /// The path at which the last batch was full: the next one begins after it, so that no file has to wait.
    last: String,
    context: SourceContext,
}

/// The source partition, as Kafka's FileStreamSource writes it.
#[derive(Serialize)]
struct Partition<'a> {
    filename: &'a str,
}

/// The source offset, as Kafka's FileStreamSource writes it: where the next line begins, in bytes. It ignores the second member.
#[derive(Serialize, Deserialize)]
struct Offset {
    position: u64,
    /// What the file begins with, so that another one that took its name meanwhile is not read on in its middle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    head: Option<String>,
}

impl Class for FileSource {
    fn class() -> ClassInfo {
        let config = ConfigDef::new()
            .string("file")
            .required()
            .not_empty()
            .doc(
                "The file to follow: its path, or a pattern whose last part has the wildcards * and ? (the files are then \
                 shared out among the tasks). Its directory must be granted with sandbox.files.",
            )
            .string("topic")
            .required()
            .not_empty()
            .doc("The topic to send the lines to.")
            .int("batch.size")
            .default_value("2000")
            .at_least(1)
            .importance(Importance::Low)
            .doc("Lines to take at once, at most; more than 500 are taken 500 at a time.")
            .long("task.index")
            .default_value("0")
            .importance(Importance::Low)
            .doc("Set by the connector for its tasks.")
            .long("task.count")
            .default_value("1")
            .importance(Importance::Low)
            .doc("Set by the connector for its tasks.");
        ClassInfo::new("org.apache.kafka.connect.file.FileStreamSourceConnector")
            .alias("FileStreamSourceConnector")
            .alias("FileStreamSource")
            .summary("Follows files and sends each line as a record.")
            .config(config)
    }
}

impl Source for FileSource {
    fn task_configs(config: &Config, max_tasks: usize) -> Result<Vec<TaskConfig>> {
        let tasks = if Pattern::new(config.get("file")?).is_many() { max_tasks } else { 1 };
        let task = |index: usize| config.to_task().with("task.index", index.to_string()).with("task.count", tasks.to_string());
        Ok((0..tasks).map(task).collect())
    }

    fn start(config: &Config, context: SourceContext) -> Result<Self> {
        let pattern = Pattern::new(config.get("file")?);
        let directory = pattern.directory();
        fs::metadata(directory).map_err(|error| {
            Error::invalid_config(format!(
                "The directory {directory} of the configuration file cannot be reached ({error}): it must exist, and be \
                 granted to the connector with sandbox.files"
            ))
        })?;
        Ok(Self {
            topic: config.get("topic")?,
            batch_size: config.get::<u32>("batch.size")? as usize,
            pattern,
            task: config.get("task.index")?,
            tasks: config.get("task.count")?,
            followers: BTreeMap::new(),
            scanned: None,
            last: String::new(),
            context,
        })
    }

    fn poll(&mut self, batch: &mut SourceBatch) -> Result<()> {
        let now = Instant::now();
        if self.scanned.is_none_or(|scanned| now.duration_since(scanned) >= SCAN_INTERVAL) {
            self.scan()?;
            self.scanned = Some(now);
        }
        let millis = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_millis());
        let record = NewRecord::new(&self.topic).timestamp(i64::try_from(millis).unwrap_or(i64::MAX));
        let (before, after): (Vec<_>, Vec<_>) =
            self.followers.values_mut().partition(|follower| follower.path() <= self.last.as_str());
        for follower in after.into_iter().chain(before) {
            match read_lines(follower, batch, &record, self.batch_size, now) {
                Ok(false) => {}
                Ok(true) => {
                    follower.path().clone_into(&mut self.last);
                    return Ok(());
                }
                // What was read before is handed over first; the error comes again.
                Err(_) if !batch.is_empty() => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        if batch.is_empty() {
            batch.idle(IDLE);
        }
        Ok(())
    }
}

/// Adds lines of a file. True if the batch is full.
fn read_lines(
    follower: &mut Follower,
    batch: &mut SourceBatch,
    record: &NewRecord<'_>,
    batch_size: usize,
    now: Instant,
) -> Result<bool> {
    let before = batch.len();
    let outcome = loop {
        if batch.is_full() || batch.len() >= batch_size {
            break Ok(true);
        }
        if let Some(line) = follower.line() {
            batch.push(&record.value(text(line).as_ref()));
            continue;
        }
        match follower.more(now) {
            Ok(true) => {}
            Ok(false) => break Ok(false),
            Err(error) => break Err(describe(follower.path(), &error)),
        }
    };
    if batch.len() > before {
        let offset = Offset { position: follower.position(), head: follower.head() };
        batch.checkpoint(&Partition { filename: follower.path() }, &offset)?;
    }
    outcome
}

fn describe(path: &str, error: &io::Error) -> Error {
    let message = format!("cannot read {path}: {error}");
    match error.kind() {
        ErrorKind::InvalidData => Error::Fatal(message),
        _ => Error::Retriable(message),
    }
}

impl FileSource {
    /// Follows the files that are there by now, and no longer those that are gone and were read to their end.
    fn scan(&mut self) -> Result<()> {
        let mut paths = self.pattern.files().map_err(|error| describe(self.pattern.directory(), &error))?;
        if self.pattern.is_many() {
            paths.retain(|path| owner(path, self.tasks) == self.task);
        }
        self.followers.retain(|path, follower| !follower.is_idle() || paths.binary_search(path).is_ok());
        let room = MAX_FILES.saturating_sub(self.followers.len());
        let new: Vec<String> = paths.into_iter().filter(|path| !self.followers.contains_key(path)).collect();
        if new.len() > room {
            warn!(
                "{} files match, but a task follows no more than {MAX_FILES}: use more tasks",
                new.len() + self.followers.len()
            );
        }
        let new = new.into_iter().take(room).collect::<Vec<_>>();
        let partitions: Vec<Partition<'_>> = new.iter().map(|path| Partition { filename: path }).collect();
        let offsets: Vec<Option<Offset>> = self.context.offsets(&partitions)?;
        for (path, offset) in new.into_iter().zip(offsets) {
            let Offset { position, head } = offset.unwrap_or(Offset { position: 0, head: None });
            info!("following {path} from byte {position}");
            self.followers.insert(path.clone(), Follower::new(path, position, head));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hawser_plugin::testing::{Poll, SourceDriver, problems, source_tasks};

    fn start(file: &str) -> SourceDriver<FileSource> {
        SourceDriver::start(&[("file", file), ("topic", "lines")]).unwrap()
    }

    fn values(poll: &Poll) -> Vec<&str> {
        poll.records.iter().map(|record| record.value().as_str().unwrap()).collect()
    }

    #[test]
    fn sends_lines_with_kafkas_offsets() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("in.txt").to_string_lossy().into_owned();
        fs::write(&file, b"one\r\ntwo\n\xc3\xbc\xff\nlast").unwrap();
        let mut driver = start(&file);
        let poll = driver.poll().unwrap();
        assert_eq!(values(&poll), ["one", "two", "ü\u{fffd}"]);
        let record = poll.records.iter().next().unwrap();
        assert_eq!((record.topic(), record.key(), record.value()), ("lines", Payload::NULL, Payload::text("one")));
        assert!(record.timestamp().is_some());
        let [checkpoint] = poll.checkpoints.as_slice() else { panic!("{poll:?}") };
        assert_eq!(checkpoint.partition, format!("{{\"filename\":\"{file}\"}}"));
        assert!(checkpoint.offset.starts_with(r#"{"position":13,"head":"13:"#), "{}", checkpoint.offset);
        driver.commit(&poll).unwrap();
        assert_eq!((driver.poll().unwrap().records.len(), driver.poll().unwrap().idle_ms), (0, 200));
        fs::write(&file, b"one\r\ntwo\n\xc3\xbc\xff\nlast line\n").unwrap();
        assert_eq!(values(&start(&file).poll().unwrap()), ["last line"]);
    }

    #[test]
    fn batches_have_500_lines_or_fewer_and_4_mib() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("in.txt").to_string_lossy().into_owned();
        fs::write(&file, "x\n".repeat(1200)).unwrap();
        let mut driver = start(&file);
        let lengths: Vec<usize> = (0..4).map(|_| driver.poll().unwrap().records.len()).collect();
        assert_eq!(lengths, [500, 500, 200, 0]);
        let config = [("file", file.as_str()), ("topic", "t"), ("batch.size", "3")];
        assert_eq!(SourceDriver::<FileSource>::start(&config).unwrap().poll().unwrap().records.len(), 3);
        fs::write(&file, format!("{}\n", "x".repeat(1 << 20)).repeat(6)).unwrap();
        assert_eq!(start(&file).poll().unwrap().records.len(), 4);
    }

    #[test]
    fn a_pattern_is_shared_out_among_the_tasks() {
        let folder = tempfile::tempdir().unwrap();
        for file in 0..40 {
            fs::write(folder.path().join(format!("{file:02}.log")), format!("{file:02}\n")).unwrap();
        }
        fs::write(folder.path().join("other.txt"), "other\n").unwrap();
        let pattern = folder.path().join("*.log").to_string_lossy().into_owned();
        let config = [("file", pattern.as_str()), ("topic", "t")];
        let mut seen = Vec::new();
        for task in source_tasks::<FileSource>(&config, 3).unwrap() {
            let mut driver = SourceDriver::<FileSource>::start_task(task).unwrap();
            let poll = driver.poll().unwrap();
            assert_eq!(poll.checkpoints.len(), poll.records.len());
            seen.extend(values(&poll).into_iter().map(str::to_owned));
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..40).map(|file| format!("{file:02}")).collect::<Vec<_>>());
        assert_eq!(source_tasks::<FileSource>(&[("file", "/tmp/x"), ("topic", "t")], 3).unwrap().len(), 1);
    }

    #[test]
    fn a_busy_file_does_not_keep_the_others_waiting() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a"), "a\n".repeat(2000)).unwrap();
        fs::write(folder.path().join("b"), "b\n").unwrap();
        let mut driver = start(&folder.path().join("?").to_string_lossy());
        assert_eq!(values(&driver.poll().unwrap()), ["a"; 500]);
        let second = driver.poll().unwrap();
        assert_eq!((values(&second)[0], values(&second)[1], second.checkpoints.len()), ("b", "a", 2));
    }

    #[test]
    fn says_what_is_wrong_with_a_configuration() {
        assert_eq!(problems::<FileSource>(&[]).len(), 2);
        assert_eq!(problems::<FileSource>(&[("file", "f"), ("topic", "t"), ("batch.size", "0")]).len(), 1);
        let error = SourceDriver::<FileSource>::start(&[("file", "/no/such/file"), ("topic", "t")]).err().unwrap();
        assert!(matches!(&error, Error::InvalidConfig(message) if message.contains("sandbox.files")), "{error:?}");
    }
}
