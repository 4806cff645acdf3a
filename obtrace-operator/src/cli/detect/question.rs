//! What is asked: flags or a JSON line, as the evidence that obtrace-detect takes.

use std::{borrow::Cow, fs};

use obtrace_cli::Failure;
use obtrace_detect::{EnvVar, Evidence, ImageConfig, Process};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::super::arguments;

/// What is known of a container, as its caller has written it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Question {
    pub(super) id: Value,
    image: Option<String>,
    #[serde(deserialize_with = "nullable")]
    command: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    args: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    env: Map<String, Value>,
    #[serde(deserialize_with = "nullable")]
    labels: Map<String, Value>,
    image_config: Option<Value>,
    proc: Option<ProcessQuestion>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ProcessQuestion {
    #[serde(deserialize_with = "nullable")]
    cmdline: Vec<String>,
    exe: Option<String>,
    comm: Option<String>,
    #[serde(deserialize_with = "nullable")]
    maps: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    env: Map<String, Value>,
    #[serde(deserialize_with = "nullable")]
    symbols: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    elf_sections: Vec<String>,
}

/// `null` is as good as absent.
fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl Question {
    /// The question that the flags put.
    pub(super) fn of(flags: &arguments::Detect) -> Result<Self, Failure> {
        let object = |pairs: &[(String, String)]| {
            pairs.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect::<Map<_, _>>()
        };
        let image_config = match &flags.image_config {
            Some(path) => {
                let failed = |error: &dyn std::fmt::Display| {
                    Failure::failed(format_args!("cannot read the image's configuration {}: {error}", path.display()))
                };
                let text = fs::read(path).map_err(|error| failed(&error))?;
                Some(serde_json::from_slice(&text).map_err(|error| failed(&error))?)
            }
            None => None,
        };
        Ok(Self {
            image: flags.image.clone(),
            command: flags.command.clone(),
            args: flags.args.clone(),
            env: object(&flags.env),
            labels: object(&flags.labels),
            image_config,
            ..Self::default()
        })
    }

    /// What a Pod says of one of its containers.
    pub(super) fn of_container(container: &Value, labels: &Value) -> Result<Self, serde_json::Error> {
        let mut env = Map::new();
        for variable in container.get("env").and_then(Value::as_array).into_iter().flatten() {
            if let Some(name) = variable.get("name").and_then(Value::as_str) {
                let value = match (variable.get("value"), variable.get("valueFrom")) {
                    (Some(value), _) => value.clone(),
                    (None, Some(_)) => Value::Null,
                    (None, None) => Value::String(String::new()),
                };
                env.insert(name.to_owned(), value);
            }
        }
        let field = |name: &str| container.get(name).cloned().unwrap_or_default();
        serde_json::from_value(json!({
            "image": field("image"), "command": field("command"), "args": field("args"), "env": env, "labels": labels,
        }))
    }

    /// The same as evidence.
    ///
    /// # Errors
    ///
    /// If the image's configuration is none.
    pub(super) fn known(&self) -> Result<Known<'_>, String> {
        let config = self.image_config.as_ref().map(|config| ImageConfig::parse(config.to_string().as_bytes()));
        let config = config.transpose().map_err(|error| error.to_string())?;
        Ok(Known {
            image: self.image.as_deref(),
            command: borrowed(&self.command),
            args: borrowed(&self.args),
            env: variables(&self.env),
            labels: self.labels.iter().map(|(name, value)| (Cow::from(name.as_str()), scalar(value))).collect(),
            config,
            process: self.proc.as_ref().map(ProcessQuestion::process),
        })
    }
}

impl ProcessQuestion {
    fn process(&self) -> Process<'_> {
        let mut process = Process::default();
        process.cmdline = borrowed(&self.cmdline);
        process.exe = self.exe.as_deref().map(Cow::from);
        process.comm = self.comm.as_deref().map(Cow::from);
        process.maps = borrowed(&self.maps);
        process.env = variables(&self.env);
        process.symbols = borrowed(&self.symbols);
        process.elf_sections = borrowed(&self.elf_sections);
        process
    }
}

/// What evidence borrows from.
pub(super) struct Known<'a> {
    image: Option<&'a str>,
    command: Vec<Cow<'a, str>>,
    args: Vec<Cow<'a, str>>,
    env: Vec<EnvVar<'a>>,
    labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    config: Option<ImageConfig<'static>>,
    process: Option<Process<'a>>,
}

impl Known<'_> {
    pub(super) fn evidence(&self) -> Evidence<'_> {
        let mut evidence = Evidence::new();
        evidence.image = self.image;
        evidence.command = &self.command;
        evidence.args = &self.args;
        evidence.env = &self.env;
        evidence.labels = &self.labels;
        evidence.image_config = self.config.as_ref();
        evidence.process = self.process.as_ref();
        evidence
    }
}

fn borrowed(words: &[String]) -> Vec<Cow<'_, str>> {
    words.iter().map(|word| Cow::from(word.as_str())).collect()
}

fn variables(env: &Map<String, Value>) -> Vec<EnvVar<'_>> {
    let variable = |(name, value): (&'_ String, &'_ Value)| match value {
        Value::Null => EnvVar::unknown(name.clone()),
        value => EnvVar::new(name.clone(), scalar(value).into_owned()),
    };
    env.iter().map(variable).collect()
}

/// A value that should be text: numbers and booleans are what a careless writer means by theirs.
fn scalar(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => Cow::from(text.as_str()),
        Value::Null => Cow::from(""),
        other => Cow::from(other.to_string()),
    }
}
