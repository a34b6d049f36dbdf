//! Consumer groups of the classic protocol, for any protocol type (`GroupCoordinator` of Kafka): members join, one of them
//! (the leader) computes the assignment, all get it by SyncGroup, heartbeats keep them alive.
//!
//! A waiting JoinGroup or SyncGroup is a [`oneshot`] sender in its member; whatever completes the wait answers through it.

pub(crate) mod handlers;
mod membership;
pub(crate) mod offsets;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use bytes::Bytes;
use kafka_protocol::{ResponseError, protocol::StrBytes};
use tokio::sync::oneshot;

pub(crate) use offsets::GroupOffsets;

/// Longest session timeout that a member may ask for, as in Kafka (`group.max.session.timeout.ms`).
pub(crate) const MAX_SESSION_TIMEOUT_MS: i32 = 1_800_000;
/// Groups with members or offsets.
pub(crate) const MAX_GROUPS: usize = 10_000;
/// Members of one group, those included that have only been given an id so far.
const MAX_MEMBERS: usize = 1_000;
/// Bytes of metadata or assignment that one member may have.
const MAX_MEMBER_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of metadata and assignments over all groups.
const MAX_GROUPS_BYTES: usize = 256 * 1024 * 1024;
/// Shortest wait for the members of a rebalance.
const MIN_REBALANCE_TIMEOUT: Duration = Duration::from_millis(100);

/// The answer to a JoinGroup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Joined {
    pub generation: i32,
    pub protocol_type: StrBytes,
    pub protocol: StrBytes,
    pub leader: StrBytes,
    pub member_id: StrBytes,
    pub skip_assignment: bool,
    /// Member id, instance id, metadata; empty unless the member is the leader.
    pub members: Vec<(StrBytes, Option<StrBytes>, Bytes)>,
}

/// The answer to a SyncGroup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Synced {
    pub protocol_type: StrBytes,
    pub protocol: StrBytes,
    pub assignment: Bytes,
}

/// A refused join may still tell the member its id.
pub(crate) type JoinResult = Result<Joined, (ResponseError, StrBytes)>;
pub(crate) type SyncResult = Result<Synced, ResponseError>;

/// A JoinGroup request.
#[derive(Debug)]
pub(crate) struct GroupJoin {
    pub member_id: StrBytes,
    pub instance_id: Option<StrBytes>,
    pub client_id: StrBytes,
    pub protocol_type: StrBytes,
    pub protocols: Vec<(StrBytes, Bytes)>,
    pub session_timeout: Duration,
    pub rebalance_timeout: Duration,
    /// From JoinGroup 4 on, a new member is first told its id and joins again with it (KIP-394).
    pub needs_member_id: bool,
    /// From JoinGroup 9 on, a returning static leader can be told not to assign (KIP-814).
    pub can_skip_assignment: bool,
    pub reply: oneshot::Sender<JoinResult>,
}

/// A SyncGroup request.
#[derive(Debug)]
pub(crate) struct GroupSync {
    pub member_id: StrBytes,
    pub instance_id: Option<StrBytes>,
    pub generation: i32,
    pub protocol_type: Option<StrBytes>,
    pub protocol: Option<StrBytes>,
    pub assignments: Vec<(StrBytes, Bytes)>,
    pub reply: oneshot::Sender<SyncResult>,
}

#[derive(Debug)]
struct Member {
    instance_id: Option<StrBytes>,
    client_id: StrBytes,
    protocols: Vec<(StrBytes, Bytes)>,
    session_timeout: Duration,
    rebalance_timeout: Duration,
    /// When the member counts as dead unless it is heard of before.
    deadline: Instant,
    assignment: Bytes,
    joining: Option<oneshot::Sender<JoinResult>>,
    syncing: Option<oneshot::Sender<SyncResult>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Empty,
    /// Waits until the deadline for all members to join again.
    Preparing(Instant),
    /// Waits until the deadline for the leader's assignment.
    Completing(Instant),
    Stable,
}

#[derive(Debug)]
pub(crate) struct Group {
    status: Status,
    generation: i32,
    protocol_type: StrBytes,
    protocol: StrBytes,
    leader: Option<StrBytes>,
    members: BTreeMap<StrBytes, Member>,
    /// Member ids of static members by their instance ids.
    statics: HashMap<StrBytes, StrBytes>,
    /// Ids that were given out and not joined with yet.
    pending: HashMap<StrBytes, Instant>,
}

impl Group {
    pub fn new() -> Self {
        Self {
            status: Status::Empty,
            generation: 0,
            protocol_type: StrBytes::default(),
            protocol: StrBytes::default(),
            leader: None,
            members: BTreeMap::new(),
            statics: HashMap::new(),
            pending: HashMap::new(),
        }
    }

    /// Whether nobody is in the group or about to be.
    pub fn is_unused(&self) -> bool {
        self.members.is_empty() && self.pending.is_empty()
    }

    pub fn has_members(&self) -> bool {
        !self.members.is_empty()
    }

    pub fn protocol_type(&self) -> &StrBytes {
        &self.protocol_type
    }

    /// Memory of what members have sent.
    fn bytes(&self) -> usize {
        let sent = |m: &Member| m.protocols.iter().map(|(_, metadata)| metadata.len()).sum::<usize>();
        self.members.values().map(|member| sent(member) + member.assignment.len()).sum()
    }

    /// The name of the state, as Kafka's tools show it.
    pub fn state_name(&self) -> &'static str {
        match self.status {
            Status::Empty => "Empty",
            Status::Preparing(_) => "PreparingRebalance",
            Status::Completing(_) => "CompletingRebalance",
            Status::Stable => "Stable",
        }
    }

    /// When [`Group::expire`] has something to do next.
    pub fn next_deadline(&self) -> Option<Instant> {
        let phase = match self.status {
            Status::Preparing(deadline) | Status::Completing(deadline) => Some(deadline),
            Status::Empty | Status::Stable => None,
        };
        let members = self.members.values().map(|member| member.deadline);
        members.chain(self.pending.values().copied()).chain(phase).min()
    }
}

impl GroupJoin {
    fn refuse(self, error: ResponseError) {
        let member_id = self.member_id;
        answer(self.reply, Err((error, member_id)));
    }
}

/// Whoever asked may have gone meanwhile, which is no concern of the group.
fn answer<T>(reply: oneshot::Sender<T>, result: T) {
    let _ = reply.send(result);
}
