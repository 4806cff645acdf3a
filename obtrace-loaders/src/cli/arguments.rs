//! The flags.

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Args, Parser, Subcommand,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser},
};

use crate::{LANGUAGES, Language};

/// Installs the loaders of Obtrace Zero and runs programs with them.
#[derive(Parser)]
#[command(name = "obtrace-loaders", version, about, max_term_width = 110)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Copy loaders into a folder, complete or not at all
    #[command(after_help = "\
Every file is checked against the loader's manifest; the files that a runtime is told to read become visible last. What is \
complete already is not copied again, what an earlier copy left unfinished is repaired.

Examples:
  obtrace-loaders copy --language nodejs,python --to /obtrace
  obtrace-loaders copy --language java --from target/loaders --to /opt/obtrace")]
    Copy(Copy),
    /// Run a program with its loader: no Kubernetes needed
    #[command(after_help = "\
The variables that the runtime reads are merged with those that are set, as in a Pod; then the program takes the place of this \
one, with its process id, signals and exit code. The loader is used where it lies if it is complete there, else copied into \
a folder of this user. Telemetry goes to `obtrace-agent receive` on this machine unless another place is named.

Examples:
  obtrace-loaders run -- node app.js
  obtrace-loaders run --ingest http://127.0.0.1:8080 -- gunicorn shop.wsgi
  obtrace-loaders run --java-agent ./obtrace-agent.jar -- java -jar shop.jar
  eval \"$(obtrace-loaders run --print-env --language ruby)\"")]
    Run(Run),
    /// List the loaders that could be copied: version, files, size, hooks
    List(List),
    /// Check every file of the loaders in a folder
    #[command(after_help = "\
Examples:
  obtrace-loaders verify /obtrace
  obtrace-loaders verify /obtrace --language java")]
    Verify(Verify),
    /// Write the manifest of a folder that holds a loader's files, and nothing else
    Manifest(ManifestFlags),
    /// Print a completion script for a shell
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Args)]
pub(super) struct Copy {
    /// The language (may be given more than once, or as a list)
    #[arg(long = "language", value_name = "LANGUAGE", required = true, value_delimiter = ',', value_parser = language())]
    pub(super) languages: Vec<Language>,
    /// The folder to copy to; it is made if it is missing
    #[arg(long, value_name = "DIR")]
    pub(super) to: PathBuf,
    /// The folder that has a folder for each language [default: /agent where it is there, else what is part of this program]
    #[arg(long, value_name = "DIR")]
    pub(super) from: Option<PathBuf>,
    /// Say nothing if all is well
    #[arg(long, short)]
    pub(super) quiet: bool,
}

#[derive(Args)]
pub(super) struct Run {
    /// The language [default: what the command shows]
    #[arg(long, value_name = "LANGUAGE", value_parser = language())]
    pub(super) language: Option<Language>,
    /// The folder that has a folder for each language [default: /agent where it is there, else what is part of this program]
    #[arg(long, value_name = "DIR")]
    pub(super) from: Option<PathBuf>,
    /// The Java agent, obtrace-agent.jar, wherever it lies
    #[arg(long, value_name = "PATH", conflicts_with = "from")]
    pub(super) java_agent: Option<PathBuf>,
    /// The service's name [default: OBTRACE_SERVICE_NAME, else what the loader finds]
    #[arg(long, value_name = "NAME")]
    pub(super) service: Option<String>,
    /// The deployment environment's name
    #[arg(long, value_name = "NAME")]
    pub(super) environment: Option<String>,
    /// Where telemetry goes [default: OBTRACE_INGEST_URL, else http://127.0.0.1:4318]
    #[arg(long, value_name = "URL", value_parser = url)]
    pub(super) ingest: Option<String>,
    /// Print the variables, as a shell reads them, instead of running anything
    #[arg(long)]
    pub(super) print_env: bool,
    /// Print the variables in JSON
    #[arg(long)]
    pub(super) json: bool,
    /// The program and its arguments
    #[arg(last = true, value_name = "COMMAND", required_unless_present = "language")]
    pub(super) command: Vec<OsString>,
}

#[derive(Args)]
pub(super) struct List {
    /// The folder that has a folder for each language [default: /agent where it is there, else what is part of this program]
    #[arg(long, value_name = "DIR")]
    pub(super) from: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args)]
pub(super) struct Verify {
    /// The folder that loaders were copied to, or that has a folder for each language
    #[arg(value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// The language that must be there (may be given more than once, or as a list) [default: all that are there]
    #[arg(long = "language", value_name = "LANGUAGE", value_delimiter = ',', value_parser = language())]
    pub(super) languages: Vec<Language>,
}

#[derive(Args)]
pub(super) struct ManifestFlags {
    /// The folder
    #[arg(value_name = "DIR")]
    pub(super) folder: PathBuf,
    /// The language
    #[arg(long, value_name = "LANGUAGE", value_parser = language())]
    pub(super) language: Language,
    /// The loader's version
    #[arg(long = "loader-version", value_name = "VERSION", default_value = env!("CARGO_PKG_VERSION"))]
    pub(super) loader_version: String,
}

/// The languages that have a loader; what is near to one is suggested.
fn language() -> impl TypedValueParser<Value = Language> {
    let names = LANGUAGES.map(|language| {
        // What people also call them is as good, and not listed.
        let more: &[&str] = match language {
            Language::NodeJs => &["node", "javascript", "js"],
            Language::Python => &["py"],
            Language::DotNet => &[".net", "csharp"],
            _ => &[],
        };
        PossibleValue::new(language.as_str()).aliases(more.iter().copied())
    });
    PossibleValuesParser::new(names).map(|name| Language::from_hint(&name).unwrap_or(Language::Unknown))
}

fn url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.starts_with('/') => Ok(text.to_owned()),
        _ => Err("must begin with http:// or https:// and name a host".to_owned()),
    }
}
