//! The one place that trusts bytes to be machine code.

#![allow(unsafe_code)]

use wasmtime::Engine;
use wasmtime::component::Component;

use super::cache::CheckedArtifact;

/// Makes a component of an artifact that comes from the compiler or that the cache has checked.
///
/// # Errors
/// When the engine cannot use it, for example because another version of the engine wrote it.
pub(super) fn load(engine: &Engine, artifact: &CheckedArtifact) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` asks for bytes that `Engine::precompile_component` made, unchanged. A `CheckedArtifact` is what that
    // function made just now, in this process or in one that runs this same program (`super::compiler`), or it was made by
    // `Cache::read`, from a file in a folder that this worker made for itself alone (mode 0700), whose content matches the
    // checksum written with it; only `Cache::write` writes such files, and it is given nothing else. The engine itself checks
    // its version and configuration, which stand in the artifact. The bytes are copied, so that no later change of the file
    // reaches running code.
    unsafe { Component::deserialize(engine, artifact.bytes()) }
}
