//! What is made of the values in the bodies.

use alloc::string::String;

use super::{
    Retrieval,
    endpoint::{self, Store},
    graphql,
};
use crate::{
    Timestamp,
    parser::Side,
    payload::{
        Call, Payload, Request, Unread,
        json::{Node, Value},
        watch::{KindOf, Subject, is_name},
    },
};

/// What a value in a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    TopK,
    Collection,
    Namespace,
    /// That there is a vector, or a text, to search for.
    Wanted,
    Query,
    Result,
    /// A number or name: 0, 200 or absent if it went well.
    Code,
    Error,
}

type N = Node<Field>;

static RESULT: N = N::leaf("", Field::Result);
static RESULTS: N = N::nested(&RESULT);

const QDRANT_SEARCH: &[N] =
    &[N::leaf("limit", Field::TopK), N::leaf("query", Field::Wanted), N::leaf("vector", Field::Wanted)];
static QDRANT_ONE: N = N::document(QDRANT_SEARCH);
static QDRANT_REQUEST: N = N::document(&[
    N::leaf("limit", Field::TopK),
    N::leaf("query", Field::Wanted),
    N::leaf("vector", Field::Wanted),
    N::list("searches", &QDRANT_ONE),
]);
/// A point, or the points of one search of several.
static QDRANT_POINTS: N = N::leaf("", Field::Result);
static QDRANT_RESPONSE: N = N::document(&[
    N::list("result", &QDRANT_POINTS).or_object(&[N::list("points", &RESULT), N::list("groups", &RESULT)]),
    N::object("status", &[N::leaf("error", Field::Error)]),
]);

static PINECONE_REQUEST: N = N::document(&[
    N::leaf("topK", Field::TopK),
    N::leaf("namespace", Field::Namespace),
    N::leaf("vector", Field::Wanted),
    N::leaf("id", Field::Wanted),
    N::object("query", &[N::leaf("top_k", Field::TopK)]).told(Field::Wanted),
]);
static PINECONE_RESPONSE: N = N::document(&[
    N::list("matches", &RESULT),
    N::object("result", &[N::list("hits", &RESULT)]),
    N::leaf("code", Field::Code),
    N::object("error", &[N::leaf("code", Field::Code)]).told(Field::Error),
]);

static MILVUS_REQUEST: N = N::document(&[
    N::leaf("collectionName", Field::Collection),
    N::leaf("dbName", Field::Namespace),
    N::leaf("limit", Field::TopK),
    N::leaf("data", Field::Wanted),
    N::leaf("vector", Field::Wanted),
]);
static MILVUS_RESPONSE: N = N::document(&[N::list("data", &RESULT), N::leaf("code", Field::Code)]);

static CHROMA_REQUEST: N = N::document(&[
    N::leaf("n_results", Field::TopK),
    N::leaf("query_embeddings", Field::Wanted),
    N::leaf("query_texts", Field::Wanted),
]);
static CHROMA_RESPONSE: N = N::document(&[N::list("ids", &RESULTS), N::leaf("error", Field::Code)]);

static WEAVIATE_REQUEST: N = N::document(&[N::leaf("query", Field::Query)]);
/// `data.Get` has the class as its only member: how many there were is not told.
static WEAVIATE_RESPONSE: N = N::document(&[N::list("errors", &N::leaf("", Field::Error))]);

/// The state of an observer.
#[derive(Debug, Default)]
pub(super) struct Searched {
    store: Store,
    sure: bool,
    has_limit: bool,
    failed: bool,
    status: u16,
    code: String,
}

impl Searched {
    fn request(&mut self, call: &mut Retrieval, field: Field, value: Value<'_>) {
        match (field, value) {
            (Field::TopK, Value::Number(number)) => {
                self.has_limit = true;
                call.top_k = call.top_k.or(number.parse().ok());
            }
            (Field::Collection, Value::Text(name)) => set(&mut call.collection, name),
            (Field::Namespace, Value::Text(name)) => set(&mut call.namespace, name),
            (Field::Query, Value::Text(query)) => {
                let search = graphql::search(query);
                self.sure |= search.searches;
                set(&mut call.collection, search.class);
                call.top_k = search.limit;
            }
            _ => {}
        }
        // Nobody else asks for the nearest so.
        self.sure |= self.store == Store::Pinecone && self.has_limit;
    }

    fn response(&mut self, call: &mut Retrieval, field: Field, value: Value<'_>) {
        match (field, value) {
            (Field::Result, Value::End | Value::Null) => {}
            (Field::Result, _) => call.returned = Some(call.returned.unwrap_or(0).saturating_add(1)),
            (Field::Code, Value::Number(code)) => {
                let is_good = matches!(code, "0" | "200");
                self.failed |= !is_good;
                if !is_good {
                    set(&mut self.code, code);
                }
            }
            (Field::Code, Value::Text(code)) => {
                self.failed = true;
                set(&mut self.code, code);
            }
            (Field::Error, Value::Begin | Value::Text(_)) => self.failed = true,
            _ => {}
        }
    }
}

impl Subject for Searched {
    type Field = Field;
    const KIND: KindOf = KindOf::Retrieval;

    fn begin(&mut self, payload: &mut Payload, known: Call<'_>, request: &Request<'_>, _contents: usize) {
        let Payload::Retrieval(call) = payload else { return };
        self.store = Store::of(known);
        self.sure = known.sure;
        self.has_limit = false;
        self.failed = false;
        self.code.clear();
        call.clear();
        call.system = self.store.name();
        if let Some((_, place)) = endpoint::place(request) {
            call.operation = place.operation;
            set(&mut call.collection, place.collection);
            set(&mut call.namespace, place.namespace);
        }
    }

    fn shape(&self, side: Side) -> &'static Node<Field> {
        match (self.store, side) {
            (Store::Qdrant, Side::Client) => &QDRANT_REQUEST,
            (Store::Qdrant, Side::Server) => &QDRANT_RESPONSE,
            (Store::Pinecone, Side::Client) => &PINECONE_REQUEST,
            (Store::Pinecone, Side::Server) => &PINECONE_RESPONSE,
            (Store::Milvus, Side::Client) => &MILVUS_REQUEST,
            (Store::Milvus, Side::Server) => &MILVUS_RESPONSE,
            (Store::Chroma, Side::Client) => &CHROMA_REQUEST,
            (Store::Chroma, Side::Server) => &CHROMA_RESPONSE,
            (Store::Weaviate, Side::Client) => &WEAVIATE_REQUEST,
            (Store::Weaviate, Side::Server) => &WEAVIATE_RESPONSE,
        }
    }

    fn value(&mut self, payload: &mut Payload, side: Side, field: Field, value: Value<'_>) {
        let Payload::Retrieval(call) = payload else { return };
        match side {
            Side::Client => self.request(call, field, value),
            Side::Server => self.response(call, field, value),
        }
    }

    fn document(&mut self, payload: &mut Payload, side: Side, _at: Timestamp) {
        let Payload::Retrieval(call) = payload else { return };
        if side == Side::Server && self.failed {
            call.returned = None;
            // The status says it otherwise.
            let otherwise = if self.status < 400 { "_OTHER" } else { "" };
            set(&mut call.error, if is_name(&self.code) { &self.code } else { otherwise });
        }
    }

    fn response(&mut self, payload: &mut Payload, status: u16, _streams: bool) {
        let Payload::Retrieval(call) = payload else { return };
        self.status = status;
        self.failed = status >= 400;
        // An empty list is none.
        call.returned = (status < 300 && self.store != Store::Weaviate).then_some(0);
    }

    fn over(&mut self, _payload: &mut Payload, _side: Side) {}

    fn abandon(&mut self, payload: &mut Payload) {
        let Payload::Retrieval(call) = payload else { return };
        self.failed = false;
        self.code.clear();
        call.clear_response();
    }

    fn unread(&mut self, payload: &mut Payload, side: Side, unread: Option<Unread>) {
        let Payload::Retrieval(call) = payload else { return };
        match side {
            Side::Client => call.request_unread = unread,
            Side::Server => {
                call.response_unread = unread;
                if unread.is_some() {
                    // What was counted may not be all.
                    call.returned = None;
                }
            }
        }
    }

    fn is_sure(&self) -> bool {
        self.sure
    }

    fn memory(&self, payload: &Payload) -> usize {
        let Payload::Retrieval(call) = payload else { return 0 };
        let names = call.collection.capacity().saturating_add(call.namespace.capacity());
        names.saturating_add(call.error.capacity()).saturating_add(self.code.capacity())
    }
}

fn set(to: &mut String, text: &str) {
    to.clear();
    to.push_str(text.get(..256).unwrap_or(text));
}
