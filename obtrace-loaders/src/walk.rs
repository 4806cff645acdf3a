//! The files below a folder. `build.rs` uses it, too.

use std::{fs, io, path::Path};

/// The paths of all files below a folder, relative to it, with slashes, sorted. What Python leaves behind and hidden files are
/// passed over.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    collect(folder, "", &mut found)?;
    found.sort();
    Ok(found)
}

fn collect(folder: &Path, prefix: &str, found: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a file's name is no UTF-8"));
        };
        if name.starts_with('.') || name == "__pycache__" || name.ends_with(".pyc") {
            continue;
        }
        let path = format!("{prefix}{name}");
        // Of what a link points to, not of the link.
        if fs::metadata(entry.path())?.is_dir() {
            collect(&entry.path(), &format!("{path}/"), found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}
