//! What a caller knows of a container.

use alloc::{borrow::Cow, vec::Vec};

use crate::{Framework, Language, Process, Runtime};

/// An environment variable of a container.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct EnvVar<'a> {
    /// Its name.
    pub name: Cow<'a, str>,
    /// Its value; `None` where it is set but the value is not known (Kubernetes' `valueFrom`).
    pub value: Option<Cow<'a, str>>,
}

impl<'a> EnvVar<'a> {
    /// A variable with its value.
    #[must_use]
    pub fn new(name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) -> Self {
        Self { name: name.into(), value: Some(value.into()) }
    }

    /// A variable that is set to something unknown.
    #[must_use]
    pub fn unknown(name: impl Into<Cow<'a, str>>) -> Self {
        Self { name: name.into(), value: None }
    }
}

/// What is known of one container. Everything is optional: more evidence gives better verdicts.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Evidence<'a> {
    /// A language that somebody who knows has named: the variable `OBTRACE_LANGUAGE` needs no mention here, it is read
    /// from [`env`](Self::env); this is for labels and settings.
    pub hint: Option<&'a str>,
    /// What was seen in an earlier container of the same image and command.
    pub observation: Option<Observation>,
    /// The image reference as the Pod has it.
    pub image: Option<&'a str>,
    /// Kubernetes' `command`. If present and not empty it replaces the image's Entrypoint and drops its Cmd.
    pub command: &'a [Cow<'a, str>],
    /// Kubernetes' `args`. If not empty they replace the image's Cmd.
    pub args: &'a [Cow<'a, str>],
    /// Environment variables of the container, in their order.
    pub env: &'a [EnvVar<'a>],
    /// Labels of the container's image or Pod that may say something (`app.kubernetes.io/...`, `obtrace.io/language`).
    pub labels: &'a [(Cow<'a, str>, Cow<'a, str>)],
    /// The image's own configuration.
    pub image_config: Option<&'a ImageConfig<'a>>,
    /// The running process.
    pub process: Option<&'a Process<'a>>,
}

impl<'a> Evidence<'a> {
    /// Nothing known.
    ///
    /// ```
    /// use obtrace_detect::{Evidence, Framework, Language, detect};
    ///
    /// let command = ["sh".into(), "-c".into(), "exec gunicorn shop.wsgi:application".into()];
    /// let evidence = Evidence::new().with_image("registry.example/shop:7").with_command(&command);
    /// let detection = detect(&evidence);
    /// assert_eq!(detection.language, Language::Python);
    /// assert_eq!(detection.framework, Some(Framework::Django));
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With a language that somebody has named.
    #[must_use]
    pub fn with_hint(self, hint: &'a str) -> Self {
        Self { hint: Some(hint), ..self }
    }

    /// With what was seen in an earlier container.
    #[must_use]
    pub fn with_observation(self, observation: Observation) -> Self {
        Self { observation: Some(observation), ..self }
    }

    /// With the image reference.
    #[must_use]
    pub fn with_image(self, image: &'a str) -> Self {
        Self { image: Some(image), ..self }
    }

    /// With Kubernetes' `command`.
    #[must_use]
    pub fn with_command(self, command: &'a [Cow<'a, str>]) -> Self {
        Self { command, ..self }
    }

    /// With Kubernetes' `args`.
    #[must_use]
    pub fn with_args(self, args: &'a [Cow<'a, str>]) -> Self {
        Self { args, ..self }
    }

    /// With the container's environment variables.
    #[must_use]
    pub fn with_env(self, env: &'a [EnvVar<'a>]) -> Self {
        Self { env, ..self }
    }

    /// With labels.
    #[must_use]
    pub fn with_labels(self, labels: &'a [(Cow<'a, str>, Cow<'a, str>)]) -> Self {
        Self { labels, ..self }
    }

    /// With the image's configuration.
    #[must_use]
    pub fn with_image_config(self, config: &'a ImageConfig<'a>) -> Self {
        Self { image_config: Some(config), ..self }
    }

    /// With the running process.
    #[must_use]
    pub fn with_process(self, process: &'a Process<'a>) -> Self {
        Self { process: Some(process), ..self }
    }
}

/// What an image says of itself: the `config` object of the [OCI image configuration].
///
/// [OCI image configuration]: https://github.com/opencontainers/image-spec/blob/v1.1.0/config.md
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct ImageConfig<'a> {
    /// `Entrypoint`.
    pub entrypoint: Vec<Cow<'a, str>>,
    /// `Cmd`.
    pub cmd: Vec<Cow<'a, str>>,
    /// `Env`, split at the first `=`.
    pub env: Vec<EnvVar<'a>>,
    /// `Labels`.
    pub labels: Vec<(Cow<'a, str>, Cow<'a, str>)>,
}

impl<'a> ImageConfig<'a> {
    /// An image that says nothing.
    ///
    /// ```
    /// use obtrace_detect::{EnvVar, Evidence, ImageConfig, Language, detect};
    ///
    /// let config = ImageConfig::new()
    ///     .with_env(vec![EnvVar::new("PYTHON_VERSION", "3.12.7")])
    ///     .with_cmd(vec!["celery".into(), "worker".into()]);
    /// assert_eq!(detect(&Evidence::new().with_image_config(&config)).language, Language::Python);
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this `Entrypoint`.
    #[must_use]
    pub fn with_entrypoint(self, entrypoint: Vec<Cow<'a, str>>) -> Self {
        Self { entrypoint, ..self }
    }

    /// With this `Cmd`.
    #[must_use]
    pub fn with_cmd(self, cmd: Vec<Cow<'a, str>>) -> Self {
        Self { cmd, ..self }
    }

    /// With this `Env`.
    #[must_use]
    pub fn with_env(self, env: Vec<EnvVar<'a>>) -> Self {
        Self { env, ..self }
    }

    /// With these `Labels`.
    #[must_use]
    pub fn with_labels(self, labels: Vec<(Cow<'a, str>, Cow<'a, str>)>) -> Self {
        Self { labels, ..self }
    }
}

/// What an agent on the node has seen in an earlier container of the same image digest and command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Observation {
    /// The language.
    pub language: Language,
    /// The runtime.
    pub runtime: Runtime,
    /// The framework, if one was seen.
    pub framework: Option<Framework>,
}

impl Observation {
    /// A runtime that was seen.
    #[must_use]
    pub fn new(runtime: Runtime, framework: Option<Framework>) -> Self {
        Self { language: runtime.language(), runtime, framework }
    }
}
