//! The agent's image: the loaders, what copies them, and a shell.

use std::{fs, path::Path};

use obtrace_loaders::{LANGUAGES, Language};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{licenses, oci::Image, tar::Tree};
use crate::{
    error::Error,
    loaders::{self, Kept},
    setup::{self, Need},
    workspace::Workspace,
};

/// Without a version.
const NAME: &str = "ghcr.io/obtrace/obtrace-zero-agent";
const VERSION: &str = env!("CARGO_PKG_VERSION");
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
/// Any number that is not root's; a Pod may set another.
const USER: &str = "65532:65532";

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
    Image::new(format!("{NAME}:{VERSION}"), config(), layers)
}

/// What it runs with.
fn config() -> Value {
    json!({
        "User": USER,
        "Env": ["PATH=/bin:/"],
        "Entrypoint": ["/obtrace-loaders"],
        "Cmd": ["--help"],
        "WorkingDir": "/",
        "Labels": {
            "org.opencontainers.image.title": "obtrace-zero-agent",
            "org.opencontainers.image.description": "The loaders of Obtrace Zero and what copies them into a Pod's volume",
            "org.opencontainers.image.version": VERSION,
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
    licenses::collect(workspace, &version, &mut tree)?;
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
    let lock = workspace.path(BUSYBOX_LOCK);
    let text = fs::read_to_string(&lock).map_err(Error::file("read", &lock))?;
    let line = text.lines().find_map(|line| line.strip_prefix(std::env::consts::ARCH));
    let mut words = line.unwrap_or_default().split_whitespace();
    let (Some(version), Some(checksum)) = (words.next(), words.next()) else {
        return Err(Error::Cannot(format!("{BUSYBOX_LOCK} names no busybox for {}", std::env::consts::ARCH)));
    };
    let bytes = fs::read(BUSYBOX).map_err(Error::file("read", BUSYBOX))?;
    let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if found == checksum {
        return Ok(version.to_owned());
    }
    Err(Error::Wrong(format!(
        "{BUSYBOX} is not that of busybox-static {version} (SHA-256 {found}): install that version, or bring \
         {BUSYBOX_LOCK} up to date"
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    const DOCKERFILE: &str = include_str!("../../../deploy/images/agent/Dockerfile");

    /// The instructions, each with what it says on one line.
    fn instructions() -> Vec<(String, String)> {
        let lines = DOCKERFILE.lines().filter(|line| !line.trim_start().starts_with('#'));
        let text = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
        let one = |line: &str| line.split_once(' ').map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()));
        text.lines().filter_map(one).collect()
    }

    /// `NAME=value` or `NAME="a value"`, several of them.
    fn pairs(text: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let mut rest = text;
        while let Some((name, value)) = rest.split_once('=') {
            let (value, after) = match value.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap(),
                None => value.split_once(' ').unwrap_or((value, "")),
            };
            found.push((name.trim().to_owned(), value.to_owned()));
            rest = after;
        }
        found
    }

    /// An engine's image runs with what the other one runs with.
    #[test]
    fn the_dockerfile_says_the_same() {
        let all = instructions();
        let last_stage = all.iter().rposition(|(name, _)| name == "FROM").unwrap();
        let mut said = Map::new();
        for (name, text) in &all[last_stage..] {
            let list = || serde_json::from_str::<Value>(text).unwrap();
            match name.as_str() {
                "USER" => said.insert("User".into(), text.as_str().into()),
                "WORKDIR" => said.insert("WorkingDir".into(), text.as_str().into()),
                "ENTRYPOINT" => said.insert("Entrypoint".into(), list()),
                "CMD" => said.insert("Cmd".into(), list()),
                "ENV" => said.insert("Env".into(), pairs(text).iter().map(|(n, v)| format!("{n}={v}")).collect()),
                "LABEL" => said.insert(
                    "Labels".into(),
                    Value::Object(pairs(text).into_iter().map(|(n, v)| (n, v.into())).collect()),
                ),
                "COPY" => {
                    assert_eq!(text, "--from=build /image/ /");
                    None
                }
                other => {
                    assert_eq!((other, text.as_str()), ("FROM", "scratch"));
                    None
                }
            };
        }
        assert_eq!(Value::Object(said), config());
    }

    /// The builder has the compiler that is used here, what `setup` would look for, and the busybox that is meant.
    #[test]
    fn the_dockerfiles_builder_has_what_is_needed() {
        let all = instructions();
        let run: Vec<_> = all.iter().filter(|(name, _)| name == "RUN").map(|(_, text)| text.as_str()).collect();
        let [install, build] = run[..] else { panic!("{run:?}") };
        let words: Vec<_> = install.split_whitespace().collect();
        for package in setup::packages_of(&[Need::AgentImage, Need::NodeLoader, Need::JavaLoader, Need::DotnetLoader]) {
            let is = |word: &&str| word.split('=').next() == Some(package);
            assert!(words.iter().any(is), "{package} is not installed: {install}");
        }
        let lock = include_str!("../../../deploy/images/agent/busybox.lock");
        let version = lock.lines().find_map(|line| line.strip_prefix("x86_64 ")?.split(' ').next()).unwrap();
        assert!(words.contains(&format!("busybox-static={version}").as_str()), "{version}: {install}");
        assert_eq!(build, "cargo xtask image agent --root /image");
        let (_, from) = &all[0];
        let compiler = from.strip_prefix("rust:").and_then(|rest| rest.strip_suffix("-bookworm AS build")).unwrap();
        let minimum = env!("CARGO_PKG_RUST_VERSION");
        let number = |text: &str| text.split('.').map(|part| part.parse().unwrap()).collect::<Vec<u32>>();
        assert!(number(compiler) >= number(minimum) && number(compiler).len() == 3, "{compiler} for {minimum}");
    }
}
