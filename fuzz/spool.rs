//! What the fuzz target of the spool asserts. The plain test of the kept regressions includes this file too.

use std::{
    fs,
    num::NonZeroU32,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use obtrace_export::{
    encode::Format,
    model::Signal,
    spool::{Config, Spool, WhenFull},
};

/// The first byte: the files are what follows, not what becomes of a real spool's.
const RAW: u8 = 1;

/// A folder that is opened, whatever lies in it, gives back what it says it holds, counts the rest, takes what is added, and
/// is empty when everything was acknowledged.
pub(crate) fn run(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let folder = Folder::new();
    let inside = folder.0.join("traces");
    if choice & RAW == 0 {
        write_spool(&folder.0);
        change(&inside, rest);
    } else {
        fs::create_dir(&inside).expect("a folder");
        write_files(&inside, rest);
    }
    let config = config(&folder.0);
    let (mut spool, recovered) = Spool::open(&config, Signal::Traces).expect("a folder of our own opens");
    assert_eq!(spool.items(), recovered.items);
    let added = spool.append(Format::Json, NonZeroU32::MIN, b"{\"resourceSpans\":[]}").is_ok();
    let full = spool.lost().full;
    // Half of it goes, then the process does.
    let mut got = u64::from(!added) + full;
    let mut taken = 0;
    let mut corrupt = 0;
    while let Some(record) = spool.take().expect("what is there can be read") {
        got = got.saturating_add(record.items.get().into());
        taken += 1;
        let _ = record.plain();
        spool.acknowledge(record.receipt).expect("a folder of our own takes it");
        corrupt += spool.lost().corrupt;
        if taken > 2 && choice & 2 != 0 {
            break;
        }
    }
    corrupt += spool.lost().corrupt;
    let left = spool.items();
    assert_eq!(got.saturating_add(corrupt).saturating_add(left), recovered.items.saturating_add(1), "{recovered:?}");
    drop(spool);
    let (mut spool, again) = Spool::open(&config, Signal::Traces).expect("it opens again");
    assert!(again.items <= left && again.lost <= left, "{again:?} of {left}");
    while let Some(record) = spool.take().expect("what is there can be read") {
        spool.acknowledge(record.receipt).expect("a folder of our own takes it");
    }
    spool.close().expect("the disk is well");
    assert!(spool.is_empty() && spool.items() == 0);
    drop(spool);
    let (_, empty) = Spool::open(&config, Signal::Traces).expect("it opens");
    assert_eq!((empty.items, empty.lost), (0, 0));
}

fn config(folder: &Path) -> Config {
    Config::new(folder).with_max_bytes(64 * 1024).with_when_full(WhenFull::DropOldest)
}

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // In memory, where there is such a place.
        let shared = Path::new("/dev/shm");
        let parent = if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() };
        let name = format!("obtrace-fuzz-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = parent.join(name);
        fs::create_dir(&folder).expect("a folder");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A spool of three segments, the first of them in part acknowledged.
fn write_spool(folder: &Path) {
    let (mut spool, _) = Spool::open(&config(folder), Signal::Traces).expect("an empty folder opens");
    for number in 0..14_u32 {
        // About 900 bytes that do not compress.
        let body: Vec<u8> = (0..900_u32)
            .map(|at| ((at + number * 1000).wrapping_mul(2_654_435_761) >> 13 ^ at.wrapping_mul(40_503)) as u8)
            .collect();
        spool.append(Format::Protobuf, NonZeroU32::MIN.saturating_add(number), &body).expect("there is room");
        if number < 2 {
            let record = spool.take().expect("it can be read").expect("it is there");
            spool.acknowledge(record.receipt).expect("there is room");
        }
    }
}

/// Changes of five bytes each: which file, what, where, to what.
fn change(folder: &Path, changes: &[u8]) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for change in changes.chunks_exact(5).take(64) {
        let &[which, what, low, high, value] = change else { return };
        let Some(path) = paths.get(usize::from(which) % paths.len().max(1)) else { return };
        let Ok(mut bytes) = fs::read(path) else { continue };
        let at = usize::from(u16::from_le_bytes([low, high])) % (bytes.len() + 1);
        match what % 8 {
            0..=2 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= value),
            3 => bytes.truncate(at),
            4 => bytes.iter_mut().skip(at).take(usize::from(value)).for_each(|byte| *byte = 0),
            5 => drop(bytes.drain(at..bytes.len().min(at + usize::from(value)))),
            6 => bytes.extend_from_within(at..),
            _ => {
                let _ = fs::remove_file(path);
                continue;
            }
        }
        bytes.truncate(64 * 1024);
        let _ = fs::write(path, bytes);
    }
}

/// Files one after the other: number and kind, length, bytes.
fn write_files(folder: &Path, mut files: &[u8]) {
    while let Some((&[which, low, high], rest)) = files.split_first_chunk::<3>() {
        let length = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
        let (bytes, rest) = rest.split_at(length);
        files = rest;
        let kind = if which & 1 == 0 { "segment" } else { "acks" };
        let _ = fs::write(folder.join(format!("{:016x}.{kind}", which >> 1)), bytes);
    }
}
