//! Objects of the API, as far as they are read.

use std::{borrow::Cow, collections::BTreeMap, net::IpAddr};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use obtrace_patch::{hooks, marks};
use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::{Coverage, PodRecord, PodUid, Settings, peers::Peer};

/// The image of the sidecar, without registry and version.
const SIDECAR_IMAGE: &str = "obtrace-zero-ebpf";
/// The mirror of a static Pod names here what its control group is called.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";
/// A ReplicaSet's name is its Deployment's and this label's value.
const TEMPLATE_HASH: &str = "pod-template-hash";
/// How much later than scheduled, in seconds, a Pod of a CronJob may be made: one that is retried, or caught up.
const LATE: i64 = 14 * 24 * 3_600;

/// Go writes a list without elements as `null`.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

macro_rules! resource {
    ($type:ident, $group:literal, $version:literal, $kind:literal, $plural:literal) => {
        impl kube::Resource for $type {
            type DynamicType = ();
            type Scope = kube::core::NamespaceResourceScope;

            fn kind((): &()) -> Cow<'_, str> {
                $kind.into()
            }

            fn group((): &()) -> Cow<'_, str> {
                $group.into()
            }

            fn version((): &()) -> Cow<'_, str> {
                $version.into()
            }

            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Pod {
    metadata: ObjectMeta,
    spec: PodSpec,
    status: PodStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodSpec {
    node_name: String,
    host_network: bool,
    #[serde(deserialize_with = "or_default")]
    containers: Vec<Container>,
    #[serde(deserialize_with = "or_default")]
    init_containers: Vec<Container>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Container {
    name: String,
    image: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct PodStatus {
    phase: String,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    #[serde(rename = "podIPs", deserialize_with = "or_default")]
    pod_ips: Vec<PodIp>,
    #[serde(deserialize_with = "or_default")]
    container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "or_default")]
    init_container_statuses: Vec<ContainerStatus>,
    #[serde(deserialize_with = "or_default")]
    ephemeral_container_statuses: Vec<ContainerStatus>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct PodIp {
    ip: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContainerStatus {
    name: String,
    #[serde(rename = "containerID")]
    container_id: Option<String>,
}

resource!(Pod, "", "v1", "Pod", "pods");

impl Pod {
    /// What is kept of it; `None` for one without a UID, which the API does not give.
    pub(super) fn record(&self, settings: &Settings) -> Option<PodRecord> {
        let uid: PodUid = self.metadata.uid.as_deref()?.parse().ok()?;
        let namespace = self.metadata.namespace.clone().unwrap_or_default();
        let mut record = PodRecord::new(uid, namespace, self.metadata.name.clone()?);
        record.static_uid = self.annotation(CONFIG_HASH).and_then(|hash| hash.parse().ok());
        let (service, environment) = self.called();
        record.service = service;
        record.attributes = self.attributes(settings, &record, environment);
        record.containers = self.containers();
        record.addresses = self.addresses();
        record.coverage = self.coverage(settings);
        Some(record)
    }

    fn annotation(&self, key: &str) -> Option<&str> {
        self.metadata.annotations.as_ref()?.get(key).map(String::as_str)
    }

    fn label(&self, key: &str) -> Option<&str> {
        self.metadata.labels.as_ref()?.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The names of service and environment, by the rules that the operator names Pods by.
    fn called(&self) -> (String, Option<String>) {
        let metadata = &self.metadata;
        let owners = metadata.owner_references.iter().flatten();
        let owners: Vec<_> = owners
            .map(|owner| json!({ "kind": owner.kind, "name": owner.name, "controller": owner.controller }))
            .collect();
        let containers: Vec<_> = self.spec.containers.iter().map(|one| json!({ "name": one.name })).collect();
        let text = json!({
            "metadata": {
                "name": metadata.name, "generateName": metadata.generate_name, "namespace": metadata.namespace,
                "labels": metadata.labels, "ownerReferences": owners,
            },
            "spec": { "containers": containers },
        })
        .to_string();
        match obtrace_patch::Pod::parse(text.as_bytes()) {
            Ok(pod) => (pod.service_name().into_owned(), pod.environment().map(str::to_owned)),
            Err(_) => (metadata.name.clone().unwrap_or_default(), None),
        }
    }

    fn attributes(
        &self,
        settings: &Settings,
        record: &PodRecord,
        environment: Option<String>,
    ) -> Vec<(&'static str, String)> {
        let part_of = self.label("app.kubernetes.io/part-of").unwrap_or(&record.namespace);
        let mut attributes = vec![
            ("service.name", record.service.clone()),
            ("service.namespace", part_of.to_owned()),
            ("k8s.namespace.name", record.namespace.clone()),
            ("k8s.pod.name", record.name.clone()),
            ("k8s.pod.uid", record.uid.to_string()),
            ("k8s.node.name", self.spec.node_name.clone()),
            // In the agent's own container the host is called as its Pod.
            ("host.name", self.spec.node_name.clone()),
        ];
        let mut push = |key, value: Option<&str>| {
            attributes.extend(value.filter(|value| !value.is_empty()).map(|value| (key, value.to_owned())));
        };
        push("service.version", self.label("app.kubernetes.io/version"));
        push("deployment.environment.name", environment.as_deref());
        push("k8s.cluster.name", Some(&settings.cluster));
        for (key, name) in self.owners() {
            push(key, Some(name));
        }
        attributes
    }

    /// Who made it, up to the top: a ReplicaSet belongs to a Deployment if its name ends in the Pod's template hash, a Job
    /// to a CronJob if its name ends in a time that this Pod may have been scheduled for.
    fn owners(&self) -> Vec<(&'static str, &str)> {
        let owners = self.metadata.owner_references.as_deref().unwrap_or_default();
        let Some(owner) = owners.iter().find(|owner| owner.controller == Some(true)).or(owners.first()) else {
            return Vec::new();
        };
        let name = owner.name.as_str();
        match owner.kind.as_str() {
            "ReplicaSet" => {
                let hash = self.label(TEMPLATE_HASH);
                let deployment = hash.and_then(|hash| name.strip_suffix(hash)?.strip_suffix('-'));
                let deployment = deployment.filter(|name| !name.is_empty()).map(|name| ("k8s.deployment.name", name));
                [Some(("k8s.replicaset.name", name)), deployment].into_iter().flatten().collect()
            }
            "Job" => {
                let cron_job = self.cron_job(name).map(|name| ("k8s.cronjob.name", name));
                [Some(("k8s.job.name", name)), cron_job].into_iter().flatten().collect()
            }
            "StatefulSet" => vec![("k8s.statefulset.name", name)],
            "DaemonSet" => vec![("k8s.daemonset.name", name)],
            _ => Vec::new(),
        }
    }

    /// The CronJob's name is the Job's without the minute since 1970 that it was scheduled for.
    fn cron_job<'a>(&self, job: &'a str) -> Option<&'a str> {
        let (name, minute) = job.rsplit_once('-').filter(|(name, _)| !name.is_empty())?;
        let scheduled = minute.parse::<i64>().ok()?.checked_mul(60)?;
        let made = self.metadata.creation_timestamp.as_ref()?.0.as_second();
        (-60..LATE).contains(&(made - scheduled)).then_some(name)
    }

    fn containers(&self) -> Vec<(String, Option<String>)> {
        let status = &self.status;
        let statuses =
            [&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses];
        let id = |name: &str| {
            let status = statuses.into_iter().flatten().find(|status| status.name == name)?;
            // `containerd://<id>`
            Some(status.container_id.as_deref()?.rsplit_once("://")?.1.to_owned())
        };
        let declared = self.spec.containers.iter().chain(&self.spec.init_containers).map(|container| &container.name);
        let ephemeral = status.ephemeral_container_statuses.iter().map(|status| &status.name);
        declared.chain(ephemeral).map(|name| (name.clone(), id(name))).collect()
    }

    fn addresses(&self) -> Vec<IpAddr> {
        // Whoever has ended keeps the address in its status while another has got it.
        if self.spec.host_network || matches!(self.status.phase.as_str(), "Succeeded" | "Failed") {
            return Vec::new();
        }
        let all = self.status.pod_ips.iter().map(|one| one.ip.as_str()).chain(self.status.pod_ip.as_deref());
        let mut addresses: Vec<IpAddr> = all.filter_map(|text| text.parse().ok()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    fn coverage(&self, settings: &Settings) -> Coverage {
        let namespace = self.metadata.namespace.as_deref().unwrap_or_default();
        if settings.exclude_namespaces.iter().any(|glob| glob.matches(namespace)) {
            return Coverage::Namespace;
        }
        if [self.annotation(marks::EXCLUDE), self.label(marks::EXCLUDE)].contains(&Some("true")) {
            return Coverage::Excluded;
        }
        let is_sidecar = |container: &Container| {
            let repository = container.image.split('@').next().unwrap_or_default();
            let last = repository.rsplit('/').next().unwrap_or_default();
            container.name == hooks::SIDECAR && last.split(':').next() == Some(SIDECAR_IMAGE)
        };
        if self.spec.containers.iter().chain(&self.spec.init_containers).any(is_sidecar) {
            return Coverage::Sidecar;
        }
        let injected = self.annotation(marks::INJECTED) == Some("true");
        if injected && self.annotation(marks::STRATEGY) == Some("sdk") {
            return Coverage::Loaders;
        }
        Coverage::Observed
    }

    pub(super) fn uid(&self) -> Option<PodUid> {
        self.metadata.uid.as_deref()?.parse().ok()
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Service {
    metadata: ObjectMeta,
    spec: ServiceSpec,
    status: ServiceStatus,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ServiceSpec {
    #[serde(rename = "clusterIPs", deserialize_with = "or_default")]
    cluster_ips: Vec<String>,
    #[serde(rename = "externalIPs", deserialize_with = "or_default")]
    external_ips: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ServiceStatus {
    load_balancer: LoadBalancer,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct LoadBalancer {
    #[serde(deserialize_with = "or_default")]
    ingress: Vec<PodIp>,
}

resource!(Service, "", "v1", "Service", "services");

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct EndpointSlice {
    metadata: ObjectMeta,
    #[serde(deserialize_with = "or_default")]
    endpoints: Vec<Endpoint>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Endpoint {
    #[serde(deserialize_with = "or_default")]
    addresses: Vec<String>,
}

resource!(EndpointSlice, "discovery.k8s.io", "v1", "EndpointSlice", "endpointslices");

/// What has addresses and a name for who is behind them.
pub(super) trait Named: kube::Resource<DynamicType = ()> {
    fn peer(&self) -> Option<Peer>;
    fn addresses(&self) -> Vec<IpAddr>;

    fn key(&self) -> String {
        let meta = self.meta();
        format!("{}/{}", meta.namespace.as_deref().unwrap_or_default(), meta.name.as_deref().unwrap_or_default())
    }
}

fn peer(name: Option<&String>, metadata: &ObjectMeta) -> Option<Peer> {
    let name = name.filter(|name| !name.is_empty())?.clone();
    Some(Peer { name: name.into(), namespace: metadata.namespace.clone().unwrap_or_default().into() })
}

fn parsed<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<IpAddr> {
    // `None` is what a Service without an address of its own has.
    texts.filter_map(|text| text.parse().ok()).collect()
}

impl Named for Service {
    fn peer(&self) -> Option<Peer> {
        peer(self.metadata.name.as_ref(), &self.metadata)
    }

    fn addresses(&self) -> Vec<IpAddr> {
        let balancers = self.status.load_balancer.ingress.iter().map(|ingress| &ingress.ip);
        parsed(self.spec.cluster_ips.iter().chain(&self.spec.external_ips).chain(balancers))
    }
}

impl Named for EndpointSlice {
    fn peer(&self) -> Option<Peer> {
        let labels: &BTreeMap<String, String> = self.metadata.labels.as_ref()?;
        peer(labels.get("kubernetes.io/service-name"), &self.metadata)
    }

    fn addresses(&self) -> Vec<IpAddr> {
        parsed(self.endpoints.iter().flat_map(|endpoint| &endpoint.addresses))
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_semantic_conventions::attribute;

    use super::*;

    const UID: &str = "6f1ed002-ab59-4c1c-9a3d-0c1b2a3d4e5f";

    fn record(metadata: serde_json::Value, spec: serde_json::Value, status: serde_json::Value) -> PodRecord {
        let mut all =
            json!({ "uid": UID, "name": "p", "namespace": "shop", "creationTimestamp": "2026-11-22T11:20:30Z" });
        for (key, value) in metadata.as_object().unwrap() {
            all[key] = value.clone();
        }
        let pod: Pod = serde_json::from_value(json!({ "metadata": all, "spec": spec, "status": status })).unwrap();
        pod.record(&Settings::new("node1")).unwrap()
    }

    fn value_of<'a>(record: &'a PodRecord, key: &str) -> Option<&'a str> {
        record.attributes.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    fn owned(kind: &str, name: &str, labels: serde_json::Value) -> PodRecord {
        let owner = json!([{ "kind": kind, "name": name, "uid": "u", "apiVersion": "v1", "controller": true }]);
        record(
            json!({ "ownerReferences": owner, "labels": labels, "generateName": format!("{name}-") }),
            json!({}),
            json!({}),
        )
    }

    #[test]
    fn owners_are_resolved_to_the_top_where_that_is_certain() {
        let minute = 29_922_440; // 2026-11-22T11:20Z
        let hash = |value: &str| json!({ "pod-template-hash": value });
        for (kind, name, labels, expected) in [
            (
                "ReplicaSet",
                "cart-5b9f8c4d7",
                hash("5b9f8c4d7"),
                vec![("k8s.replicaset.name", "cart-5b9f8c4d7"), ("k8s.deployment.name", "cart")],
            ),
            // Not made by a Deployment: another hash, or none.
            ("ReplicaSet", "cart-5b9f8c4d7", hash("x"), vec![("k8s.replicaset.name", "cart-5b9f8c4d7")]),
            ("ReplicaSet", "cart", json!({}), vec![("k8s.replicaset.name", "cart")]),
            (
                "Job",
                &format!("nightly-{minute}"),
                json!({}),
                vec![("k8s.job.name", "nightly-29922440"), ("k8s.cronjob.name", "nightly")],
            ),
            // A date that somebody wrote, a number that is no time of these days.
            ("Job", "report-20261122", json!({}), vec![("k8s.job.name", "report-20261122")]),
            ("Job", "train-7", json!({}), vec![("k8s.job.name", "train-7")]),
            ("StatefulSet", "db", json!({}), vec![("k8s.statefulset.name", "db")]),
            ("DaemonSet", "log", json!({}), vec![("k8s.daemonset.name", "log")]),
            ("Workflow", "wf", json!({}), vec![]),
        ] {
            let record = owned(kind, name, labels);
            let found: Vec<_> = record
                .attributes
                .iter()
                .filter(|(key, _)| {
                    key.starts_with("k8s.")
                        && !["pod", "node", "namespace"].iter().any(|part| key[4..].starts_with(part))
                })
                .map(|(key, value)| (*key, value.as_str()))
                .collect();
            assert_eq!(found, expected, "{kind} {name}");
        }
    }

    /// The table of the operator's own tests, as far as a Pod of the API can be so.
    #[test]
    fn services_are_called_as_the_operator_calls_them() {
        assert_eq!(owned("ReplicaSet", "cart-5b9f8c4d7", json!({ "pod-template-hash": "5b9f8c4d7" })).service, "cart");
        assert_eq!(owned("ReplicaSet", "x-1", json!({ "app": "shop" })).service, "shop");
        assert_eq!(
            owned("ReplicaSet", "x-1", json!({ "app": "shop", "app.kubernetes.io/name": "store" })).service,
            "store"
        );
        assert_eq!(owned("StatefulSet", "db", json!({})).service, "db");
        assert_eq!(owned("Job", "nightly-29922440", json!({})).service, "nightly");
        assert_eq!(record(json!({}), json!({}), json!({})).service, "p");
    }

    #[test]
    fn attributes_follow_the_conventions() {
        let record = record(
            json!({ "namespace": "shop-prod", "labels": { "app": "cart", "app.kubernetes.io/version": "1.4.2" } }),
            json!({ "nodeName": "node1", "containers": [{ "name": "app", "image": "x" }] }),
            json!({ "podIP": "10.0.0.7", "podIPs": [{ "ip": "10.0.0.7" }, { "ip": "fd00::7" }],
                    "containerStatuses": [{ "name": "app", "containerID": "containerd://abc" }] }),
        );
        for (key, value) in [
            ("service.name", "cart"),
            ("service.namespace", "shop-prod"),
            ("service.version", "1.4.2"),
            ("deployment.environment.name", "production"),
            ("k8s.namespace.name", "shop-prod"),
            ("k8s.pod.name", "p"),
            ("k8s.pod.uid", UID),
            ("k8s.node.name", "node1"),
        ] {
            assert_eq!(value_of(&record, key), Some(value), "{key}");
        }
        assert_eq!(record.containers, [("app".to_owned(), Some("abc".to_owned()))]);
        assert_eq!(record.addresses.len(), 2);
        let known = [
            attribute::SERVICE_NAME,
            attribute::SERVICE_NAMESPACE,
            attribute::SERVICE_VERSION,
            attribute::DEPLOYMENT_ENVIRONMENT_NAME,
            attribute::K8S_NAMESPACE_NAME,
            attribute::K8S_POD_NAME,
            attribute::K8S_POD_UID,
            attribute::K8S_NODE_NAME,
            attribute::HOST_NAME,
        ];
        assert!(record.attributes.iter().all(|(key, _)| known.contains(key)), "{:?}", record.attributes);
    }

    #[test]
    fn who_reports_a_pod() {
        let injected = |strategy: &str| json!({ "annotations": { "obtrace.io/injected": "true", "obtrace.io/strategy": strategy } });
        let with = |list: &str, image: &str| json!({ list: [{ "name": "obtrace-ebpf", "image": image }] });
        let ebpf = "ghcr.io/obtrace/obtrace-zero-ebpf:0.1.0@sha256:00";
        for (metadata, spec, expected) in [
            (json!({}), json!({}), Coverage::Observed),
            (injected("ebpf"), json!({}), Coverage::Observed),
            (injected("hybrid"), json!({}), Coverage::Observed),
            (injected("sdk"), json!({}), Coverage::Loaders),
            // Copied into a template, and never injected.
            (json!({ "annotations": { "obtrace.io/strategy": "sdk" } }), json!({}), Coverage::Observed),
            (injected("ebpf"), with("containers", ebpf), Coverage::Sidecar),
            (injected("hybrid"), with("initContainers", "mirror.example:5000/x/obtrace-zero-ebpf"), Coverage::Sidecar),
            (json!({}), with("containers", "other"), Coverage::Observed),
            (json!({ "annotations": { "obtrace.io/exclude": "true" } }), json!({}), Coverage::Excluded),
            (json!({ "labels": { "obtrace.io/exclude": "true" } }), json!({}), Coverage::Excluded),
            (json!({ "namespace": "kube-system" }), json!({}), Coverage::Namespace),
            (json!({ "namespace": "gke-managed-system" }), json!({}), Coverage::Namespace),
            (json!({ "namespace": "obtrace-system" }), json!({}), Coverage::Namespace),
        ] {
            assert_eq!(record(metadata.clone(), spec.clone(), json!({})).coverage, expected, "{metadata} {spec}");
        }
    }

    #[test]
    fn an_address_of_the_node_or_of_before_is_nobodys() {
        let addresses = |spec, status| record(json!({}), spec, status).addresses.len();
        assert_eq!(addresses(json!({ "hostNetwork": true }), json!({ "podIP": "192.0.2.1" })), 0);
        assert_eq!(addresses(json!({}), json!({ "podIP": "10.0.0.7", "phase": "Succeeded" })), 0);
        assert_eq!(addresses(json!({}), json!({ "podIP": "10.0.0.7", "phase": "Running" })), 1);
    }

    #[test]
    fn services_and_slices_name_addresses() {
        let service: Service = serde_json::from_value(json!({
            "metadata": { "name": "cart", "namespace": "shop" }, "spec": { "clusterIPs": ["10.96.0.9", "None"], "externalIPs": ["192.0.2.9"] },
        }))
        .unwrap();
        assert_eq!((service.addresses().len(), service.peer().unwrap().name.as_str()), (2, "cart"));
        let slice: EndpointSlice = serde_json::from_value(json!({
            "metadata": { "name": "cart-x", "namespace": "shop", "labels": { "kubernetes.io/service-name": "cart" } },
            "endpoints": [{ "addresses": ["10.0.0.7"] }, { "addresses": ["10.0.1.7"] }],
        }))
        .unwrap();
        assert_eq!((slice.addresses().len(), slice.peer().unwrap().name.as_str()), (2, "cart"));
        assert_eq!(slice.key(), "shop/cart-x");
        // A Service without Pods has a list of them that is none.
        let empty: EndpointSlice = serde_json::from_value(json!({ "metadata": {}, "endpoints": null })).unwrap();
        assert!(empty.addresses().is_empty());
        // One that nobody's Service made.
        assert_eq!(EndpointSlice::default().peer(), None);
    }
}
