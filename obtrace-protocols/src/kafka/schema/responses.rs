//! What is read of responses.

use super::field::{Field, Means::*, array, int8, int16, int32, int64, numbers, records, rest, tags, text, uuid};

pub(super) static PRODUCE: &[Field] = &[
    array(
        Topics,
        &[
            text(Topic).until(12),
            uuid(TopicId).since(13),
            array(
                Partitions,
                &[
                    int32(Partition),
                    int16(Error),
                    int64(Offset),
                    int64(Nothing).since(2),
                    int64(Nothing).since(5),
                    array(Nothing, &[int32(Nothing), text(Nothing)]).since(8),
                    text(Nothing).since(8),
                ],
            ),
        ],
    ),
    int32(Throttle).since(1),
];

pub(super) static FETCH: &[Field] = &[
    int32(Throttle).since(1),
    int16(Error).since(7),
    int32(Session).since(7),
    array(
        Topics,
        &[
            text(Topic).until(12),
            uuid(TopicId).since(13),
            array(
                Partitions,
                &[
                    int32(Partition),
                    int16(Error),
                    int64(Nothing),
                    int64(Nothing).since(4),
                    int64(Nothing).since(5),
                    array(Nothing, &[int64(Nothing), int64(Nothing)]).since(4),
                    int32(Nothing).since(11),
                    records(),
                ],
            ),
        ],
    ),
];

pub(super) static LIST_OFFSETS: &[Field] = &[
    int32(Throttle).since(2),
    array(
        Topics,
        &[
            text(Topic),
            array(
                Partitions,
                &[
                    int32(Partition),
                    int16(Error),
                    numbers(8).until(0),
                    int64(Nothing).since(1),
                    int64(Offset).since(1),
                    int32(Nothing).since(4),
                ],
            ),
        ],
    ),
];

/// The errors of single partitions tell of their leaders, and not of the request.
pub(super) static METADATA: &[Field] = &[
    int32(Throttle).since(3),
    array(Nothing, &[int32(Nothing), text(Nothing), int32(Nothing), text(Nothing).since(1)]),
    text(Nothing).since(2),
    int32(Nothing).since(1),
    array(
        Topics,
        &[
            int16(Error),
            text(Topic),
            uuid(TopicId).since(10),
            int8(Nothing).since(1),
            array(
                Nothing,
                &[
                    int16(Nothing),
                    int32(Nothing),
                    int32(Nothing),
                    int32(Nothing).since(7),
                    numbers(4),
                    numbers(4),
                    numbers(4).since(5),
                ],
            ),
            int32(Nothing).since(8),
        ],
    ),
    int32(Nothing).since(8).until(10),
    int16(Error).since(13),
];

/// LeaderAndIsr, StopReplica, SaslAuthenticate, delegation tokens and others: the error comes first.
pub(super) static ERROR: &[Field] = &[int16(Error), rest()];

/// Most others: the error comes behind the time of throttling.
pub(super) static THROTTLE_ERROR: &[Field] = &[int32(Throttle), int16(Error), rest()];

/// As [`THROTTLE_ERROR`], without the time in the first version.
pub(super) static THROTTLE_1_ERROR: &[Field] = &[int32(Throttle).since(1), int16(Error), rest()];

/// One error a resource or a group; the first is read.
pub(super) static THROTTLE_RESULTS: &[Field] = &[int32(Throttle), array(Nothing, &[int16(Error), rest()])];

pub(super) static THROTTLE: &[Field] = &[int32(Throttle), rest()];

pub(super) static TOPICS_PARTITIONS_ERRORS: &[Field] =
    &[int32(Throttle), array(Topics, &[text(Topic), array(Partitions, &[int32(Partition), int16(Error)])]), rest()];

pub(super) static OFFSET_COMMIT: &[Field] = &[
    int32(Throttle).since(3),
    array(
        Topics,
        &[text(Topic).until(9), uuid(TopicId).since(10), array(Partitions, &[int32(Partition), int16(Error)])],
    ),
];

pub(super) static OFFSET_FETCH: &[Field] = &[
    int32(Throttle).since(3),
    array(
        Topics,
        &[
            text(Topic),
            array(
                Partitions,
                &[int32(Partition), int64(CommittedOffset), int32(Nothing).since(5), text(Nothing), int16(Error)],
            ),
        ],
    )
    .until(7),
    int16(Error).since(2).until(7),
    array(
        Nothing,
        &[
            text(Nothing),
            array(
                Topics,
                &[
                    text(Topic).until(9),
                    uuid(TopicId).since(10),
                    array(
                        Partitions,
                        &[int32(Partition), int64(CommittedOffset), int32(Nothing), text(Nothing), int16(Error)],
                    ),
                ],
            ),
            int16(Error),
        ],
    )
    .since(8),
];

pub(super) static FIND_COORDINATOR: &[Field] = &[
    int32(Throttle).since(1),
    int16(Error).until(3),
    array(Nothing, &[text(Nothing), int32(Nothing), text(Nothing), int32(Nothing), int16(Error), text(Nothing)])
        .since(4),
    rest(),
];

pub(super) static JOIN_GROUP: &[Field] = &[
    int32(Throttle).since(2),
    int16(Error),
    int32(Generation),
    text(Nothing).since(7),
    text(Nothing),
    text(Nothing),
    int8(Nothing).since(9),
    text(Member),
    rest(),
];

pub(super) static LEAVE_GROUP: &[Field] =
    &[int32(Throttle).since(1), int16(Error), array(Nothing, &[text(Nothing), text(Nothing), int16(Error)]).since(3)];

pub(super) static DESCRIBE_GROUPS: &[Field] = &[int32(Throttle).since(1), array(Nothing, &[int16(Error), rest()])];

pub(super) static CREATE_TOPICS: &[Field] = &[
    int32(Throttle).since(2),
    array(
        Topics,
        &[
            text(Topic),
            uuid(TopicId).since(7),
            int16(Error),
            text(Nothing).since(1),
            int32(Nothing).since(5),
            int16(Nothing).since(5),
            array(Nothing, &[text(Nothing), text(Nothing), int8(Nothing), int8(Nothing), int8(Nothing)]).since(5),
        ],
    ),
];

pub(super) static DELETE_TOPICS: &[Field] = &[
    int32(Throttle).since(1),
    array(Topics, &[text(Topic), uuid(TopicId).since(6), int16(Error), text(Nothing).since(5)]),
];

pub(super) static DELETE_RECORDS: &[Field] = &[
    int32(Throttle),
    array(Topics, &[text(Topic), array(Partitions, &[int32(Partition), int64(Nothing), int16(Error)])]),
];

pub(super) static OFFSET_FOR_LEADER_EPOCH: &[Field] = &[
    int32(Throttle).since(2),
    array(
        Topics,
        &[text(Topic), array(Partitions, &[int16(Error), int32(Nothing), int32(Nothing).since(1), int64(Nothing)])],
    ),
];

pub(super) static ADD_PARTITIONS_TO_TXN: &[Field] = &[
    int32(Throttle),
    int16(Error).since(4),
    array(
        Nothing,
        &[text(Nothing), array(Topics, &[text(Topic), array(Partitions, &[int32(Partition), int16(Error)])])],
    )
    .since(4),
    array(Topics, &[text(Topic), array(Partitions, &[int32(Partition), int16(Error)])]).until(3),
];

/// CreatePartitions, DeleteGroups, AlterUserScramCredentials: one error a name.
pub(super) static THROTTLE_NAMES: &[Field] = &[int32(Throttle), array(Nothing, &[text(Nothing), int16(Error), rest()])];

pub(super) static DELETE_GROUPS: &[Field] = &[int32(Throttle), array(Nothing, &[text(Nothing), int16(Error)])];

/// CreateAcls.
pub(super) static CREATE_ACLS: &[Field] = &[int32(Throttle), array(Nothing, &[int16(Error), text(Nothing)])];

/// AlterConfigs, IncrementalAlterConfigs.
pub(super) static ALTER_CONFIGS: &[Field] =
    &[int32(Throttle), array(Nothing, &[int16(Error), text(Nothing), int8(Nothing), text(Nothing)])];

pub(super) static DESCRIBE_LOG_DIRS: &[Field] = &[int32(Throttle), int16(Error).since(3), rest()];

pub(super) static ELECT_LEADERS: &[Field] = &[int32(Throttle), int16(Error).since(1), rest()];

pub(super) static ALTER_PARTITION_REASSIGNMENTS: &[Field] =
    &[int32(Throttle), int8(Nothing).since(1), int16(Error), rest()];

pub(super) static OFFSET_DELETE: &[Field] = &[
    int16(Error),
    int32(Throttle),
    array(Topics, &[text(Topic), array(Partitions, &[int32(Partition), int16(Error)])]),
];

/// ConsumerGroupHeartbeat (KIP-848), ShareGroupHeartbeat, StreamsGroupHeartbeat.
pub(super) static GROUP_HEARTBEAT: &[Field] =
    &[int32(Throttle), int16(Error), text(Nothing), text(Member), int32(Generation), rest()];

pub(super) static DESCRIBE_TOPIC_PARTITIONS: &[Field] = &[
    int32(Throttle),
    array(
        Topics,
        &[
            int16(Error),
            text(Topic),
            uuid(TopicId),
            int8(Nothing),
            array(
                Nothing,
                &[
                    int16(Nothing),
                    int32(Nothing),
                    int32(Nothing),
                    int32(Nothing),
                    numbers(4),
                    // Three lists of brokers more, two of which may be null.
                    numbers(4),
                    numbers(4),
                    numbers(4),
                    numbers(4),
                ],
            ),
            int32(Nothing),
        ],
    ),
    rest(),
];

/// KIP-932. The leader is a structure and not an array, its two numbers and its tagged fields are written out.
pub(super) static SHARE_FETCH: &[Field] = &[
    int32(Throttle),
    int16(Error),
    text(Nothing),
    int32(Nothing).since(1),
    array(
        Topics,
        &[
            uuid(TopicId),
            array(
                Partitions,
                &[
                    int32(Partition),
                    int16(Error),
                    text(Nothing),
                    int16(Error),
                    text(Nothing),
                    int32(Nothing),
                    int32(Nothing),
                    tags(),
                    records(),
                    array(Nothing, &[int64(Nothing), int64(Nothing), int16(Nothing)]),
                ],
            ),
        ],
    ),
    rest(),
];
