//! Who asked: what a request says of the trace that it is of.

use http::HeaderMap;
use obtrace_export::model::{SpanId, Text, TraceId};

/// The longest `tracestate` that is passed on, in bytes: as much as
/// [everybody has to](https://www.w3.org/TR/trace-context/#tracestate-limits).
const LONGEST_STATE: usize = 512;

/// Who asked, by a `traceparent` ([Trace Context](https://www.w3.org/TR/trace-context/#traceparent-header)).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Parent {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) sampled: bool,
}

impl Parent {
    /// That of a request; `None` if it has none, or none that is valid, which is as if there were none.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all("traceparent").iter();
        let value = values.next()?;
        // Two say nothing.
        values.next().is_none().then(|| Self::parse(value.as_bytes()))?
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let (head, rest) = value.split_first_chunk::<55>()?;
        let [v, w, b'-', ids @ .., b'-', f, g] = head else { return None };
        let version = hex(&[*v, *w])?;
        // Later versions may have more, after another dash; ff is none.
        let fits = if version == 0 { rest.is_empty() } else { rest.first().is_none_or(|byte| *byte == b'-') };
        let (trace, span) = (ids.get(..32)?, ids.get(33..)?);
        let (trace, span) = (hex(trace)?, u64::try_from(hex(span)?).ok()?);
        let flags = hex(&[*f, *g])?;
        let is_valid = version != 0xff && fits && ids.get(32) == Some(&b'-') && trace != 0 && span != 0;
        is_valid.then(|| Self {
            trace_id: TraceId::from_bytes(trace.to_be_bytes()),
            span_id: SpanId::from_bytes(span.to_be_bytes()),
            sampled: flags & 1 == 1,
        })
    }
}

/// What goes with a parent; empty if there is nothing, or more than is passed on.
pub(super) fn state(headers: &HeaderMap) -> Text {
    let mut all = String::new();
    for value in headers.get_all("tracestate") {
        let Ok(value) = value.to_str() else { return Text::default() };
        if !all.is_empty() {
            all.push(',');
        }
        if all.len() + value.len() > LONGEST_STATE {
            return Text::default();
        }
        all.push_str(value);
    }
    all.into()
}

/// A number of lower-case hexadecimal digits, at most 32.
fn hex(digits: &[u8]) -> Option<u128> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    digits.iter().try_fold(0_u128, |number, byte| Some(number << 4 | u128::from(digit(byte)?)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn vectors(name: &str) -> Vec<serde_json::Value> {
        let path = format!("{}/../obtrace-loaders/testdata/{name}.json", env!("CARGO_MANIFEST_DIR"));
        let vectors: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let cases = vectors["cases"].as_array().unwrap().clone();
        assert!(!cases.is_empty());
        cases
    }

    #[test]
    fn headers_are_read_as_the_loaders_read_them() {
        for case in vectors("traceparent") {
            // HTTP takes the blanks around a value away.
            let read = Parent::parse(case["header"].as_str().unwrap().trim_matches([' ', '\t']).as_bytes());
            let read = read.map(|read| {
                let (trace_id, span_id) = (read.trace_id.to_string(), read.span_id.to_string());
                serde_json::json!({ "trace_id": trace_id, "span_id": span_id, "sampled": read.sampled })
            });
            assert_eq!(read.unwrap_or_default(), case["context"], "{case}");
        }
    }

    #[test]
    fn states_are_passed_on_as_the_loaders_do() {
        for case in vectors("tracestate") {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_str(case["header"].as_str().unwrap()) {
                headers.insert("tracestate", value);
            }
            assert_eq!(&*state(&headers), case["passed"].as_str().unwrap_or_default(), "{case}");
        }
    }

    #[test]
    fn two_parents_are_none() {
        let value = HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        let mut headers = HeaderMap::new();
        headers.append("traceparent", value.clone());
        assert!(Parent::of(&headers).is_some());
        headers.append("traceparent", value);
        assert!(Parent::of(&headers).is_none());
    }
}
