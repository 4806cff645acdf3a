//! Says where the BPF objects are.

fn main() {
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    let root = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    println!("cargo::rerun-if-changed=bpf");
    println!("cargo::rustc-env=OBTRACE_BPF_OBJECTS={root}/bpf/object/{arch}");
}
