//! Agents of other vendors.

use std::borrow::Cow;

use super::Reason;
use crate::pod::{Container, Pod};

/// Signs of an agent that another operator puts into Pods, or is about to.
struct PodSigns {
    vendor: &'static str,
    /// Beginnings of names of init containers.
    init_containers: &'static [&'static str],
    /// Beginnings of annotations (or labels) that ask for it; a value of `false` asks for nothing.
    annotations: &'static [&'static str],
}

/// Signs of an agent in a container.
struct Signs {
    vendor: &'static str,
    /// Beginnings of names of variables that only the agent reads.
    variables: &'static [&'static str],
    /// What stands in options, library paths, commands and arguments that load it.
    words: &'static [&'static str],
}

const POD_SIGNS: &[PodSigns] = &[
    PodSigns {
        vendor: "Datadog",
        init_containers: &["datadog-lib-", "datadog-init-apm"],
        annotations: &[
            "admission.datadoghq.com/enabled",
            "admission.datadoghq.com/java-lib",
            "admission.datadoghq.com/js-lib",
            "admission.datadoghq.com/python-lib",
            "admission.datadoghq.com/dotnet-lib",
            "admission.datadoghq.com/ruby-lib",
            "admission.datadoghq.com/php-lib",
            "admission.datadoghq.com/all-lib",
            "admission.datadoghq.com/apm-inject",
        ],
    },
    PodSigns {
        vendor: "OpenTelemetry",
        init_containers: &["opentelemetry-auto-instrumentation", "otel-auto-instrumentation", "otel-agent-attach-"],
        annotations: &["instrumentation.opentelemetry.io/inject-"],
    },
    PodSigns {
        vendor: "New Relic",
        init_containers: &["newrelic-instrumentation", "nri-instrumentation"],
        annotations: &["instrumentation.newrelic.com/inject-"],
    },
    PodSigns {
        vendor: "Dynatrace",
        init_containers: &["install-oneagent", "dynatrace-operator"],
        annotations: &["oneagent.dynatrace.com/inject"],
    },
    PodSigns {
        vendor: "Elastic APM",
        init_containers: &["elastic-java-agent", "elastic-nodejs-agent", "elastic-dotnet-agent"],
        annotations: &["co.elastic.apm/attach"],
    },
    PodSigns {
        vendor: "Instana",
        init_containers: &["instana-instrumentation-init"],
        annotations: &["instana-autotrace"],
    },
    PodSigns { vendor: "AppDynamics", init_containers: &["appd-agent-attach"], annotations: &["appd-instrumentation"] },
    PodSigns { vendor: "Lumigo", init_containers: &["lumigo-injector"], annotations: &["lumigo.auto-trace"] },
    PodSigns { vendor: "Dash0", init_containers: &["dash0-instrumentation"], annotations: &["dash0.com/instrumented"] },
];

const SIGNS: &[Signs] = &[
    Signs {
        vendor: "Datadog",
        variables: &[
            "DD_TRACE_",
            "DD_AGENT_HOST",
            "DD_INJECT",
            "DD_APPSEC_ENABLED",
            "DD_PROFILING_ENABLED",
            "DD_DOTNET_TRACER_HOME",
        ],
        words: &["dd-trace", "ddtrace", "dd-java-agent", "dd-lib/", "Datadog.Trace", "/opt/datadog", "datadog-apm"],
    },
    Signs {
        vendor: "New Relic",
        variables: &["NEW_RELIC_", "NEWRELIC_", "CORECLR_NEWRELIC_HOME", "CORECLR_NEW_RELIC_HOME"],
        words: &["newrelic"],
    },
    Signs {
        vendor: "Elastic APM",
        variables: &["ELASTIC_APM_"],
        words: &["elastic-apm", "elasticapm", "ElasticApm", "Elastic.Apm"],
    },
    Signs { vendor: "Dynatrace", variables: &["DT_TENANT", "DT_CONNECTION_POINT"], words: &["oneagent", "dynatrace"] },
    Signs {
        vendor: "AppDynamics",
        variables: &["APPDYNAMICS_", "APPD_"],
        words: &["appdynamics", "AppServerAgent", "appagent"],
    },
    Signs { vendor: "Instana", variables: &["INSTANA_"], words: &["instana"] },
    Signs {
        vendor: "Splunk",
        variables: &["SPLUNK_ACCESS_TOKEN", "SPLUNK_REALM", "SIGNALFX_"],
        words: &["splunk-otel", "@splunk/otel", "splunk-instrument", "splunk-py-trace", "signalfx-tracing"],
    },
    Signs {
        vendor: "OpenTelemetry",
        variables: &["OTEL_DOTNET_AUTO_", "OTEL_INJECTOR_", "OTEL_PHP_AUTOLOAD_ENABLED"],
        words: &[
            "opentelemetry-javaagent",
            "opentelemetry-instrument",
            "@opentelemetry/",
            "otel-auto-instrumentation",
            "OpenTelemetry.AutoInstrumentation",
            "libotelinject",
        ],
    },
    Signs { vendor: "Lumigo", variables: &["LUMIGO_"], words: &["@lumigo/", "lumigo_"] },
    Signs { vendor: "Dash0", variables: &["DASH0_"], words: &["dash0"] },
    Signs { vendor: "Odigos", variables: &["ODIGOS_"], words: &["/var/odigos"] },
    Signs { vendor: "SkyWalking", variables: &["SW_AGENT_"], words: &["skywalking"] },
    Signs { vendor: "Pinpoint", variables: &[], words: &["pinpoint-bootstrap"] },
    Signs { vendor: "Application Insights", variables: &[], words: &["applicationinsights-agent"] },
    Signs { vendor: "Scout", variables: &["SCOUT_KEY"], words: &["scout_apm"] },
];

/// Variables whose values load code into a process.
const LOADING: [&str; 12] = [
    "NODE_OPTIONS",
    "BUN_OPTIONS",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "_JAVA_OPTIONS",
    "JAVA_OPTS",
    "CATALINA_OPTS",
    "DOTNET_STARTUP_HOOKS",
    "RUBYOPT",
    "LD_PRELOAD",
];

/// How the variables begin that name a .NET profiler; its switches begin alike.
const PROFILERS: [&str; 2] = ["CORECLR_PROFILER", "DOTNET_PROFILER"];

/// By their first byte, the second bytes of all names above, as bits: most variables of applications begin otherwise,
/// and there may be many.
const BEGINNINGS: [u32; 256] = {
    let mut beginnings = [0; 256];
    // Of the profilers' variables.
    let mut index = 0;
    while index < PROFILERS.len() {
        note(&mut beginnings, PROFILERS[index]);
        index += 1;
    }
    index = 0;
    while index < LOADING.len() {
        note(&mut beginnings, LOADING[index]);
        index += 1;
    }
    index = 0;
    while index < SIGNS.len() {
        let mut name = 0;
        while name < SIGNS[index].variables.len() {
            note(&mut beginnings, SIGNS[index].variables[name]);
            name += 1;
        }
        index += 1;
    }
    beginnings
};

const fn note(beginnings: &mut [u32; 256], name: &str) {
    beginnings[name.as_bytes()[0] as usize] |= bit(name.as_bytes()[1]);
}

/// The most words of one vendor.
const MOST_WORDS: usize = 8;

/// The [`letters`] of each word of [`SIGNS`].
const LETTERS: [[u64; MOST_WORDS]; SIGNS.len()] = {
    let mut all = [[0; MOST_WORDS]; SIGNS.len()];
    let mut index = 0;
    while index < SIGNS.len() {
        let mut word = 0;
        while word < SIGNS[index].words.len() {
            all[index][word] = letters(SIGNS[index].words[word]);
            word += 1;
        }
        index += 1;
    }
    all
};

/// Which bytes a text has, as bits: a text that lacks one of a word does not hold the word.
const fn letters(text: &str) -> u64 {
    let (bytes, mut letters, mut index) = (text.as_bytes(), 0, 0);
    while index < bytes.len() {
        letters |= 1 << (bytes[index] & 63);
        index += 1;
    }
    letters
}

/// A second byte's place among 32: letters of both cases share theirs.
const fn bit(byte: u8) -> u32 {
    1 << (byte & 31)
}

/// Whether a variable can be one of those above.
fn may_be_known(name: &str) -> bool {
    matches!(*name.as_bytes(), [first, second, ..] if BEGINNINGS[usize::from(first)] & bit(second) != 0)
}

/// An agent that another operator has put into the Pod, or is asked to.
pub(super) fn in_pod<'a>(pod: &'a Pod<'a>) -> Option<Reason<'a>> {
    let found = |vendor, seen| Reason::OtherAgent { vendor, seen };
    for signs in POD_SIGNS {
        for container in pod.spec.init_containers() {
            if starts(&container.name, signs.init_containers) {
                return Some(found(signs.vendor, Cow::Borrowed(&*container.name)));
            }
        }
        for (key, value) in pod.metadata.annotations() {
            if signs.annotations.iter().any(|sign| key.starts_with(sign)) && !value.is("false") {
                return Some(found(signs.vendor, key.decode().unwrap_or_default()));
            }
        }
        for (key, value) in &pod.metadata.labels {
            if starts(key, signs.annotations) && value != "false" {
                return Some(found(signs.vendor, Cow::Borrowed(&**key)));
            }
        }
    }
    None
}

/// An agent that shows in a container's variables, command or arguments.
pub(super) fn in_container<'a>(container: &'a Container<'a>) -> Option<Reason<'a>> {
    let found = |vendor, seen: &'a str| Some(Reason::OtherAgent { vendor, seen: Cow::Borrowed(seen) });
    for var in &container.env {
        if !may_be_known(&var.name) {
            continue;
        }
        let value = var.value.as_deref().unwrap_or("true");
        let loads = LOADING.contains(&&*var.name) || is_profiler(&var.name);
        let loaded = if loads { Words::new(value) } else { Words::default() };
        for (index, signs) in SIGNS.iter().enumerate() {
            let asked = starts(&var.name, signs.variables) && !matches!(value, "" | "false" | "0");
            if asked || loaded.hold(index) {
                return found(signs.vendor, &var.name);
            }
        }
        if is_profiler_switch(&var.name) && value == "1" {
            return found("a .NET profiler", &var.name);
        }
    }
    for word in container.command.iter().chain(&container.args) {
        let words = Words::new(word);
        if let Some((_, signs)) = SIGNS.iter().enumerate().find(|(index, _)| words.hold(*index)) {
            return found(signs.vendor, word);
        }
    }
    None
}

fn is_profiler(name: &str) -> bool {
    starts(name, &PROFILERS)
}

fn is_profiler_switch(name: &str) -> bool {
    matches!(name, "CORECLR_ENABLE_PROFILING" | "DOTNET_ENABLE_PROFILING")
}

fn starts(text: &str, beginnings: &[&str]) -> bool {
    // The first byte is looked at before the rest: nearly always it is another.
    let first = text.as_bytes().first();
    beginnings.iter().any(|beginning| beginning.as_bytes().first() == first && text.starts_with(beginning))
}

/// A text in which words of vendors are looked for.
#[derive(Default)]
struct Words<'a> {
    text: &'a str,
    letters: u64,
}

impl<'a> Words<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, letters: letters(text) }
    }

    /// Whether one of the words of the vendor of that index in [`SIGNS`] is in it.
    fn hold(&self, index: usize) -> bool {
        let (Some(signs), Some(letters)) = (SIGNS.get(index), LETTERS.get(index)) else { return false };
        let mut both = signs.words.iter().zip(letters);
        both.any(|(word, letters)| letters & !self.letters == 0 && self.text.contains(word))
    }
}
