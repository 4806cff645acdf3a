//! What is asked of connections to receivers and cannot be had.

use obtrace_export::model::Signal;

use super::{
    Config, Kind,
    export::{Endpoint, own_key},
    value,
};

impl Config {
    /// The signals that are sent to a receiver.
    pub(super) fn sent(&self) -> impl Iterator<Item = Signal> + use<> {
        let wanted = self.destinations();
        let metrics = wanted.metrics_otlp || (wanted.metrics_anywhere && self.has_receiver("export.metrics_endpoint"));
        let all = [(Signal::Traces, wanted.traces_otlp), (Signal::Metrics, metrics)];
        all.into_iter().filter_map(|(signal, is_sent)| is_sent.then_some(signal))
    }

    /// Settings that the scheme of a receiver's URL leaves without effect. One may speak for every signal: it is told of once.
    pub(super) fn review_connections(&mut self) {
        for signal in self.sent() {
            for warning in self.unheard(signal) {
                if !self.warnings.contains(&warning) {
                    self.warnings.push(warning);
                }
            }
        }
    }

    fn unheard(&self, signal: Signal) -> Vec<String> {
        let endpoint = self.endpoint(signal);
        let is_grpc = self.protocol(signal, &endpoint) == "grpc";
        let url = match endpoint {
            Endpoint::Ingest(url) | Endpoint::Base(url) | Endpoint::Exact(url) => url.trim(),
            Endpoint::Local => "http://localhost",
        };
        let is_insecure = value::switch(self.of(signal, "insecure")).unwrap_or(false);
        let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
        let is_tls = scheme.eq_ignore_ascii_case("https") || (scheme.is_empty() && !is_insecure);
        let shown = Kind::Url.shown(url);
        let mut unheard = Vec::new();
        if !is_tls {
            let files = ["certificate", "client_certificate", "client_key"].map(|what| self.key_of(signal, what));
            unheard.extend(files.iter().filter(|key| !self.get(key).is_empty()).map(|key| {
                format!("{}: {key} is not heard: {shown} is without TLS, is https:// meant?", self.origin(key))
            }));
        } else if is_insecure && !scheme.is_empty() {
            let key = self.key_of(signal, "insecure");
            unheard.push(format!("{}: {key} is not heard: {shown} says https://, so there is TLS", self.origin(&key)));
        }
        let path = rest.split(['?', '#']).next().and_then(|rest| rest.split_once('/'));
        if is_grpc && path.is_some_and(|(_, path)| !path.is_empty()) {
            unheard.push(format!("{shown}: gRPC has no use for a path, the one in it is left out"));
        }
        unheard
    }

    /// Where it stands what is said of one signal: for that one alone, else for all.
    pub(super) fn key_of(&self, signal: Signal, what: &str) -> String {
        let own = own_key(signal, what);
        if self.get(&own).is_empty() { format!("export.{what}") } else { own }
    }
}
