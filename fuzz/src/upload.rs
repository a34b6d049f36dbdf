//! Uploads. Bytes that begin with `(` are a component's text, everything else is taken as it is. It is loaded or refused with a
//! reason, and what loads describes itself or fails within its limits.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use hawser::sandbox::{InstanceLimits, Pooling, Sandbox, SandboxOptions};
use tempfile::TempDir;

use crate::RUNTIME;

/// Components larger than this only take longer to compile.
const MAX_BYTES: usize = 16 << 10;

static SANDBOX: LazyLock<(Sandbox, TempDir)> = LazyLock::new(|| {
    let dir = tempfile::tempdir().expect("a folder");
    let limits = InstanceLimits { memory_bytes: 16 << 20, cpu: Duration::from_millis(100), ..InstanceLimits::default() };
    let mut options = SandboxOptions::new(dir.path().join("compiled"));
    options.pooling = Pooling::Off;
    options.max_component_bytes = MAX_BYTES;
    options.limits = limits;
    (Sandbox::new(options).expect("a sandbox"), dir)
});

pub fn fuzz(data: &[u8]) {
    let wasm = match data.first() {
        Some(b'(') => match wat::parse_bytes(data) {
            Ok(wasm) => wasm.into_owned(),
            Err(_) => return,
        },
        _ => data.to_vec(),
    };
    RUNTIME.block_on(async {
        match SANDBOX.0.load(Bytes::from(wasm)).await {
            Err(error) => assert!(!error.to_string().is_empty()),
            Ok(component) => {
                let _ = component.describe().await;
                SANDBOX.0.forget(component.digest());
            }
        }
    });
    assert_eq!(SANDBOX.0.instances(), 0);
}
