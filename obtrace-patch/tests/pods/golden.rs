//! Golden Pods: `testdata/golden/<case>` holds a manifest before and after, the settings with the reason why the case is
//! there (`why`), and what the plan says; `reverted.json` where undoing does not give the manifest before.
//!
//! `OBTRACE_GOLDEN_WRITE=1` writes `after.json` and `plan.txt` anew; read what comes out before it is committed.

use std::{fs, path::Path};

use serde_json::Value;

use crate::support::{apply, patch_of, reverted, settings, without_empty};

/// The fewest cases there may be: an empty folder must not pass.
const CASES: usize = 69;

fn read(path: &Path) -> Value {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn check(case: &Path, write: bool) -> Result<(), String> {
    let before = read(&case.join("before.json"));
    let given = read(&case.join("settings.json"));
    if given["why"].as_str().is_none_or(|why| why.len() < 10) {
        return Err("no reason why the case is there".to_owned());
    }
    let settings = settings(&given);
    let (patch, says) = patch_of(&before, &settings);
    let after = apply(&before, &patch);
    if write {
        fs::write(case.join("after.json"), serde_json::to_string_pretty(&after).unwrap() + "\n").unwrap();
        fs::write(case.join("plan.txt"), &says).unwrap();
    }
    if after != read(&case.join("after.json")) {
        return Err(format!("another result: {}", serde_json::to_string_pretty(&after).unwrap()));
    }
    if says != fs::read_to_string(case.join("plan.txt")).unwrap() {
        return Err(format!("another plan: {says}"));
    }
    let again = patch_of(&after, &settings).0;
    if !again.is_empty() {
        return Err(format!("not idempotent: {}", String::from_utf8_lossy(again.as_json())));
    }
    if !before.to_string().contains("obtrace.io/injected") {
        let unmarked = without_mark(&after);
        let again = patch_of(&unmarked, &settings).0;
        if !again.is_empty() {
            return Err(format!("not idempotent without its mark: {}", String::from_utf8_lossy(again.as_json())));
        }
        // What was half there before is not put back in halves.
        let half = case.join("reverted.json");
        let expected = if half.exists() { read(&half) } else { before };
        let undone = reverted(&after);
        if without_empty(&undone) != without_empty(&expected) {
            return Err(format!("reverting gives {}", serde_json::to_string_pretty(&undone).unwrap()));
        }
    }
    Ok(())
}

/// The document without the annotation that says it is done.
fn without_mark(document: &Value) -> Value {
    let mut document = document.clone();
    for prefix in ["", "/spec/template", "/spec/jobTemplate/spec/template"] {
        if let Some(Value::Object(annotations)) = document.pointer_mut(&format!("{prefix}/metadata/annotations")) {
            annotations.remove("obtrace.io/injected");
        }
    }
    document
}

#[test]
fn every_case_comes_out_as_written_down_once_and_can_be_undone() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/golden");
    let mut cases: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= CASES, "{} cases", cases.len());
    let write = std::env::var_os("OBTRACE_GOLDEN_WRITE").is_some();
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| check(case, write).err().map(|why| format!("{}: {why}", case.display())))
        .collect();
    assert!(failures.is_empty(), "{} of {} cases:\n{}", failures.len(), cases.len(), failures.join("\n"));
}
