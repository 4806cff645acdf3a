//! [Gemini](https://ai.google.dev/api/generate-content), whole, as a stream of events and as a stream of the elements of an
//! array.

use super::{Field, N, STOP};

/// A part of what somebody says: a text, a call of a tool, its result.
static PART: N = N::element(
    Field::Part,
    &[
        N::leaf("text", Field::Text).content(),
        N::object(
            "functionCall",
            &[N::leaf("id", Field::ToolId), N::leaf("name", Field::ToolName), N::leaf("args", Field::Arguments).raw()],
        )
        .told(Field::ToolCall),
        N::object(
            "functionResponse",
            &[
                N::leaf("id", Field::ToolResultId).content(),
                N::leaf("name", Field::ToolResultId).content(),
                N::leaf("response", Field::ToolResult).raw(),
            ],
        )
        .content(),
    ],
);

static SYSTEM: N = N::document(&[N::leaf("text", Field::System).content()]);

const SAID: &[N] = &[N::leaf("role", Field::Role).content(), N::list("parts", &PART)];
static MESSAGE: N = N::element(Field::Message, SAID);

const CONFIG: &[N] = &[
    N::leaf("temperature", Field::Temperature),
    N::leaf("topP", Field::TopP),
    N::leaf("topK", Field::TopK),
    N::leaf("maxOutputTokens", Field::MaxTokens),
    N::leaf("candidateCount", Field::ChoiceCount),
    N::leaf("seed", Field::Seed),
    N::leaf("frequencyPenalty", Field::FrequencyPenalty),
    N::leaf("presencePenalty", Field::PresencePenalty),
    N::leaf("responseMimeType", Field::OutputType),
    N::list("stopSequences", &STOP),
];

pub(super) static REQUEST: N = N::document(&[
    N::object("generationConfig", CONFIG),
    N::object("generation_config", CONFIG),
    N::list("contents", &MESSAGE).told(Field::Prompt).content(),
    N::object("systemInstruction", &[N::list("parts", &SYSTEM)]).content(),
    N::leaf("tools", Field::Tools).raw(),
    N::leaf("outputDimensionality", Field::Dimensions),
    N::list("requests", &EMBED),
]);

static EMBED: N = N::document(&[N::leaf("outputDimensionality", Field::Dimensions)]);

static CANDIDATE: N = N::element(
    Field::Choice,
    &[N::leaf("index", Field::ChoiceIndex), N::leaf("finishReason", Field::FinishReason), N::object("content", SAID)],
);

pub(super) static RESPONSE: N = N::document(&[
    N::leaf("responseId", Field::Id),
    N::leaf("modelVersion", Field::Model),
    N::list("candidates", &CANDIDATE),
    N::object("promptFeedback", &[N::leaf("blockReason", Field::FinishReason)]),
    N::object(
        "usageMetadata",
        &[
            N::leaf("promptTokenCount", Field::InputTokens),
            N::leaf("toolUsePromptTokenCount", Field::ToolInputTokens),
            N::leaf("cachedContentTokenCount", Field::CacheRead),
            N::leaf("candidatesTokenCount", Field::AnswerTokens),
            N::leaf("thoughtsTokenCount", Field::Reasoning),
        ],
    ),
    N::object("error", &[N::leaf("status", Field::ErrorCode)]).told(Field::Error),
]);
