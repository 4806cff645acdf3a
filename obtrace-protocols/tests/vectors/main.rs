//! Runs the golden vectors: every `testdata/<protocol>/*.toml`, whatever the protocol. A new folder is found, and a
//! protocol of which no vector tells is a failure.
//!
//! The format is described in `tests/conversation`.
//!
//! Each vector is run whole (steps as written), byte by byte, in random splits, with what one side says in a row as one
//! chunk, and as the mirrored role (the same bytes seen from the peer's socket): these must give the same exchanges in
//! every field. Then each step with bytes is
//! replaced by a gap, told (`handle_gap`) and untold (the bytes never come, the hole times out): nothing may panic,
//! every exchange must have been announced, and with `gaps = "strict"` the exchanges that have no byte in the lost
//! step must come out just as without the loss. `"told"` asks that only of gaps that are told. `"lenient"` is for
//! conversations in which later messages depend on earlier ones (prepared statements, pipelining). Last, the vector is
//! played as a connection that was joined: nothing may be told otherwise. Cuts and flips of bytes: see
//! [`damage`]; bytes out of order, twice and lost anywhere: [`rearranged`].

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

#[path = "../conversation/mod.rs"]
mod conversation;
mod damage;
mod expected;
mod gaps;
mod play;
mod rearranged;

use std::{
    collections::HashSet,
    panic,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use conversation::{Observed, Transport, Vector, entries, files};
use expected::check;
use gaps::{joined, with_gaps};
use obtrace_protocols::{Exchange, Protocol};
use play::{Outcome, play, split, together};
use rearranged::{MANY_ROUNDS, rearranged, rearranged_often};

fn run(vector: &Vector, folder: &Path, told: &mut [usize; 2], protocols: &mut HashSet<Protocol>) {
    let plays = vector.plays(folder);
    let whole = play(vector, vector.role, &plays);
    check(vector, &whole);
    protocols.extend(whole.iter().map(|outcome| outcome.exchange.protocol));
    if vector.transport == Transport::Stream {
        let bytewise = split(&plays, |_| 1);
        assert_eq!(whole, play(vector, vector.role, &bytewise), "{}: byte by byte", vector.name);
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..24 {
            let random = split(&plays, |left| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                1 + seed as usize % left.min(1 << (round % 12))
            });
            assert_eq!(whole, play(vector, vector.role, &random), "{}: random split {round}", vector.name);
        }
    }
    if vector.transport == Transport::Stream {
        let [parts, wholes] = together(&plays).map(|plays| play(vector, vector.role, &plays));
        assert_eq!(parts, wholes, "{}: what is said in a row in one chunk", vector.name);
    }
    let mirrored = match vector.role {
        Observed::Client => Observed::Server,
        Observed::Server | Observed::Unknown => Observed::Client,
    };
    let strip = |outcomes: &[Outcome]| -> Vec<_> {
        let parts = outcomes.iter().map(|outcome| {
            let Exchange { id, protocol, operation, target, request, response, completeness, .. } = &outcome.exchange;
            let common = (*id, *protocol, operation.clone(), target.clone());
            (common, *request, *response, *completeness, outcome.trace)
        });
        parts.collect()
    };
    assert_eq!(strip(&whole), strip(&play(vector, mirrored, &plays)), "{}: seen from the peer", vector.name);
    with_gaps(vector, &plays, &whole);
    damage::somewhere(vector, &plays, &whole);
    if vector.transport == Transport::Stream {
        rearranged(vector, &plays);
        joined(vector, &plays, &whole, told);
    }
}

/// Plays the vectors of a folder. Gives the protocols of what they told.
fn run_folder(name: &str, folder: &Path) -> HashSet<Protocol> {
    let (mut count, mut told, mut protocols) = (0, [0; 2], HashSet::new());
    for (path, file) in files(folder) {
        let mut names = HashSet::new();
        for vector in &file.vector {
            assert!(names.insert(&vector.name), "{}: two vectors named {:?}", path.display(), vector.name);
            count += 1;
            if is_built(vector) {
                run(vector, folder, &mut told, &mut protocols);
            }
        }
    }
    assert!(count >= fewest(name), "only {count} vectors in {}", folder.display());
    assert!(told[0] * 10 >= told[1] * 8, "{}: joined: {} of {} exchanges", folder.display(), told[0], told[1]);
    protocols
}

/// How many vectors a folder must have. A folder in that of a protocol holds what only some builds read.
fn fewest(name: &str) -> usize {
    match name {
        "payload" => 70,
        "http2" => 65,
        "mysql" => 60,
        "redis" | "http" | "postgres" => 40,
        "dns" | "mongodb" => 35,
        "websocket" => 12,
        part if part.contains('/') => 2,
        _ => 20,
    }
}

/// The folders below one, and those below them, by name.
fn folders(below: &Path) -> Vec<(String, PathBuf)> {
    let mut found = Vec::new();
    for folder in entries(below).into_iter().filter(|path| path.is_dir()) {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let parts = folders(&folder).into_iter().map(|(part, path)| (format!("{name}/{part}"), path));
        found.extend(parts.collect::<Vec<_>>());
        found.push((name, folder));
    }
    found
}

/// Whether this build can play it.
fn is_built(vector: &Vector) -> bool {
    match vector.feature.as_deref() {
        None => true,
        Some("brotli") => cfg!(feature = "brotli"),
        Some("deflate") => cfg!(feature = "deflate"),
        Some("zstd") => cfg!(feature = "zstd"),
        Some(other) => panic!("{}: unknown feature {other}", vector.name),
    }
}

fn testdata() -> Vec<(String, PathBuf)> {
    folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata"))
}

/// Every vector out of order and with losses, many times, or as often as `OBTRACE_ROUNDS` says. Goes on behind a vector that
/// fails.
#[test]
fn every_order() {
    let read = |(_, folder): (String, PathBuf)| {
        let vectors = files(&folder).into_iter().flat_map(|(_, file)| file.vector);
        let vectors = vectors.filter(|vector| is_built(vector) && vector.transport == Transport::Stream);
        vectors.map(|vector| (vector.plays(&folder), vector)).collect::<Vec<_>>()
    };
    let vectors: Vec<_> = testdata().into_iter().flat_map(read).collect();
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let work = || {
        while let Some((plays, vector)) = vectors.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = panic::catch_unwind(|| rearranged_often(vector, plays, MANY_ROUNDS));
            failed.fetch_add(usize::from(outcome.is_err()), Ordering::Relaxed);
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    assert_eq!(failed.into_inner(), 0, "vectors of which something else is told");
}

/// Every prefix of every vector, and every byte of it flipped.
#[test]
fn every_byte() {
    let folders: Vec<_> = testdata().into_iter().map(|(_, folder)| folder).collect();
    let bytes = damage::everywhere(&folders, is_built);
    assert!(bytes > 1_500_000, "only {bytes} bytes of vectors");
}

/// Each folder in a thread of its name, which a failure tells.
#[test]
fn every_folder() {
    let folders = testdata();
    assert!(!folders.is_empty());
    let told: HashSet<Protocol> = thread::scope(|scope| {
        let play = |(name, folder): &(String, PathBuf)| {
            let (name, folder) = (name.clone(), folder.clone());
            let thread = thread::Builder::new().name(name.clone());
            thread.spawn_scoped(scope, move || run_folder(&name, &folder)).unwrap()
        };
        let threads: Vec<_> = folders.iter().map(play).collect();
        let outcomes: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
        outcomes.into_iter().flat_map(|outcome| outcome.expect("a folder failed")).collect()
    });
    // Guesses have no vectors.
    let untold = Protocol::ALL.iter().filter(|protocol| **protocol != Protocol::Sql && !told.contains(protocol));
    assert_eq!(untold.collect::<Vec<_>>(), Vec::<&Protocol>::new(), "no vector tells of it");
}
