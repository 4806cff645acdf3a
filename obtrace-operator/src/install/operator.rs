//! The operator itself: its Deployment and what stands around it.

use serde_json::{Map, Value, json};

use super::{OPERATOR, Options, SERVICE, labels, of_system, selector};

/// Of the webhook.
const WEBHOOK_PORT: u16 = 9443;
/// Of `/healthz` and `/readyz`.
const HEALTH_PORT: u16 = 8081;
/// Of `/metrics`.
const METRICS_PORT: u16 = 8080;
/// How long a Pod that is to stop goes on answering, in seconds: until every API server has learnt that it is no endpoint any more.
const DRAIN_SECONDS: u32 = 5;

/// The flag of `obtrace-zero operator` that looks images up.
pub(super) const IMAGE_LOOKUPS: &str = "--image-lookups";
/// The beginning of the one that names a registry whose images are looked up.
pub(super) const IMAGE_REGISTRIES: &str = "--image-registries=";
/// The beginning of the one that names a registry without TLS.
pub(super) const INSECURE_REGISTRY: &str = "--insecure-registry=";
/// The variable that names the receiver of the operator's own traces.
pub(super) const TRACE_TO: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

pub(super) fn account(options: &Options) -> Value {
    let secrets: Vec<_> = options.image_pull_secrets.iter().map(|name| json!({ "name": name })).collect();
    let rest = if secrets.is_empty() { Value::Null } else { json!({ "imagePullSecrets": secrets }) };
    of_system("v1", "ServiceAccount", OPERATOR, rest)
}

pub(super) fn service() -> Value {
    let ports = json!([{ "name": "webhook", "port": 443, "protocol": "TCP", "targetPort": "webhook" }]);
    of_system("v1", "Service", SERVICE, json!({ "spec": { "selector": selector(), "ports": ports } }))
}

/// A node is drained although a replica is the only one, or is not ready: a webhook that is not answered is ignored.
pub(super) fn disruption_budget() -> Value {
    let spec = json!({
        "maxUnavailable": 1,
        "selector": { "matchLabels": selector() },
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
    });
    of_system("policy/v1", "PodDisruptionBudget", OPERATOR, json!({ "spec": spec }))
}

/// In: from anywhere, as nobody knows from where the API server calls. Out: DNS, and the ports of API servers, registries, the ingest service
/// and the receiver of traces.
pub(super) fn network_policy(options: &Options) -> Value {
    let tcp = |port: u32| json!({ "port": port, "protocol": "TCP" });
    let mut ports: Vec<u32> = Vec::new();
    let ingest = options.ingest_url.as_deref().and_then(port_of);
    for port in options.api_server_ports.iter().copied().chain(ingest) {
        if !ports.contains(&port) {
            ports.push(port);
        }
    }
    let incoming: Vec<_> = [METRICS_PORT, HEALTH_PORT, WEBHOOK_PORT].into_iter().map(|port| tcp(port.into())).collect();
    let outgoing: Vec<_> = ports.into_iter().map(tcp).collect();
    let mut egress =
        vec![json!({ "ports": [{ "port": 53, "protocol": "UDP" }, tcp(53)] }), json!({ "ports": outgoing })];
    if options.image_lookups {
        let ports: Vec<_> = options.registry_ports.iter().copied().map(tcp).collect();
        egress.push(json!({ "ports": ports }));
    }
    if let Some(port) = options.trace_to.as_deref().and_then(port_of) {
        egress.push(json!({ "ports": [tcp(port)] }));
    }
    let spec = json!({
        "podSelector": { "matchLabels": selector() },
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{ "ports": incoming }],
        "egress": egress,
    });
    of_system("networking.k8s.io/v1", "NetworkPolicy", OPERATOR, json!({ "spec": spec }))
}

/// The port of a URL of HTTP.
pub(super) fn port_of(url: &str) -> Option<u32> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let after_user = authority.rsplit('@').next()?;
    let after_host = after_user.rsplit(']').next()?;
    match after_host.rsplit_once(':') {
        Some((_, port)) => port.parse::<u16>().ok().map(u32::from),
        None => Some(if scheme == "https" { 443 } else { 80 }),
    }
}

pub(super) fn deployment(options: &Options) -> Value {
    let mut annotations = Map::new();
    annotations.insert("kubectl.kubernetes.io/default-container".into(), "operator".into());
    annotations.insert("prometheus.io/port".into(), METRICS_PORT.to_string().into());
    annotations.insert("prometheus.io/scrape".into(), "true".into());
    let spec = json!({
        "replicas": options.replicas,
        "selector": { "matchLabels": selector() },
        // There is never one that answers less.
        "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 0, "maxSurge": 1 } },
        "template": { "metadata": { "labels": labels(), "annotations": annotations }, "spec": pod(options) },
    });
    of_system("apps/v1", "Deployment", OPERATOR, json!({ "spec": spec }))
}

fn pod(options: &Options) -> Value {
    // The scheduler leaves a node out of spreading if it lacks the label of one of several constraints: clusters have no zones as often
    // as they have, so those are a wish of another kind.
    let spread = json!([{
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": { "matchLabels": selector() },
        "matchLabelKeys": ["pod-template-hash"],
    }]);
    let zones = json!([{
        "weight": 50,
        "podAffinityTerm": { "topologyKey": "topology.kubernetes.io/zone", "labelSelector": { "matchLabels": selector() } },
    }]);
    let mut pod = json!({
        "serviceAccountName": OPERATOR,
        "enableServiceLinks": false,
        "nodeSelector": { "kubernetes.io/os": "linux" },
        // No runAsUser: the image names its user, and OpenShift wants to choose one itself.
        "securityContext": { "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } },
        "terminationGracePeriodSeconds": 30,
        "affinity": { "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": zones } },
        "topologySpreadConstraints": spread,
        "containers": [container(options)],
    });
    if let (Some(class), Value::Object(pod)) = (&options.priority_class, &mut pod) {
        pod.insert("priorityClassName".into(), class.clone().into());
    }
    pod
}

/// The command line; [`Options::read`] reads it back.
fn arguments(options: &Options) -> Vec<String> {
    let mut arguments = vec!["operator".to_owned()];
    if options.image_lookups {
        arguments.push(IMAGE_LOOKUPS.to_owned());
        arguments.extend(options.image_registries.iter().map(|host| format!("{IMAGE_REGISTRIES}{host}")));
        arguments.extend(options.insecure_registries.iter().map(|host| format!("{INSECURE_REGISTRY}{host}")));
    }
    arguments
}

fn environment(options: &Options) -> Vec<Value> {
    let field = |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let mut all = vec![
        field("POD_NAME", "metadata.name"),
        field("POD_NAMESPACE", "metadata.namespace"),
        // What large reviews took goes back to the system: glibc would raise this threshold to the largest of them, and keep their memory.
        json!({ "name": "MALLOC_MMAP_THRESHOLD_", "value": "131072" }),
    ];
    if let Some(url) = &options.trace_to {
        all.push(json!({ "name": TRACE_TO, "value": url }));
        all.push(field("NODE_NAME", "spec.nodeName"));
    }
    all
}

fn container(options: &Options) -> Value {
    let port = |name: &str, port: u16| json!({ "name": name, "containerPort": port, "protocol": "TCP" });
    let probe = |path: &str, period: u32, failures: u32| {
        json!({
            "httpGet": { "path": path, "port": "health" },
            "periodSeconds": period,
            "timeoutSeconds": 2,
            "failureThreshold": failures,
        })
    };
    json!({
        "name": "operator",
        "image": options.image,
        "imagePullPolicy": "IfNotPresent",
        "args": arguments(options),
        "env": environment(options),
        "ports": [port("webhook", WEBHOOK_PORT), port("health", HEALTH_PORT), port("metrics", METRICS_PORT)],
        "readinessProbe": probe("/readyz", 2, 2),
        "livenessProbe": probe("/healthz", 10, 3),
        // The image has no shell to sleep in; the kubelet does it.
        "lifecycle": { "preStop": { "sleep": { "seconds": DRAIN_SECONDS } } },
        "resources": {
            "requests": { "cpu": "50m", "memory": "64Mi" },
            "limits": { "cpu": "1", "memory": "256Mi" },
        },
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "capabilities": { "drop": ["ALL"] },
            "privileged": false,
            "readOnlyRootFilesystem": true,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::port_of;

    #[test]
    fn the_port_of_the_ingest_service_is_let_through() {
        for (url, port) in [
            ("https://ingest.example.com", Some(443)),
            ("http://ingest.example.com/base", Some(80)),
            ("http://ingest:4318/otlp", Some(4318)),
            ("http://[fd00::1]:4318", Some(4318)),
            ("http://[fd00::1]/otlp", Some(80)),
            ("http://ingest:port", None),
        ] {
            assert_eq!(port_of(url), port, "{url}");
        }
    }
}
