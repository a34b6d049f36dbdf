//! Uploads that load, do not load, and load from the cache.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use bytes::Bytes;

use crate::sandbox::{LoadError, Sandbox, SandboxOptions};

use super::fixture::{sandbox, wasm};

fn wat(text: &str) -> Bytes {
    wat::parse_str(text).expect("the test's component is well-formed").into()
}

async fn check(wasm: Bytes, expect: &str) -> LoadError {
    let error = sandbox().load(wasm).await.err().expect(expect);
    assert!(error.to_string().contains(expect), "`{expect}` is not in: {error}");
    error
}

#[tokio::test]
async fn what_is_no_component_is_refused() {
    for (bytes, expect) in [
        (Bytes::new(), "does not begin like WebAssembly"),
        (Bytes::from_static(b"<html>"), "does not begin like WebAssembly"),
        (Bytes::from_static(b"(component)"), "does not begin like WebAssembly"),
        (Bytes::from_static(b"\0asm"), "not a component"),
        (wat("(module)"), "core module"),
        (wasm().slice(..wasm().len() / 2), "not a component"),
        (wat("(component)"), "exports no hawser:connect/plugin"),
    ] {
        assert!(matches!(check(bytes, expect).await, LoadError::NotAComponent(_)));
    }
    let mut flipped = wasm().to_vec();
    flipped[8..64].fill(0xff);
    check(flipped.into(), "not a component").await;
}

#[tokio::test]
async fn precompiled_code_is_refused() {
    let cache = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::new(SandboxOptions::new(cache.path().to_owned())).unwrap();
    sandbox.load(wasm()).await.unwrap();
    let cached = fs::read(only_file(cache.path())).unwrap();
    check(cached[40..].to_vec().into(), "does not begin like WebAssembly").await;
}

#[tokio::test]
async fn another_version_of_the_interface_is_refused() {
    let component = |version: &str| {
        wat(&format!(r#"(component (instance $empty) (export "hawser:connect/plugin@{version}" (instance $empty)))"#))
    };
    let error = check(component("0.2.0"), "built against hawser:connect 0.2.0; this worker runs 0.1.0").await;
    assert!(matches!(error, LoadError::WitVersion { found } if found == "0.2.0"));
    check(component("0.1.1"), "built against hawser:connect 0.1.1").await;
    assert!(matches!(check(component("0.1.0"), "describe").await, LoadError::Mismatch(_)));
    let mixed = wat(r#"(component (import "hawser:connect/log@0.3.0" (instance)) (instance $empty)
            (export "hawser:connect/plugin@0.1.0" (instance $empty)))"#);
    check(mixed, "built against hawser:connect 0.3.0").await;
}

#[tokio::test]
async fn imports_that_are_not_offered_are_named() {
    let component = |imports: &str| {
        wat(&format!(r#"(component {imports} (instance $empty) (export "hawser:connect/plugin@0.1.0" (instance $empty)))"#))
    };
    let unknown = r#"(import "wasi:keyvalue/store@0.2.0" (instance)) (import "evil:host/shell" (instance (export "run" (func))))
        (import "wasi:io/poll@0.2.0" (instance))"#;
    let error = check(component(unknown), "evil:host/shell, wasi:keyvalue/store@0.2.0").await;
    assert!(matches!(error, LoadError::UnknownImports(unknown) if unknown.len() == 2));
    check(component(r#"(import "hawser:connect/secrets@0.1.0" (instance))"#), "hawser:connect/secrets@0.1.0").await;
    check(component(r#"(import "wasi:clocks/wall-clock@0.3.0" (instance))"#), "wasi:clocks/wall-clock@0.3.0").await;
    let wrong = r#"(import "wasi:random/random@0.2.0" (instance (export "no-such-function" (func))))"#;
    assert!(matches!(check(component(wrong), "no-such-function").await, LoadError::Mismatch(_)));
}

#[tokio::test]
async fn large_uploads_are_refused_unread() {
    let cache = tempfile::tempdir().unwrap();
    let options = SandboxOptions { max_component_bytes: 10, ..SandboxOptions::new(cache.path().to_owned()) };
    let error = Sandbox::new(options).unwrap().load(wasm()).await.err().unwrap();
    assert!(matches!(error, LoadError::TooLarge { limit: 10, .. }), "{error}");
}

fn only_file(dir: &std::path::Path) -> PathBuf {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[tokio::test]
async fn what_was_compiled_is_loaded_and_what_was_damaged_is_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("cache");
    let load = async || Sandbox::new(SandboxOptions::new(path.clone())).unwrap().load(wasm()).await.unwrap();
    load().await;
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    let file = only_file(&path);
    let whole = fs::read(&file).unwrap();
    let inode = fs::metadata(&file).unwrap().ino();

    load().await.describe().await.unwrap();
    assert_eq!(fs::metadata(only_file(&path)).unwrap().ino(), inode, "a hit writes nothing");

    let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        bytes
    };
    for bytes in [
        damaged(&|bytes| bytes.truncate(bytes.len() / 2)),
        damaged(&|bytes| bytes.clear()),
        damaged(&|bytes| bytes[whole.len() / 2] ^= 1),
        damaged(&|bytes| bytes[10] ^= 1),
        damaged(&|bytes| bytes[0] ^= 1),
    ] {
        fs::write(&file, &bytes).unwrap();
        load().await.describe().await.unwrap();
        assert!(fs::read(only_file(&path)).unwrap() != bytes, "the damaged file was replaced");
    }

    fs::write(path.join("left.tmp"), "torn").unwrap();
    fs::write(path.join("aa.0123456789abcdef.cwasm"), "of another engine").unwrap();
    let sandbox = Sandbox::new(SandboxOptions::new(path.clone())).unwrap();
    only_file(&path);
    sandbox.forget(sandbox.load(wasm()).await.unwrap().digest());
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
}

#[tokio::test]
async fn a_cache_that_others_could_write_is_made_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    Sandbox::new(SandboxOptions::new(dir.path().to_owned())).unwrap();
    assert_eq!(fs::metadata(dir.path()).unwrap().mode() & 0o777, 0o700);
}
