//! Finds the BPF objects: those shipped with the crate, or, with `OBTRACE_BPF_BUILD=1`, fresh ones compiled from the C
//! below `bpf/` with clang-19 (`CLANG` names another).

use std::{env, error::Error, path::PathBuf, process::Command};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=OBTRACE_BPF_BUILD");
    println!("cargo::rerun-if-env-changed=CLANG");
    let arch = env::var("CARGO_CFG_TARGET_ARCH")?;
    if !matches!(arch.as_str(), "x86_64" | "aarch64") {
        return Err(format!("there are BPF objects for x86_64 and aarch64, not for {arch}").into());
    }
    let source = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("bpf");
    // The whole path: a checkout that was moved together with what it has built looks again.
    println!("cargo::rerun-if-changed={}", source.display());
    let objects = if env::var("OBTRACE_BPF_BUILD").is_ok_and(|v| v == "1") {
        let out = PathBuf::from(env::var("OUT_DIR")?);
        let status = Command::new("sh").arg(source.join("compile.sh")).arg(&arch).arg(&out).status()?;
        if !status.success() {
            return Err(
                "compiling the BPF programs failed (see above); unset OBTRACE_BPF_BUILD to use the shipped objects"
                    .into(),
            );
        }
        out
    } else {
        source.join("object").join(&arch)
    };
    println!("cargo::rustc-env=OBTRACE_BPF_OBJECTS={}", objects.display());
    Ok(())
}
