//! What happens without a request: timeouts, retention, compaction.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    broker::{Broker, now_ms},
    journal::Change,
    log::Compaction,
    transactions,
};

/// Ends sessions, rebalances and transactions when they are due. Sleeps until then, or until a new deadline appears.
pub(crate) async fn run_timers(broker: Arc<Broker>) {
    loop {
        let next = expire(&broker, Instant::now());
        let rung = broker.timers.notified();
        match next {
            Some(deadline) => {
                let _ = tokio::time::timeout_at(deadline.into(), rung).await;
            }
            None => rung.await,
        }
    }
}

/// Returns the next deadline.
fn expire(broker: &Broker, now: Instant) -> Option<Instant> {
    let mut state = broker.lock();
    state.groups.values_mut().for_each(|group| group.expire(now));
    transactions::abort_expired(&mut state, now);
    let groups = state.groups.values().filter_map(crate::groups::Group::next_deadline);
    groups.chain(state.transactions.values().filter_map(transactions::Transaction::deadline)).min()
}

/// Applies retention, compacts logs and the journal, at every interval.
pub(crate) async fn run_cleaner(broker: Arc<Broker>) {
    let mut interval = tokio::time::interval(broker.config.maintenance_interval.max(Duration::from_millis(10)));
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let Ok(at_work) = broker.cleaning.clone().acquire_owned().await else {
            return;
        };
        let broker = broker.clone();
        // Compaction and snapshots take processor time and write files: not on the threads that serve connections.
        let cleaned = tokio::task::spawn_blocking(move || {
            retain(&broker);
            compact_logs(&broker);
            compact_journal(&broker);
            drop(at_work);
        });
        if let Err(e) = cleaned.await {
            tracing::error!("the cleaner of the development broker failed: {e}");
        }
    }
}

/// Moves the start of logs as `retention.ms` and `retention.bytes` say.
fn retain(broker: &Broker) {
    let now = now_ms();
    let mut state = broker.lock();
    let mut entries = Vec::new();
    for (name, topic) in state.topics.iter().filter(|(_, topic)| topic.configs.delete) {
        for (partition, log) in (0..).zip(&topic.partitions) {
            let offset = log.retention_start(now, topic.configs.retention_ms, topic.configs.retention_bytes);
            if offset > log.start() {
                entries.push(Change::LogStart { topic: name.clone(), partition, offset }.into());
            }
        }
    }
    if let Err(e) = state.commit(entries) {
        tracing::error!("retention could not be applied: {e}");
    }
}

fn compact_logs(broker: &Broker) {
    let now = now_ms();
    let compacted: Vec<(String, i32)> = {
        let state = broker.lock();
        let topics = state.topics.iter().filter(|(_, topic)| topic.configs.compact);
        topics.flat_map(|(name, topic)| (0..).zip(&topic.partitions).map(|(p, _)| (name.clone(), p))).collect()
    };
    for (name, partition) in compacted {
        let begun = {
            let state = broker.lock();
            let rules = state.topics.get(&name).map(|topic| topic.configs.compaction_rules(now));
            let log = state.partition(&name, partition).ok();
            rules.zip(log).and_then(|(rules, log)| log.begin_compaction(rules))
        };
        if let Some(result) = begun.and_then(Compaction::run) {
            broker.lock().change_log(&name, partition, |log| log.end_compaction(result));
        }
    }
}

fn compact_journal(broker: &Broker) {
    let Some((snapshot, image)) = broker.lock().begin_snapshot() else {
        return;
    };
    if let Err(e) = snapshot.write(&image) {
        tracing::error!("the journal could not be compacted: {e}; check the disk and its free space");
    }
    if let Some(journal) = &mut broker.lock().journal {
        journal.end_snapshot();
    }
}
