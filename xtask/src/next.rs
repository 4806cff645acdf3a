//! The next version, for tests of upgrades: a copy of the sources with the version raised by one minor and one field more in the custom resource. What is
//! built of it are programs of its own; crates of others are built once for both.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    error::Error,
    image,
    loaders::{self, Kept},
    say,
    workspace::Workspace,
};

/// What is copied: what images are built of. Everything else is not looked at by cargo.
const COPIED: [&str; 8] = [
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "NOTICE",
    "benches",
    "deploy/images",
    "tests/loaders/requirements.txt",
    "xtask",
];
/// What the build itself puts beside the sources.
const BUILT: &str = "obtrace-loaders/dist";
/// Where else than in Cargo's files the version is written.
const VERSIONED: [&str; 7] = [
    "obtrace-loaders/dotnet/src/Resource.cs",
    "obtrace-loaders/java/agent/io/obtrace/zero/agent/Settings.java",
    "obtrace-loaders/nodejs/package-lock.json",
    "obtrace-loaders/nodejs/package.json",
    "obtrace-loaders/php/files/obtrace_php/request.php",
    "obtrace-loaders/python/files/obtrace_python/__init__.py",
    "obtrace-loaders/ruby/files/obtrace_ruby/start.rb",
];
/// Where the custom resource is, and before which of its lines the new field comes.
const RESOURCE: (&str, &str) =
    ("obtrace-operator/src/crd.rs", "    /// Whether workloads that run already are restarted");
const FIELD: &str = "    /// What people say of this resource to each other.
    #[serde(default, skip_serializing_if = \"Option::is_none\")]
    pub remark: Option<String>,

";

/// What there is of the next version.
pub(crate) struct Next {
    /// `obtrace-zero`, not optimised: to link it for release takes longer than all that is done with it.
    pub(crate) program: PathBuf,
    /// The archive of the image with the loaders.
    pub(crate) agent: PathBuf,
}

/// Builds the next version. The program of this one has to be built again afterwards, which takes no time.
pub(crate) fn build(workspace: &Workspace) -> Result<Next, Error> {
    let next = copy(workspace)?;
    say::step(format_args!("{} beside {}", next.version, workspace.version));
    let made = Next { program: next.target.join("obtrace-zero"), agent: next.target.join("agent.tar") };
    image::agent(&next, Kept::Used)?.write(&made.agent)?;
    next.build_beside_tests(&["discover"]).env("CARGO_TARGET_DIR", &workspace.target).status()?;
    let built = workspace.target.join("debug/obtrace-zero");
    fs::copy(&built, &made.program).map_err(Error::file("copy", &built))?;
    Ok(made)
}

/// Brings the copy up to date. What is the same is not written again: cargo goes by the files' times.
fn copy(workspace: &Workspace) -> Result<Workspace, Error> {
    let (version, raised) = (&workspace.version, raised(&workspace.version)?);
    let target = workspace.target.join("next");
    let root = target.join("source");
    let paths = sources(workspace)?;
    for path in &paths {
        let from = workspace.path(&path.to_string_lossy());
        let bytes = fs::read(&from).map_err(Error::file("read", &from))?;
        let bytes = match edited(path, &bytes, version, &raised) {
            None => bytes,
            Some(text) if text.as_bytes() != bytes => text.into_bytes(),
            Some(_) => return Err(Error::Wrong(format!("{} does not name {version}", path.display()))),
        };
        let to = root.join(path);
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        let folder = to.parent().unwrap_or(&root);
        fs::create_dir_all(folder).map_err(Error::file("make", folder))?;
        fs::write(&to, bytes).map_err(Error::file("write", &to))?;
    }
    for path in loaders::files(&root)?.iter().filter(|path| !paths.contains(*path) && !path.starts_with(BUILT)) {
        fs::remove_file(root.join(path)).map_err(Error::file("remove", root.join(path)))?;
    }
    Ok(Workspace {
        root,
        version: raised,
        target,
        statics: workspace.statics.clone(),
        cache: workspace.cache.clone(),
        packages: Vec::new(),
    })
}

/// The files that are copied, relative to the root.
fn sources(workspace: &Workspace) -> Result<BTreeSet<PathBuf>, Error> {
    let ours = workspace.packages.iter().map(|package| package.name.as_str());
    // One lies in another folder than its name says, which is named.
    let ours = ours.filter(|name| name.starts_with("obtrace-") && workspace.path(name).is_dir());
    let mut found = BTreeSet::new();
    for name in COPIED.into_iter().chain(ours) {
        if workspace.path(name).is_file() {
            found.insert(name.into());
            continue;
        }
        let files = loaders::files(&workspace.path(name))?;
        found.extend(files.into_iter().map(|path| Path::new(name).join(path)).filter(|path| !path.starts_with(BUILT)));
    }
    Ok(found)
}

/// What a file is in the next version, if it is to be another.
fn edited(path: &Path, bytes: &[u8], version: &str, raised: &str) -> Option<String> {
    let text = || String::from_utf8_lossy(bytes);
    let name = path.to_str()?;
    let assigned = |text: &str| text.replace(&format!("version = \"{version}\""), &format!("version = \"{raised}\""));
    match name {
        "Cargo.toml" => Some(of_lines(&text(), |line| {
            if line.starts_with("version =") || line.starts_with("obtrace-") { assigned(line) } else { line.to_owned() }
        })),
        // Packages of others have a source.
        "Cargo.lock" => Some(
            text()
                .split("[[package]]")
                .map(|package| if package.contains("\nsource =") { package.to_owned() } else { assigned(package) })
                .collect::<Vec<_>>()
                .join("[[package]]"),
        ),
        _ if name == RESOURCE.0 => Some(text().replacen(RESOURCE.1, &format!("{FIELD}{}", RESOURCE.1), 1)),
        _ if VERSIONED.contains(&name) => Some(text().replace(version, raised)),
        _ => None,
    }
}

fn of_lines(text: &str, change: impl Fn(&str) -> String) -> String {
    text.split_inclusive('\n').map(change).collect()
}

/// The version with one minor more.
fn raised(version: &str) -> Result<String, Error> {
    let mut numbers = version.split('.');
    match (numbers.next(), numbers.next().and_then(|minor| minor.parse::<u32>().ok())) {
        (Some(major), Some(minor)) => Ok(format!("{major}.{}.0", minor.saturating_add(1))),
        _ => Err(Error::Wrong(format!("{version} is no version"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each file that has to be another in the next version is one: they say their version, or have the line, as they stand.
    #[test]
    fn every_file_that_names_the_version_is_raised() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let (version, raised) = (env!("CARGO_PKG_VERSION"), raised(env!("CARGO_PKG_VERSION")).unwrap());
        for name in VERSIONED.into_iter().chain(["Cargo.toml", "Cargo.lock", RESOURCE.0]) {
            let before = fs::read_to_string(root.join(name)).unwrap();
            let after = edited(Path::new(name), before.as_bytes(), version, &raised).unwrap();
            assert_ne!(before, after, "{name}");
        }
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.2.3\"\nsource = \"r\"\n\n[[package]]\nname = \"b\"\nversion = \"1.2.3\"\n";
        let after = edited(Path::new("Cargo.lock"), lock.as_bytes(), "1.2.3", "1.3.0").unwrap();
        assert_eq!(after, lock.replace("\"b\"\nversion = \"1.2.3\"", "\"b\"\nversion = \"1.3.0\""));
    }
}
