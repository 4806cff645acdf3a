//! Bodies of replies over HTTP, in both forms.

use serde::{Deserialize, Deserializer, de};

use super::{one_line, partial_success};
use crate::{
    retry::Class,
    transport::{fields, secrets::Secrets},
};

/// The form of a reply's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::transport) enum Form {
    Json,
    Protobuf,
    /// A page for people.
    Html,
    Other,
}

impl Form {
    /// By the reply's content type.
    pub(in crate::transport) fn of(content_type: &[u8]) -> Self {
        let name = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        match name.to_ascii_lowercase().as_slice() {
            b"application/json" => Self::Json,
            b"application/x-protobuf" | b"application/protobuf" => Self::Protobuf,
            b"text/html" => Self::Html,
            _ => Self::Other,
        }
    }
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
    #[serde(
        rename = "rejectedSpans",
        alias = "rejected_spans",
        alias = "rejectedDataPoints",
        alias = "rejected_data_points",
        alias = "rejectedLogRecords",
        alias = "rejected_log_records",
        deserialize_with = "int64"
    )]
    rejected: u64,
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

/// Rejected items and message of a body, whatever the body is; without the secrets.
pub(in crate::transport) fn read(class: Class, form: Form, body: &[u8], secrets: &Secrets) -> (u64, String) {
    match form {
        Form::Protobuf if class == Class::Accepted => partial_success(body, secrets),
        // A google.rpc.Status.
        Form::Protobuf => (0, one_line(&String::from_utf8_lossy(fields::bytes(body, 2).unwrap_or_default()), secrets)),
        Form::Html if class == Class::Accepted => {
            (0, "the answer is a web page (text/html); is the URL that of an OTLP receiver?".to_owned())
        }
        Form::Json | Form::Html | Form::Other => json(class, body, secrets),
    }
}

fn json(class: Class, body: &[u8], secrets: &Secrets) -> (u64, String) {
    let Ok(parsed) = serde_json::from_slice::<Body>(body) else {
        // Not JSON: an acceptance needs no words, a failure may have some.
        let text = if class == Class::Accepted { "".into() } else { String::from_utf8_lossy(body) };
        return (0, one_line(&text, secrets));
    };
    let partial = parsed.partial_success.unwrap_or_default();
    match class {
        Class::Accepted => (partial.rejected, one_line(&partial.error_message, secrets)),
        _ => (0, one_line(&parsed.message.unwrap_or_default(), secrets)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::MAX_REPLY;

    fn read(class: Class, form: Form, body: &[u8]) -> (u64, String) {
        super::read(class, form, body, &Secrets::default())
    }

    #[test]
    fn partial_success_in_every_form() {
        for (body, expected) in [
            (r#"{"partialSuccess":{"rejectedSpans":"3","errorMessage":"no\u001b[2J\nroom"}}"#, (3, "no [2J room")),
            (r#"{"partialSuccess":{"rejectedSpans":3}}"#, (3, "")),
            (r#"{"partial_success":{"rejected_spans":"3"}}"#, (3, "")),
            (r#"{"partialSuccess":{"rejectedDataPoints":"3"}}"#, (3, "")),
            (r#"{"partialSuccess":{"rejectedLogRecords":"3"}}"#, (3, "")),
            (r#"{"partialSuccess":{"errorMessage":"a warning"}}"#, (0, "a warning")),
            (r#"{"partialSuccess":{"rejectedSpans":"-3"}}"#, (0, "")),
            (r#"{"partialSuccess":{}}"#, (0, "")),
            (r#"{"partialSuccess":null}"#, (0, "")),
            (r#"{"partialSuccess":{"rejectedSpans":[]}}"#, (0, "")),
            ("{}", (0, "")),
            ("", (0, "")),
            ("\n\u{1}", (0, "")),
        ] {
            let (rejected, message) = read(Class::Accepted, Form::Json, body.as_bytes());
            assert_eq!((rejected, message.as_str()), expected, "{body}");
        }
    }

    #[test]
    fn partial_success_in_protobuf() {
        for (body, expected) in [
            (&b"\x0a\x09\x08\x03\x12\x05no\x1b\x0am"[..], (3, "no m")),
            (b"\x0a\x02\x08\x03", (3, "")),
            (b"\x0a\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", (0, "")),
            (b"\x0a\x00", (0, "")),
            (b"", (0, "")),
            (b"\x0a\xff\xff\xff\xff\x0f", (0, "")),
            (b"{}", (0, "")),
        ] {
            let (rejected, message) = read(Class::Accepted, Form::Protobuf, body);
            assert_eq!((rejected, message.as_str()), expected, "{body:?}");
        }
        assert_eq!(read(Class::Refused, Form::Protobuf, b"\x08\x03\x12\x08bad span"), (0, "bad span".to_owned()));
    }

    #[test]
    fn forms_by_content_type() {
        for (content_type, form) in [
            ("application/json", Form::Json),
            ("Application/JSON; charset=utf-8", Form::Json),
            ("application/x-protobuf", Form::Protobuf),
            ("text/html; charset=utf-8", Form::Html),
            ("text/plain", Form::Other),
        ] {
            assert_eq!(Form::of(content_type.as_bytes()), form);
        }
        assert!(read(Class::Accepted, Form::Html, b"<html>").1.contains("OTLP receiver"));
    }

    #[test]
    fn failures_may_say_why() {
        assert_eq!(read(Class::Refused, Form::Json, br#"{"code":3,"message":"bad span"}"#), (0, "bad span".to_owned()));
        assert_eq!(read(Class::Refused, Form::Html, b"<html>\r\n<b>no</b>"), (0, "<html> <b>no</b>".to_owned()));
        assert_eq!(read(Class::Retry, Form::Other, &[b'x'; 70_000]).1.len(), 200);
        assert_eq!(read(Class::Retry, Form::Other, b"{\"partialSuccess\":{\"rejectedSpans\":5}}"), (0, String::new()));
        assert_eq!(read(Class::Retry, Form::Other, &[b'['; 65_536]).1.len(), 200, "deep nesting does not overflow");
    }

    #[test]
    fn secrets_are_taken_out_before_the_text_is_cut() {
        let mut secrets = Secrets::default();
        secrets.add_header("Bearer hunter25hunter25");
        let read = |class, form, body: &[u8]| super::read(class, form, body, &secrets).1;
        let across = |end: usize| format!("{}hunter25hunter25 {}", "x".repeat(end), "y".repeat(300));
        for at in 180..200 {
            let said = read(Class::Refused, Form::Html, across(at).as_bytes());
            assert!(!said.contains("hun") && said.chars().count() == 200, "{said}");
        }
        let json = format!(r#"{{"partialSuccess":{{"errorMessage":"{}"}}}}"#, across(190));
        assert!(!read(Class::Accepted, Form::Json, json.as_bytes()).contains("hun"));
        let json = format!(r#"{{"message":"{}"}}"#, across(190));
        assert!(!read(Class::Refused, Form::Json, json.as_bytes()).contains("hun"));
        assert_eq!(read(Class::Accepted, Form::Protobuf, b"\x0a\x12\x12\x10hunter25hunter25"), "***");
        assert_eq!(read(Class::Refused, Form::Protobuf, b"\x12\x10hunter25hunter25"), "***");
    }

    #[test]
    fn a_secret_that_was_not_read_to_its_end_is_left_out() {
        let mut secrets = Secrets::default();
        secrets.add_header("hunter25hunter25");
        let mut body = b"no".to_vec();
        body.resize(MAX_REPLY - 8, b' ');
        body.extend_from_slice(b"hunter25");
        assert_eq!(super::read(Class::Refused, Form::Other, &body, &secrets).1, "no");
    }
}
