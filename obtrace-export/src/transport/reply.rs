//! What a receiver answered. Nothing of it is trusted.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

use crate::retry::Class;

/// A receiver's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// What it means for the request.
    pub class: Class,
    /// How long the receiver asked to be left alone, at most [`MAX_RETRY_AFTER`](crate::retry::MAX_RETRY_AFTER).
    pub retry_after: Option<Duration>,
    /// Items that it refused out of a request that it took.
    pub rejected: u64,
    /// What it said about that or about its failure: one line of at most 200 characters without control characters and
    /// without the secrets of the configuration; empty if it said nothing.
    pub message: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    #[serde(rename = "partialSuccess", alias = "partial_success")]
    partial_success: Option<PartialSuccess>,
    /// Of a `google.rpc.Status`, the body of a failure.
    message: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct PartialSuccess {
    #[serde(rename = "rejectedSpans", alias = "rejected_spans", deserialize_with = "int64")]
    rejected_spans: u64,
    #[serde(rename = "errorMessage", alias = "error_message")]
    error_message: String,
}

/// A count that `ProtoJSON` writes as a string and some receivers as a number. Negative ones are none.
fn int64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    struct Count;
    impl de::Visitor<'_> for Count {
        type Value = u64;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a 64-bit integer or its decimal text")
        }

        fn visit_u64<E>(self, number: u64) -> Result<u64, E> {
            Ok(number)
        }

        fn visit_i64<E>(self, number: i64) -> Result<u64, E> {
            Ok(u64::try_from(number).unwrap_or(0))
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
            text.parse::<i64>().map(|number| u64::try_from(number).unwrap_or(0)).map_err(E::custom)
        }
    }
    deserializer.deserialize_any(Count)
}

/// Rejected items and message of a body, whatever the body is.
pub(super) fn read(class: Class, body: &[u8]) -> (u64, String) {
    let Ok(parsed) = serde_json::from_slice::<Body>(body) else {
        // Not JSON: an acceptance needs no words, a failure may have some.
        let text = if class == Class::Accepted { "".into() } else { String::from_utf8_lossy(body) };
        return (0, one_line(&text));
    };
    let partial = parsed.partial_success.unwrap_or_default();
    match class {
        Class::Accepted => (partial.rejected_spans, one_line(&partial.error_message)),
        _ => (0, one_line(&parsed.message.unwrap_or_default())),
    }
}

/// The text as one line of at most 200 characters that cannot steer a terminal.
fn one_line(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > 800 {
            break;
        }
    }
    line.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partial_success_in_every_form() {
        for (body, expected) in [
            (r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no\u001b[2J\nroom"}}"#, (3, "no [2J room")),
            (r#"{"partialSuccess":{"rejectedSpans":3}}"#, (3, "")),
            (r#"{"partial_success":{"rejected_spans":"3"}}"#, (3, "")),
            (r#"{"partialSuccess":{"errorMessage":"a warning"}}"#, (0, "a warning")),
            (r#"{"partialSuccess":{"rejectedSpans":"-3"}}"#, (0, "")),
            (r#"{"partialSuccess":{}}"#, (0, "")),
            (r#"{"partialSuccess":null}"#, (0, "")),
            (r#"{"partialSuccess":{"rejectedSpans":[]}}"#, (0, "")),
            ("{}", (0, "")),
            ("", (0, "")),
            ("\n\u{1}", (0, "")),
        ] {
            let (rejected, message) = read(Class::Accepted, body.as_bytes());
            assert_eq!((rejected, message.as_str()), expected, "{body}");
        }
    }

    #[test]
    fn failures_may_say_why() {
        assert_eq!(read(Class::Refused, br#"{"code":3,"message":"bad span"}"#), (0, "bad span".to_owned()));
        assert_eq!(read(Class::Refused, b"<html>\r\n<b>no</b>"), (0, "<html> <b>no</b>".to_owned()));
        assert_eq!(read(Class::Retry, &[b'x'; 70_000]).1.len(), 200);
        assert_eq!(read(Class::Retry, b"{\"partialSuccess\":{\"rejectedSpans\":5}}"), (0, String::new()));
        assert_eq!(read(Class::Retry, &[b'['; 65_536]).1.len(), 200, "deep nesting does not overflow");
    }
}
