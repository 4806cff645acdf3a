//! What an MQTT exchange has beyond the common fields.

use alloc::borrow::Cow;

use crate::{Role, exchange::own};

/// What only MQTT has. Texts are cut at [`Config::max_text`](crate::Config::max_text); bytes that are not UTF-8 are
/// replaced.
///
/// The operation is the name of the control packet that asks: `CONNECT`, `PUBLISH`, `SUBSCRIBE`, `UNSUBSCRIBE`,
/// `PINGREQ`, `DISCONNECT`, `AUTH`. The target is the topic, or the filter if there is one only; empty if the topic was
/// named by an alias that is not known.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct MqttDetails<'a> {
    /// Who sent the packet that asks: the server if it delivers a message or ends the connection. Then the exchange's
    /// request is what the server sent, and its response what the client acknowledged with.
    pub sender: Role,
    /// The protocol level: 3 (MQTT 3.1), 4 (3.1.1), 5. `None`: its CONNECT was not seen and nothing told since.
    pub version: Option<u8>,
    /// The client identifier, as the client named it or the server assigned it.
    pub client_id: Option<Cow<'a, str>>,
    /// The packet identifier.
    pub packet_id: Option<u16>,
    /// Quality of service of a PUBLISH: 0, 1 or 2.
    pub qos: Option<u8>,
    /// A PUBLISH that is kept for later subscribers, or was.
    pub retain: bool,
    /// A PUBLISH that says it was sent before.
    pub duplicate: bool,
    /// The topic alias of a PUBLISH.
    pub topic_alias: Option<u16>,
    /// Bytes of a PUBLISH's payload.
    pub payload_size: Option<u64>,
    /// The topic filters of SUBSCRIBE and UNSUBSCRIBE, each ended by a line feed: as many as fit in the length of a text.
    pub filters: Cow<'a, str>,
    /// How many filters there are.
    pub filter_count: u32,
    /// How many of them the server refused.
    pub refused: u32,
    /// The reason (in version 3: return) code of the answer, or of DISCONNECT. Of several the first that tells of a
    /// failure, else the first.
    pub reason: Option<u8>,
    /// CONNECT: begins a new session (`Clean Start`, `Clean Session`).
    pub clean_start: bool,
    /// CONNECT: whether the server had a session.
    pub session_present: bool,
    /// CONNECT: seconds between pings, as the client asks for them.
    pub keep_alive: Option<u16>,
    /// CONNECT: the topic of the message that is published should the client go without a word.
    pub will_topic: Option<Cow<'a, str>>,
}

impl Default for MqttDetails<'_> {
    /// Of a client's packet.
    fn default() -> Self {
        Self {
            sender: Role::Client,
            version: None,
            client_id: None,
            packet_id: None,
            qos: None,
            retain: false,
            duplicate: false,
            topic_alias: None,
            payload_size: None,
            filters: Cow::Borrowed(""),
            filter_count: 0,
            refused: 0,
            reason: None,
            clean_start: false,
            session_present: false,
            keep_alive: None,
            will_topic: None,
        }
    }
}

impl MqttDetails<'_> {
    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> MqttDetails<'static> {
        MqttDetails {
            sender: self.sender,
            version: self.version,
            client_id: self.client_id.map(own),
            packet_id: self.packet_id,
            qos: self.qos,
            retain: self.retain,
            duplicate: self.duplicate,
            topic_alias: self.topic_alias,
            payload_size: self.payload_size,
            filters: own(self.filters),
            filter_count: self.filter_count,
            refused: self.refused,
            reason: self.reason,
            clean_start: self.clean_start,
            session_present: self.session_present,
            keep_alive: self.keep_alive,
            will_topic: self.will_topic.map(own),
        }
    }
}
