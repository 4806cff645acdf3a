//! What the compiler and its tools say about the crates.

use std::{fs, path::Path};

use super::report::Report;
use crate::{
    error::Error,
    workspace::{Package, Workspace},
};

pub(super) fn format(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    report.check("rustfmt", workspace.cargo(["fmt", "--all", "--check"]))?;
    if workspace.path("fuzz/Cargo.toml").exists() {
        report.check("rustfmt of fuzz", workspace.cargo(["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"]))?;
    }
    Ok(())
}

pub(super) fn lint(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    report.check(
        "clippy",
        workspace.cargo(["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"]),
    )
}

pub(super) fn docs(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    let run = workspace.cargo(["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "--deny warnings");
    report.check("rustdoc", run)
}

/// Every feature by itself, and none at all: features only add.
pub(super) fn features(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    for package in &workspace.packages {
        let check = || {
            workspace
                .cargo(["check", "--quiet", "--locked", "--no-default-features", "--package", package.name.as_str()])
                .env("RUSTFLAGS", "--deny warnings")
                // Other flags than usual: a folder of its own, or everything is built twice.
                .env("CARGO_TARGET_DIR", workspace.target.join("features"))
        };
        if package.library && !package.features.is_empty() {
            report.check(&format!("{} without features", package.name), check())?;
        }
        for feature in &package.features {
            report.check(&format!("{} with {feature} alone", package.name), check().args(["--features", feature]))?;
        }
    }
    Ok(())
}

/// A program without std that has its own panic handler cannot be linked with anything that brings std's, so
/// building one proves that neither the crate nor what it depends on does.
pub(super) fn no_std(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    const SOURCE: &str = "#![no_std]\n\
        extern crate alloc;\n\
        pub use {obtrace_detect::detect, obtrace_protocols::Connection};\n\
        #[panic_handler]\n\
        fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }\n\
        struct None;\n\
        unsafe impl core::alloc::GlobalAlloc for None {\n\
            unsafe fn alloc(&self, _: core::alloc::Layout) -> *mut u8 { core::ptr::null_mut() }\n\
            unsafe fn dealloc(&self, _: *mut u8, _: core::alloc::Layout) {}\n\
        }\n\
        #[global_allocator]\n\
        static ALLOCATOR: None = None;\n";
    let folder = workspace.target.join("no-std");
    let manifest = format!(
        "[package]\nname = \"no-std\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[lib]\npath = \"lib.rs\"\n\
         crate-type = [\"staticlib\"]\n\n[dependencies]\n\
         obtrace-detect = {{ path = {:?}, default-features = false, features = [\"oci\"] }}\n\
         obtrace-protocols = {{ path = {:?}, default-features = false }}\n\n\
         [profile.dev]\npanic = \"abort\"\n\n[workspace]\n",
        workspace.path("obtrace-detect"),
        workspace.path("obtrace-protocols")
    );
    write(&folder.join("Cargo.toml"), &manifest)?;
    write(&folder.join("lib.rs"), SOURCE)?;
    // The versions that the workspace has locked.
    let lock = folder.join("Cargo.lock");
    fs::copy(workspace.path("Cargo.lock"), &lock).map_err(Error::file("write", &lock))?;
    let run = workspace
        .cargo(["build", "--quiet", "--offline", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", folder.join("target"));
    report.check("obtrace-detect and obtrace-protocols without std", run)
}

pub(super) fn unit(workspace: &Workspace, report: &mut Report) -> Result<(), Error> {
    // The property tests try the same inputs in every run, so that a failure belongs to the change that is tested;
    // plain `cargo test` tries others each time.
    let tests = workspace.cargo(["test", "--workspace", "--locked", "--no-fail-fast"]).env("PROPTEST_RNG_SEED", "1");
    report.run_tests("cargo test", tests)?;
    for Package { name, .. } in workspace.packages.iter().filter(|package| package.library && package.published) {
        if !workspace.path(name).join("README.md").exists() {
            report.fail(name, "has no README.md");
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(Error::file("make", parent))?;
    }
    fs::write(path, text).map_err(Error::file("write", path))
}
