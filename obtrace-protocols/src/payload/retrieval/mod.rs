//! Searches in vector stores. Which stores, and by what they are known: see [`Retrieval`].

mod endpoint;
mod graphql;
mod subject;

use alloc::{boxed::Box, string::String};

use super::{
    Call, GenAiEndpoint, Payload, Request, Unread,
    watch::{Observer, Watch},
};

pub(super) fn recognise<'a>(request: &Request<'_>, _endpoints: &'a [GenAiEndpoint]) -> Option<Call<'a>> {
    endpoint::find(request)
}

pub(super) fn new_observer() -> Box<dyn Observer> {
    Box::new(Watch::<subject::Searched>::new(Payload::Retrieval(Retrieval::default())))
}

/// A search in a vector store:
/// [retrieval](https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/gen-ai-spans.md#retrievals)
/// by the conventions for generative AI, with the attributes of databases. What is `None` or empty is not known.
///
/// | store | requests |
/// | --- | --- |
/// | [Qdrant](https://api.qdrant.tech/api-reference/search) | `/collections/C/points/query`, `search`, `recommend`, `discover`, their `batch` and `groups` |
/// | [Pinecone](https://docs.pinecone.io/reference/api/introduction) | `/query`, `/records/namespaces/N/search` |
/// | [Milvus](https://milvus.io/api-reference/restful/v2.6.x/About.md), Zilliz | `/v2/vectordb/entities/search`, `hybrid_search`; `/v1/vector/search` |
/// | [Chroma](https://docs.trychroma.com) | `/api/v2/tenants/T/databases/D/collections/C/query`, `/api/v1/collections/C/query` |
/// | [Weaviate](https://docs.weaviate.io/weaviate/api/graphql/search-operators) | `/v1/graphql` with `Get` and a search operator |
///
///
/// Of a vector nothing is stored, nor of what was found but how many there were.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Retrieval {
    /// `db.system.name`: `qdrant`, `pinecone`, `milvus`, `chroma`, `weaviate`.
    pub system: &'static str,
    /// What was called: `query`, `search`, `hybrid_search`, `recommend`, `discover`, of several at once with `_batch`.
    pub operation: &'static str,
    /// How many results are wanted at most; of several searches at once, by the first that says it.
    pub top_k: Option<u64>,
    /// How many came back.
    pub returned: Option<u64>,
    /// What kept the request's body from being read to its end.
    pub request_unread: Option<Unread>,
    /// The same of the response's.
    pub response_unread: Option<Unread>,
    collection: String,
    namespace: String,
    error: String,
}

impl Retrieval {
    /// The collection, index or class.
    #[must_use]
    pub fn collection(&self) -> Option<&str> {
        Some(&*self.collection).filter(|name| !name.is_empty())
    }

    /// The namespace, database or tenant that it is in.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        Some(&*self.namespace).filter(|name| !name.is_empty())
    }

    /// Why it failed: the store's own code, if it has one.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        Some(&*self.error).filter(|name| !name.is_empty())
    }

    fn clear_response(&mut self) {
        self.returned = None;
        self.response_unread = None;
        self.error.clear();
    }

    fn clear(&mut self) {
        self.clear_response();
        self.system = "";
        self.operation = "";
        self.top_k = None;
        self.request_unread = None;
        self.collection.clear();
        self.namespace.clear();
    }
}
