//! Where things are: the sources, cargo's target folder, the cache outside the sources.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{builds, command::Run, error::Error};

/// The checkout and the folders that go with it.
pub(crate) struct Workspace {
    /// The folder of the root `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Its version.
    pub(crate) version: String,
    /// Where cargo builds: in CI a folder that is [kept](builds).
    pub(crate) target: PathBuf,
    /// Where it builds what needs no shared libraries, and whose path is left out of that. A copy of the sources has those of what it is a copy of:
    /// other flags, or another folder, would have every crate of others built again.
    pub(crate) statics: (PathBuf, PathBuf),
    /// Where downloaded things are kept between runs: `OBTRACE_CACHE`, else `~/.cache/obtrace-zero`.
    pub(crate) cache: PathBuf,
    /// The packages of the workspace.
    pub(crate) packages: Vec<Package>,
}

/// A package of the workspace.
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Its features, without `default`.
    pub(crate) features: Vec<String>,
    /// Whether it is meant for a registry.
    pub(crate) published: bool,
    /// Whether it has a library.
    pub(crate) library: bool,
}

impl Workspace {
    /// Reads `cargo metadata`.
    pub(crate) fn open() -> Result<Self, Error> {
        let manifest_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest_dir.parent().unwrap_or(manifest_dir).to_path_buf();
        let text =
            Run::new(cargo()).args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(&root).capture()?;
        let wrong = |what: &str| Error::Wrong(format!("`cargo metadata` printed no {what}"));
        let metadata: serde_json::Value = serde_json::from_str(&text).map_err(|_| wrong("JSON"))?;
        let target = metadata["target_directory"].as_str().ok_or_else(|| wrong("target_directory"))?;
        let cache = cache_folder()?;
        let target = builds::folder(&root, &cache)?.unwrap_or_else(|| target.into());
        let packages = metadata["packages"].as_array().ok_or_else(|| wrong("packages"))?;
        let package = packages.iter().find(|package| package["name"] == env!("CARGO_PKG_NAME"));
        let version = package.and_then(|it| it["version"].as_str()).ok_or_else(|| wrong("version of xtask"))?;
        Ok(Self {
            version: version.to_owned(),
            statics: (target.join("static"), root.clone()),
            target,
            cache,
            packages: packages.iter().filter_map(Package::read).collect(),
            root,
        })
    }

    /// A path below the root.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// `cargo` with the root as its working folder. In CI without what only a build after another change would use, and which
    /// takes gigabytes.
    pub(crate) fn cargo<const N: usize>(&self, arguments: [&str; N]) -> Run {
        let run = Run::new(cargo()).args(arguments).current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        if env::var_os("CI").is_some() { run.env("CARGO_INCREMENTAL", "0") } else { run }
    }

    /// Builds the agent for release and tells where it is.
    pub(crate) fn build_agent(&self) -> Result<PathBuf, Error> {
        self.cargo(["build", "--release", "--locked", "--package", "obtrace-agent"]).status()?;
        Ok(self.target.join("release/obtrace-agent"))
    }

    /// Builds `obtrace-zero`, not optimised, and tells where it is.
    pub(crate) fn build_obtrace_zero(&self) -> Result<PathBuf, Error> {
        self.build_beside_tests(&["discover"]).status()?;
        Ok(self.target.join("debug/obtrace-zero"))
    }

    /// Builds `obtrace-zero` and these examples of any package, not optimised, with the features that the whole workspace asks
    /// for: so they are what `cargo test --workspace` has built. An example has to be among them, or cargo leaves out what only
    /// tests ask for, and builds hundreds of crates once more.
    pub(crate) fn build_beside_tests(&self, examples: &[&str]) -> Run {
        let examples = examples.iter().flat_map(|name| ["--example", name]);
        self.cargo(["build", "--locked", "--workspace", "--bin", "obtrace-zero"]).args(examples)
    }

    /// Builds a program for release without a need for shared libraries, the same bytes every time, and tells where it is. It is one of these packages;
    /// the crates of others that several of them have are built once, with what all of them ask for.
    pub(crate) fn build_static(&self, packages: &[&str], program: &str, features: &[&str]) -> Result<PathBuf, Error> {
        let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
        if find_program("cc").is_none() {
            return Err(Error::Cannot("needs a C compiler as the linker, and the static libraries of glibc".into()));
        }
        // The same bytes wherever the sources and those of the dependencies lie.
        let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
        let (folder, root) = &self.statics;
        // Who builds others at the same time is not waited for.
        let folder = folder.join(packages.join("+"));
        let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned(), "-Cstrip=symbols".to_owned()];
        if packs_relocations() {
            flags.push("-Clink-arg=-Wl,-z,pack-relative-relocs".to_owned());
        }
        flags.push(format!("--remap-path-prefix={}=/source", root.display()));
        flags.extend(home.map(|home| format!("--remap-path-prefix={}=/cargo", home.display())));
        self.cargo(["build", "--release", "--locked", "--bin", program, "--target", &target])
            .args(packages.iter().flat_map(|package| ["--package", package]))
            .args(["--features", &features.join(",")])
            // A folder of its own: other flags would have everything built anew in turn.
            .env("CARGO_TARGET_DIR", &folder)
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            .status()?;
        Ok(folder.join(target).join("release").join(program))
    }
}

/// Whether the C library applies packed relative relocations: glibc does from 2.36 on. They take a hundredth of the plain ones, all of which a
/// position-independent program reads when it starts: 0.7 MB of the agent's memory.
fn packs_relocations() -> bool {
    let version = Run::new("getconf").arg("GNU_LIBC_VERSION").capture().unwrap_or_default();
    let mut numbers = version.trim().trim_start_matches("glibc ").split('.').map(|number| number.parse::<u32>().ok());
    matches!((numbers.next().flatten(), numbers.next().flatten()), (Some(major), Some(minor)) if (major, minor) >= (2, 36))
}

impl Package {
    fn read(package: &serde_json::Value) -> Option<Self> {
        let targets = package["targets"].as_array()?;
        Some(Self {
            name: package["name"].as_str()?.to_owned(),
            features: package["features"].as_object()?.keys().filter(|name| *name != "default").cloned().collect(),
            // `null` means any registry, a list of none means `publish = false`.
            published: package["publish"].as_array().is_none_or(|registries| !registries.is_empty()),
            library: targets
                .iter()
                .any(|target| target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "lib"))),
        })
    }
}

fn cargo() -> String {
    env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

fn cache_folder() -> Result<PathBuf, Error> {
    let folder = match env::var_os("OBTRACE_CACHE").filter(|value| !value.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => {
            // Falls back to the password file where HOME is not set.
            let home = || env::home_dir().filter(|home| !home.as_os_str().is_empty()).map(|home| home.join(".cache"));
            env::var_os("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .or_else(home)
                .ok_or_else(|| Error::Cannot("none of OBTRACE_CACHE, XDG_CACHE_HOME and HOME is set".into()))?
                .join("obtrace-zero")
        }
    };
    fs::create_dir_all(&folder).map_err(Error::file("make", &folder))?;
    Ok(folder)
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The first folder of `PATH`, or of the folders only root has there, that holds `program`.
pub(crate) fn find_program(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
