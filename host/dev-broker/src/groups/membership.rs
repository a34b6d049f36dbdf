//! Joining, synchronising, heartbeats, leaving and expiry.

use std::time::Instant;

use bytes::Bytes;
use kafka_protocol::{ResponseError, protocol::StrBytes};
use tokio::sync::oneshot;

use super::{Group, GroupJoin, GroupSync, JoinResult, Joined, MAX_MEMBER_BYTES, MAX_MEMBERS, Member, Status, Synced, answer};
use crate::state::random_uuid;

impl Member {
    fn new(join: GroupJoin, now: Instant) -> (Self, oneshot::Sender<JoinResult>) {
        let member = Self {
            instance_id: join.instance_id,
            client_id: join.client_id,
            protocols: join.protocols,
            session_timeout: join.session_timeout,
            rebalance_timeout: join.rebalance_timeout,
            deadline: now + join.session_timeout,
            assignment: Bytes::new(),
            joining: None,
            syncing: None,
        };
        (member, join.reply)
    }

    fn metadata(&self, protocol: &StrBytes) -> Bytes {
        let found = self.protocols.iter().find(|(name, _)| name == protocol);
        found.map(|(_, metadata)| metadata.clone()).unwrap_or_default()
    }

    fn heard_of(&mut self, now: Instant) {
        self.deadline = now + self.session_timeout;
    }

    /// Whether its client is still connected and waits for an answer.
    fn is_waiting(&self) -> bool {
        let joining = self.joining.as_ref().is_some_and(|reply| !reply.is_closed());
        joining || self.syncing.as_ref().is_some_and(|reply| !reply.is_closed())
    }

    /// Tells whoever waits for this member that another one has taken its place.
    fn fence(&mut self, id: &StrBytes) {
        if let Some(reply) = self.joining.take() {
            answer(reply, Err((ResponseError::FencedInstanceId, id.clone())));
        }
        if let Some(reply) = self.syncing.take() {
            answer(reply, Err(ResponseError::FencedInstanceId));
        }
    }
}

impl Group {
    pub fn join(&mut self, mut join: GroupJoin, now: Instant) {
        if let Err(error) = self.check_join(&join) {
            return join.refuse(error);
        }
        if join.member_id.is_empty() {
            let instance_id = join.instance_id.clone();
            let prefix = instance_id.as_ref().unwrap_or(&join.client_id);
            join.member_id = StrBytes::from_string(format!("{}-{}", prefix.as_str(), random_uuid()));
            match instance_id.as_ref().and_then(|id| self.statics.get(id).cloned()) {
                Some(old) => self.replace_static(&old, join, now),
                None if instance_id.is_none() && join.needs_member_id => {
                    self.pending.insert(join.member_id.clone(), now + join.session_timeout);
                    join.refuse(ResponseError::MemberIdRequired);
                }
                None => self.add(join, now),
            }
        } else if self.pending.remove(&join.member_id).is_some() {
            self.add(join, now);
        } else if let Err(error) = self.check_identity(&join.member_id, join.instance_id.as_ref()) {
            join.refuse(error);
        } else {
            self.rejoin(join, now);
        }
    }

    fn check_join(&self, join: &GroupJoin) -> Result<(), ResponseError> {
        let supported = |name: &StrBytes| self.members.values().all(|m| m.protocols.iter().any(|(n, _)| n == name));
        let common = join.protocols.iter().any(|(name, _)| supported(name));
        let same_type = self.members.is_empty() || join.protocol_type == self.protocol_type;
        if join.protocol_type.is_empty() || !common || !same_type {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        let size: usize = join.protocols.iter().map(|(name, metadata)| name.len() + metadata.len()).sum();
        if size > MAX_MEMBER_BYTES {
            return Err(ResponseError::InvalidRequest);
        }
        let known = self.members.contains_key(&join.member_id) || self.pending.contains_key(&join.member_id);
        if !known && self.members.len() + self.pending.len() >= MAX_MEMBERS {
            return Err(ResponseError::GroupMaxSizeReached);
        }
        Ok(())
    }

    /// Whether the member id is in use, and by this instance if the member is static (KIP-345).
    fn check_identity(&self, member_id: &StrBytes, instance_id: Option<&StrBytes>) -> Result<(), ResponseError> {
        if let Some(instance_id) = instance_id {
            return match self.statics.get(instance_id) {
                None => Err(ResponseError::UnknownMemberId),
                Some(owner) if owner != member_id => Err(ResponseError::FencedInstanceId),
                Some(_) => Ok(()),
            };
        }
        if self.members.contains_key(member_id) { Ok(()) } else { Err(ResponseError::UnknownMemberId) }
    }

    fn add(&mut self, join: GroupJoin, now: Instant) {
        let id = join.member_id.clone();
        if self.members.is_empty() {
            self.protocol_type = join.protocol_type.clone();
        }
        if let Some(instance_id) = &join.instance_id {
            self.statics.insert(instance_id.clone(), id.clone());
        }
        let (mut member, reply) = Member::new(join, now);
        member.joining = Some(reply);
        self.leader.get_or_insert_with(|| id.clone());
        self.members.insert(id, member);
        self.rebalance(now);
    }

    fn rejoin(&mut self, join: GroupJoin, now: Instant) {
        let is_leader = self.leader.as_ref() == Some(&join.member_id);
        let Some(member) = self.members.get_mut(&join.member_id) else {
            return join.refuse(ResponseError::UnknownMemberId);
        };
        member.heard_of(now);
        let unchanged = member.protocols == join.protocols;
        let repeated = match self.status {
            Status::Completing(_) => unchanged,
            Status::Stable => unchanged && !is_leader,
            Status::Preparing(_) | Status::Empty => false,
        };
        if repeated {
            // The answer to the last join was lost, or a follower asks out of turn: it gets the current generation.
            return answer(join.reply, Ok(self.joined(&join.member_id)));
        }
        member.protocols = join.protocols;
        member.session_timeout = join.session_timeout;
        member.rebalance_timeout = join.rebalance_timeout;
        member.joining = Some(join.reply);
        self.rebalance(now);
    }

    /// A static member came back without its member id: it takes the place of its former self.
    fn replace_static(&mut self, old_id: &StrBytes, join: GroupJoin, now: Instant) {
        let Some(mut old) = self.members.remove(old_id) else {
            return join.refuse(ResponseError::UnknownMemberId);
        };
        old.fence(old_id);
        let id = join.member_id.clone();
        let can_skip = join.can_skip_assignment;
        let (mut member, reply) = Member::new(join, now);
        member.assignment = old.assignment;
        if let Some(instance_id) = &member.instance_id {
            self.statics.insert(instance_id.clone(), id.clone());
        }
        self.members.insert(id.clone(), member);
        let was_leader = self.leader.as_ref() == Some(old_id);
        if was_leader {
            self.leader = Some(id.clone());
        }
        if self.status == Status::Stable && self.select_protocol() == self.protocol {
            // No rebalance. A leader that cannot skip the assignment is told that its former self leads.
            let mut joined = self.joined(&id);
            joined.skip_assignment = was_leader && can_skip;
            if was_leader && !can_skip {
                joined.leader = old_id.clone();
                joined.members.clear();
            }
            return answer(reply, Ok(joined));
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.joining = Some(reply);
        }
        self.rebalance(now);
    }

    /// Begins a rebalance unless one is being prepared already.
    fn rebalance(&mut self, now: Instant) {
        if !matches!(self.status, Status::Preparing(_)) {
            for member in self.members.values_mut() {
                if let Some(reply) = member.syncing.take() {
                    answer(reply, Err(ResponseError::RebalanceInProgress));
                }
            }
            self.status = Status::Preparing(now + self.rebalance_timeout());
        }
        self.complete_if_all_joined(now);
    }

    fn rebalance_timeout(&self) -> std::time::Duration {
        self.members.values().map(|member| member.rebalance_timeout).max().unwrap_or_default()
    }

    fn complete_if_all_joined(&mut self, now: Instant) {
        let all = self.pending.is_empty() && self.members.values().all(|member| member.joining.is_some());
        if matches!(self.status, Status::Preparing(_)) && all {
            self.complete_join(now);
        }
    }

    /// Begins the next generation with those who joined; static members may be late until their session ends.
    fn complete_join(&mut self, now: Instant) {
        self.members.retain(|_, member| member.joining.is_some() || member.instance_id.is_some());
        let joined = |member: &Member| member.joining.is_some();
        let leader = self.leader.take().filter(|id| self.members.get(id).is_some_and(joined));
        self.leader = leader.or_else(|| self.members.iter().find(|(_, m)| joined(m)).map(|(id, _)| id.clone()));
        if !self.members.is_empty() && self.leader.is_none() {
            self.status = Status::Preparing(now + self.rebalance_timeout());
            return;
        }
        self.generation += 1;
        if self.members.is_empty() {
            self.status = Status::Empty;
            self.protocol = StrBytes::default();
            return;
        }
        self.protocol = self.select_protocol();
        self.status = Status::Completing(now + self.rebalance_timeout());
        let answers: Vec<_> = self.members.keys().map(|id| self.joined(id)).collect();
        for (member, joined) in self.members.values_mut().zip(answers) {
            member.assignment = Bytes::new();
            if let Some(reply) = member.joining.take() {
                member.heard_of(now);
                answer(reply, Ok(joined));
            }
        }
    }

    /// Each member votes for the first protocol of its list that all support.
    fn select_protocol(&self) -> StrBytes {
        let supported = |name: &StrBytes| self.members.values().all(|m| m.protocols.iter().any(|(n, _)| n == name));
        let votes: Vec<_> = self
            .members
            .values()
            .filter_map(|member| member.protocols.iter().map(|(name, _)| name).find(|name| supported(name)))
            .collect();
        let count = |name: &StrBytes| votes.iter().filter(|vote| **vote == name).count();
        votes.iter().max_by_key(|name| count(name)).map(|name| (*name).clone()).unwrap_or_default()
    }

    fn joined(&self, id: &StrBytes) -> Joined {
        let leader = self.leader.clone().unwrap_or_default();
        let members = self.members.iter().filter(|_| leader == *id);
        let members = members.map(|(id, m)| (id.clone(), m.instance_id.clone(), m.metadata(&self.protocol)));
        Joined {
            generation: self.generation,
            protocol_type: self.protocol_type.clone(),
            protocol: self.protocol.clone(),
            member_id: id.clone(),
            skip_assignment: false,
            members: members.collect(),
            leader,
        }
    }

    pub fn sync(&mut self, sync: GroupSync, now: Instant) {
        if let Err(error) = self.check_sync(&sync) {
            return answer(sync.reply, Err(error));
        }
        let is_leader = self.leader.as_ref() == Some(&sync.member_id);
        let Some(member) = self.members.get_mut(&sync.member_id) else {
            return answer(sync.reply, Err(ResponseError::UnknownMemberId));
        };
        member.heard_of(now);
        member.syncing = Some(sync.reply);
        if matches!(self.status, Status::Completing(_)) {
            if !is_leader {
                return;
            }
            for (id, assignment) in sync.assignments {
                if let Some(member) = self.members.get_mut(&id) {
                    member.assignment = assignment;
                }
            }
            self.status = Status::Stable;
        }
        for member in self.members.values_mut() {
            if let Some(reply) = member.syncing.take() {
                member.heard_of(now);
                let (protocol_type, protocol) = (self.protocol_type.clone(), self.protocol.clone());
                answer(reply, Ok(Synced { protocol_type, protocol, assignment: member.assignment.clone() }));
            }
        }
    }

    fn check_sync(&self, sync: &GroupSync) -> Result<(), ResponseError> {
        self.check_member(&sync.member_id, sync.instance_id.as_ref(), sync.generation)?;
        let differs = |sent: &Option<StrBytes>, ours: &StrBytes| sent.as_ref().is_some_and(|sent| sent != ours);
        if differs(&sync.protocol_type, &self.protocol_type) || differs(&sync.protocol, &self.protocol) {
            return Err(ResponseError::InconsistentGroupProtocol);
        }
        if sync.assignments.iter().any(|(_, assignment)| assignment.len() > MAX_MEMBER_BYTES) {
            return Err(ResponseError::InvalidRequest);
        }
        match self.status {
            Status::Empty => Err(ResponseError::UnknownMemberId),
            Status::Preparing(_) => Err(ResponseError::RebalanceInProgress),
            Status::Completing(_) | Status::Stable => Ok(()),
        }
    }

    fn check_member(&self, member_id: &StrBytes, instance_id: Option<&StrBytes>, generation: i32) -> Result<(), ResponseError> {
        self.check_identity(member_id, instance_id)?;
        if generation == self.generation { Ok(()) } else { Err(ResponseError::IllegalGeneration) }
    }

    pub fn heartbeat(
        &mut self,
        member_id: &StrBytes,
        instance_id: Option<&StrBytes>,
        generation: i32,
        now: Instant,
    ) -> Result<(), ResponseError> {
        self.check_member(member_id, instance_id, generation)?;
        if let Some(member) = self.members.get_mut(member_id) {
            member.heard_of(now);
        }
        match self.status {
            Status::Preparing(_) => Err(ResponseError::RebalanceInProgress),
            Status::Empty | Status::Completing(_) | Status::Stable => Ok(()),
        }
    }

    /// Whether this member may commit offsets now (`validateOffsetCommit` of Kafka). Without member id and generation, a
    /// client that manages its partitions itself commits, which is only allowed while the group has no members.
    pub fn check_commit(
        &mut self,
        member_id: &StrBytes,
        instance_id: Option<&StrBytes>,
        generation: i32,
        now: Instant,
    ) -> Result<(), ResponseError> {
        if generation < 0 && self.members.is_empty() {
            return Ok(());
        }
        if generation < 0 && member_id.is_empty() && instance_id.is_none() {
            return Err(ResponseError::UnknownMemberId);
        }
        self.check_member(member_id, instance_id, generation)?;
        if let Some(member) = self.members.get_mut(member_id) {
            member.heard_of(now);
        }
        match self.status {
            Status::Completing(_) => Err(ResponseError::RebalanceInProgress),
            Status::Empty => Err(ResponseError::UnknownMemberId),
            Status::Preparing(_) | Status::Stable => Ok(()),
        }
    }

    /// A member leaves, or an administrator removes a static one by its instance id alone.
    pub fn leave(&mut self, member_id: &StrBytes, instance_id: Option<&StrBytes>, now: Instant) -> Result<(), ResponseError> {
        if self.pending.remove(member_id).is_some() {
            self.complete_if_all_joined(now);
            return Ok(());
        }
        let id = match instance_id {
            Some(instance_id) if member_id.is_empty() => {
                self.statics.get(instance_id).cloned().ok_or(ResponseError::UnknownMemberId)?
            }
            _ => {
                self.check_identity(member_id, instance_id)?;
                member_id.clone()
            }
        };
        self.remove(&id, now);
        Ok(())
    }

    fn remove(&mut self, id: &StrBytes, now: Instant) {
        let Some(member) = self.members.remove(id) else {
            return;
        };
        if let Some(instance_id) = &member.instance_id {
            self.statics.remove(instance_id);
        }
        if self.leader.as_ref() == Some(id) {
            self.leader = self.members.keys().next().cloned();
        }
        self.rebalance(now);
    }

    /// Does what is due: removes silent members, ends waits for those who don't come.
    pub fn expire(&mut self, now: Instant) {
        self.pending.retain(|_, deadline| *deadline > now);
        for member in self.members.values_mut().filter(|member| member.is_waiting()) {
            member.heard_of(now);
        }
        let silent: Vec<_> = self.members.iter().filter(|(_, m)| m.deadline <= now).map(|(id, _)| id.clone()).collect();
        for id in silent {
            tracing::info!("member {} of a group was not heard of in its session timeout and is removed", id.as_str());
            self.remove(&id, now);
        }
        match self.status {
            Status::Preparing(deadline) if deadline <= now => self.complete_join(now),
            Status::Preparing(_) => self.complete_if_all_joined(now),
            Status::Completing(deadline) if deadline <= now => {
                let late: Vec<_> = self.members.iter().filter(|(_, m)| m.syncing.is_none()).map(|(id, _)| id.clone()).collect();
                late.iter().for_each(|id| self.remove(id, now));
            }
            Status::Completing(_) | Status::Stable | Status::Empty => {}
        }
    }
}
