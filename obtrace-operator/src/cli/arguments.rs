//! The flags.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Zero-code observability for Kubernetes.
#[derive(Parser)]
#[command(name = "obtrace-zero", version, about, max_term_width = 110)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
    /// When to use colours.
    #[arg(long, global = true, value_enum, default_value_t = ColorChoice::Auto, value_name = "WHEN")]
    pub(super) color: ColorChoice,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    Always,
    Never,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Say which language and framework a container runs, and why
    #[command(after_help = "\
Examples:
  obtrace-zero detect --image node:20-alpine
  obtrace-zero detect --image acme/shop:1.4 --command gunicorn --arg shop.wsgi
  obtrace-zero detect --pid $(pidof -s java) --json
  kubectl get deployments -o json | obtrace-zero detect -f -")]
    Detect(Detect),
    /// Show what would be changed in a manifest, and why; needs no cluster
    #[command(after_help = "\
The file may hold Namespace, ObtraceInstrumentation and (with --assume-configmaps) ConfigMap objects beside the workloads:
they say what the webhook would know of them.

Examples:
  obtrace-zero preview -f deployment.yaml
  obtrace-zero preview -f pod.yaml --namespace shop-prod --output diff
  obtrace-zero preview -f pod.yaml --output patch | jq .
  obtrace-zero preview -f deployment.yaml --cluster")]
    Preview(Preview),
    /// Install Obtrace Zero into a cluster, and wait until it works
    #[cfg(feature = "controller")]
    #[command(after_help = "\
What is there already is brought to what is asked for; what is right is left as it is.

Examples:
  obtrace-zero install --ingest-url https://ingest.example.com --api-key-file key.txt
  obtrace-zero install --ingest-url https://ingest.example.com --api-key-secret obtrace-api-key
  obtrace-zero install --dry-run
  obtrace-zero install --ingest-url https://ingest.example.com --api-key-secret key --output yaml > obtrace-zero.yaml")]
    Install(Box<super::cluster::arguments::Install>),
    /// Bring an installation to this program's version, its settings and resources kept
    #[cfg(feature = "controller")]
    #[command(after_help = "\
Where the new version does not become ready, the former Deployment is put back and the exit code is 1.

Examples:
  obtrace-zero upgrade
  obtrace-zero upgrade --image registry.example.com/obtrace-zero:0.2.0 --timeout 600")]
    Upgrade(super::cluster::arguments::Upgrade),
    /// Take Obtrace Zero out of a cluster, the webhook first; works without the operator
    #[cfg(feature = "controller")]
    #[command(after_help = "\
Pods that are instrumented run on as they are. With --restore their workloads are restarted without us, one after another.

Examples:
  obtrace-zero uninstall --dry-run
  obtrace-zero uninstall --restore --yes
  obtrace-zero uninstall --keep-resources")]
    Uninstall(super::cluster::arguments::Uninstall),
    /// Let the operator keep a copy of the API key's Secret in a namespace
    #[cfg(feature = "controller")]
    #[command(after_help = "\
Pods read the API key from a Secret of their own namespace. This copies it there with your rights, and gives the operator the right to keep that
one Secret up to date; it can see no other.

Examples:
  obtrace-zero allow -n shop
  obtrace-zero allow -n shop -n payments
  obtrace-zero allow                        # the key has changed: copy it again at once")]
    Allow(super::cluster::arguments::Allow),
    /// Say whether the operator works, and what is instrumented
    #[cfg(feature = "controller")]
    #[command(after_help = "\
Examples:
  obtrace-zero status
  obtrace-zero status --json | jq .totals")]
    Status(super::cluster::arguments::Status),
    /// List the workloads: language, framework, strategy, and why not
    #[cfg(feature = "controller")]
    #[command(after_help = "\
Examples:
  obtrace-zero workloads
  obtrace-zero workloads -n shop --json")]
    Workloads(super::cluster::arguments::Workloads),
    /// Look for what keeps Obtrace Zero from working, and say what to do
    #[cfg(feature = "controller")]
    #[command(after_help = "\
The exit code is 1 if a check fails.

Examples:
  obtrace-zero doctor
  obtrace-zero doctor --json | jq '.checks[] | select(.result == \"failed\")'")]
    Doctor(super::cluster::arguments::Doctor),
    /// Run the operator: the webhook, certificates, discovery; what the Deployment in the cluster does
    #[cfg(feature = "controller")]
    Operator(Box<super::operator::Flags>),
    /// Write the Helm chart and the kustomize base into a folder
    #[cfg(feature = "controller")]
    #[command(hide = true)]
    Deploy {
        /// The folder, `deploy` of the repository.
        folder: PathBuf,
    },
    /// Print the definition of the custom resource ObtraceInstrumentation as YAML
    Crd,
    /// Print a completion script for a shell
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// What is known of a container.
#[derive(Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["image", "command", "args", "env", "labels", "image_config", "pid", "file", "stdin"]))]
pub(super) struct Detect {
    /// Image reference, as a Pod has it
    #[arg(long, value_name = "REFERENCE")]
    pub(super) image: Option<String>,
    /// A word of the container's command, which replaces the image's Entrypoint (may be given more than once)
    #[arg(long, value_name = "WORD", allow_hyphen_values = true)]
    pub(super) command: Vec<String>,
    /// A word of the container's args, which replace the image's Cmd (may be given more than once)
    #[arg(long = "arg", value_name = "WORD", allow_hyphen_values = true)]
    pub(super) args: Vec<String>,
    /// An environment variable of the container (may be given more than once)
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) env: Vec<(String, String)>,
    /// A label of the Pod (may be given more than once)
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = pair)]
    pub(super) labels: Vec<(String, String)>,
    /// The image's configuration: the JSON that the registry has, or its `config` object
    #[arg(long, value_name = "FILE")]
    pub(super) image_config: Option<PathBuf>,
    /// A running process of this machine
    #[arg(long, value_name = "PID", conflicts_with_all = ["image", "command", "args", "env", "labels", "image_config", "file", "stdin"])]
    pub(super) pid: Option<u32>,
    /// Every container of the workloads in a manifest; `-` is standard input
    #[arg(short = 'f', long = "file", value_name = "MANIFEST", conflicts_with_all = ["image", "command", "args", "env", "labels", "image_config", "stdin"])]
    pub(super) file: Option<PathBuf>,
    /// Read JSON lines with what is known of a container each, and answer a line each
    #[arg(long, conflicts_with_all = ["image", "command", "args", "env", "labels", "image_config"])]
    pub(super) stdin: bool,
    /// Answer in JSON, a line a container
    #[arg(long)]
    pub(super) json: bool,
    /// Do not ask the catalogue of well-known images
    #[arg(long)]
    pub(super) no_catalogue: bool,
}

#[derive(Args)]
pub(super) struct Preview {
    /// The manifest; `-` is standard input
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(super) file: PathBuf,
    /// The namespace of objects that name none
    #[arg(short = 'n', long, value_name = "NAME")]
    pub(super) namespace: Option<String>,
    /// What to print
    #[arg(short = 'o', long, value_enum, default_value_t = Output::Text, value_name = "FORM")]
    pub(super) output: Output,
    /// The version of the cluster: native sidecars need 1.29
    #[arg(long, value_name = "MAJOR.MINOR", value_parser = version)]
    pub(super) cluster_version: Option<(u16, u16)>,
    /// Read ConfigMaps of the file, too, to know which variables `envFrom` sets. The webhook does not
    #[arg(long)]
    pub(super) assume_configmaps: bool,
    /// Only this workload of the file
    #[arg(long, value_name = "KIND/NAME")]
    pub(super) only: Option<String>,
    /// Use the ObtraceInstrumentations and namespaces of a cluster
    #[cfg(feature = "controller")]
    #[arg(long)]
    pub(super) cluster: bool,
    #[cfg(feature = "controller")]
    #[command(flatten)]
    pub(super) connection: super::cluster::arguments::Connection,
}

#[derive(Clone, Copy, Eq, PartialEq, ValueEnum)]
pub(super) enum Output {
    /// What changes in each container, and why
    Text,
    /// The patch: one RFC 6902 array
    Patch,
    /// The file as it would be
    Manifest,
    /// What changes in the file, line by line
    Diff,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("must be NAME=VALUE".to_owned()),
    }
}

fn version(text: &str) -> Result<(u16, u16), String> {
    let mut numbers = text.trim_start_matches('v').splitn(3, '.').map(|part| {
        // Clouds add to the number: 1.29+.
        part.trim_end_matches('+').parse::<u16>()
    });
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => Err("must be like 1.34".to_owned()),
    }
}
