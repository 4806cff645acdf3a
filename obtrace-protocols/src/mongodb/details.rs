//! What a MongoDB exchange has beyond the common fields.

use alloc::borrow::Cow;

use super::{call::Call, compression::Compressor, wire::Opcode};
use crate::{Details, Exchange, Protocol, Role, exchange::own};

/// What only MongoDB has. The collection is [`Exchange::target`]; the error is the code as text.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct MongoDbDetails<'a> {
    /// The database that the command is sent to. Empty if it is not known.
    pub database: Cow<'a, str>,
    /// The number that the client gave its request.
    pub request_id: i32,
    /// Which message the request was, or, if it could not be unpacked, [`Opcode::Compressed`].
    pub opcode: Opcode,
    /// How the request was compressed, if it was.
    pub request_compressor: Option<Compressor>,
    /// How the answer was compressed, if it was.
    pub response_compressor: Option<Compressor>,
    /// Documents of an insert, or updates, deletes or operations of another write.
    pub batch_size: Option<u32>,
    /// Whether the client asked for an answer.
    pub acknowledged: bool,
    /// Part of a transaction, its start and its end included.
    pub in_transaction: bool,
    /// How the client authenticates: the mechanism of a `saslStart`, if it is a known one.
    pub mechanism: Option<&'static str>,
    /// Whether the command succeeded as a whole. Also if it did, writes of it may have failed.
    pub ok: Option<bool>,
    /// The error's number: the command's, else that of the first write that failed, else that of the write concern.
    pub code: Option<i32>,
    /// The error's name, if it is one of those that are known here: MongoDB's own, and places in its code
    /// (`Location40324`).
    pub code_name: Option<Cow<'a, str>>,
    /// The error's text; only with [`Config::error_text`](crate::Config::error_text), as it may hold data.
    pub error_message: Option<Cow<'a, str>>,
    /// How many writes of the command failed.
    pub write_errors: u32,
    /// The write was not acknowledged as it was asked for.
    pub write_concern_error: bool,
    /// Documents (of `distinct`, values) that came back, in all answers.
    pub returned_documents: Option<u64>,
    /// Documents that a write inserted, matched or deleted: `n`.
    pub affected_documents: Option<u64>,
    /// Documents that a write changed: `nModified`.
    pub modified_documents: Option<u64>,
    /// The cursor after the answer, 0 if it is at its end; without one, that of the request.
    pub cursor: Option<i64>,
    /// How many messages the answer had.
    pub replies: u32,
}

impl MongoDbDetails<'_> {
    /// Copies what is borrowed.
    #[must_use]
    pub fn into_owned(self) -> MongoDbDetails<'static> {
        MongoDbDetails {
            database: own(self.database),
            code_name: self.code_name.map(own),
            error_message: self.error_message.map(own),
            request_id: self.request_id,
            opcode: self.opcode,
            request_compressor: self.request_compressor,
            response_compressor: self.response_compressor,
            batch_size: self.batch_size,
            acknowledged: self.acknowledged,
            in_transaction: self.in_transaction,
            mechanism: self.mechanism,
            ok: self.ok,
            code: self.code,
            write_errors: self.write_errors,
            write_concern_error: self.write_concern_error,
            returned_documents: self.returned_documents,
            affected_documents: self.affected_documents,
            modified_documents: self.modified_documents,
            cursor: self.cursor,
            replies: self.replies,
        }
    }
}

pub(super) fn exchange(call: &Call, role: Role) -> Exchange<'_> {
    let (asked, answered) = (&call.asked, &call.answered);
    let text = |span| Some(call.get(span)).filter(|text| !text.is_empty()).map(Cow::Borrowed);
    Exchange {
        id: call.id,
        protocol: Protocol::MongoDb,
        role,
        operation: Cow::Borrowed(call.operation()),
        target: Cow::Borrowed(call.get(asked.collection)),
        error: text(answered.reason),
        request: call.request,
        response: call.response,
        completeness: call.completeness,
        details: Details::MongoDb(MongoDbDetails {
            database: Cow::Borrowed(call.get(asked.database)),
            request_id: call.request_id,
            opcode: call.opcode,
            request_compressor: asked.compressor,
            response_compressor: answered.compressor,
            batch_size: asked.items,
            acknowledged: !asked.is_unacknowledged,
            in_transaction: asked.in_transaction,
            mechanism: asked.mechanism,
            ok: answered.ok,
            code: call.code(),
            code_name: text(answered.code_name),
            error_message: text(answered.error_text),
            write_errors: answered.write_errors,
            write_concern_error: answered.concern_error.is_some(),
            returned_documents: answered.returned,
            affected_documents: answered.affected,
            modified_documents: answered.modified,
            cursor: answered.cursor.or(asked.cursor),
            replies: answered.replies,
        }),
    }
}
