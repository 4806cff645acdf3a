//! What is read of requests.

use super::field::{
    Field, Means::*, array, int8, int16, int32, int64, list, numbers, plain_text, records, rest, text, uuid,
};

/// Behind the fixed part of the header: the string is compact in no version (KIP-482).
pub(super) static HEADER: &[Field] = &[plain_text(Client)];

/// Of version 0, and of responses.
pub(super) static NO_CLIENT: &[Field] = &[];

pub(super) static UNREAD: &[Field] = &[rest()];

pub(super) static PRODUCE: &[Field] = &[
    text(Transaction).since(3),
    int16(Acks),
    int32(Nothing),
    array(Topics, &[text(Topic).until(12), uuid(TopicId).since(13), array(Partitions, &[int32(Partition), records()])]),
];

pub(super) static FETCH: &[Field] = &[
    int32(Replica).until(14),
    int32(Nothing),
    int32(Nothing),
    int32(Nothing).since(3),
    int8(Nothing).since(4),
    int32(Session).since(7),
    int32(SessionEpoch).since(7),
    array(
        Topics,
        &[
            text(Topic).until(12),
            uuid(TopicId).since(13),
            array(
                Partitions,
                &[
                    int32(Partition),
                    int32(Nothing).since(9),
                    int64(FetchOffset),
                    int32(Nothing).since(12),
                    int64(Nothing).since(5),
                    int32(Nothing),
                ],
            ),
        ],
    ),
    array(
        Nothing,
        &[text(ForgottenTopic).until(12), uuid(ForgottenId).since(13), list(Nothing, &[int32(ForgottenPartition)])],
    )
    .since(7),
    text(Nothing).since(11),
];

pub(super) static LIST_OFFSETS: &[Field] = &[
    int32(Replica),
    int8(Nothing).since(2),
    array(
        Topics,
        &[
            text(Topic),
            array(Partitions, &[int32(Partition), int32(Nothing).since(4), int64(Nothing), int32(Nothing).until(0)]),
        ],
    ),
    rest(),
];

pub(super) static METADATA: &[Field] = &[array(Topics, &[uuid(TopicId).since(10), text(Topic)]), rest()];

pub(super) static OFFSET_COMMIT: &[Field] = &[
    text(Group),
    int32(Generation).since(1),
    text(Member).since(1),
    text(Nothing).since(7),
    int64(Nothing).since(2).until(4),
    array(
        Topics,
        &[
            text(Topic).until(9),
            uuid(TopicId).since(10),
            array(
                Partitions,
                &[
                    int32(Partition),
                    int64(CommittedOffset),
                    int64(Nothing).since(1).until(1),
                    int32(Nothing).since(6),
                    text(Nothing),
                ],
            ),
        ],
    ),
];

pub(super) static OFFSET_FETCH: &[Field] = &[
    text(Group).until(7),
    array(Topics, &[text(Topic), list(Partitions, &[int32(Partition)])]).until(7),
    array(
        Nothing,
        &[
            text(Group),
            text(Member).since(9),
            int32(Generation).since(9),
            array(Topics, &[text(Topic).until(9), uuid(TopicId).since(10), list(Partitions, &[int32(Partition)])]),
        ],
    )
    .since(8),
    rest(),
];

pub(super) static FIND_COORDINATOR: &[Field] =
    &[text(Key).until(3), int8(KeyType).since(1), list(Nothing, &[text(Key)]).since(4)];

pub(super) static JOIN_GROUP: &[Field] = &[text(Group), int32(Nothing), int32(Nothing).since(1), text(Member), rest()];

/// Heartbeat, SyncGroup, ConsumerGroupHeartbeat, ShareGroupHeartbeat, StreamsGroupHeartbeat.
pub(super) static GROUP_GENERATION_MEMBER: &[Field] = &[text(Group), int32(Generation), text(Member), rest()];

pub(super) static GROUP_MEMBER_EPOCH: &[Field] = &[text(Group), text(Member), int32(Generation), rest()];

pub(super) static LEAVE_GROUP: &[Field] = &[
    text(Group),
    text(Member).until(2),
    array(Nothing, &[text(Member), text(Nothing), text(Nothing).since(5)]).since(3),
];

pub(super) static GROUPS: &[Field] = &[list(Nothing, &[text(Group)]), rest()];

pub(super) static SASL_HANDSHAKE: &[Field] = &[text(Mechanism)];

pub(super) static TOPICS_AND_MORE: &[Field] = &[array(Topics, &[text(Topic), rest()])];

pub(super) static CREATE_TOPICS: &[Field] = &[
    array(
        Topics,
        &[
            text(Topic),
            int32(Nothing),
            int16(Nothing),
            array(Nothing, &[int32(Nothing), numbers(4)]),
            array(Nothing, &[text(Nothing), text(Nothing)]),
        ],
    ),
    rest(),
];

pub(super) static DELETE_TOPICS: &[Field] =
    &[array(Topics, &[text(Topic), uuid(TopicId)]).since(6), list(Topics, &[text(Topic)]).until(5), rest()];

pub(super) static DELETE_RECORDS: &[Field] =
    &[array(Topics, &[text(Topic), array(Partitions, &[int32(Partition), int64(Offset)])]), rest()];

pub(super) static TRANSACTION: &[Field] = &[text(Transaction), rest()];

pub(super) static OFFSET_FOR_LEADER_EPOCH: &[Field] = &[
    int32(Replica).since(3),
    array(Topics, &[text(Topic), array(Partitions, &[int32(Partition), int32(Nothing).since(2), int32(Nothing)])]),
];

pub(super) static ADD_PARTITIONS_TO_TXN: &[Field] = &[
    array(
        Nothing,
        &[
            text(Transaction),
            int64(Nothing),
            int16(Nothing),
            int8(Nothing),
            array(Topics, &[text(Topic), list(Partitions, &[int32(Partition)])]),
        ],
    )
    .since(4),
    text(Transaction).until(3),
    int64(Nothing).until(3),
    int16(Nothing).until(3),
    array(Topics, &[text(Topic), list(Partitions, &[int32(Partition)])]).until(3),
];

pub(super) static ADD_OFFSETS_TO_TXN: &[Field] = &[text(Transaction), int64(Nothing), int16(Nothing), text(Group)];

pub(super) static TXN_OFFSET_COMMIT: &[Field] = &[
    text(Transaction),
    text(Group),
    int64(Nothing),
    int16(Nothing),
    int32(Generation).since(3),
    text(Member).since(3),
    text(Nothing).since(3),
    array(
        Topics,
        &[
            text(Topic),
            array(Partitions, &[int32(Partition), int64(CommittedOffset), int32(Nothing).since(2), text(Nothing)]),
        ],
    ),
];

pub(super) static OFFSET_DELETE: &[Field] =
    &[text(Group), array(Topics, &[text(Topic), array(Partitions, &[int32(Partition)])])];

pub(super) static DESCRIBE_PRODUCERS: &[Field] =
    &[array(Topics, &[text(Topic), list(Partitions, &[int32(Partition)])])];

pub(super) static DESCRIBE_TOPIC_PARTITIONS: &[Field] = &[array(Topics, &[text(Topic)]), rest()];

/// A batch of acknowledgements (KIP-932): two offsets and a byte each.
const ACKNOWLEDGEMENTS: Field = array(Nothing, &[int64(Nothing), int64(Nothing), numbers(1)]);

pub(super) static SHARE_FETCH: &[Field] = &[
    text(Group),
    text(Member),
    int32(SessionEpoch),
    int32(Nothing),
    int32(Nothing),
    int32(Nothing),
    int32(Nothing).since(1),
    int32(Nothing).since(1),
    array(Topics, &[uuid(TopicId), array(Partitions, &[int32(Partition), int32(Nothing).until(0), ACKNOWLEDGEMENTS])]),
    rest(),
];

pub(super) static SHARE_ACKNOWLEDGE: &[Field] = &[
    text(Group),
    text(Member),
    int32(SessionEpoch),
    array(Topics, &[uuid(TopicId), array(Partitions, &[int32(Partition), ACKNOWLEDGEMENTS])]),
];
