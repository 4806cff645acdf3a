//! The Helm chart and the kustomize base, made of the same objects as an installation.
//!
//! The objects are made with words in the place of what can be chosen; the words are then replaced by what Helm puts there. Whether that is
//! right is seen from `helm template`, whose output has to equal that of `install --output yaml`.

use serde_json::Value;

use super::{ApiKey, Certificates, DEFAULT_OPERATOR_IMAGE, Options, cluster::text, objects};
use crate::{crd::SecretReference, manifests};

/// What the version of the chart and of the program are.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Files of the kustomize base and of the chart, relative to `deploy/`, with what they hold.
///
/// # Errors
///
/// If an object cannot be written as YAML, which would be a fault of this crate.
pub fn files() -> Result<Vec<(String, String)>, serde_saphyr::ser::Error> {
    let mut files = vec![
        ("kustomize/kustomization.yaml".to_owned(), kustomization()),
        ("kustomize/obtrace-zero.yaml".to_owned(), format!("{MADE}{}", documents(&objects(&Options::new()))?)),
        ("helm/obtrace-zero/Chart.yaml".to_owned(), chart()),
        ("helm/obtrace-zero/values.yaml".to_owned(), values()),
        ("helm/obtrace-zero/crds/obtraceinstrumentation.yaml".to_owned(), definition()?),
    ];
    for (name, text) in templates()? {
        files.push((format!("helm/obtrace-zero/templates/{name}.yaml"), text));
    }
    Ok(files)
}

/// The head of every file.
const MADE: &str = "# Made by `obtrace-zero deploy`.\n";

fn documents(objects: &[Value]) -> Result<String, serde_saphyr::ser::Error> {
    let mut out = String::new();
    for object in objects {
        out.push_str("---\n");
        out.push_str(&manifests::to_yaml(object)?);
    }
    Ok(out)
}

fn definition() -> Result<String, serde_saphyr::ser::Error> {
    let definition = objects(&Options::new()).into_iter().find(|it| it["kind"] == "CustomResourceDefinition");
    Ok(format!("{MADE}{}", manifests::to_yaml(&definition.unwrap_or_default())?))
}

fn kustomization() -> String {
    format!(
        "{MADE}apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- obtrace-zero.yaml\nimages:\n- name: {}\n  newTag: {}\n",
        DEFAULT_OPERATOR_IMAGE.rsplit_once(':').map_or(DEFAULT_OPERATOR_IMAGE, |(name, _)| name),
        DEFAULT_OPERATOR_IMAGE.rsplit_once(':').map_or("latest", |(_, tag)| tag),
    )
}

fn chart() -> String {
    format!(
        "{MADE}apiVersion: v2\nname: obtrace-zero\ndescription: Zero-code observability for Kubernetes\ntype: application\nversion: {VERSION}\nappVersion: {VERSION}\nkubeVersion: \">=1.30.0-0\"\nhome: https://github.com/obtrace/obtrace-zero\n"
    )
}

fn values() -> String {
    let options = Options::new();
    let reference = options.key_reference();
    let ports: Vec<_> = options.api_server_ports.iter().map(u32::to_string).collect();
    format!(
        "\
{MADE}# Everything goes into the namespace obtrace-system, whatever the release's: install with -n obtrace-system --create-namespace.
namespace:
  # Make the namespace with its labels of Pod Security. Not together with --create-namespace.
  create: false
# Where telemetry goes: the base URL of the ingest service.
ingestUrl: \"\"
apiKey:
  # The key itself makes the Secret obtrace-api-key; better keep it out of values.
  value: \"\"
  # A Secret of obtrace-system that holds the key, and the key in it.
  secretName: {}
  secretKey: {}
# An ObtraceInstrumentation for the whole cluster.
defaultInstrumentation: true
# How many operators answer.
replicas: {}
# The operator's image.
image: {}
# The images of the loaders and of the eBPF agent; empty: those of the release.
agentImage: \"\"
ebpfImage: \"\"
# Names of Secrets in obtrace-system that the operator's image is pulled with.
imagePullSecrets: []
# The PriorityClass of the operator's Pods, such as system-cluster-critical.
priorityClass: \"\"
# Namespaces to leave alone beside those that always are.
excludeNamespaces: []
# What becomes of Pods while no operator answers: Ignore (made without instrumentation) or Fail (refused).
failurePolicy: {}
# How long the API server waits for an answer, in seconds.
webhookTimeout: {}
# Where the webhook's certificate comes from: operator or cert-manager.
certificates: operator
# Give the operator the right to restart workloads, for resources with `rolloutRestart: onChange`.
allowRestarts: false
# Ports of the API server as Pods reach it, for the NetworkPolicy.
apiServerPorts: [{}]
imageLookups:
  # Look images up in their registries where nothing else tells what a container runs.
  enabled: false
  # The registries whose images are looked up, as hosts with their ports; a * stands for any characters between two dots. None: those of all.
  registries: []
  # Registries that are asked without TLS, as hosts with their ports.
  insecureRegistries: []
  # Ports of registries, for the NetworkPolicy.
  ports: [{}]
# Where traces of the operator itself go: the base URL of a receiver of OTLP over HTTP, such as http://collector.monitoring:4318. Empty: there are none.
traceTo: \"\"
",
        reference.name,
        reference.key,
        options.replicas,
        options.image,
        options.failure_policy.as_str(),
        options.timeout_seconds,
        ports.join(", "),
        options.registry_ports.iter().map(u32::to_string).collect::<Vec<_>>().join(", "),
    )
}

/// A number that stands for the one that is chosen.
const REPLICAS: u32 = 1_999_000_001;
/// The same for seconds.
const SECONDS: u32 = 1_999_000_002;
/// The same for a port.
const PORT: u32 = 1_999_000_003;
/// The same for a port of registries.
const REGISTRY_PORT: u32 = 1_999_000_004;
/// The same for a receiver, with a port that one can have.
const TRACE_TO: &str = "http://WORD-traceTo:64999";

/// What can be chosen, each in the place of its word.
fn words() -> Options {
    let mut options = Options::new();
    options.image = "WORD-image".into();
    options.agent_image = "WORD-agentImage".into();
    options.ebpf_image = "WORD-ebpfImage".into();
    options.image_pull_secrets = vec!["WORD-imagePullSecret".into()];
    options.replicas = REPLICAS;
    options.priority_class = Some("WORD-priorityClass".into());
    options.ingest_url = Some("WORD-ingestUrl".into());
    options.api_key = ApiKey::Secret(SecretReference::new("WORD-secretName", "WORD-secretKey"));
    options.timeout_seconds = SECONDS;
    options.exclude_namespaces = vec!["WORD-excludeNamespace".into()];
    options.certificates = Certificates::CertManager;
    options.restarts = true;
    options.api_server_ports = vec![PORT];
    options.image_lookups = true;
    options.image_registries = vec!["WORD-imageRegistry".into()];
    options.insecure_registries = vec!["WORD-insecureRegistry".into()];
    options.registry_ports = vec![REGISTRY_PORT];
    options.trace_to = Some(TRACE_TO.into());
    options
}

/// What the words are replaced by, each with what stands around it.
const REPLACED: [(&str, &str); 19] = [
    ("replicas: 1999000001\n", "replicas: {{ .Values.replicas }}\n"),
    ("timeoutSeconds: 1999000002\n", "timeoutSeconds: {{ .Values.webhookTimeout }}\n"),
    ("image: WORD-image\n", "image: {{ .Values.image | quote }}\n"),
    ("failurePolicy: Ignore\n", "failurePolicy: {{ .Values.failurePolicy }}\n"),
    ("name: WORD-secretName\n", "name: {{ .Values.apiKey.secretName | quote }}\n"),
    ("- WORD-secretName\n", "- {{ .Values.apiKey.secretName | quote }}\n"),
    ("key: WORD-secretKey\n", "key: {{ .Values.apiKey.secretKey | quote }}\n"),
    (
        "imagePullSecrets:\n- name: WORD-imagePullSecret\n",
        "{{- with .Values.imagePullSecrets }}\nimagePullSecrets:\n{{- range . }}\n- name: {{ . | quote }}\n{{- end }}\n{{- end }}\n",
    ),
    (
        "      priorityClassName: WORD-priorityClass\n",
        "{{- with .Values.priorityClass }}\n      priorityClassName: {{ . | quote }}\n{{- end }}\n",
    ),
    ("  ingestUrl: WORD-ingestUrl\n", "{{- with .Values.ingestUrl }}\n  ingestUrl: {{ . | quote }}\n{{- end }}\n"),
    (
        "      - WORD-excludeNamespace\n",
        "{{- range .Values.excludeNamespaces }}\n      - {{ . | quote }}\n{{- end }}\n",
    ),
    (
        "  exclude:\n    namespaces:\n    - WORD-excludeNamespace\n",
        "{{- with .Values.excludeNamespaces }}\n  exclude:\n    namespaces:\n{{- range . }}\n    - {{ . | quote }}\n{{- end }}\n{{- end }}\n",
    ),
    (
        "  images:\n    agent: WORD-agentImage\n    ebpf: WORD-ebpfImage\n",
        "{{- if or .Values.agentImage .Values.ebpfImage }}\n  images:\n{{- with .Values.agentImage }}\n    agent: {{ . | quote }}\n{{- end }}\n{{- with .Values.ebpfImage }}\n    ebpf: {{ . | quote }}\n{{- end }}\n{{- end }}\n",
    ),
    (
        "    - port: 1999000003\n      protocol: TCP\n",
        "{{- $ports := list }}\n{{- range .Values.apiServerPorts }}{{ $ports = append $ports (int .) }}{{ end }}\n{{- with .Values.ingestUrl }}\n{{- $url := urlParse . }}\n{{- $port := regexFind \":[0-9]+$\" $url.host | trimPrefix \":\" | default (eq $url.scheme \"https\" | ternary \"443\" \"80\") | int }}\n{{- $ports = append $ports $port }}\n{{- end }}\n{{- range uniq $ports }}\n    - port: {{ . }}\n      protocol: TCP\n{{- end }}\n",
    ),
    (
        "        - --image-lookups\n        - --image-registries=WORD-imageRegistry\n        - --insecure-registry=WORD-insecureRegistry\n",
        "{{- if .Values.imageLookups.enabled }}\n        - --image-lookups\n{{- range .Values.imageLookups.registries }}\n        - {{ printf \"--image-registries=%s\" . | quote }}\n{{- end }}\n{{- range .Values.imageLookups.insecureRegistries }}\n        - {{ printf \"--insecure-registry=%s\" . | quote }}\n{{- end }}\n{{- end }}\n",
    ),
    (
        "  - ports:\n    - port: 1999000004\n      protocol: TCP\n",
        "{{- if .Values.imageLookups.enabled }}\n  - ports:\n{{- range .Values.imageLookups.ports }}\n    - port: {{ . }}\n      protocol: TCP\n{{- end }}\n{{- end }}\n",
    ),
    (
        "        - name: OTEL_EXPORTER_OTLP_ENDPOINT\n          value: http://WORD-traceTo:64999\n        - name: NODE_NAME\n          valueFrom:\n            fieldRef:\n              fieldPath: spec.nodeName\n",
        "{{- with .Values.traceTo }}\n        - name: OTEL_EXPORTER_OTLP_ENDPOINT\n          value: {{ . | quote }}\n        - name: NODE_NAME\n          valueFrom:\n            fieldRef:\n              fieldPath: spec.nodeName\n{{- end }}\n",
    ),
    (
        "  - ports:\n    - port: 64999\n      protocol: TCP\n",
        "{{- with .Values.traceTo }}\n{{- if not (regexMatch \"^https?://[^/]\" .) }}{{ fail \"traceTo must begin with http:// or https:// and name a host\" }}{{ end }}\n{{- $url := urlParse . }}\n  - ports:\n    - port: {{ regexFind \":[0-9]+$\" $url.host | trimPrefix \":\" | default (eq $url.scheme \"https\" | ternary \"443\" \"80\") | int }}\n      protocol: TCP\n{{- end }}\n",
    ),
    (
        "  annotations:\n    cert-manager.io/inject-ca-from: obtrace-system/obtrace-zero-webhook\n",
        "{{- if eq .Values.certificates \"cert-manager\" }}\n  annotations:\n    cert-manager.io/inject-ca-from: obtrace-system/obtrace-zero-webhook\n{{- end }}\n",
    ),
];

/// When an object is there; `None`: always.
fn condition(object: &Value) -> Option<&'static str> {
    match text(object, "/kind") {
        "Namespace" => Some(".Values.namespace.create"),
        "Issuer" | "Certificate" => Some("eq .Values.certificates \"cert-manager\""),
        "ObtraceInstrumentation" => Some(".Values.defaultInstrumentation"),
        "Secret" => Some(".Values.apiKey.value"),
        _ if text(object, "/metadata/name").ends_with("-images") => Some(".Values.imageLookups.enabled"),
        _ if text(object, "/metadata/name").ends_with("-restarts") => Some(".Values.allowRestarts"),
        _ => None,
    }
}

/// The templates, in the order in which an installation applies their objects.
fn templates() -> Result<Vec<(String, String)>, serde_saphyr::ser::Error> {
    let mut templates: Vec<(String, String)> = Vec::new();
    for object in objects(&words()) {
        if text(&object, "/kind") == "CustomResourceDefinition" {
            continue;
        }
        let mut body = manifests::to_yaml(&object)?;
        for (word, by) in REPLACED {
            body = body.replace(word, by);
        }
        let body = match condition(&object) {
            Some(condition) => format!("{{{{- if {condition} }}}}\n---\n{body}{{{{- end }}}}\n"),
            None => format!("---\n{body}"),
        };
        let name = text(&object, "/kind").to_ascii_lowercase();
        match templates.iter_mut().find(|(other, _)| *other == name) {
            Some((_, text)) => text.push_str(&body),
            None => templates.push((name, format!("{MADE}{body}"))),
        }
    }
    templates.push(("secret".to_owned(), secret()?));
    Ok(templates)
}

/// The Secret with the key, whose value Helm encodes itself.
fn secret() -> Result<String, serde_saphyr::ser::Error> {
    let mut options = Options::new();
    options.api_key = ApiKey::Value(String::new());
    let secret = objects(&options).into_iter().find(|it| it["kind"] == "Secret").unwrap_or_default();
    let body = manifests::to_yaml(&secret)?
        .replace("api-key: \"\"\n", "api-key: {{ .Values.apiKey.value | b64enc | quote }}\n")
        .replace("api-key: ''\n", "api-key: {{ .Values.apiKey.value | b64enc | quote }}\n");
    Ok(format!("{MADE}{{{{- if .Values.apiKey.value }}}}\n---\n{body}{{{{- end }}}}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_left() {
        let files = files().unwrap();
        for (name, text) in &files {
            assert!(!text.contains("WORD-") && !text.contains("1999000") && !text.contains("64999"), "{name}: {text}");
        }
        // The definition is in a folder of its own, and everything in a namespace in obtrace-system.
        assert!(files.iter().any(|(name, _)| name.ends_with("crds/obtraceinstrumentation.yaml")));
    }
}
