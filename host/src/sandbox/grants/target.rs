//! The one grammar of hosts and ports.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use url::Host as UrlHost;

use super::{AddressKind, GrantError};

/// Which key an entry stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// `sandbox.http`.
    Http,
    /// `sandbox.tcp`.
    Tcp,
    /// `sandbox.udp`.
    Udp,
}

impl Protocol {
    /// Its key in a connector's configuration.
    pub fn key(self) -> &'static str {
        match self {
            Protocol::Http => "sandbox.http",
            Protocol::Tcp => "sandbox.tcp",
            Protocol::Udp => "sandbox.udp",
        }
    }

    /// Its name in messages.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Http => "HTTP",
            Protocol::Tcp => "TCP",
            Protocol::Udp => "UDP",
        }
    }
}

/// Scheme of a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Without encryption.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// Its name in lower case.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// The port of a URL that names none.
    pub fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }

    /// The scheme of a name in lower case.
    pub fn of(name: &str) -> Option<Scheme> {
        [Scheme::Http, Scheme::Https].into_iter().find(|scheme| scheme.name() == name)
    }
}

/// Where connections may go: an entry of `sandbox.http`, `sandbox.tcp` or `sandbox.udp`.
///
/// ```text
/// entry  = [scheme "://"] host [":" ports] ["+private"]
/// scheme = "http" | "https"                                 (only for HTTP)
/// host   = "*" | name | "*." name | IPv4 | IPv4 "/" bits | "[" IPv6 "]" | "[" IPv6 "/" bits "]"
/// ports  = "*" | number | number "-" number                 (HTTP: without it 80 for http, 443 for https)
/// ```
///
/// A name (and `*`) allows the public addresses that it leads to; with `+private`, those of private networks, too. All other
/// addresses are allowed only by themselves or by a network. `localhost` means the loopback addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    scheme: Option<Scheme>,
    host: Host,
    ports: Ports,
    private: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Any,
    /// What follows `*`, with the dot.
    Below(String),
    Name(String),
    Network(IpNet),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ports {
    /// Those of the schemes.
    Default,
    Range(u16, u16),
}

/// Where a guest wants to go, in the one form in which it is checked and dialled.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Destination {
    /// A name: lower case, in ASCII, without the root's dot.
    Name(String),
    /// An address; mapped IPv4 is IPv4.
    Address(IpAddr),
}

/// The loopback's name (RFC 6761).
const LOCALHOST: &str = "localhost";

impl Destination {
    /// The destination that a host in a URL means, as browsers read it: percent-decoded, by IDNA, and with the decimal, octal
    /// and hexadecimal forms of IPv4. `None`: it is none.
    pub fn parse(host: &str) -> Option<Destination> {
        let name = match UrlHost::parse(host).ok()? {
            UrlHost::Ipv4(address) => return Some(Destination::Address(address.into())),
            UrlHost::Ipv6(address) => return Some(Destination::Address(IpAddr::V6(address).to_canonical())),
            UrlHost::Domain(name) => name,
        };
        let name = name.strip_suffix('.').unwrap_or(&name);
        let is_name = !name.is_empty() && name.split('.').all(|label| !label.is_empty() && label.bytes().all(is_label_byte));
        is_name.then(|| Destination::Name(name.to_owned()))
    }

    /// With a port, as in a URL.
    pub fn with_port(&self, port: u16) -> String {
        format!("{self}:{port}")
    }
}

fn is_label_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Name(name) => f.write_str(name),
            Destination::Address(IpAddr::V4(address)) => write!(f, "{address}"),
            Destination::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

impl Target {
    /// Reads an entry of the key of a protocol.
    ///
    /// # Errors
    /// [`GrantError::NotATarget`] quotes it.
    pub fn parse(protocol: Protocol, key: &str, entry: &str) -> Result<Target, GrantError> {
        Target::read(protocol, entry).ok_or_else(|| GrantError::NotATarget {
            key: key.to_owned(),
            entry: entry.to_owned(),
            wants: if protocol == Protocol::Http {
                "`host`, `https://host`, `host:port`, `*.domain`, `10.0.0.0/8:8080-8090`, `[::1]:80` or `*`, without a path; \
                 `+private` behind it allows addresses of private networks"
            } else {
                "`host:port`, `*.domain:port`, `10.0.0.0/8:5000-5010`, `[::1]:53` or `host:*`; `+private` behind it allows \
                 addresses of private networks"
            },
        })
    }

    fn read(protocol: Protocol, entry: &str) -> Option<Target> {
        let (rest, private) = entry.strip_suffix("+private").map_or((entry, false), |rest| (rest, true));
        let (scheme, rest) = match rest.split_once("://") {
            Some((scheme, rest)) if protocol == Protocol::Http => (Some(Scheme::of(&scheme.to_ascii_lowercase())?), rest),
            Some(_) => return None,
            None => (None, rest),
        };
        let (host, ports) = split_ports(rest)?;
        if protocol != Protocol::Http && ports == Ports::Default {
            return None;
        }
        let host = Host::read(host)?;
        let by_address = matches!(host, Host::Network(_));
        (!(private && by_address)).then_some(Target { scheme, host, ports, private })
    }

    /// Whether everything that `other` allows is allowed by this target too.
    pub fn covers(&self, other: &Target) -> bool {
        let host = match (&self.host, &other.host) {
            (Host::Network(outer), Host::Network(inner)) => outer.contains(inner),
            (Host::Network(_), _) => false,
            (_, Host::Network(inner)) => {
                let single = inner.prefix_len() == inner.max_prefix_len();
                self.host == Host::Any && single && self.follows(inner.addr())
            }
            (outer, inner) => outer.covers(inner) && (self.private || !other.private),
        };
        let scheme = self.scheme.is_none_or(|scheme| other.scheme == Some(scheme));
        host && scheme && self.ports.cover(other.ports, other.scheme)
    }

    /// Whether it says anything about such a destination: it names it, or the networks of an address.
    fn means(&self, destination: &Destination) -> bool {
        match (&self.host, destination) {
            (Host::Any, _) => true,
            (Host::Network(network), Destination::Address(address)) => network.contains(address),
            (Host::Network(_), Destination::Name(_)) | (_, Destination::Address(_)) => false,
            (host, Destination::Name(name)) => host.matches(name),
        }
    }

    fn allows_port(&self, scheme: Option<Scheme>, port: u16) -> bool {
        self.scheme.is_none_or(|allowed| scheme == Some(allowed)) && self.ports.allow(scheme, port)
    }

    /// Whether an address may be used that a name which the target means leads to.
    fn follows(&self, address: IpAddr) -> bool {
        match AddressKind::of(address) {
            AddressKind::Public => true,
            AddressKind::Private => self.private,
            AddressKind::Loopback => self.host == Host::Name(LOCALHOST.to_owned()),
            AddressKind::Special => false,
        }
    }

    fn allows(&self, destination: &Destination, address: IpAddr) -> bool {
        match &self.host {
            Host::Network(network) => network.contains(&address.to_canonical()),
            _ => self.means(destination) && self.follows(address),
        }
    }

    /// Whether it demands plain HTTP by its own words.
    pub fn is_plain(&self) -> bool {
        self.scheme == Some(Scheme::Http)
    }
}

/// Whether a connection to a destination may be tried at all, before it is known which address it has.
pub fn is_meant(targets: &[Target], scheme: Option<Scheme>, destination: &Destination, port: u16) -> bool {
    targets.iter().any(|target| target.allows_port(scheme, port) && target.means(destination))
}

/// Whether some port of a name is granted, so that it may be looked up.
pub fn is_name_meant(targets: &[Target], destination: &Destination) -> bool {
    targets.iter().any(|target| target.means(destination))
}

/// Whether an address may be dialled for a destination: it is granted by itself, or follows from the destination.
pub fn is_allowed(targets: &[Target], scheme: Option<Scheme>, destination: &Destination, port: u16, address: IpAddr) -> bool {
    targets.iter().any(|target| target.allows_port(scheme, port) && target.allows(destination, address))
}

impl Host {
    fn read(text: &str) -> Option<Host> {
        if text == "*" {
            return Some(Host::Any);
        }
        if let Some(domain) = text.strip_prefix("*.") {
            let Destination::Name(name) = Destination::parse(domain)? else { return None };
            return Some(Host::Below(format!(".{name}")));
        }
        if let Some((address, bits)) = text.trim_start_matches('[').trim_end_matches(']').split_once('/') {
            let bracketed = text.starts_with('[') && text.ends_with(']');
            let address: IpAddr = address.parse().ok()?;
            let network = IpNet::new(address, bits.parse().ok()?).ok()?;
            let is_exact = network.trunc() == network && address.to_canonical() == address;
            return (bracketed == address.is_ipv6() && is_exact).then_some(Host::Network(network));
        }
        match Destination::parse(text)? {
            // Other notations than the common one are for those who hide something.
            Destination::Address(address) => {
                let plain = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok()?;
                (plain.to_canonical() == address).then(|| Host::Network(IpNet::from(address)))
            }
            Destination::Name(name) => Some(Host::Name(name)),
        }
    }

    fn covers(&self, other: &Host) -> bool {
        match (self, other) {
            // The name that means the loopback.
            (Host::Any | Host::Below(_), Host::Name(name)) if name == LOCALHOST => false,
            (Host::Any, _) => true,
            (Host::Below(suffix), Host::Below(inner)) => inner.ends_with(suffix),
            (outer, Host::Name(name)) => outer.matches(name),
            _ => false,
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Host::Any => true,
            Host::Below(suffix) => name.len() > suffix.len() && name.ends_with(suffix.as_str()),
            Host::Name(own) => own == name,
            Host::Network(_) => false,
        }
    }
}

impl Ports {
    fn allow(self, scheme: Option<Scheme>, port: u16) -> bool {
        match self {
            Ports::Default => scheme.is_some_and(|scheme| scheme.port() == port),
            Ports::Range(first, last) => (first..=last).contains(&port),
        }
    }

    fn cover(self, other: Ports, scheme: Option<Scheme>) -> bool {
        match (self, other) {
            (Ports::Default, Ports::Default) => true,
            (Ports::Default, Ports::Range(first, last)) => first == last && self.allow(scheme, first),
            (Ports::Range(..), Ports::Default) => match scheme {
                Some(scheme) => self.allow(None, scheme.port()),
                None => self.allow(None, Scheme::Http.port()) && self.allow(None, Scheme::Https.port()),
            },
            (Ports::Range(first, last), Ports::Range(inner_first, inner_last)) => first <= inner_first && inner_last <= last,
        }
    }
}

/// The host and what is behind its colon.
fn split_ports(authority: &str) -> Option<(&str, Ports)> {
    let host_end = authority.rfind(']').map_or(0, |end| end + 1);
    let Some(colon) = authority.get(host_end..)?.find(':') else { return Some((authority, Ports::Default)) };
    let (host, ports) = authority.split_at(host_end + colon);
    let ports = ports.get(1..)?;
    let number = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0 && text.bytes().all(|byte| byte.is_ascii_digit()));
    let ports = match ports.split_once('-') {
        _ if ports == "*" => Ports::Range(1, u16::MAX),
        Some((first, last)) => Ports::Range(number(first)?, number(last)?),
        None => number(ports).map(|port| Ports::Range(port, port))?,
    };
    let is_forward = !matches!(ports, Ports::Range(first, last) if first > last);
    is_forward.then_some((host, ports))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(scheme) = self.scheme {
            write!(f, "{}://", scheme.name())?;
        }
        match &self.host {
            Host::Any => f.write_str("*")?,
            Host::Below(suffix) => write!(f, "*{suffix}")?,
            Host::Name(name) => f.write_str(name)?,
            Host::Network(network) => {
                let single = network.prefix_len() == network.max_prefix_len();
                let text = if single { network.addr().to_string() } else { network.to_string() };
                if network.addr().is_ipv6() { write!(f, "[{text}]")? } else { f.write_str(&text)? }
            }
        }
        match self.ports {
            Ports::Default => {}
            Ports::Range(1, u16::MAX) => f.write_str(":*")?,
            Ports::Range(first, last) if first == last => write!(f, ":{first}")?,
            Ports::Range(first, last) => write!(f, ":{first}-{last}")?,
        }
        if self.private { f.write_str("+private") } else { Ok(()) }
    }
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
