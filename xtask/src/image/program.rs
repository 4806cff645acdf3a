//! Images of one static program: the operator, and the agent that observes from the kernel.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{USER, licenses, oci::Image, tar::Tree};
use crate::{
    error::Error,
    setup::{self, Need},
    workspace::Workspace,
};

/// Where Debian's package has Mozilla's certificates, a file each.
const CERTIFICATES: &str = "/usr/share/ca-certificates/mozilla";
/// Which certificates are meant: package version and checksum.
const CERTIFICATES_LOCK: &str = "deploy/images/ca-certificates.lock";

/// An image of one program.
pub(crate) struct Program {
    /// The image's name, without registry and version.
    name: &'static str,
    description: &'static str,
    package: &'static str,
    binary: &'static str,
    features: &'static [&'static str],
    user: &'static str,
    /// What it does if nothing else is asked for.
    arguments: &'static [&'static str],
}

/// The operator: needs nothing but the network, and is nobody in particular.
pub(crate) const OPERATOR: Program = Program {
    name: "obtrace-zero",
    description: "The operator of Obtrace Zero: admission, discovery, installation",
    package: "obtrace-operator",
    binary: "obtrace-zero",
    features: &[],
    user: USER,
    arguments: &["--help"],
};

/// The agent that observes from the kernel: root, since a container's capabilities are root's alone.
pub(crate) const EBPF: Program = Program {
    name: "obtrace-zero-ebpf",
    description: "The agent of Obtrace Zero that observes a Pod or a node from the kernel",
    package: "obtrace-agent",
    binary: "obtrace-agent",
    features: &["kubernetes"],
    user: "0:0",
    arguments: &["run"],
};

/// They are built as one set, each with the features that both ask for: both have a client of Kubernetes' API in them, and most of what that needs.
const PROGRAMS: [&Program; 2] = [&OPERATOR, &EBPF];

/// The packages of [`PROGRAMS`], and their features as cargo has them for several packages.
fn built() -> ([&'static str; 2], String) {
    let of =
        |program: &&Program| program.features.iter().map(|it| format!("{}/{it}", program.package)).collect::<Vec<_>>();
    (PROGRAMS.map(|program| program.package), PROGRAMS.iter().flat_map(of).collect::<Vec<_>>().join(","))
}

impl Program {
    /// Builds the program alone.
    pub(crate) fn build(&self, workspace: &Workspace) -> Result<PathBuf, Error> {
        let (packages, features) = built();
        workspace.build_static(&packages, self.binary, &[&features])
    }

    /// Builds the program and its image.
    pub(crate) fn image(&self, workspace: &Workspace) -> Result<Image, Error> {
        setup::packages(&[Need::ProgramImage])?;
        let program = self.build(workspace)?;
        let mut certificates = Tree::default();
        certificates.file("etc/ssl/certs/ca-certificates.crt", 0o644, pinned_certificates(workspace)?);
        licenses::of_certificates(&mut certificates)?;
        let mut tree = Tree::default();
        tree.copy(&program, self.binary, 0o755)?;
        tree.file(
            "etc/passwd",
            0o644,
            "root:x:0:0:root:/:/nonexistent\nnonroot:x:65532:65532:nonroot:/:/nonexistent\n",
        );
        tree.file("etc/group", 0o644, "root:x:0:\nnonroot:x:65532:\n");
        let (packages, features) = built();
        licenses::of_program(workspace, &packages, &[&features], self.binary, &mut tree)?;
        let layers = vec![("certificates".to_owned(), certificates), (format!("{}, licenses", self.binary), tree)];
        let version = &workspace.version;
        Image::new(format!("ghcr.io/obtrace/{}:{version}", self.name), self.config(version), layers)
    }

    /// What it runs with.
    fn config(&self, version: &str) -> Value {
        json!({
            "User": self.user,
            "Entrypoint": [format!("/{}", self.binary)],
            "Cmd": self.arguments,
            "WorkingDir": "/",
            "Labels": {
                "org.opencontainers.image.title": self.name,
                "org.opencontainers.image.description": self.description,
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.source": env!("CARGO_PKG_REPOSITORY"),
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        })
    }
}

/// Mozilla's certificates in one file, as programs look for them; they have to be those that are meant, without any that
/// somebody added on this machine.
fn pinned_certificates(workspace: &Workspace) -> Result<Vec<u8>, Error> {
    let folder = Path::new(CERTIFICATES);
    let mut paths: Vec<_> =
        fs::read_dir(folder).map_err(Error::file("read", folder))?.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut bundle = Vec::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "crt")) {
        bundle.extend(fs::read(path).map_err(Error::file("read", path))?);
    }
    super::pinned(workspace, CERTIFICATES_LOCK, "all", (CERTIFICATES, "ca-certificates"), &bundle)?;
    Ok(bundle)
}

#[cfg(test)]
mod tests {
    use super::{
        super::{VERSION, dockerfile::Dockerfile},
        *,
    };

    /// An engine's image runs with what the other one runs with, and is built from the same.
    #[test]
    fn the_dockerfiles_say_the_same() {
        let lock = include_str!("../../../deploy/images/ca-certificates.lock");
        let version = lock.lines().find_map(|line| line.strip_prefix("all ")?.split(' ').next()).unwrap();
        for (program, word, text) in [
            (OPERATOR, "operator", include_str!("../../../deploy/images/operator/Dockerfile")),
            (EBPF, "ebpf", include_str!("../../../deploy/images/ebpf/Dockerfile")),
        ] {
            let dockerfile = Dockerfile::parse(text);
            assert_eq!(dockerfile.config(), program.config(VERSION), "{word}");
            let words = dockerfile.check_builder(&format!("cargo xtask image {word} --root /image"));
            assert!(words.contains(&format!("ca-certificates={version}")), "{words:?}");
            for package in setup::packages_of(&[Need::ProgramImage]) {
                assert!(words.iter().any(|word| word.split('=').next() == Some(package)), "{package}: {words:?}");
            }
        }
    }

    #[test]
    fn the_manifest_runs_this_image() {
        let manifest = include_str!("../../../deploy/agent/daemonset.yaml");
        let image = format!("image: ghcr.io/obtrace/{}:{VERSION}\n", EBPF.name);
        assert!(manifest.contains(&image), "{image}");
    }
}
