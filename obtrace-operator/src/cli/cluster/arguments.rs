//! The flags of the commands that talk to a cluster.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};

use crate::cli::duration;

/// Which cluster is meant.
#[derive(Args, Clone, Default)]
pub(in crate::cli) struct Connection {
    /// The kubeconfig file; without it $KUBECONFIG, then ~/.kube/config
    #[arg(long, value_name = "FILE", global = true)]
    pub(in crate::cli) kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig
    #[arg(long, value_name = "NAME", global = true)]
    pub(in crate::cli) context: Option<String>,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(in crate::cli) enum Form {
    /// The objects, to be applied by other means; needs no cluster
    Yaml,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(in crate::cli) enum Certificates {
    /// cert-manager where the cluster has it, else the operator
    Auto,
    /// The operator makes and rotates it
    Operator,
    /// cert-manager does
    CertManager,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(in crate::cli) enum Policy {
    /// They are made without instrumentation
    Ignore,
    /// They are refused
    Fail,
}

#[derive(Args)]
pub(in crate::cli) struct Install {
    /// Where telemetry goes: the base URL of the ingest service
    #[arg(long, value_name = "URL")]
    pub(super) ingest_url: Option<String>,
    /// The API key. Others may see it in the list of processes: rather use the variable or --api-key-file
    #[arg(long, value_name = "KEY", env = "OBTRACE_API_KEY", hide_env_values = true, conflicts_with_all = ["api_key_file", "api_key_secret"])]
    pub(super) api_key: Option<String>,
    /// A file with the API key; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "api_key_secret")]
    pub(super) api_key_file: Option<PathBuf>,
    /// A Secret of obtrace-system that holds the API key already
    #[arg(long, value_name = "NAME[/KEY]")]
    pub(super) api_key_secret: Option<String>,
    /// Let the operator copy the API key into this namespace, as `obtrace-zero allow` does (may be given more than once)
    #[arg(long, value_name = "NAMESPACE")]
    pub(super) allow: Vec<String>,
    /// Make no ObtraceInstrumentation for the whole cluster
    #[arg(long)]
    pub(super) no_default: bool,
    /// How many operators answer
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    pub(super) replicas: u32,
    /// The operator's image
    #[arg(long, value_name = "REFERENCE")]
    pub(super) image: Option<String>,
    /// The image of the loaders
    #[arg(long, value_name = "REFERENCE")]
    pub(super) agent_image: Option<String>,
    /// The image of the eBPF agent
    #[arg(long, value_name = "REFERENCE")]
    pub(super) ebpf_image: Option<String>,
    /// A Secret of obtrace-system that the operator's image is pulled with (may be given more than once)
    #[arg(long, value_name = "NAME")]
    pub(super) image_pull_secret: Vec<String>,
    /// The PriorityClass of the operator's Pods, such as system-cluster-critical
    #[arg(long, value_name = "NAME")]
    pub(super) priority_class: Option<String>,
    /// A namespace to leave alone beside those that always are (may be given more than once)
    #[arg(long, value_name = "NAMESPACE")]
    pub(super) exclude_namespace: Vec<String>,
    /// What becomes of Pods while no operator answers
    #[arg(long, value_enum, default_value_t = Policy::Ignore)]
    pub(super) failure_policy: Policy,
    /// How long the API server waits for an answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(super) webhook_timeout: u32,
    /// Where the webhook's certificate comes from
    #[arg(long, value_enum, default_value_t = Certificates::Auto)]
    pub(super) certificates: Certificates,
    /// Give the operator the right to restart workloads for resources with `rolloutRestart: onChange`
    #[arg(long)]
    pub(super) allow_restarts: bool,
    /// A port of the API server as Pods reach it, for the NetworkPolicy (may be given more than once)
    #[arg(long, value_name = "PORT")]
    pub(super) api_server_port: Vec<u16>,
    /// Let the operator look images up in their registries where nothing else tells what a container runs
    #[arg(long)]
    pub(super) image_lookups: bool,
    /// The registries whose images are looked up, instead of all; a `*` stands for any characters between two dots
    #[arg(long, value_name = "HOST[:PORT],…", value_delimiter = ',', requires = "image_lookups")]
    pub(super) image_registries: Vec<String>,
    /// A registry that is asked without TLS (may be given more than once)
    #[arg(long, value_name = "HOST[:PORT]", requires = "image_lookups")]
    pub(super) insecure_registry: Vec<String>,
    /// A port of registries beside 443, for the NetworkPolicy (may be given more than once)
    #[arg(long, value_name = "PORT", requires = "image_lookups")]
    pub(super) registry_port: Vec<u16>,
    /// Send traces of the operator itself there: the base URL of a receiver of OTLP over HTTP, such as http://collector.monitoring:4318
    #[arg(long, value_name = "URL")]
    pub(super) trace_to: Option<String>,
    /// Ask the API server what would change, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Print the objects instead of applying them
    #[arg(short = 'o', long, value_enum, value_name = "FORM", conflicts_with = "dry_run")]
    pub(super) output: Option<Form>,
    #[command(flatten)]
    pub(super) waiting: Waiting,
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// How long is waited.
#[derive(Args)]
pub(in crate::cli) struct Waiting {
    /// How long to wait until it is ready, such as 90s or 5m
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    pub(super) timeout: Duration,
    /// Do not wait until it is ready
    #[arg(long)]
    pub(super) no_wait: bool,
}

#[derive(Args)]
pub(in crate::cli) struct Upgrade {
    /// The operator's image; without it, this version's from the registry and repository of the installed one
    #[arg(long, value_name = "REFERENCE")]
    pub(super) image: Option<String>,
    /// Ask the API server what would change, and change nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    #[command(flatten)]
    pub(super) waiting: Waiting,
    #[command(flatten)]
    pub(super) connection: Connection,
}

#[derive(Args)]
pub(in crate::cli) struct Uninstall {
    /// Restart the instrumented workloads without us, one after another
    #[arg(long)]
    pub(super) restore: bool,
    /// Keep the ObtraceInstrumentations and their definition
    #[arg(long)]
    pub(super) keep_resources: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Do not ask
    #[arg(short = 'y', long)]
    pub(super) yes: bool,
    #[command(flatten)]
    pub(super) waiting: Waiting,
    #[command(flatten)]
    pub(super) connection: Connection,
}

#[derive(Args)]
pub(in crate::cli) struct Allow {
    /// The namespace (may be given more than once); without it the copies are brought up to date where they are allowed
    #[arg(short = 'n', long = "namespace", value_name = "NAME")]
    pub(super) namespaces: Vec<String>,
    /// Let the operator read this pull secret there, to look images up with, instead of copying the API key (may be given more than once)
    #[arg(long, value_name = "NAME", requires = "namespaces")]
    pub(super) pull_secret: Vec<String>,
    #[command(flatten)]
    pub(super) connection: Connection,
}

#[derive(Args)]
pub(in crate::cli) struct Status {
    /// Answer in JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) connection: Connection,
}

#[derive(Args)]
pub(in crate::cli) struct Workloads {
    /// Only this namespace
    #[arg(short = 'n', long, value_name = "NAME")]
    pub(super) namespace: Option<String>,
    /// Answer in JSON, a line a workload
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) connection: Connection,
}

#[derive(Args)]
pub(in crate::cli) struct Doctor {
    /// Answer in JSON
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) connection: Connection,
}
