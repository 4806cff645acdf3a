//! Agents and SDKs that are already inside a process.

use alloc::vec::Vec;

use super::evidence::Process;
use crate::{Reason, Source, Speaks};

/// Another vendor's agent, or an OpenTelemetry SDK, that is inside a process or will be loaded into it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Agent<'a> {
    /// Whose it is: `datadog`, `opentelemetry`, `obtrace`.
    pub vendor: &'static str,
    /// What was seen.
    pub seen: &'a str,
    /// Where: the process's files, its command or its environment.
    pub source: Source,
}

impl<'a> Agent<'a> {
    pub(super) fn reason(&self) -> Reason<'a> {
        let meaning = match self.vendor {
            "obtrace" => "is our own agent: it is there already",
            "opentelemetry" => "is OpenTelemetry's: the program is instrumented already",
            _ => "is another vendor's agent",
        };
        Reason { source: self.source, seen: self.seen, meaning, speaks: Speaks::Neither }
    }
}

/// A vendor, and the words that its agents have in file names, arguments and the values of hook variables. A word counts
/// only between characters that are neither letters nor digits, so that `instana` is not seen in `instanaconda`.
const WORDS: &[(&str, &[&str])] = &[
    ("obtrace", &["/obtrace", "obtrace-loader", "obtrace_loader", "obtrace-agent.jar", "Obtrace.AutoInstrument"]),
    (
        "datadog",
        &[
            "ddtrace",
            "ddtrace-run",
            "dd-trace",
            "dd-java-agent",
            "dd-trace-dotnet",
            "Datadog.Trace",
            "ddappsec",
            "ddog_php",
            "libddwaf",
            "gopkg.in/DataDog/dd-trace-go",
            "github.com/DataDog/dd-trace-go",
            "launcher.preload.so",
        ],
    ),
    (
        "newrelic",
        &[
            "newrelic",
            "newrelic-admin",
            "newrelic.jar",
            "NewRelic.Profiler",
            "libNewRelicProfiler",
            "newrelic-rpm",
            "github.com/newrelic/go-agent",
        ],
    ),
    (
        "elastic",
        &["elastic-apm-agent", "elasticapm", "elastic-apm-node", "elastic_apm", "elastic_otel", "go.elastic.co/apm"],
    ),
    ("dynatrace", &["oneagent", "oneagentproc", "liboneagentproc", "liboneagentloader", "oneagentloader", "dynatrace"]),
    ("appdynamics", &["appdynamics", "appagent", "libappdprofiler", "AppDynamics.Profiler"]),
    ("instana", &["instana", "instana-agent", "libinstana_init", "github.com/instana/go-sensor"]),
    ("splunk", &["splunk-otel-javaagent", "splunk-otel-js", "splunk-otel", "splunk-instrument", "libsplunk"]),
    ("skywalking", &["skywalking-agent", "skywalking", "sw-python", "skywalking_agent"]),
    ("pinpoint", &["pinpoint-bootstrap", "pinpoint-agent"]),
    ("scout", &["scoutapm", "scout_apm"]),
    ("appoptics", &["appoptics-agent", "solarwinds-apm", "appoptics_apm"]),
    ("azure-monitor", &["applicationinsights-agent"]),
    ("contrast", &["contrast-agent", "contrast_security"]),
    (
        "opentelemetry",
        &[
            "opentelemetry",
            "opentelemetry-javaagent",
            "opentelemetry-instrument",
            "opentelemetry_sdk",
            "OpenTelemetry",
            "otelinject",
            "libotelinject",
            "otel-auto-instrumentation",
            "go.opentelemetry.io/otel/sdk",
            "OpenTelemetry.AutoInstrumentation",
        ],
    ),
];

/// Variables through which agents are loaded, so that their values are looked at.
const HOOKS: &[&str] = &[
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "JAVA_OPTS",
    "CATALINA_OPTS",
    "NODE_OPTIONS",
    "BUN_OPTIONS",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYOPT",
    "LD_PRELOAD",
    "LD_AUDIT",
    "DOTNET_STARTUP_HOOKS",
    "DOTNET_ADDITIONAL_DEPS",
    "CORECLR_PROFILER_PATH",
    "CORECLR_PROFILER_PATH_64",
    "COR_PROFILER_PATH",
    "PHP_INI_SCAN_DIR",
];

/// Profilers of .NET by their class ids.
const PROFILERS: &[(&str, &str)] = &[
    ("846F5F1C-F9AE-4B07-969E-05C26BC060D8", "datadog"),
    ("36032161-FFC0-4B61-B559-F6C5D41BAE5A", "newrelic"),
    ("FA65FE15-F085-4681-9B20-95E04F6C03CC", "elastic"),
    ("B7038F67-52FC-4DA2-AB02-969B3C1EDA03", "dynatrace"),
    ("57E1AA68-2229-41AA-9931-A6E93BBC64D8", "appdynamics"),
    ("CF0D821E-299B-5307-A3D8-B283C03916DD", "instana"),
    ("918728DD-259F-4A6A-AC2B-B85E1B658318", "opentelemetry"),
];

/// At most so many are told.
const LIMIT: usize = 8;

/// Whether a variable of this name says something.
#[cfg(all(feature = "proc", target_os = "linux"))]
pub(super) fn is_variable(name: &str) -> bool {
    HOOKS.contains(&name) || PROFILER.contains(&name)
}

/// Variables with the class id of a profiler.
const PROFILER: &[&str] = &["CORECLR_PROFILER", "COR_PROFILER"];

/// The agents that show, one for each vendor.
pub(super) fn find<'a>(process: &'a Process<'a>) -> Vec<Agent<'a>> {
    let mut found: Vec<Agent<'a>> = Vec::new();
    let mut add = |agent: Option<(&'static str, &'a str)>, source| {
        let Some((vendor, seen)) = agent else { return };
        if found.len() < LIMIT && !found.iter().any(|agent| agent.vendor == vendor) {
            found.push(Agent { vendor, seen, source });
        }
    };
    for path in process.maps.iter().chain(&process.files).filter(|path| has_words(path)) {
        add(by_word(path), Source::Process);
    }
    for word in process.cmdline.iter().take(ARGUMENTS).filter(|word| is_loader(word)) {
        add(by_word(word), Source::Command);
    }
    for var in &process.env {
        let Some(value) = var.value.as_deref().filter(|value| !value.is_empty()) else { continue };
        if PROFILER.contains(&var.name.as_ref()) {
            add(by_profiler(value), Source::Environment);
        } else if HOOKS.contains(&var.name.as_ref()) {
            add(by_word(value), Source::Environment);
        }
    }
    for (module, _) in process.go.iter().flat_map(|go| &go.modules).filter(|(module, _)| is_sdk(module)) {
        add(by_word(module), Source::Process);
    }
    for import in process.script.iter().flat_map(|script| &script.imports) {
        add(by_word(import), Source::Process);
    }
    found
}

/// Only the first arguments are looked at: what loads an agent stands before the application's own.
const ARGUMENTS: usize = 64;

/// Most paths that are mapped are of no interest: those of the system's libraries.
fn has_words(path: &str) -> bool {
    !path.starts_with("/lib/") && !path.starts_with("/usr/lib/x86_64-linux-gnu/lib") && !path.starts_with("[")
}

/// An argument that loads something: `-javaagent:x`, `--require x`'s value, a program like `ddtrace-run`. An argument that only
/// mentions a vendor, such as a URL, loads nothing.
fn is_loader(word: &str) -> bool {
    word.starts_with("-javaagent:")
        || word.starts_with("-agentpath:")
        || word.starts_with("--require=")
        || word.starts_with("--import=")
        || word.starts_with("-r")
        || !word.starts_with('-') && !word.contains("://") && !word.contains('=')
}

/// OpenTelemetry's API alone observes nothing, and many modules bring it.
fn is_sdk(module: &str) -> bool {
    !module.starts_with("go.opentelemetry.io/") || module.starts_with("go.opentelemetry.io/otel/sdk")
}

fn by_profiler(id: &str) -> Option<(&'static str, &str)> {
    let id = id.trim_matches(['{', '}']);
    let (_, vendor) = PROFILERS.iter().find(|(known, _)| known.eq_ignore_ascii_case(id))?;
    Some((vendor, id))
}

/// The vendor, and the part of `text` that names it: the rest may hold a licence key.
fn by_word(text: &str) -> Option<(&'static str, &str)> {
    let (vendor, at) = find_word(text)?;
    let is_end = |c: char| [' ', ',', ';', ':', '='].contains(&c);
    let start = text.get(..at)?.rfind(is_end).map_or(0, |end| end + 1);
    let end = text.get(at..)?.find(is_end).map_or(text.len(), |length| at + length);
    Some((vendor, text.get(start..end)?))
}

/// The first word of a vendor that stands in `text` bounded on both sides, and where.
fn find_word(text: &str) -> Option<(&'static str, usize)> {
    let bytes = text.as_bytes();
    let mut is_inside = false;
    for (at, byte) in bytes.iter().enumerate() {
        let was_inside = is_inside;
        is_inside = byte.is_ascii_alphanumeric() || !byte.is_ascii();
        // Most texts have no beginning of a word anywhere, and are many: looking at four bytes at once is enough.
        let Some(head) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else { break };
        if was_inside || !HEADS.contains(&u32::from_le_bytes(*head)) {
            continue;
        }
        let rest = text.get(at..)?;
        let stands =
            |word: &&str| rest.strip_prefix(*word).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
        if let Some((vendor, _)) = WORDS.iter().find(|(_, words)| words.iter().any(&stands)) {
            return Some((vendor, at));
        }
    }
    None
}

/// How many words there are.
const COUNT: usize = {
    let (mut count, mut vendor) = (0, 0);
    while vendor < WORDS.len() {
        count += WORDS[vendor].1.len();
        vendor += 1;
    }
    count
};

/// The first four bytes of each word; a shorter word would not compile.
const HEADS: [u32; COUNT] = {
    let mut heads = [0; COUNT];
    let (mut at, mut vendor) = (0, 0);
    while vendor < WORDS.len() {
        let mut word = 0;
        while word < WORDS[vendor].1.len() {
            let bytes = WORDS[vendor].1[word].as_bytes();
            heads[at] = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
            word += 1;
            at += 1;
        }
        vendor += 1;
    }
    heads
};
