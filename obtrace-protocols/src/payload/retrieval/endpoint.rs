//! Which requests are searches, by their heads.

use crate::payload::{Call, Request};

/// A store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Store {
    #[default]
    Qdrant,
    Pinecone,
    Milvus,
    Chroma,
    Weaviate,
}

/// All of them: [`Call::api`] is a place here.
const STORES: [Store; 5] = [Store::Qdrant, Store::Pinecone, Store::Milvus, Store::Chroma, Store::Weaviate];

impl Store {
    pub(super) fn of(call: Call<'_>) -> Self {
        STORES.get(usize::from(call.api)).copied().unwrap_or_default()
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Qdrant => "qdrant",
            Self::Pinecone => "pinecone",
            Self::Milvus => "milvus",
            Self::Chroma => "chroma",
            Self::Weaviate => "weaviate",
        }
    }
}

/// What a path says beside which store it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place<'a> {
    pub(super) operation: &'static str,
    pub(super) collection: &'a str,
    pub(super) namespace: &'a str,
}

fn is_pinecone(request: &Request<'_>) -> bool {
    let host = request.host_name().as_bytes();
    host.last_chunk::<12>().is_some_and(|end| end.eq_ignore_ascii_case(b".pinecone.io"))
}

pub(super) fn find(request: &Request<'_>) -> Option<Call<'static>> {
    let (store, _) = place(request)?;
    let sure = match store {
        Store::Qdrant | Store::Milvus | Store::Chroma => true,
        Store::Pinecone => is_pinecone(request) || request.path().starts_with("/records/namespaces/"),
        Store::Weaviate => false,
    };
    let api = STORES.iter().position(|known| *known == store).and_then(|at| u8::try_from(at).ok())?;
    Some(Call { api, provider: store.name(), sure })
}

/// Takes the path of a search apart.
pub(super) fn place<'a>(request: &Request<'a>) -> Option<(Store, Place<'a>)> {
    let path = request.path();
    let path = path.strip_suffix('/').unwrap_or(path);
    let (before, last) = path.rsplit_once('/')?;
    let at = |operation, collection, namespace| Place { operation, collection, namespace };
    match last {
        "query" if before.is_empty() => Some((Store::Pinecone, at("query", index(request), ""))),
        "query" if before.contains("/collections/") => chroma(before).or_else(|| qdrant(before, last)),
        "search" if before == "/vectors" || before.is_empty() => None,
        "search" if before.starts_with("/records/namespaces/") => {
            let namespace = before.strip_prefix("/records/namespaces/")?;
            Some((Store::Pinecone, at("search", index(request), namespace)))
        }
        "search" | "hybrid_search" | "advanced_search"
            if before.ends_with("/vectordb/entities") || before.ends_with("/v1/vector") =>
        {
            let operation = if last == "search" { "search" } else { "hybrid_search" };
            Some((Store::Milvus, at(operation, "", "")))
        }
        "graphql" if before.ends_with("/v1") => Some((Store::Weaviate, at("query", "", ""))),
        "batch" | "groups" => {
            let (before, operation) = before.rsplit_once('/')?;
            let (store, place) = qdrant(before, operation)?;
            let operation = match (last, place.operation) {
                ("batch", "query") => "query_batch",
                ("batch", "search") => "search_batch",
                ("batch", "recommend") => "recommend_batch",
                ("batch", "discover") => "discover_batch",
                (_, operation) => operation,
            };
            Some((store, Place { operation, ..place }))
        }
        "search" | "recommend" | "discover" => qdrant(before, last),
        _ => None,
    }
}

/// `…/collections/C/points` and the operation.
fn qdrant<'a>(before: &'a str, last: &str) -> Option<(Store, Place<'a>)> {
    let collection = before.strip_suffix("/points")?.rsplit_once("/collections/")?.1;
    let operation = match last {
        "query" => "query",
        "search" => "search",
        "recommend" => "recommend",
        "discover" => "discover",
        _ => return None,
    };
    one_segment(collection).then_some((Store::Qdrant, Place { operation, collection, namespace: "" }))
}

/// `/api/v2/tenants/T/databases/D/collections/C` or `/api/v1/collections/C`.
fn chroma(before: &str) -> Option<(Store, Place<'_>)> {
    let (scope, collection) = before.rsplit_once("/collections/")?;
    let namespace = match scope.split_once("/api/v2/tenants/") {
        Some((_, scope)) => scope.split_once("/databases/")?.1,
        None if scope.ends_with("/api/v1") => "",
        None => return None,
    };
    one_segment(collection).then_some((Store::Chroma, Place { operation: "query", collection, namespace }))
}

fn one_segment(name: &str) -> bool {
    !name.is_empty() && !name.contains('/')
}

/// Pinecone's hosts begin with the name of the index and the number of the project.
fn index<'a>(request: &Request<'a>) -> &'a str {
    if !is_pinecone(request) {
        return "";
    }
    let label = request.host_name().split('.').next().unwrap_or_default();
    label.rsplit_once('-').map_or(label, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Timestamp, payload::coding::Coding};

    fn found(host: &'static str, target: &'static str) -> Option<(Store, [&'static str; 3], bool)> {
        let request = Request {
            method: "POST",
            target,
            host,
            content_type: "application/json",
            coding: Coding::Identity,
            start: Timestamp::default(),
        };
        let (store, place) = place(&request)?;
        let call = find(&request)?;
        assert_eq!(Store::of(call), store);
        Some((store, [place.operation, place.collection, place.namespace], call.sure))
    }

    #[test]
    fn searches_by_path() {
        use Store::{Chroma, Milvus, Pinecone, Qdrant, Weaviate};
        let host = "localhost:6333";
        assert_eq!(found(host, "/collections/books/points/search"), Some((Qdrant, ["search", "books", ""], true)));
        assert_eq!(found(host, "/collections/b/points/query?timeout=1"), Some((Qdrant, ["query", "b", ""], true)));
        assert_eq!(found(host, "/collections/b/points/query/batch"), Some((Qdrant, ["query_batch", "b", ""], true)));
        assert_eq!(found(host, "/collections/b/points/search/groups"), Some((Qdrant, ["search", "b", ""], true)));
        assert_eq!(found(host, "/collections/b/points/scroll"), None);
        let index = "books-a1b2c3.svc.us-east1-gcp.pinecone.io";
        assert_eq!(found(index, "/query"), Some((Pinecone, ["query", "books", ""], true)));
        assert_eq!(found(host, "/query"), Some((Pinecone, ["query", "", ""], false)));
        let records = "/records/namespaces/ns/search";
        assert_eq!(found(index, records), Some((Pinecone, ["search", "books", "ns"], true)));
        assert_eq!(found(host, "/v2/vectordb/entities/search"), Some((Milvus, ["search", "", ""], true)));
        assert_eq!(found(host, "/v2/vectordb/entities/insert"), None);
        let chroma = "/api/v2/tenants/t/databases/d/collections/5c0/query";
        assert_eq!(found(host, chroma), Some((Chroma, ["query", "5c0", "d"], true)));
        assert_eq!(found(host, "/api/v1/collections/5c0/query"), Some((Chroma, ["query", "5c0", ""], true)));
        assert_eq!(found(host, "/v1/graphql"), Some((Weaviate, ["query", "", ""], false)));
        assert_eq!(found(host, "/graphql"), None);
        assert_eq!(found(host, "/shop/search"), None);
    }
}
