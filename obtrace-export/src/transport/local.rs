//! What files and the console have in common: a body in, an answer as of a receiver out.

use std::{borrow::Cow, io};

use super::{Payload, Reply, SendError};
use crate::{
    compress::{Method, decompress},
    retry::Class,
};

/// Most bytes of a body from the spool, decompressed.
const MAX_BODY: usize = 64 << 20;

/// Hands the plain body to `write`, and makes an answer of how that went. What cannot be written may be later, when there is
/// room on the disk again; what is no request will never be one.
pub(super) fn write(
    payload: &Payload,
    target: &str,
    write: impl FnOnce(&[u8]) -> io::Result<()>,
) -> Result<Reply, SendError> {
    let body = if payload.is_gzip {
        match decompress(Method::Gzip, &payload.body, MAX_BODY) {
            Ok(body) => Cow::Owned(body),
            Err(error) => return Ok(Reply::local(Class::Refused, error.to_string())),
        }
    } else {
        Cow::Borrowed(&*payload.body)
    };
    match write(&body) {
        Ok(()) => Ok(Reply::local(Class::Accepted, String::new())),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(Reply::local(Class::Refused, error.to_string())),
        Err(error) => Err(SendError::Write { target: target.to_owned(), reason: error.to_string() }),
    }
}
