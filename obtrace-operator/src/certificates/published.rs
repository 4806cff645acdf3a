//! What API servers are told: the bundles of the MutatingWebhookConfiguration.

use k8s_openapi::{ByteString, api::admissionregistration::v1::MutatingWebhookConfiguration};
use serde_json::{Value, json};

use super::certificate::{Certificate, merge, read_bundle, write_bundle};

/// cert-manager's mark on what it puts a bundle into.
pub(super) const INJECT: &str = "cert-manager.io/inject-ca-from";

/// The annotation of the configuration that says which CAs of its bundles every API server has learnt of: the SHA-256 of each, in hex, with
/// commas between. The leader writes it when it has waited, so that a replica that begins need not wait itself.
pub(super) const SETTLED: &str = "obtrace.io/settled-ca";

/// The generation of a configuration whose webhooks have never changed.
const FIRST_GENERATION: i64 = 1;

/// The most certificates that are taken over from a bundle.
const MAX_FOREIGN: usize = 32;

/// The bundles of a configuration.
#[derive(Debug)]
pub(super) enum Published {
    /// There is no configuration: nobody calls.
    Missing,
    /// There is one.
    Present {
        /// Each webhook's.
        bundles: Vec<Bundle>,
        /// Whether cert-manager writes them.
        is_injected: bool,
        /// What every API server has learnt of, if that was written down: fingerprints.
        settled: Vec<String>,
        /// Whether they are as the configuration was made with: who knows it knows them.
        is_first: bool,
    },
}

/// A webhook's bundle.
#[derive(Debug)]
pub(super) struct Bundle {
    pem: Vec<u8>,
    certificates: Vec<Certificate>,
}

impl Published {
    pub(super) fn read(configuration: Option<&MutatingWebhookConfiguration>) -> Self {
        let Some(configuration) = configuration else {
            return Self::Missing;
        };
        let annotations = configuration.metadata.annotations.as_ref();
        let settled = annotations.and_then(|all| all.get(SETTLED));
        let webhooks = configuration.webhooks.iter().flatten();
        let bundles = webhooks.map(|webhook| Bundle::read(webhook.client_config.ca_bundle.as_ref()));
        Self::Present {
            bundles: bundles.collect(),
            is_injected: annotations.is_some_and(|all| all.contains_key(INJECT)),
            settled: settled.into_iter().flat_map(|all| all.split(',')).map(str::to_owned).collect(),
            is_first: configuration.metadata.generation == Some(FIRST_GENERATION),
        }
    }

    fn bundles(&self) -> &[Bundle] {
        match self {
            Self::Missing => &[],
            Self::Present { bundles, .. } => bundles,
        }
    }

    /// Whether cert-manager writes the bundles.
    pub(super) fn is_injected(&self) -> bool {
        matches!(self, Self::Present { is_injected: true, .. })
    }

    /// Whether every webhook's bundle has it. True if there is no webhook: nobody would miss it.
    pub(super) fn has(&self, certificate: &Certificate) -> bool {
        self.bundles().iter().all(|bundle| bundle.certificates.contains(certificate))
    }

    /// Whether every webhook's bundle is exactly this.
    pub(super) fn is(&self, certificates: &[Certificate]) -> bool {
        let pem = write_bundle(certificates);
        self.bundles().iter().all(|bundle| bundle.pem == pem)
    }

    /// Whether every API server has learnt that all bundles have it, as far as the configuration itself tells.
    pub(super) fn has_settled(&self, certificate: &Certificate) -> bool {
        match self {
            Self::Missing => false,
            Self::Present { settled, is_first, .. } => {
                self.has(certificate) && (*is_first || settled.contains(&certificate.fingerprint()))
            }
        }
    }

    /// What is in any of them.
    pub(super) fn all(&self) -> Vec<Certificate> {
        merge(self.bundles().iter().flat_map(|bundle| bundle.certificates.iter().cloned()), MAX_FOREIGN)
    }

    /// What is in all of them; nothing if there is no webhook.
    pub(super) fn common(&self) -> Vec<Certificate> {
        self.all().into_iter().filter(|certificate| self.has(certificate)).collect()
    }
}

impl Bundle {
    fn read(pem: Option<&ByteString>) -> Self {
        let pem = pem.map(|bytes| bytes.0.clone()).unwrap_or_default();
        Self { certificates: read_bundle(&pem), pem }
    }
}

/// The strategic merge patch that gives every webhook this bundle, of which API servers have learnt that much, if nobody has changed the
/// configuration meanwhile.
pub(super) fn patch(
    configuration: &MutatingWebhookConfiguration,
    bundle: &[Certificate],
    settled: &[Certificate],
) -> Value {
    let pem = ByteString(write_bundle(bundle));
    let webhooks = configuration.webhooks.iter().flatten();
    let webhooks: Vec<_> =
        webhooks.map(|webhook| json!({ "name": webhook.name, "clientConfig": { "caBundle": pem } })).collect();
    let mut patch = settle(configuration, settled);
    patch["webhooks"] = webhooks.into();
    patch
}

/// The patch that says of these that every API server has learnt of them, on the same condition.
pub(super) fn settle(configuration: &MutatingWebhookConfiguration, settled: &[Certificate]) -> Value {
    let version = &configuration.metadata.resource_version;
    json!({ "metadata": { "resourceVersion": version, "annotations": { SETTLED: annotation(settled) } } })
}

/// The annotation's value; none if there is nothing to say.
pub(super) fn annotation(settled: &[Certificate]) -> Option<String> {
    let all: Vec<_> = settled.iter().map(Certificate::fingerprint).collect();
    (!all.is_empty()).then(|| all.join(","))
}
