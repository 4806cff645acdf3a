//! What is set of the webhook's certificates.

use std::time::{Duration, SystemTime};

use super::Error;
use crate::index::SYSTEM_NAMESPACE;

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest life of a certificate.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// How long a certificate lasts, and when it is replaced.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Life {
    /// From now until it ends.
    pub valid: Duration,
    /// The age at which it is replaced; less than `valid`.
    pub renew_after: Duration,
}

impl Life {
    /// A life of which two thirds are lived when it is replaced.
    #[must_use]
    pub fn new(valid: Duration) -> Self {
        Self { valid, renew_after: valid / 3 * 2 }
    }

    /// The same, replaced at this age.
    #[must_use]
    pub fn renewed_after(self, age: Duration) -> Self {
        Self { renew_after: age, ..self }
    }

    /// What is left of it when it is replaced: how long replacing may fail before anybody notices.
    pub(super) fn reserve(self) -> Duration {
        self.valid.saturating_sub(self.renew_after)
    }

    /// Whether one that ends then is to be replaced.
    pub(super) fn is_due(self, not_after: SystemTime, now: SystemTime) -> bool {
        self.until_due(not_after, now).is_zero()
    }

    /// How long until one that ends then is to be replaced. It is told from the end alone: certificates begin before they are made.
    pub(super) fn until_due(self, not_after: SystemTime, now: SystemTime) -> Duration {
        let due = not_after.checked_sub(self.reserve()).unwrap_or(SystemTime::UNIX_EPOCH);
        due.duration_since(now).unwrap_or_default()
    }
}

/// The names, lives and waits of the webhook's certificates.
///
/// ```
/// use std::time::Duration;
///
/// use obtrace_operator::certificates::{Life, Options};
///
/// let mut options = Options::new("obtrace-system");
/// assert_eq!(options.names()[0], "obtrace-zero-webhook.obtrace-system.svc");
/// options.serving = Life::new(Duration::from_secs(7 * 24 * 60 * 60));
/// options.validate().unwrap();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The namespace of the Secret and of the Service. Default: `obtrace-system`.
    pub namespace: String,
    /// The Secret's name. Default: `obtrace-zero-webhook-tls`.
    pub secret: String,
    /// The name of the MutatingWebhookConfiguration whose `caBundle` is kept. Default: `obtrace-zero`.
    pub configuration: String,
    /// The Service that the API server calls. Default: `obtrace-zero-webhook`.
    pub service: String,
    /// The CA's life. Default: 365 days.
    pub ca: Life,
    /// The serving certificate's life. Default: 30 days.
    pub serving: Life,
    /// How long a new CA is in the bundle before anything of it is served: API servers see the configuration by their watches.
    /// Default: 10 s.
    pub propagation: Duration,
    /// How long an old CA stays in the bundle after nothing of it is served any more: replicas see the Secret by their watches.
    /// Default: 1 h.
    pub overlap: Duration,
    /// How long before they are made certificates begin: clocks differ. Default: 1 h.
    pub skew: Duration,
    /// How long cert-manager may take to make the Secret, where the configuration says that it does, before the operator makes its own.
    /// Default: 2 min.
    pub cert_manager_grace: Duration,
}

impl Options {
    /// The defaults in a namespace.
    #[must_use]
    pub fn new(namespace: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            secret: "obtrace-zero-webhook-tls".to_owned(),
            configuration: "obtrace-zero".to_owned(),
            service: "obtrace-zero-webhook".to_owned(),
            ca: Life::new(365 * DAY),
            serving: Life::new(30 * DAY),
            propagation: Duration::from_secs(10),
            overlap: HOUR,
            skew: HOUR,
            cert_manager_grace: Duration::from_secs(120),
        }
    }

    /// The names that the certificate is for. The API server asks for the first; the others are what people try by hand.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let Self { service, namespace, .. } = self;
        vec![format!("{service}.{namespace}.svc"), format!("{service}.{namespace}.svc.cluster.local"), service.clone()]
    }

    /// Whether rotation can work with these.
    ///
    /// # Errors
    ///
    /// Which settings contradict each other.
    pub fn validate(&self) -> Result<(), Error> {
        let ok = |is_fine: bool, what: String| if is_fine { Ok(()) } else { Err(Error::Options(what)) };
        for (name, life) in [("ca", self.ca), ("serving", self.serving)] {
            let (valid, after) = (life.valid, life.renew_after);
            ok(valid >= Duration::from_secs(2), format!("{name}: a life of {valid:?} is shorter than 2 s"))?;
            ok(valid <= LONGEST, format!("{name}: a life of {valid:?} is longer than 100 years"))?;
            ok(after < valid, format!("{name}: it ends after {valid:?}, before it would be replaced after {after:?}"))?;
        }
        let (reserve, valid) = (self.ca.reserve(), self.serving.valid);
        ok(
            reserve >= valid,
            format!(
                "the CA is replaced {reserve:?} before its end, but serving certificates last {valid:?}: they would outlive it"
            ),
        )?;
        let (age, takes) = (self.ca.renew_after, self.propagation + self.overlap);
        ok(age > takes, format!("the CA is replaced after {age:?}, but that alone takes {takes:?}"))?;
        ok(
            self.propagation < self.serving.reserve(),
            format!("propagation: {:?} is longer than what is left of a serving certificate", self.propagation),
        )
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::new(SYSTEM_NAMESPACE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_work_and_are_replaced_at_two_thirds() {
        let options = Options::default();
        options.validate().unwrap();
        assert_eq!(options.serving.renew_after, 20 * DAY);
        let now = SystemTime::now();
        assert!(!options.serving.is_due(now + 11 * DAY, now));
        assert!(options.serving.is_due(now + 10 * DAY, now));
    }

    #[test]
    fn settings_that_cannot_work_are_refused_with_the_reason() {
        let refused = |change: fn(&mut Options), reason: &str| {
            let mut options = Options::default();
            change(&mut options);
            let error = options.validate().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        };
        refused(|options| options.serving.renew_after = options.serving.valid, "before it would be replaced");
        refused(|options| options.serving = Life::new(200 * DAY), "outlive");
        refused(|options| options.ca.renew_after = options.overlap, "that alone takes");
        refused(|options| options.propagation = 20 * DAY, "propagation");
        refused(|options| options.serving = Life::new(Duration::from_secs(1)), "shorter than 2 s");
    }
}
