//! The sink: each value as a line of a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};

use hawser_plugin::prelude::*;

/// Bytes that are read at once to find the end of the last whole line.
const TAIL_BYTES: u64 = 64 << 10;

/// Appends the value of each record and a line feed to a file.
///
/// A crash can leave half a line behind. It was not flushed, so its record comes again: the half line is cut off before
/// anything is appended. A write that fails half way is taken back in the same way.
pub struct FileSink {
    path: String,
    file: File,
    /// Bytes of whole lines in the file.
    length: u64,
    /// A write has failed, so that there may be more in the file than that.
    torn: bool,
    /// Something was written since the last flush.
    dirty: bool,
    lines: Vec<u8>,
}

impl Class for FileSink {
    fn class() -> ClassInfo {
        let config =
            ConfigDef::new().string("file").required().not_empty().doc(
                "The file to append to; it is created if it is not there. Its directory must be granted with sandbox.files.",
            );
        ClassInfo::new("org.apache.kafka.connect.file.FileStreamSinkConnector")
            .alias("FileStreamSinkConnector")
            .alias("FileStreamSink")
            .summary("Appends the value of each record to a file, as a line.")
            .config(config)
    }
}

impl Sink for FileSink {
    /// One task: two could not tell half a line of the other from one that a crash has left.
    fn task_configs(config: &Config, _: usize) -> Result<Vec<TaskConfig>> {
        Ok(vec![config.to_task()])
    }

    fn start(config: &Config, _: SinkContext) -> Result<Self> {
        let path: String = config.get("file")?;
        let opened = OpenOptions::new().create(true).append(true).open(&path).and_then(|file| {
            let length = file.metadata()?.len();
            Ok((file, length, whole_lines(&path, length)?))
        });
        let (file, length, whole) = opened.map_err(|error| {
            Error::invalid_config(format!(
                "The file {path} cannot be opened ({error}): its directory must exist, and be granted to the connector with \
                 sandbox.files"
            ))
        })?;
        if whole < length {
            warn!("{path} ends with {} bytes of a line that was never finished: cutting them off", length - whole);
            file.set_len(whole).map_err(|error| describe(&path, &error))?;
        }
        Ok(Self { path, file, length: whole, torn: false, dirty: false, lines: Vec::new() })
    }

    fn put(&mut self, records: &Batch, _: &mut Failures) -> Result<()> {
        self.lines.clear();
        for record in records {
            write_text(&mut self.lines, record.value());
            self.lines.push(b'\n');
        }
        self.append().map_err(|error| describe(&self.path, &error))?;
        Ok(())
    }

    fn flush(&mut self, offsets: Vec<TopicOffset>) -> Result<Vec<TopicOffset>> {
        if self.dirty {
            self.file.sync_data().map_err(|error| describe(&self.path, &error))?;
            self.dirty = false;
        }
        Ok(offsets)
    }
}

impl FileSink {
    fn append(&mut self) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.length)?;
        }
        self.torn = true;
        self.file.write_all(&self.lines)?;
        self.torn = false;
        self.dirty = true;
        self.length += self.lines.len() as u64;
        Ok(())
    }
}

/// What Java's `toString` makes of a value, which Kafka prints: a string without quotes, a null as `null`. Objects stay JSON.
fn write_text(line: &mut Vec<u8>, value: Payload<'_>) {
    let bytes = value.bytes.unwrap_or(b"null");
    match bytes {
        [b'"', text @ .., b'"'] if value.schema.is_json() && memchr::memchr(b'\\', text).is_none() => {
            line.extend_from_slice(text);
        }
        [b'"', ..] if value.schema.is_json() => match serde_json::from_slice::<String>(bytes) {
            Ok(text) => line.extend_from_slice(text.as_bytes()),
            Err(_) => line.extend_from_slice(bytes), // no JSON, whatever its schema says
        },
        _ => line.extend_from_slice(bytes),
    }
}

fn describe(path: &str, error: &io::Error) -> Error {
    Error::retriable(format!("cannot write {path}: {error}"))
}

/// How many bytes of the file are whole lines.
fn whole_lines(path: &str, length: u64) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let mut end = length;
    let mut tail = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(TAIL_BYTES);
        file.seek(SeekFrom::Start(start))?;
        tail.clear();
        Read::by_ref(&mut file).take(end - start).read_to_end(&mut tail)?;
        if let Some(found) = memchr::memrchr(b'\n', &tail) {
            return Ok(start + found as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hawser_plugin::testing::{SinkDriver, batch};
    use std::fs;

    fn start(path: &str) -> SinkDriver<FileSink> {
        SinkDriver::start(&[("file", path)], &[("t", 0)]).unwrap()
    }

    fn put(driver: &mut SinkDriver<FileSink>, values: &[Option<&str>]) {
        let records: Vec<NewRecord<'_>> = values.iter().map(|&value| NewRecord::new("t").value(value)).collect();
        assert_eq!(driver.put(&batch(&records).unwrap()), Ok(Vec::new()));
    }

    #[test]
    fn appends_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.txt").to_string_lossy().into_owned();
        let mut driver = start(&path);
        put(&mut driver, &[Some("one"), None, Some("")]);
        put(&mut driver, &[Some(r#"{"a":1}"#)]);
        assert_eq!(driver.flush("t", 0, 4), Ok(Some(4)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\nnull\n\n{\"a\":1}\n");
        put(&mut start(&path), &[Some("two")]);
        assert!(fs::read_to_string(&path).unwrap().ends_with("{\"a\":1}\ntwo\n"));
    }

    #[test]
    fn strings_of_json_stand_without_quotes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.txt").to_string_lossy().into_owned();
        let mut driver = start(&path);
        let values = ["\"foo\"", "\"\"", "\"say \\\"hi\\\" \\u00e9\"", "{\"a\":\"b\"}", "1"];
        let records: Vec<NewRecord<'_>> = values.iter().map(|value| NewRecord::new("t").value(Payload::json(value))).collect();
        assert_eq!(driver.put(&batch(&records).unwrap()), Ok(Vec::new()));
        put(&mut driver, &[Some("\"a text\"")]);
        let expect = "foo\n\nsay \"hi\" \u{e9}\n{\"a\":\"b\"}\n1\n\"a text\"\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), expect);
    }

    #[test]
    fn cuts_off_half_a_line_of_a_crash() {
        let long = "x".repeat(3 * usize::try_from(TAIL_BYTES).unwrap());
        for (before, after) in [
            ("".to_owned(), "new\n".to_owned()),
            ("half".to_owned(), "new\n".to_owned()),
            ("one\nhalf".to_owned(), "one\nnew\n".to_owned()),
            ("one\n".to_owned(), "one\nnew\n".to_owned()),
            (format!("one\n{long}"), "one\nnew\n".to_owned()),
            (format!("{long}\n"), format!("{long}\nnew\n")),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("out.txt").to_string_lossy().into_owned();
            fs::write(&path, before).unwrap();
            put(&mut start(&path), &[Some("new")]);
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_configuration() {
        let error = SinkDriver::<FileSink>::start(&[("file", "/no/such/file")], &[]).err().unwrap();
        assert!(matches!(&error, Error::InvalidConfig(message) if message.contains("sandbox.files")), "{error:?}");
    }
}
