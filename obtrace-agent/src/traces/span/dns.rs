//! DNS.

use obtrace_export::model::{Span, Text, Value};
use obtrace_protocols::dns::DnsDetails;

use super::{Input, Transport, push_text};

pub(super) fn describe(input: &Input<'_>, details: &DnsDetails<'_>, span: &mut Span) {
    // The name asked for has too many values for a span's name.
    span.name = Text::concat(&["DNS ", &input.exchange.operation]);
    push_text(span, key!("dns.question.name"), &details.question);
    let answers: Vec<Value> = details.answers.iter().map(|answer| Value::Str(Text::copied(answer))).collect();
    if !answers.is_empty() {
        span.push(key!("dns.answers"), Value::Array(answers.into()));
    }
    if let Some(code) = details.rcode {
        // A code without a name is told by its number, as RFC 3597 does with types.
        let name = code.name().map_or_else(|| format!("RCODE{}", code.number()).into(), Text::copied);
        span.push(key!("dns.response_code"), name);
    }
    if input.info.transport != Transport::Unix {
        span.push(key!("network.transport"), input.info.transport.name());
    }
    input.push_server(span);
    input.push_client(span);
}
