//! What a stretch of work costs this process: time, processor time, memory.

use std::time::{Duration, Instant};

use anyhow::Context;

/// Units of processor time in `/proc/PID/stat`: Linux has reported hundredths of a second on every platform since 2.6.
const TICK: Duration = Duration::from_millis(10);
/// Fields of `stat` between the program's name and `utime`.
const FIELDS_BEFORE_UTIME: usize = 11;

/// This process.
const OWN: &str = "/proc/self/stat";

/// Started at the beginning of a stretch.
#[derive(Debug)]
pub struct Meter {
    began: Instant,
    process: Duration,
    thread: Duration,
}

/// What a stretch cost.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cost {
    /// Seconds on the clock.
    pub seconds: f64,
    /// Seconds of processor time of all threads of this process, those of librdkafka included.
    pub cpu: f64,
    /// Of these, seconds of the calling thread.
    pub own_cpu: f64,
}

impl Meter {
    /// Begins a stretch.
    ///
    /// # Errors
    /// When /proc cannot be read: this runs on Linux only.
    pub fn start() -> anyhow::Result<Self> {
        Ok(Meter { process: process_cpu(OWN)?, thread: thread_cpu(), began: Instant::now() })
    }

    /// Ends the stretch.
    ///
    /// # Errors
    /// As [`Meter::start`].
    pub fn stop(self) -> anyhow::Result<Cost> {
        let seconds = self.began.elapsed().as_secs_f64();
        let cpu = process_cpu(OWN)?.saturating_sub(self.process).as_secs_f64();
        let own_cpu = thread_cpu().saturating_sub(self.thread).as_secs_f64();
        Ok(Cost { seconds, cpu, own_cpu })
    }
}

/// Processor time of all threads of a process, given its file `stat`.
///
/// # Errors
/// When /proc cannot be read.
pub fn process_cpu(path: &str) -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string(path).with_context(|| path.to_owned())?;
    let (_, fields) = stat.rsplit_once(')').with_context(|| format!("{path} has no program name"))?;
    let times = fields.split_whitespace().skip(FIELDS_BEFORE_UTIME).take(2);
    let ticks: u32 = times.map(str::parse::<u32>).sum::<Result<_, _>>().with_context(|| path.to_owned())?;
    Ok(TICK * ticks)
}

/// Processor time of the calling thread.
pub fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// The load of the machine over the last minute.
pub fn load() -> anyhow::Result<f64> {
    let loads = std::fs::read_to_string("/proc/loadavg").context("/proc/loadavg")?;
    Ok(loads.split_whitespace().next().context("an empty /proc/loadavg")?.parse()?)
}
