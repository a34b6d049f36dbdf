//! The shape of every request, to check a frame before `kafka-protocol` decodes it.
//!
//! The codec (0.18) reserves memory for as many elements as an array claims to have. A few bytes sent by anyone could thus
//! end the whole process ("memory allocation failed"), so a frame whose claims don't match its bytes is refused first.

use kafka_protocol::messages::ApiKey;

/// Array elements and tagged fields in one request.
const MAX_ELEMENTS: usize = 100_000;

/// One field of a request, with the versions that have it.
#[derive(Debug)]
enum Field {
    All(Kind),
    Since(i16, Kind),
    Until(i16, Kind),
    Between(i16, i16, Kind),
}

#[derive(Debug)]
enum Kind {
    /// A number, boolean or UUID of so many bytes.
    Fixed(usize),
    /// A string, nullable or not.
    Str,
    /// Bytes or records, nullable or not.
    Blob,
    /// An array of values.
    Values(&'static Kind),
    /// An array of structures.
    Structs(&'static [Field]),
}

use Field::{All, Between, Since, Until};
use Kind::{Blob, Fixed, Str, Structs, Values};

const I8: Kind = Fixed(1);
const BOOL: Kind = Fixed(1);
const I16: Kind = Fixed(2);
const I32: Kind = Fixed(4);
const I64: Kind = Fixed(8);
const UUID: Kind = Fixed(16);

/// Topics with partition numbers.
const TOPIC_PARTITIONS: &[Field] = &[All(Str), All(Values(&I32))];
/// Names with values: configs.
const CONFIGS: &[Field] = &[All(Str), All(Str)];

/// The fields of a request, or `None` for a request that this broker does not serve. Written from the `validVersions` of
/// Kafka 4.1's message definitions; fields of versions that [`crate::api`] does not offer are left out.
fn fields(api: ApiKey) -> Option<&'static [Field]> {
    Some(match api {
        ApiKey::ApiVersions => &[Since(3, Str), Since(3, Str)],
        ApiKey::Metadata => &[All(Structs(&[Since(10, UUID), All(Str)])), Since(4, BOOL), Between(8, 10, BOOL), Since(8, BOOL)],
        ApiKey::Produce => &[All(Str), All(I16), All(I32), All(Structs(&[All(Str), All(Structs(&[All(I32), All(Blob)]))]))],
        ApiKey::Fetch => &[
            All(I32),
            All(I32),
            All(I32),
            All(I32),
            All(I8),
            Since(7, I32),
            Since(7, I32),
            All(Structs(&[
                All(Str),
                All(Structs(&[All(I32), Since(9, I32), All(I64), Since(12, I32), Since(5, I64), All(I32)])),
            ])),
            Since(7, Structs(TOPIC_PARTITIONS)),
            Since(11, Str),
        ],
        ApiKey::ListOffsets => {
            &[All(I32), Since(2, I8), All(Structs(&[All(Str), All(Structs(&[All(I32), Since(4, I32), All(I64)]))]))]
        }
        ApiKey::OffsetForLeaderEpoch => {
            &[Since(3, I32), All(Structs(&[All(Str), All(Structs(&[All(I32), All(I32), All(I32)]))]))]
        }
        ApiKey::FindCoordinator => &[Until(3, Str), Since(1, I8), Since(4, Values(&Str))],
        ApiKey::JoinGroup => &[
            All(Str),
            All(I32),
            Since(1, I32),
            All(Str),
            Since(5, Str),
            All(Str),
            All(Structs(&[All(Str), All(Blob)])),
            Since(8, Str),
        ],
        ApiKey::SyncGroup => {
            &[All(Str), All(I32), All(Str), Since(3, Str), Since(5, Str), Since(5, Str), All(Structs(&[All(Str), All(Blob)]))]
        }
        ApiKey::Heartbeat => &[All(Str), All(I32), All(Str), Since(3, Str)],
        ApiKey::LeaveGroup => &[All(Str), Until(2, Str), Since(3, Structs(&[All(Str), All(Str), Since(5, Str)]))],
        ApiKey::OffsetCommit => &[
            All(Str),
            All(I32),
            All(Str),
            Since(7, Str),
            Until(4, I64),
            All(Structs(&[All(Str), All(Structs(&[All(I32), All(I64), Since(6, I32), All(Str)]))])),
        ],
        ApiKey::OffsetFetch => &[
            Until(7, Str),
            Until(7, Structs(TOPIC_PARTITIONS)),
            Since(8, Structs(&[All(Str), Since(9, Str), Since(9, I32), All(Structs(TOPIC_PARTITIONS))])),
            Since(7, BOOL),
        ],
        ApiKey::OffsetDelete => &[All(Str), All(Structs(&[All(Str), All(Structs(&[All(I32)]))]))],
        ApiKey::ListGroups => &[Since(4, Values(&Str)), Since(5, Values(&Str))],
        ApiKey::DescribeGroups => &[All(Values(&Str)), Since(3, BOOL)],
        ApiKey::DeleteGroups => &[All(Values(&Str))],
        ApiKey::CreateTopics => &[
            All(Structs(&[All(Str), All(I32), All(I16), All(Structs(&[All(I32), All(Values(&I32))])), All(Structs(CONFIGS))])),
            All(I32),
            All(BOOL),
        ],
        ApiKey::DeleteTopics => &[Since(6, Structs(&[All(Str), All(UUID)])), Until(5, Values(&Str)), All(I32)],
        ApiKey::CreatePartitions => {
            &[All(Structs(&[All(Str), All(I32), All(Structs(&[All(Values(&I32))]))])), All(I32), All(BOOL)]
        }
        ApiKey::DescribeConfigs => &[All(Structs(&[All(I8), All(Str), All(Values(&Str))])), All(BOOL), Since(3, BOOL)],
        ApiKey::AlterConfigs => &[All(Structs(&[All(I8), All(Str), All(Structs(CONFIGS))])), All(BOOL)],
        ApiKey::IncrementalAlterConfigs => {
            &[All(Structs(&[All(I8), All(Str), All(Structs(&[All(Str), All(I8), All(Str)]))])), All(BOOL)]
        }
        ApiKey::DescribeCluster => &[All(BOOL), Since(1, I8)],
        ApiKey::DeleteRecords => &[All(Structs(&[All(Str), All(Structs(&[All(I32), All(I64)]))])), All(I32)],
        ApiKey::InitProducerId => &[All(Str), All(I32), Since(3, I64), Since(3, I16)],
        ApiKey::AddPartitionsToTxn => &[All(Str), All(I64), All(I16), All(Structs(TOPIC_PARTITIONS))],
        ApiKey::AddOffsetsToTxn => &[All(Str), All(I64), All(I16), All(Str)],
        ApiKey::TxnOffsetCommit => &[
            All(Str),
            All(Str),
            All(I64),
            All(I16),
            Since(3, I32),
            Since(3, Str),
            Since(3, Str),
            All(Structs(&[All(Str), All(Structs(&[All(I32), All(I64), Since(2, I32), All(Str)]))])),
        ],
        ApiKey::EndTxn => &[All(Str), All(I64), All(I16), All(BOOL)],
        _ => return None,
    })
}

/// Whether the header at the start of a frame is complete: key, version, correlation id, client id, tagged fields.
pub(crate) fn check_header(frame: &[u8], flexible: bool) -> bool {
    // The client id is of the old kind in all versions.
    let mut walk = Walk { rest: frame, version: 0, flexible: false, elements: 0 };
    let client_id = walk.skip(8).and_then(|()| walk.value(&Str));
    walk.flexible = flexible;
    client_id.and_then(|()| walk.tags()).is_some()
}

/// Whether `body` (a request without its header) holds what it claims to hold.
pub(crate) fn check(api: ApiKey, version: i16, body: &[u8]) -> bool {
    let flexible = api.request_header_version(version) >= 2;
    let mut walk = Walk { rest: body, version, flexible, elements: 0 };
    fields(api).is_some_and(|fields| walk.structure(fields).is_some())
}

struct Walk<'a> {
    rest: &'a [u8],
    version: i16,
    /// Flexible versions (KIP-482) have variable-length sizes and tagged fields.
    flexible: bool,
    elements: usize,
}

impl Walk<'_> {
    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.rest = self.rest.get(bytes..)?;
        Some(())
    }

    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(*head)
    }

    fn varint(&mut self) -> Option<usize> {
        let mut value = 0;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.fixed()?;
            value |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(value);
            }
        }
        None
    }

    /// A size whose null is 0 in flexible versions and -1 in the others; null counts as empty.
    fn size(&mut self, short: bool) -> Option<usize> {
        let signed = match (self.flexible, short) {
            (true, _) => return Some(self.varint()?.saturating_sub(1)),
            (false, true) => i32::from(i16::from_be_bytes(self.fixed()?)),
            (false, false) => i32::from_be_bytes(self.fixed()?),
        };
        if signed == -1 { Some(0) } else { usize::try_from(signed).ok() }
    }

    fn structure(&mut self, fields: &[Field]) -> Option<()> {
        for field in fields {
            let (present, kind) = match field {
                All(kind) => (true, kind),
                Since(first, kind) => (*first <= self.version, kind),
                Until(last, kind) => (self.version <= *last, kind),
                Between(first, last, kind) => ((*first..=*last).contains(&self.version), kind),
            };
            if present {
                self.value(kind)?;
            }
        }
        self.tags()
    }

    /// Tagged fields count as elements: the codec keeps those that it does not know in a map.
    fn tags(&mut self) -> Option<()> {
        let count = if self.flexible { self.varint()? } else { 0 };
        self.add(count)?;
        for _ in 0..count {
            self.varint()?;
            let size = self.varint()?;
            self.skip(size)?;
        }
        Some(())
    }

    fn value(&mut self, kind: &Kind) -> Option<()> {
        match kind {
            Fixed(bytes) => self.skip(*bytes),
            Str => {
                let size = self.size(true)?;
                self.skip(size)
            }
            Blob => {
                let size = self.size(false)?;
                self.skip(size)
            }
            Values(kind) => (0..self.count()?).try_for_each(|_| self.value(kind)),
            Structs(fields) => (0..self.count()?).try_for_each(|_| self.structure(fields)),
        }
    }

    fn count(&mut self) -> Option<usize> {
        let count = self.size(false)?;
        self.add(count)?;
        Some(count)
    }

    fn add(&mut self, elements: usize) -> Option<()> {
        self.elements = self.elements.saturating_add(elements);
        (self.elements <= MAX_ELEMENTS).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use kafka_protocol::{
        messages::{
            CreateTopicsRequest, JoinGroupRequest, MetadataRequest, ProduceRequest,
            create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig},
            join_group_request::JoinGroupRequestProtocol,
            metadata_request::MetadataRequestTopic,
            produce_request::{PartitionProduceData, TopicProduceData},
        },
        protocol::{Request, StrBytes},
    };

    use super::*;

    fn name(text: &'static str) -> StrBytes {
        StrBytes::from_static_str(text)
    }

    /// The request is accepted in every version up to `max`, and refused when cut anywhere.
    fn check_versions<R: Request>(versions: std::ops::RangeInclusive<i16>, make: impl Fn(i16) -> R) {
        let api = ApiKey::try_from(R::KEY).unwrap();
        for version in versions {
            let mut body = BytesMut::new();
            make(version).encode(&mut body, version).unwrap();
            assert!(check(api, version, &body), "{api:?} v{version}");
            for cut in 0..body.len() {
                assert!(!check(api, version, &body[..cut]), "{api:?} v{version} cut at {cut}");
            }
        }
    }

    #[test]
    fn well_formed_requests_pass_and_cut_ones_do_not() {
        check_versions(0..=13, |_| {
            let topic = MetadataRequestTopic::default().with_name(Some(name("t").into()));
            MetadataRequest::default().with_topics(Some(vec![topic]))
        });
        check_versions(3..=11, |_| {
            let partition = PartitionProduceData::default().with_records(Some(Bytes::from_static(&[7; 300])));
            let topic = TopicProduceData::default().with_name(name("t").into()).with_partition_data(vec![partition]);
            ProduceRequest::default().with_topic_data(vec![topic])
        });
        check_versions(0..=9, |_| {
            let protocol = JoinGroupRequestProtocol::default().with_metadata(Bytes::from_static(b"m"));
            JoinGroupRequest::default().with_group_id(name("g").into()).with_protocols(vec![protocol])
        });
        check_versions(2..=7, |_| {
            let topic = CreatableTopic::default()
                .with_assignments(vec![CreatableReplicaAssignment::default().with_broker_ids(vec![1.into()])])
                .with_configs(vec![CreatableTopicConfig::default().with_name(name("a")).with_value(Some(name("b")))]);
            CreateTopicsRequest::default().with_topics(vec![topic])
        });
    }

    #[test]
    fn headers_are_checked() {
        let mut header = vec![0, 3, 0, 9, 0, 0, 0, 7, 0, 2, b'i', b'd'];
        assert!(check_header(&header, false));
        assert!(!check_header(&header, true), "no tagged fields");
        header.extend([1, 5, 2, 0, 0]);
        assert!(check_header(&header, true));
        assert!(!check_header(&header[..16], true));
        assert!(!check_header(&header[..11], false));
        let tags = [0, 3, 0, 9, 0, 0, 0, 7, 0xff, 0xff].into_iter().chain([0xff, 0xff, 0x7f]).chain([1, 0].repeat(2_000_000));
        assert!(!check_header(&tags.collect::<Vec<_>>(), true), "too many tagged fields");
    }

    #[test]
    fn claims_beyond_the_bytes_are_refused() {
        let huge = i32::MAX.to_be_bytes();
        assert!(!check(ApiKey::Metadata, 0, &huge));
        assert!(!check(ApiKey::DescribeGroups, 0, &huge));
        assert!(!check(ApiKey::Metadata, 12, &[0xff, 0xff, 0xff, 0xff, 0x0f]));
        assert!(!check(ApiKey::Metadata, 0, &(-2_i32).to_be_bytes()));
        assert!(check(ApiKey::Metadata, 0, &(-1_i32).to_be_bytes()));
        assert!(!check(ApiKey::SaslHandshake, 0, &[]));
    }
}
