//! The table of system programs: how each is recognised, which package brings it, what it is for.

use std::{fs, path::Path};

use crate::workspace::find_program;

/// What programs are needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Need {
    /// Compiling the BPF programs from C and comparing them with the shipped ones.
    Bpf,
    /// `cargo xtask demo`.
    Demo,
    /// The live tests: real servers and clients under the agent.
    Live,
    /// The replay tests: captures recorded from real servers and clients.
    Replay,
    /// The emulated guest.
    Guest,
}

impl Need {
    /// All of them.
    pub(crate) const ALL: &'static [Self] = &[Self::Bpf, Self::Demo, Self::Live, Self::Replay, Self::Guest];

    /// The Python packages that go with it: a path below the root.
    pub(crate) fn requirements(self) -> Option<&'static str> {
        match self {
            Self::Demo => Some("examples/demo/requirements.txt"),
            Self::Live => Some("tests/live/requirements.txt"),
            Self::Replay => Some("tests/replay/requirements.txt"),
            Self::Bpf | Self::Guest => None,
        }
    }
}

/// How to see that a package is there.
enum Sign {
    /// A program on the path.
    Program(&'static str),
    /// A file.
    File(&'static str),
    /// `PARENT/<anything>/CHILD`.
    Versioned(&'static str, &'static str),
}

use Need::{Bpf, Demo, Guest, Live, Replay};
use Sign::{File, Program, Versioned};

const TABLE: &[(Sign, &str, &[Need])] = &[
    (Program("ip"), "iproute2", &[Demo, Live, Replay]),
    (Program("nsenter"), "util-linux", &[Demo, Live, Replay]),
    (Program("curl"), "curl", &[Live, Replay]),
    (Versioned("/usr/lib/postgresql", "bin/postgres"), "postgresql", &[Demo, Live, Replay]),
    (Program("redis-server"), "redis-server", &[Demo, Live, Replay]),
    (Program("nginx"), "nginx-light", &[Live, Replay]),
    (Program("node"), "nodejs", &[Live, Replay]),
    (Program("javac"), "default-jdk-headless", &[Live]),
    (Program("go"), "golang-go", &[Live, Guest]),
    (Program("puma"), "puma", &[Live]),
    (File("/usr/share/doc/ruby-rack"), "ruby-rack", &[Live]),
    (Program("capsh"), "libcap2-bin", &[Live]),
    (Program("bpftool"), "bpftool", &[Live]),
    (Program("tshark"), "tshark", &[Replay]),
    (Program("tcpdump"), "tcpdump", &[Replay]),
    (Program("dnsmasq"), "dnsmasq-base", &[Replay]),
    (Program("dig"), "dnsutils", &[Replay]),
    (Program("clang-19"), "clang-19", &[Bpf]),
    (Program("clang-format-19"), "clang-format-19", &[Bpf]),
    (Program("llvm-strip-19"), "llvm-19", &[Bpf]),
    (File("/usr/include/bpf/bpf_helpers.h"), "libbpf-dev", &[Bpf]),
    (Program("gcc"), "gcc", &[Guest]),
    (Program("qemu-system-x86_64"), "qemu-system-x86", &[Guest]),
    (File("/usr/share/seabios/bios-256k.bin"), "seabios", &[Guest]),
    (File("/usr/share/doc/busybox-static"), "busybox-static", &[Guest]),
    (Program("cpio"), "cpio", &[Guest]),
];

/// Whether `python3 -m venv` works: Debian keeps it in a package of its own.
fn has_venv() -> bool {
    crate::command::Run::new("python3").args(["-c", "import venv, ensurepip"]).capture().is_ok()
}

/// The packages that `needs` miss, each once.
pub(super) fn missing_packages(needs: &[Need]) -> Vec<&'static str> {
    let mut missing: Vec<&str> = TABLE
        .iter()
        .filter(|(sign, _, uses)| uses.iter().any(|need| needs.contains(need)) && !sign.is_there())
        .map(|(_, package, _)| *package)
        .collect();
    if needs.iter().any(|need| matches!(need, Demo | Live | Replay)) && !has_venv() {
        missing.extend(["python3", "python3-venv"]);
    }
    missing
}

impl Sign {
    fn is_there(&self) -> bool {
        match self {
            Program(name) => find_program(name).is_some(),
            File(path) => Path::new(path).exists(),
            Versioned(parent, child) => fs::read_dir(parent)
                .is_ok_and(|entries| entries.flatten().any(|entry| entry.path().join(child).exists())),
        }
    }
}
