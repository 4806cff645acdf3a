//! The messages of Kafka: which there are, since which version they are flexible (KIP-482), and what is read of them.
//!
//! Field for field as in the definitions that Kafka is made from (`clients/src/main/resources/common/message` of Apache
//! Kafka 4.1, and of 3.9 for the ones that are gone since), for every version that brokers ever had.

mod field;
mod requests;
mod responses;

pub(super) use field::{Field, Means, Wire};

/// No version is flexible.
const NEVER: i16 = i16::MAX;

/// One kind of request with its response.
#[derive(Debug)]
pub(super) struct Api {
    pub(super) name: &'static str,
    /// The newest version that this table describes.
    pub(super) newest: i16,
    /// The first version with compact values and tagged fields.
    flexible: i16,
    request: &'static [Field],
    response: &'static [Field],
}

const fn api(
    name: &'static str,
    newest: i16,
    flexible: i16,
    request: &'static [Field],
    response: &'static [Field],
) -> Api {
    Api { name, newest, flexible, request, response }
}

/// By API key.
static APIS: [Api; 93] = [
    api("Produce", 13, 9, requests::PRODUCE, responses::PRODUCE),
    api("Fetch", 18, 12, requests::FETCH, responses::FETCH),
    api("ListOffsets", 10, 6, requests::LIST_OFFSETS, responses::LIST_OFFSETS),
    api("Metadata", 13, 9, requests::METADATA, responses::METADATA),
    api("LeaderAndIsr", 7, 4, requests::UNREAD, responses::ERROR),
    api("StopReplica", 4, 2, requests::UNREAD, responses::ERROR),
    api("UpdateMetadata", 8, 6, requests::UNREAD, responses::ERROR),
    api("ControlledShutdown", 3, 3, requests::UNREAD, responses::ERROR),
    api("OffsetCommit", 10, 8, requests::OFFSET_COMMIT, responses::OFFSET_COMMIT),
    api("OffsetFetch", 10, 6, requests::OFFSET_FETCH, responses::OFFSET_FETCH),
    api("FindCoordinator", 6, 3, requests::FIND_COORDINATOR, responses::FIND_COORDINATOR),
    api("JoinGroup", 9, 6, requests::JOIN_GROUP, responses::JOIN_GROUP),
    api("Heartbeat", 4, 4, requests::GROUP_GENERATION_MEMBER, responses::THROTTLE_1_ERROR),
    api("LeaveGroup", 5, 4, requests::LEAVE_GROUP, responses::LEAVE_GROUP),
    api("SyncGroup", 5, 4, requests::GROUP_GENERATION_MEMBER, responses::THROTTLE_1_ERROR),
    api("DescribeGroups", 6, 5, requests::GROUPS, responses::DESCRIBE_GROUPS),
    api("ListGroups", 5, 3, requests::UNREAD, responses::THROTTLE_1_ERROR),
    api("SaslHandshake", 1, NEVER, requests::SASL_HANDSHAKE, responses::ERROR),
    api("ApiVersions", 4, 3, requests::UNREAD, responses::ERROR),
    api("CreateTopics", 7, 5, requests::CREATE_TOPICS, responses::CREATE_TOPICS),
    api("DeleteTopics", 6, 4, requests::DELETE_TOPICS, responses::DELETE_TOPICS),
    api("DeleteRecords", 2, 2, requests::DELETE_RECORDS, responses::DELETE_RECORDS),
    api("InitProducerId", 6, 2, requests::TRANSACTION, responses::THROTTLE_ERROR),
    api("OffsetForLeaderEpoch", 4, 4, requests::OFFSET_FOR_LEADER_EPOCH, responses::OFFSET_FOR_LEADER_EPOCH),
    api("AddPartitionsToTxn", 5, 3, requests::ADD_PARTITIONS_TO_TXN, responses::ADD_PARTITIONS_TO_TXN),
    api("AddOffsetsToTxn", 4, 3, requests::ADD_OFFSETS_TO_TXN, responses::THROTTLE_ERROR),
    api("EndTxn", 5, 3, requests::TRANSACTION, responses::THROTTLE_ERROR),
    api("WriteTxnMarkers", 1, 1, requests::UNREAD, requests::UNREAD),
    api("TxnOffsetCommit", 5, 3, requests::TXN_OFFSET_COMMIT, responses::TOPICS_PARTITIONS_ERRORS),
    api("DescribeAcls", 3, 2, requests::UNREAD, responses::THROTTLE_ERROR),
    api("CreateAcls", 3, 2, requests::UNREAD, responses::CREATE_ACLS),
    api("DeleteAcls", 3, 2, requests::UNREAD, responses::THROTTLE_RESULTS),
    api("DescribeConfigs", 4, 4, requests::UNREAD, responses::THROTTLE_RESULTS),
    api("AlterConfigs", 2, 2, requests::UNREAD, responses::ALTER_CONFIGS),
    api("AlterReplicaLogDirs", 2, 2, requests::UNREAD, responses::TOPICS_PARTITIONS_ERRORS),
    api("DescribeLogDirs", 4, 2, requests::UNREAD, responses::DESCRIBE_LOG_DIRS),
    api("SaslAuthenticate", 2, 2, requests::UNREAD, responses::ERROR),
    api("CreatePartitions", 3, 2, requests::TOPICS_AND_MORE, responses::THROTTLE_NAMES),
    api("CreateDelegationToken", 3, 2, requests::UNREAD, responses::ERROR),
    api("RenewDelegationToken", 2, 2, requests::UNREAD, responses::ERROR),
    api("ExpireDelegationToken", 2, 2, requests::UNREAD, responses::ERROR),
    api("DescribeDelegationToken", 3, 2, requests::UNREAD, responses::ERROR),
    api("DeleteGroups", 2, 2, requests::GROUPS, responses::DELETE_GROUPS),
    api("ElectLeaders", 2, 2, requests::UNREAD, responses::ELECT_LEADERS),
    api("IncrementalAlterConfigs", 1, 1, requests::UNREAD, responses::ALTER_CONFIGS),
    api("AlterPartitionReassignments", 1, 0, requests::UNREAD, responses::ALTER_PARTITION_REASSIGNMENTS),
    api("ListPartitionReassignments", 0, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("OffsetDelete", 0, NEVER, requests::OFFSET_DELETE, responses::OFFSET_DELETE),
    api("DescribeClientQuotas", 1, 1, requests::UNREAD, responses::THROTTLE_ERROR),
    api("AlterClientQuotas", 1, 1, requests::UNREAD, responses::THROTTLE_RESULTS),
    api("DescribeUserScramCredentials", 0, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("AlterUserScramCredentials", 0, 0, requests::UNREAD, responses::THROTTLE_NAMES),
    api("Vote", 2, 0, requests::UNREAD, responses::ERROR),
    api("BeginQuorumEpoch", 1, 1, requests::UNREAD, responses::ERROR),
    api("EndQuorumEpoch", 1, 1, requests::UNREAD, responses::ERROR),
    api("DescribeQuorum", 2, 0, requests::UNREAD, responses::ERROR),
    api("AlterPartition", 3, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("UpdateFeatures", 2, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("Envelope", 0, 0, requests::UNREAD, requests::UNREAD),
    api("FetchSnapshot", 1, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("DescribeCluster", 2, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("DescribeProducers", 0, 0, requests::DESCRIBE_PRODUCERS, responses::THROTTLE),
    api("BrokerRegistration", 4, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("BrokerHeartbeat", 1, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("UnregisterBroker", 0, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("DescribeTransactions", 0, 0, requests::UNREAD, responses::THROTTLE_RESULTS),
    api("ListTransactions", 2, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("AllocateProducerIds", 0, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("ConsumerGroupHeartbeat", 1, 0, requests::GROUP_MEMBER_EPOCH, responses::GROUP_HEARTBEAT),
    api("ConsumerGroupDescribe", 1, 0, requests::GROUPS, responses::THROTTLE_RESULTS),
    api("ControllerRegistration", 0, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("GetTelemetrySubscriptions", 0, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("PushTelemetry", 0, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("AssignReplicasToDirs", 0, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("ListConfigResources", 1, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("DescribeTopicPartitions", 0, 0, requests::DESCRIBE_TOPIC_PARTITIONS, responses::DESCRIBE_TOPIC_PARTITIONS),
    api("ShareGroupHeartbeat", 1, 0, requests::GROUP_MEMBER_EPOCH, responses::GROUP_HEARTBEAT),
    api("ShareGroupDescribe", 1, 0, requests::GROUPS, responses::THROTTLE_RESULTS),
    api("ShareFetch", 1, 0, requests::SHARE_FETCH, responses::SHARE_FETCH),
    api("ShareAcknowledge", 1, 0, requests::SHARE_ACKNOWLEDGE, responses::THROTTLE_ERROR),
    api("AddRaftVoter", 0, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("RemoveRaftVoter", 0, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("UpdateRaftVoter", 0, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("InitializeShareGroupState", 0, 0, requests::UNREAD, requests::UNREAD),
    api("ReadShareGroupState", 0, 0, requests::UNREAD, requests::UNREAD),
    api("WriteShareGroupState", 0, 0, requests::UNREAD, requests::UNREAD),
    api("DeleteShareGroupState", 0, 0, requests::UNREAD, requests::UNREAD),
    api("ReadShareGroupStateSummary", 0, 0, requests::UNREAD, requests::UNREAD),
    api("StreamsGroupHeartbeat", 0, 0, requests::GROUP_MEMBER_EPOCH, responses::GROUP_HEARTBEAT),
    api("StreamsGroupDescribe", 0, 0, requests::GROUPS, responses::THROTTLE_RESULTS),
    api("DescribeShareGroupOffsets", 0, 0, requests::UNREAD, requests::UNREAD),
    api("AlterShareGroupOffsets", 0, 0, requests::UNREAD, responses::THROTTLE_ERROR),
    api("DeleteShareGroupOffsets", 0, 0, requests::UNREAD, responses::THROTTLE_ERROR),
];

pub(super) const PRODUCE: i16 = 0;
pub(super) const FETCH: i16 = 1;
const CONTROLLED_SHUTDOWN: i16 = 7;
pub(super) const SASL_HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
pub(super) const SHARE_FETCH: i16 = 78;

pub(super) fn find(key: i16) -> Option<&'static Api> {
    APIS.get(usize::try_from(key).ok()?)
}

/// Whether a message of this key and version has compact values and tagged fields. What came after this table has.
pub(super) fn is_flexible(key: i16, version: i16) -> bool {
    find(key).is_none_or(|api| version >= api.flexible)
}

/// Version 0 of the header has nothing behind the correlation id; only ControlledShutdown ever had it.
pub(super) const fn has_client_id(key: i16, version: i16) -> bool {
    key != CONTROLLED_SHUTDOWN || version > 0
}

/// Whether more of a request than its header is read.
pub(super) fn is_read(key: i16, version: i16) -> bool {
    !matches!(request(key, version), [Field { wire: Wire::Rest, .. }])
}

/// What a request has in front of its body, behind the correlation id.
pub(super) fn request_header(key: i16, version: i16) -> &'static [Field] {
    if has_client_id(key, version) { requests::HEADER } else { requests::NO_CLIENT }
}

/// Fields of a request's body; of a version that came after this table nothing is read.
pub(super) fn request(key: i16, version: i16) -> &'static [Field] {
    find(key).filter(|api| version <= api.newest).map_or(requests::UNREAD, |api| api.request)
}

/// What a response has in front of its body, behind the correlation id: tagged fields, if its header has them. That of
/// ApiVersions never has: who asks does not know yet what the broker speaks (KIP-511).
pub(super) fn response_header(key: i16, version: i16) -> Option<&'static [Field]> {
    (key != API_VERSIONS && is_flexible(key, version)).then_some(requests::NO_CLIENT)
}

pub(super) fn response(key: i16, version: i16) -> &'static [Field] {
    find(key).filter(|api| version <= api.newest).map_or(requests::UNREAD, |api| api.response)
}
