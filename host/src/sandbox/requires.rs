//! What a component asks the host for, as far as its imports tell.

use memchr::memmem;

/// Something that an instance has only if it is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// HTTP requests.
    Http,
    /// TCP connections.
    Tcp,
    /// Datagrams.
    Udp,
    /// Directories.
    Files,
    /// Environment variables.
    Environment,
    /// Secrets in the headers of HTTP requests.
    Secrets,
}

impl Capability {
    /// Its name in answers of the REST API.
    pub fn name(self) -> &'static str {
        match self {
            Capability::Http => "http",
            Capability::Tcp => "tcp",
            Capability::Udp => "udp",
            Capability::Files => "files",
            Capability::Environment => "environment",
            Capability::Secrets => "secrets",
        }
    }
}

/// A capability that a component may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Which one.
    pub capability: Capability,
    /// The key of a connector that grants it.
    pub key: &'static str,
    /// `false`: every plugin of its language imports this, whether it uses it or not; a component does not tell. `true`: it is
    /// there because the plugin's own code calls it.
    pub certain: bool,
}

/// The languages whose runtimes import more than the plugin does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Runtime {
    /// CPython, of componentize-py: files and sockets.
    Python,
    /// StarlingMonkey, of ComponentizeJS: files and HTTP.
    JavaScript,
    /// Rust, C, Go and others, of which only what is called is linked.
    Linked,
}

impl Runtime {
    /// The runtime by the names that its builds leave in a component.
    pub(super) fn of(wasm: &[u8]) -> Runtime {
        let has = |marker: &str| memmem::find(wasm, marker.as_bytes()).is_some();
        if has("componentize_py_runtime") {
            Runtime::Python
        } else if has("StarlingMonkey") {
            Runtime::JavaScript
        } else {
            Runtime::Linked
        }
    }
}

/// What the imports of a component ask for, in the order of [`Capability`].
pub(super) fn requirements(imports: &[String], runtime: Runtime) -> Vec<Requirement> {
    use Capability::{Environment, Files, Http, Secrets, Tcp, Udp};
    let rules = [
        ("wasi:http/outgoing-handler@", Http, "sandbox.http"),
        ("wasi:sockets/tcp-create-socket@", Tcp, "sandbox.tcp"),
        ("wasi:sockets/udp-create-socket@", Udp, "sandbox.udp"),
        ("wasi:filesystem/preopens@", Files, "sandbox.files"),
        ("wasi:cli/environment@", Environment, "sandbox.env"),
        // A secret is named in the header of a request.
        ("wasi:http/outgoing-handler@", Secrets, "sandbox.secret.NAME"),
    ];
    let is_certain = |capability| match runtime {
        Runtime::Python => !matches!(capability, Environment | Secrets | Files | Tcp | Udp),
        Runtime::JavaScript => !matches!(capability, Environment | Secrets | Files | Http),
        Runtime::Linked => !matches!(capability, Environment | Secrets),
    };
    rules
        .into_iter()
        .filter(|(interface, ..)| imports.iter().any(|import| import.starts_with(interface)))
        .map(|(_, capability, key)| Requirement { capability, key, certain: is_certain(capability) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_tell_what_is_required() {
        fn check(imports: &[&str], marker: &str, expect: &[(&str, bool)]) {
            let imports: Vec<_> = imports.iter().map(|import| format!("wasi:{import}@0.2.6")).collect();
            let found = requirements(&imports, Runtime::of(format!("\0asm{marker}").as_bytes()));
            let found: Vec<_> = found.iter().map(|required| (required.key, required.certain)).collect();
            assert_eq!(found, expect, "{imports:?} {marker}");
        }
        let sockets = ["sockets/tcp-create-socket", "sockets/udp-create-socket", "sockets/tcp"];
        check(&["cli/exit", "clocks/wall-clock", "io/poll"], "", &[]);
        check(&["cli/environment"], "", &[("sandbox.env", false)]);
        check(&["filesystem/preopens", "filesystem/types"], "", &[("sandbox.files", true)]);
        check(&["http/types", "http/outgoing-handler"], "", &[("sandbox.http", true), ("sandbox.secret.NAME", false)]);
        check(&["http/outgoing-handler"], "..StarlingMonkey..", &[("sandbox.http", false), ("sandbox.secret.NAME", false)]);
        check(&sockets, "", &[("sandbox.tcp", true), ("sandbox.udp", true)]);
        check(&sockets, "componentize_py_runtime.so", &[("sandbox.tcp", false), ("sandbox.udp", false)]);
    }
}
