//! From texts to the settings of each part.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use obtrace_probes::Backend;
use obtrace_protocols::payload::GenAiEndpoint;

use super::{
    Config, ConfigError,
    export::{Metrics, Opened, Outlet},
    value,
};
use crate::{
    application,
    discovery::Glob,
    kubernetes::{self, Cluster, Identity, Place, pod_of_mounts},
    print::Format,
    traces::{QueryText, Sampler},
};

/// The port of DNS, the only one that datagrams are captured of.
const DNS: u16 = 53;

/// What the agent is made from.
#[derive(Debug)]
#[non_exhaustive]
pub struct Built {
    /// The agent's settings.
    pub application: application::Settings,
    /// Where spans are exported to.
    pub traces: Vec<Outlet>,
    /// Which metrics there are and where they go; `None`: there are none.
    pub metrics: Option<Metrics>,
}

impl Config {
    /// The settings of each part.
    ///
    /// # Errors
    /// Values that do not go together or that the part refuses.
    pub fn build(&self) -> Result<Built, ConfigError> {
        let opened = Opened::default();
        let traces = self.traces(&opened)?;
        let metrics = self.metrics(&opened)?;
        let mut application = application::Settings::new();
        let is_quiet = !traces.is_empty() || metrics.is_some();
        application.format = self.format(is_quiet && !self.destinations().traces_console);
        self.select(&mut application)?;
        self.limits(&mut application);
        self.spans(&mut application);
        application.backend = match self.get("backend") {
            "fentry" => Backend::Fentry,
            "tracepoint" => Backend::Tracepoint,
            "kprobe" => {
                return Err(ConfigError::Conflict(
                    "the kprobe back end is not in this version; use auto, fentry or tracepoint".to_owned(),
                ));
            }
            _ => Backend::Auto,
        };
        let frame = &mut application.pipeline;
        frame.queue_length = self.count("pipeline.queue_length");
        frame.send_timeout = self.duration("pipeline.send_timeout");
        frame.shutdown_timeout = self.duration("pipeline.shutdown_timeout");
        frame.batch_length = self.count("pipeline.batch_length");
        frame.batch_timeout = self.duration("pipeline.batch_timeout");
        application.enrich.cluster = self.cluster()?.map(Arc::new);
        let accounts = self.get("accounts");
        application.accounts = (!accounts.is_empty()).then(|| PathBuf::from(accounts));
        application.traces.unsampled = metrics.is_some();
        Ok(Built { application, traces, metrics })
    }

    /// The form of the spans on standard output.
    fn format(&self, is_quiet: bool) -> Format {
        let default = if is_quiet { Format::None } else { Format::Text };
        self.get("print").parse().unwrap_or(default)
    }

    fn select(&self, settings: &mut application::Settings) -> Result<(), ConfigError> {
        let pids = value::list(self.get("select.pids"));
        let pids: Result<Vec<u32>, _> = pids.iter().map(|pid| pid.parse()).collect();
        settings.selection.pids = pids.map_err(|_| self.wrong("select.pids", "numbers of processes"))?;
        settings.selection.programs = self.globs("select.programs")?;
        settings.selection.exclude = self.globs("select.exclude")?;
        settings.scan_interval = self.duration("select.scan_interval").max(Duration::from_millis(100));
        settings.connections.ports = value::ports(self.get("select.ports")).unwrap_or_default();
        // A datagram is sent without asking anybody for a connection: who sends one there is not known beforehand.
        let datagrams = settings.connections.ports.iter().any(|range| range.contains(&DNS));
        if !datagrams {
            settings.selection.ports.clone_from(&settings.connections.ports);
        }
        Ok(())
    }

    fn limits(&self, settings: &mut application::Settings) {
        let connections = &mut settings.connections;
        connections.max_connections = self.count("limits.max_sockets");
        connections.memory = self.bytes("limits.memory");
        connections.max_buffered = u32::try_from(self.bytes("limits.connection_memory")).unwrap_or(u32::MAX);
        connections.max_peers = self.count("limits.max_peers");
        connections.peer_timeout = self.nanos("limits.peer_timeout");
        connections.idle_after = self.nanos("limits.idle_after");
        connections.evict_after = self.nanos("limits.evict_after");
        connections.gap_timeout = self.nanos("limits.gap_timeout");
        connections.datagram_timeout = self.nanos("limits.dns_timeout");
        settings.enrich.max_processes = self.count("limits.max_processes");
        settings.traces.max_open = self.count("limits.max_open");
        settings.ring_bytes = u32::try_from(self.bytes("limits.ring_bytes")).unwrap_or(u32::MAX);
        settings.capture_limit = u32::try_from(self.bytes("limits.capture_bytes")).unwrap_or(u32::MAX);
    }

    fn spans(&self, settings: &mut application::Settings) {
        let traces = &mut settings.traces;
        traces.max_names = self.count("traces.max_names");
        traces.url_query = value::switch(self.get("traces.url_query")).unwrap_or(true);
        traces.sensitive_parameters =
            value::list(self.get("traces.sensitive_parameters")).iter().map(|name| name.to_lowercase()).collect();
        traces.query_text = match self.get("traces.query_text") {
            "off" => QueryText::Off,
            "raw" => QueryText::Raw,
            _ => QueryText::Sanitized,
        };
        settings.connections.raw_sql = traces.query_text == QueryText::Raw;
        settings.connections.heuristic_sql = value::switch(self.get("traces.heuristic_sql")).unwrap_or(false);
        settings.connections.gen_ai_content = value::switch(self.get("traces.gen_ai_content")).unwrap_or(false);
        settings.connections.gen_ai_endpoints =
            value::list(self.get("traces.gen_ai_endpoints")).iter().filter_map(|text| endpoint(text)).collect();
        // As the loaders have it: what is no number is as if nothing were set.
        traces.sampler = Sampler::parse(self.get("traces.sample_ratio")).unwrap_or_default();
        traces.max_adopted_spans = u32::try_from(self.count("traces.max_adopted_spans")).unwrap_or(u32::MAX);
        traces.max_adopted_age = self.nanos("traces.max_adopted_age");
        settings.enrich.command_args = value::switch(self.get("resource.command_args")).unwrap_or(false);
        settings.enrich.attributes = value::list(self.get("resource.attributes"))
            .iter()
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
            // The agent's own service is not that of the programs it observes.
            .filter(|(key, _)| !matches!(key.as_str(), "" | "service.name" | "service.instance.id"))
            .collect();
    }

    /// Beside one Pod where its names are told, as the operator does for a sidecar; else for a node, where that is wanted.
    fn cluster(&self) -> Result<Option<Cluster>, ConfigError> {
        let enable = self.get("kubernetes.enable");
        if enable != "true" && !self.get("pod.name").is_empty() && !self.get("pod.service").is_empty() {
            return Ok(Some(Cluster::of_pod(self.pod())));
        }
        let node = self.get("kubernetes.node");
        let asked = enable == "true";
        if asked && !cfg!(feature = "kubernetes") {
            return Err(ConfigError::Conflict(
                "this obtrace-agent was built without the cargo feature `kubernetes`; build it with `--features kubernetes`"
                    .to_owned(),
            ));
        }
        if asked && node.is_empty() {
            return Err(ConfigError::Conflict(
                "which node this is, is not known: set NODE_NAME from spec.nodeName, as deploy/agent/daemonset.yaml does"
                    .to_owned(),
            ));
        }
        let wanted = asked || (enable == "auto" && !node.is_empty() && self.is_in_cluster());
        if !wanted || !cfg!(feature = "kubernetes") {
            return Ok(None);
        }
        let mut settings = kubernetes::Settings::new(node);
        settings.cluster = self.get("kubernetes.cluster").to_owned();
        settings.exclude_namespaces = self.globs("kubernetes.exclude_namespaces")?;
        settings.host_processes = value::switch(self.get("kubernetes.host_processes")).unwrap_or(false);
        settings.peers = value::switch(self.get("kubernetes.peers")).unwrap_or(true);
        settings.max_pods = self.count("kubernetes.max_pods");
        settings.max_peers = self.count("kubernetes.max_peers");
        let kubeconfig = self.get("kubernetes.kubeconfig");
        settings.kubeconfig = (!kubeconfig.is_empty()).then(|| kubeconfig.to_owned());
        Ok(Some(Cluster::of_node(settings)))
    }

    /// Whether there is an API server to ask: Kubernetes tells every Pod where it is.
    fn is_in_cluster(&self) -> bool {
        self.in_cluster || !self.get("kubernetes.kubeconfig").is_empty()
    }

    /// What the environment of a sidecar says of its Pod. The Pod's UID stands in the path that the kubelet mounts from.
    fn pod(&self) -> Identity {
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let uid = fs::read_to_string("/proc/self/cgroup")
            .ok()
            .and_then(|cgroup| Some(Place::of_cgroup(&cgroup)?.pod))
            .or_else(|| pod_of_mounts(&mounts))
            .filter(|uid| !uid.is_static());
        let (name, namespace) = (self.get("pod.name"), self.get("pod.namespace"));
        let all = [
            ("service.name", self.get("pod.service").to_owned()),
            ("service.namespace", namespace.to_owned()),
            ("deployment.environment.name", self.get("pod.environment").to_owned()),
            ("k8s.cluster.name", self.get("kubernetes.cluster").to_owned()),
            ("k8s.namespace.name", namespace.to_owned()),
            ("k8s.pod.name", name.to_owned()),
            ("k8s.pod.uid", uid.map(|uid| uid.to_string()).unwrap_or_default()),
            ("k8s.node.name", self.get("kubernetes.node").to_owned()),
        ];
        let attributes = all.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        Identity { attributes, traced: self.get("pod.traced").to_owned(), complete: true }
    }

    fn globs(&self, key: &str) -> Result<Vec<Glob>, ConfigError> {
        let list = value::list(self.get(key));
        list.iter().map(|pattern| pattern.parse().map_err(|_| self.wrong(key, "a pattern"))).collect()
    }

    pub(super) fn is_flag(&self, key: &str) -> bool {
        matches!(self.origin(key), super::Origin::Flag(_))
    }

    pub(super) fn wrong(&self, key: &str, expected: &str) -> ConfigError {
        ConfigError::Value {
            origin: self.origin(key).to_string(),
            key: key.to_owned(),
            shown: format!("'{}'", self.get(key)),
            expected: expected.to_owned(),
        }
    }

    // The texts were checked when they were set.

    pub(super) fn count(&self, key: &str) -> usize {
        self.get(key).parse().unwrap_or(0)
    }

    pub(super) fn bytes(&self, key: &str) -> usize {
        value::bytes(self.get(key)).and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(usize::MAX)
    }

    pub(super) fn duration(&self, key: &str) -> Duration {
        value::duration(self.get(key)).unwrap_or_default()
    }

    fn nanos(&self, key: &str) -> u64 {
        u64::try_from(self.duration(key).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// `HOST=PROVIDER` or `HOST:PORT=PROVIDER`.
fn endpoint(text: &str) -> Option<GenAiEndpoint> {
    let (host, provider) = text.split_once('=').map(|(host, provider)| (host.trim(), provider.trim()))?;
    let port = host.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse().ok()?)));
    let (name, port) = port.map_or((host, None), |(name, port)| (name, Some(port)));
    (!name.is_empty() && !provider.is_empty()).then(|| GenAiEndpoint::new(name, provider).with_port(port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_have_a_host_and_a_provider() {
        assert_eq!(endpoint("llm.test = own"), Some(GenAiEndpoint::new("llm.test", "own")));
        assert_eq!(endpoint("llm.test:80=own"), Some(GenAiEndpoint::new("llm.test", "own").with_port(Some(80))));
        assert_eq!(endpoint("[::1]=own"), Some(GenAiEndpoint::new("[::1]", "own")));
        for wrong in ["llm.test", "=own", "llm.test="] {
            assert_eq!(endpoint(wrong), None, "{wrong}");
        }
    }
}
