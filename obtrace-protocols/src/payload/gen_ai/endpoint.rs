//! Which requests are calls of a model, by their heads.

use alloc::string::String;

use crate::payload::{Call, Request};

/// An endpoint that speaks the API of OpenAI and is not known by its name: a gateway, a server of one's own.
///
/// Paths are taken there whatever precedes their last segments, and the provider is told as named here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GenAiEndpoint {
    /// The host as clients name it in `Host`, without its port; case does not matter.
    pub host: String,
    /// Its port; `None`: any.
    pub port: Option<u16>,
    /// `gen_ai.provider.name`.
    pub provider: String,
}

impl GenAiEndpoint {
    /// An endpoint on any port.
    ///
    /// ```
    /// use obtrace_protocols::{Shared, payload::GenAiEndpoint};
    /// let endpoint = GenAiEndpoint::new("llm.internal", "vllm").with_port(Some(8000));
    /// assert_eq!((&*endpoint.host, endpoint.port), ("llm.internal", Some(8000)));
    /// let shared = Shared::default().with_gen_ai_endpoints(vec![endpoint]);
    /// # drop(shared);
    /// ```
    #[must_use]
    pub fn new(host: impl Into<String>, provider: impl Into<String>) -> Self {
        Self { host: host.into(), port: None, provider: provider.into() }
    }

    /// Sets [`GenAiEndpoint::port`].
    #[must_use]
    pub const fn with_port(mut self, port: Option<u16>) -> Self {
        self.port = port;
        self
    }

    fn is_of(&self, request: &Request<'_>) -> bool {
        let name = request.host_name();
        let port = request.host.get(name.len().saturating_add(1)..).and_then(|port| port.parse().ok());
        self.host.eq_ignore_ascii_case(name) && self.port.is_none_or(|wanted| port == Some(wanted))
    }
}

/// An API, and which call of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Api {
    #[default]
    OpenAiChat,
    OpenAiCompletion,
    OpenAiResponses,
    OpenAiEmbeddings,
    AnthropicMessages,
    GeminiGenerate,
    GeminiStream,
    GeminiEmbed,
    DashScopeGenerate,
    DashScopeEmbed,
    OllamaChat,
    OllamaGenerate,
    OllamaEmbed,
}

/// All of them: [`Call::api`] is a place here.
const APIS: [Api; 13] = [
    Api::OpenAiChat,
    Api::OpenAiCompletion,
    Api::OpenAiResponses,
    Api::OpenAiEmbeddings,
    Api::AnthropicMessages,
    Api::GeminiGenerate,
    Api::GeminiStream,
    Api::GeminiEmbed,
    Api::DashScopeGenerate,
    Api::DashScopeEmbed,
    Api::OllamaChat,
    Api::OllamaGenerate,
    Api::OllamaEmbed,
];

impl Api {
    pub(super) fn of(call: Call<'_>) -> Self {
        APIS.get(usize::from(call.api)).copied().unwrap_or_default()
    }

    fn number(self) -> u8 {
        APIS.iter().position(|api| *api == self).and_then(|at| u8::try_from(at).ok()).unwrap_or(0)
    }

    /// `gen_ai.operation.name`.
    pub(super) const fn operation(self) -> &'static str {
        match self {
            Self::OpenAiChat | Self::OpenAiResponses | Self::AnthropicMessages | Self::OllamaChat => "chat",
            Self::DashScopeGenerate => "chat",
            Self::OpenAiCompletion | Self::OllamaGenerate => "text_completion",
            Self::GeminiGenerate | Self::GeminiStream => "generate_content",
            Self::OpenAiEmbeddings | Self::GeminiEmbed | Self::DashScopeEmbed | Self::OllamaEmbed => "embeddings",
        }
    }

    /// `openai.api.type`.
    pub(super) const fn openai_type(self) -> Option<&'static str> {
        match self {
            Self::OpenAiChat => Some("chat_completions"),
            Self::OpenAiResponses => Some("responses"),
            _ => None,
        }
    }
}

/// Providers by the ends of their hosts' names. The first has the APIs that nobody else is known to provide.
const HOSTS: [(&str, &str); 22] = [
    ("api.openai.com", "openai"),
    ("openai.azure.com", "azure.ai.openai"),
    ("cognitiveservices.azure.com", "azure.ai.openai"),
    ("services.ai.azure.com", "azure.ai.inference"),
    ("models.ai.azure.com", "azure.ai.inference"),
    ("api.anthropic.com", "anthropic"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("dashscope.aliyuncs.com", "qwen"),
    ("dashscope-intl.aliyuncs.com", "qwen"),
    ("dashscope-us.aliyuncs.com", "qwen"),
    ("api.deepseek.com", "deepseek"),
    ("api.groq.com", "groq"),
    ("api.mistral.ai", "mistral_ai"),
    ("api.moonshot.ai", "moonshot_ai"),
    ("api.moonshot.cn", "moonshot_ai"),
    ("api.perplexity.ai", "perplexity"),
    ("api.x.ai", "x_ai"),
    ("api.cohere.com", "cohere"),
    ("api.cohere.ai", "cohere"),
    ("openrouter.ai", "openrouter"),
    ("ollama.com", "ollama"),
];

/// Behind it Azure's paths name the deployment.
const DEPLOYMENTS: &str = "/openai/deployments/";

fn provider_of(host: &str) -> Option<&'static str> {
    let ends = |end: &str| {
        let at = host.len().checked_sub(end.len())?;
        let (front, back) = host.split_at_checked(at)?;
        (back.eq_ignore_ascii_case(end) && (front.is_empty() || front.ends_with('.'))).then_some(())
    };
    HOSTS.iter().find_map(|(end, provider)| ends(end).map(|()| *provider))
}

/// What the head of a request says.
pub(super) fn find<'a>(request: &Request<'_>, endpoints: &'a [GenAiEndpoint]) -> Option<Call<'a>> {
    let path = request.path();
    let path = path.strip_suffix('/').unwrap_or(path);
    let (before, last) = path.rsplit_once('/')?;
    let named = |api: Api, provider: &'static str, sure: bool| {
        let host = provider_of(request.host_name());
        let call = Call { api: api.number(), provider: host.unwrap_or(provider), sure: sure || host.is_some() };
        Some(call)
    };
    match last {
        "completions" | "responses" | "embeddings" => openai(request, endpoints, before, last),
        "messages" if before.ends_with("/v1") => named(Api::AnthropicMessages, "anthropic", false),
        "generation" if before.contains("/services/aigc/") => named(Api::DashScopeGenerate, "qwen", true),
        "text-embedding" | "multimodal-embedding" if before.contains("/services/embeddings/") => {
            named(Api::DashScopeEmbed, "qwen", true)
        }
        "chat" if before.ends_with("/api") => named(Api::OllamaChat, "ollama", false),
        "generate" if before.ends_with("/api") => named(Api::OllamaGenerate, "ollama", false),
        "embed" if before.ends_with("/api") => named(Api::OllamaEmbed, "ollama", false),
        _ => {
            let (model, method) = last.rsplit_once(':')?;
            let google = if before.contains("/projects/") { "gcp.vertex_ai" } else { "gcp.gemini" };
            let api = match method {
                "generateContent" => Api::GeminiGenerate,
                "streamGenerateContent" => Api::GeminiStream,
                "embedContent" | "batchEmbedContents" => Api::GeminiEmbed,
                "rawPredict" | "streamRawPredict" if before.ends_with("/publishers/anthropic/models") => {
                    Api::AnthropicMessages
                }
                _ => return None,
            };
            if model.is_empty() || !(before.ends_with("odels") || before.ends_with("/endpoints")) {
                return None;
            }
            named(api, google, true)
        }
    }
}

/// An API of OpenAI's, whoever provides it.
fn openai<'a>(request: &Request<'_>, endpoints: &'a [GenAiEndpoint], before: &str, last: &str) -> Option<Call<'a>> {
    let set = endpoints.iter().find(|endpoint| endpoint.is_of(request)).map(|endpoint| &*endpoint.provider);
    let host = provider_of(request.host_name());
    let version = before.ends_with("/v1");
    let azure = before.contains(DEPLOYMENTS);
    let api = match last {
        "completions" if before.ends_with("/chat") => Api::OpenAiChat,
        "completions" => Api::OpenAiCompletion,
        "responses" => Api::OpenAiResponses,
        _ if before.ends_with("/api") && host.is_none() && set.is_none() => {
            let call = Call { api: Api::OllamaEmbed.number(), provider: "ollama", sure: false };
            return Some(call);
        }
        _ => Api::OpenAiEmbeddings,
    };
    let known = set.is_some() || host.is_some();
    if !(known || azure || version || api == Api::OpenAiChat) {
        return None;
    }
    let otherwise = match () {
        () if before.contains("/compatible-mode/") => "qwen",
        () if azure => "azure.ai.openai",
        () => "openai",
    };
    let provider = set.or(host).unwrap_or(otherwise);
    Some(Call { api: api.number(), provider, sure: known || azure || api == Api::OpenAiChat })
}

/// The model or the deployment that a path names.
pub(super) fn model_of(api: Api, path: &str) -> Option<&str> {
    match api {
        Api::OpenAiChat | Api::OpenAiCompletion | Api::OpenAiResponses | Api::OpenAiEmbeddings => {
            // Nearly none has it, and to ask only whether it is there costs less.
            let (_, rest) = path.contains(DEPLOYMENTS).then(|| path.split_once(DEPLOYMENTS))??;
            rest.split('/').next()
        }
        _ => {
            let (_, last) = path.rsplit_once('/')?;
            last.rsplit_once(':').map(|(model, _)| model)
        }
    }
    .filter(|model| !model.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Timestamp, payload::coding::Coding};

    fn found(host: &'static str, target: &'static str) -> Option<(Api, String, bool)> {
        let set = [GenAiEndpoint::new("llm.test", "own").with_port(Some(9000))];
        let request = Request {
            method: "POST",
            target,
            host,
            content_type: "application/json",
            coding: Coding::Identity,
            start: Timestamp::default(),
        };
        find(&request, &set).map(|call| (Api::of(call), call.provider.into(), call.sure))
    }

    #[test]
    fn endpoints_by_path_and_host() {
        assert_eq!(found("api.openai.com", "/v1/chat/completions"), Some((Api::OpenAiChat, "openai".into(), true)));
        assert_eq!(found("localhost:8000", "/v1/chat/completions?x=1"), Some((Api::OpenAiChat, "openai".into(), true)));
        assert_eq!(found("localhost", "/v1/responses"), Some((Api::OpenAiResponses, "openai".into(), false)));
        assert_eq!(found("api.groq.com", "/openai/v1/responses"), Some((Api::OpenAiResponses, "groq".into(), true)));
        assert_eq!(found("notapi.openai.com.evil", "/survey/responses"), None);
        assert_eq!(found("shop", "/survey/responses"), None);
        assert_eq!(found("llm.test:9000", "/any/responses"), Some((Api::OpenAiResponses, "own".into(), true)));
        assert_eq!(found("llm.test:9001", "/any/responses"), None);
        let azure = "/openai/deployments/gpt4/chat/completions?api-version=1";
        assert_eq!(found("x.openai.azure.com", azure), Some((Api::OpenAiChat, "azure.ai.openai".into(), true)));
        assert_eq!(model_of(Api::OpenAiChat, "/openai/deployments/gpt4/chat/completions"), Some("gpt4"));
        let compatible = "/compatible-mode/v1/chat/completions";
        assert_eq!(found("127.0.0.1:1", compatible), Some((Api::OpenAiChat, "qwen".into(), true)));
        let native = "/api/v1/services/aigc/text-generation/generation";
        assert_eq!(found("dashscope.aliyuncs.com", native), Some((Api::DashScopeGenerate, "qwen".into(), true)));
        assert_eq!(found("localhost", "/v1/messages"), Some((Api::AnthropicMessages, "anthropic".into(), false)));
        assert_eq!(found("localhost", "/users/messages"), None);
        let gemini = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse&key=secret";
        assert_eq!(found("localhost", gemini), Some((Api::GeminiStream, "gcp.gemini".into(), true)));
        assert_eq!(model_of(Api::GeminiStream, "/v1beta/models/g-2.5:streamGenerateContent"), Some("g-2.5"));
        let vertex = "/v1/projects/p/locations/l/publishers/google/models/m:generateContent";
        assert_eq!(found("localhost", vertex), Some((Api::GeminiGenerate, "gcp.vertex_ai".into(), true)));
        assert_eq!(found("localhost:11434", "/api/chat"), Some((Api::OllamaChat, "ollama".into(), false)));
        assert_eq!(found("localhost:11434", "/api/embeddings"), Some((Api::OllamaEmbed, "ollama".into(), false)));
        assert_eq!(found("shop", "/orders/7"), None);
        assert_eq!(found("shop", "/"), None);
    }
}
