//! The forms of a page, and what is on it.

/// The form of a page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// Prometheus' [text format](https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format) 0.0.4. It has
    /// no exemplars.
    #[default]
    Text,
    /// [OpenMetrics](https://prometheus.io/docs/specs/om/open_metrics_spec/) 1.0.
    OpenMetrics,
}

impl Form {
    /// What `Content-Type` says of it.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The form that an `Accept` header prefers. Text, if it says nothing of either.
    ///
    /// ```
    /// use obtrace_export::prometheus::Form;
    /// let accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    /// assert_eq!(Form::accepted(accept), Form::OpenMetrics);
    /// assert_eq!(Form::accepted("*/*"), Form::Text);
    /// ```
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let (mut text, mut open) = (0.0_f32, 0.0_f32);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut quality, mut version) = (1.0, None);
            for part in parts {
                match part.split_once('=').map(|(name, value)| (name.trim(), value.trim().trim_matches('"'))) {
                    Some(("q", value)) => quality = value.parse().unwrap_or(0.0),
                    Some(("version", value)) => version = Some(value),
                    _ => {}
                }
            }
            match (&*media, version) {
                ("application/openmetrics-text", None | Some("1.0.0" | "0.0.1")) => open = open.max(quality),
                ("text/plain", None | Some("0.0.4")) | ("text/*" | "*/*", _) => text = text.max(quality),
                _ => {}
            }
        }
        if open > 0.0 && open >= text { Self::OpenMetrics } else { Self::Text }
    }
}

/// What is on a page.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Every sample has the labels `job` and `instance`, of its resource's `service.namespace`, `service.name` and
    /// `service.instance.id`. Needed where a page tells of more than one; scrape it with `honor_labels: true`. On.
    pub identity: bool,
    /// Every sample has the labels `otel_scope_name` and so on. On.
    pub scope: bool,
    /// There is a `target_info` for each resource that says more than who it is. On.
    pub target_info: bool,
    /// Since when each series counts, as `_created`, in OpenMetrics only. Off: Prometheus makes series of them.
    pub created: bool,
    /// Attributes of resources that are labels of every sample. None.
    pub resource_labels: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { identity: true, scope: true, target_info: true, created: false, resource_labels: Vec::new() }
    }
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`Options::identity`].
    #[must_use]
    pub const fn with_identity(mut self, identity: bool) -> Self {
        self.identity = identity;
        self
    }

    /// Sets [`Options::scope`].
    #[must_use]
    pub const fn with_scope(mut self, scope: bool) -> Self {
        self.scope = scope;
        self
    }

    /// Sets [`Options::target_info`].
    #[must_use]
    pub const fn with_target_info(mut self, target_info: bool) -> Self {
        self.target_info = target_info;
        self
    }

    /// Sets [`Options::created`].
    #[must_use]
    pub const fn with_created(mut self, created: bool) -> Self {
        self.created = created;
        self
    }

    /// Sets [`Options::resource_labels`].
    #[must_use]
    pub fn with_resource_labels(mut self, keys: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.resource_labels = keys.into_iter().map(Into::into).collect();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_the_one_that_is_preferred() {
        for (accept, form) in [
            ("", Form::Text),
            ("text/plain", Form::Text),
            ("application/openmetrics-text", Form::OpenMetrics),
            ("application/openmetrics-text; version=1.0.0; charset=utf-8", Form::OpenMetrics),
            ("application/openmetrics-text; version=\"1.0.0\"", Form::OpenMetrics),
            ("application/openmetrics-text; version=2.0.0, text/plain; q=0.1", Form::Text),
            ("application/openmetrics-text;q=0.2,text/plain;version=0.0.4;q=0.9", Form::Text),
            ("application/openmetrics-text;q=0, */*;q=0.1", Form::Text),
            ("APPLICATION/OpenMetrics-Text;q=0.5,*/*;q=0.1", Form::OpenMetrics),
            (
                "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,\
              application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;q=0.3,\
              text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                Form::OpenMetrics,
            ),
            (";;;q==,,\u{7f}", Form::Text),
        ] {
            assert_eq!(Form::accepted(accept), form, "{accept}");
        }
    }
}
