//! What can be said on the command line.

#[cfg(feature = "receive")]
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

/// Sees the requests and queries between local programs, without any change to them, and tells them as OpenTelemetry
/// spans.
#[derive(Debug, Parser)]
#[command(
    name = "obtrace-agent",
    version,
    max_term_width = 110,
    arg_required_else_help = true,
    after_help = "Exit codes: 0 fine, 1 failed, 2 usage, 77 this machine cannot (kernel or capability).\n\n\
                  Examples:\n  sudo obtrace-agent run\n  obtrace-agent replay capture.pcap --print tree\n  \
                  obtrace-agent receive --print tree\n  sudo obtrace-agent check"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Watch local programs and tell what they say to each other.
    Run(Box<Run>),
    /// The same from a packet capture: no root, no kernel.
    Replay(Replay),
    /// Print what others export by OTLP over HTTP: spans, logs, metrics. No backend, no root.
    #[cfg(feature = "receive")]
    Receive(Receive),
    /// Ask the kernel what it allows: per feature yes or no, why, and what would mend it.
    Check(Check),
    /// Show the effective configuration and where each value comes from.
    Config(ConfigFlags),
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

const FORMS: [&str; 5] = ["text", "tree", "jsonl", "otlp-json", "none"];

#[derive(Debug, Default, Args)]
#[command(after_help = "\
Examples:
  sudo obtrace-agent run                                  every local process, one line a span
  sudo obtrace-agent run --exe 'python3*' --print tree    Python programs, a tree a trace
  sudo obtrace-agent run --port 8080 --print jsonl        servers on port 8080, one JSON object a line
  sudo obtrace-agent run --otlp http://localhost:4318     to an OpenTelemetry collector
  sudo obtrace-agent run --otlp URL --metrics             and metrics of requests every minute
  sudo obtrace-agent run --prometheus 9464                metrics at http://localhost:9464/metrics, nothing else
  sudo obtrace-agent run --otlp URL --spool /var/lib/obtrace-agent
                                                          what URL does not take now is kept on disk for later

SIGTERM or Ctrl-C ends it: it detaches, sends what is left and tells what it saw and lost. Every option can also be
set in a file and in the environment: see `obtrace-agent config`.")]
pub(super) struct Run {
    /// Only these processes, and those they start (several: repeat it or separate by commas)
    #[arg(long, value_name = "PID", value_delimiter = ',')]
    pub(super) pid: Vec<u32>,
    /// Only processes that listen on or call one of these ports, and of them only those connections (80,8000-8099)
    #[arg(long, value_name = "PORTS")]
    pub(super) port: Vec<String>,
    /// Only processes whose program matches: 'nginx', 'python3*', '/opt/**'; and those they start
    #[arg(long, value_name = "GLOB")]
    pub(super) exe: Vec<String>,
    /// Never processes whose program matches
    #[arg(long, value_name = "GLOB")]
    pub(super) exclude: Vec<String>,
    /// Send spans to an OTLP receiver, over HTTP to URL/v1/traces [OTEL_EXPORTER_OTLP_PROTOCOL chooses gRPC]
    #[arg(long, value_name = "URL")]
    pub(super) otlp: Option<String>,
    /// Send metrics to that receiver too, every minute: of all requests but those that a loader or another agent reports
    #[arg(long)]
    pub(super) metrics: bool,
    /// Show these metrics to Prometheus on a port of this machine, or on HOST:PORT
    #[arg(long, value_name = "ADDR")]
    pub(super) prometheus: Option<String>,
    /// Write spans to a file as OTLP JSON, a request a line; metrics, if there are, to FILE with .metrics in its name
    #[arg(long, value_name = "FILE")]
    pub(super) otlp_file: Option<String>,
    /// Keep what the receiver has not taken yet in a folder: it survives the receiver's absence and the agent's end
    #[arg(long, value_name = "FOLDER")]
    pub(super) spool: Option<String>,
    /// Form of the spans on standard output [default: text; none with an exporter or metrics]
    #[arg(long, value_name = "FORM", value_parser = FORMS)]
    pub(super) print: Option<String>,
    /// Configuration file (YAML) [env: OBTRACE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// How the kernel is hooked [default: auto]
    #[arg(long, value_name = "NAME", value_parser = ["auto", "fentry", "kprobe", "tracepoint"])]
    pub(super) backend: Option<String>,
    /// Sockets observed at a time [default: 32768]
    #[arg(long, value_name = "COUNT")]
    pub(super) max_sockets: Option<u32>,
    /// Write one JSON line about the bytes of each connection that ends
    #[arg(long, value_name = "FILE")]
    pub(super) accounts: Option<String>,
    /// Colours [default: auto, on a terminal]
    #[arg(long, value_name = "WHEN", value_parser = ["auto", "always", "never"])]
    pub(super) color: Option<String>,
    /// What is logged on standard error [default: warn]
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warn", "info", "debug", "trace"])]
    pub(super) log: Option<String>,
}

impl Run {
    /// The flags that were given, by their names in the table of options.
    pub(super) fn flags(&self) -> Vec<(&'static str, String)> {
        let pids: Vec<String> = self.pid.iter().map(u32::to_string).collect();
        let lists = [("pid", &pids), ("port", &self.port), ("exe", &self.exe), ("exclude", &self.exclude)];
        let lists = lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| (name, list.join(",")));
        let ones = [
            ("otlp", self.otlp.clone()),
            ("metrics", self.metrics.then(|| "true".to_owned())),
            ("prometheus", self.prometheus.clone()),
            ("otlp-file", self.otlp_file.clone()),
            ("spool", self.spool.clone()),
            ("print", self.print.clone()),
            ("backend", self.backend.clone()),
            ("max-sockets", self.max_sockets.map(|count| count.to_string())),
            ("accounts", self.accounts.clone()),
            ("color", self.color.clone()),
            ("log", self.log.clone()),
        ];
        lists.chain(ones.into_iter().filter_map(|(name, value)| Some((name, value?)))).collect()
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  obtrace-agent replay capture.pcapng
  tcpdump -i lo -w - port 6379 | obtrace-agent replay - --print jsonl
  obtrace-agent replay capture.pcap --perspective server --print tree")]
pub(super) struct Replay {
    /// A capture in the format of pcap or pcapng; `-` is standard input
    pub(super) file: PathBuf,
    /// Form of the spans on standard output [default: text]
    #[arg(long, value_name = "FORM", value_parser = FORMS)]
    pub(super) print: Option<String>,
    /// Whose spans are told
    #[arg(long, value_name = "ROLE", default_value = "client", value_parser = ["client", "server"])]
    pub(super) perspective: String,
    /// Configuration file (YAML) [env: OBTRACE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Colours [default: auto, on a terminal]
    #[arg(long, value_name = "WHEN", value_parser = ["auto", "always", "never"])]
    pub(super) color: Option<String>,
}

impl Replay {
    /// As [`Run::flags`].
    pub(super) fn flags(&self) -> Vec<(&'static str, String)> {
        let given = [("print", &self.print), ("color", &self.color)];
        given.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }
}

#[cfg(feature = "receive")]
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  obtrace-agent receive                       a line each: spans, logs, points
  obtrace-agent receive --print tree          traces as trees once they are quiet
  obtrace-agent receive --print jsonl         one JSON object an item
  obtrace-agent receive --listen localhost:0  on any free port

It takes JSON and protobuf, gzip too, at /v1/traces, /v1/logs and /v1/metrics, and the same under /otlp. SIGTERM or Ctrl-C \
ends it; what was received is told on standard error.")]
pub(super) struct Receive {
    /// Where to listen; port 0 picks a free one and tells it on standard error
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:4318", value_parser = listen)]
    pub(super) listen: Listen,
    /// Form of what arrives on standard output
    #[arg(long, value_name = "FORM", default_value = "text", value_parser = FORMS)]
    pub(super) print: String,
    /// Colours [default: auto, on a terminal]
    #[arg(long, value_name = "WHEN", value_parser = ["auto", "always", "never"])]
    pub(super) color: Option<String>,
}

/// An address as it was given, and what it stands for: a name may stand for several.
#[cfg(feature = "receive")]
#[derive(Clone, Debug)]
pub(super) struct Listen {
    pub(super) given: String,
    pub(super) addresses: Vec<SocketAddr>,
}

#[cfg(feature = "receive")]
fn listen(text: &str) -> Result<Listen, String> {
    let advice = "write HOST:PORT, such as 127.0.0.1:4318, localhost:4318 or [::1]:4318";
    let mut addresses: Vec<SocketAddr> =
        text.to_socket_addrs().map_err(|error| format!("{error}; {advice}"))?.collect();
    // Who is told a name and looks for it asks for IPv4 first or in the end.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    Ok(Listen { given: text.to_owned(), addresses })
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  sudo obtrace-agent check
  obtrace-agent check --json | jq '.features[] | select(.works == false)'
  sudo obtrace-agent check --live        attach for two seconds and show what was captured and lost

Exit code 77 if spans cannot be had on this machine.")]
pub(super) struct Check {
    /// One JSON object
    #[arg(long)]
    pub(super) json: bool,
    /// Attach for some seconds to all processes, and show what was captured and what was lost and why
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    pub(super) live: Option<u16>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  obtrace-agent config                       what `run` would use, and where each value comes from
  obtrace-agent config --config agent.yaml   with a file
  obtrace-agent config --schema              JSON Schema of the file, with the environment variables")]
pub(super) struct ConfigFlags {
    /// Configuration file (YAML) [env: OBTRACE_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The JSON Schema of the file
    #[arg(long)]
    pub(super) schema: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::config::OPTIONS;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_flag_of_the_table_exists_and_arrives() {
        let command = Arguments::command();
        let run = command.find_subcommand("run").unwrap();
        for option in OPTIONS.iter().filter(|option| !option.flag.is_empty()) {
            assert!(run.get_arguments().any(|argument| argument.get_long() == Some(option.flag)), "--{}", option.flag);
        }
        let words =
            "x run --pid 1,2 --pid 3 --port 80 --port 90-91 --metrics --prometheus :9464 --print jsonl --max-sockets 9";
        let Command::Run(run) = Arguments::try_parse_from(words.split(' ')).unwrap().command else { panic!("run") };
        let expected = [
            ("pid", "1,2,3"),
            ("port", "80,90-91"),
            ("metrics", "true"),
            ("prometheus", ":9464"),
            ("print", "jsonl"),
            ("max-sockets", "9"),
        ];
        assert_eq!(run.flags(), expected.map(|(name, value)| (name, value.to_owned())));
    }
}
