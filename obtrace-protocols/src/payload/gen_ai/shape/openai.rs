//! [Chat completions](https://platform.openai.com/docs/api-reference/chat), completions, embeddings and
//! [responses](https://platform.openai.com/docs/api-reference/responses), whole and streamed.

use super::{FORMAT, Field, N, STOP};

/// A call of a tool, in a message that was answered or that is sent again.
static TOOL_CALL: N = N::element(
    Field::ToolCall,
    &[
        N::leaf("index", Field::ToolIndex),
        N::leaf("id", Field::ToolId),
        N::object("function", &[N::leaf("name", Field::ToolName), N::leaf("arguments", Field::Arguments).content()]),
        N::object("custom", &[N::leaf("name", Field::ToolName), N::leaf("input", Field::Arguments).content()]),
    ],
);

/// A part of what a message says.
static PART: N = N::element(Field::Part, &[N::leaf("type", Field::PartKind), N::leaf("text", Field::Text).content()]);

static MESSAGE: N = N::element(Field::Message, MESSAGE_MEMBERS);
const MESSAGE_MEMBERS: &[N] = &[
    N::leaf("role", Field::Role).content(),
    N::list("content", &PART).told(Field::Text).content(),
    N::list("tool_calls", &TOOL_CALL),
    N::leaf("tool_call_id", Field::ToolResultId).content(),
];

pub(super) static REQUEST: N = N::document(&[
    N::leaf("model", Field::Model),
    N::leaf("stream", Field::Stream),
    N::leaf("temperature", Field::Temperature),
    N::leaf("top_p", Field::TopP),
    N::leaf("top_k", Field::TopK),
    N::leaf("max_tokens", Field::MaxTokens),
    N::leaf("max_completion_tokens", Field::MaxTokens),
    N::leaf("n", Field::ChoiceCount),
    N::leaf("seed", Field::Seed),
    N::leaf("frequency_penalty", Field::FrequencyPenalty),
    N::leaf("presence_penalty", Field::PresencePenalty),
    N::list("stop", &STOP).told(Field::Stop),
    N::object("response_format", &[N::leaf("type", Field::OutputType)]),
    N::leaf("service_tier", Field::ServiceTier),
    N::leaf("encoding_format", Field::EncodingFormat),
    N::leaf("dimensions", Field::Dimensions),
    N::list("messages", &MESSAGE).told(Field::Prompt).content(),
    N::leaf("prompt", Field::Prompt).content(),
    N::leaf("input", Field::Prompt).content(),
    N::leaf("tools", Field::Tools).raw(),
    N::list("encoding_formats", &FORMAT),
]);

static CHOICE: N = N::element(
    Field::Choice,
    &[
        N::leaf("index", Field::ChoiceIndex),
        N::leaf("finish_reason", Field::FinishReason),
        N::object("message", MESSAGE_MEMBERS),
        N::object("delta", MESSAGE_MEMBERS),
        N::leaf("text", Field::Text).content(),
    ],
);

pub(super) const ERROR: N =
    N::object("error", &[N::leaf("type", Field::ErrorType), N::leaf("code", Field::ErrorCode)]).told(Field::Error);

pub(super) static RESPONSE: N = N::document(&[
    N::leaf("id", Field::Id).steady(),
    N::leaf("object", Field::Object).steady(),
    N::leaf("model", Field::Model).steady(),
    N::leaf("service_tier", Field::ServiceTier).steady(),
    N::leaf("system_fingerprint", Field::Fingerprint).steady(),
    N::list("choices", &CHOICE),
    N::object(
        "usage",
        &[
            N::leaf("prompt_tokens", Field::InputTokens),
            N::leaf("completion_tokens", Field::OutputTokens),
            N::object(
                "prompt_tokens_details",
                &[N::leaf("cached_tokens", Field::CacheRead), N::leaf("audio_tokens", Field::AudioInput)],
            ),
            N::object(
                "completion_tokens_details",
                &[N::leaf("reasoning_tokens", Field::Reasoning), N::leaf("audio_tokens", Field::AudioOutput)],
            ),
        ],
    ),
    ERROR,
]);

/// A part of what an item of a response says.
static OUTPUT_PART: N =
    N::element(Field::Part, &[N::leaf("type", Field::PartKind), N::leaf("text", Field::Text).content()]);

/// An item of a conversation: a message, a call of a tool, its result.
static ITEM: N = N::element(
    Field::Item,
    &[
        N::leaf("type", Field::ItemKind),
        N::leaf("role", Field::Role).content(),
        N::list("content", &OUTPUT_PART).told(Field::Text).content(),
        N::leaf("name", Field::ToolName),
        N::leaf("call_id", Field::ToolId),
        N::leaf("arguments", Field::Arguments).content(),
        N::leaf("output", Field::ToolResult).content(),
    ],
);

pub(super) static RESPONSES_REQUEST: N = N::document(&[
    N::leaf("model", Field::Model),
    N::leaf("stream", Field::Stream),
    N::leaf("temperature", Field::Temperature),
    N::leaf("top_p", Field::TopP),
    N::leaf("max_output_tokens", Field::MaxTokens),
    N::leaf("service_tier", Field::ServiceTier),
    N::object("text", &[N::object("format", &[N::leaf("type", Field::OutputType)])]),
    N::object("conversation", &[N::leaf("id", Field::Conversation)]).told(Field::Conversation),
    N::leaf("previous_response_id", Field::PreviousResponse),
    N::list("input", &ITEM).told(Field::Prompt).content(),
    N::leaf("instructions", Field::System).content(),
    N::leaf("prompt", Field::Prompt),
    N::leaf("tools", Field::Tools).raw(),
]);

/// What a response says of itself.
const ID: N = N::leaf("id", Field::Id);
const OBJECT: N = N::leaf("object", Field::Object);
const MODEL: N = N::leaf("model", Field::Model);
const STATUS: N = N::leaf("status", Field::Status);
const TIER: N = N::leaf("service_tier", Field::ServiceTier);
const INCOMPLETE: N = N::object("incomplete_details", &[N::leaf("reason", Field::FinishReason)]);
const OUTPUT: N = N::list("output", &ITEM);
const USAGE: N = N::object(
    "usage",
    &[
        N::leaf("input_tokens", Field::InputTokens),
        N::object("input_tokens_details", &[N::leaf("cached_tokens", Field::CacheRead)]),
        N::leaf("output_tokens", Field::OutputTokens),
        N::object("output_tokens_details", &[N::leaf("reasoning_tokens", Field::Reasoning)]),
    ],
);
const CONVERSATION: N = N::object("conversation", &[N::leaf("id", Field::Conversation)]);

/// An event has the response as far as it is, an item, or an error as its members.
pub(super) static RESPONSES_RESPONSE: N = N::document(&[
    ID,
    OBJECT,
    MODEL,
    STATUS,
    TIER,
    INCOMPLETE,
    OUTPUT,
    USAGE,
    CONVERSATION,
    ERROR,
    N::object("response", &[ID, OBJECT, MODEL, STATUS, TIER, INCOMPLETE, OUTPUT, USAGE, CONVERSATION, ERROR]),
    N::object(
        "item",
        &[N::leaf("type", Field::ItemKind), N::leaf("name", Field::ToolName), N::leaf("call_id", Field::ToolId)],
    )
    .told(Field::Item),
    N::leaf("type", Field::EventKind),
    N::leaf("code", Field::EventCode),
]);
