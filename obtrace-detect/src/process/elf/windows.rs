//! Samples of a Rust program's strings: which standard library and which crates it was built from.

use alloc::{string::String, vec::Vec};

use super::{Range, source::Data};

/// The beginning of the read-only data, where linkers put strings.
const STRINGS: u64 = 16 << 10;
/// Samples of the symbols' names: they are in no order, so a few from everywhere show every larger crate.
const SAMPLES: u64 = 3;
/// The size of each.
const SAMPLE: u64 = 4 << 10;
/// What is kept of either.
const KEPT: usize = 16;
/// The longest that is kept.
const LONGEST: usize = 128;

/// Crates that are frameworks.
const CRATES: &[&str] = &["actix-web", "axum", "rocket", "tonic"];
/// The same as identifiers, with the length before it as both manglings have it, and as types have it.
const MANGLED: &[(&[u8], &[u8])] =
    &[(b"9actix_web", b"actix_web.."), (b"4axum", b"axum.."), (b"6rocket", b"rocket.."), (b"5tonic", b"tonic..")];

/// Sources of the standard library (one) and of telling crates, from panic messages.
pub(super) fn strings(data: Data<'_, '_>, section: Option<Range>) -> Vec<String> {
    let mut found = Vec::new();
    let Some(bytes) = section.and_then(|range| data.bytes(range.offset, range.size.min(STRINGS))) else { return found };
    let slashes = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    for rest in slashes.filter_map(|at| bytes.get(at..)) {
        if found.len() == KEPT {
            break;
        }
        // `/rustc/<commit>/library/...`
        let text = if is_rustc(rest) { rest.get(..47) } else { crate_folder(rest) };
        let Some(text) = text.map(|text| String::from_utf8_lossy(text).into_owned()) else { continue };
        if !found.contains(&text) {
            found.push(text);
        }
    }
    found
}

fn is_rustc(rest: &[u8]) -> bool {
    let commit = rest.strip_prefix(b"/rustc/").and_then(|rest| rest.get(..40));
    commit.is_some_and(|commit| commit.iter().all(u8::is_ascii_hexdigit))
}

/// `axum-0.8.9` of `/axum-0.8.9/src/lib.rs`.
fn crate_folder(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.strip_prefix(b"/")?;
    let name = CRATES.iter().find(|name| rest.starts_with(name.as_bytes()))?;
    let version = rest.get(name.len()..)?.strip_prefix(b"-")?;
    let length = version.iter().take(LONGEST).position(|byte| *byte == b'/')?;
    if !version.first()?.is_ascii_digit() {
        return None;
    }
    rest.get(..name.len().checked_add(1)?.checked_add(length)?)
}

/// Symbols of the standard library and of telling crates.
pub(super) fn symbols(data: Data<'_, '_>, section: Option<Range>) -> Vec<String> {
    let mut found = Vec::new();
    let Some(range) = section else { return found };
    for index in 0..SAMPLES {
        let start = range.size / (SAMPLES + 1) * (index + 1);
        let size = range.size.saturating_sub(start).min(SAMPLE);
        let Some(bytes) = range.offset.checked_add(start).and_then(|at| data.bytes(at, size)) else { continue };
        // The first and the last are cut.
        for name in bytes.split(|byte| *byte == 0).skip(1).filter(|name| is_telling(name)) {
            if found.len() < KEPT {
                found.push(String::from_utf8_lossy(name.get(..LONGEST).unwrap_or(name)).into_owned());
            }
        }
    }
    found
}

fn is_telling(name: &[u8]) -> bool {
    const STANDARD: &[&[u8]] = &[b"rust_panic", b"__rust_", b"_ZN3std2rt10lang_start"];
    let is_crate = |name: &[u8]| MANGLED.iter().any(|(mangled, _)| name.starts_with(mangled));
    if let Some(rest) = name.strip_prefix(b"_ZN") {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        // An implementation for a type of the crate.
        let of_type = rest.get(digits..).and_then(|rest| rest.strip_prefix(b"_$LT$"));
        if is_crate(rest) || of_type.is_some_and(|name| MANGLED.iter().any(|(_, plain)| name.starts_with(plain))) {
            return true;
        }
    }
    let underscores = || name.iter().enumerate().filter(|(_, byte)| **byte == b'_').map(|(at, _)| at);
    let is_new = name.starts_with(b"_R") && underscores().any(|at| name.get(at + 1..).is_some_and(is_crate));
    is_new || STANDARD.iter().any(|start| name.starts_with(start))
}
