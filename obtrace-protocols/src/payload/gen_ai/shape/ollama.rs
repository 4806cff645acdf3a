//! [Ollama](https://docs.ollama.com/api), whole and as lines of JSON.

use super::{Field, N, STOP};

static TOOL_CALL: N = N::element(
    Field::ToolCall,
    &[
        N::leaf("id", Field::ToolId),
        N::object("function", &[N::leaf("name", Field::ToolName), N::leaf("arguments", Field::Arguments).raw()]),
    ],
);

const SAID: &[N] = &[
    N::leaf("role", Field::Role).content(),
    N::leaf("content", Field::Text).content(),
    N::list("tool_calls", &TOOL_CALL),
];
static MESSAGE: N = N::element(Field::Message, SAID);

pub(super) static REQUEST: N = N::document(&[
    N::leaf("model", Field::Model),
    N::leaf("stream", Field::Stream),
    N::leaf("format", Field::OutputType),
    N::leaf("dimensions", Field::Dimensions),
    N::list("messages", &MESSAGE).told(Field::Prompt).content(),
    N::leaf("prompt", Field::Prompt).content(),
    N::leaf("input", Field::Prompt).content(),
    N::leaf("system", Field::System).content(),
    N::leaf("tools", Field::Tools).raw(),
    N::object(
        "options",
        &[
            N::leaf("temperature", Field::Temperature),
            N::leaf("top_p", Field::TopP),
            N::leaf("top_k", Field::TopK),
            N::leaf("num_predict", Field::MaxTokens),
            N::leaf("seed", Field::Seed),
            N::leaf("frequency_penalty", Field::FrequencyPenalty),
            N::leaf("presence_penalty", Field::PresencePenalty),
            N::list("stop", &STOP),
        ],
    ),
]);

pub(super) static RESPONSE: N = N::document(&[
    N::leaf("model", Field::Model),
    N::leaf("done", Field::Done),
    N::leaf("done_reason", Field::FinishReason),
    N::leaf("prompt_eval_count", Field::InputTokens),
    N::leaf("eval_count", Field::OutputTokens),
    N::object("message", SAID),
    N::leaf("response", Field::EventText).content(),
    N::leaf("error", Field::Error),
]);
