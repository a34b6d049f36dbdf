//! A sink that counts records and forgets them: to see how fast everything before it is.

use hawser_plugin::prelude::*;

/// Counts.
#[derive(Debug, Default)]
pub struct Blackhole {
    records: u64,
    bytes: u64,
    /// The count that was logged last.
    logged: u64,
}

impl Class for Blackhole {
    fn class() -> ClassInfo {
        ClassInfo::new("BlackholeSink").alias("Blackhole").summary("Counts records and forgets them.")
    }
}

impl Sink for Blackhole {
    fn start(_: &Config, _: SinkContext) -> Result<Self> {
        Ok(Self::default())
    }

    fn put(&mut self, records: &Batch, _: &mut Failures) -> Result<()> {
        self.records += records.len() as u64;
        self.bytes += records.bytes() as u64;
        Ok(())
    }

    fn flush(&mut self, offsets: Vec<TopicOffset>) -> Result<Vec<TopicOffset>> {
        if self.records > self.logged {
            info!("{} records, {} bytes so far", self.records, self.bytes);
            self.logged = self.records;
        }
        Ok(offsets)
    }
}

hawser_plugin::export! { name: "blackhole", sinks: [Blackhole] }

#[cfg(test)]
mod tests {
    use super::*;
    use hawser_plugin::testing::{SinkDriver, batch, manifest, take_lines};

    #[test]
    fn counts_and_says_so_once() {
        let mut driver = SinkDriver::<Blackhole>::start(&[], &[("t", 0)]).unwrap();
        let records = [NewRecord::new("t").key("k").value("abc"), NewRecord::new("t")];
        assert_eq!(driver.put(&batch(&records).unwrap()).unwrap(), []);
        assert_eq!(driver.put(&batch(&records).unwrap()).unwrap(), []);
        assert_eq!(driver.flush("t", 0, 4).unwrap(), Some(4));
        assert_eq!(driver.flush("t", 0, 4).unwrap(), Some(4));
        let lines: Vec<String> = take_lines().into_iter().map(|(_, line)| line).collect();
        assert_eq!(lines, ["4 records, 8 bytes so far"]);
    }

    #[test]
    fn is_called_blackhole() {
        let manifest = manifest::<HawserComponent>();
        assert_eq!((manifest.name.as_str(), manifest.classes.len()), ("blackhole", 1));
    }
}
