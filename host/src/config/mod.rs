//! How a worker is configured: a `.properties` file written for Kafka Connect, the environment, the command line; and the
//! files of connectors that a worker on its own is started with.
//!
//! All keys stand in one table ([`KEYS`]), from which their documentation is made ([`reference`]).

mod connectors;
mod headers;
mod key;
mod keys;
mod listener;
mod properties;
mod providers;
mod sources;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod tls;
mod worker;

pub use connectors::{ConnectorFile, ConnectorFileError, read_connector};
pub use headers::{HeaderContent, ResponseHeader};
pub use key::{Check, Default, Key, Kind, Section};
pub use keys::{KEYS, reference};
pub use listener::Listener;
pub use properties::{PropertiesError, decode_latin1, parse as parse_properties};
pub use providers::{ProviderError, Providers, Resolved};
pub use sources::{Pairs, from_environment, parse_override, read_file};
pub use tls::{ClientAuth, TlsSettings, TlsStore};
pub use worker::{
    ClusterSettings, ConfigError, ConverterSettings, MetricsSettings, Mode, OverridePolicy, RestSettings, WorkerConfig,
    dev_defaults,
};
