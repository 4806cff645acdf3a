//! The licences of everything that is in an image, below `/licenses`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::tar::Tree;
use crate::{error::Error, workspace::Workspace};

/// Ours, the C library's that a static program has in it, and those of the crates that are linked into `packages`, which are
/// built together: each may have crates because another asks for a feature.
pub(super) fn of_program(
    workspace: &Workspace,
    packages: &[&str],
    features: &[&str],
    program: &str,
    tree: &mut Tree,
) -> Result<(), Error> {
    for name in ["LICENSE", "NOTICE"] {
        tree.copy(&workspace.path(name), &format!("licenses/obtrace-zero/{name}"), 0o644)?;
    }
    tree.copy(Path::new("/usr/share/doc/libc6/copyright"), "licenses/glibc/copyright", 0o644)?;
    tree.copy(Path::new("/usr/share/common-licenses/LGPL-2.1"), "licenses/glibc/LGPL-2.1", 0o644)?;
    tree.file(
        "licenses/glibc/SOURCE",
        0o644,
        format!(
            "/{program} is linked with glibc statically. Its own source, with which it can be linked with another glibc, is\n\
             that of Obtrace Zero; glibc's is Debian's source package glibc.\n"
        ),
    );
    for Crate { name, folder, license } in crates(workspace, packages, features)? {
        let mut found = false;
        for entry in fs::read_dir(&folder).map_err(Error::file("read", &folder))?.flatten() {
            let file = entry.file_name().to_string_lossy().into_owned();
            let upper = file.to_ascii_uppercase();
            if ["LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT"].iter().any(|word| upper.starts_with(word))
                && entry.path().is_file()
            {
                tree.copy(&entry.path(), &format!("licenses/rust/{name}/{file}"), 0o644)?;
                found = true;
            }
        }
        if !found && license.as_deref() == Some("Apache-2.0") {
            // Its package leaves the text out; it is the same for everybody, and ours.
            tree.copy(&workspace.path("LICENSE"), &format!("licenses/rust/{name}/LICENSE"), 0o644)?;
        } else if !found {
            return Err(Error::Wrong(format!("{name} has no licence in {}", folder.display())));
        }
    }
    Ok(())
}

/// Those of the shell.
pub(super) fn of_busybox(version: &str, tree: &mut Tree) -> Result<(), Error> {
    tree.copy(Path::new("/usr/share/common-licenses/GPL-2"), "licenses/busybox/GPL-2", 0o644)?;
    tree.copy(Path::new("/usr/share/doc/busybox-static/copyright"), "licenses/busybox/copyright", 0o644)?;
    tree.file(
        "licenses/busybox/SOURCE",
        0o644,
        format!(
            "/bin/busybox is that of Debian's package busybox-static {version}, unchanged. Its complete source is Debian's source\n\
             package busybox of that version: https://snapshot.debian.org/package/busybox/. For three years after an image was\n\
             published, its publisher gives the source to anybody who asks for it.\n"
        ),
    );
    Ok(())
}

/// Those of the certificates.
pub(super) fn of_certificates(tree: &mut Tree) -> Result<(), Error> {
    tree.copy(Path::new("/usr/share/doc/ca-certificates/copyright"), "licenses/ca-certificates/copyright", 0o644)?;
    tree.copy(Path::new("/usr/share/common-licenses/MPL-2.0"), "licenses/ca-certificates/MPL-2.0", 0o644)
}

/// A crate with the folder of its sources and the licence that it names.
#[derive(Eq, Ord, PartialEq, PartialOrd)]
struct Crate {
    name: String,
    folder: PathBuf,
    license: Option<String>,
}

/// The crates that are linked into the programs of packages, but for our own.
fn crates(workspace: &Workspace, packages: &[&str], features: &[&str]) -> Result<Vec<Crate>, Error> {
    let listed = workspace
        .cargo(["tree", "--edges", "normal,no-proc-macro", "--prefix", "none"])
        .args(packages.iter().flat_map(|package| ["--package", package]))
        .args(["--format", "{p}", "--locked", "--features", &features.join(",")])
        .capture()?;
    let text = workspace.cargo(["metadata", "--format-version", "1", "--locked"]).capture()?;
    let metadata: serde_json::Value =
        serde_json::from_str(&text).map_err(|_| Error::Wrong("`cargo metadata` printed no JSON".into()))?;
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut found = Vec::new();
    for line in listed.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        let version = version.trim_start_matches('v');
        let package = packages.iter().find(|package| package["name"] == name && package["version"] == version);
        let manifest = package.and_then(|package| package["manifest_path"].as_str()).map(PathBuf::from);
        let folder = manifest.as_deref().and_then(Path::parent).map(Path::to_path_buf);
        let Some(folder) = folder.filter(|folder| !folder.starts_with(&workspace.root)) else { continue };
        let license = package.and_then(|package| package["license"].as_str()).map(str::to_owned);
        found.push(Crate { name: format!("{name}-{version}"), folder, license });
    }
    found.sort();
    found.dedup();
    Ok(found)
}
