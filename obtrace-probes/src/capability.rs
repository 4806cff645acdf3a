//! What this machine allows, asked of the kernel and never concluded from its version.

use std::{fs, io, path::Path};

use aya::{
    Btf,
    maps::MapType,
    programs::ProgramType,
    sys::{is_map_supported, is_program_supported},
};

use crate::{Options, Probes, probes::Backend};

/// One thing that the probes or their user may need.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Feature {
    /// Its name: lower case, words joined by `_`; stable.
    pub name: &'static str,
    /// Whether it can be used here and now.
    pub available: bool,
    /// What was found.
    pub why: String,
    /// What would make it available; empty where it is.
    pub mend: &'static str,
}

/// What was found, feature by feature.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// All features, in a fixed order.
    pub features: Vec<Feature>,
}

impl Report {
    /// A feature by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Feature> {
        self.features.iter().find(|f| f.name == name)
    }
}

const CAPABILITIES: [(&str, u32, &str); 4] = [
    ("cap_bpf", 39, "give the process CAP_BPF (or run as root): it loads programs and maps"),
    ("cap_perfmon", 38, "give the process CAP_PERFMON (or run as root): programs read kernel memory"),
    ("cap_net_admin", 12, "give the process CAP_NET_ADMIN (or run as root): network programs"),
    ("cap_sys_ptrace", 19, "give the process CAP_SYS_PTRACE (or run as root): other processes' files and memory maps"),
];
const CAP_SYS_ADMIN: u32 = 21;

/// Asks for everything. Loads both back ends for a moment; nothing stays behind.
#[must_use]
pub fn report() -> Report {
    let mut features = Vec::new();
    let capabilities = effective_capabilities();
    for (name, bit, mend) in CAPABILITIES {
        let has = capabilities.as_ref().is_ok_and(|held| holds(*held, bit));
        let why = match &capabilities {
            Ok(c) => format!("effective capabilities are {c:#x}"),
            Err(e) => format!("/proc/self/status: {e}"),
        };
        features.push(feature(name, has, why, mend));
    }
    let btf = Btf::from_sys_fs();
    let why = btf.as_ref().map_or_else(ToString::to_string, |_| "/sys/kernel/btf/vmlinux can be read".to_owned());
    features.push(feature("btf", btf.is_ok(), why, "use a kernel with CONFIG_DEBUG_INFO_BTF, and mount sysfs at /sys"));
    let ring = is_map_supported(MapType::RingBuf);
    let why = ring.as_ref().map_or_else(ToString::to_string, |yes| answer(*yes));
    features.push(feature("ring_buffer", matches!(ring, Ok(true)), why, "use Linux 5.8 or newer, or a back-port"));
    for (name, backend, mend) in [
        ("tracepoint_backend", Backend::Tracepoint, "see the features above; Linux 5.12 or newer, or a back-port"),
        (
            "fentry_backend",
            Backend::Fentry,
            "use a kernel with BPF trampolines for functions (CONFIG_FUNCTION_TRACER, CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS) that allows them",
        ),
    ] {
        let tried = Probes::load(&Options::new().with_backend(backend));
        let why = tried.as_ref().map_or_else(ToString::to_string, |_| "loaded and let go again".to_owned());
        features.push(feature(name, tried.is_ok(), why, mend));
    }
    let kprobe = is_program_supported(ProgramType::KProbe);
    let pmu = Path::new("/sys/bus/event_source/devices/kprobe/type").exists();
    let why = format!(
        "program type: {}; /sys/bus/event_source/devices/kprobe {}",
        kprobe.as_ref().map_or_else(ToString::to_string, |yes| answer(*yes)),
        if pmu { "exists" } else { "does not exist" }
    );
    features.push(feature("kprobe", pmu && matches!(kprobe, Ok(true)), why, "use a kernel with CONFIG_KPROBES"));
    let tracefs =
        Path::new("/sys/kernel/tracing/events").exists() || Path::new("/sys/kernel/debug/tracing/events").exists();
    let why = if tracefs {
        "events are listed"
    } else {
        "neither /sys/kernel/tracing nor /sys/kernel/debug/tracing lists events"
    };
    features.push(feature(
        "tracefs",
        tracefs,
        why.to_owned(),
        "mount -t tracefs tracefs /sys/kernel/tracing; nothing here needs it",
    ));
    features.push(lockdown());
    let cgroup = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .into_iter()
        .find(|p| Path::new(p).join("cgroup.controllers").exists());
    let why =
        cgroup.map_or_else(|| "no cgroup.controllers below /sys/fs/cgroup".to_owned(), |p| format!("mounted at {p}"));
    features.push(feature("cgroup_v2", cgroup.is_some(), why, "mount -t cgroup2 cgroup2 /sys/fs/cgroup"));
    let initial = fs::read_link("/proc/self/ns/pid").is_ok_and(|l| l.to_string_lossy() == "pid:[4026531836]");
    let why =
        if initial { "this is the initial PID namespace" } else { "only processes of this PID namespace are visible" };
    features.push(feature(
        "all_processes",
        initial,
        why.to_owned(),
        "run in the host's PID namespace (hostPID) to see all processes of the machine",
    ));
    features.push(feature(
        "io_uring",
        features.iter().any(|f| f.name == "fentry_backend" && f.available),
        "what io_uring moves passes no system call: the fentry back end sees it, the tracepoint back end does not"
            .to_owned(),
        "use the fentry back end",
    ));
    Report { features }
}

fn feature(name: &'static str, available: bool, why: String, mend: &'static str) -> Feature {
    Feature { name, available, why, mend: if available { "" } else { mend } }
}

fn answer(yes: bool) -> String {
    if yes { "the kernel has it" } else { "the kernel lacks it" }.to_owned()
}

fn lockdown() -> Feature {
    let read = fs::read_to_string("/sys/kernel/security/lockdown");
    // `none [integrity] confidentiality`
    let mode = read.as_ref().ok().and_then(|s| s.split(['[', ']']).nth(1));
    let why = match (&read, mode) {
        (Ok(_), Some(mode)) => format!("lockdown is {mode}"),
        (Ok(s), None) => format!("/sys/kernel/security/lockdown says {s:?}"),
        (Err(e), _) => format!("/sys/kernel/security/lockdown: {e}; taken for not confidential"),
    };
    feature(
        "kernel_reads",
        mode != Some("confidentiality"),
        why,
        "boot with lockdown=integrity or none: confidentiality forbids reading kernel memory",
    )
}

/// `CAP_SYS_ADMIN` stands for those that were made out of it.
const fn holds(held: u64, bit: u32) -> bool {
    held >> bit & 1 == 1 || (bit >= 38 && held >> CAP_SYS_ADMIN & 1 == 1)
}

/// What would mend that the kernel said no to this process.
pub(crate) fn mend_permission() -> String {
    mend_of(effective_capabilities().unwrap_or_default())
}

fn mend_of(held: u64) -> String {
    let missing = CAPABILITIES.iter().filter(|(_, bit, _)| !holds(held, *bit));
    let missing: Vec<String> = missing.map(|(name, ..)| name.to_uppercase()).collect();
    match &missing[..] {
        // Then it is not for want of a capability.
        [] => "this process has the capabilities that count: look for a security module, lockdown or seccomp, \
               and for a user namespace (run it in the initial one)"
            .to_owned(),
        [one] => format!("run as root, or give the process the capability {one}"),
        [all @ .., last] => format!("run as root, or give the process the capabilities {} and {last}", all.join(", ")),
    }
}

fn effective_capabilities() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    status
        .lines()
        .find_map(|l| l.strip_prefix("CapEff:"))
        .and_then(|v| u64::from_str_radix(v.trim(), 16).ok())
        .ok_or_else(|| io::Error::other("no CapEff line"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_missing_is_asked_for() {
        let all = CAPABILITIES.iter().fold(0, |held, (_, bit, _)| held | 1 << bit);
        assert!(mend_of(all).contains("security module"));
        assert_eq!(mend_of(all & !(1 << 39)), "run as root, or give the process the capability CAP_BPF");
        let two = mend_of(1 << CAP_SYS_ADMIN);
        assert_eq!(two, "run as root, or give the process the capabilities CAP_NET_ADMIN and CAP_SYS_PTRACE");
        assert!(mend_of(0).ends_with("CAP_BPF, CAP_PERFMON, CAP_NET_ADMIN and CAP_SYS_PTRACE"));
    }
}
