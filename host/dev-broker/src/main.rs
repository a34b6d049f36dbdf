//! The development broker as a process of its own: `hawser-dev-broker [--port PORT] [--data-dir DIR]
//! [--max-connections COUNT]`.
//!
//! Prints `bootstrap.servers=127.0.0.1:PORT` once it serves, and stops on Ctrl-C or SIGTERM.

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use hawser_dev_broker::{DevBroker, DevBrokerConfig};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

const USAGE: &str = "usage: hawser-dev-broker [--port PORT] [--data-dir DIR] [--max-connections COUNT]";

fn parse(mut args: impl Iterator<Item = String>) -> Result<DevBrokerConfig, String> {
    let mut config = DevBrokerConfig::default();
    while let Some(arg) = args.next() {
        let value = args.next().ok_or_else(|| format!("{arg} needs a value; {USAGE}"))?;
        match arg.as_str() {
            "--port" => config.port = value.parse().map_err(|_| format!("{value:?} is not a port; {USAGE}"))?,
            "--max-connections" => {
                config.max_connections =
                    value.parse().map_err(|_| format!("{value:?} is not a number of connections; {USAGE}"))?;
            }
            "--data-dir" => config.data_dir = Some(PathBuf::from(value)),
            _ => return Err(format!("unknown option {arg}; {USAGE}")),
        }
    }
    Ok(config)
}

async fn run(config: Result<DevBrokerConfig, String>) -> Result<(), String> {
    let broker = DevBroker::start(config?).await.map_err(|e| e.to_string())?;
    let said = writeln!(std::io::stdout(), "bootstrap.servers={}", broker.bootstrap());
    said.map_err(|e| format!("cannot write to stdout: {e}"))?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|e| format!("cannot wait for signals: {e}"))?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(|e| format!("cannot wait for Ctrl-C: {e}"))?,
    }
    broker.shutdown().await;
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    match run(parse(std::env::args().skip(1))).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            tracing::error!("{e}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_parsed() {
        let check = |args: &str, expect: Result<(u16, Option<&str>), &str>| {
            let parsed = parse(args.split_whitespace().map(str::to_owned));
            match (parsed, expect) {
                (Ok(config), Ok((port, dir))) => {
                    assert_eq!((config.port, config.data_dir), (port, dir.map(PathBuf::from)), "{args}");
                }
                (Err(error), Err(part)) => assert!(error.contains(part) && error.contains(USAGE), "{error}"),
                (parsed, expect) => panic!("{args}: {parsed:?}, not {expect:?}"),
            }
        };
        check("", Ok((0, None)));
        check("--port 9092 --data-dir data", Ok((9092, Some("data"))));
        check("--max-connections 5000", Ok((0, None)));
        check("--max-connections many", Err("is not a number of connections"));
        check("--port", Err("--port needs a value"));
        check("--port 99999", Err("is not a port"));
        check("--verbose 1", Err("unknown option --verbose"));
    }
}
