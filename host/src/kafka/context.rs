//! What librdkafka tells its clients besides records: logs, errors, tokens. Runs inside `poll`, on the caller's thread.

use std::error::Error;
use std::sync::Arc;
use std::time::SystemTime;

use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::ClientSettings;
use super::login::Login;
use super::settings::Owner;
use crate::metrics::ClientStats;

/// The part that all clients share.
pub(super) struct Shared {
    client: String,
    owner: Option<Owner>,
    login: Login,
    stats: Option<Arc<ClientStats>>,
}

impl Shared {
    pub(super) fn new(settings: &ClientSettings) -> Self {
        Shared {
            client: settings.get("client.id").unwrap_or_default().to_owned(),
            owner: settings.owner().cloned(),
            login: settings.login().clone(),
            stats: settings.stats().cloned(),
        }
    }

    /// The names of whose client it is, as fields of its log lines: these come up on any thread.
    fn names(&self) -> (&str, Option<&str>, Option<u32>) {
        let owner = self.owner.as_ref();
        (&self.client, owner.map(|(connector, _)| &**connector), owner.and_then(|(_, task)| *task))
    }

    pub(super) fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let (client, connector, task) = self.names();
        match level {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
                tracing::error!(target: "librdkafka", connector, task, client, facility, "{message}");
            }
            RDKafkaLogLevel::Warning => tracing::warn!(target: "librdkafka", connector, task, client, facility, "{message}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", connector, task, client, facility, "{message}")
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", connector, task, client, facility, "{message}"),
        }
    }

    pub(super) fn error(&self, error: &KafkaError, reason: &str) {
        let (client, connector, task) = self.names();
        match error.rdkafka_error_code() {
            // The client reconnects by itself; what lasts shows in the task's state.
            Some(RDKafkaErrorCode::BrokerTransportFailure | RDKafkaErrorCode::AllBrokersDown) => {
                tracing::warn!(target: "librdkafka", connector, task, client, "{reason}");
            }
            // No error, but what `enable.partition.eof` asks for.
            Some(RDKafkaErrorCode::PartitionEOF) => {}
            _ => tracing::error!(target: "librdkafka", connector, task, client, "{error}: {reason}"),
        }
    }

    pub(super) fn stats(&self, statistics: &[u8]) {
        if let Some(stats) = &self.stats {
            stats.take(statistics);
        }
    }

    /// Whether the client reaches no broker, as far as its statistics have told.
    pub(super) fn is_cut_off(&self) -> bool {
        self.stats.as_ref().is_some_and(|stats| stats.cut_off_since().is_some())
    }

    pub(super) fn token(&self) -> Result<OAuthToken, Box<dyn Error>> {
        self.login.token(SystemTime::now()).map_err(Into::into)
    }
}

/// Implements rdkafka's `ClientContext` for a struct with a field `shared`; `$self.noted()` runs after each event, because
/// rdkafka's `poll` does not tell a served event from an empty queue.
macro_rules! client_context {
    ($context:ty) => {
        impl rdkafka::client::ClientContext for $context {
            const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

            fn log(&self, level: rdkafka::config::RDKafkaLogLevel, facility: &str, message: &str) {
                self.noted();
                self.shared.log(level, facility, message);
            }

            fn stats_raw(&self, statistics: &[u8]) {
                self.noted();
                self.shared.stats(statistics);
            }

            fn error(&self, error: rdkafka::error::KafkaError, reason: &str) {
                self.noted();
                self.shared.error(&error, reason);
            }

            fn generate_oauth_token(
                &self,
                _config: Option<&str>,
            ) -> Result<rdkafka::client::OAuthToken, Box<dyn std::error::Error>> {
                self.noted();
                self.shared.token()
            }
        }
    };
}
pub(super) use client_context;

/// For clients that need nothing but logs and a login.
pub(crate) struct PlainContext {
    shared: Shared,
}

impl PlainContext {
    pub(crate) fn new(settings: &ClientSettings) -> Self {
        PlainContext { shared: Shared::new(settings) }
    }

    fn noted(&self) {}
}

client_context!(PlainContext);
impl rdkafka::consumer::ConsumerContext for PlainContext {}
