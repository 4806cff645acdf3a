//! Options as an installation shows them.

use obtrace_patch::EXCLUDED_NAMESPACES;
use serde_json::{Map, Value};

use super::{
    Certificates, FailurePolicy, Options,
    cluster::{list, text},
    operator::{IMAGE_LOOKUPS, IMAGE_REGISTRIES, INSECURE_REGISTRY, TRACE_TO},
};

impl Options {
    /// Reads what was chosen from the Deployment as it is, and from the other objects by their names (`Kind namespace/name`), so that an upgrade keeps it.
    pub fn read(&mut self, deployment: &Value, live: &Map<String, Value>) {
        let number = |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_u64)?.try_into().ok();
        self.image = text(deployment, "/spec/template/spec/containers/0/image").to_owned();
        self.replicas = number(deployment, "/spec/replicas").unwrap_or(self.replicas);
        let class = text(deployment, "/spec/template/spec/priorityClassName");
        self.priority_class = Some(class.to_owned()).filter(|class| !class.is_empty());
        let words = || list(deployment, "/spec/template/spec/containers/0/args").iter().filter_map(Value::as_str);
        self.image_lookups = words().any(|word| word == IMAGE_LOOKUPS);
        let hosts = |flag| words().filter_map(move |word| word.strip_prefix(flag)).map(str::to_owned).collect();
        self.image_registries = hosts(IMAGE_REGISTRIES);
        self.insecure_registries = hosts(INSECURE_REGISTRY);
        let env = list(deployment, "/spec/template/spec/containers/0/env").iter();
        let mut receivers = env.filter(|it| text(it, "/name") == TRACE_TO).map(|it| text(it, "/value"));
        self.trace_to = receivers.next().filter(|url| !url.is_empty()).map(str::to_owned);
        let find = |start: &str| live.iter().find(|(name, _)| name.starts_with(start)).map(|(_, object)| object);
        if let Some(account) = find("ServiceAccount ") {
            let secrets = list(account, "/imagePullSecrets").iter();
            self.image_pull_secrets = secrets.map(|secret| text(secret, "/name").to_owned()).collect();
        }
        self.restarts = find("ClusterRole obtrace-zero-operator-restarts").is_some();
        let issued = find("Certificate ").is_some();
        self.certificates = if issued { Certificates::CertManager } else { Certificates::Operator };
        if let Some(policy) = find("NetworkPolicy ") {
            let ports = list(policy, "/spec/egress/1/ports").iter().filter_map(|port| number(port, "/port"));
            self.api_server_ports = ports.collect();
            let ports = list(policy, "/spec/egress/2/ports").iter().filter_map(|port| number(port, "/port"));
            if self.image_lookups {
                self.registry_ports = ports.collect();
            }
        }
        if let Some(configuration) = find("MutatingWebhookConfiguration ") {
            let failing = text(configuration, "/webhooks/0/failurePolicy") == FailurePolicy::Fail.as_str();
            self.failure_policy = if failing { FailurePolicy::Fail } else { FailurePolicy::Ignore };
            self.timeout_seconds = number(configuration, "/webhooks/0/timeoutSeconds").unwrap_or(self.timeout_seconds);
            let names = list(configuration, "/webhooks/0/namespaceSelector/matchExpressions/0/values").iter();
            let names = names.filter_map(Value::as_str).filter(|name| !EXCLUDED_NAMESPACES.contains(name));
            self.exclude_namespaces = names.map(str::to_owned).collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{name_of, objects};
    use super::*;

    #[test]
    fn what_was_chosen_is_read_back() {
        let mut options = Options::new();
        options.image = "registry.example/operator:2".into();
        options.replicas = 3;
        options.priority_class = Some("system-cluster-critical".into());
        options.image_pull_secrets = vec!["pull".into()];
        options.restarts = true;
        options.certificates = Certificates::CertManager;
        options.failure_policy = FailurePolicy::Fail;
        options.timeout_seconds = 5;
        options.exclude_namespaces = vec!["quiet".into()];
        options.api_server_ports = vec![443, 8443];
        options.image_lookups = true;
        options.image_registries = vec!["docker.io".into(), "*.example:5000".into()];
        options.insecure_registries = vec!["registry.example:5000".into()];
        options.registry_ports = vec![443, 5000];
        options.trace_to = Some("http://collector:4318".into());
        let made = objects(&options);
        let deployment = made.iter().find(|it| it["kind"] == "Deployment").unwrap();
        let live = made.iter().map(|it| (name_of(it), it.clone())).collect();
        let mut read = Options::new();
        read.read(deployment, &live);
        assert_eq!(read, options);
    }
}
