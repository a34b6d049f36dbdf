//! What all instances of a worker share on their way out.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::net::{IpAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Semaphore;

use crate::sandbox::grants::Destination;

/// Bytes of a file of names at most: it is read for each look-up.
const MAX_HOSTS_BYTES: u64 = 1 << 20;
/// Look-ups of all instances under way: each holds a thread.
const MAX_WORKER_LOOKUPS: usize = 64;

/// Looks up names.
#[async_trait]
pub trait Resolver: fmt::Debug + Send + Sync {
    /// The addresses of a name.
    ///
    /// # Errors
    /// It has none, or nobody could be asked.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system, asked by at most 64 threads at a time.
#[derive(Debug)]
pub struct SystemResolver {
    places: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        SystemResolver { places: Arc::new(Semaphore::new(MAX_WORKER_LOOKUPS)) }
    }
}

#[async_trait]
impl Resolver for SystemResolver {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let place = self.places.clone().acquire_owned().await.map_err(io::Error::other)?;
        let name = name.to_owned();
        let found = tokio::task::spawn_blocking(move || {
            let found = (name.as_str(), 0).to_socket_addrs();
            drop(place);
            found
        });
        Ok(found.await.map_err(io::Error::other)??.map(|address| address.ip()).collect())
    }
}

/// The names of a file, in the form of `/etc/hosts`; all others are asked of the operating system. The file is read for each
/// look-up, so that a change counts from the next connection on.
#[derive(Debug)]
pub struct HostsFile {
    path: PathBuf,
    others: SystemResolver,
}

impl HostsFile {
    /// # Errors
    /// The file cannot be read, is too large, or a line of it is not an address with names.
    pub fn open(path: PathBuf) -> Result<HostsFile, String> {
        read_hosts(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(HostsFile { path, others: SystemResolver::default() })
    }
}

#[async_trait]
impl Resolver for HostsFile {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || read_hosts(&path)).await.map_err(io::Error::other)?;
        let hosts = read.inspect_err(|error| {
            tracing::warn!(
                "No name is looked up: {}: {error}; correct the file of hawser.sandbox.hosts.file",
                self.path.display()
            );
        })?;
        let found: Vec<IpAddr> = hosts.into_iter().filter(|(_, host)| host == name).map(|(address, _)| address).collect();
        if found.is_empty() { self.others.lookup(name).await } else { Ok(found) }
    }
}

/// Each name with each of its addresses, names as [`Destination`](crate::sandbox::grants::Destination) writes them.
fn read_hosts(path: &Path) -> io::Result<Vec<(IpAddr, String)>> {
    let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    let mut text = String::new();
    File::open(path)?.take(MAX_HOSTS_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_HOSTS_BYTES {
        return Err(invalid(format!("it is larger than {MAX_HOSTS_BYTES} bytes")));
    }
    let mut hosts = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let Some(address) = words.next() else { continue };
        let address: IpAddr = address.parse().map_err(|_| {
            invalid(format!("line {}: `{address}` is no address; a line is an address and its names", number + 1))
        })?;
        for name in words {
            let name = Destination::parse(name).ok_or_else(|| invalid(format!("line {}: `{name}` is no name", number + 1)))?;
            hosts.push((address, name.to_string()));
        }
    }
    Ok(hosts)
}

/// The resolver and the certificates that are trusted.
pub(in crate::sandbox) struct Network {
    pub(super) resolver: Arc<dyn Resolver>,
    pub(super) tls: Arc<ClientConfig>,
}

impl Network {
    /// Trusts the roots of Mozilla's program, and those in `ca_file`.
    ///
    /// # Errors
    /// The file cannot be read or holds something else than certificates in PEM.
    pub(in crate::sandbox) fn new(resolver: Arc<dyn Resolver>, ca_file: Option<&Path>) -> Result<Network, String> {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        if let Some(path) = ca_file {
            let failed = |error: &dyn fmt::Display| format!("{}: {error}", path.display());
            let certificates = CertificateDer::pem_file_iter(path).map_err(|error| failed(&error))?;
            let before = roots.len();
            for certificate in certificates {
                let certificate = certificate.map_err(|error| failed(&error))?;
                roots.add(certificate).map_err(|error| failed(&error))?;
            }
            if roots.len() == before {
                return Err(failed(&"there is no certificate in it; it must hold CA certificates in PEM"));
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
        Ok(Network { resolver, tls: Arc::new(config) })
    }
}
