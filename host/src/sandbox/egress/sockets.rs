//! What `wasi:sockets` asks of the host. A guest connects to addresses, not to names: an address may be dialled if it is
//! granted by itself, or if the host has found it behind a name that is granted, for as long as the instance lives.

use std::collections::VecDeque;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec;

use async_trait::async_trait;
use futures::FutureExt;
use wasmtime::Result;
use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::bindings::sockets::ip_name_lookup::{self, ResolveAddressStream};
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode, IpAddress, IpAddressFamily, Network};
use wasmtime_wasi::p2::bindings::sockets::{tcp_create_socket, udp_create_socket};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketError, SocketResult, TcpSocket, UdpSocket, subscribe};
use wasmtime_wasi::runtime::{AbortOnDropJoinHandle, spawn};
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsView};

use super::{CONNECT_TIMEOUT, DialError, Egress, refused_address, refused_destination};
use crate::sandbox::Grants;
use crate::sandbox::grants::{Destination, Protocol, Target, is_allowed, is_meant, is_name_meant};
use crate::sandbox::limits::CONNECTIONS_KEY;
use crate::sandbox::state::HostState;

/// Addresses behind names that one instance may dial; of more, those found last.
const MAX_FOUND: usize = 256;
/// Sockets of an instance that was granted none: enough to be told what is missing.
const MAX_UNGRANTED: usize = 1;

/// The sockets of one instance: what they may reach, and how many there are.
pub(in crate::sandbox) struct Sockets {
    egress: Egress,
    tcp: Vec<Target>,
    udp: Vec<Target>,
    found: Mutex<VecDeque<Found>>,
    live: Mutex<Vec<Live>>,
    most: usize,
}

/// An address that a granted name led to.
#[derive(PartialEq, Eq)]
struct Found {
    name: Destination,
    address: IpAddr,
}

/// A socket by its place in the resource table.
enum Live {
    Tcp(u32),
    Udp(u32),
}

impl Sockets {
    pub(in crate::sandbox) fn new(egress: Egress, grants: &Grants, most: usize) -> Sockets {
        let most = if grants.tcp.is_empty() && grants.udp.is_empty() { MAX_UNGRANTED } else { most };
        let (tcp, udp) = (grants.tcp.clone(), grants.udp.clone());
        Sockets { egress, tcp, udp, found: Mutex::default(), live: Mutex::default(), most }
    }

    fn targets(&self, protocol: Protocol) -> &[Target] {
        if protocol == Protocol::Udp { &self.udp } else { &self.tcp }
    }

    /// Whether a socket may be used so. Only outgoing connections and datagrams are granted: a port can be left to the system,
    /// but not chosen, and nothing listens.
    pub(in crate::sandbox) fn check(&self, address: SocketAddr, usage: SocketAddrUse) -> bool {
        let is_implicit = address.ip().is_unspecified() && address.port() == 0;
        match usage {
            SocketAddrUse::TcpConnect => self.may_reach(Protocol::Tcp, address),
            SocketAddrUse::UdpSend => self.may_reach(Protocol::Udp, address),
            SocketAddrUse::UdpReceive => self.is_granted(Protocol::Udp, address),
            SocketAddrUse::TcpBind | SocketAddrUse::UdpBind if is_implicit => true,
            SocketAddrUse::TcpBind | SocketAddrUse::TcpListen | SocketAddrUse::TcpAccept | SocketAddrUse::UdpBind => {
                self.egress.refusals.note(&format!(
                    "to bind or listen on {address} is never granted: plugins make connections, they do not take them"
                ));
                false
            }
        }
    }

    fn may_reach(&self, protocol: Protocol, address: SocketAddr) -> bool {
        let is_granted = self.is_granted(protocol, address);
        if !is_granted {
            let (ip, port) = (address.ip().to_canonical(), address.port());
            let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
            let name = found.iter().find(|found| found.address == ip).map(|found| found.name.clone());
            drop(found);
            self.egress.refusals.note(&match name {
                Some(name) if !is_meant(self.targets(protocol), None, &name, port) => {
                    refused_destination(protocol, None, &name, port)
                }
                Some(name) => refused_address(protocol, None, &name, port, ip),
                None => refused_destination(protocol, None, &Destination::Address(ip), port),
            });
        }
        is_granted
    }

    fn is_granted(&self, protocol: Protocol, address: SocketAddr) -> bool {
        let (ip, port) = (address.ip().to_canonical(), address.port());
        let allows = |destination: &Destination| is_allowed(self.targets(protocol), None, destination, port, ip);
        if allows(&Destination::Address(ip)) {
            return true;
        }
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.iter().any(|found| found.address == ip && allows(&found.name))
    }

    /// The addresses of a name that may be dialled on some port.
    async fn lookup(self: Arc<Self>, name: String) -> Result<Vec<IpAddr>, ErrorCode> {
        let bracketed = format!("[{name}]");
        let destination =
            Destination::parse(&name).or_else(|| Destination::parse(&bracketed)).ok_or(ErrorCode::InvalidArgument)?;
        let text = match &destination {
            // No look-up; whether it may be dialled is asked when it is.
            Destination::Address(address) => return Ok(vec![*address]),
            Destination::Name(text) => text,
        };
        if !is_name_meant(&self.tcp, &destination) && !is_name_meant(&self.udp, &destination) {
            self.egress.refusals.note(&format!(
                "the look-up of {destination} is not granted; to grant it, add `{destination}:PORT` to sandbox.tcp or sandbox.udp in \
                 the connector's configuration"
            ));
            return Err(ErrorCode::AccessDenied);
        }
        let addresses = match tokio::time::timeout(CONNECT_TIMEOUT, self.egress.lookup(text)).await {
            Ok(Ok(addresses)) => addresses,
            Ok(Err(DialError::Unresolved)) => return Err(ErrorCode::NameUnresolvable),
            Ok(Err(_)) | Err(_) => return Err(ErrorCode::TemporaryResolverFailure),
        };
        self.remember(&destination, &addresses);
        Ok(addresses)
    }

    fn remember(&self, name: &Destination, addresses: &[IpAddr]) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        for address in addresses {
            let new = Found { name: name.clone(), address: *address };
            if !found.contains(&new) {
                if found.len() == MAX_FOUND {
                    found.pop_front();
                }
                found.push_back(new);
            }
        }
    }

    /// Whether there is room for one more.
    fn has_room(&self, table: &ResourceTable) -> bool {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.retain(|socket| match socket {
            Live::Tcp(rep) => table.get(&Resource::<TcpSocket>::new_borrow(*rep)).is_ok(),
            Live::Udp(rep) => table.get(&Resource::<UdpSocket>::new_borrow(*rep)).is_ok(),
        });
        if live.len() < self.most {
            return true;
        }
        let most = self.most;
        self.egress.refusals.note(&match self.tcp.is_empty() && self.udp.is_empty() {
            true => "sockets are not granted; list hosts and ports in sandbox.tcp or sandbox.udp".to_owned(),
            false => format!("it holds {most} sockets, which is all that it may; let it close some or raise {CONNECTIONS_KEY}"),
        });
        false
    }

    fn made(&self, socket: Live) {
        self.live.lock().unwrap_or_else(PoisonError::into_inner).push(socket);
    }
}

/// The check of [`Sockets`] as WASI wants it.
pub(in crate::sandbox) fn check(
    sockets: Arc<Sockets>,
) -> impl Fn(SocketAddr, SocketAddrUse) -> Pin<Box<dyn Future<Output = bool> + Send + Sync>> + Send + Sync {
    move |address, usage| {
        let allowed = sockets.check(address, usage);
        Box::pin(async move { allowed })
    }
}

/// Puts the look-up of names and the making of sockets in the place of those of `wasmtime-wasi`.
pub(in crate::sandbox) fn link(linker: &mut Linker<HostState>) -> Result<()> {
    ip_name_lookup::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    tcp_create_socket::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    udp_create_socket::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

impl network::Host for HostState {
    fn convert_error_code(&mut self, error: SocketError) -> Result<ErrorCode> {
        self.sockets().convert_error_code(error)
    }

    fn network_error_code(&mut self, error: Resource<wasmtime::Error>) -> Result<Option<ErrorCode>> {
        network::Host::network_error_code(&mut self.sockets(), error)
    }
}

impl network::HostNetwork for HostState {
    fn drop(&mut self, network: Resource<Network>) -> Result<()> {
        network::HostNetwork::drop(&mut self.sockets(), network)
    }
}

impl tcp_create_socket::Host for HostState {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        let sockets = self.sockets.clone();
        if !sockets.has_room(self.ctx().table) {
            return Err(ErrorCode::NewSocketLimit.into());
        }
        let socket = tcp_create_socket::Host::create_tcp_socket(&mut WasiSocketsView::sockets(self), family)?;
        sockets.made(Live::Tcp(socket.rep()));
        Ok(socket)
    }
}

impl udp_create_socket::Host for HostState {
    async fn create_udp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        let sockets = self.sockets.clone();
        if !sockets.has_room(self.ctx().table) {
            return Err(ErrorCode::NewSocketLimit.into());
        }
        let socket = udp_create_socket::Host::create_udp_socket(&mut WasiSocketsView::sockets(self), family).await?;
        sockets.made(Live::Udp(socket.rep()));
        Ok(socket)
    }
}

/// A look-up under way or done; it stands in the table in the place of WASI's own stream.
enum Lookup {
    Pending(AbortOnDropJoinHandle<Result<Vec<IpAddr>, ErrorCode>>),
    Done(Result<vec::IntoIter<IpAddr>, ErrorCode>),
}

#[async_trait]
impl Pollable for Lookup {
    async fn ready(&mut self) {
        if let Lookup::Pending(lookup) = self {
            *self = Lookup::Done(lookup.await.map(Vec::into_iter));
        }
    }
}

/// The same place in the table by its real type.
fn lookup_at(stream: &Resource<ResolveAddressStream>) -> Resource<Lookup> {
    Resource::new_borrow(stream.rep())
}

impl ip_name_lookup::Host for HostState {
    fn resolve_addresses(&mut self, _: Resource<Network>, name: String) -> SocketResult<Resource<ResolveAddressStream>> {
        let lookup = Lookup::Pending(spawn(self.sockets.clone().lookup(name)));
        let lookup = self.ctx().table.push(lookup)?;
        Ok(Resource::new_own(lookup.rep()))
    }
}

impl ip_name_lookup::HostResolveAddressStream for HostState {
    fn resolve_next_address(&mut self, stream: Resource<ResolveAddressStream>) -> SocketResult<Option<IpAddress>> {
        let lookup = self.ctx().table.get_mut(&lookup_at(&stream))?;
        if let Some(()) = lookup.ready().now_or_never()
            && let Lookup::Done(found) = lookup
        {
            return match found {
                Ok(addresses) => Ok(addresses.next().map(Into::into)),
                Err(code) => Err((*code).into()),
            };
        }
        Err(ErrorCode::WouldBlock.into())
    }

    fn subscribe(&mut self, stream: Resource<ResolveAddressStream>) -> Result<Resource<DynPollable>> {
        subscribe(self.ctx().table, lookup_at(&stream))
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> Result<()> {
        self.ctx().table.delete(Resource::<Lookup>::new_own(stream.rep()))?;
        Ok(())
    }
}
