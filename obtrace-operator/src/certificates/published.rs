//! What API servers are told: the bundles of the MutatingWebhookConfiguration.

use k8s_openapi::{ByteString, api::admissionregistration::v1::MutatingWebhookConfiguration};
use serde_json::{Value, json};

use super::certificate::{Certificate, merge, read_bundle, write_bundle};

/// cert-manager's mark on what it puts a bundle into.
pub(super) const INJECT: &str = "cert-manager.io/inject-ca-from";

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
        let webhooks = configuration.webhooks.iter().flatten();
        let bundles = webhooks.map(|webhook| Bundle::read(webhook.client_config.ca_bundle.as_ref()));
        Self::Present {
            bundles: bundles.collect(),
            is_injected: annotations.is_some_and(|all| all.contains_key(INJECT)),
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

/// The strategic merge patch that gives every webhook this bundle, if nobody has changed the configuration meanwhile.
pub(super) fn patch(configuration: &MutatingWebhookConfiguration, bundle: &[Certificate]) -> Value {
    let pem = ByteString(write_bundle(bundle));
    let webhooks = configuration.webhooks.iter().flatten();
    let webhooks: Vec<_> =
        webhooks.map(|webhook| json!({ "name": webhook.name, "clientConfig": { "caBundle": pem } })).collect();
    json!({ "metadata": { "resourceVersion": configuration.metadata.resource_version }, "webhooks": webhooks })
}
