//! Generative AI, by OpenTelemetry's
//! [conventions for it](https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-spans.md).
//!
//! | API | requests |
//! | --- | --- |
//! | [OpenAI](https://platform.openai.com/docs/api-reference) and compatible ones | `…/chat/completions`, `…/v1/completions`, `…/v1/responses`, `…/v1/embeddings`; Azure's deployments |
//! | [Anthropic](https://docs.claude.com/en/api/messages) | `…/v1/messages`; of Vertex AI `…/publishers/anthropic/models/M:rawPredict` |
//! | [Gemini](https://ai.google.dev/api/generate-content), Vertex AI | `…/models/M:generateContent`, `:streamGenerateContent`, `:embedContent`, `:batchEmbedContents` |
//! | [DashScope](https://help.aliyun.com/zh/model-studio/qwen-api-reference) (Qwen) | `…/services/aigc/…/generation`, `…/services/embeddings/…`; compatible mode as OpenAI |
//! | [Ollama](https://docs.ollama.com/api) | `/api/chat`, `/api/generate`, `/api/embed`, `/api/embeddings` |
//!
//! A path that others may have, too, counts only if the bodies look like it: a model was asked something, or something
//! was answered as this API answers. Who provides is told by the host, by [`GenAiEndpoint`]s, and else by the API.
//!
//! Numbers of tokens are told as the service tells them, never counted: a stream without them has none. Where a service
//! counts cached or reasoning tokens apart they are added, as the conventions ask.

mod call;
mod content;
mod endpoint;
mod field;
mod shape;
mod subject;

use alloc::boxed::Box;

pub use call::{GenAi, ToolCall};
pub use endpoint::GenAiEndpoint;

use super::{
    Call, Payload, Request,
    watch::{Observer, Watch},
};
use subject::Asked;

pub(super) fn recognise<'a>(request: &Request<'_>, endpoints: &'a [GenAiEndpoint]) -> Option<Call<'a>> {
    endpoint::find(request, endpoints)
}

pub(super) fn new_observer() -> Box<dyn Observer> {
    Box::new(Watch::<Asked>::new(Payload::GenAi(GenAi::default())))
}
