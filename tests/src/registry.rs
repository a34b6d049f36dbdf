//! A real schema registry, by scripts/registry.sh.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{Rest, files, process};

/// A schema registry on this machine. Most tests share one; a test that stops its registry has one of its own.
pub struct Registry {
    url: String,
    dir: Option<PathBuf>,
    _at_exit: Option<process::AtExit>,
}

impl Registry {
    /// The registry that the tests of this process share: the one at `SCHEMA_REGISTRY_URL`, or one that is started.
    #[track_caller]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Registry> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("SCHEMA_REGISTRY_URL") {
            Ok(url) if !url.is_empty() => Self { url, dir: None, _at_exit: None },
            _ => Self::own(),
        })
    }

    /// A registry for this test alone, which may stop and start it. Ends when dropped.
    #[track_caller]
    pub fn own() -> Self {
        let dir = tempfile::Builder::new().prefix("hawser-registry-").tempdir().expect("temporary folder").keep();
        let at_exit = r#"unset SCHEMA_REGISTRY_URL; "$1" stop --kill --dir "$2"; rm -rf "$2""#;
        let at_exit = process::AtExit::run(at_exit, &[&script(), &dir]);
        let url = run_script("start", &dir);
        Self { url, dir: Some(dir), _at_exit: Some(at_exit) }
    }

    /// For `schema.registry.url`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Stops it.
    #[track_caller]
    pub fn stop(&self) {
        run_script("stop", self.dir.as_ref().expect("a registry of its own"));
    }

    /// Starts it again after [`Registry::stop`], with the same address and schemas.
    #[track_caller]
    pub fn start(&self) {
        let url = run_script("start", self.dir.as_ref().expect("a registry of its own"));
        assert_eq!(url, self.url);
    }

    /// A subject's versions.
    #[track_caller]
    pub fn versions(&self, subject: &str) -> Value {
        Rest::new(&self.url).get(&format!("/subjects/{subject}/versions")).expect(200)
    }

    /// A subject's latest schema.
    #[track_caller]
    pub fn latest(&self, subject: &str) -> Value {
        Rest::new(&self.url).get(&format!("/subjects/{subject}/versions/latest")).expect(200)
    }

    /// Registers a schema, which refers to others: their names in it, subjects and versions.
    #[track_caller]
    pub fn register(&self, subject: &str, schema_type: &str, schema: &str, references: &[(&str, &str, u32)]) {
        let refer = |(name, subject, version): &(&str, &str, u32)| json!({"name": name, "subject": subject, "version": version});
        let references: Vec<_> = references.iter().map(refer).collect();
        let body = json!({"schemaType": schema_type, "schema": schema, "references": references});
        Rest::new(&self.url).post(&format!("/subjects/{subject}/versions"), &body).expect(200);
    }

    /// Has a subject's schemas checked against each other.
    #[track_caller]
    pub fn set_compatibility(&self, subject: &str, level: &str) {
        let body = format!(r#"{{"compatibility":"{level}"}}"#).into_bytes();
        Rest::new(&self.url).send(Method::PUT, &format!("/config/{subject}"), Some(("application/json", body))).expect(200);
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Some(dir) = &self.dir {
            let stopped =
                Command::new(script()).args(["stop", "--kill", "--dir"]).arg(dir).env_remove("SCHEMA_REGISTRY_URL").status();
            stopped.expect("scripts/registry.sh");
            let _ = std::fs::remove_dir_all(dir); // a folder left in /tmp fails no test
        }
    }
}

fn script() -> PathBuf {
    files::checkout().join("scripts/registry.sh")
}

/// Runs scripts/registry.sh; its talk goes to our standard error. Returns what it prints.
#[track_caller]
fn run_script(command: &str, dir: &Path) -> String {
    let output = Command::new(script())
        .args([command, "--dir"])
        .arg(dir)
        .env_remove("SCHEMA_REGISTRY_URL")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .expect("scripts/registry.sh");
    assert!(output.status.success(), "scripts/registry.sh {command}: {}, see above", output.status);
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
