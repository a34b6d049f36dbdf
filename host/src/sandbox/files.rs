//! Bounds what an instance may hold of files, and tells which grant is missing when a plugin is refused one. A guest finds the
//! directory of a path by itself and asks for what lies below, so that the host sees refusals below granted directories, and
//! otherwise only that directories are asked for.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{Result, StoreContextMut};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemCtxView, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::filesystem::preopens;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    self, DescriptorFlags, DescriptorType, ErrorCode, HostDescriptor, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsResult, ReaddirIterator};

use super::grants::FILES_KEY;
use super::state::HostState;

/// The interface of open files, as `wasmtime-wasi` links it.
const TYPES: &str = "wasi:filesystem/types@0.2.12";

/// Files and directories that one instance may have open: each is a descriptor of the worker.
const MAX_OPEN_FILES: usize = 64;
/// Streams that it may hold when it asks for one of a file: it keeps the file open, and may keep a thread at work.
const MAX_STREAMS: usize = 128;
/// Entries of directories that it is being told: they are read ahead.
const MAX_ENTRIES: usize = 100_000;

type Open = (Resource<Descriptor>, PathFlags, String, OpenFlags, DescriptorFlags);
type Opened = (Result<Resource<Descriptor>, ErrorCode>,);

/// Puts functions that note refusals in the place of those of `wasmtime-wasi`.
pub(super) fn link(linker: &mut Linker<HostState>) -> Result<()> {
    preopens::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    let mut types = linker.instance(TYPES)?;
    types.func_wrap_async("[method]descriptor.open-at", |store, asked: Open| Box::new(open_at(store, asked)))?;
    types.func_wrap_async("[method]descriptor.read-directory", |store, (directory,): (Resource<Descriptor>,)| {
        Box::new(read_directory(store, directory))
    })?;
    types.func_wrap("[method]descriptor.read-via-stream", |store, (file, offset): (Resource<Descriptor>, u64)| {
        stream(store, |files| files.read_via_stream(file, offset))
    })?;
    types.func_wrap("[method]descriptor.write-via-stream", |store, (file, offset): (Resource<Descriptor>, u64)| {
        stream(store, |files| files.write_via_stream(file, offset))
    })?;
    types.func_wrap("[method]descriptor.append-via-stream", |store, (file,): (Resource<Descriptor>,)| {
        stream(store, |files| files.append_via_stream(file))
    })
}

/// The entries that directory streams of an instance hold, by their place in the table.
#[derive(Default)]
pub(super) struct Listings(Vec<(u32, usize)>);

impl Listings {
    fn entries(&mut self, table: &ResourceTable) -> usize {
        self.0.retain(|(rep, _)| table.get(&Resource::<ReaddirIterator>::new_borrow(*rep)).is_ok());
        self.0.iter().map(|(_, entries)| entries).sum()
    }
}

/// Descriptors of the worker behind those of an instance; what was granted is opened once.
fn open_files(table: &mut ResourceTable) -> usize {
    let is_own = |descriptor: &Descriptor| match descriptor {
        Descriptor::File(_) => true,
        Descriptor::Dir(directory) => Arc::strong_count(&directory.dir) == 1,
    };
    table.iter_mut().filter(|entry| entry.downcast_ref::<Descriptor>().is_some_and(is_own)).count()
}

/// Another stream of a file.
fn stream<T: 'static>(
    mut store: StoreContextMut<'_, HostState>,
    open: impl FnOnce(&mut WasiFilesystemCtxView<'_>) -> FsResult<Resource<T>>,
) -> Result<(Result<Resource<T>, ErrorCode>,)> {
    let state = store.data_mut();
    let streams =
        state.ctx().table.iter_mut().filter(|entry| entry.is::<DynInputStream>() || entry.is::<DynOutputStream>()).count();
    if streams >= MAX_STREAMS {
        state.refusals.note(&format!("it holds {streams} streams, of which it may hold {MAX_STREAMS}; let it close some"));
        return Ok((Err(ErrorCode::Busy),));
    }
    let mut files = state.filesystem();
    match open(&mut files) {
        Ok(stream) => Ok((Ok(stream),)),
        Err(error) => Ok((Err(types::Host::convert_error_code(&mut files, error)?),)),
    }
}

async fn read_directory(
    mut store: StoreContextMut<'_, HostState>,
    directory: Resource<Descriptor>,
) -> Result<(Result<Resource<ReaddirIterator>, ErrorCode>,)> {
    let state = store.data_mut();
    let opened = match state.ctx().table.get(&directory)? {
        Descriptor::Dir(directory) => Some(Arc::clone(&directory.dir)),
        Descriptor::File(_) => None,
    };
    let mut entries = 0;
    if let Some(opened) = opened {
        let mut listings = std::mem::take(&mut state.listings);
        let held = listings.entries(state.ctx().table);
        state.listings = listings;
        entries = tokio::task::spawn_blocking(move || count_entries(&opened)).await?;
        if held + entries > MAX_ENTRIES {
            state.refusals.note(&format!(
                "it lists directories of over {MAX_ENTRIES} entries at a time, which is all that it may; spread the files over more of them"
            ));
            return Ok((Err(ErrorCode::InsufficientMemory),));
        }
    }
    let mut files = state.filesystem();
    match files.read_directory(directory).await {
        Ok(stream) => {
            state.listings.0.push((stream.rep(), entries));
            Ok((Ok(stream),))
        }
        Err(error) => Ok((Err(types::Host::convert_error_code(&mut files, error)?),)),
    }
}

/// As many as a directory has, as far as it matters. A directory that cannot be looked at has none.
fn count_entries(directory: &File) -> usize {
    let entries = std::fs::read_dir(format!("/dev/fd/{}", directory.as_raw_fd()));
    entries.map_or(0, |entries| entries.take(MAX_ENTRIES + 1).count())
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
    let open = open_files(state.ctx().table);
    if open >= MAX_OPEN_FILES {
        state.refusals.note(&format!("it has {open} files open, which is all that it may; let it close some"));
        return Ok((Err(ErrorCode::Busy),));
    }
    let mut files = state.filesystem();
    // To open a FIFO waits for its other end, and holds a thread for as long as nobody comes.
    let lent = Resource::new_borrow(directory.rep());
    if let Ok(found) = HostDescriptor::stat_at(&mut files, lent, path_flags, path.clone()).await
        && !matches!(found.type_, DescriptorType::RegularFile | DescriptorType::Directory | DescriptorType::SymbolicLink)
    {
        state.refusals.note(&format!("`{path}` is no file but a pipe, a socket or a device, which plugins cannot open"));
        return Ok((Err(ErrorCode::NotPermitted),));
    }
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
