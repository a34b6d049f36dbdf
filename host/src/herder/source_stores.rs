//! Where source connectors keep their offsets: the worker's store, or a topic of their own (`offsets.storage.topic`, KIP-618).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures::FutureExt;

use super::config_def::split_list;
use super::engine::Config;
use super::plan::Plan;
use crate::kafka::{ClientKind, ClientSettings, ReservedTopics};
use crate::store::{KafkaStore, OffsetStore, OpenLog, SourceOffsets, TopicPurpose, TopicSpec};

/// The key that names a connector's own topic.
pub(super) const OWN_TOPIC_KEY: &str = "offsets.storage.topic";

/// The offset stores of a worker's source connectors. Those of one connector share its clients.
pub struct SourceStores {
    worker: Config,
    shared: Arc<OffsetStore>,
    /// The worker's topic; `None` on a worker on its own, where connectors have none, as in Kafka Connect.
    topic: Option<TopicSpec>,
    reserved: ReservedTopics,
    /// Those in use, by connector.
    own: Mutex<HashMap<Arc<str>, Own>>,
}

struct Own {
    topic: String,
    overrides: Config,
    offsets: Weak<SourceOffsets>,
}

impl SourceStores {
    /// Of a worker with this configuration and this store, which is on `topic` if it is on one. Topics of connectors are reserved.
    pub fn new(worker: Config, shared: Arc<OffsetStore>, topic: Option<TopicSpec>, reserved: ReservedTopics) -> SourceStores {
        SourceStores { worker, shared, topic, reserved, own: Mutex::default() }
    }

    /// Whether it is the name of the worker's topic.
    pub(super) fn is_shared(&self, topic: &str) -> bool {
        self.topic.as_ref().is_some_and(|workers| workers.name == topic)
    }

    /// That of a connector.
    ///
    /// # Errors
    /// Its client settings cannot be used.
    pub(super) fn of(&self, plan: &Plan) -> Result<Arc<SourceOffsets>, String> {
        let (Some(own), Some(workers)) = (plan.get(OWN_TOPIC_KEY), &self.topic) else {
            return Ok(Arc::new(SourceOffsets::in_worker(Arc::clone(&self.shared))));
        };
        let overrides = overrides(&plan.config);
        let mut stores = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        stores.retain(|_, own| own.offsets.strong_count() > 0);
        if let Some(known) = stores.get(&plan.name).filter(|known| known.topic == own && known.overrides == overrides)
            && let Some(offsets) = known.offsets.upgrade()
        {
            return Ok(offsets);
        }
        let spec = TopicSpec { name: own.to_owned(), purpose: TopicPurpose::ConnectorOffsets, ..workers.clone() };
        let beside = match self.is_workers(&spec, workers, plan)? {
            true => None,
            false => Some(Arc::clone(&self.shared)),
        };
        self.reserved.reserve(own);
        let offsets = Arc::new(SourceOffsets::in_own(self.opener(plan, spec, overrides.clone()), beside));
        stores.insert(Arc::clone(&plan.name), Own { topic: own.to_owned(), overrides, offsets: Arc::downgrade(&offsets) });
        Ok(offsets)
    }

    /// Whether a connector's topic is the worker's own, as far as names tell (Kafka Connect's `sameOffsetTopicAsWorker`).
    fn is_workers(&self, own: &TopicSpec, workers: &TopicSpec, plan: &Plan) -> Result<bool, String> {
        let producer = ClientSettings::connector_client(ClientKind::Producer, &self.worker, &plan.name, &plan.config);
        let producer = producer.map_err(|error| error.to_string())?;
        let servers = |list: &str| split_list(list).into_iter().collect::<BTreeSet<_>>();
        let ours = self.worker.iter().rfind(|(key, _)| key == "bootstrap.servers").map(|(_, list)| servers(list));
        Ok(own.name == workers.name && producer.get("bootstrap.servers").map(servers) == ours)
    }

    fn opener(&self, plan: &Plan, spec: TopicSpec, overrides: Config) -> OpenLog {
        let (worker, connector) = (self.worker.clone(), Arc::clone(&plan.name));
        Box::new(move || {
            let store = KafkaStore::of_connector(&worker, &connector, &overrides);
            let spec = spec.clone();
            async move { store?.log(spec).await }.boxed()
        })
    }
}

/// A connector's keys for Kafka clients, references resolved.
fn overrides(config: &Config) -> Config {
    let kinds = [ClientKind::Producer, ClientKind::Consumer, ClientKind::Admin];
    config.iter().filter(|(key, _)| kinds.iter().any(|kind| key.starts_with(kind.override_prefix()))).cloned().collect()
}
