//! A source and a sink that misbehave where (`at`) and how (`how`) their config says, after the first `after` records.

use hawser_plugin::prelude::*;

/// When and how to misbehave.
struct Mischief {
    at: String,
    how: String,
    after: u64,
    records: u64,
}

impl Mischief {
    fn config() -> ConfigDef {
        ConfigDef::new()
            .string("at")
            .default_value("")
            .doc("The call that misbehaves: start, poll, committed, open, put, flush, stop.")
            .string("how")
            .default_value("")
            .doc("trap, loop, grow, chatter, fatal or retriable.")
            .long("after")
            .default_value("0")
            .doc("How many records are handled well before.")
    }

    fn new(config: &Config) -> Result<Self> {
        Ok(Self { at: config.get("at")?, how: config.get("how")?, after: config.get("after")?, records: 0 })
    }

    /// To be called in each call that could misbehave.
    fn tempt(&self, at: &str) -> Result<()> {
        if self.at != at || self.records < self.after {
            return Ok(());
        }
        match self.how.as_str() {
            "trap" => std::process::abort(),
            "loop" => loop {
                std::hint::black_box(());
            },
            "grow" => {
                let mut hoard = Vec::new();
                loop {
                    hoard.push(std::hint::black_box(vec![1_u8; 1 << 20]));
                }
            }
            "chatter" => loop {
                info!("{}", "words ".repeat(1_000));
            },
            "fatal" => Err(Error::fatal("it does not want to go on")),
            "retriable" => Err(Error::retriable("it wants to be asked again")),
            other => Err(Error::invalid_config(format!("'how' is '{other}'"))),
        }
    }
}

/// Sends numbers.
struct HostileSource {
    mischief: Mischief,
    topic: String,
}

impl Class for HostileSource {
    fn class() -> ClassInfo {
        ClassInfo::new("HostileSource")
            .summary("Sends 0, 1, 2 and so on, and then misbehaves.")
            .config(Mischief::config().string("topic").required().doc("The topic to send to."))
    }
}

impl Source for HostileSource {
    fn start(config: &Config, context: SourceContext) -> Result<Self> {
        let mut mischief = Mischief::new(config)?;
        mischief.tempt("start")?;
        mischief.records =
            context.offset(&serde_json::json!({}))?.unwrap_or(serde_json::json!({"next": 0}))["next"].as_u64().unwrap_or(0);
        Ok(Self { mischief, topic: config.get("topic")? })
    }

    fn poll(&mut self, batch: &mut SourceBatch) -> Result<()> {
        self.mischief.tempt("poll")?;
        if self.mischief.records >= self.mischief.after {
            batch.idle(std::time::Duration::from_millis(50));
            return Ok(());
        }
        batch.push_json(&NewRecord::new(&self.topic), &self.mischief.records)?;
        self.mischief.records += 1;
        batch.checkpoint(&serde_json::json!({}), &serde_json::json!({"next": self.mischief.records}))
    }

    fn committed(&mut self, _: &[Checkpoint]) -> Result<()> {
        self.mischief.tempt("committed")
    }

    fn stop(&mut self) {
        let _ = self.mischief.tempt("stop"); // nobody is there to tell
    }
}

/// Takes records and forgets them.
struct HostileSink {
    mischief: Mischief,
}

impl Class for HostileSink {
    fn class() -> ClassInfo {
        ClassInfo::new("HostileSink").summary("Forgets records, and then misbehaves.").config(Mischief::config())
    }
}

impl Sink for HostileSink {
    fn start(config: &Config, _: SinkContext) -> Result<Self> {
        let mischief = Mischief::new(config)?;
        mischief.tempt("start")?;
        Ok(Self { mischief })
    }

    fn open(&mut self, _: &[TopicPartition]) -> Result<()> {
        self.mischief.tempt("open")
    }

    fn put(&mut self, records: &Batch, _: &mut Failures) -> Result<()> {
        self.mischief.records += records.len() as u64;
        self.mischief.tempt("put")
    }

    fn flush(&mut self, offsets: Vec<TopicOffset>) -> Result<Vec<TopicOffset>> {
        self.mischief.tempt("flush")?;
        Ok(offsets)
    }

    fn stop(&mut self) {
        let _ = self.mischief.tempt("stop"); // nobody is there to tell
    }
}

hawser_plugin::export! { sources: [HostileSource], sinks: [HostileSink] }
