//! What is made of the values in the bodies.

use alloc::string::String;

use super::{
    GenAi,
    content::Content,
    endpoint::{self, Api},
    field::Field,
    shape,
};
use crate::{
    Timestamp,
    parser::Side,
    payload::{
        Call, Payload, Request, Unread,
        json::{Node, Value},
        watch::{KindOf, Subject, is_name},
    },
};

/// The state of an observer: what is known of the call beside what is told.
#[derive(Debug, Default)]
pub(super) struct Asked {
    api: Api,
    sure: bool,
    has_model: bool,
    has_prompt: bool,
    failed: bool,
    status: u16,
    done: bool,
    streams: bool,
    uncached: Option<u64>,
    input: Option<u64>,
    tool_input: Option<u64>,
    answer: Option<u64>,
    /// Of the answer that is being read: its number, if it says it.
    choice: Option<u64>,
    /// How many answers the document had before.
    choices: u64,
    in_choice: bool,
    finish: String,
    /// Numbers of the answers whose reasons are known.
    finished: [u64; 8],
    tool_name: String,
    tool_id: String,
    in_tool: bool,
    event: String,
    error_type: String,
    error_code: String,
    /// What is asked and what is answered.
    asked: Content,
    answered: Content,
}

impl Asked {
    fn memory(&self) -> usize {
        let own = [&self.finish, &self.tool_name, &self.tool_id, &self.event, &self.error_type, &self.error_code];
        own.iter()
            .map(|text| text.capacity())
            .sum::<usize>()
            .saturating_add(self.asked.memory())
            .saturating_add(self.answered.memory())
    }

    fn request(&mut self, call: &mut GenAi, field: Field, value: Value<'_>) {
        match field {
            Field::Model => {
                self.has_model |= matches!(value, Value::Text(_));
                // A path names what serves; the body may say less.
                if call.request_model.is_empty() {
                    set(&mut call.request_model, value);
                }
            }
            Field::Stream => call.stream |= value == Value::Bool(true),
            Field::Temperature => call.temperature = float(value),
            Field::TopP => call.top_p = float(value),
            Field::TopK => call.top_k = float(value),
            Field::MaxTokens => call.max_tokens = count(value).or(call.max_tokens),
            Field::ChoiceCount => call.choice_count = count(value).filter(|count| *count != 1),
            Field::Seed => call.seed = integer(value),
            Field::FrequencyPenalty => call.frequency_penalty = float(value),
            Field::PresencePenalty => call.presence_penalty = float(value),
            Field::Dimensions => call.dimensions = count(value).or(call.dimensions),
            Field::Stop => _ = text(value).map(|word| call.stop.push(word)),
            Field::EncodingFormat => _ = text(value).filter(|word| is_name(word)).map(|word| call.encodings.push(word)),
            Field::OutputType => set_output_type(&mut call.output_type, value),
            Field::ServiceTier if text(value).is_some_and(is_name) => set(&mut call.request_tier, value),
            Field::Conversation => set(&mut call.conversation, value),
            Field::Prompt => self.has_prompt |= !matches!(value, Value::Null | Value::Bool(_)),
            _ => {}
        }
        self.sure |= self.has_model && self.has_prompt;
    }

    fn response(&mut self, call: &mut GenAi, field: Field, value: Value<'_>) {
        match field {
            Field::Model => set(&mut call.response_model, value),
            Field::Id => set(&mut call.response_id, value),
            Field::Object => self.sure |= text(value).is_some_and(|kind| self.is_object(kind)),
            Field::EventKind => set(&mut self.event, value),
            Field::Done => self.done |= matches!(value, Value::Bool(_)),
            Field::ServiceTier if text(value).is_some_and(is_name) => set(&mut call.response_tier, value),
            Field::Fingerprint => set(&mut call.fingerprint, value),
            Field::Conversation => set(&mut call.conversation, value),
            Field::Choice => self.choice(call, value),
            Field::ChoiceIndex => self.choice = count(value),
            Field::FinishReason => self.finish_reason(call, value),
            Field::Status => self.status(call, value),
            Field::Error => self.failed |= matches!(value, Value::Begin | Value::Text(_)),
            Field::ErrorType => set(&mut self.error_type, value),
            Field::ErrorCode | Field::EventCode => set(&mut self.error_code, value),
            Field::ToolCall | Field::Item => self.tool(call, field, value),
            Field::ToolName => set(&mut self.tool_name, value),
            Field::ToolId => set(&mut self.tool_id, value),
            _ => self.usage(call, field, value),
        }
    }

    /// Whether a document of this kind is what the API answers.
    fn is_object(&self, kind: &str) -> bool {
        match self.api {
            Api::OpenAiChat => kind.starts_with("chat.completion"),
            Api::OpenAiCompletion => kind == "text_completion",
            Api::OpenAiResponses => kind == "response",
            _ => false,
        }
    }

    fn usage(&mut self, call: &mut GenAi, field: Field, value: Value<'_>) {
        // What is not a number says nothing.
        let Some(count) = count(value) else { return };
        let known = Some(count);
        match field {
            Field::InputTokens => self.input = known,
            Field::UncachedTokens => self.uncached = known,
            Field::ToolInputTokens => self.tool_input = known,
            Field::OutputTokens => call.output_tokens = known,
            Field::AnswerTokens => self.answer = known,
            Field::CacheRead => call.cache_read_tokens = known,
            Field::CacheCreation => call.cache_creation_tokens = known,
            Field::Reasoning => call.reasoning_tokens = known,
            Field::AudioInput => call.audio_input_tokens = known,
            Field::AudioOutput => call.audio_output_tokens = known,
            _ => {}
        }
    }

    /// Adds what the API counts apart.
    fn add_up(&self, call: &mut GenAi) {
        let sum = |parts: &[Option<u64>]| parts.iter().flatten().fold(0_u64, |sum, part| sum.saturating_add(*part));
        if let Some(uncached) = self.uncached {
            call.input_tokens = Some(sum(&[Some(uncached), call.cache_read_tokens, call.cache_creation_tokens]));
        } else if let Some(input) = self.input {
            call.input_tokens = Some(sum(&[Some(input), self.tool_input]));
        }
        if self.answer.is_some() || matches!(self.api, Api::GeminiGenerate | Api::GeminiStream) {
            let known = self.answer.or(call.reasoning_tokens).is_some();
            call.output_tokens = known.then(|| sum(&[self.answer, call.reasoning_tokens]));
        }
    }

    fn choice(&mut self, call: &mut GenAi, value: Value<'_>) {
        match value {
            Value::Begin => {
                self.in_choice = true;
                self.choice = None;
                self.finish.clear();
            }
            Value::End => {
                self.in_choice = false;
                let number = self.choice.unwrap_or(self.choices);
                self.choices = self.choices.saturating_add(1);
                self.finished(call, number);
            }
            _ => {}
        }
    }

    fn finish_reason(&mut self, call: &mut GenAi, value: Value<'_>) {
        // DashScope says "null" as long as there is none.
        let Some(reason) = text(value).filter(|reason| is_name(reason) && *reason != "null") else { return };
        self.finish.clear();
        self.finish.push_str(reason);
        if !self.in_choice {
            self.finished(call, 0);
        }
    }

    /// Notes why an answer ended, the first time that it is said.
    fn finished(&mut self, call: &mut GenAi, number: u64) {
        let known = self.finished.iter().take(call.finish.len()).any(|other| *other == number);
        if self.finish.is_empty() || known {
            return;
        }
        if let Some(slot) = self.finished.get_mut(call.finish.len()) {
            *slot = number;
            call.finish.push(&self.finish);
        }
        self.finish.clear();
    }

    /// OpenAI's responses have a status; the reason of one that is not complete stands beside it.
    fn status(&mut self, call: &mut GenAi, value: Value<'_>) {
        match text(value) {
            Some("completed") => {
                self.finish.clear();
                self.finish.push_str("completed");
                self.finished(call, 0);
            }
            Some("failed") => self.failed = true,
            _ => {}
        }
    }

    fn tool(&mut self, call: &mut GenAi, field: Field, value: Value<'_>) {
        match value {
            Value::Begin => {
                self.in_tool = true;
                self.tool_name.clear();
                self.tool_id.clear();
            }
            Value::End if core::mem::take(&mut self.in_tool) && !self.tool_name.is_empty() => {
                let known = !self.tool_id.is_empty() && call.tool_ids.iter().any(|id| id == self.tool_id);
                let names_itself = field == Field::ToolCall || !self.tool_id.is_empty();
                if !known && names_itself && call.tool_names.push(&self.tool_name) {
                    call.tool_ids.push(&self.tool_id);
                }
            }
            _ => {}
        }
    }

    /// A document of the response is over.
    fn document_over(&mut self, call: &mut GenAi, at: Timestamp) {
        if self.streams && call.first_chunk.is_none() {
            call.first_chunk = Some(at);
        }
        self.choices = 0;
        if self.api == Api::AnthropicMessages {
            self.sure |= matches!(&*self.event, "message" | "message_start");
        }
        self.sure |= self.done && !call.response_model.is_empty();
        let is_error = self.event == "error" || !matches!(self.api, Api::OpenAiResponses);
        self.failed |= is_error && !self.error_code.is_empty();
        let known = [&self.error_code, &self.error_type].into_iter().find(|name| is_name(name));
        // The status says it otherwise; what comes behind the error says no more of it.
        let otherwise = if self.status < 400 && call.error.is_empty() { Some("_OTHER") } else { None };
        if let Some(name) = known.map(|name| &**name).or(otherwise).filter(|_| self.failed) {
            call.error.clear();
            call.error.push_str(name);
        }
        self.error_code.clear();
        self.error_type.clear();
        self.event.clear();
        self.add_up(call);
    }
}

impl Subject for Asked {
    type Field = Field;
    const KIND: KindOf = KindOf::GenAi;

    fn begin(&mut self, payload: &mut Payload, known: Call<'_>, request: &Request<'_>, contents: usize) {
        let Payload::GenAi(call) = payload else { return };
        self.abandon_all();
        self.asked.begin(contents);
        self.answered.begin(contents);
        self.api = Api::of(known);
        self.sure = known.sure;
        self.has_model = false;
        self.has_prompt = false;
        call.clear();
        call.provider.push_str(known.provider);
        call.operation = self.api.operation();
        call.openai_api = self.api.openai_type();
        let path = request.path();
        call.stream = self.api == Api::GeminiStream || path.ends_with(":streamRawPredict");
        if let Some(model) = endpoint::model_of(self.api, path) {
            call.request_model.push_str(model.get(..256).unwrap_or(model));
        }
    }

    fn shape(&self, side: Side) -> &'static Node<Field> {
        shape::of(self.api, side)
    }

    fn value(&mut self, payload: &mut Payload, side: Side, field: Field, value: Value<'_>) {
        let Payload::GenAi(call) = payload else { return };
        match side {
            Side::Client => {
                self.request(call, field, value);
                self.asked.value(call, side, field, value);
            }
            Side::Server => {
                self.response(call, field, value);
                self.answered.value(call, side, field, value);
            }
        }
    }

    fn document(&mut self, payload: &mut Payload, side: Side, at: Timestamp) {
        let Payload::GenAi(call) = payload else { return };
        match side {
            Side::Client => self.asked.close(call),
            Side::Server => self.document_over(call, at),
        }
    }

    fn response(&mut self, payload: &mut Payload, status: u16, streams: bool) {
        let Payload::GenAi(call) = payload else { return };
        self.streams = streams;
        call.stream |= streams;
        self.status = status;
        self.failed = status >= 400;
        self.answered.response(streams);
    }

    fn abandon(&mut self, payload: &mut Payload) {
        let Payload::GenAi(call) = payload else { return };
        self.abandon_all();
        self.answered.response(false);
        call.clear_response();
    }

    fn over(&mut self, payload: &mut Payload, side: Side) {
        let Payload::GenAi(call) = payload else { return };
        match side {
            Side::Client => self.asked.close(call),
            Side::Server => self.answered.over(call),
        }
    }

    fn unread(&mut self, payload: &mut Payload, side: Side, unread: Option<Unread>) {
        let Payload::GenAi(call) = payload else { return };
        match side {
            Side::Client => call.request_unread = unread,
            Side::Server => call.response_unread = unread,
        }
    }

    fn is_sure(&self) -> bool {
        self.sure
    }

    fn memory(&self, payload: &Payload) -> usize {
        let Payload::GenAi(call) = payload else { return 0 };
        self.memory().saturating_add(call.memory())
    }
}

impl Asked {
    fn abandon_all(&mut self) {
        for text in [
            &mut self.finish,
            &mut self.tool_name,
            &mut self.tool_id,
            &mut self.event,
            &mut self.error_type,
            &mut self.error_code,
        ] {
            text.clear();
        }
        self.failed = false;
        self.status = 0;
        self.done = false;
        self.streams = false;
        self.uncached = None;
        self.input = None;
        self.tool_input = None;
        self.answer = None;
        self.choice = None;
        self.choices = 0;
        self.in_choice = false;
        self.in_tool = false;
    }
}

fn text<'v>(value: Value<'v>) -> Option<&'v str> {
    match value {
        Value::Text(text) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// Keeps a text; what is none, or empty, changes nothing.
fn set(to: &mut String, value: Value<'_>) {
    if let Some(text) = text(value) {
        to.clear();
        to.push_str(text);
    }
}

/// `gen_ai.output.type` of the words that the APIs have for it.
fn set_output_type(to: &mut String, value: Value<'_>) {
    let known = match value {
        // A schema, where a word stands else.
        Value::Begin => "json",
        Value::Text("json_object" | "json_schema" | "application/json" | "json") => "json",
        Value::Text("text" | "text/plain" | "text/x.enum") => "text",
        _ => return set(to, value),
    };
    to.clear();
    to.push_str(known);
}

fn count(value: Value<'_>) -> Option<u64> {
    let Value::Number(text) = value else { return None };
    text.parse().ok().or_else(|| {
        // Some write whole numbers with a fraction.
        let number = text.parse::<f64>().ok()?;
        let whole = number as u64;
        (whole as f64 == number).then_some(whole)
    })
}

fn integer(value: Value<'_>) -> Option<i64> {
    let Value::Number(text) = value else { return None };
    text.parse().ok()
}

fn float(value: Value<'_>) -> Option<f64> {
    let Value::Number(text) = value else { return None };
    text.parse().ok().filter(|number: &f64| number.is_finite())
}
