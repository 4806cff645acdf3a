//! What the agent is told: flags beat the environment, the environment beats the file, the file beats the defaults.

mod build;
mod connections;
mod export;
mod metrics;
mod options;
mod schema;
mod suggest;
mod value;

use std::{borrow::Cow, fmt, fs, path::Path};

use serde_json::Value as Json;

pub use build::Built;
pub use export::{Metrics, Outlet, Page};
pub use options::{OPTIONS, Opt};
pub use value::{Kind, Origin};

use crate::traces::Sampler;
use suggest::nearest;

/// Why a configuration cannot be used. Values of secrets are never in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {said}")]
    File {
        /// Its path.
        path: String,
        /// What the system said.
        said: String,
    },
    /// The file is not YAML, or not of the right shape.
    #[error("the configuration file {path} is not right: {said}")]
    Yaml {
        /// Its path.
        path: String,
        /// What is wrong.
        said: String,
    },
    /// There is no such key.
    #[error("{path}: there is no option '{key}'{suggestion}; `obtrace-agent config --schema` lists all")]
    UnknownKey {
        /// The file.
        path: String,
        /// The key.
        key: String,
        /// The key that may be meant.
        suggestion: String,
    },
    /// A value is not what its option takes.
    #[error("{origin}: {key} is {shown}, which is not {expected}")]
    Value {
        /// Where it was said.
        origin: String,
        /// The option.
        key: String,
        /// The value, unless it is a secret.
        shown: String,
        /// What it should look like.
        expected: String,
    },
    /// Two values do not go together, or one cannot be used.
    #[error("{0}")]
    Conflict(String),
}

/// Every option's value and where it comes from.
#[derive(Clone)]
pub struct Config {
    values: Vec<(String, Origin)>,
    warnings: Vec<String>,
    /// Whether Kubernetes tells where its API server is.
    in_cluster: bool,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.entries().map(|(option, value, origin)| (option.key, (value, origin)))).finish()
    }
}

impl Config {
    /// Reads a file if there is one, then `environment`, then `flags` (each a flag's name and value).
    ///
    /// ```
    /// use obtrace_agent::config::Config;
    /// let environment = [("OTEL_EBPF_OPEN_PORT", "80"), ("OBTRACE_PRINT", "jsonl")];
    /// let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    /// let config = Config::load(None, environment, [("print", "tree".to_owned())]).unwrap();
    /// assert_eq!((config.get("select.ports"), config.get("print")), ("80", "tree"));
    /// assert_eq!(config.origin("select.ports").to_string(), "environment OTEL_EBPF_OPEN_PORT");
    /// ```
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<Self, ConfigError> {
        let values = OPTIONS.iter().map(|option| (option.default.to_owned(), Origin::Default)).collect();
        let mut config = Self { values, warnings: Vec::new(), in_cluster: false };
        if let Some(path) = file {
            config.read_file(path)?;
        }
        config.read_environment(environment)?;
        for (name, value) in flags {
            if let Some(at) = OPTIONS.iter().position(|option| option.flag == name) {
                config.set(at, value, Origin::Flag(name.to_owned()))?;
            }
        }
        config.review()?;
        Ok(config)
    }

    /// The value of an option; empty if it is not set or there is none with this key.
    #[must_use]
    pub fn get(&self, key: &str) -> &str {
        position(key).and_then(|at| self.values.get(at)).map_or("", |(value, _)| value)
    }

    /// Where the value comes from.
    #[must_use]
    pub fn origin(&self, key: &str) -> &Origin {
        position(key).and_then(|at| self.values.get(at)).map_or(&Origin::Default, |(_, origin)| origin)
    }

    /// What its reader should know and what does not keep it from being used.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Each option with its value, as far as it may be shown, and where it comes from.
    pub fn entries(&self) -> impl Iterator<Item = (&'static Opt, Cow<'_, str>, &Origin)> {
        OPTIONS.iter().zip(&self.values).map(|(option, (value, origin))| (option, option.kind.shown(value), origin))
    }

    fn set(&mut self, at: usize, value: String, origin: Origin) -> Result<(), ConfigError> {
        let Some(option) = OPTIONS.get(at) else { return Ok(()) };
        if !value.is_empty() && !option.kind.accepts(&value) {
            return Err(refused(option, &value, &origin));
        }
        if let Some(slot) = self.values.get_mut(at) {
            *slot = (value, origin);
        }
        Ok(())
    }

    fn read_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let shown = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|error| ConfigError::File { path: shown.clone(), said: error.to_string() })?;
        self.read_yaml(&text, &shown)
    }

    fn read_yaml(&mut self, text: &str, path: &str) -> Result<(), ConfigError> {
        let wrong = |said: String| ConfigError::Yaml { path: path.to_owned(), said };
        if text.trim().is_empty() {
            return Ok(());
        }
        // A line of the file that is at fault may be one with a secret.
        let options = serde_saphyr::options! { with_snippet: false };
        let tree: Json =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| wrong(presentable(&error)))?;
        let mut values = Vec::new();
        match &tree {
            Json::Null => {}
            Json::Object(_) => flatten("", &tree, &mut values),
            _ => return Err(wrong("it should hold keys and values".to_owned())),
        }
        for (key, value) in values {
            let Some(at) = position(&key) else {
                // What is below a secret may be one.
                if let Some(option) =
                    OPTIONS.iter().find(|option| option.kind == Kind::Secret && is_below(&key, option))
                {
                    return Err(refused(option, "", &Origin::File(path.to_owned())));
                }
                let suggestion = nearest(&key, OPTIONS.iter().map(|option| option.key));
                let suggestion = suggestion.map_or_else(String::new, |key| format!(" (do you mean '{key}'?)"));
                return Err(ConfigError::UnknownKey { path: path.to_owned(), key, suggestion });
            };
            self.set(at, value, Origin::File(path.to_owned()))?;
        }
        Ok(())
    }

    fn read_environment(&mut self, environment: impl IntoIterator<Item = (String, String)>) -> Result<(), ConfigError> {
        let variables: std::collections::BTreeMap<String, String> =
            environment.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        for (at, option) in OPTIONS.iter().enumerate() {
            let own = option.variable();
            let names = std::iter::once(own.as_str()).chain(option.aliases.iter().copied());
            let found = names.filter_map(|name| Some((name, variables.get(name)?))).next();
            if let Some((name, value)) = found {
                let value = translate(option, name, value);
                self.set(at, value, Origin::Environment(name.to_owned()))?;
            }
        }
        self.in_cluster = variables.contains_key("KUBERNETES_SERVICE_HOST");
        if self.origin("print") == &Origin::Default {
            self.read_printer(variables.get("OTEL_EBPF_TRACE_PRINTER").map(String::as_str))?;
        }
        variables.iter().for_each(|(name, value)| self.warn_of(name, value));
        Ok(())
    }

    /// The other's words for our formats.
    fn read_printer(&mut self, word: Option<&str>) -> Result<(), ConfigError> {
        const NAME: &str = "OTEL_EBPF_TRACE_PRINTER";
        let format = match word {
            None => return Ok(()),
            Some("disabled") => "none",
            Some("text") => "text",
            Some("json") => "jsonl",
            Some(other) => {
                self.warnings.push(format!("{NAME}={other} is not in this version; text, json and disabled are"));
                return Ok(());
            }
        };
        let at = position("print").unwrap_or_default();
        self.set(at, format.to_owned(), Origin::Environment(NAME.to_owned()))
    }

    /// Says of a variable that looks as if it were meant for us that nobody reads it.
    fn warn_of(&mut self, name: &str, value: &str) {
        /// Read elsewhere: by this program, by its other parts.
        const OTHERS: [&str; 9] = [
            "OTEL_EBPF_CONFIG_PATH",
            "OTEL_EBPF_TRACE_PRINTER",
            "OBTRACE_CONFIG",
            "OBTRACE_DEBUG",
            "OBTRACE_LANGUAGE",
            "OBTRACE_AGENT_PATH",
            // Those of the project's own tools.
            "OBTRACE_BPF_BUILD",
            "OBTRACE_CACHE",
            "OBTRACE_API_WRITE",
        ];
        let known = OTHERS.contains(&name)
            || OPTIONS.iter().any(|option| option.variable() == name || option.aliases.contains(&name));
        if name == "OBTRACE_TRACE_SAMPLE_RATIO" && !value.is_empty() && Sampler::parse(value).is_none() {
            self.warnings.push(format!("{name}={value} is no number from 0 to 1: all traces are kept"));
        }
        if known {
            return;
        }
        if name.starts_with("OTEL_EBPF_") {
            self.warnings.push(format!("{name} is not in this version: it has no effect"));
        } else if name.starts_with("OBTRACE_") {
            let names: Vec<String> = OPTIONS.iter().map(Opt::variable).collect();
            let hint = nearest(name, names.iter().map(String::as_str));
            let hint = hint.map_or_else(String::new, |name| format!("; do you mean {name}?"));
            self.warnings.push(format!("nobody reads {name}{hint}"));
        } else if name == "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"
            && !value.eq_ignore_ascii_case("cumulative")
        {
            self.warnings.push(format!("{name}={value} is not in this version: sums and histograms are cumulative"));
        } else if name == "OTEL_TRACES_SAMPLER" && value != "always_on" && value != "parentbased_always_on" {
            self.warnings.push(format!("{name}={value} is not in this version: every span is recorded"));
        }
    }
}

/// A value that is not what its option takes.
fn refused(option: &Opt, value: &str, origin: &Origin) -> ConfigError {
    ConfigError::Value {
        origin: origin.to_string(),
        key: option.key.to_owned(),
        shown: match option.kind {
            Kind::Secret => "(not shown)".to_owned(),
            kind => format!("'{}'", kind.shown(value)),
        },
        expected: option.kind.expected(),
    }
}

/// What is wrong with a file. A key that no option has may be a part of a secret.
fn presentable(error: &serde_saphyr::Error) -> String {
    let is_ours = |key: &str| OPTIONS.iter().any(|option| option.key.split('.').any(|part| part == key));
    match error.without_snippet() {
        serde_saphyr::Error::DuplicateMappingKey { key, location } if !key.as_deref().is_some_and(is_ours) => {
            format!("a key comes twice at line {}, column {}", location.line(), location.column())
        }
        error => error.to_string(),
    }
}

fn is_below(key: &str, option: &Opt) -> bool {
    key.strip_prefix(option.key).is_some_and(|rest| rest.starts_with('.'))
}

fn position(key: &str) -> Option<usize> {
    OPTIONS.iter().position(|option| option.key == key)
}

/// What other programs mean by a value, in our words.
fn translate(option: &Opt, name: &str, value: &str) -> String {
    let plain = value.bytes().all(|b| b.is_ascii_digit());
    match option.kind {
        // OpenTelemetry's variables are in milliseconds.
        Kind::Duration if name.starts_with("OTEL_") && plain => format!("{value}ms"),
        Kind::Choice(_) if name == "OTEL_EBPF_LOG_LEVEL" => value.to_lowercase(),
        Kind::Choice(_) if value == "autodetect" => "auto".to_owned(),
        Kind::Choice(_) if value == "explicit_bucket_histogram" => "explicit".to_owned(),
        Kind::Choice(_) if value == "base2_exponential_bucket_histogram" => "exponential".to_owned(),
        // The port of somebody who has none.
        Kind::Address if name.starts_with("OTEL_") && value == "0" => String::new(),
        Kind::Switch if name.starts_with("OTEL_") => value.to_lowercase(),
        _ => value.trim().to_owned(),
    }
}

/// A tree of keys as dotted keys; a list of plain values as one text.
fn flatten(prefix: &str, tree: &Json, out: &mut Vec<(String, String)>) {
    match tree {
        Json::Object(map) => {
            for (key, value) in map {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&key, value, out);
            }
        }
        Json::Array(items) => {
            let items: Vec<String> = items.iter().map(text).collect();
            out.push((prefix.to_owned(), items.join(",")));
        }
        Json::Null => out.push((prefix.to_owned(), String::new())),
        other => out.push((prefix.to_owned(), text(other))),
    }
}

fn text(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests;
