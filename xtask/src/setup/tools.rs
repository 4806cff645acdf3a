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
    /// Processes of every language, looked at while they run.
    Detect,
    /// A real API server of Kubernetes.
    Kubernetes,
    /// The OpenTelemetry Collector.
    Collector,
    /// Building the loader of Node.js.
    NodeLoader,
    /// Building the loader of Java.
    JavaLoader,
    /// Building the loader of .NET.
    DotnetLoader,
    /// The agent's image.
    AgentImage,
    /// The images of one program: the operator's, the kernel agent's.
    ProgramImage,
    /// Real nodes of Kubernetes, with Pods on them.
    Node,
    /// The loaders' tests on real runtimes.
    Loaders,
}

impl Need {
    /// All of them.
    pub(crate) const ALL: &'static [Self] = &[
        Self::Bpf,
        Self::Demo,
        Self::Live,
        Self::Replay,
        Self::Guest,
        Self::Detect,
        Self::Kubernetes,
        Self::Collector,
        Self::NodeLoader,
        Self::JavaLoader,
        Self::DotnetLoader,
        Self::AgentImage,
        Self::ProgramImage,
        Self::Node,
        Self::Loaders,
    ];

    /// The Python packages that go with it: a path below the root.
    pub(crate) fn requirements(self) -> Option<&'static str> {
        match self {
            Self::Demo => Some("examples/demo/requirements.txt"),
            Self::Live => Some("tests/live/requirements.txt"),
            Self::Replay => Some("tests/replay/requirements.txt"),
            Self::Detect => Some("tests/detect/requirements.txt"),
            Self::Kubernetes => Some("tests/kubernetes/requirements.txt"),
            Self::DotnetLoader | Self::AgentImage | Self::ProgramImage | Self::Loaders => {
                Some("tests/loaders/requirements.txt")
            }
            Self::Collector => Some("tests/export/requirements.txt"),
            Self::Bpf | Self::Guest | Self::NodeLoader | Self::JavaLoader | Self::Node => None,
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

use Need::{
    AgentImage, Bpf, Collector, Demo, Detect, DotnetLoader, Guest, JavaLoader, Kubernetes, Live, Loaders, Node,
    NodeLoader, ProgramImage, Replay,
};
use Sign::{File, Program, Versioned};

const TABLE: &[(Sign, &str, &[Need])] = &[
    (Program("ip"), "iproute2", &[Demo, Live, Replay, Node]),
    (Program("nsenter"), "util-linux", &[Demo, Live, Replay, Node, Loaders]),
    (Program("curl"), "curl", &[Live, Replay]),
    (Versioned("/usr/lib/postgresql", "bin/postgres"), "postgresql", &[Demo, Live, Replay, Loaders]),
    (Program("redis-server"), "redis-server", &[Demo, Live, Replay, Detect, Loaders]),
    (Program("apache2"), "apache2-bin", &[Replay]),
    (Program("nghttp"), "nghttp2-client", &[Replay]),
    (Program("nghttpd"), "nghttp2-server", &[Replay]),
    (Program("kcat"), "kcat", &[Replay]),
    (Program("mosquitto"), "mosquitto", &[Replay]),
    (Program("nginx"), "nginx-light", &[Live, Replay, Detect, Loaders]),
    (Program("node"), "nodejs", &[Live, Replay, Detect, NodeLoader, Loaders]),
    (Program("npm"), "npm", &[Replay, Detect, NodeLoader, Node, Loaders]),
    (Program("javac"), "default-jdk-headless", &[Live, Replay, Detect, JavaLoader, Node, Loaders]),
    (Program("mvn"), "maven", &[Replay, JavaLoader, Loaders]),
    (Program("nft"), "nftables", &[Node]),
    (Program("go"), "golang-go", &[Live, Replay, Guest, Detect, Kubernetes, Collector]),
    (Program("promtool"), "prometheus", &[Collector, Live]),
    (Program("openssl"), "openssl", &[Kubernetes, Live, Loaders]),
    (Program("puma"), "puma", &[Live, Detect, Loaders]),
    (File("/usr/share/doc/ruby-rack"), "ruby-rack", &[Live]),
    (Program("capsh"), "libcap2-bin", &[Live]),
    (Program("bpftool"), "bpftool", &[Live]),
    (Program("tshark"), "tshark", &[Replay]),
    (Program("tcpdump"), "tcpdump", &[Replay]),
    (Program("dnsmasq"), "dnsmasq-base", &[Live, Replay]),
    (Program("dig"), "dnsutils", &[Live, Replay]),
    (Program("clang-19"), "clang-19", &[Bpf]),
    (Program("clang-format-19"), "clang-format-19", &[Bpf]),
    (Program("llvm-strip-19"), "llvm-19", &[Bpf]),
    (File("/usr/include/bpf/bpf_helpers.h"), "libbpf-dev", &[Bpf]),
    (Program("gcc"), "gcc", &[Guest, Loaders]),
    (Program("qemu-system-x86_64"), "qemu-system-x86", &[Guest]),
    (File("/usr/share/seabios/bios-256k.bin"), "seabios", &[Guest]),
    (File("/usr/share/doc/busybox-static"), "busybox-static", &[Guest, AgentImage]),
    (File("/usr/share/ca-certificates/mozilla"), "ca-certificates", &[ProgramImage]),
    (Program("cpio"), "cpio", &[Guest]),
    (File("/usr/share/doc/ruby-sinatra"), "ruby-sinatra", &[Detect, Loaders]),
    (Program("jruby"), "jruby", &[Detect, Loaders]),
    (Program("pypy3"), "pypy3", &[Detect]),
    (Program("php"), "php-cli", &[Detect, Loaders]),
    (File("/usr/share/doc/php-fpm"), "php-fpm", &[Replay, Detect, Loaders]),
    (Program("wrk"), "wrk", &[Loaders]),
    (Program("file"), "file", &[Loaders]),
    (File("/usr/bin/time"), "time", &[Loaders]),
    (Program("mariadbd"), "mariadb-server", &[Replay, Loaders]),
    (File("/usr/include/mariadb/mysql.h"), "libmariadb-dev", &[Loaders]),
    (Program("pkg-config"), "pkg-config", &[Loaders]),
    (Program("memcached"), "memcached", &[Loaders]),
    (Program("rabbitmq-server"), "rabbitmq-server", &[Loaders]),
    (Program("setpriv"), "util-linux", &[Node, Loaders]),
    (Program("thin"), "thin", &[Loaders]),
    (Program("unicorn"), "unicorn", &[Loaders]),
    (File("/usr/share/doc/ruby-bootsnap"), "ruby-bootsnap", &[Loaders]),
    (File("/usr/share/doc/ruby-bundler"), "ruby-bundler", &[Loaders]),
    (File("/usr/share/doc/ruby-activejob"), "ruby-activejob", &[Loaders]),
    (File("/usr/share/doc/ruby-activerecord"), "ruby-activerecord", &[Loaders]),
    (File("/usr/share/doc/ruby-dalli"), "ruby-dalli", &[Loaders]),
    (File("/usr/share/doc/ruby-excon"), "ruby-excon", &[Loaders]),
    (File("/usr/share/doc/ruby-faraday"), "ruby-faraday", &[Loaders]),
    (File("/usr/share/doc/ruby-grape"), "ruby-grape", &[Loaders]),
    (File("/usr/share/doc/ruby-http"), "ruby-http", &[Loaders]),
    (File("/usr/share/doc/ruby-httpclient"), "ruby-httpclient", &[Loaders]),
    (File("/usr/share/doc/ruby-mysql2"), "ruby-mysql2", &[Loaders]),
    (File("/usr/share/doc/ruby-pg"), "ruby-pg", &[Loaders]),
    (File("/usr/share/doc/ruby-railties"), "ruby-railties", &[Loaders]),
    (File("/usr/share/doc/ruby-redis"), "ruby-redis", &[Loaders]),
    (File("/usr/share/doc/ruby-sentry-ruby"), "ruby-sentry-ruby", &[Loaders]),
    (File("/usr/share/doc/ruby-sidekiq"), "ruby-sidekiq", &[Loaders]),
    (File("/usr/share/doc/ruby-spring"), "ruby-spring", &[Loaders]),
    (File("/usr/share/doc/ruby-sqlite3"), "ruby-sqlite3", &[Loaders]),
    (File("/usr/share/doc/ruby-typhoeus"), "ruby-typhoeus", &[Loaders]),
    (File("/usr/share/doc/ruby-webrick"), "ruby-webrick", &[Loaders]),
    (Program("mcs"), "mono-mcs", &[Detect, DotnetLoader, Loaders]),
    (Program("mono"), "mono-runtime", &[Detect]),
    (File("/usr/share/java/spring3-context.jar"), "libspring-context-java", &[Detect]),
    (File("/usr/share/java/tomcat10-embed-core.jar"), "libtomcat10-embed-java", &[Detect]),
    (Program("uwsgi"), "uwsgi-core", &[Detect, Loaders]),
    (File("/usr/share/doc/uwsgi-plugin-python3"), "uwsgi-plugin-python3", &[Detect, Loaders]),
    (Program("gdb"), "gdb", &[Detect]),
    (Program("tini"), "tini", &[Detect]),
    (Program("strip"), "binutils", &[Detect]),
];

/// What a virtual environment needs.
const PYTHON: [&str; 2] = ["python3", "python3-venv"];

/// Whether `python3 -m venv` works: Debian keeps it in a package of its own.
fn has_venv() -> bool {
    crate::command::Run::new("python3").args(["-c", "import venv, ensurepip"]).capture().is_ok()
}

/// The packages that `needs` miss, each once.
pub(super) fn missing_packages(needs: &[Need]) -> Vec<&'static str> {
    let mut missing: Vec<&str> = of(needs).filter(|(sign, _)| !sign.is_there()).map(|(_, package)| package).collect();
    if need_python(needs) && !has_venv() {
        missing.extend(PYTHON);
    }
    missing
}

/// The packages that `needs` name, there or not.
#[cfg(test)]
pub(crate) fn packages_of(needs: &[Need]) -> Vec<&'static str> {
    let python = if need_python(needs) { &PYTHON[..] } else { &[] };
    of(needs).map(|(_, package)| package).chain(python.iter().copied()).collect()
}

fn of(needs: &[Need]) -> impl Iterator<Item = (&'static Sign, &'static str)> {
    let wanted = TABLE.iter().filter(|(_, _, uses)| uses.iter().any(|need| needs.contains(need)));
    wanted.map(|(sign, package, _)| (sign, *package))
}

fn need_python(needs: &[Need]) -> bool {
    let is = |need: &Need| {
        matches!(need, AgentImage | Collector | Demo | Detect | DotnetLoader | Kubernetes | Live | Loaders | Replay)
    };
    needs.iter().any(is)
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
