//! The state machine of a group, without connections.

use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_protocol::{ResponseError, protocol::StrBytes};
use tokio::sync::oneshot::{self, error::TryRecvError};

use super::{Group, GroupJoin, GroupSync, JoinResult, Joined, SyncResult};

const SESSION: Duration = Duration::from_secs(10);
const REBALANCE: Duration = Duration::from_secs(60);

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn request(member_id: &str, instance_id: Option<&str>, protocols: &[&str]) -> (GroupJoin, oneshot::Receiver<JoinResult>) {
    let (reply, answer) = oneshot::channel();
    let join = GroupJoin {
        member_id: text(member_id),
        instance_id: instance_id.map(text),
        client_id: text("client"),
        protocol_type: text("consumer"),
        protocols: protocols.iter().map(|name| (text(name), Bytes::from_static(b"metadata"))).collect(),
        session_timeout: SESSION,
        rebalance_timeout: REBALANCE,
        needs_member_id: false,
        can_skip_assignment: true,
        reply,
    };
    (join, answer)
}

/// Joins; the answer may come later.
fn join(group: &mut Group, member_id: &str, instance_id: Option<&str>, now: Instant) -> oneshot::Receiver<JoinResult> {
    let (join, answer) = request(member_id, instance_id, &["range"]);
    group.join(join, now);
    answer
}

fn joined(mut answer: oneshot::Receiver<JoinResult>) -> Joined {
    answer.try_recv().unwrap().unwrap()
}

fn refused(mut answer: oneshot::Receiver<JoinResult>) -> ResponseError {
    answer.try_recv().unwrap().unwrap_err().0
}

fn sync(group: &mut Group, member: &Joined, assignments: &[&Joined], now: Instant) -> oneshot::Receiver<SyncResult> {
    let (reply, answer) = oneshot::channel();
    let assignment = |member: &&Joined| (member.member_id.clone(), Bytes::from(member.member_id.to_string()));
    let sync = GroupSync {
        member_id: member.member_id.clone(),
        instance_id: None,
        generation: member.generation,
        protocol_type: None,
        protocol: None,
        assignments: assignments.iter().map(assignment).collect(),
        reply,
    };
    group.sync(sync, now);
    answer
}

/// A stable group of two, the first of them leading.
fn stable(instances: [Option<&str>; 2], now: Instant) -> (Group, Joined, Joined) {
    let mut group = Group::new();
    let first = joined(join(&mut group, "", instances[0], now));
    let second = join(&mut group, "", instances[1], now);
    let first = joined(join(&mut group, &first.member_id, instances[0], now));
    let second = joined(second);
    assert_eq!((first.generation, second.generation, &first.leader), (2, 2, &first.member_id));
    assert_eq!((first.members.len(), second.members.len()), (2, 0));
    let mut waits = sync(&mut group, &second, &[], now);
    assert_eq!(waits.try_recv(), Err(TryRecvError::Empty));
    let mut leads = sync(&mut group, &first, &[&first, &second], now);
    assert_eq!(leads.try_recv().unwrap().unwrap().assignment, first.member_id.to_string());
    assert_eq!(waits.try_recv().unwrap().unwrap().assignment, second.member_id.to_string());
    assert_eq!(group.state_name(), "Stable");
    (group, first, second)
}

#[test]
fn a_follower_that_joins_again_changes_nothing() {
    let now = Instant::now();
    let (mut group, first, second) = stable([None, None], now);
    assert_eq!(joined(join(&mut group, &second.member_id, None, now)).generation, 2);
    assert_eq!(group.state_name(), "Stable");
    let mut leader = join(&mut group, &first.member_id, None, now);
    assert_eq!(leader.try_recv(), Err(TryRecvError::Empty), "the leader begins a rebalance");
    assert_eq!(group.heartbeat(&second.member_id, None, 2, now), Err(ResponseError::RebalanceInProgress));
}

#[test]
fn protocols_must_agree() {
    let now = Instant::now();
    let mut group = Group::new();
    let ask = |group: &mut Group, protocols: &[&str], protocol_type: &str| {
        let (mut join, answer) = request("", None, protocols);
        join.protocol_type = text(protocol_type);
        group.join(join, now);
        answer
    };
    assert_eq!(refused(ask(&mut group, &[], "consumer")), ResponseError::InconsistentGroupProtocol);
    assert_eq!(refused(ask(&mut group, &["range"], "")), ResponseError::InconsistentGroupProtocol);
    let first = joined(ask(&mut group, &["sticky", "range"], "consumer"));
    assert_eq!(&*first.protocol, "sticky");
    assert_eq!(refused(ask(&mut group, &["roundrobin"], "consumer")), ResponseError::InconsistentGroupProtocol);
    assert_eq!(refused(ask(&mut group, &["range"], "connect")), ResponseError::InconsistentGroupProtocol);
    let second = ask(&mut group, &["range", "roundrobin"], "consumer");
    let (again, _answer) = request(&first.member_id, None, &["sticky", "range"]);
    group.join(again, now);
    assert_eq!(&*joined(second).protocol, "range", "the one that both support");
}

#[test]
fn those_who_do_not_come_are_left_behind() {
    let start = Instant::now();
    let (mut group, first, second) = stable([None, None], start);
    let third = join(&mut group, "", None, start);
    let again = join(&mut group, &first.member_id, None, start);
    // The second heartbeats but does not join, so that only the rebalance timeout ends the wait.
    let mut now = start;
    while now < start + REBALANCE {
        now += SESSION / 2;
        let _ = group.heartbeat(&second.member_id, None, 2, now);
        group.expire(now);
    }
    assert_eq!(joined(third).generation, 3);
    assert_eq!(joined(again).members.len(), 2);
    assert_eq!(group.heartbeat(&second.member_id, None, 2, now), Err(ResponseError::UnknownMemberId));
    // Nobody synchronises: the members are removed when the rebalance timeout has passed once more.
    assert_eq!(group.state_name(), "CompletingRebalance");
    group.expire(now + REBALANCE);
    assert_eq!((group.state_name(), group.is_unused()), ("Empty", true));
    assert_eq!(group.next_deadline(), None);
}

#[test]
fn waiting_members_do_not_expire_but_gone_ones_do() {
    let now = Instant::now();
    let (mut group, first, _second) = stable([None, None], now);
    let answer = join(&mut group, &first.member_id, None, now);
    group.expire(now + SESSION);
    assert_eq!(joined(answer).members.len(), 1, "the second expired, the first waited");
    let (mut group, first, second) = stable([None, None], now);
    drop(join(&mut group, &first.member_id, None, now));
    group.expire(now + SESSION / 2);
    let _ = group.heartbeat(&second.member_id, None, 2, now + SESSION / 2);
    group.expire(now + SESSION);
    assert_eq!(group.heartbeat(&first.member_id, None, 2, now), Err(ResponseError::UnknownMemberId));
    assert!(group.has_members());
}

#[test]
fn a_static_leader_returns_without_a_rebalance() {
    let now = Instant::now();
    for can_skip_assignment in [true, false] {
        let (mut group, first, second) = stable([Some("one"), Some("two")], now);
        let (join, answer) = request("", Some("one"), &["range"]);
        group.join(GroupJoin { can_skip_assignment, ..join }, now);
        let back = joined(answer);
        assert_ne!(back.member_id, first.member_id);
        assert_eq!((back.generation, back.skip_assignment), (2, can_skip_assignment));
        let leads = back.leader == back.member_id;
        assert_eq!((leads, back.members.len()), if can_skip_assignment { (true, 2) } else { (false, 0) });
        let assignment = sync(&mut group, &back, &[], now).try_recv().unwrap().unwrap().assignment;
        assert_eq!(assignment, first.member_id.to_string(), "what its former self had");
        let old = Some(text("one"));
        assert_eq!(group.heartbeat(&first.member_id, old.as_ref(), 2, now), Err(ResponseError::FencedInstanceId));
        assert_eq!(group.heartbeat(&second.member_id, Some(&text("two")), 2, now), Ok(()));
        // An administrator removes it by its instance id alone.
        assert_eq!(group.leave(&text(""), old.as_ref(), now), Ok(()));
        assert_eq!(group.heartbeat(&second.member_id, None, 2, now), Err(ResponseError::RebalanceInProgress));
    }
}

#[test]
fn commits_need_a_member_of_this_generation() {
    let now = Instant::now();
    let (mut group, first, _second) = stable([None, None], now);
    let nobody = text("");
    let check = |group: &mut Group, id: &StrBytes, generation, expect| {
        assert_eq!(group.check_commit(id, None, generation, now), expect, "{id} {generation}");
    };
    check(&mut group, &first.member_id, 2, Ok(()));
    check(&mut group, &first.member_id, 1, Err(ResponseError::IllegalGeneration));
    check(&mut group, &nobody, -1, Err(ResponseError::UnknownMemberId));
    check(&mut group, &text("other"), 2, Err(ResponseError::UnknownMemberId));
    check(&mut Group::new(), &nobody, -1, Ok(()));
}
