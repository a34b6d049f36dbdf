//! The same rows by Kafka Connect's own classes: `tests/jvm/ConnectBench.java`, a process for each row, so that what the JIT learned of one
//! row does not hold back another.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::rows::{Config, KeyAndValue, Records, Row, with_headers};

/// Where the class path of Kafka Connect is; `make bench` sets it to what `scripts/kafka.sh classpath` prints.
const CLASSPATH: &str = "HAWSER_CONNECT_CLASSPATH";

/// Where the class path of Avro, Protobuf and the like is; `make bench` sets it to what `scripts/registry.sh classpath` prints.
const FORMATS_CLASSPATH: &str = "HAWSER_FORMATS_CLASSPATH";

/// A compiled harness.
pub struct Jvm {
    classpath: String,
    /// Whether it has the converters with a registry.
    has_formats: bool,
    folder: tempfile::TempDir,
}

/// What a row cost there.
pub struct Measured {
    /// Nanoseconds of processor time per record of the thread that converts.
    pub thread: f64,
    /// Of all threads: garbage collection, and what the JIT still did.
    pub process: f64,
    /// Key, value and header of each record that came out.
    pub records: Vec<[Option<Vec<u8>>; 3]>,
}

impl Jvm {
    /// Compiles the harness; `None`, after a word why, where there is no JDK or no class path.
    ///
    /// # Errors
    /// When the harness does not compile.
    pub fn start() -> anyhow::Result<Option<Self>> {
        let Some(jars) = std::env::var(CLASSPATH).ok().filter(|jars| !jars.is_empty()) else {
            println!("no rows of the JVM: {CLASSPATH} is not set; `make bench` sets it where a JDK and Maven are");
            return Ok(None);
        };
        let formats = std::env::var(FORMATS_CLASSPATH).ok().filter(|jars| !jars.is_empty());
        let has_formats = formats.is_some();
        if !has_formats {
            println!("no rows of the JVM for converters with a registry: {FORMATS_CLASSPATH} is not set");
        }
        let jars = formats.map_or(jars.clone(), |formats| format!("{jars}:{formats}"));
        let folder = tempfile::tempdir()?;
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../jvm");
        let mut javac = Command::new("javac");
        javac.args(["-nowarn", "-cp", &jars, "-d"]).arg(folder.path()).arg(sources.join("ConnectBench.java"));
        if has_formats {
            javac.arg(sources.join("FormatConverters.java"));
        }
        let compiled = javac.status();
        match compiled {
            Err(error) => {
                println!("no rows of the JVM: javac does not start ({error}); install a JDK of version 17 or later");
                return Ok(None);
            }
            Ok(status) => ensure!(status.success(), "the harness in tests/jvm does not compile"),
        }
        let classpath = format!("{}:{jars}", folder.path().display());
        Ok(Some(Jvm { classpath, has_formats, folder }))
    }

    /// Measures a row on records: value and header each. `schema` is the one in the registry. `None`: it does not have the row's
    /// converters.
    ///
    /// # Errors
    /// When the JVM fails.
    pub fn measure(&self, row: &Row, records: &[KeyAndValue], schema: &str) -> anyhow::Result<Option<Measured>> {
        if row.records == Records::Registered && !self.has_formats {
            return Ok(None);
        }
        let mut java = Command::new("java")
            .args(["-Dlog4j2.level=OFF", "-cp", &self.classpath, "ConnectBench"])
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("java")?;
        java.stdin.take().context("piped")?.write_all(question(row, records, schema).as_bytes())?;
        let output = java.wait_with_output()?;
        ensure!(output.status.success(), "the JVM failed at {}", row.name);
        let answer = answer(&String::from_utf8(output.stdout)?);
        answer.map(Some).with_context(|| format!("the JVM's answer to {}", row.name))
    }
}

fn question(row: &Row, records: &[KeyAndValue], schema: &str) -> String {
    let mut lines = String::new();
    let mut line = |fields: &[&str]| lines += &(fields.join("\t") + "\n");
    for (side, config) in [("decode", row.decode), ("encode", row.encode)] {
        with_headers(config).iter().for_each(|(key, value)| line(&[side, key, value]));
        line(&[side, "value.converter.bench.schema", &STANDARD.encode(schema)]);
    }
    for (number, config) in row.transforms.iter().copied().enumerate() {
        let config: Config = config;
        config.iter().for_each(|(key, value)| line(&["transform", &number.to_string(), key, value]));
    }
    let text = |bytes: &Option<Vec<u8>>| bytes.as_ref().map_or("-".to_owned(), |bytes| STANDARD.encode(bytes));
    for (value, header) in records {
        line(&["record", "-", &text(value), &text(header)]);
    }
    lines
}

fn answer(text: &str) -> anyhow::Result<Measured> {
    let mut lines: Vec<_> = text.lines().collect();
    let figures = lines.pop().context("nothing")?;
    let bytes = |field: &str| if field == "-" { Ok(None) } else { STANDARD.decode(field).map(Some) };
    let record = |line: &str| -> anyhow::Result<_> {
        let fields: Vec<_> = line.split('\t').skip(1).map(bytes).collect::<Result<_, _>>()?;
        fields.try_into().ok().context("a record has a key, a value and a header")
    };
    let records = lines.into_iter().map(record).collect::<Result<_, _>>()?;
    let figures: Vec<f64> = figures.split('\t').map(str::parse).collect::<Result<_, _>>()?;
    let [thread, process] = figures[..] else { anyhow::bail!("two figures are expected") };
    Ok(Measured { thread, process, records })
}
