//! A source of made-up records. Record number n of a seed is always the same, whenever and by whichever task it is made.

mod content;

use std::time::{Duration, Instant};

use hawser_plugin::prelude::*;
use serde::{Deserialize, Serialize};

use content::{Content, Format};

/// How long a task that has made all its records idles.
const DONE_IDLE: Duration = Duration::from_secs(60);
/// The longest time that a task idles to keep its rate.
const LONGEST_IDLE: Duration = Duration::from_secs(1);
/// The time that a task makes up for after a stall, if one record takes no longer.
const LONGEST_STALL: Duration = Duration::from_secs(1);
/// The lowest rate but 0.
const MIN_RATE: f64 = 0.001;
/// The largest record.
const MAX_SIZE: i64 = 1 << 20;

/// Makes records.
pub struct Datagen {
    topic: String,
    content: Content,
    /// Number of distinct keys; 0 makes records without a key.
    keys: u64,
    /// Record numbers below this are made; none for no end.
    end: Option<u64>,
    share: Share,
    position: Position,
    pace: Option<Pace>,
}

/// The source partition: which of the record numbers are this task's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Share {
    task: u64,
    tasks: u64,
}

/// The source offset: the next record number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Position {
    record: u64,
}

/// Keeps a rate.
struct Pace {
    per_second: f64,
    /// When the rate was kept last, in that all records due by then were made.
    since: Instant,
}

impl Pace {
    /// Records that are due by now.
    fn due(&mut self, now: Instant) -> u64 {
        let behind = now.saturating_duration_since(self.since);
        self.since += behind.saturating_sub(LONGEST_STALL.max(self.interval()));
        (now.saturating_duration_since(self.since).as_secs_f64() * self.per_second) as u64
    }

    /// So many of them have been made. Answers how long it is until the next one.
    fn made(&mut self, records: u64, now: Instant) -> Duration {
        self.since += Duration::from_secs_f64(records as f64 / self.per_second);
        (self.since + self.interval()).saturating_duration_since(now).min(LONGEST_IDLE)
    }

    fn interval(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.per_second)
    }
}

impl Class for Datagen {
    fn class() -> ClassInfo {
        let config = ConfigDef::new()
            .string("topic")
            .required()
            .not_empty()
            .doc("The topic to send to.")
            .double("rate")
            .default_value("100")
            .at_least(0)
            .doc("Records a second, of all tasks together; 0 is as fast as possible.")
            .int("record.size")
            .default_value("100")
            .at_least(1)
            .at_most(MAX_SIZE)
            .doc("Bytes in each value. In the format json a value is at least as long as its fields need.")
            .string("format")
            .default_value("json")
            .one_of(&["json", "string", "bytes"])
            .doc("What the values are: json (an object with an id), string (text) or bytes.")
            .long("count")
            .default_value("0")
            .at_least(0)
            .doc("Records to make, of all tasks together; 0 is without end.")
            .long("keys")
            .default_value("0")
            .at_least(0)
            .doc("Number of distinct keys; 0 makes records without a key.")
            .long("seed")
            .default_value("1")
            .doc("The same seed makes the same records.")
            .long("task.index")
            .default_value("0")
            .importance(Importance::Low)
            .doc("Set by the connector for its tasks.")
            .long("task.count")
            .default_value("1")
            .importance(Importance::Low)
            .doc("Set by the connector for its tasks.");
        ClassInfo::new("DatagenSource").alias("Datagen").summary("Makes up records.").config(config)
    }

    fn validate(config: &Config) -> Vec<Problem> {
        match config.get::<f64>("rate") {
            Ok(rate) if rate > 0.0 && rate < MIN_RATE => {
                let reason = format!("Value must be 0 or at least {MIN_RATE}");
                vec![Problem::invalid("rate", &rate.to_string(), &reason)]
            }
            _ => Vec::new(),
        }
    }
}

impl Source for Datagen {
    fn task_configs(config: &Config, max_tasks: usize) -> Result<Vec<TaskConfig>> {
        let task =
            |index: usize| config.to_task().with("task.index", index.to_string()).with("task.count", max_tasks.to_string());
        Ok((0..max_tasks).map(task).collect())
    }

    fn start(config: &Config, context: SourceContext) -> Result<Self> {
        let share = Share { task: config.get("task.index")?, tasks: config.get::<u64>("task.count")?.max(1) };
        let format = match config.get("format")? {
            "bytes" => Format::Bytes,
            "string" => Format::String,
            _ => Format::Json,
        };
        let rate: f64 = config.get("rate")?;
        let count: u64 = config.get("count")?;
        Ok(Self {
            topic: config.get("topic")?,
            content: Content::new(format, config.get::<u32>("record.size")? as usize, config.get::<i64>("seed")?.cast_unsigned()),
            keys: config.get("keys")?,
            end: (count > 0).then_some(count),
            share,
            position: context.offset(&share)?.unwrap_or(Position { record: share.task }),
            pace: (rate > 0.0).then(|| Pace { per_second: rate / share.tasks as f64, since: Instant::now() }),
        })
    }

    fn poll(&mut self, batch: &mut SourceBatch) -> Result<()> {
        let now = Instant::now();
        let due = self.pace.as_mut().map_or(u64::MAX, |pace| pace.due(now));
        while !batch.is_full() && (batch.len() as u64) < due && self.end.is_none_or(|end| self.position.record < end) {
            self.make(batch);
            self.position.record += self.share.tasks;
        }
        if let Some(pace) = &mut self.pace {
            batch.idle(pace.made(batch.len() as u64, now));
        }
        if self.end.is_some_and(|end| self.position.record >= end) {
            batch.idle(DONE_IDLE);
        }
        if !batch.is_empty() {
            batch.checkpoint(&self.share, &self.position)?;
        }
        Ok(())
    }
}

impl Datagen {
    fn make(&mut self, batch: &mut SourceBatch) {
        let number = self.position.record;
        let key = (self.keys > 0).then(|| (number % self.keys).to_string());
        batch.push(&NewRecord::new(&self.topic).key(key.as_deref()).value(self.content.value(number)));
    }
}

hawser_plugin::export! { name: "datagen", sources: [Datagen] }

#[cfg(test)]
mod tests;
