//! The webhook's certificates: a CA of our own and what it signs, in one Secret that every replica watches, replaced at two thirds of
//! their lives without a failed admission.
//!
//! The Secret is of the type `kubernetes.io/tls`:
//!
//! | key | holds |
//! | --- | --- |
//! | `tls.crt`, `tls.key` | what every replica serves as soon as it sees it |
//! | `ca.crt` | the bundle: the CA in use, and for an overlap the one before |
//! | `ca.key` | the key of the CA in use |
//! | `next-ca.crt`, `next-ca.key` | a CA that API servers have to know before it is used |
//!
//! The leader makes and rotates them, and keeps the `caBundle` of the MutatingWebhookConfiguration. Whatever it does next it decides from
//! those two objects, so another one can go on at any point; it changes them only as it has read them, so two leaders at once do no harm.
//! Every replica takes a new certificate when the bundle vouches for it.
//!
//! A Secret with the annotation `cert-manager.io/certificate-name` is cert-manager's: it is served, never written.

mod authority;
pub mod cert_manager;
mod certificate;
mod controller;
pub(crate) mod follow;
mod material;
mod options;
mod published;
mod resolver;
#[cfg(test)]
mod simulation;
mod step;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use k8s_openapi::{
    ByteString,
    api::{admissionregistration::v1::MutatingWebhookConfiguration, core::v1::Secret},
};
use kube::{Api, Client, api::ObjectMeta};
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use self::{
    certificate::write_bundle,
    controller::Controller,
    follow::{Seen, follow},
    material::Material,
};
pub use self::{
    options::{Life, Options},
    resolver::{Resolver, server_config},
};

/// The type of the Secret.
const SECRET_TYPE: &str = "kubernetes.io/tls";

/// Why there are no certificates.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Settings contradict each other.
    #[error("the settings of the certificates cannot work: {0}")]
    Options(String),
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Generate(#[from] rcgen::Error),
    /// What was made cannot be read.
    #[error("what was made as a certificate {0}")]
    Made(String),
    /// The system gave no random numbers.
    #[error("cannot make a serial number: the system gives no random numbers")]
    Random,
    /// The API server refused something, or did not answer.
    #[error("cannot {action}: {error}")]
    Kubernetes {
        /// What was tried.
        action: String,
        /// What the API server said.
        #[source]
        error: Box<kube::Error>,
    },
}

impl Error {
    /// Its kind in a word.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Options(_) => "options",
            Self::Generate(_) | Self::Made(_) => "generate",
            Self::Random => "random",
            Self::Kubernetes { .. } => "kubernetes",
        }
    }
}

/// Who is told what happens to the certificates.
pub trait Observer: Send + Sync {
    /// A certificate is served from now on; it ends then.
    fn certificate(&self, not_after: SystemTime);
    /// A new certificate was made and put into the Secret: by this process, which leads.
    fn rotation(&self);
    /// Something of the Secret or the bundle was changed, or could not be: by this process, which leads. `name` is `create`, `stage`, `publish`,
    /// `settle`, `switch`, `issue`, `retire` or `tidy`.
    fn step(&self, name: &'static str, took: Duration, error: Option<&Error>) {
        let _ = (name, took, error);
    }
}

/// Nobody.
impl Observer for () {
    fn certificate(&self, _: SystemTime) {}
    fn rotation(&self) {}
}

/// What an installation writes so that the first replica is ready at once: the Secret, and the `caBundle` (PEM) for the configuration.
///
/// Only where there is no Secret yet: the running operator would have to take this for somebody's edit, and mend it.
///
/// # Errors
///
/// Settings contradict each other, or there is no randomness.
///
/// ```
/// use obtrace_operator::certificates::{Options, bootstrap};
///
/// let (secret, bundle) = bootstrap(&Options::default()).unwrap();
/// assert_eq!(secret.metadata.name.as_deref(), Some("obtrace-zero-webhook-tls"));
/// assert!(bundle.starts_with(b"-----BEGIN CERTIFICATE-----"));
/// ```
pub fn bootstrap(options: &Options) -> Result<(Secret, Vec<u8>), Error> {
    options.validate()?;
    let material = Material::generate(options, SystemTime::now())?;
    Ok((secret(options, material.data()), write_bundle(&material.bundle)))
}

/// The Secret with these fields.
fn secret(options: &Options, data: BTreeMap<String, ByteString>) -> Secret {
    let labels = [
        ("name", "obtrace-zero"),
        ("part-of", "obtrace-zero"),
        ("component", "operator"),
        ("managed-by", "obtrace-zero"),
    ];
    let labels = labels.map(|(name, value)| (format!("app.kubernetes.io/{name}"), value.to_owned()));
    Secret {
        metadata: ObjectMeta {
            name: Some(options.secret.clone()),
            namespace: Some(options.namespace.clone()),
            labels: Some(BTreeMap::from(labels)),
            ..ObjectMeta::default()
        },
        type_: Some(SECRET_TYPE.to_owned()),
        data: Some(data),
        ..Secret::default()
    }
}

/// Keeps the resolver with the certificate to serve and, while it leads, the Secret and the configuration; until it is told to stop.
///
/// Faults of the cluster end nothing: the last good certificate is served on, and what failed is logged and tried again.
///
/// # Errors
///
/// Only settings that contradict each other.
pub async fn run(
    client: Client,
    options: Options,
    resolver: Arc<Resolver>,
    mut leader: watch::Receiver<bool>,
    observer: Arc<dyn Observer>,
    stop: CancellationToken,
) -> Result<(), Error> {
    options.validate()?;
    let secrets = Api::<Secret>::namespaced(client.clone(), &options.namespace);
    let configurations = Api::<MutatingWebhookConfiguration>::all(client);
    let (secret_sender, mut secret) = watch::channel(Seen::Unknown);
    let (configuration_sender, mut configuration) = watch::channel(Seen::Unknown);
    let follow_secret = follow(secrets.clone(), options.secret.clone(), secret_sender, stop.clone());
    let follow_configuration =
        follow(configurations.clone(), options.configuration.clone(), configuration_sender, stop.clone());
    let mut controller = Controller::new(secrets, configurations, options, resolver, observer);
    let decide = async {
        loop {
            let leads = *leader.borrow_and_update();
            let rest = controller.turn(leads).await;
            tokio::select! {
                () = stop.cancelled() => return,
                Ok(()) = secret.changed() => controller.see_secret(&secret.borrow_and_update()),
                Ok(()) = configuration.changed() => controller.see_configuration(&configuration.borrow_and_update()),
                Ok(()) = leader.changed() => {}
                () = sleep(rest.max(Duration::from_millis(10))) => {}
            }
        }
    };
    tokio::join!(follow_secret, follow_configuration, decide);
    Ok(())
}
