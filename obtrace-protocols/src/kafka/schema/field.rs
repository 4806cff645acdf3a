//! What a message is described by: its fields in the order of the wire, as far as somebody wants to know them.

/// What a value says. [`Means::Nothing`]: nobody wants it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) enum Means {
    #[default]
    Nothing,
    /// How long the broker holds the answer back for a quota, in milliseconds.
    Throttle,
    Error,
    /// An array with one element a topic.
    Topics,
    Topic,
    TopicId,
    /// An array with one element a partition.
    Partitions,
    Partition,
    /// Where records were put, or are.
    Offset,
    /// Where a fetch begins.
    FetchOffset,
    CommittedOffset,
    Client,
    Group,
    Member,
    Generation,
    Transaction,
    Acks,
    /// Of incremental fetches (KIP-227).
    Session,
    SessionEpoch,
    ForgottenTopic,
    ForgottenId,
    ForgottenPartition,
    /// The broker that fetches; -1 of a consumer.
    Replica,
    /// What a coordinator is looked for, and what kind of thing it is.
    Key,
    KeyType,
    Mechanism,
}

/// How a value is written.
#[derive(Clone, Copy, Debug)]
pub(in super::super) enum Wire {
    /// A big-endian integer of so many bytes, 1 to 8.
    Int(u8),
    Uuid,
    /// A string, compact in flexible versions; may be null.
    Text,
    /// A string that is compact in no version.
    PlainText,
    /// Record batches or message sets, whose heads are read.
    Records,
    /// Structures, each with tagged fields at its end in flexible versions.
    Array(&'static [Field]),
    /// Values of one field, which have none.
    List(&'static [Field]),
    /// An array of integers of so many bytes that nobody wants.
    Numbers(u8),
    /// The tagged fields of a structure that is none of an array.
    Tags,
    /// What follows in the message is of no interest.
    Rest,
}

/// A field of a message, and the versions that have it.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Field {
    pub(in super::super) wire: Wire,
    pub(in super::super) means: Means,
    pub(in super::super) since: i16,
    pub(in super::super) until: i16,
}

impl Field {
    const fn new(wire: Wire, means: Means) -> Self {
        Self { wire, means, since: 0, until: i16::MAX }
    }

    pub(super) const fn since(self, version: i16) -> Self {
        Self { since: version, ..self }
    }

    pub(super) const fn until(self, version: i16) -> Self {
        Self { until: version, ..self }
    }
}

pub(super) const fn int8(means: Means) -> Field {
    Field::new(Wire::Int(1), means)
}

pub(super) const fn int16(means: Means) -> Field {
    Field::new(Wire::Int(2), means)
}

pub(super) const fn int32(means: Means) -> Field {
    Field::new(Wire::Int(4), means)
}

pub(super) const fn int64(means: Means) -> Field {
    Field::new(Wire::Int(8), means)
}

pub(super) const fn uuid(means: Means) -> Field {
    Field::new(Wire::Uuid, means)
}

pub(super) const fn text(means: Means) -> Field {
    Field::new(Wire::Text, means)
}

pub(super) const fn plain_text(means: Means) -> Field {
    Field::new(Wire::PlainText, means)
}

pub(super) const fn records() -> Field {
    Field::new(Wire::Records, Means::Nothing)
}

pub(super) const fn array(means: Means, fields: &'static [Field]) -> Field {
    Field::new(Wire::Array(fields), means)
}

pub(super) const fn list(means: Means, field: &'static [Field]) -> Field {
    Field::new(Wire::List(field), means)
}

pub(super) const fn numbers(size: u8) -> Field {
    Field::new(Wire::Numbers(size), Means::Nothing)
}

pub(super) const fn rest() -> Field {
    Field::new(Wire::Rest, Means::Nothing)
}

/// Without a place in versions that are not flexible.
pub(super) const fn tags() -> Field {
    Field::new(Wire::Tags, Means::Nothing)
}
