//! Generative AI, by OpenTelemetry's
//! [conventions for it](https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-spans.md).
//! Which APIs, and by what they are known: see [`GenAi`].

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
