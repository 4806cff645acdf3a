//! A process without a free file descriptor can open nothing, which says nothing about the files of its spool. Alone in its
//! program: no other test is to go without.
#![cfg(all(feature = "pipeline", target_os = "linux"))]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{env, fs, iter, num::NonZeroU32, process};

use obtrace_export::{
    encode::Format,
    model::Signal,
    spool::{Config, Lost, Spool},
};
use rustix::process::{Resource, Rlimit, setrlimit};

/// All descriptors that are free, but for some.
fn all_but(free: usize) -> Vec<fs::File> {
    let mut held: Vec<_> = iter::from_fn(|| fs::File::open("/dev/null").ok()).take(4096).collect();
    assert!((8..4096).contains(&held.len()));
    held.truncate(held.len() - free);
    held
}

fn append(spool: &mut Spool, numbers: std::ops::Range<u16>) {
    for number in numbers {
        // Bodies that hardly compress, so that they take some segments.
        let noise = (0..700_u32).map(|at| (at + u32::from(number) * 1000).wrapping_mul(2_654_435_761) >> 13);
        let body: Vec<u8> = number.to_le_bytes().into_iter().chain(noise.map(|noise| noise as u8)).collect();
        spool.append(Format::Protobuf, NonZeroU32::MIN, &body).unwrap();
    }
}

/// The numbers of all that wait.
fn drain(spool: &mut Spool) -> Vec<u16> {
    let next = || {
        let record = spool.take().unwrap()?;
        let plain = record.plain().unwrap();
        spool.acknowledge(record.receipt).unwrap();
        Some(u16::from_le_bytes([plain[0], plain[1]]))
    };
    iter::from_fn(next).collect()
}

#[test]
fn a_process_without_free_descriptors_loses_nothing() {
    setrlimit(Resource::Nofile, Rlimit { current: Some(64), maximum: Some(64) }).unwrap();
    let folder = env::temp_dir().join(format!("obtrace-spool-descriptors-{}", process::id()));
    let config = Config::new(&folder).with_max_bytes(64 * 1024);
    let open = || Spool::open(&config, Signal::Traces);

    let (mut spool, _) = open().unwrap();
    append(&mut spool, 0..3);
    let held = all_but(0);
    for items in 3..5 {
        let error = spool.take().unwrap_err();
        assert!(error.to_string().contains("os error 24"), "{error}");
        assert_eq!((spool.items(), spool.lost()), (items.into(), Lost::default()));
        // It goes to the segment that is open.
        append(&mut spool, items..items + 1);
    }
    drop(held);
    append(&mut spool, 5..12);
    let held = all_but(1);
    let record = spool.take().unwrap().unwrap();
    // The file is open, its acknowledgements cannot be.
    let error = spool.acknowledge(record.receipt).unwrap_err();
    assert!(error.to_string().contains("os error 24"), "{error}");
    drop(held);
    assert_eq!(drain(&mut spool), (1..12).collect::<Vec<_>>());
    append(&mut spool, 12..32);
    for _ in 0..3 {
        let record = spool.take().unwrap().unwrap();
        spool.acknowledge(record.receipt).unwrap();
    }
    drop(spool);

    // The lock, the folder, a segment, its acknowledgements: with fewer descriptors it is not opened, with more all is there.
    let mut refused = 0;
    for free in 0..8 {
        let held = all_but(free);
        match open() {
            Ok((spool, recovered)) => {
                assert_eq!((recovered.items, recovered.lost, spool.items()), (17, 0, 17), "with {free} descriptors");
            }
            Err(error) => {
                assert!(error.to_string().contains("os error 24"), "{error}");
                refused += 1;
            }
        }
        drop(held);
    }
    assert!((2..6).contains(&refused), "{refused}");
    let (mut spool, recovered) = open().unwrap();
    assert_eq!((recovered.items, recovered.lost), (17, 0));
    assert_eq!(drain(&mut spool), (15..32).collect::<Vec<_>>());
    drop(spool);
    fs::remove_dir_all(folder).unwrap();
}
