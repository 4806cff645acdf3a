//! Pods in, patches out: applied by an independent implementation of RFC 6902, again, and undone.
#![expect(clippy::unwrap_used, reason = "helper functions of tests may panic like the tests")]

mod golden;
mod properties;
mod support;
mod usual;
