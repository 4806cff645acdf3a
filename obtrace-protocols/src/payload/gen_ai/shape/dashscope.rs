//! DashScope's [own API](https://help.aliyun.com/zh/model-studio/qwen-api-via-dashscope), whole and streamed.

use super::{Field, N, STOP};

static TOOL_CALL: N = N::element(
    Field::ToolCall,
    &[
        N::leaf("index", Field::ToolIndex),
        N::leaf("id", Field::ToolId),
        N::object("function", &[N::leaf("name", Field::ToolName), N::leaf("arguments", Field::Arguments).content()]),
    ],
);

/// A part of what a message says. It has no type.
static PART: N = N::element(Field::Part, &[N::leaf("text", Field::Text).content()]);

const SAID: &[N] = &[
    N::leaf("role", Field::Role).content(),
    N::list("content", &PART).told(Field::Text).content(),
    N::list("tool_calls", &TOOL_CALL),
    N::leaf("tool_call_id", Field::ToolResultId).content(),
];
static MESSAGE: N = N::element(Field::Message, SAID);

pub(super) static REQUEST: N = N::document(&[
    N::leaf("model", Field::Model),
    N::object(
        "input",
        &[
            N::list("messages", &MESSAGE).told(Field::Prompt).content(),
            N::leaf("prompt", Field::Prompt).content(),
            N::leaf("texts", Field::Prompt).content(),
        ],
    ),
    N::object(
        "parameters",
        &[
            N::leaf("temperature", Field::Temperature),
            N::leaf("top_p", Field::TopP),
            N::leaf("top_k", Field::TopK),
            N::leaf("max_tokens", Field::MaxTokens),
            N::leaf("seed", Field::Seed),
            N::leaf("n", Field::ChoiceCount),
            N::leaf("presence_penalty", Field::PresencePenalty),
            N::leaf("dimension", Field::Dimensions),
            N::list("stop", &STOP).told(Field::Stop),
            N::object("response_format", &[N::leaf("type", Field::OutputType)]),
            N::leaf("tools", Field::Tools).raw(),
        ],
    ),
]);

static CHOICE: N = N::element(
    Field::Choice,
    &[N::leaf("index", Field::ChoiceIndex), N::leaf("finish_reason", Field::FinishReason), N::object("message", SAID)],
);

pub(super) static RESPONSE: N = N::document(&[
    N::leaf("request_id", Field::Id),
    N::object(
        "output",
        &[
            N::leaf("finish_reason", Field::FinishReason),
            N::leaf("text", Field::Text).content(),
            N::list("choices", &CHOICE),
        ],
    ),
    N::object(
        "usage",
        &[
            N::leaf("input_tokens", Field::InputTokens),
            N::leaf("output_tokens", Field::OutputTokens),
            N::object("prompt_tokens_details", &[N::leaf("cached_tokens", Field::CacheRead)]),
            N::object("output_tokens_details", &[N::leaf("reasoning_tokens", Field::Reasoning)]),
        ],
    ),
    N::leaf("code", Field::EventCode),
]);
