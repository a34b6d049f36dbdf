//! InitProducerId, AddPartitionsToTxn, AddOffsetsToTxn, TxnOffsetCommit, EndTxn.

use std::time::Instant;

use kafka_protocol::{
    ResponseError,
    messages::{
        AddOffsetsToTxnRequest, AddOffsetsToTxnResponse, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, EndTxnRequest,
        EndTxnResponse, InitProducerIdRequest, InitProducerIdResponse, TransactionalId, TxnOffsetCommitRequest,
        TxnOffsetCommitResponse,
        add_partitions_to_txn_response::{AddPartitionsToTxnPartitionResult, AddPartitionsToTxnTopicResult},
        txn_offset_commit_response::{TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic},
    },
};

use super::{LAST_EPOCH, MAX_TIMEOUT_MS, MAX_TRANSACTIONAL_IDS, Status, Transaction, end as end_transaction};
use crate::{
    api::{Caller, code},
    broker::Broker,
    groups::offsets::{check_commit, check_room},
    journal::{Change, Entry},
    state::State,
};

/// The error for an old epoch: newer versions of a request know `PRODUCER_FENCED` (KIP-588).
fn fenced(caller: &Caller, since: i16) -> ResponseError {
    if caller.version >= since { ResponseError::ProducerFenced } else { ResponseError::InvalidProducerEpoch }
}

pub(crate) fn init_producer_id(broker: &Broker, caller: &Caller, request: InitProducerIdRequest) -> InitProducerIdResponse {
    let mut state = broker.lock();
    let result = match &request.transactional_id {
        None => new_producer_id(&mut state),
        Some(id) => init_transactional(&mut state, id, &request, fenced(caller, 4)),
    };
    let response = InitProducerIdResponse::default();
    match result {
        Ok((producer_id, epoch)) => response.with_producer_id(producer_id.into()).with_producer_epoch(epoch),
        Err(error) => response.with_error_code(error.code()).with_producer_id((-1).into()).with_producer_epoch(-1),
    }
}

fn new_producer_id(state: &mut State) -> Result<(i64, i16), ResponseError> {
    let id = state.next_producer_id;
    state.commit(vec![Change::ProducerIds { next: id + 1 }.into()])?;
    Ok((id, 0))
}

fn init_transactional(
    state: &mut State,
    id: &TransactionalId,
    request: &InitProducerIdRequest,
    fenced: ResponseError,
) -> Result<(i64, i16), ResponseError> {
    if id.is_empty() {
        return Err(ResponseError::InvalidRequest);
    }
    if !(1..=MAX_TIMEOUT_MS).contains(&request.transaction_timeout_ms) {
        return Err(ResponseError::InvalidTransactionTimeout);
    }
    let id = id.to_string();
    let known = state.transactions.get(&id).cloned();
    let mut entries = Vec::new();
    let next = match known {
        None => {
            forget_oldest(state)?;
            None
        }
        Some(known) => {
            // KIP-360: a producer that names its id and epoch recovers; it must be the current one.
            if *request.producer_id >= 0 && known.check_owner(*request.producer_id, request.producer_epoch, fenced).is_err() {
                return Err(fenced);
            }
            let (producer_id, mut epoch) = (known.producer_id, known.epoch);
            if known.status == Status::Ongoing {
                epoch += 1;
                entries = end_transaction(state, &id, known, false, epoch)?;
            }
            (epoch < LAST_EPOCH).then_some((producer_id, epoch + 1))
        }
    };
    let (producer_id, epoch) = next.unwrap_or((state.next_producer_id, 0));
    if next.is_none() {
        entries.push(Change::ProducerIds { next: producer_id + 1 }.into());
    }
    let transaction = Transaction::new(producer_id, epoch, request.transaction_timeout_ms);
    entries.push(Change::Transaction { id, transaction }.into());
    state.commit(entries)?;
    Ok((producer_id, epoch))
}

/// Makes room for one more transactional id.
fn forget_oldest(state: &mut State) -> Result<(), ResponseError> {
    if state.transactions.len() < MAX_TRANSACTIONAL_IDS {
        return Ok(());
    }
    let idle = state.transactions.iter().filter(|(_, t)| t.status != Status::Ongoing);
    match idle.min_by_key(|(_, t)| t.last_used).map(|(id, _)| id.clone()) {
        Some(id) => state.commit(vec![Change::TransactionExpired { id }.into()]),
        None => {
            tracing::error!("a producer was refused: {MAX_TRANSACTIONAL_IDS} transactions are open; end some of them");
            Err(ResponseError::PolicyViolation)
        }
    }
}

/// A copy of the transaction, if the producer owns it.
fn owned(state: &State, id: &str, producer_id: i64, epoch: i16, fenced: ResponseError) -> Result<Transaction, ResponseError> {
    let transaction = state.transactions.get(id).ok_or(ResponseError::InvalidProducerIdMapping)?;
    transaction.check_owner(producer_id, epoch, fenced)?;
    Ok(transaction.clone())
}

fn store(state: &mut State, id: &str, transaction: Transaction) -> Result<(), ResponseError> {
    state.commit(vec![Change::Transaction { id: id.to_owned(), transaction }.into()])
}

pub(crate) fn add_partitions(broker: &Broker, caller: &Caller, request: AddPartitionsToTxnRequest) -> AddPartitionsToTxnResponse {
    let mut state = broker.lock();
    let topics = &request.v3_and_below_topics;
    let unknown = |state: &State, topic: &str, partition: i32| state.partition(topic, partition).is_err();
    let any_unknown = topics.iter().any(|t| t.partitions.iter().any(|p| unknown(&state, &t.name, *p)));
    // All or nothing: if one partition does not exist, the others are not added either.
    let added = if any_unknown {
        Err(ResponseError::OperationNotAttempted)
    } else {
        let id = &*request.v3_and_below_transactional_id;
        let (producer_id, epoch) = (*request.v3_and_below_producer_id, request.v3_and_below_producer_epoch);
        owned(&state, id, producer_id, epoch, fenced(caller, 2)).and_then(|mut transaction| {
            transaction.begin();
            for topic in topics {
                transaction.partitions.entry(topic.name.to_string()).or_default().extend(&topic.partitions);
            }
            store(&mut state, id, transaction)
        })
    };
    let results = topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let missing = unknown(&state, &topic.name, *partition);
            let error = if missing { ResponseError::UnknownTopicOrPartition.code() } else { code(&added) };
            AddPartitionsToTxnPartitionResult::default().with_partition_index(*partition).with_partition_error_code(error)
        });
        let partitions = partitions.collect();
        AddPartitionsToTxnTopicResult::default().with_name(topic.name.clone()).with_results_by_partition(partitions)
    });
    broker.timers.notify_one();
    AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results.collect())
}

pub(crate) fn add_offsets(broker: &Broker, caller: &Caller, request: AddOffsetsToTxnRequest) -> AddOffsetsToTxnResponse {
    let mut state = broker.lock();
    let id = &*request.transactional_id;
    let transaction = owned(&state, id, *request.producer_id, request.producer_epoch, fenced(caller, 2));
    let added = transaction.and_then(|mut transaction| {
        transaction.begin();
        transaction.groups.insert(request.group_id.to_string());
        store(&mut state, id, transaction)
    });
    broker.timers.notify_one();
    AddOffsetsToTxnResponse::default().with_error_code(code(&added))
}

pub(crate) fn commit_offsets(broker: &Broker, _caller: &Caller, request: TxnOffsetCommitRequest) -> TxnOffsetCommitResponse {
    let mut state = broker.lock();
    let allowed = may_commit(&mut state, &request);
    let mut commits = Vec::new();
    let partitions = request.topics.iter().flat_map(|topic| topic.partitions.iter().map(move |p| (topic, p)));
    let mut results: Vec<_> = partitions
        .map(|(topic, p)| {
            allowed?;
            let metadata = p.committed_metadata.as_ref();
            let target = (topic.name.as_str(), p.partition_index);
            commits.push(check_commit(&state, target, p.committed_offset, p.committed_leader_epoch, metadata)?);
            Ok(())
        })
        .collect();
    if !commits.is_empty() {
        let (group, producer_id) = (request.group_id.to_string(), *request.producer_id);
        if let Err(error) = state.commit(vec![Change::PendingOffsets { group, producer_id, commits }.into()]) {
            results.iter_mut().filter(|result| result.is_ok()).for_each(|result| *result = Err(error));
        }
    }
    let mut results = results.iter().map(code);
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().zip(results.by_ref()).map(|(partition, error)| {
            TxnOffsetCommitResponsePartition::default().with_partition_index(partition.partition_index).with_error_code(error)
        });
        let partitions = partitions.collect();
        TxnOffsetCommitResponseTopic::default().with_name(topic.name.clone()).with_partitions(partitions)
    });
    TxnOffsetCommitResponse::default().with_topics(topics.collect())
}

/// The producer must own a transaction that the group was added to, and (KIP-447) the consumer must still be a member.
fn may_commit(state: &mut State, request: &TxnOffsetCommitRequest) -> Result<(), ResponseError> {
    check_room(state, &request.group_id)?;
    let (producer_id, epoch) = (*request.producer_id, request.producer_epoch);
    let id = &*request.transactional_id;
    let transaction = owned(state, id, producer_id, epoch, ResponseError::InvalidProducerEpoch)?;
    if transaction.status != Status::Ongoing || !transaction.groups.contains(&**request.group_id) {
        return Err(ResponseError::InvalidTxnState);
    }
    if request.generation_id < 0 && request.member_id.is_empty() {
        return Ok(());
    }
    let group = state.groups.get_mut(&**request.group_id).ok_or(ResponseError::UnknownMemberId)?;
    let instance_id = request.group_instance_id.as_ref();
    group.check_commit(&request.member_id, instance_id, request.generation_id, Instant::now())
}

pub(crate) fn end(broker: &Broker, caller: &Caller, request: EndTxnRequest) -> EndTxnResponse {
    let mut state = broker.lock();
    let id = &*request.transactional_id;
    let transaction = owned(&state, id, *request.producer_id, request.producer_epoch, fenced(caller, 2));
    let ended = transaction.and_then(|transaction| {
        let entries: Vec<Entry> = match (transaction.status, request.committed) {
            (Status::Ongoing, committed) => {
                let epoch = transaction.epoch;
                end_transaction(&state, id, transaction, committed, epoch)?
            }
            // The answer was lost and the request came again.
            (Status::Committed, true) | (Status::Aborted, false) => Vec::new(),
            _ => return Err(ResponseError::InvalidTxnState),
        };
        state.commit(entries)
    });
    EndTxnResponse::default().with_error_code(code(&ended))
}
