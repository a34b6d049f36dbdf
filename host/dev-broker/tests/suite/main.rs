//! The broker seen by independent clients: librdkafka, and frames written by hand.
//!
//! A case that needs nothing but a Kafka client is a function over a bootstrap address, so that it can also be run against
//! Apache Kafka: `KAFKA_BOOTSTRAP=host:port cargo test -p hawser-dev-broker --test suite any_broker`.

// Everything here is test code; clippy only sees that in functions marked `#[test]`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod admin;
mod cleaning;
mod common;
mod groups;
mod hostile;
mod journal;
mod limits;
mod raw;
mod records;
mod transactions;

/// Cases for any broker: the one named by `KAFKA_BOOTSTRAP`, or a development broker for each case.
mod any_broker {
    macro_rules! cases {
        ($($module:ident: $($case:ident),+;)+) => {
            $($(
                #[test]
                fn $case() {
                    let cluster = crate::common::any();
                    crate::$module::$case(&cluster.bootstrap);
                }
            )+)+
        };
    }

    cases! {
        admin: cluster_and_metadata, topics_come_and_go, bad_topics_are_refused, partitions_grow, configs_change,
            broker_configs_are_shown, topics_are_created_on_demand, groups_are_listed_and_deleted;
        records: order_is_kept, headers_keys_and_tombstones, timestamps, append_time, every_codec, large_records,
            too_large_is_refused, end_of_partition, offsets_and_watermarks, out_of_range_resets, records_are_deleted,
            idempotent_producers, repeated_batches_are_recognised, compacted_topics_want_keys;
        groups: commits_are_resumed, commits_keep_metadata, range_rebalances, cooperative_rebalances,
            lost_members_expire, static_members_return, instances_are_fenced, patterns_subscribe,
            connect_groups_work, offsets_of_groups_are_deleted;
        transactions: commits_and_aborts, open_transactions_hide, zombies_are_fenced, timeouts_abort,
            offsets_are_part_of_transactions;
        cleaning: old_records_go, large_logs_shrink, keys_are_compacted;
    }
}
