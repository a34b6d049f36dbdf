//! Which addresses a registry may have. A connector names them, which may be a stranger's, and the worker dials them.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};

use reqwest::dns::{Name, Resolve, Resolving};
use url::Url;

use crate::sandbox::{
    AddressKind, Destination, GrantError, Protocol, Resolver, Scheme, SystemResolver, Target, is_allowed, is_meant,
};

/// The worker's key: a list in the grammar of `sandbox.http`.
pub const REACH_KEY: &str = "hawser.schema.registry.http";
/// All that registries have in ordinary set-ups: public and private addresses, and the loopback. Never the link-local ones, where
/// clouds have their metadata services.
pub const DEFAULT_REACH: &str = "*:*+private,localhost:*,127.0.0.0/8:*,[::1]:*";
/// Addresses of a name that are looked at.
const MAX_ADDRESSES: usize = 16;

static SYSTEM: LazyLock<Arc<dyn Resolver>> = LazyLock::new(|| Arc::new(SystemResolver::default()));

/// What converters of this worker may reach.
#[derive(Debug, Clone)]
pub struct Reach {
    targets: Arc<[Target]>,
    resolver: Arc<dyn Resolver>,
}

impl Reach {
    /// What a worker's configuration allows.
    ///
    /// # Errors
    /// [`GrantError`] quotes an entry that is none.
    pub fn new(worker: &[(String, String)]) -> Result<Self, GrantError> {
        let list = worker.iter().find(|(key, _)| key == REACH_KEY).map_or(DEFAULT_REACH, |(_, list)| list.as_str());
        Self::with_resolver(list, SYSTEM.clone())
    }

    fn with_resolver(list: &str, resolver: Arc<dyn Resolver>) -> Result<Self, GrantError> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let targets = entries.map(|entry| Target::parse(Protocol::Http, REACH_KEY, entry)).collect::<Result<_, _>>()?;
        Ok(Reach { targets, resolver })
    }

    /// What stands before the dials to one URL.
    ///
    /// # Errors
    /// [`Refused`] when no entry means its host, or its host is an address that none allows.
    pub fn door(&self, url: &Url) -> Result<Door, Refused> {
        let scheme = Scheme::of(url.scheme()).ok_or(Refused::NoUrl)?;
        let destination = url.host_str().and_then(Destination::parse).ok_or(Refused::NoUrl)?;
        let port = url.port().unwrap_or_else(|| scheme.port());
        let door = Door { reach: self.clone(), scheme, destination, port };
        if !is_meant(&self.targets, Some(scheme), &door.destination, port) {
            return Err(Refused::Destination(door.shown(&door.destination)));
        }
        match door.destination {
            Destination::Address(address) => door.admit([address]).map(|_| door),
            Destination::Name(_) => Ok(door),
        }
    }
}

/// Looks up the host of one URL whenever it is dialled, and lets through what may be dialled.
#[derive(Debug, Clone)]
pub struct Door {
    reach: Reach,
    scheme: Scheme,
    destination: Destination,
    port: u16,
}

/// Why an address is not dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The URL is none.
    #[error("it names no host")]
    NoUrl,
    /// Nothing allows it.
    #[error("this worker does not let converters reach {0}; ask its operator to add `{0}` to {REACH_KEY}")]
    Destination(String),
    /// What it leads to is not allowed.
    #[error(
        "{what} leads to {address}, a {kind} address, which this worker does not let converters reach; ask its operator to add \
         `{literal}` to {REACH_KEY}"
    )]
    Address {
        /// The URL.
        what: String,
        /// Where it leads.
        address: IpAddr,
        /// What kind of address that is.
        kind: &'static str,
        /// The entry that would allow it.
        literal: String,
    },
}

impl Door {
    fn shown(&self, destination: &Destination) -> String {
        format!("{}://{}", self.scheme.name(), destination.with_port(self.port))
    }

    /// Those of the addresses that may be dialled.
    fn admit(&self, addresses: impl IntoIterator<Item = IpAddr>) -> Result<Vec<SocketAddr>, Refused> {
        let mut allowed = Vec::new();
        let mut refused = None;
        for address in addresses.into_iter().take(MAX_ADDRESSES).map(|address| address.to_canonical()) {
            if is_allowed(&self.reach.targets, Some(self.scheme), &self.destination, self.port, address) {
                allowed.push(SocketAddr::new(address, self.port));
            } else {
                refused.get_or_insert(address);
            }
        }
        match refused {
            Some(address) if allowed.is_empty() => Err(Refused::Address {
                what: self.shown(&self.destination),
                address,
                kind: AddressKind::of(address).name(),
                literal: self.shown(&Destination::Address(address)),
            }),
            _ => Ok(allowed),
        }
    }
}

impl Resolve for Door {
    fn resolve(&self, name: Name) -> Resolving {
        let door = self.clone();
        Box::pin(async move {
            let found = door.reach.resolver.lookup(name.as_str()).await?;
            let addresses: reqwest::dns::Addrs = Box::new(door.admit(found)?.into_iter());
            Ok(addresses)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each name with the addresses that it is made of: `10.0.0.1_8.8.8.8.test`.
    #[derive(Debug)]
    struct Spelled;

    #[async_trait::async_trait]
    impl Resolver for Spelled {
        async fn lookup(&self, name: &str) -> std::io::Result<Vec<IpAddr>> {
            let spelled = name.strip_suffix(".test").unwrap_or(if name == "localhost" { "127.0.0.1" } else { "" });
            Ok(spelled.split('_').filter_map(|address| address.replace('-', ":").parse().ok()).collect())
        }
    }

    async fn dialled(list: &str, url: &str) -> Result<Vec<String>, String> {
        let door = Reach::with_resolver(list, Arc::new(Spelled)).unwrap().door(&Url::parse(url).unwrap());
        let door = door.map_err(|error| error.to_string())?;
        match &door.destination {
            Destination::Address(address) => Ok(vec![address.to_string()]),
            Destination::Name(name) => {
                let found = door.resolve(name.parse().unwrap()).await.map_err(|error| error.to_string())?;
                Ok(found.map(|address| address.ip().to_string()).collect())
            }
        }
    }

    #[tokio::test]
    async fn what_is_dialled_is_what_the_worker_allows() {
        for (list, url, expect) in [
            (DEFAULT_REACH, "http://localhost:8081", Ok(&["127.0.0.1"][..])),
            (DEFAULT_REACH, "http://127.0.0.1:8081", Ok(&["127.0.0.1"])),
            (DEFAULT_REACH, "http://[::1]:8081", Ok(&["::1"])),
            (DEFAULT_REACH, "http://10.1.2.3", Ok(&["10.1.2.3"])),
            (DEFAULT_REACH, "https://172.20.0.5.test", Ok(&["172.20.0.5"])),
            (DEFAULT_REACH, "https://8.8.8.8_10.0.0.1.test:9999", Ok(&["8.8.8.8", "10.0.0.1"])),
            (DEFAULT_REACH, "http://127.0.0.1.test:8081", Ok(&["127.0.0.1"])),
            (DEFAULT_REACH, "http://169.254.169.254/latest", Err("a special-purpose address")),
            (DEFAULT_REACH, "http://0xa9fea9fe/", Err("leads to 169.254.169.254")),
            (DEFAULT_REACH, "http://[::ffff:169.254.169.254]/", Err("a special-purpose address")),
            (DEFAULT_REACH, "http://[fe80::1]/", Err("a special-purpose address")),
            (DEFAULT_REACH, "http://0.0.0.0:80", Err("a special-purpose address")),
            (DEFAULT_REACH, "http://169.254.169.254.test", Err("leads to 169.254.169.254")),
            (DEFAULT_REACH, "http://8.8.8.8_169.254.169.254.test", Ok(&["8.8.8.8"])),
            ("", "http://8.8.8.8", Err("to hawser.schema.registry.http")),
            ("registry.test:8081", "http://other.test:8081", Err("does not let converters reach http://other.test:8081")),
            ("8.8.8.8.test:8081", "http://8.8.8.8.test:8081", Ok(&["8.8.8.8"])),
            ("8.8.8.8.test:8081", "http://8.8.8.8.test:8082", Err("does not let converters reach")),
            ("*.test:8081", "http://10.0.0.1.test:8081", Err("a private address")),
            ("https://*", "http://8.8.8.8.test", Err("does not let converters reach")),
            ("10.0.0.0/8:*", "http://10.0.0.1:1", Ok(&["10.0.0.1"])),
        ] {
            match (dialled(list, url).await, expect) {
                (Ok(found), Ok(expect)) => assert_eq!(found, expect, "{list} {url}"),
                (Err(found), Err(expect)) => assert!(found.contains(expect), "{list} {url}: {found}"),
                (found, _) => panic!("{list} {url}: {found:?}"),
            }
        }
        assert!(Reach::new(&[(REACH_KEY.to_owned(), "a b".to_owned())]).unwrap_err().to_string().starts_with(REACH_KEY));
    }
}
