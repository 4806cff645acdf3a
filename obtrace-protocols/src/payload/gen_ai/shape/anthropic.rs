//! [Messages](https://docs.claude.com/en/api/messages), whole and
//! [streamed](https://docs.claude.com/en/docs/build-with-claude/streaming).

use super::{Field, N, STOP, openai::ERROR};

/// A block of what a message says: a text, a call of a tool, its result.
static BLOCK: N = N::element(Field::Item, BLOCK_MEMBERS);
const BLOCK_MEMBERS: &[N] = &[
    N::leaf("type", Field::ItemKind),
    N::leaf("text", Field::Text).content(),
    N::leaf("name", Field::ToolName),
    N::leaf("id", Field::ToolId),
    N::leaf("input", Field::Arguments).raw(),
    N::leaf("tool_use_id", Field::ToolResultId).content(),
    N::leaf("content", Field::ToolResult).raw(),
];

static MESSAGE: N = N::element(
    Field::Message,
    &[N::leaf("role", Field::Role).content(), N::list("content", &BLOCK).told(Field::Text).content()],
);

static SYSTEM: N = N::document(&[N::leaf("text", Field::System).content()]);

pub(super) static REQUEST: N = N::document(&[
    N::leaf("model", Field::Model),
    N::leaf("max_tokens", Field::MaxTokens),
    N::leaf("stream", Field::Stream),
    N::leaf("temperature", Field::Temperature),
    N::leaf("top_p", Field::TopP),
    N::leaf("top_k", Field::TopK),
    N::list("stop_sequences", &STOP),
    N::list("messages", &MESSAGE).told(Field::Prompt).content(),
    N::list("system", &SYSTEM).told(Field::System).content(),
    N::leaf("tools", Field::Tools).raw(),
]);

const USAGE: N = N::object(
    "usage",
    &[
        N::leaf("input_tokens", Field::UncachedTokens),
        N::leaf("cache_read_input_tokens", Field::CacheRead),
        N::leaf("cache_creation_input_tokens", Field::CacheCreation),
        N::leaf("output_tokens", Field::OutputTokens),
    ],
);

pub(super) static RESPONSE: N = N::document(&[
    N::leaf("type", Field::EventKind),
    N::leaf("id", Field::Id),
    N::leaf("model", Field::Model),
    N::leaf("stop_reason", Field::FinishReason),
    N::list("content", &BLOCK),
    USAGE,
    ERROR,
    N::object(
        "message",
        &[
            N::leaf("type", Field::EventKind),
            N::leaf("id", Field::Id),
            N::leaf("model", Field::Model),
            N::leaf("stop_reason", Field::FinishReason),
            USAGE,
        ],
    ),
    N::object("content_block", BLOCK_MEMBERS).told(Field::Item),
    N::object(
        "delta",
        &[
            N::leaf("stop_reason", Field::FinishReason),
            N::leaf("text", Field::EventText).content(),
            N::leaf("partial_json", Field::Arguments).content(),
        ],
    ),
]);
