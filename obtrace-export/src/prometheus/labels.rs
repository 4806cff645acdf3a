//! Labels: of the target, the scope, and the point.

use std::fmt::Write as _;

use super::{name::sanitized, options::Options};
use crate::model::{Attribute, Metric, Resource, Value};

/// A label, and the name that it is made of.
#[derive(Clone, Debug)]
struct Label {
    name: String,
    from: String,
    value: String,
}

/// Names that samples have by themselves.
const OWN: [&str; 4] = ["job", "instance", "le", "quantile"];

/// Labels without their brackets: `a="1",b="2"`; what is empty is left out, for Prometheus takes it for absent.
#[derive(Debug, Default)]
pub(super) struct Labels(Vec<Label>);

impl Labels {
    fn set(&mut self, name: &str, value: &Value) {
        let value = text(value);
        if !value.is_empty() {
            self.0.push(Label { name: name.to_owned(), from: String::new(), value });
        }
    }

    fn attribute(&mut self, key: &str, value: &Value) {
        let value = text(value);
        if value.is_empty() {
            return;
        }
        let mut name = sanitized(key, false);
        if OWN.contains(&&*name) || name.starts_with("otel_scope_") {
            // As Prometheus names a label that it has one of its own of.
            name.insert_str(0, "exported_");
        }
        self.0.push(Label { name, from: key.to_owned(), value });
    }

    fn attributes(&mut self, attributes: &[Attribute]) {
        attributes.iter().for_each(|attribute| self.attribute(&attribute.key, &attribute.value));
    }

    /// `job` and `instance`: who it is about.
    fn target(&mut self, resource: &Resource, options: &Options) {
        if !options.identity {
            return;
        }
        let (job, instance) = target(resource);
        self.set("job", &Value::from(job));
        self.set("instance", &Value::from(instance));
    }

    /// In the order of their names. Of attributes that come to the same name, the values stand one after the other, by the
    /// attributes' names.
    fn settled(mut self) -> Self {
        self.0.sort_by(|a, b| (&a.name, &a.from).cmp(&(&b.name, &b.from)));
        self.0.dedup_by(|next, kept| {
            let same = next.name == kept.name;
            if same && next.from != kept.from {
                kept.value.push(';');
                kept.value.push_str(&next.value);
            }
            same
        });
        self
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|label| label.name == name)
    }

    fn write(&self) -> String {
        let mut out = String::new();
        for Label { name, value, .. } in &self.0 {
            if !out.is_empty() {
                out.push(',');
            }
            let _ = write!(out, "{name}=\"");
            escape(&mut out, value, true);
            out.push('"');
        }
        out
    }
}

/// The labels of a target: `job` from service.namespace and service.name, `instance` from service.instance.id.
pub(super) fn target(resource: &Resource) -> (String, String) {
    let of = |key| resource.get(key).map(text).unwrap_or_default();
    let (namespace, name) = (of("service.namespace"), of("service.name"));
    let job = if namespace.is_empty() { name } else { format!("{namespace}/{name}") };
    (job, of("service.instance.id"))
}

/// What all points of a metric have.
#[derive(Debug)]
pub(super) struct Common {
    labels: Labels,
    text: String,
}

impl Common {
    /// With those of a point, which go before: a label that has the name of one of them is `exported_…`.
    pub(super) fn with(&self, attributes: &[Attribute]) -> String {
        let point = of(attributes);
        if !self.labels.0.iter().any(|label| point.has(&label.name)) {
            return joined(&self.text, &point.write());
        }
        let mut others = Labels::default();
        for label in &self.labels.0 {
            let mut label = label.clone();
            if point.has(&label.name) {
                label.name.insert_str(0, "exported_");
                if self.labels.has(&label.name) || point.has(&label.name) {
                    continue;
                }
            }
            others.0.push(label);
        }
        joined(&others.settled().write(), &point.write())
    }
}

/// One set of labels and another, which have no name in common.
pub(super) fn joined(one: &str, other: &str) -> String {
    let comma = if one.is_empty() || other.is_empty() { "" } else { "," };
    [one, comma, other].concat()
}

fn of(attributes: &[Attribute]) -> Labels {
    let mut labels = Labels::default();
    labels.attributes(attributes);
    labels.settled()
}

/// What all points of a metric have.
pub(super) fn of_metric(metric: &Metric, options: &Options) -> Common {
    let mut labels = Labels::default();
    labels.target(&metric.resource, options);
    for key in &options.resource_labels {
        if let Some(value) = metric.resource.get(key) {
            labels.attribute(key, value);
        }
    }
    if options.scope {
        let scope = &metric.scope;
        let parts = [("name", &scope.name), ("version", &scope.version), ("schema_url", &scope.schema_url)];
        parts.iter().for_each(|(part, value)| labels.set(&format!("otel_scope_{part}"), &Value::Str((*value).clone())));
        for attribute in &scope.attributes {
            let name = sanitized(&format!("otel_scope_{}", attribute.key), false);
            if !parts.iter().any(|(part, _)| *part == &*attribute.key) {
                labels.set(&name, &attribute.value);
            }
        }
    }
    let labels = labels.settled();
    let text = labels.write();
    Common { labels, text }
}

/// Those of an exemplar beside its trace and span.
pub(super) fn of_exemplar(attributes: &[Attribute]) -> String {
    let mut labels = of(attributes);
    labels.0.retain(|label| !["trace_id", "span_id"].contains(&label.name.as_str()));
    labels.write()
}

/// Those of `target_info`: what the resource says beside who it is.
pub(super) fn of_target(resource: &Resource, options: &Options) -> Option<String> {
    const IDENTITY: [&str; 3] = ["service.name", "service.namespace", "service.instance.id"];
    let mut labels = Labels::default();
    for attribute in &resource.attributes {
        if !options.identity || !IDENTITY.contains(&&*attribute.key) {
            labels.attribute(&attribute.key, &attribute.value);
        }
    }
    if labels.0.is_empty() {
        return None;
    }
    labels.target(resource, options);
    Some(labels.settled().write())
}

/// Text as it stands in a label or a help line.
pub(super) fn escape(out: &mut String, text: &str, quotes: bool) {
    for character in text.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if quotes => out.push_str("\\\""),
            other => out.push(other),
        }
    }
}

/// A value as text: what is no text, as JSON has it.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Empty => String::new(),
        Value::Str(text) => text.to_string(),
        other => {
            let mut out = String::new();
            json(&mut out, other);
            out
        }
    }
}

fn json(out: &mut String, value: &Value) {
    let _ = match value {
        Value::Empty => write!(out, "null"),
        Value::Bool(truth) => write!(out, "{truth}"),
        Value::Int(number) => write!(out, "{number}"),
        Value::Double(number) => write!(out, "{number:?}"),
        Value::Str(text) => {
            string(out, text);
            Ok(())
        }
        Value::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}")),
        Value::Array(values) => {
            list(out, ('[', ']'), values, json);
            Ok(())
        }
        Value::Map(entries) => {
            list(out, ('{', '}'), entries, |out, entry: &Attribute| {
                string(out, &entry.key);
                out.push(':');
                json(out, &entry.value);
            });
            Ok(())
        }
    };
}

fn string(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

fn list<T>(out: &mut String, (open, close): (char, char), items: &[T], write: impl Fn(&mut String, &T)) {
    out.push(open);
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(close);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_those_of_one_name_joined() {
        let attributes = [
            Attribute::new("http.route", "/a\"b\\c\nd"),
            Attribute::new("x.y", "2"),
            Attribute::new("x_y", "3"),
            Attribute::new("x-y", "1"),
            Attribute::new("job", "mine"),
            Attribute::new("empty", ""),
            Attribute::new("n", 7_i64),
            Attribute::new("list", vec![Value::from("a\u{1}"), Value::from(1.5), Value::from(true)]),
        ];
        assert_eq!(
            of(&attributes).write(),
            r#"exported_job="mine",http_route="/a\"b\\c\nd",list="[\"a\\u0001\",1.5,true]",n="7",x_y="1;2;3""#
        );
    }

    #[test]
    fn a_target_is_named_by_its_service() {
        let resource = |pairs: &[(&'static str, &'static str)]| {
            Resource::new(pairs.iter().map(|(key, value)| Attribute::new(*key, *value)).collect())
        };
        let shop = resource(&[("service.name", "shop"), ("service.namespace", "prod"), ("service.instance.id", "i-1")]);
        assert_eq!(target(&shop), ("prod/shop".to_owned(), "i-1".to_owned()));
        assert_eq!(of_target(&shop, &Options::new()), None, "nothing that `job` and `instance` do not say");
        let more = resource(&[("service.name", "shop"), ("k8s.pod.name", "p")]);
        assert_eq!(of_target(&more, &Options::new()).as_deref(), Some(r#"job="shop",k8s_pod_name="p""#));
        let single = Options::new().with_identity(false);
        assert_eq!(of_target(&more, &single).as_deref(), Some(r#"k8s_pod_name="p",service_name="shop""#));
    }
}
