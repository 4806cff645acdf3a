//! What is told of a call.

use alloc::string::String;

use crate::{
    Timestamp,
    payload::{Unread, words::Words},
};

/// A call of a model, by OpenTelemetry's
/// [conventions for generative AI](https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-spans.md).
/// What is `None` or empty is not known: it was not said, or not seen.
///
/// | API | requests |
/// | --- | --- |
/// | [OpenAI](https://platform.openai.com/docs/api-reference) and compatible ones | `…/chat/completions`, `…/v1/completions`, `…/v1/responses`, `…/v1/embeddings`; Azure's deployments |
/// | [Anthropic](https://docs.claude.com/en/api/messages) | `…/v1/messages`; of Vertex AI `…/publishers/anthropic/models/M:rawPredict` |
/// | [Gemini](https://ai.google.dev/api/generate-content), Vertex AI | `…/models/M:generateContent`, `:streamGenerateContent`, `:embedContent`, `:batchEmbedContents` |
/// | [DashScope](https://help.aliyun.com/zh/model-studio/qwen-api-reference) (Qwen) | `…/services/aigc/…/generation`, `…/services/embeddings/…`; compatible mode as OpenAI |
/// | [Ollama](https://docs.ollama.com/api) | `/api/chat`, `/api/generate`, `/api/embed`, `/api/embeddings` |
///
/// A path that others may have, too, counts only if the bodies look like it: a model was asked something, or something
/// was answered as this API answers. Who provides is told by the host, by [`GenAiEndpoint`](super::GenAiEndpoint)s, and else by the API.
///
/// Numbers of tokens are told as the service tells them, never counted: a stream without them has none. Where a service
/// counts cached or reasoning tokens apart they are added, as the conventions ask.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct GenAi {
    /// `gen_ai.operation.name`: `chat`, `generate_content`, `text_completion` or `embeddings`.
    pub operation: &'static str,
    /// `openai.api.type`: `chat_completions` or `responses`, where the API is one of OpenAI's.
    pub openai_api: Option<&'static str>,
    /// The answer was asked for, or came, piece by piece.
    pub stream: bool,
    /// The sampling temperature.
    pub temperature: Option<f64>,
    /// Top-p sampling.
    pub top_p: Option<f64>,
    /// Top-k sampling.
    pub top_k: Option<f64>,
    /// Most tokens that may be generated.
    pub max_tokens: Option<u64>,
    /// How many answers are wanted, where that is not one.
    pub choice_count: Option<u64>,
    /// The seed.
    pub seed: Option<i64>,
    /// The frequency penalty.
    pub frequency_penalty: Option<f64>,
    /// The presence penalty.
    pub presence_penalty: Option<f64>,
    /// Dimensions that embeddings are to have.
    pub dimensions: Option<u64>,
    /// Tokens of the input, those from and for a cache included.
    pub input_tokens: Option<u64>,
    /// Tokens of the output, those of reasoning included.
    pub output_tokens: Option<u64>,
    /// Input tokens that came from a cache.
    pub cache_read_tokens: Option<u64>,
    /// Input tokens that were written to a cache.
    pub cache_creation_tokens: Option<u64>,
    /// Output tokens of reasoning.
    pub reasoning_tokens: Option<u64>,
    /// Input tokens of sound.
    pub audio_input_tokens: Option<u64>,
    /// Output tokens of sound.
    pub audio_output_tokens: Option<u64>,
    /// When the first piece of a streamed answer was there.
    pub first_chunk: Option<Timestamp>,
    /// What kept the request's body from being read to its end.
    pub request_unread: Option<Unread>,
    /// The same of the response's.
    pub response_unread: Option<Unread>,
    pub(super) provider: String,
    pub(super) request_model: String,
    pub(super) response_model: String,
    pub(super) response_id: String,
    pub(super) conversation: String,
    pub(super) output_type: String,
    pub(super) request_tier: String,
    pub(super) response_tier: String,
    pub(super) fingerprint: String,
    pub(super) error: String,
    pub(super) stop: Words<8>,
    pub(super) encodings: Words<4>,
    pub(super) finish: Words<8>,
    pub(super) tool_names: Words<16>,
    pub(super) tool_ids: Words<16>,
    pub(super) input: String,
    pub(super) output: String,
    pub(super) system: String,
    pub(super) tools: String,
}

/// A call of a tool that a model asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolCall<'a> {
    /// The name of the tool.
    pub name: &'a str,
    /// What the call is referred to by.
    pub id: Option<&'a str>,
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

impl GenAi {
    /// `gen_ai.provider.name`: `openai`, `anthropic`, `gcp.gemini`, `gcp.vertex_ai`, `azure.ai.openai`, `qwen`, `ollama`…,
    /// or as a [`GenAiEndpoint`](super::GenAiEndpoint) says.
    #[must_use]
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The model that was asked.
    #[must_use]
    pub fn request_model(&self) -> Option<&str> {
        some(&self.request_model)
    }

    /// The model that answered.
    #[must_use]
    pub fn response_model(&self) -> Option<&str> {
        some(&self.response_model)
    }

    /// What the answer is referred to by.
    #[must_use]
    pub fn response_id(&self) -> Option<&str> {
        some(&self.response_id)
    }

    /// The conversation that the call belongs to.
    #[must_use]
    pub fn conversation_id(&self) -> Option<&str> {
        some(&self.conversation)
    }

    /// The form that the output is to have: `text`, `json`, or as the request says.
    #[must_use]
    pub fn output_type(&self) -> Option<&str> {
        some(&self.output_type)
    }

    /// The service tier that was asked for.
    #[must_use]
    pub fn request_service_tier(&self) -> Option<&str> {
        some(&self.request_tier)
    }

    /// The service tier that served.
    #[must_use]
    pub fn response_service_tier(&self) -> Option<&str> {
        some(&self.response_tier)
    }

    /// OpenAI's `system_fingerprint`.
    #[must_use]
    pub fn system_fingerprint(&self) -> Option<&str> {
        some(&self.fingerprint)
    }

    /// Why it failed: the service's code of the error, or its type. Also of a stream that breaks off behind a status of
    /// 200.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        some(&self.error)
    }

    /// Why the model stopped, in the words of the API, one for each answer. At most 8.
    pub fn finish_reasons(&self) -> impl Iterator<Item = &str> {
        self.finish.iter()
    }

    /// Where the model is to stop. At most 8.
    pub fn stop_sequences(&self) -> impl Iterator<Item = &str> {
        self.stop.iter()
    }

    /// The forms in which embeddings were asked for. At most 4.
    pub fn encoding_formats(&self) -> impl Iterator<Item = &str> {
        self.encodings.iter()
    }

    /// The calls of tools that the model asks for. At most 16.
    pub fn tool_calls(&self) -> impl Iterator<Item = ToolCall<'_>> {
        self.tool_names.iter().zip(self.tool_ids.iter()).map(|(name, id)| ToolCall { name, id: some(id) })
    }

    /// What the model was told so far, as the conventions' JSON for `gen_ai.input.messages`. Only with
    /// [`Config::gen_ai_content`](crate::Config::gen_ai_content); what does not fit into
    /// [`Config::max_text`](crate::Config::max_text) is left out.
    #[must_use]
    pub fn input_messages(&self) -> Option<&str> {
        some(&self.input)
    }

    /// What the model said, as the JSON for `gen_ai.output.messages`. The same conditions; of a stream with several
    /// answers the first one.
    #[must_use]
    pub fn output_messages(&self) -> Option<&str> {
        some(&self.output)
    }

    /// The instructions apart from the messages, as the JSON for `gen_ai.system_instructions`. The same conditions.
    #[must_use]
    pub fn system_instructions(&self) -> Option<&str> {
        some(&self.system)
    }

    /// The tools that the model may call, as JSON the way the API has it. The same conditions.
    #[must_use]
    pub fn tool_definitions(&self) -> Option<&str> {
        some(&self.tools)
    }

    /// Forgets everything but the memory for it.
    pub(super) fn clear(&mut self) {
        self.clear_response();
        for text in [
            &mut self.provider,
            &mut self.request_model,
            &mut self.conversation,
            &mut self.output_type,
            &mut self.request_tier,
            &mut self.input,
            &mut self.system,
            &mut self.tools,
        ] {
            text.clear();
        }
        self.stop.clear();
        self.encodings.clear();
        self.operation = "";
        self.openai_api = None;
        self.stream = false;
        self.temperature = None;
        self.top_p = None;
        self.top_k = None;
        self.max_tokens = None;
        self.choice_count = None;
        self.seed = None;
        self.frequency_penalty = None;
        self.presence_penalty = None;
        self.dimensions = None;
        self.request_unread = None;
    }

    fn clear_lists(&mut self) {
        self.finish.clear();
        self.tool_names.clear();
        self.tool_ids.clear();
    }

    /// Forgets what the response said.
    pub(super) fn clear_response(&mut self) {
        self.clear_lists();
        for text in [
            &mut self.response_model,
            &mut self.response_id,
            &mut self.response_tier,
            &mut self.fingerprint,
            &mut self.error,
            &mut self.output,
        ] {
            text.clear();
        }
        self.input_tokens = None;
        self.output_tokens = None;
        self.cache_read_tokens = None;
        self.cache_creation_tokens = None;
        self.reasoning_tokens = None;
        self.audio_input_tokens = None;
        self.audio_output_tokens = None;
        self.first_chunk = None;
        self.response_unread = None;
    }

    /// Heap bytes held.
    pub(super) const fn memory(&self) -> usize {
        let texts = [
            self.provider.capacity(),
            self.request_model.capacity(),
            self.response_model.capacity(),
            self.response_id.capacity(),
            self.conversation.capacity(),
            self.output_type.capacity(),
            self.request_tier.capacity(),
            self.response_tier.capacity(),
            self.fingerprint.capacity(),
            self.error.capacity(),
            self.input.capacity(),
            self.output.capacity(),
            self.system.capacity(),
            self.tools.capacity(),
            self.stop.capacity(),
            self.encodings.capacity(),
            self.finish.capacity(),
            self.tool_names.capacity(),
            self.tool_ids.capacity(),
        ];
        let (mut all, mut rest): (usize, &[usize]) = (0, &texts);
        while let [one, others @ ..] = rest {
            all = all.saturating_add(*one);
            rest = others;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_the_call_before() {
        let text = || String::from("x");
        let mut words = Words::default();
        words.push("x");
        let mut call = GenAi {
            operation: "chat",
            openai_api: Some("responses"),
            stream: true,
            temperature: Some(1.0),
            top_p: Some(1.0),
            top_k: Some(1.0),
            max_tokens: Some(1),
            choice_count: Some(1),
            seed: Some(1),
            frequency_penalty: Some(1.0),
            presence_penalty: Some(1.0),
            dimensions: Some(1),
            input_tokens: Some(1),
            output_tokens: Some(1),
            cache_read_tokens: Some(1),
            cache_creation_tokens: Some(1),
            reasoning_tokens: Some(1),
            audio_input_tokens: Some(1),
            audio_output_tokens: Some(1),
            first_chunk: Some(Timestamp::default()),
            request_unread: Some(Unread::Gap),
            response_unread: Some(Unread::Gap),
            provider: text(),
            request_model: text(),
            response_model: text(),
            response_id: text(),
            conversation: text(),
            output_type: text(),
            request_tier: text(),
            response_tier: text(),
            fingerprint: text(),
            error: text(),
            stop: words.clone(),
            encodings: Words::default(),
            finish: words,
            tool_names: Words::default(),
            tool_ids: Words::default(),
            input: text(),
            output: text(),
            system: text(),
            tools: text(),
        };
        call.tool_names.push("x");
        call.tool_ids.push("x");
        call.encodings.push("x");
        call.clear();
        assert_eq!(call, GenAi::default());
    }
}
