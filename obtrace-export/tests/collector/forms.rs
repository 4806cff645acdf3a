//! The forms in which telemetry is sent.

use std::fmt;

use obtrace_export::{
    model::Signal,
    transport::{Http, HttpConfig, Transport},
};

use super::{
    certificates::Certificates,
    running::{Collector, Door},
};

/// A wire form, and the way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    door: Door,
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http/json {:?}", self.door)
    }
}

/// Every form that there is.
pub(crate) fn all() -> Vec<Form> {
    vec![Form { door: Door::Plain }]
}

impl Form {
    pub(crate) fn transport(
        &self,
        signal: Signal,
        collector: &Collector,
        _certificates: &Certificates,
    ) -> Result<Transport, Box<dyn std::error::Error>> {
        Ok(Http::new(HttpConfig::otlp(&collector.endpoint(self.door, false), signal)?)?.into())
    }
}
