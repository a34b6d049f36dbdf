//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup, ListGroups, DescribeGroups, DeleteGroups.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use bytes::Bytes;
use kafka_protocol::{
    ResponseError,
    messages::{
        DeleteGroupsRequest, DeleteGroupsResponse, DescribeGroupsRequest, DescribeGroupsResponse, GroupId, HeartbeatRequest,
        HeartbeatResponse, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, LeaveGroupResponse, ListGroupsRequest,
        ListGroupsResponse, SyncGroupRequest, SyncGroupResponse,
        delete_groups_response::DeletableGroupResult,
        describe_groups_response::{DescribedGroup, DescribedGroupMember},
        join_group_response::JoinGroupResponseMember,
        leave_group_request::MemberIdentity,
        leave_group_response::MemberResponse,
        list_groups_response::ListedGroup,
    },
    protocol::StrBytes,
};
use tokio::sync::oneshot;

use super::{
    Group, GroupJoin, GroupSync, JoinResult, MAX_GROUPS, MAX_GROUPS_BYTES, MAX_SESSION_TIMEOUT_MS, MIN_REBALANCE_TIMEOUT,
};
use crate::{
    api::{Caller, code},
    broker::Broker,
    journal::Change,
    state::State,
};

fn millis(ms: i32) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

/// What outlives a request must not keep the whole request in memory.
fn own(bytes: &Bytes) -> Bytes {
    Bytes::copy_from_slice(bytes)
}

fn own_text(text: &StrBytes) -> StrBytes {
    StrBytes::from_string(text.to_string())
}

pub(crate) async fn join(broker: &Broker, caller: &Caller, request: JoinGroupRequest) -> JoinGroupResponse {
    let (reply, answer) = oneshot::channel();
    let result = match begin_join(broker, caller, &request, reply) {
        Ok(()) => answer.await.unwrap_or(Err((ResponseError::UnknownMemberId, request.member_id))),
        Err(error) => Err((error, request.member_id)),
    };
    joined(result, caller.version)
}

fn begin_join(
    broker: &Broker,
    caller: &Caller,
    request: &JoinGroupRequest,
    reply: oneshot::Sender<JoinResult>,
) -> Result<(), ResponseError> {
    if request.group_id.is_empty() {
        return Err(ResponseError::InvalidGroupId);
    }
    let session_timeout = millis(request.session_timeout_ms);
    if !(broker.config.min_session_timeout..=millis(MAX_SESSION_TIMEOUT_MS)).contains(&session_timeout) {
        return Err(ResponseError::InvalidSessionTimeout);
    }
    let rebalance_timeout = if caller.version == 0 { session_timeout } else { millis(request.rebalance_timeout_ms) };
    let mut state = broker.lock();
    let metadata: usize = request.protocols.iter().map(|p| p.metadata.len()).sum();
    check_memory(&state, metadata)?;
    let group = group_mut(&mut state, &request.group_id)?;
    let join = GroupJoin {
        member_id: own_text(&request.member_id),
        instance_id: request.group_instance_id.as_ref().map(own_text),
        client_id: own_text(&caller.client_id),
        protocol_type: own_text(&request.protocol_type),
        protocols: request.protocols.iter().map(|p| (own_text(&p.name), own(&p.metadata))).collect(),
        session_timeout,
        rebalance_timeout: rebalance_timeout.max(MIN_REBALANCE_TIMEOUT),
        needs_member_id: caller.version >= 4,
        can_skip_assignment: caller.version >= 9,
        reply,
    };
    group.join(join, Instant::now());
    broker.timers.notify_one();
    Ok(())
}

fn check_memory(state: &State, more: usize) -> Result<(), ResponseError> {
    let used: usize = state.groups.values().map(Group::bytes).sum();
    if used + more <= MAX_GROUPS_BYTES {
        return Ok(());
    }
    tracing::error!("a member was refused: members hold {used} of {MAX_GROUPS_BYTES} bytes; close consumers");
    Err(ResponseError::PolicyViolation)
}

/// The group, made if need be.
fn group_mut<'a>(state: &'a mut State, id: &str) -> Result<&'a mut Group, ResponseError> {
    if !state.groups.contains_key(id) && state.groups.len() >= MAX_GROUPS {
        state.groups.retain(|_, group| !group.is_unused());
        if state.groups.len() >= MAX_GROUPS {
            tracing::error!("a group was refused: {MAX_GROUPS} groups have members; close consumers");
            return Err(ResponseError::PolicyViolation);
        }
    }
    Ok(state.groups.entry(id.to_owned()).or_insert_with(Group::new))
}

fn joined(result: JoinResult, version: i16) -> JoinGroupResponse {
    let response = JoinGroupResponse::default();
    match result {
        Ok(joined) => {
            let members = joined.members.into_iter().map(|(id, instance_id, metadata)| {
                let member = JoinGroupResponseMember::default().with_member_id(id).with_metadata(metadata);
                member.with_group_instance_id(instance_id)
            });
            response
                .with_generation_id(joined.generation)
                .with_protocol_type(Some(joined.protocol_type))
                .with_protocol_name(Some(joined.protocol))
                .with_leader(joined.leader)
                .with_skip_assignment(joined.skip_assignment)
                .with_member_id(joined.member_id)
                .with_members(members.collect())
        }
        Err((error, member_id)) => {
            // Before version 7 the protocol name may not be null.
            let protocol = (version < 7).then(StrBytes::default);
            response.with_error_code(error.code()).with_generation_id(-1).with_protocol_name(protocol).with_member_id(member_id)
        }
    }
}

pub(crate) async fn sync(broker: &Broker, _caller: &Caller, request: SyncGroupRequest) -> SyncGroupResponse {
    let (reply, answer) = oneshot::channel();
    let sync = GroupSync {
        member_id: own_text(&request.member_id),
        instance_id: request.group_instance_id.as_ref().map(own_text),
        generation: request.generation_id,
        protocol_type: request.protocol_type,
        protocol: request.protocol_name,
        assignments: request.assignments.iter().map(|a| (own_text(&a.member_id), own(&a.assignment))).collect(),
        reply,
    };
    let found = {
        let mut state = broker.lock();
        let size = request.assignments.iter().map(|a| a.assignment.len()).sum();
        check_memory(&state, size).and_then(|()| {
            let group = state.groups.get_mut(&**request.group_id).ok_or(ResponseError::UnknownMemberId)?;
            group.sync(sync, Instant::now());
            Ok(())
        })
    };
    let result = match found {
        Ok(()) => answer.await.unwrap_or(Err(ResponseError::UnknownMemberId)),
        Err(error) => Err(error),
    };
    let response = SyncGroupResponse::default();
    match result {
        Ok(synced) => response
            .with_protocol_type(Some(synced.protocol_type))
            .with_protocol_name(Some(synced.protocol))
            .with_assignment(synced.assignment),
        Err(error) => response.with_error_code(error.code()),
    }
}

pub(crate) fn heartbeat(broker: &Broker, _caller: &Caller, request: HeartbeatRequest) -> HeartbeatResponse {
    let mut state = broker.lock();
    let group = state.groups.get_mut(&**request.group_id).ok_or(ResponseError::UnknownMemberId);
    let instance_id = request.group_instance_id.as_ref();
    let result = group.and_then(|g| g.heartbeat(&request.member_id, instance_id, request.generation_id, Instant::now()));
    HeartbeatResponse::default().with_error_code(code(&result))
}

pub(crate) fn leave(broker: &Broker, caller: &Caller, request: LeaveGroupRequest) -> LeaveGroupResponse {
    let mut state = broker.lock();
    let mut remove = |member: &MemberIdentity| {
        let group = state.groups.get_mut(&**request.group_id).ok_or(ResponseError::UnknownMemberId);
        group.and_then(|g| g.leave(&member.member_id, member.group_instance_id.as_ref(), Instant::now()))
    };
    let response = LeaveGroupResponse::default();
    let response = if caller.version < 3 {
        let member = MemberIdentity::default().with_member_id(request.member_id);
        response.with_error_code(code(&remove(&member)))
    } else {
        let members = request.members.into_iter().map(|member| {
            let error = code(&remove(&member));
            MemberResponse::default()
                .with_member_id(member.member_id)
                .with_group_instance_id(member.group_instance_id)
                .with_error_code(error)
        });
        response.with_members(members.collect())
    };
    broker.timers.notify_one();
    response
}

/// All groups, those with offsets only included: (id, protocol type, state).
fn all_groups(state: &State) -> Vec<(String, StrBytes, &'static str)> {
    let members = state.groups.iter().filter(|(_, group)| !group.is_unused()).map(|(id, _)| id);
    let ids: BTreeSet<_> = members.chain(state.offsets.keys()).collect();
    let describe = |id: &String| match state.groups.get(id) {
        Some(group) => (id.clone(), group.protocol_type().clone(), group.state_name()),
        None => (id.clone(), StrBytes::default(), "Empty"),
    };
    ids.into_iter().map(describe).collect()
}

pub(crate) fn list(broker: &Broker, _caller: &Caller, request: ListGroupsRequest) -> ListGroupsResponse {
    let state = broker.lock();
    let matches =
        |filter: &[StrBytes], value: &str| filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value));
    let groups = all_groups(&state)
        .into_iter()
        .filter(|(.., state)| matches(&request.states_filter, state) && matches(&request.types_filter, "classic"))
        .map(|(id, protocol_type, state)| {
            ListedGroup::default()
                .with_group_id(StrBytes::from_string(id).into())
                .with_protocol_type(protocol_type)
                .with_group_state(StrBytes::from_static_str(state))
                .with_group_type(StrBytes::from_static_str("classic"))
        });
    ListGroupsResponse::default().with_groups(groups.collect())
}

pub(crate) fn describe(broker: &Broker, _caller: &Caller, request: DescribeGroupsRequest) -> DescribeGroupsResponse {
    let state = broker.lock();
    let groups = request.groups.into_iter().map(|id| describe_one(&state, id));
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

fn describe_one(state: &State, id: GroupId) -> DescribedGroup {
    let offsets = state.offsets.contains_key(&**id);
    let described = DescribedGroup::default().with_group_id(id.clone());
    let Some(group) = state.groups.get(&**id).filter(|group| offsets || !group.is_unused()) else {
        return described.with_group_state(StrBytes::from_static_str(if offsets { "Empty" } else { "Dead" }));
    };
    let members = group.members.iter().map(|(id, member)| {
        DescribedGroupMember::default()
            .with_member_id(id.clone())
            .with_group_instance_id(member.instance_id.clone())
            .with_client_id(member.client_id.clone())
            .with_client_host(StrBytes::from_static_str("/127.0.0.1"))
            .with_member_metadata(
                member.protocols.iter().find(|(n, _)| *n == group.protocol).map(|(_, m)| m.clone()).unwrap_or_default(),
            )
            .with_member_assignment(member.assignment.clone())
    });
    described
        .with_group_state(StrBytes::from_static_str(group.state_name()))
        .with_protocol_type(group.protocol_type.clone())
        .with_protocol_data(group.protocol.clone())
        .with_members(members.collect())
}

pub(crate) fn delete(broker: &Broker, _caller: &Caller, request: DeleteGroupsRequest) -> DeleteGroupsResponse {
    let mut state = broker.lock();
    let results = request.groups_names.into_iter().map(|id| {
        let result = match state.groups.get(&**id) {
            Some(group) if !group.is_unused() => Err(ResponseError::NonEmptyGroup),
            None if !state.offsets.contains_key(&**id) => Err(ResponseError::GroupIdNotFound),
            Some(_) | None => state.commit(vec![Change::GroupDeleted { group: id.to_string() }.into()]),
        };
        DeletableGroupResult::default().with_group_id(id).with_error_code(code(&result))
    });
    DeleteGroupsResponse::default().with_results(results.collect())
}
