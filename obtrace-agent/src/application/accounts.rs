//! A line about the bytes of each connection that ended, for whoever checks that nothing is lost without being counted.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::PathBuf,
};

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::Error;
use crate::{
    connections::{Account, Tally},
    traces::ConnectionInfo,
};

/// The file they are written to.
#[derive(Debug)]
pub(super) struct Accounts {
    out: BufWriter<File>,
    failed: bool,
}

#[derive(Serialize)]
struct Line<'a> {
    local: Option<String>,
    remote: Option<String>,
    sent: Bytes<'a>,
    received: Bytes<'a>,
}

struct Bytes<'a>(&'a Tally);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("captured", &self.0.parsed)?;
        map.serialize_entry("skipped", &self.0.skipped)?;
        map.serialize_entry("lost", &Reasons(self.0))?;
        map.serialize_entry("records", &self.0.records)?;
        map.serialize_entry("lost_records", &self.0.lost_records)?;
        map.end()
    }
}

struct Reasons<'a>(&'a Tally);

impl Serialize for Reasons<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.reasons())
    }
}

impl Accounts {
    pub(super) fn create(path: PathBuf) -> Result<Self, Error> {
        let file = File::create(&path).map_err(|source| Error::Accounts { path, source })?;
        Ok(Self { out: BufWriter::new(file), failed: false })
    }

    /// Writes the line of a connection.
    pub(super) fn write(&mut self, info: &ConnectionInfo, account: &Account) {
        let text = |address: Option<std::net::SocketAddr>| address.map(|address| address.to_string());
        let line = Line {
            local: text(info.local),
            remote: text(info.remote),
            sent: Bytes(&account.sent),
            received: Bytes(&account.received),
        };
        let written = serde_json::to_writer(&mut self.out, &line).map_err(io::Error::from);
        self.check(written.and(Ok(())));
        let ended = self.out.write_all(b"\n");
        self.check(ended);
    }

    /// Makes what was written so far visible to others.
    pub(super) fn flush(&mut self) {
        let flushed = self.out.flush();
        self.check(flushed);
    }

    fn check(&mut self, result: io::Result<()>) {
        if let Err(error) = result
            && !std::mem::replace(&mut self.failed, true)
        {
            tracing::error!("the accounts of connections cannot be written any more: {error}");
        }
    }
}
