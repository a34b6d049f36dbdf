//! Requests written frame by frame, for what librdkafka does not do.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiKey, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest, RequestHeader, ResponseHeader,
        SyncGroupRequest, SyncGroupResponse, join_group_request::JoinGroupRequestProtocol, leave_group_request::MemberIdentity,
        sync_group_request::SyncGroupRequestAssignment,
    },
    protocol::{Decodable, Encodable, HeaderVersion, Request, StrBytes},
};

use crate::common::{PATIENCE, session_timeout};

/// A connection that sends one request at a time.
pub struct Raw(TcpStream);

impl Raw {
    pub fn connect(bootstrap: &str) -> Self {
        let stream = TcpStream::connect(bootstrap).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    pub fn call<R: Request>(&mut self, request: &R, version: i16) -> R::Response {
        self.send(request, version);
        self.receive::<R>(version)
    }

    pub fn send<R: Request>(&mut self, request: &R, version: i16) {
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(7)
            .with_client_id(Some(text("raw")));
        let mut frame = BytesMut::new();
        header.encode(&mut frame, R::header_version(version)).unwrap();
        request.encode(&mut frame, version).unwrap();
        self.send_frame(&frame);
    }

    pub fn send_frame(&mut self, frame: &[u8]) {
        let mut bytes = BytesMut::new();
        bytes.put_u32(u32::try_from(frame.len()).unwrap());
        bytes.put_slice(frame);
        self.send_bytes(&bytes).unwrap();
    }

    pub fn send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0.write_all(bytes)
    }

    pub fn receive<R: Request>(&mut self, version: i16) -> R::Response {
        let mut frame = self.receive_frame().unwrap();
        let header = ResponseHeader::decode(&mut frame, R::Response::header_version(version)).unwrap();
        assert_eq!(header.correlation_id, 7);
        let response = R::Response::decode(&mut frame, version).unwrap();
        assert!(!frame.has_remaining(), "{:?} v{version} leaves bytes", ApiKey::try_from(R::KEY));
        response
    }

    pub fn receive_frame(&mut self) -> std::io::Result<Bytes> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let mut frame = vec![0; u32::from_be_bytes(length) as usize];
        self.0.read_exact(&mut frame)?;
        Ok(frame.into())
    }

    pub fn shutdown(&self, how: std::net::Shutdown) {
        let _ = self.0.shutdown(how);
    }

    /// Whether the broker has closed the connection.
    pub fn is_closed(&mut self) -> bool {
        self.0.read(&mut [0]).is_ok_and(|read| read == 0)
    }
}

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A member of a group of protocol type `connect`, as a Connect worker is one.
pub struct Worker {
    raw: Raw,
    group: StrBytes,
    url: Bytes,
    pub id: StrBytes,
    pub generation: i32,
    pub leader: StrBytes,
}

const JOIN: i16 = 9;
const SYNC: i16 = 5;
const HEARTBEAT: i16 = 4;

impl Worker {
    pub fn connect(bootstrap: &str, group: &str, url: &str) -> Self {
        Self {
            raw: Raw::connect(bootstrap),
            group: text(group),
            url: Bytes::from(url.to_owned()),
            id: text(""),
            generation: -1,
            leader: text(""),
        }
    }

    /// Begins to join, and answers the demand to join with a member id.
    pub fn begin_join(&mut self) {
        let session = i32::try_from(session_timeout().as_millis()).unwrap();
        let protocol = JoinGroupRequestProtocol::default().with_name(text("sessioned")).with_metadata(self.url.clone());
        let request = JoinGroupRequest::default()
            .with_group_id(self.group.clone().into())
            .with_session_timeout_ms(session)
            .with_rebalance_timeout_ms(60_000)
            .with_member_id(self.id.clone())
            .with_protocol_type(text("connect"))
            .with_protocols(vec![protocol]);
        if self.id.is_empty() {
            let refused = self.raw.call(&request, JOIN);
            assert_eq!(refused.error_code, 79, "MEMBER_ID_REQUIRED");
            self.id = refused.member_id;
        }
        self.raw.send(&request.with_member_id(self.id.clone()), JOIN);
    }

    pub fn end_join(&mut self) -> JoinGroupResponse {
        let joined = self.raw.receive::<JoinGroupRequest>(JOIN);
        assert_eq!(joined.error_code, 0);
        self.generation = joined.generation_id;
        self.leader = joined.leader.clone();
        joined
    }

    pub fn join(&mut self) -> JoinGroupResponse {
        self.begin_join();
        self.end_join()
    }

    pub fn is_leader(&self) -> bool {
        self.id == self.leader
    }

    pub fn begin_sync(&mut self, assignments: &[(StrBytes, &'static str)]) {
        let assignments = assignments.iter().map(|(id, assignment)| {
            let bytes = Bytes::from_static(assignment.as_bytes());
            SyncGroupRequestAssignment::default().with_member_id(id.clone()).with_assignment(bytes)
        });
        let request = SyncGroupRequest::default()
            .with_group_id(self.group.clone().into())
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone())
            .with_protocol_type(Some(text("connect")))
            .with_protocol_name(Some(text("sessioned")))
            .with_assignments(assignments.collect());
        self.raw.send(&request, SYNC);
    }

    pub fn end_sync(&mut self) -> SyncGroupResponse {
        self.raw.receive::<SyncGroupRequest>(SYNC)
    }

    pub fn heartbeat(&mut self) -> i16 {
        let request = HeartbeatRequest::default()
            .with_group_id(self.group.clone().into())
            .with_generation_id(self.generation)
            .with_member_id(self.id.clone());
        self.raw.call(&request, HEARTBEAT).error_code
    }

    pub fn leave(&mut self) -> i16 {
        let member = MemberIdentity::default().with_member_id(self.id.clone());
        let request = LeaveGroupRequest::default().with_group_id(self.group.clone().into()).with_members(vec![member]);
        self.raw.call(&request, 5).members[0].error_code
    }
}
