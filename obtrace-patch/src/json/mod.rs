//! A JSON reader that decodes only what it is asked for.
//!
//! A Pod is read to look at a few dozen of its values; the rest (status, managed fields, probes, affinity, long
//! annotations) is stepped over. What is stepped over is **not validated**: strings are followed to their end and
//! brackets are counted, no more. What is decoded is checked: syntax, escapes, UTF-8. Whoever hands the bytes on (the
//! API server, a patch library) reads them whole anyway.
//!
//! Time is linear in the input, nothing recurses, and depth has a bound. As in Go's decoder a key that comes twice
//! counts as it stands the last time: readers assign, they do not merge.

mod cursor;
mod scan;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub(crate) use self::{
    cursor::Cursor,
    text::Text,
    write::{push_escaped, push_number, push_string},
};
