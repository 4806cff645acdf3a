//! What the environment says of traces.

use std::time::Duration;

use obtrace_export::{
    batch::Limits,
    model::{Attribute, Resource, Signal},
    pipeline::{Config, Exporter, Worker},
    resource::Builder,
    transport::{
        ConfigError,
        env::{EnvError, Environment, TransportConfig},
    },
};

use super::{SCHEMA_URL, Traces, sampler::Sampler};

/// What the operator is called.
const SERVICE: &str = "obtrace-zero-operator";
/// The most requests at once.
const REQUESTS: usize = 2;

/// What waits takes little of what a replica may have.
fn limits() -> Limits {
    Limits::new().with_queue_items(4096).with_queue_bytes(4 << 20)
}

/// The replica that traces are of.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Replica {
    /// The namespace of its Pod.
    pub namespace: String,
    /// The name of its Pod.
    pub pod: String,
    /// The node that it is on, where that is known.
    pub node: Option<String>,
}

impl Replica {
    /// A replica by the namespace and name of its Pod.
    #[must_use]
    pub fn new(namespace: impl Into<String>, pod: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), pod: pod.into(), node: None }
    }
}

/// Why traces cannot be sent as they are asked for.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The receiver, or what is sent along.
    #[error("cannot send traces of the operator: {0}")]
    Receiver(#[from] EnvError),
    /// TLS, or what is sent with every request.
    #[error("cannot send traces of the operator: {0}")]
    Transport(#[from] ConfigError),
}

/// What the environment says of traces.
#[derive(Clone, Debug)]
pub struct Settings {
    receiver: Option<TransportConfig>,
    limits: Limits,
    sampler: Sampler,
    resource: Resource,
    warnings: Vec<String>,
}

impl Settings {
    /// Reads the variables that the [module](super) lists; `get` gives a variable's value. Nothing is asked for unless one of them names a
    /// receiver, or `otlp`.
    ///
    /// # Errors
    /// The receiver's URL or a header is none, or a client certificate has no key. Of other values that cannot be meant there are
    /// [`warnings`](Self::warnings).
    pub fn read(get: impl Fn(&str) -> Option<String>, replica: &Replica) -> Result<Self, SettingsError> {
        let get = |name: &str| get(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let mut reader = Reader { get, warnings: Vec::new() };
        let product = concat!("obtrace-zero/", env!("CARGO_PKG_VERSION"));
        let receiver = reader.receiver()?.map(|receiver| receiver.with_product(product)).transpose()?;
        let (limits, sampler) = (reader.limits(), reader.sampler());
        let resource = reader.resource(replica);
        if receiver.is_some() {
            reader.warn_of_others();
        }
        Ok(Self { receiver, limits, sampler, resource, warnings: reader.warnings })
    }

    /// What was asked for and is not done, in words.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Where traces go, fit to be shown; `None`: nobody asks for them.
    #[must_use]
    pub fn receiver(&self) -> Option<String> {
        self.receiver.as_ref().map(TransportConfig::url)
    }

    /// Traces as they are asked for, and what has to run for them; `None` if nobody does.
    ///
    /// # Errors
    /// TLS cannot be set up: a certificate's file cannot be read or is none.
    pub fn start(self) -> Result<Option<(Traces, Worker)>, SettingsError> {
        let Some(receiver) = self.receiver else { return Ok(None) };
        let config = Config::new().with_limits(self.limits).with_concurrency(REQUESTS);
        let (exporter, worker) = Exporter::new(receiver.build()?, config);
        Ok(Some((Traces::with(exporter, self.resource, self.sampler), worker)))
    }
}

/// Reads variables, and notes what is wrong with them.
struct Reader<G> {
    get: G,
    warnings: Vec<String>,
}

impl<G: Fn(&str) -> Option<String>> Reader<G> {
    /// The first of these variables that says something, and what.
    fn first(&self, names: &[&'static str]) -> Option<(&'static str, String)> {
        names.iter().find_map(|name| Some((*name, (self.get)(name)?)))
    }

    /// What is not about traces is left alone. Bodies are JSON unless something else is asked for.
    fn receiver(&mut self) -> Result<Option<TransportConfig>, EnvError> {
        let environment = Environment::read(|name| match name {
            "OTEL_METRICS_EXPORTER" | "OTEL_LOGS_EXPORTER" => Some("none".to_owned()),
            "OTEL_EXPORTER_OTLP_PROTOCOL" => (self.get)(name).or_else(|| Some("http/json".to_owned())),
            _ => (self.get)(name),
        })?;
        let exporters = environment.of(Signal::Traces);
        self.warnings.extend_from_slice(environment.warnings());
        if exporters.console {
            self.warnings.push(
                "OTEL_TRACES_EXPORTER=console is not in this version, otlp and none are: traces of the operator do not go there"
                    .to_owned(),
            );
        }
        Ok(exporters.otlp.clone())
    }

    /// A whole number of at least 1.
    fn number(&mut self, names: &[&'static str]) -> Option<u64> {
        let (name, value) = self.first(names)?;
        let number = value.parse().ok().filter(|number| *number > 0);
        if number.is_none() {
            self.warnings.push(format!("{name}={value} is no whole number above 0: the default counts"));
        }
        number
    }

    fn limits(&mut self) -> Limits {
        let mut limits = limits();
        let mut items = |name| self.number(&[name]).map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        if let Some(items) = items("OTEL_BSP_MAX_QUEUE_SIZE") {
            limits = limits.with_queue_items(items);
        }
        if let Some(items) = items("OTEL_BSP_MAX_EXPORT_BATCH_SIZE") {
            limits = limits.with_batch_items(items);
        }
        if let Some(millis) = self.number(&["OTEL_BSP_SCHEDULE_DELAY"]) {
            // Beyond a day nothing would ever be sent.
            limits = limits.with_delay(Duration::from_millis(millis.min(86_400_000)));
        }
        limits
    }

    fn sampler(&mut self) -> Sampler {
        let Some(name) = (self.get)("OTEL_TRACES_SAMPLER") else { return Sampler::USUAL };
        let argument = (self.get)("OTEL_TRACES_SAMPLER_ARG").filter(|_| name.ends_with("traceidratio"));
        let ratio = match argument.as_deref().map(str::parse::<f64>) {
            None => 1.0,
            Some(Ok(ratio)) if (0.0..=1.0).contains(&ratio) => ratio,
            Some(_) => {
                let argument = argument.unwrap_or_default();
                self.warnings.push(format!(
                    "OTEL_TRACES_SAMPLER_ARG={argument} is no number from 0 to 1: all traces that begin here are kept"
                ));
                1.0
            }
        };
        Sampler::named(&name, ratio).unwrap_or_else(|| {
            self.warnings
                .push(format!("OTEL_TRACES_SAMPLER={name} is not in this version: it is parentbased_always_on"));
            Sampler::USUAL
        })
    }

    /// What the traces are about: [Service](https://opentelemetry.io/docs/specs/semconv/resource/service/) and
    /// [Kubernetes](https://opentelemetry.io/docs/specs/semconv/resource/k8s/), with what is set of them in the environment.
    fn resource(&mut self, replica: &Replica) -> Resource {
        let known = [
            ("service.name", Some(SERVICE)),
            ("service.version", Some(env!("CARGO_PKG_VERSION"))),
            ("service.instance.id", Some(&*replica.pod)),
            ("k8s.namespace.name", Some(&*replica.namespace)),
            ("k8s.pod.name", Some(&*replica.pod)),
            ("k8s.node.name", replica.node.as_deref()),
        ];
        let known = known.into_iter().filter_map(|(key, value)| Some((key, value.filter(|value| !value.is_empty())?)));
        let known = known.map(|(key, value)| Attribute::new(key, value.to_owned())).collect();
        let known = Resource::new(known).with_schema_url(SCHEMA_URL);
        let detected = Builder::new().with_defaults(known).build(&self.get);
        self.warnings.extend(detected.warnings);
        detected.resource
    }

    /// What others may do and we do not.
    fn warn_of_others(&mut self) {
        if let Some(value) = (self.get)("OTEL_PROPAGATORS")
            && !value.split(',').any(|name| name.trim() == "tracecontext")
        {
            self.warnings.push(format!("OTEL_PROPAGATORS={value}: API servers are heard by tracecontext all the same"));
        }
    }
}

#[cfg(test)]
mod tests {
    use obtrace_export::{encode::Format, model::Value};

    use super::*;

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");

    const TLS: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:4318");

    fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let get = |name: &str| variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned());
        Settings::read(get, &Replica::new("obtrace-system", "operator-1"))
    }

    #[test]
    fn nothing_is_sent_unless_it_is_asked_for() {
        let receiver = |variables: &[(&str, &str)]| read(variables).unwrap().receiver();
        let local = Some("http://localhost:4318/v1/traces".to_owned());
        assert_eq!(receiver(&[]), None);
        assert_eq!(receiver(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]), None);
        assert_eq!(receiver(&[ENDPOINT]).as_deref(), Some("http://127.0.0.1:4318/v1/traces"));
        assert_eq!(receiver(&[("OTEL_TRACES_EXPORTER", "otlp")]), local);
        assert_eq!(receiver(&[("OTEL_TRACES_EXPORTER", "console, otlp")]), local);
        for off in [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_SDK_DISABLED", "True"), ("OTEL_TRACES_EXPORTER", "zipkin")]
        {
            assert_eq!(receiver(&[ENDPOINT, off]), None, "{off:?}");
        }
        let exact = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector/own");
        assert_eq!(receiver(&[ENDPOINT, exact]).as_deref(), Some("https://collector/own"));
    }

    #[test]
    fn what_cannot_be_sent_to_is_an_error_that_says_so() {
        for (variables, said) in [
            (&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317")][..], "collector"),
            (&[ENDPOINT, ("OTEL_EXPORTER_OTLP_HEADERS", "no equals")], "name=value"),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], "http://"),
            (&[TLS, ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/own.pem")], "OTEL_EXPORTER_OTLP_CLIENT_KEY"),
        ] {
            let error = read(variables).unwrap_err().to_string();
            assert!(error.contains(said) && error.starts_with("cannot send traces of the operator: "), "{error}");
        }
    }

    #[test]
    fn what_is_asked_for_and_not_done_is_told() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/xml"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "lzma"),
            // Without TLS.
            ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "/ca.pem"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_TRACES_EXPORTER", "otlp,zipkin"),
            ("OTEL_TRACES_EXPORTER", "otlp,console"),
            ("OTEL_PROPAGATORS", "b3"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=1,b"),
        ] {
            let settings = read(&[ENDPOINT, (name, value)]).unwrap();
            let [warning] = settings.warnings() else { panic!("{name}: {:?}", settings.warnings()) };
            assert!(warning.contains(name) && settings.receiver().is_some(), "{warning}");
        }
        let ratio =
            |value| read(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", value)]).unwrap();
        assert_eq!((ratio("2").warnings().len(), ratio("0.5").warnings().len()), (1, 0));
        assert_eq!(ratio("2").sampler, Sampler::named("traceidratio", 1.0).unwrap());
        assert_eq!(ratio("0.5").sampler, Sampler::named("traceidratio", 0.5).unwrap());
    }

    #[test]
    fn every_form_is_spoken_and_json_is_the_usual_one() {
        let form = |variables: &[(&str, &str)]| {
            let settings = read(variables).unwrap();
            assert_eq!(settings.warnings(), &[] as &[String]);
            let transport = settings.receiver.unwrap().build().unwrap();
            (transport.format(), transport.target())
        };
        let json = (Format::Json, "http://127.0.0.1:4318/v1/traces".to_owned());
        assert_eq!(form(&[ENDPOINT]), json);
        assert_eq!(form(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")]), json);
        let protobuf = (Format::Protobuf, json.1);
        assert_eq!(form(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]), protobuf);
        let grpc = (Format::Protobuf, "http://127.0.0.1:4318".to_owned());
        assert_eq!(form(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")]), grpc);
        // What is said of others is none of its business.
        assert_eq!(
            form(&[ENDPOINT, ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "none"), ("OTEL_LOGS_EXPORTER", "x")]).0,
            Format::Json
        );
        let file = [TLS, ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/there/is/no/ca.pem")];
        let error = read(&file).unwrap().start().unwrap_err().to_string();
        assert!(
            error.starts_with("cannot send traces of the operator: ") && error.contains("/there/is/no/ca.pem"),
            "{error}"
        );
    }

    #[test]
    fn the_resource_is_the_replica_as_the_environment_calls_it() {
        let named =
            [("OTEL_RESOURCE_ATTRIBUTES", "service.name=other, k8s.cluster.name=a%20b"), ("OTEL_SERVICE_NAME", "own")];
        let mut replica = Replica::new("obtrace-system", "operator-1");
        replica.node = Some("node-1".to_owned());
        let get = |name: &str| named.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned());
        let settings = Settings::read(get, &replica).unwrap();
        for (key, value) in [
            ("service.name", "own"),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", "operator-1"),
            ("k8s.namespace.name", "obtrace-system"),
            ("k8s.pod.name", "operator-1"),
            ("k8s.node.name", "node-1"),
            ("k8s.cluster.name", "a b"),
            ("telemetry.sdk.name", "obtrace-export"),
            ("telemetry.sdk.language", "rust"),
            ("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ] {
            assert_eq!(settings.resource.get(key), Some(&Value::from(value)), "{key}");
        }
        assert_eq!(settings.resource.attributes.len(), 10);
        let plain = read(&[]).unwrap().resource;
        assert_eq!(plain.get("service.name"), Some(&Value::from("obtrace-zero-operator")));
        assert_eq!(plain.get("k8s.node.name"), None);
    }

    #[test]
    fn bounds_are_those_of_the_environment() {
        let read = read(&[("OTEL_BSP_MAX_QUEUE_SIZE", "7"), ("OTEL_BSP_SCHEDULE_DELAY", "250")]).unwrap().limits;
        assert_eq!(read, limits().with_queue_items(7).with_delay(Duration::from_millis(250)));
    }
}
