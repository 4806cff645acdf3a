//! Compares what came out with what a vector says.

use obtrace_protocols::Message;

use crate::{conversation::Vector, play::Outcome};

pub(crate) fn check(vector: &Vector, outcomes: &[Outcome]) {
    let name = &vector.name;
    assert_eq!(outcomes.len(), vector.exchange.len(), "{name}: number of exchanges: {outcomes:#?}");
    for (number, (outcome, expected)) in outcomes.iter().zip(&vector.exchange).enumerate() {
        let Outcome { exchange, trace, .. } = outcome;
        let it = format!("{name}, exchange {number}: {exchange:#?}");
        let text = |wanted: &Option<String>, found: &str, what: &str| {
            if let Some(wanted) = wanted {
                assert_eq!(wanted, found, "{what} of {it}");
            }
        };
        text(&expected.operation, &exchange.operation, "operation");
        text(&expected.target, &exchange.target, "target");
        text(&expected.error, exchange.error.as_deref().unwrap_or_default(), "error");
        assert_eq!(expected.completeness, exchange.completeness.name(), "completeness of {it}");
        if let Some(response) = expected.response {
            assert_eq!(response, exchange.response.is_some(), "response of {it}");
        }
        let number = |wanted: Option<u64>, message: Option<Message>, get: fn(&Message) -> u64, what: &str| {
            if let Some(wanted) = wanted {
                assert_eq!(Some(wanted), message.as_ref().map(get), "{what} of {it}");
            }
        };
        let (request, response) = (Some(exchange.request), exchange.response);
        number(expected.request_size, request, |it| it.size, "request size");
        number(expected.response_size, response, |it| it.size, "response size");
        number(expected.request_start, request, |it| it.start.as_nanos(), "request start");
        number(expected.request_end, request, |it| it.end.as_nanos(), "request end");
        number(expected.response_start, response, |it| it.start.as_nanos(), "response start");
        number(expected.response_end, response, |it| it.end.as_nanos(), "response end");
        number(expected.request_tag, request, |it| it.tag.get(), "request tag");
        number(expected.response_tag, response, |it| it.tag.get(), "response tag");
        number(expected.request_offset, request, |it| it.offset, "request offset");
        number(expected.response_offset, response, |it| it.offset, "response offset");
        let trace_id = trace.map(|trace| trace.trace_id.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        text(&expected.trace, trace_id.as_deref().unwrap_or_default(), "trace id");
        let details = format!("{:?}", exchange.details);
        for part in &expected.details {
            assert!(details.contains(part.as_str()), "no {part:?} in details of {it}");
        }
        for part in &expected.no_details {
            assert!(!details.contains(part.as_str()), "{part:?} in details of {it}");
        }
    }
}
