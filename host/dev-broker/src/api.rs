//! Which requests are served in which versions, and who serves them.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::{
    ResponseError,
    messages::{
        AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, AlterConfigsRequest, ApiKey, ApiVersionsResponse,
        CreatePartitionsRequest, CreateTopicsRequest, DeleteGroupsRequest, DeleteRecordsRequest, DeleteTopicsRequest,
        DescribeClusterRequest, DescribeConfigsRequest, DescribeGroupsRequest, EndTxnRequest, FetchRequest,
        FindCoordinatorRequest, HeartbeatRequest, IncrementalAlterConfigsRequest, InitProducerIdRequest, JoinGroupRequest,
        LeaveGroupRequest, ListGroupsRequest, ListOffsetsRequest, MetadataRequest, OffsetCommitRequest, OffsetDeleteRequest,
        OffsetFetchRequest, OffsetForLeaderEpochRequest, ProduceRequest, RequestHeader, SyncGroupRequest, TxnOffsetCommitRequest,
        api_versions_response::ApiVersion,
    },
    protocol::{Decodable, Encodable, StrBytes},
};

use crate::{
    admin,
    broker::Broker,
    configs,
    connection::{Chunks, Close},
    fetch, groups, offsets, produce, schema, topics, transactions,
};

/// Requests with their first and last version. The last ones stay below topic ids in Produce (13) and Fetch (13), below
/// KIP-848 and below the transaction protocol of KIP-890, none of which this broker has.
const APIS: &[(ApiKey, i16, i16)] = &[
    (ApiKey::Produce, 3, 11),
    (ApiKey::Fetch, 4, 12),
    (ApiKey::ListOffsets, 1, 7),
    (ApiKey::Metadata, 0, 13),
    (ApiKey::OffsetCommit, 2, 9),
    (ApiKey::OffsetFetch, 1, 9),
    (ApiKey::FindCoordinator, 0, 4),
    (ApiKey::JoinGroup, 0, 9),
    (ApiKey::Heartbeat, 0, 4),
    (ApiKey::LeaveGroup, 0, 5),
    (ApiKey::SyncGroup, 0, 5),
    (ApiKey::DescribeGroups, 0, 5),
    (ApiKey::ListGroups, 0, 5),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::CreateTopics, 2, 7),
    (ApiKey::DeleteTopics, 1, 6),
    (ApiKey::DeleteRecords, 0, 2),
    (ApiKey::InitProducerId, 0, 5),
    (ApiKey::OffsetForLeaderEpoch, 2, 4),
    (ApiKey::AddPartitionsToTxn, 0, 3),
    (ApiKey::AddOffsetsToTxn, 0, 3),
    (ApiKey::EndTxn, 0, 3),
    (ApiKey::TxnOffsetCommit, 0, 3),
    (ApiKey::DescribeConfigs, 1, 4),
    (ApiKey::AlterConfigs, 0, 2),
    (ApiKey::CreatePartitions, 0, 3),
    (ApiKey::DeleteGroups, 0, 2),
    (ApiKey::IncrementalAlterConfigs, 0, 1),
    (ApiKey::OffsetDelete, 0, 0),
    (ApiKey::DescribeCluster, 0, 1),
];

/// Who asks and in which version.
#[derive(Debug)]
pub(crate) struct Caller {
    /// Number of the connection.
    pub connection: u64,
    pub version: i16,
    pub client_id: StrBytes,
}

/// The error code of a result, 0 for success.
pub(crate) fn code<T>(result: &Result<T, ResponseError>) -> i16 {
    result.as_ref().err().map_or(0, ResponseError::code)
}

/// Answers one request frame (without its length); `None` when the request wants no answer.
pub(crate) async fn handle(broker: &Broker, connection: u64, frame: Bytes) -> Result<Option<Chunks>, Close> {
    let mut body = frame;
    let header = decode_header(&mut body)?;
    let api = ApiKey::try_from(header.request_api_key).map_err(|()| unsupported(&header))?;
    let version = header.request_api_version;
    let answer = Answer { api, version, correlation_id: header.correlation_id };
    let Some((_, min, max)) = APIS.iter().find(|(key, ..)| *key == api) else {
        return Err(unsupported(&header));
    };
    if !(*min..=*max).contains(&version) {
        if api == ApiKey::ApiVersions {
            // KIP-511: an unknown version is answered in version 0, with the versions that are known.
            let response = api_versions().with_error_code(ResponseError::UnsupportedVersion.code());
            return Answer { version: 0, ..answer }.encode(&response).map(Some);
        }
        return Err(unsupported(&header));
    }
    if !schema::check(api, version, &body) {
        return Err(Close::Malformed(format!("a malformed {api:?} request of version {version}")));
    }
    let caller = Caller { connection, version, client_id: header.client_id.unwrap_or_default() };
    dispatch(broker, &caller, &answer, body).await
}

async fn dispatch(broker: &Broker, caller: &Caller, answer: &Answer, mut body: Bytes) -> Result<Option<Chunks>, Close> {
    /// Decodes the request and encodes what the handler answers.
    macro_rules! call {
        ($request:ty, $handler:expr) => {{
            let request = <$request>::decode(&mut body, caller.version).map_err(malformed)?;
            answer.encode(&$handler(broker, caller, request))?
        }};
        ($request:ty, $handler:expr, await) => {{
            let request = <$request>::decode(&mut body, caller.version).map_err(malformed)?;
            answer.encode(&$handler(broker, caller, request).await)?
        }};
    }
    Ok(Some(match answer.api {
        ApiKey::Produce => {
            let request = ProduceRequest::decode(&mut body, caller.version).map_err(malformed)?;
            let wanted = request.acks != 0;
            let response = produce::produce(broker, request);
            return if wanted { answer.encode(&response).map(Some) } else { Ok(None) };
        }
        ApiKey::Fetch => {
            let request = FetchRequest::decode(&mut body, caller.version).map_err(malformed)?;
            fetch::fetch(broker, caller, answer, request).await?
        }
        ApiKey::ApiVersions => answer.encode(&api_versions())?,
        ApiKey::Metadata => call!(MetadataRequest, topics::metadata),
        ApiKey::CreateTopics => call!(CreateTopicsRequest, topics::create_topics),
        ApiKey::DeleteTopics => call!(DeleteTopicsRequest, topics::delete_topics),
        ApiKey::CreatePartitions => call!(CreatePartitionsRequest, topics::create_partitions),
        ApiKey::DescribeConfigs => call!(DescribeConfigsRequest, configs::handlers::describe),
        ApiKey::AlterConfigs => call!(AlterConfigsRequest, configs::handlers::alter),
        ApiKey::IncrementalAlterConfigs => call!(IncrementalAlterConfigsRequest, configs::handlers::incremental),
        ApiKey::DescribeCluster => call!(DescribeClusterRequest, admin::describe_cluster),
        ApiKey::FindCoordinator => call!(FindCoordinatorRequest, admin::find_coordinator),
        ApiKey::DeleteRecords => call!(DeleteRecordsRequest, offsets::delete_records),
        ApiKey::ListOffsets => call!(ListOffsetsRequest, offsets::list_offsets),
        ApiKey::OffsetForLeaderEpoch => {
            call!(OffsetForLeaderEpochRequest, offsets::for_leader_epoch)
        }
        ApiKey::JoinGroup => call!(JoinGroupRequest, groups::handlers::join, await),
        ApiKey::SyncGroup => call!(SyncGroupRequest, groups::handlers::sync, await),
        ApiKey::Heartbeat => call!(HeartbeatRequest, groups::handlers::heartbeat),
        ApiKey::LeaveGroup => call!(LeaveGroupRequest, groups::handlers::leave),
        ApiKey::ListGroups => call!(ListGroupsRequest, groups::handlers::list),
        ApiKey::DescribeGroups => call!(DescribeGroupsRequest, groups::handlers::describe),
        ApiKey::DeleteGroups => call!(DeleteGroupsRequest, groups::handlers::delete),
        ApiKey::OffsetCommit => call!(OffsetCommitRequest, groups::offsets::commit),
        ApiKey::OffsetFetch => call!(OffsetFetchRequest, groups::offsets::fetch),
        ApiKey::OffsetDelete => call!(OffsetDeleteRequest, groups::offsets::delete),
        ApiKey::InitProducerId => call!(InitProducerIdRequest, transactions::handlers::init_producer_id),
        ApiKey::AddPartitionsToTxn => call!(AddPartitionsToTxnRequest, transactions::handlers::add_partitions),
        ApiKey::AddOffsetsToTxn => {
            call!(AddOffsetsToTxnRequest, transactions::handlers::add_offsets)
        }
        ApiKey::TxnOffsetCommit => call!(TxnOffsetCommitRequest, transactions::handlers::commit_offsets),
        ApiKey::EndTxn => call!(EndTxnRequest, transactions::handlers::end),
        api => return Err(Close::Malformed(format!("no handler for {api:?}"))),
    }))
}

/// How an answer is framed.
#[derive(Debug)]
pub(crate) struct Answer {
    api: ApiKey,
    pub version: i16,
    correlation_id: i32,
}

impl Answer {
    /// Room for the length, then the response header.
    pub fn start(&self) -> BytesMut {
        let mut head = BytesMut::with_capacity(512);
        head.put_i32(0);
        head.put_i32(self.correlation_id);
        if self.api.response_header_version(self.version) >= 1 {
            head.put_u8(0);
        }
        head
    }

    /// Encodes a whole response.
    pub fn encode<M: Encodable>(&self, message: &M) -> Result<Chunks, Close> {
        let mut buffer = self.start();
        message
            .encode(&mut buffer, self.version)
            .map_err(|e| Close::Malformed(format!("cannot encode the answer to {:?} v{}: {e}", self.api, self.version)))?;
        let length = i32::try_from(buffer.len() - 4).unwrap_or(i32::MAX);
        buffer[..4].copy_from_slice(&length.to_be_bytes());
        Ok(Chunks([buffer.freeze()].into()))
    }
}

/// Reads key, version, correlation id and client id. The codec's own function panics on short frames and refuses an
/// ApiVersions request of a later version, whose header has the same first fields.
fn decode_header(body: &mut Bytes) -> Result<RequestHeader, Close> {
    let key = body.first_chunk::<2>().map_or(-1, |k| i16::from_be_bytes(*k));
    let version = body.get(2..4).map_or(0, |v| i16::from_be_bytes([v[0], v[1]]));
    let header_version = ApiKey::try_from(key).map_or(1, |api| api.request_header_version(version));
    if !schema::check_header(body, header_version >= 2) {
        return Err(malformed("its header is cut off"));
    }
    RequestHeader::decode(body, header_version).map_err(malformed)
}

fn malformed(e: impl std::fmt::Display) -> Close {
    Close::Malformed(format!("a malformed request: {e}"))
}

fn unsupported(header: &RequestHeader) -> Close {
    Close::Malformed(format!(
        "API key {} version {} is not supported by the development broker",
        header.request_api_key, header.request_api_version
    ))
}

fn api_versions() -> ApiVersionsResponse {
    let keys = APIS.iter().map(|(key, min, max)| {
        // Like Kafka 4 (KAFKA-18659): older librdkafka uses compression only if Produce is offered from version 0.
        let min = if *key == ApiKey::Produce { 0 } else { *min };
        ApiVersion::default().with_api_key(*key as i16).with_min_version(min).with_max_version(*max)
    });
    ApiVersionsResponse::default().with_api_keys(keys.collect())
}
