//! Child processes that end with the test.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

/// Runs a shell line when this is dropped or this process ends, however it ends: the shell waits on a pipe that closes then.
pub(crate) struct AtExit(Child);

impl AtExit {
    /// `script` is a line for `sh`; `args` are its `$1`, `$2`...
    pub(crate) fn run(script: &str, args: &[&Path]) -> Self {
        let shell = Command::new("sh")
            .arg("-c")
            .arg(format!("trap '' INT TERM; read _; {script}"))
            .arg("at-exit")
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh");
        Self(shell)
    }
}

impl Drop for AtExit {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait(); // its exit status says nothing: what it ends may have ended before
    }
}

/// Sends the signal (`TERM`, `STOP`, ...) to a process that this harness started.
#[track_caller]
pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").arg("-s").arg(name).arg(pid.to_string()).status().expect("kill");
    assert!(status.success(), "kill -s {name} {pid}: {status}");
}

/// Copies the child's standard output (which must be piped) to `log` and sends what `pick` makes of the first line that it accepts,
/// line by line, for as long as the child writes. The channel closes without a value if the output ended first.
pub(crate) fn first_line<T: Send + 'static>(
    child: &mut Child,
    log: std::fs::File,
    pick: impl Fn(&str) -> Option<T> + Send + 'static,
) -> std::sync::mpsc::Receiver<T> {
    let stdout = child.stdout.take().expect("piped");
    let (found, receiver) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let mut log = log;
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(value) = pick(&line) {
                let _ = found.try_send(value); // only the first is asked for
            }
            let _ = std::io::Write::write_all(&mut log, format!("{line}\n").as_bytes());
        }
    });
    receiver
}
