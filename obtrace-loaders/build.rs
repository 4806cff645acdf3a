//! Makes the table of the embedded loaders: each file with its size and checksum.

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use sha2::{Digest as _, Sha256};

#[path = "src/walk.rs"]
mod walk;

/// Language, its variant, where its files are.
const LOADERS: [(&str, &str, &str); 5] = [
    ("nodejs", "NodeJs", "dist/nodejs"),
    ("python", "Python", "python/files"),
    ("dotnet", "DotNet", "dist/dotnet"),
    ("php", "Php", "php/files"),
    ("ruby", "Ruby", "ruby/files"),
];

fn main() -> ExitCode {
    match write_table() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={error}");
            ExitCode::FAILURE
        }
    }
}

fn write_table() -> Result<(), String> {
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?).join("embedded.rs");
    println!("cargo::rerun-if-changed=build.rs");
    let mut table = String::from("static EMBEDDED: &[Embedded] = &[\n");
    if env::var_os("CARGO_FEATURE_EMBEDDED").is_some() {
        // `dist` is there in a checkout, empty: a loader that is built into it later is seen.
        watch(&folder.join("dist"));
        for (language, variant, files) in LOADERS {
            let files = folder.join(files);
            if files.is_dir() {
                watch(&files);
                let entry = embed(&files, variant).map_err(|error| format!("{language}: {error}"))?;
                table.push_str(&entry);
            }
        }
    }
    table.push_str("];\n");
    fs::write(&out, table).map_err(|error| format!("{}: {error}", out.display()))
}

/// A path that does not exist would have this run in every build.
fn watch(path: &Path) {
    if path.exists() {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

/// The entry of a loader, as Rust code.
fn embed(folder: &Path, variant: &str) -> Result<String, String> {
    let mut code = format!("    Embedded {{ language: Language::{variant}, files: &[\n");
    let names = walk::files(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    // A manifest is made of what is embedded; one that lies there belongs to the folder.
    for name in names.iter().filter(|name| !name.ends_with(".manifest")) {
        let path = folder.join(name);
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let checksum: [u8; 32] = Sha256::digest(&bytes).into();
        writeln!(
            code,
            "        EmbeddedFile {{ path: {name:?}, sha256: {checksum:?}, bytes: include_bytes!({path:?}) }},"
        )
        .map_err(|error| error.to_string())?;
    }
    code.push_str("    ] },\n");
    Ok(code)
}
