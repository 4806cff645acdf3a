//! Batches through a spool on disk: appended, taken and acknowledged, 500 server spans of 12 attributes each. Rates are of the
//! bodies as they were before gzip; what lies on disk is a tenth of it, and told beside. The time is the processor's: the
//! kernel's for writing and reading too, not the disk's, which is waited for on another thread when a segment is full.

use std::{fs, num::NonZeroU32, path::PathBuf, process};

use obtrace_export::{
    compress::{Compressor, Method},
    encode::{Encoder, Format},
    model::Signal,
    spool::{Config, Spool},
};

use crate::{
    harness::{Goals, Group, Run},
    otlp,
};

const ITEMS: NonZeroU32 = NonZeroU32::new(500).unwrap();

/// A folder that goes with the run.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn run(run: Run, goals: &mut Goals) {
    let folder = Folder(std::env::temp_dir().join(format!("obtrace-bench-{}", process::id())));
    let spans = otlp::spans();
    for (name, signal, format) in [("JSON", Signal::Traces, Format::Json), ("protobuf", Signal::Logs, Format::Protobuf)]
    {
        let mut body = Vec::new();
        Encoder::new().encode(format, &spans, &mut body);
        let (mut spool, _) = Spool::open(&Config::new(&folder.0), signal).expect("a folder of our own");
        let mut compressor = Compressor::new(Method::Gzip).expect("gzip takes no more than memory");
        let mut packed = Vec::new();
        compressor.compress(&body, &mut packed).expect("memory takes it");
        let stored = packed.len();
        let mut way = || {
            spool.append(format, ITEMS, &body).expect("there is room");
            let record = spool.take().expect("it can be read").expect("it is there");
            let length = record.gzip.len();
            spool.acknowledge(record.receipt).expect("there is room");
            // Who has a spool hands these to another thread.
            drop(spool.unsynced());
            length
        };
        assert_eq!(way(), stored);
        let outcome = Group::new(format!("Spool, bodies of 500 spans in {name}"), "span", 500)
            .add("append, take, acknowledge", body.len(), way)
            .add("of it gzip level 1", body.len(), || {
                packed.clear();
                compressor.compress(&body, &mut packed).map(|()| packed.len())
            })
            .run(run);
        let rate = |bytes: usize| bytes as f64 * 1e3 / outcome.nanos[0];
        goals.rate(format!("Spool, {name}: MB/s of bodies, appended to acknowledged"), rate(body.len()), 200.0);
        println!("\n{:.1} MB/s of it as stored: {:.1} bytes a span", rate(stored), stored as f64 / 500.0);
        // How much more than what compressing takes anyway.
        goals.ratio(format!("Spool, {name}: share of gzip in its time"), outcome.nanos[1] / outcome.nanos[0], 0.6, 0.2);
    }
}
