//! What is of interest in the documents of each API.

mod anthropic;
mod dashscope;
mod gemini;
mod ollama;
mod openai;

use super::{endpoint::Api, field::Field};
use crate::{parser::Side, payload::json::Node};

type N = Node<Field>;

/// Words that are told as they are found, in a list or alone.
const STOP: N = N::leaf("", Field::Stop);
const FORMAT: N = N::leaf("", Field::EncodingFormat);

/// The documents of a side of a call.
pub(super) const fn of(api: Api, side: Side) -> &'static N {
    match (api, side) {
        (Api::OpenAiResponses, Side::Client) => &openai::RESPONSES_REQUEST,
        (Api::OpenAiResponses, Side::Server) => &openai::RESPONSES_RESPONSE,
        (Api::OpenAiChat | Api::OpenAiCompletion | Api::OpenAiEmbeddings, Side::Client) => &openai::REQUEST,
        (Api::OpenAiChat | Api::OpenAiCompletion | Api::OpenAiEmbeddings, Side::Server) => &openai::RESPONSE,
        (Api::AnthropicMessages, Side::Client) => &anthropic::REQUEST,
        (Api::AnthropicMessages, Side::Server) => &anthropic::RESPONSE,
        (Api::GeminiGenerate | Api::GeminiStream | Api::GeminiEmbed, Side::Client) => &gemini::REQUEST,
        (Api::GeminiGenerate | Api::GeminiStream | Api::GeminiEmbed, Side::Server) => &gemini::RESPONSE,
        (Api::DashScopeGenerate | Api::DashScopeEmbed, Side::Client) => &dashscope::REQUEST,
        (Api::DashScopeGenerate | Api::DashScopeEmbed, Side::Server) => &dashscope::RESPONSE,
        (Api::OllamaChat | Api::OllamaGenerate | Api::OllamaEmbed, Side::Client) => &ollama::REQUEST,
        (Api::OllamaChat | Api::OllamaGenerate | Api::OllamaEmbed, Side::Server) => &ollama::RESPONSE,
    }
}
