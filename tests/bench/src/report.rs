//! Tables for people, and `summary.json` for machines.

use anyhow::Context;
use serde_json::{Map, Value, json};

use crate::Way;
use crate::conversion::Outcome;

/// Ways to move records, beside the plain loop; answers the processor time that this takes for one, in ns.
pub fn ways(ways: &[Way], size: usize, shape: &str, records: u64, summary: &mut Map<String, Value>) -> f64 {
    let plain = ways.iter().find(|way| way.key == "plain");
    let (limit, limit_cpu) = plain.map_or((f64::NAN, f64::NAN), |way| (way.rate(), way.least_cpu));
    println!("\n{records} records of {size} B");
    println!("  {:<34} {:>11} {:>6} {:>14} {:>6}   records/s of all runs", "", "records/s", "ratio", "CPU ns/record", "ratio");
    for way in ways {
        let (rate, cpu) = (way.rate(), way.least_cpu);
        let all: Vec<_> = way.rates.iter().map(|rate| format!("{rate:.0}")).collect();
        let (ratio, cpu_ratio) = (rate / limit, cpu / limit_cpu);
        println!("  {:<34} {rate:>11.0} {ratio:>6.2} {cpu:>14.0} {cpu_ratio:>6.2}   {}", way.name, all.join(" "));
        put(summary, format!("{}_records_per_s_{shape}", way.key), rate);
        put(summary, format!("{}_cpu_ns_{shape}", way.key), cpu);
        if way.key != "plain" {
            put(summary, format!("{}_ratio_{shape}", way.key), ratio);
            put(summary, format!("{}_cpu_ratio_{shape}", way.key), cpu_ratio);
        }
    }
    println!("  where the time of the best run goes, ns/record:");
    for way in ways {
        let Some((cost, stages)) = way.best else { continue };
        let per = |seconds: f64| seconds * 1e9 / records as f64;
        print!("  {:<34} clock {:.0}, CPU {:.0}", way.name, per(cost.seconds), per(cost.cpu));
        if matches!(way.key, "plain" | "noop" | "json") {
            let own = per(cost.own_cpu);
            print!(" (own thread {own:.0}, librdkafka's {:.0})", per(cost.cpu) - own);
        }
        if stages.crossing.is_zero() {
            println!();
        } else {
            let [fill, convert, crossing, send, settle] =
                [stages.fill, stages.convert, stages.crossing, stages.send, stages.settle].map(|stage| per(stage.as_secs_f64()));
            println!(
                "; clock: fill {fill:.0}, convert {convert:.0}, crossing {crossing:.0}, send {send:.0}, last acks {settle:.0}"
            );
        }
    }
    limit_cpu
}

/// Converters and transforms, beside the plain loop (`plain` ns per record) and the JVM.
pub fn rows(outcomes: &[Outcome], what: &str, shape: &str, plain: f64, summary: &mut Map<String, Value>) {
    println!("\nconverters and transforms alone, {what}: CPU ns/record, batches of 500 in memory");
    println!("  {:<38} {:>8} {:>12} {:>8} {:>8} {:>8}", "", "Hawser", "of the plain", "JVM", "with GC", "JVM /");
    println!("  {:<38} {:>8} {:>12} {:>8} {:>8} {:>8}", "", "", "loop's", "", "", "Hawser");
    for outcome in outcomes {
        let (key, ours) = (outcome.row.key, outcome.ours);
        print!("  {:<38} {ours:>8.1} {:>12.3}", outcome.row.name, ours / plain);
        put(summary, format!("convert_{key}_ns{shape}"), ours);
        put(summary, format!("convert_{key}_plain_part{shape}"), ours / plain);
        match &outcome.theirs {
            None => println!(),
            Some(theirs) => {
                let ratio = theirs.thread / ours;
                println!(" {:>8.1} {:>8.1} {ratio:>8.1}", theirs.thread, theirs.process);
                put(summary, format!("convert_{key}_jvm_ns{shape}"), theirs.thread);
                put(summary, format!("convert_{key}_jvm_ratio{shape}"), ratio);
            }
        }
    }
}

/// A figure with the digits that mean something.
pub fn put(summary: &mut Map<String, Value>, key: String, figure: f64) {
    summary.insert(key, json!((figure * 1000.0).round() / 1000.0));
}

/// Writes the figures into `target/bench/summary.json`, beside those of another command that are there.
///
/// # Errors
/// When the file cannot be written.
pub fn write(figures: Map<String, Value>) -> anyhow::Result<()> {
    let program = std::env::current_exe()?;
    let folder = program.ancestors().nth(2).context("the program is not in target/release")?.join("bench");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("summary.json");
    let before = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let mut summary: Map<String, Value> = before.unwrap_or_default();
    summary.extend(figures);
    let text = serde_json::to_string_pretty(&Value::Object(summary))?;
    std::fs::write(&path, text + "\n").with_context(|| path.display().to_string())?;
    println!("written: {}", path.display());
    Ok(())
}
