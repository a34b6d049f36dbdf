//! Tells which grant is missing when a plugin is refused a file. A guest finds the directory of a path by itself and asks for
//! what lies below, so that the host sees refusals below granted directories, and otherwise only that directories are asked for.

use wasmtime::component::{HasSelf, Linker, Resource};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{self, DescriptorFlags, ErrorCode, HostDescriptor, OpenFlags, PathFlags};

use super::grants::FILES_KEY;
use super::state::HostState;

/// The interface of open files, as `wasmtime-wasi` links it.
const TYPES: &str = "wasi:filesystem/types@0.2.12";

type Open = (Resource<Descriptor>, PathFlags, String, OpenFlags, DescriptorFlags);
type Opened = (Result<Resource<Descriptor>, ErrorCode>,);

/// Puts functions that note refusals in the place of those of `wasmtime-wasi`.
pub(super) fn link(linker: &mut Linker<HostState>) -> Result<()> {
    preopens::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    linker.instance(TYPES)?.func_wrap_async("[method]descriptor.open-at", |store, asked: Open| Box::new(open_at(store, asked)))
}

impl preopens::Host for HostState {
    fn get_directories(&mut self) -> Result<Vec<(Resource<Descriptor>, String)>> {
        if !self.has_directories {
            self.refusals.note(&format!(
                "it asked for files, and no directory is granted; to grant some, list them in {FILES_KEY} in the connector's \
                 configuration, such as `/data/in:ro`"
            ));
        }
        preopens::Host::get_directories(&mut self.filesystem())
    }
}

async fn open_at(mut store: StoreContextMut<'_, HostState>, asked: Open) -> Result<Opened> {
    let (directory, path_flags, path, open_flags, flags) = asked;
    let state = store.data_mut();
    let mut files = state.filesystem();
    let opened = HostDescriptor::open_at(&mut files, directory, path_flags, path.clone(), open_flags, flags).await;
    let code = match opened {
        Ok(opened) => return Ok((Ok(opened),)),
        Err(error) => types::Host::convert_error_code(&mut files, error)?,
    };
    let wants_to_write = flags.contains(DescriptorFlags::WRITE)
        || open_flags.contains(OpenFlags::CREATE)
        || open_flags.contains(OpenFlags::TRUNCATE);
    match code {
        ErrorCode::NotPermitted | ErrorCode::Access | ErrorCode::ReadOnly if wants_to_write => state.refusals.note(&format!(
            "`{path}` may not be written, or leads out of its directory; to allow it, list its directory without `:ro` in {FILES_KEY}"
        )),
        ErrorCode::NotPermitted | ErrorCode::Access => state.refusals.note(&format!(
            "`{path}` leads out of its directory or may not be read by the worker; to allow it, list the directory that it leads to \
             in {FILES_KEY}"
        )),
        _ => {}
    }
    Ok((Err(code),))
}
