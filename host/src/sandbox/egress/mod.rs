//! The way out: every connection that a plugin makes is resolved, checked and dialled here. A name is looked up once, each of
//! its addresses is checked, and what is dialled is an address that was checked: there is no second look-up that could answer
//! something else.

mod client;
mod headers;
mod http;
mod network;
mod outgoing;
mod refusals;
mod secrets;
mod sockets;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

use super::grants::{AddressKind, Destination, Protocol, Scheme, Target, is_allowed};
pub(super) use headers::{HeaderRoom, link as link_headers};
pub(super) use http::Gate;
pub(super) use network::Network;
pub use network::{HostsFile, Resolver, SystemResolver};
pub(super) use outgoing::link as link_outgoing;
pub(super) use refusals::Refusals;
pub(super) use sockets::{Sockets, check as check_sockets, link as link_sockets};

/// Look-ups that one instance may have under way.
const MAX_LOOKUPS: usize = 4;
/// Addresses of a name that are looked at.
const MAX_ADDRESSES: usize = 16;
/// Time for a look-up, a connection and its TLS together, unless the guest asks for less.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for one of several addresses at least, before the next is tried.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(2);

/// What one instance's ways out have in common.
#[derive(Clone)]
pub(super) struct Egress {
    network: Arc<Network>,
    refusals: Arc<Refusals>,
    lookups: Arc<Semaphore>,
}

/// Why a destination was not reached.
#[derive(Debug)]
enum DialError {
    /// No address of it may be dialled. Noted in the refusals.
    Refused,
    /// It has no address.
    Unresolved,
    /// Time ran out.
    Timeout,
    /// The network says no.
    Failed(io::Error),
}

impl Egress {
    pub(super) fn new(network: Arc<Network>, refusals: Arc<Refusals>) -> Egress {
        Egress { network, refusals, lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)) }
    }

    /// The addresses of a destination that may be dialled. Where there are none although it has some, the first is noted as
    /// refused.
    async fn resolve(
        &self,
        protocol: Protocol,
        targets: &[Target],
        scheme: Option<Scheme>,
        destination: &Destination,
        port: u16,
    ) -> Result<Vec<IpAddr>, DialError> {
        let addresses = match destination {
            Destination::Address(address) => vec![*address],
            Destination::Name(name) => self.lookup(name).await?,
        };
        let is_allowed = |address: &&IpAddr| is_allowed(targets, scheme, destination, port, **address);
        let allowed: Vec<IpAddr> = addresses.iter().filter(is_allowed).copied().collect();
        match addresses.first() {
            Some(first) if allowed.is_empty() => {
                self.refusals.note(&refused_address(protocol, scheme, destination, port, *first));
                Err(DialError::Refused)
            }
            None => Err(DialError::Unresolved),
            Some(_) => Ok(allowed),
        }
    }

    /// All addresses of a name, in canonical form. The look-up keeps its place until it has really ended, even if nobody waits
    /// for it any more.
    async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, DialError> {
        let place = self.lookups.clone().acquire_owned().await.map_err(|error| DialError::Failed(io::Error::other(error)))?;
        let (resolver, name) = (self.network.resolver.clone(), name.to_owned());
        let found = tokio::spawn(async move {
            let found = resolver.lookup(&name).await;
            drop(place);
            found
        });
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in found.await.map_err(io::Error::other).flatten().map_err(|_| DialError::Unresolved)? {
            let address = address.to_canonical();
            if !addresses.contains(&address) && addresses.len() < MAX_ADDRESSES {
                addresses.push(address);
            }
        }
        Ok(addresses)
    }

    /// A connection to the first of the addresses that answers.
    async fn connect(&self, addresses: &[IpAddr], port: u16, deadline: Instant) -> Result<TcpStream, DialError> {
        let mut last = DialError::Timeout;
        for (tried, address) in addresses.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
            let connecting = timeout(share.max(ADDRESS_TIMEOUT).min(left), TcpStream::connect(SocketAddr::new(*address, port)));
            match connecting.await {
                Ok(Ok(stream)) => {
                    stream.set_nodelay(true).map_err(DialError::Failed)?;
                    return Ok(stream);
                }
                Ok(Err(error)) => last = DialError::Failed(error),
                Err(_) => last = DialError::Timeout,
            }
        }
        Err(last)
    }

    /// Looks up, checks and dials.
    async fn dial(
        &self,
        targets: &[Target],
        scheme: Scheme,
        destination: &Destination,
        port: u16,
        deadline: Instant,
    ) -> Result<TcpStream, DialError> {
        let resolving = self.resolve(Protocol::Http, targets, Some(scheme), destination, port);
        let addresses = timeout_at(deadline, resolving).await.map_err(|_| DialError::Timeout)??;
        self.connect(&addresses, port, deadline).await
    }
}

/// What to say about a name that leads where it may not.
fn refused_address(protocol: Protocol, scheme: Option<Scheme>, destination: &Destination, port: u16, address: IpAddr) -> String {
    let url = |host: &Destination| match scheme {
        Some(scheme) => format!("{}://{}", scheme.name(), host.with_port(port)),
        None => host.with_port(port),
    };
    let kind = AddressKind::of(address);
    let (what, key, literal) = (url(destination), protocol.key(), url(&Destination::Address(address)));
    let add = match (destination, kind) {
        (Destination::Name(_), AddressKind::Private) => format!("`{what}+private` in place of the name's entry, or `{literal}`,"),
        _ => format!("`{literal}`"),
    };
    let kind = kind.name();
    format!(
        "{} to {what} leads to {address}, a {kind} address, which is not granted with it; to grant it, add {add} to {key} in the \
         connector's configuration",
        protocol.name()
    )
}

/// What to say about a destination that no entry means.
fn refused_destination(protocol: Protocol, scheme: Option<Scheme>, destination: &Destination, port: u16) -> String {
    let what = match scheme {
        Some(scheme) => format!("{}://{}", scheme.name(), destination.with_port(port)),
        None => destination.with_port(port),
    };
    let (name, key) = (protocol.name(), protocol.key());
    format!("{name} to {what} is not granted; to grant it, add `{what}` to {key} in the connector's configuration")
}

#[cfg(test)]
mod tests;
