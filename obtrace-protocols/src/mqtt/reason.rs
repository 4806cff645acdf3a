//! What reason codes and return codes mean.

use super::packet::Kind;

/// The name of a code that tells of a failure; `None` for one that does not. Of version 5 (§2.4), and those that version
/// 3.1.1 has in CONNACK (§3.2.2.3) and SUBACK (§3.9.3).
pub(super) const fn failure(kind: Kind, code: u8) -> Option<&'static str> {
    Some(match (kind, code) {
        (Kind::Connect, 1) => "unsupported_protocol_version",
        (Kind::Connect, 2) => "client_identifier_not_valid",
        (Kind::Connect, 3) => "server_unavailable",
        (Kind::Connect, 4) => "bad_user_name_or_password",
        (Kind::Connect, 5) => "not_authorized",
        (_, 0..=0x7f) => return None,
        (_, 0x80) => "unspecified_error",
        (_, 0x81) => "malformed_packet",
        (_, 0x82) => "protocol_error",
        (_, 0x83) => "implementation_specific_error",
        (_, 0x84) => "unsupported_protocol_version",
        (_, 0x85) => "client_identifier_not_valid",
        (_, 0x86) => "bad_user_name_or_password",
        (_, 0x87) => "not_authorized",
        (_, 0x88) => "server_unavailable",
        (_, 0x89) => "server_busy",
        (_, 0x8a) => "banned",
        (_, 0x8b) => "server_shutting_down",
        (_, 0x8c) => "bad_authentication_method",
        (_, 0x8d) => "keep_alive_timeout",
        (_, 0x8e) => "session_taken_over",
        (_, 0x8f) => "topic_filter_invalid",
        (_, 0x90) => "topic_name_invalid",
        (_, 0x91) => "packet_identifier_in_use",
        (_, 0x92) => "packet_identifier_not_found",
        (_, 0x93) => "receive_maximum_exceeded",
        (_, 0x94) => "topic_alias_invalid",
        (_, 0x95) => "packet_too_large",
        (_, 0x96) => "message_rate_too_high",
        (_, 0x97) => "quota_exceeded",
        (_, 0x98) => "administrative_action",
        (_, 0x99) => "payload_format_invalid",
        (_, 0x9a) => "retain_not_supported",
        (_, 0x9b) => "qos_not_supported",
        (_, 0x9c) => "use_another_server",
        (_, 0x9d) => "server_moved",
        (_, 0x9e) => "shared_subscriptions_not_supported",
        (_, 0x9f) => "connection_rate_exceeded",
        (_, 0xa0) => "maximum_connect_time",
        (_, 0xa1) => "subscription_identifiers_not_supported",
        (_, 0xa2) => "wildcard_subscriptions_not_supported",
        _ => "_OTHER",
    })
}

/// Whether such a packet may hold this code, in any version.
pub(super) const fn is_known(kind: Kind, code: u8) -> bool {
    match kind {
        Kind::Connack => matches!(code, 0..=5 | 0x80..=0x8a | 0x8c | 0x90 | 0x95 | 0x97 | 0x99..=0x9d | 0x9f),
        Kind::Puback | Kind::Pubrec => matches!(code, 0 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99),
        Kind::Pubrel | Kind::Pubcomp => matches!(code, 0 | 0x92),
        Kind::Suback => {
            matches!(code, 0..=2 | 0x80 | 0x83 | 0x87 | 0x8f | 0x91 | 0x97 | 0x9e | 0xa1 | 0xa2)
        }
        Kind::Unsuback => matches!(code, 0 | 0x11 | 0x80 | 0x83 | 0x87 | 0x8f | 0x91),
        Kind::Disconnect => matches!(code, 0 | 4 | 0x80..=0x83 | 0x87 | 0x89 | 0x8b | 0x8d..=0x90 | 0x93..=0xa2),
        Kind::Auth => matches!(code, 0 | 0x18 | 0x19),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_versions() {
        assert_eq!(failure(Kind::Connect, 5), Some("not_authorized"));
        assert_eq!(failure(Kind::Connect, 0), None);
        assert_eq!(failure(Kind::Publish, 0x10), None);
        assert_eq!(failure(Kind::Disconnect, 4), None);
        assert_eq!(failure(Kind::Subscribe, 0x80), Some("unspecified_error"));
        assert_eq!(failure(Kind::Publish, 0xfe), Some("_OTHER"));
        assert!(is_known(Kind::Pubrec, 0x97) && !is_known(Kind::Pubrec, b'*') && !is_known(Kind::Publish, 0));
    }
}
