//! What rides on HTTP: [generative AI](https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-spans.md)
//! and searches in vector stores.

use obtrace_export::model::{Span, Text, Value};
use obtrace_protocols::payload::{GenAi, Payload, Retrieval};

use super::{Input, push_count, push_text};

/// Names the span by what was asked, and records it.
pub(super) fn describe(input: &Input<'_>, payload: &Payload, span: &mut Span) {
    match payload {
        Payload::GenAi(call) => gen_ai(input, call, span),
        Payload::Retrieval(call) => retrieval(call, span),
        _ => {}
    }
}

fn gen_ai(input: &Input<'_>, call: &GenAi, span: &mut Span) {
    span.name = named(call.operation, call.request_model());
    span.push(key!("gen_ai.operation.name"), call.operation);
    span.push(key!("gen_ai.provider.name"), Text::copied(call.provider()));
    request(call, span);
    response(input, call, span);
    push_some(span, key!("gen_ai.input.messages"), call.input_messages());
    push_some(span, key!("gen_ai.output.messages"), call.output_messages());
    push_some(span, key!("gen_ai.system_instructions"), call.system_instructions());
    push_some(span, key!("gen_ai.tool.definitions"), call.tool_definitions());
}

fn request(call: &GenAi, span: &mut Span) {
    push_some(span, key!("gen_ai.request.model"), call.request_model());
    if call.stream {
        span.push(key!("gen_ai.request.stream"), true);
    }
    for (key, number) in [
        (key!("gen_ai.request.temperature"), call.temperature),
        (key!("gen_ai.request.top_p"), call.top_p),
        (key!("gen_ai.request.top_k"), call.top_k),
        (key!("gen_ai.request.frequency_penalty"), call.frequency_penalty),
        (key!("gen_ai.request.presence_penalty"), call.presence_penalty),
    ] {
        if let Some(number) = number {
            span.push(key, number);
        }
    }
    for (key, count) in [
        (key!("gen_ai.request.max_tokens"), call.max_tokens),
        (key!("gen_ai.request.choice.count"), call.choice_count),
        (key!("gen_ai.embeddings.dimension.count"), call.dimensions),
    ] {
        if let Some(count) = count {
            push_count(span, key, count);
        }
    }
    if let Some(seed) = call.seed {
        span.push(key!("gen_ai.request.seed"), seed);
    }
    push_list(span, key!("gen_ai.request.stop_sequences"), call.stop_sequences());
    push_list(span, key!("gen_ai.request.encoding_formats"), call.encoding_formats());
    push_some(span, key!("gen_ai.output.type"), call.output_type());
    push_some(span, key!("gen_ai.conversation.id"), call.conversation_id());
    if let Some(api) = call.openai_api {
        span.push(key!("openai.api.type"), api);
        push_some(span, key!("openai.request.service_tier"), call.request_service_tier());
        push_some(span, key!("openai.response.service_tier"), call.response_service_tier());
        push_some(span, key!("openai.response.system_fingerprint"), call.system_fingerprint());
    }
}

fn response(input: &Input<'_>, call: &GenAi, span: &mut Span) {
    push_some(span, key!("gen_ai.response.id"), call.response_id());
    push_some(span, key!("gen_ai.response.model"), call.response_model());
    push_list(span, key!("gen_ai.response.finish_reasons"), call.finish_reasons());
    if let Some(first) = call.first_chunk {
        let took = first.as_nanos().saturating_sub(input.exchange.request.start.as_nanos());
        span.push(key!("gen_ai.response.time_to_first_chunk"), took as f64 / 1e9);
    }
    for (key, count) in [
        (key!("gen_ai.usage.input_tokens"), call.input_tokens),
        (key!("gen_ai.usage.output_tokens"), call.output_tokens),
        (key!("gen_ai.usage.cache_read.input_tokens"), call.cache_read_tokens),
        (key!("gen_ai.usage.cache_creation.input_tokens"), call.cache_creation_tokens),
        (key!("gen_ai.usage.reasoning.output_tokens"), call.reasoning_tokens),
        (key!("gen_ai.usage.audio.input_tokens"), call.audio_input_tokens),
        (key!("gen_ai.usage.audio.output_tokens"), call.audio_output_tokens),
    ] {
        if let Some(count) = count {
            push_count(span, key, count);
        }
    }
    let mut tools = call.tool_calls();
    if let Some(first) = tools.next() {
        // These attributes are of one call: of several only the name that all have is told.
        let (mut alone, mut alike) = (true, true);
        for tool in tools {
            alone = false;
            alike &= tool.name == first.name;
        }
        push_some(span, key!("gen_ai.tool.name"), Some(first.name).filter(|_| alike));
        push_some(span, key!("gen_ai.tool.call.id"), first.id.filter(|_| alone));
    }
}

fn retrieval(call: &Retrieval, span: &mut Span) {
    const OPERATION: &str = "retrieval";
    span.name = named(OPERATION, call.collection());
    span.push(key!("gen_ai.operation.name"), OPERATION);
    span.push(key!("gen_ai.provider.name"), call.system);
    push_some(span, key!("gen_ai.data_source.id"), call.collection());
    if let Some(count) = call.top_k {
        span.push(key!("gen_ai.request.top_k"), count as f64);
    }
    span.push(key!("db.system.name"), call.system);
    span.push(key!("db.operation.name"), call.operation);
    push_some(span, key!("db.collection.name"), call.collection());
    push_some(span, key!("db.namespace"), call.namespace());
    push_some(span, key!("db.response.status_code"), call.error());
    if let Some(count) = call.returned {
        push_count(span, key!("db.response.returned_rows"), count);
    }
}

fn named(operation: &str, target: Option<&str>) -> Text {
    target.map_or_else(|| Text::copied(operation), |target| Text::concat(&[operation, " ", target]))
}

fn push_some(span: &mut Span, key: Text, text: Option<&str>) {
    push_text(span, key, text.unwrap_or_default());
}

fn push_list<'a>(span: &mut Span, key: Text, words: impl Iterator<Item = &'a str>) {
    let words: Box<[Value]> = words.map(|word| Value::Str(Text::copied(word))).collect();
    if !words.is_empty() {
        span.push(key, Value::Array(words));
    }
}
