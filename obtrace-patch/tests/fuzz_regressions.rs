//! Runs what fuzzing once found (`fuzz/regressions/<target>/`) and some hundred changed Pods and commands through the fuzz targets'
//! checks, without a fuzzer.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::{fs, path::Path};

#[path = "../../fuzz/injection.rs"]
mod injection;

const TARGETS: [&str; 4] = ["command", "image", "plan", "pod"];

#[test]
fn kept_regressions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/regressions");
    for target in TARGETS {
        let Ok(files) = fs::read_dir(folder.join(target)) else { continue };
        for file in files {
            let path = file.unwrap().path();
            println!("{}", path.display());
            injection::run(target, &fs::read(path).unwrap());
        }
    }
}

#[test]
fn changed_inputs() {
    let texts = [
        r#"{"metadata":{"name":"a","labels":{"app":"b"}},"spec":{"containers":[{"name":"c","image":"node:22","env":[{"name":"NODE_OPTIONS","value":"-r x"}]}]}}"#,
        r#"{"spec":{"containers":[{"name":"c","image":"python:3.12","volumeMounts":[]},{"name":"d","image":"golang","env":null}],"volumes":null}}"#,
        "sh\n-c\n\ncd /app && exec gunicorn shop.wsgi",
        "bundle\nexec\npuma\n\n-C\nconfig.rb",
        "registry.example:5000/shop/web-node:1.4@sha256:00",
    ];
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed as usize % below
    };
    for _ in 0..400 {
        let mut data = texts[random(texts.len())].as_bytes().to_vec();
        for _ in 0..random(3) {
            let at = random(data.len());
            data[at] = random(128) as u8;
        }
        for target in TARGETS {
            injection::run(target, &data);
        }
        data.insert(0, random(256) as u8);
        injection::run("plan", &data);
    }
}
