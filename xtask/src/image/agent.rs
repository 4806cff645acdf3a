//! The agent's image: the loaders, what copies them, and a shell.

use std::{fs, path::Path};

use obtrace_loaders::{LANGUAGES, Language};
use serde_json::{Value, json};

use super::{USER, licenses, oci::Image, tar::Tree};
use crate::{
    error::Error,
    loaders::{self, Kept},
    setup::{self, Need},
    workspace::Workspace,
};

/// Without a version.
const NAME: &str = "ghcr.io/obtrace/obtrace-zero-agent";
const BUSYBOX: &str = "/bin/busybox";
/// Which busybox is meant: package version and checksum, an architecture a line.
const BUSYBOX_LOCK: &str = "deploy/images/agent/busybox.lock";
/// What a person, or `sh -c "cp -r ..."`, needs.
const APPLETS: [&str; 16] = [
    "cat",
    "chmod",
    "cp",
    "echo",
    "env",
    "find",
    "id",
    "ls",
    "mkdir",
    "mv",
    "rm",
    "sh",
    "sha256sum",
    "sleep",
    "test",
    "true",
];

/// Builds everything that is in it, and the image.
pub(crate) fn agent(workspace: &Workspace, kept: Kept) -> Result<Image, Error> {
    setup::packages(&[Need::AgentImage])?;
    let files = loaders::build(workspace, &LANGUAGES, kept)?;
    let program = loaders::build_static(workspace)?;
    let mut layers = vec![("busybox, obtrace-loaders, licenses".to_owned(), base(workspace, &program)?)];
    // A layer each: a change to one is not a change to all.
    for language in LANGUAGES {
        layers.push((format!("the loader of {language}"), loader(language, &files.join(language.as_str()))?));
    }
    Image::new(format!("{NAME}:{}", workspace.version), config(&workspace.version), layers)
}

/// What it runs with.
fn config(version: &str) -> Value {
    json!({
        "User": USER,
        "Env": ["PATH=/bin:/"],
        "Entrypoint": ["/obtrace-loaders"],
        "Cmd": ["--help"],
        "WorkingDir": "/",
        "Labels": {
            "org.opencontainers.image.title": "obtrace-zero-agent",
            "org.opencontainers.image.description": "The loaders of Obtrace Zero and what copies them into a Pod's volume",
            "org.opencontainers.image.version": version,
            "org.opencontainers.image.source": env!("CARGO_PKG_REPOSITORY"),
            "org.opencontainers.image.licenses": "Apache-2.0 AND GPL-2.0-only",
        },
    })
}

fn base(workspace: &Workspace, program: &Path) -> Result<Tree, Error> {
    let mut tree = Tree::default();
    tree.copy(program, "obtrace-loaders", 0o755)?;
    let version = pinned_busybox(workspace)?;
    tree.copy(Path::new(BUSYBOX), "bin/busybox", 0o755)?;
    for applet in APPLETS {
        tree.link(&format!("bin/{applet}"), "busybox");
    }
    tree.file("etc/passwd", 0o644, "root:x:0:0:root:/:/bin/sh\nnonroot:x:65532:65532:nonroot:/:/bin/sh\n");
    tree.file("etc/group", 0o644, "root:x:0:\nnonroot:x:65532:\n");
    // Mounted over in a Pod; there for who tries the image by hand.
    tree.folder("obtrace", 0o777);
    tree.folder("tmp", 0o1777);
    licenses::of_program(workspace, &["obtrace-loaders"], &[], "obtrace-loaders", &mut tree)?;
    // Those of what is bundled into the loaders of Node.js and Java lie in these loaders' own folders or archives.
    licenses::of_busybox(&version, &mut tree)?;
    Ok(tree)
}

fn loader(language: Language, folder: &Path) -> Result<Tree, Error> {
    let mut tree = Tree::default();
    for path in loaders::files(folder)? {
        tree.copy(&folder.join(&path), &format!("agent/{language}/{}", path.display()), 0o644)?;
    }
    Ok(tree)
}

/// The version of the package that this machine's busybox is of; it has to be the one that is meant.
fn pinned_busybox(workspace: &Workspace) -> Result<String, Error> {
    let bytes = fs::read(BUSYBOX).map_err(Error::file("read", BUSYBOX))?;
    super::pinned(workspace, BUSYBOX_LOCK, std::env::consts::ARCH, (BUSYBOX, "busybox-static"), &bytes)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{VERSION, dockerfile::Dockerfile},
        *,
    };

    const DOCKERFILE: &str = include_str!("../../../deploy/images/agent/Dockerfile");

    /// An engine's image runs with what the other one runs with.
    #[test]
    fn the_dockerfile_says_the_same() {
        assert_eq!(Dockerfile::parse(DOCKERFILE).config(), config(VERSION));
    }

    /// The builder has the compiler that is used here, what `setup` would look for, and the busybox that is meant.
    #[test]
    fn the_dockerfiles_builder_has_what_is_needed() {
        let dockerfile = Dockerfile::parse(DOCKERFILE);
        let words = dockerfile.check_builder("cargo xtask image agent --root /image");
        for package in setup::packages_of(&[Need::AgentImage, Need::NodeLoader, Need::JavaLoader, Need::DotnetLoader]) {
            let is = |word: &&String| word.split('=').next() == Some(package);
            assert!(words.iter().any(|word| is(&word)), "{package} is not installed: {words:?}");
        }
        let lock = include_str!("../../../deploy/images/agent/busybox.lock");
        let version = lock.lines().find_map(|line| line.strip_prefix("x86_64 ")?.split(' ').next()).unwrap();
        assert!(words.contains(&format!("busybox-static={version}")), "{version}: {words:?}");
    }
}
