//! What comes out of a spool is what went in, or is counted: against a model, cut at every byte, with every byte changed.
#![cfg(all(feature = "pipeline", unix))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

use obtrace_export::{
    encode::Format,
    model::Signal,
    spool::{AppendError, Config, Lost, OpenError, Receipt, Recovered, Spool, WhenFull},
};
use proptest::prelude::*;

/// A folder that goes when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("obtrace-spool-{}-{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn config(&self) -> Config {
        Config::new(&self.0).with_max_bytes(64 * 1024)
    }

    fn open(&self) -> (Spool, Recovered) {
        Spool::open(&self.config(), Signal::Traces).unwrap()
    }

    /// The files of the spool but for its lock, by name.
    fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = fs::read_dir(self.0.join("traces")).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| !path.ends_with("lock")).map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }

    fn segments(&self) -> Vec<PathBuf> {
        self.files().into_keys().filter(|path| path.extension().is_some_and(|e| e == "segment")).collect()
    }

    /// Puts other files in the place of all that are there.
    fn restore(&self, files: &BTreeMap<PathBuf, Vec<u8>>) {
        for path in self.files().keys() {
            fs::remove_file(path).unwrap();
        }
        for (path, bytes) in files {
            fs::write(path, bytes).unwrap();
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The body of a batch: its number, and noise that makes about `size` bytes of it when it is compressed.
fn body(number: u64, size: usize) -> Vec<u8> {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut noise = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 56) as u8
    };
    format!("{number:08}").into_bytes().into_iter().chain((0..size).map(|_| noise())).collect()
}

fn append(spool: &mut Spool, number: u64, items: u32, size: usize) -> Result<(), AppendError> {
    spool.append(Format::Protobuf, items.try_into().unwrap(), &body(number, size))
}

/// Takes the next batch: its number, its items. Its body must be whole.
fn take(spool: &mut Spool) -> Option<(u64, u64, Receipt)> {
    let record = spool.take().unwrap()?;
    let plain = record.plain().unwrap();
    let number = std::str::from_utf8(&plain[..8]).unwrap().parse().unwrap();
    assert_eq!(plain, body(number, plain.len() - 8), "batch {number}");
    assert_eq!((record.signal, record.format), (Signal::Traces, Format::Protobuf));
    Some((number, u64::from(record.items.get()), record.receipt))
}

/// Takes and acknowledges all there is: numbers, sum of the items.
fn drain(spool: &mut Spool) -> (Vec<u64>, u64) {
    let (mut numbers, mut sum) = (Vec::new(), 0);
    while let Some((number, items, receipt)) = take(spool) {
        spool.acknowledge(receipt).unwrap();
        numbers.push(number);
        sum += items;
    }
    (numbers, sum)
}

/// Three segments of five batches each with as many items as their number says, counted from 1.
fn three_segments() -> (Folder, Vec<u64>) {
    let folder = Folder::new();
    let (mut spool, _) = folder.open();
    let mut number = 0;
    while folder.segments().len() < 4 {
        number += 1;
        append(&mut spool, number, u32::try_from(number).unwrap(), 700).unwrap();
    }
    drop(spool);
    let last = folder.segments().pop().unwrap();
    fs::remove_file(last).unwrap();
    assert_eq!(number, 16);
    (folder, (1..number).collect())
}

#[test]
fn what_went_in_comes_out_in_order_and_only_once() {
    let folder = Folder::new();
    let (mut spool, recovered) = folder.open();
    assert_eq!(recovered, Recovered::default());
    for number in 0..60 {
        append(&mut spool, number, 3, 500).unwrap();
    }
    assert_eq!((spool.items(), spool.bytes() <= 64 * 1024), (180, true));
    assert_eq!(drain(&mut spool), ((0..60).collect(), 180));
    assert!(spool.is_empty() && spool.take().unwrap().is_none());
    assert!(folder.segments().len() <= 1, "what arrived is removed");
    append(&mut spool, 60, 1, 10).unwrap();
    assert_eq!(drain(&mut spool), (vec![60], 1));
    spool.close().unwrap();
    assert_eq!(folder.files(), BTreeMap::new());
    assert_eq!(spool.lost(), Lost::default());
}

#[test]
fn the_next_run_goes_on_where_this_one_ended() {
    let folder = Folder::new();
    for run in 0..5 {
        let (mut spool, recovered) = folder.open();
        assert_eq!(recovered.items, if run == 0 { 0 } else { 2 }, "run {run}");
        if run > 0 {
            let (number, _, receipt) = take(&mut spool).unwrap();
            assert_eq!(number, run * 10 - 9, "the second of the run before");
            spool.acknowledge(receipt).unwrap();
        }
        // The first is delivered, the second is under way, when it ends without a word.
        append(&mut spool, run * 10, 1, 300).unwrap();
        append(&mut spool, run * 10 + 1, 2, 300).unwrap();
        let first = take(&mut spool).unwrap();
        let _under_way = take(&mut spool).unwrap();
        spool.acknowledge(first.2).unwrap();
    }
    assert_eq!(folder.segments().len(), 1, "runs that end at once do not fill the folder with files");
}

#[test]
fn what_is_released_waits_for_the_next_run() {
    let folder = Folder::new();
    let (mut spool, _) = folder.open();
    append(&mut spool, 1, 4, 100).unwrap();
    let (_, _, receipt) = take(&mut spool).unwrap();
    assert_eq!(spool.items(), 0);
    assert!(spool.release(&receipt));
    assert_eq!(spool.items(), 4);
    assert!(spool.take().unwrap().is_none(), "not in this one");
    spool.close().unwrap();
    drop(spool);
    let (mut spool, recovered) = folder.open();
    assert_eq!((recovered.items, drain(&mut spool)), (4, (vec![1], 4)));
}

#[test]
fn a_full_spool_gives_up_the_oldest_and_counts_it() {
    let folder = Folder::new();
    let (mut spool, _) = folder.open();
    for number in 0..200 {
        append(&mut spool, number, 7, 1000).unwrap();
        assert!(spool.bytes() <= 64 * 1024, "{}", spool.bytes());
    }
    let on_disk: usize = folder.files().values().map(Vec::len).sum();
    assert!((48 * 1024..=64 * 1024).contains(&on_disk), "{on_disk}");
    let lost = spool.lost();
    let (numbers, items) = drain(&mut spool);
    assert_eq!((lost.full + items, lost.corrupt), (1400, 0));
    assert_eq!(numbers, (lost.full / 7..200).collect::<Vec<_>>());
}

#[test]
fn what_is_under_way_is_not_counted_as_given_up() {
    let folder = Folder::new();
    let (mut spool, _) = folder.open();
    append(&mut spool, 0, 5, 1000).unwrap();
    let (_, _, first) = take(&mut spool).unwrap();
    append(&mut spool, 1, 5, 1000).unwrap();
    let (_, _, second) = take(&mut spool).unwrap();
    for number in 2..200 {
        append(&mut spool, number, 7, 1000).unwrap();
    }
    spool.acknowledge(first).unwrap();
    assert!(!spool.release(&second), "its place is gone");
    let (_, items) = drain(&mut spool);
    assert_eq!(spool.lost().full + items, 198 * 7);
}

#[test]
fn nothing_gives_way_for_a_batch_that_is_not_written() {
    let folder = Folder::new();
    let (mut spool, _) = folder.open();
    for number in 0..200 {
        append(&mut spool, number, 7, 1000).unwrap();
    }
    // In the place of the next segment.
    let last = folder.segments().pop().unwrap();
    let number = u64::from_str_radix(last.file_stem().unwrap().to_str().unwrap(), 16).unwrap();
    let next = last.with_file_name(format!("{:016x}.segment", number + 1));
    fs::write(&next, "").unwrap();
    let (items, error) = loop {
        spool.lost();
        let items = spool.items();
        if let Err(error) = append(&mut spool, 200, 7, 1000) {
            break (items, error.to_string());
        }
    };
    assert!(error.contains("File exists"), "{error}");
    assert_eq!((spool.lost(), spool.items()), (Lost::default(), items));
    fs::remove_file(next).unwrap();
    append(&mut spool, 200, 7, 1000).unwrap();
    assert!(spool.lost().full > 0);
}

#[test]
fn a_full_spool_keeps_the_oldest_if_told_so() {
    let folder = Folder::new();
    let config = folder.config().with_when_full(WhenFull::DropNewest);
    let (mut spool, _) = Spool::open(&config, Signal::Traces).unwrap();
    let mut taken = 0;
    while append(&mut spool, taken, 7, 1000).is_ok() {
        taken += 1;
    }
    assert!(matches!(append(&mut spool, taken, 7, 1000), Err(AppendError::Full)));
    assert!((40..64).contains(&taken), "{taken}");
    assert_eq!(drain(&mut spool), ((0..taken).collect(), taken * 7));
    append(&mut spool, 0, 7, 1000).unwrap();
    assert_eq!(spool.lost(), Lost::default());
}

#[test]
fn what_arrived_takes_no_room_though_nothing_came_after_it() {
    let folder = Folder::new();
    let config = folder.config().with_when_full(WhenFull::DropNewest);
    let (mut spool, _) = Spool::open(&config, Signal::Traces).unwrap();
    for number in 0..4 {
        append(&mut spool, number, 7, 40_000).unwrap();
        assert!(matches!(append(&mut spool, 9, 7, 40_000), Err(AppendError::Full)), "it still waits");
        assert_eq!(drain(&mut spool), (vec![number], 7));
    }
    assert_eq!(folder.segments().len(), 1);
}

#[test]
fn a_batch_that_never_fits_changes_nothing() {
    let folder = Folder::new();
    let (mut spool, _) = folder.open();
    append(&mut spool, 1, 1, 1000).unwrap();
    assert!(matches!(append(&mut spool, 2, 1, 70_000), Err(AppendError::TooLarge)));
    append(&mut spool, 3, 1, 20_000).unwrap();
    assert_eq!(drain(&mut spool), (vec![1, 3], 2));
}

#[test]
fn one_process_has_it_and_is_named() {
    let folder = Folder::new();
    let (spool, _) = folder.open();
    let error = Spool::open(&folder.config(), Signal::Traces).unwrap_err();
    assert!(matches!(error, OpenError::InUse { pid, .. } if pid == Some(process::id())), "{error}");
    assert!(error.to_string().contains(&format!("in use by process {}", process::id())), "{error}");
    Spool::open(&folder.config(), Signal::Logs).unwrap();
    drop(spool);
    folder.open();
}

#[test]
fn only_the_owner_reads_it_and_links_are_not_followed() {
    let folder = Folder::new();
    let (mut spool, _) = folder.open();
    append(&mut spool, 1, 1, 100).unwrap();
    append(&mut spool, 2, 1, 100).unwrap();
    let (_, _, receipt) = take(&mut spool).unwrap();
    spool.acknowledge(receipt).unwrap();
    drop(spool);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.0.join("traces")), 0o700);
    assert_eq!(folder.files().len(), 2);
    assert!(folder.files().keys().all(|path| mode(path) == 0o600));

    let (lock, other) = (folder.0.join("traces/lock"), folder.0.join("other"));
    assert_eq!(mode(&lock), 0o600);
    fs::write(&other, "precious").unwrap();
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(&other, &lock).unwrap();
    assert!(matches!(Spool::open(&folder.config(), Signal::Traces), Err(OpenError::File(_))));
    assert_eq!(fs::read(&other).unwrap(), b"precious");
}

#[test]
fn cut_at_every_byte_it_loses_the_end_only() {
    let folder = Folder::new();
    let (mut spool, _) = folder.open();
    for number in 0..3 {
        append(&mut spool, number, 10, 40).unwrap();
    }
    drop(spool);
    let files = folder.files();
    let (path, whole) = files.first_key_value().unwrap();
    let record = (whole.len() - 32) / 3;
    for length in 0..=whole.len() {
        folder.restore(&[(path.clone(), whole[..length].to_vec())].into());
        let (mut spool, recovered) = folder.open();
        let left = length.saturating_sub(32) / record;
        // A record is known when its head is there.
        let known = length.saturating_sub(32) % record >= 32;
        assert_eq!((recovered.items, recovered.lost), (10 * left as u64, if known { 10 } else { 0 }), "{length}");
        append(&mut spool, 9, 1, 40).unwrap();
        drop(spool);
        let (mut spool, again) = folder.open();
        assert_eq!((again.items, again.lost), (10 * left as u64 + 1, 0), "counted once: {length}");
        assert_eq!(drain(&mut spool).0, (0..left as u64).chain([9]).collect::<Vec<_>>());
    }
}

#[test]
fn a_changed_byte_costs_one_batch_or_one_segment_and_is_counted() {
    let (folder, numbers) = three_segments();
    let files = folder.files();
    let sum: u64 = numbers.iter().sum();
    let (path, whole) = files.iter().nth(1).unwrap();
    // Every byte of a head, some of each body.
    let record = (whole.len() - 32) / 5;
    for at in (0..whole.len()).filter(|at| at.saturating_sub(32) % record < 32 || at % 13 == 0) {
        let mut changed = files.clone();
        changed.get_mut(path).unwrap()[at] ^= 0x41;
        folder.restore(&changed);
        let (mut spool, recovered) = folder.open();
        let (got, items) = drain(&mut spool);
        let lost = recovered.lost + spool.lost().corrupt;
        assert_eq!(items + lost, sum, "byte {at}: {recovered:?}");
        let missing = numbers.len() - got.len();
        assert_eq!(missing, if at < 32 { 5 } else { 1 }, "byte {at}");
        assert!(got.is_sorted());
        assert!(folder.segments().len() <= 1, "nothing unreadable is left behind");
    }
}

#[test]
fn a_loss_is_counted_by_one_run_only() {
    let (folder, _) = three_segments();
    let [_, second, third] = &folder.segments()[..] else { panic!("three segments") };
    fs::remove_file(second).unwrap();
    let mut bytes = fs::read(third).unwrap();
    bytes[40] ^= 1;
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(third, bytes).unwrap();
    // 6 to 10, 11; 15 is found when its turn comes.
    let (mut spool, recovered) = folder.open();
    assert_eq!((recovered.items, recovered.lost), (15 + 12 + 13 + 14 + 15, 51));
    let taken: Vec<_> = std::iter::from_fn(|| take(&mut spool)).map(|(number, ..)| number).collect();
    assert_eq!((taken, spool.lost().corrupt), (vec![1, 2, 3, 4, 5, 12, 13, 14], 15));
    drop(spool);
    let (_, recovered) = folder.open();
    assert_eq!((recovered.items, recovered.lost), (15 + 12 + 13 + 14, 0));
}

#[test]
fn a_batch_that_is_missing_without_a_gap_is_counted_once_and_takes_no_other_with_it() {
    let (folder, _) = three_segments();
    let path = &folder.segments()[0];
    let mut bytes = fs::read(path).unwrap();
    let record = (bytes.len() - 32) / 5;
    drop(bytes.drain(32 + record..32 + 2 * record));
    fs::write(path, bytes).unwrap();
    for lost in [2, 0] {
        let (mut spool, recovered) = folder.open();
        assert_eq!((recovered.items, recovered.lost), (118, lost));
        let taken: Vec<_> = std::iter::from_fn(|| take(&mut spool)).map(|(number, ..)| number).collect();
        assert_eq!((taken, spool.lost()), ([1].into_iter().chain(3..=15).collect(), Lost::default()));
    }
}

#[test]
fn a_missing_segment_is_counted_and_a_garbled_ack_file_only_repeats() {
    let (folder, numbers) = three_segments();
    let sum: u64 = numbers.iter().sum();
    fs::remove_file(&folder.segments()[1]).unwrap();
    let (mut spool, recovered) = folder.open();
    assert_eq!(recovered.lost, 6 + 7 + 8 + 9 + 10);
    for _ in 0..3 {
        let (_, _, receipt) = take(&mut spool).unwrap();
        spool.acknowledge(receipt).unwrap();
    }
    drop(spool);
    let acks = folder.files().into_keys().find(|path| path.extension().is_some_and(|e| e == "acks")).unwrap();
    let mut bytes = fs::read(&acks).unwrap();
    bytes[14] ^= 1;
    bytes.truncate(30);
    fs::write(&acks, bytes).unwrap();
    let (mut spool, recovered) = folder.open();
    assert_eq!((recovered.items, recovered.lost), (sum - 40 - 1, 0), "the second and third come again");
    assert_eq!(drain(&mut spool).0[..3], [2, 3, 4]);
}

#[test]
fn strange_things_in_the_folder_are_left_alone() {
    let folder = Folder::new();
    drop(folder.open());
    let inside = folder.0.join("traces");
    fs::create_dir(inside.join("0000000000000003.segment")).unwrap();
    fs::create_dir(inside.join("0000000000000004.acks")).unwrap();
    fs::write(inside.join("notes.txt"), "mine").unwrap();
    fs::write(inside.join("ffffffffffffffff.segment"), "far").unwrap();
    std::os::unix::fs::symlink("/dev/zero", inside.join("0000000000000005.segment")).unwrap();
    let (mut spool, recovered) = folder.open();
    assert_eq!(recovered, Recovered::default());
    append(&mut spool, 1, 1, 100).unwrap();
    assert_eq!(drain(&mut spool), (vec![1], 1));
    spool.close().unwrap();
    assert_eq!(fs::read(inside.join("notes.txt")).unwrap(), b"mine");
}

#[test]
fn files_that_go_away_while_it_runs_are_counted() {
    let (folder, numbers) = three_segments();
    let (mut spool, recovered) = folder.open();
    assert_eq!(recovered.items, numbers.iter().sum::<u64>());
    let segments = folder.segments();
    fs::remove_file(&segments[0]).unwrap();
    let length = fs::metadata(&segments[1]).unwrap().len();
    fs::File::options().write(true).open(&segments[1]).unwrap().set_len(length / 2).unwrap();
    let (got, items) = drain(&mut spool);
    assert_eq!(got, [6, 7, 11, 12, 13, 14, 15]);
    assert_eq!(items + spool.lost().corrupt, recovered.items);
    append(&mut spool, 1, 1, 100).unwrap();
    assert_eq!(drain(&mut spool).0, [1]);
}

/// The first file of a kind, and where it is put aside.
fn first_and_aside(folder: &Folder, kind: &str) -> (PathBuf, PathBuf) {
    let path = folder.files().into_keys().find(|path| path.extension().is_some_and(|e| e == kind)).unwrap();
    let aside = folder.0.join("aside");
    (path, aside)
}

#[test]
fn what_cannot_be_read_now_still_waits() {
    let (folder, numbers) = three_segments();
    let (mut spool, recovered) = folder.open();
    let (path, aside) = first_and_aside(&folder, "segment");
    fs::rename(&path, &aside).unwrap();
    fs::create_dir(&path).unwrap();
    for _ in 0..3 {
        let error = spool.take().unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert_eq!((spool.items(), spool.is_empty(), spool.lost()), (recovered.items, false, Lost::default()));
    }
    fs::remove_dir(&path).unwrap();
    fs::rename(&aside, &path).unwrap();
    assert_eq!(drain(&mut spool), (numbers, recovered.items));
    assert_eq!(spool.lost(), Lost::default());
}

#[test]
fn what_was_delivered_stays_so_though_the_ack_file_goes() {
    let folder = Folder::new();
    let (mut spool, _) = folder.open();
    (0..10).for_each(|number| append(&mut spool, number, 1, 300).unwrap());
    for _ in 0..6 {
        let (_, _, receipt) = take(&mut spool).unwrap();
        spool.acknowledge(receipt).unwrap();
    }
    drop(spool);
    let (mut spool, recovered) = folder.open();
    assert_eq!((recovered.items, recovered.lost), (4, 0));
    let (acks, aside) = first_and_aside(&folder, "acks");
    fs::rename(acks, aside).unwrap();
    assert_eq!(drain(&mut spool), ((6..10).collect(), 4));
}

#[test]
fn an_ack_file_is_written_anew_whole_or_not_at_all() {
    let folder = Folder::new();
    let (mut spool, _) = folder.open();
    (0..10).for_each(|number| append(&mut spool, number, 1, 300).unwrap());
    for _ in 0..6 {
        let (_, _, receipt) = take(&mut spool).unwrap();
        spool.acknowledge(receipt).unwrap();
    }
    drop(spool);
    let (acks, _) = first_and_aside(&folder, "acks");
    let whole = fs::read(&acks).unwrap();
    let garbled = [b"garbled", &whole[..]].concat();
    fs::write(&acks, &garbled).unwrap();

    // What cannot be written takes nothing of what is there.
    let new = folder.0.join("traces/acks.new");
    fs::create_dir(&new).unwrap();
    let (spool, recovered) = folder.open();
    assert_eq!((recovered.items, recovered.lost, fs::read(&acks).unwrap()), (4, 0, garbled));
    drop(spool);
    // Nor does what a process left that was stopped at it.
    fs::remove_dir(&new).unwrap();
    fs::write(&new, &whole[..12]).unwrap();
    let (mut spool, recovered) = folder.open();
    assert_eq!((recovered.items, recovered.lost, new.exists()), (4, 0, false));
    assert_eq!(fs::read(&acks).unwrap(), whole);
    assert_eq!(drain(&mut spool).0, [6, 7, 8, 9]);
}

#[test]
fn every_segment_is_synchronised_at_the_latest_when_it_is_closed() {
    let folder = Folder::new();
    let (mut spool, _) = folder.open();
    // One each, more than any list of open files should hold.
    (0..24).for_each(|number| append(&mut spool, number, 1, 2500).unwrap());
    let segments = folder.segments();
    assert_eq!(segments.len(), 24);
    // The process ends before anybody asks; the next one is handed all it finds, and drops them.
    drop(spool);
    let (mut spool, _) = folder.open();
    append(&mut spool, 24, 1, 2500).unwrap();
    assert_eq!(std::iter::from_fn(|| spool.unsynced()).count(), 24, "all but the one that goes on");
    let hidden = [&segments[0], &segments[20]].map(|path| (path, path.with_extension("aside")));
    for (path, aside) in &hidden {
        fs::rename(path, aside).unwrap();
        std::os::unix::fs::symlink(aside, path).unwrap();
    }
    for (path, aside) in &hidden {
        let error = spool.close().unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        assert!(spool.unsynced().is_none(), "those after it were synchronised all the same");
        fs::rename(aside, path).unwrap();
    }
    spool.close().unwrap();
    assert_eq!(drain(&mut spool).0, (0..25).collect::<Vec<_>>());
}

#[derive(Clone, Debug)]
enum Step {
    Append {
        items: u32,
        size: usize,
    },
    Take,
    /// One of those under way, by index.
    Acknowledge(usize),
    Release(usize),
    Close,
    /// The process ends; so many bytes of the newest file never came to be.
    Crash {
        cut: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1_u32..600, 0_usize..3000).prop_map(|(items, size)| Step::Append { items, size }),
        5 => Just(Step::Take),
        4 => any::<usize>().prop_map(Step::Acknowledge),
        1 => any::<usize>().prop_map(Step::Release),
        1 => Just(Step::Close),
        1 => prop_oneof![Just(0), 1_usize..4000].prop_map(|cut| Step::Crash { cut }),
    ]
}

/// What is known of a batch: its items, and whether it may still come.
#[derive(Debug, Default)]
struct Model {
    waiting: BTreeMap<u64, u64>,
    under_way: Vec<(u64, u64, Receipt)>,
    kept: BTreeMap<u64, u64>,
    last_taken: Option<u64>,
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    /// At every step: appended + recovered = waiting + taken + lost, batches come in order, whole and once in a run, and
    /// only what was acknowledged or lost does not come again.
    #[test]
    fn it_does_what_the_model_does(
        steps in prop::collection::vec(step(), 1..120),
        drop_newest in any::<bool>(),
    ) {
        let folder = Folder::new();
        let when_full = if drop_newest { WhenFull::DropNewest } else { WhenFull::DropOldest };
        let config = folder.config().with_when_full(when_full);
        let open = || Spool::open(&config, Signal::Traces).unwrap();
        let (mut spool, _) = open();
        let (mut model, mut next) = (Model::default(), 0);
        for step in steps {
            match step {
                Step::Append { items, size } => match append(&mut spool, next, items, size) {
                    Ok(()) => { model.waiting.insert(next, items.into()); next += 1; }
                    Err(error) => prop_assert!(drop_newest && matches!(error, AppendError::Full), "{error}"),
                },
                Step::Take => match take(&mut spool) {
                    Some((number, items, receipt)) => {
                        prop_assert!(model.last_taken.is_none_or(|last| number > last));
                        model.last_taken = Some(number);
                        prop_assert_eq!(model.waiting.remove(&number), Some(items));
                        model.under_way.push((number, items, receipt));
                    }
                    None => prop_assert_eq!(spool.is_empty(), true),
                },
                Step::Acknowledge(index) if !model.under_way.is_empty() => {
                    let (_, _, receipt) = model.under_way.swap_remove(index % model.under_way.len());
                    spool.acknowledge(receipt).unwrap();
                }
                Step::Release(index) if !model.under_way.is_empty() => {
                    let (number, items, receipt) = model.under_way.swap_remove(index % model.under_way.len());
                    if spool.release(&receipt) {
                        model.kept.insert(number, items);
                    }
                }
                Step::Acknowledge(_) | Step::Release(_) => {}
                Step::Close => spool.close().unwrap(),
                Step::Crash { cut } => {
                    drop(spool);
                    // What is under way is sent again.
                    for (number, items, _) in model.under_way.drain(..) {
                        model.waiting.insert(number, items);
                    }
                    model.waiting.append(&mut model.kept);
                    let segment = folder.segments().pop().filter(|_| cut > 0);
                    if let Some(path) = segment {
                        let length = fs::metadata(&path).unwrap().len();
                        let file = fs::File::options().write(true).open(path).unwrap();
                        file.set_len(length.saturating_sub(cut as u64)).unwrap();
                    }
                    let recovered;
                    (spool, recovered) = open();
                    model.last_taken = None;
                    // Taken away is the end of what was there, or what was given up before, or was arrived and is not told so.
                    let mut sum: u64 = model.waiting.values().sum();
                    while cut > 0 && sum > recovered.items {
                        sum -= model.waiting.pop_last().unwrap().1;
                    }
                    // Whose place was given up while they were under way.
                    while sum > recovered.items {
                        sum -= model.waiting.pop_first().unwrap().1;
                    }
                    prop_assert_eq!(sum, recovered.items);
                    prop_assert!(cut > 0 || recovered.lost == 0, "{recovered:?}");
                }
            }
            let lost = spool.lost();
            prop_assert_eq!(lost.corrupt, 0);
            let mut given_up = 0;
            while given_up < lost.full {
                let oldest = [model.kept.first_key_value(), model.waiting.first_key_value()];
                let (&number, &items) = oldest.into_iter().flatten().min().unwrap();
                given_up += items;
                let _ = model.kept.remove(&number).or_else(|| model.waiting.remove(&number));
            }
            prop_assert_eq!(given_up, lost.full);
            prop_assert_eq!(spool.items(), model.waiting.values().chain(model.kept.values()).sum::<u64>());
            prop_assert!(spool.bytes() <= config.max_bytes);
        }
        let (numbers, _) = drain(&mut spool);
        prop_assert_eq!(numbers, model.waiting.into_keys().collect::<Vec<_>>());
    }
}
