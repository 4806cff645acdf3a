//! What is told of the documents.

/// What a value in a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Model,
    Stream,
    Temperature,
    TopP,
    TopK,
    MaxTokens,
    ChoiceCount,
    Seed,
    FrequencyPenalty,
    PresencePenalty,
    Stop,
    OutputType,
    ServiceTier,
    EncodingFormat,
    Dimensions,
    Conversation,
    PreviousResponse,
    /// What the model is asked: its messages, or that there are some.
    Prompt,
    Id,
    /// The kind of a document of OpenAI's.
    Object,
    /// The kind of an event or a document, `type`.
    EventKind,
    /// The code of an error that is the document itself.
    EventCode,
    /// A piece of the answer's text.
    EventText,
    /// How far the answer is.
    Status,
    Done,
    Choice,
    ChoiceIndex,
    FinishReason,
    Fingerprint,
    InputTokens,
    /// Without those from and for a cache.
    UncachedTokens,
    /// Of tools' results, on top of the others.
    ToolInputTokens,
    OutputTokens,
    /// Without those of reasoning.
    AnswerTokens,
    CacheRead,
    CacheCreation,
    Reasoning,
    AudioInput,
    AudioOutput,
    Error,
    ErrorType,
    ErrorCode,
    /// A call of a tool.
    ToolCall,
    ToolIndex,
    ToolId,
    ToolName,
    Arguments,
    ToolResultId,
    ToolResult,
    /// What may be a call of a tool, a text, or something else.
    Item,
    ItemKind,
    Message,
    Role,
    Text,
    Part,
    PartKind,
    System,
    Tools,
}
