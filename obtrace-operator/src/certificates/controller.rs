//! What a replica does about what it sees: serve, and lead if it is to.

use std::{
    fmt::Debug,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use k8s_openapi::api::{admissionregistration::v1::MutatingWebhookConfiguration, core::v1::Secret};
use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use super::{
    Error, Observer, Options, Resolver,
    certificate::Serving,
    follow::Seen,
    material::{Stored, write},
    published::{self, Published},
    secret,
    step::{Held, Step, View, apply, next_step},
};

/// The field manager.
const MANAGER: &str = "obtrace-zero";

const REQUEST: Duration = Duration::from_secs(10);

/// The most steps in `CONTESTED`. A rotation has six, and is long.
const MAX_STEPS: usize = 24;
const CONTESTED: Duration = Duration::from_secs(10);
const CONTESTED_PAUSE: Duration = Duration::from_secs(1);

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a replica that does not lead rests if nothing changes.
const REST: Duration = Duration::from_secs(60);

pub(super) struct Controller {
    secrets: Api<Secret>,
    configurations: Api<MutatingWebhookConfiguration>,
    options: Options,
    resolver: Arc<Resolver>,
    observer: Arc<dyn Observer>,
    secret: Seen<Secret>,
    configuration: Seen<MutatingWebhookConfiguration>,
    held: Held,
    serving: Option<Serving>,
    faults: String,
    steps: Vec<Instant>,
    pause: Duration,
}

impl Controller {
    pub(super) fn new(
        secrets: Api<Secret>,
        configurations: Api<MutatingWebhookConfiguration>,
        options: Options,
        resolver: Arc<Resolver>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self {
            secrets,
            configurations,
            options,
            resolver,
            observer,
            secret: Seen::Unknown,
            configuration: Seen::Unknown,
            held: Held::default(),
            serving: None,
            faults: String::new(),
            steps: Vec::new(),
            pause: FIRST_PAUSE,
        }
    }

    /// Takes over what the watch saw, unless what is known is newer: the answer to a change comes before its event.
    pub(super) fn see_secret(&mut self, seen: &Seen<Secret>) {
        take(&mut self.secret, seen);
    }

    /// The same of the configuration.
    pub(super) fn see_configuration(&mut self, seen: &Seen<MutatingWebhookConfiguration>) {
        take(&mut self.configuration, seen);
    }

    /// Serves what is to be served and, as the leader, does one thing of what is to be done; how long to rest then.
    pub(super) async fn turn(&mut self, leads: bool) -> Duration {
        let stored = match &self.secret {
            Seen::Unknown => return REST,
            Seen::Absent => Stored::Missing,
            Seen::Present(secret) => Stored::read(Some(secret)),
        };
        self.report(&stored);
        let published = match &self.configuration {
            Seen::Unknown => return REST,
            Seen::Absent => Published::Missing,
            Seen::Present(configuration) => Published::read(Some(configuration)),
        };
        self.trust(&stored, &published);
        let (instant, now) = (Instant::now(), SystemTime::now());
        self.held.note(&stored, &published, instant);
        let (options, held) = (&self.options, &self.held);
        let view = View { stored: &stored, published: &published, held, options, instant, now };
        let choice = choose(self.serving.as_ref(), &view);
        let step = leads.then(|| next_step(&view));
        let rest = self.serve(choice);
        let step = match step {
            None => return rest,
            Some(Step::Rest(until)) => return until.min(rest),
            Some(step) => step,
        };
        if self.is_contested(instant) {
            return CONTESTED_PAUSE;
        }
        let taken = self.take_step(&step, stored, now).await;
        self.observer.step(step.name(), instant.elapsed(), taken.as_ref().err());
        match taken {
            Ok(()) => {
                self.pause = FIRST_PAUSE;
                Duration::ZERO
            }
            Err(error) => {
                let pause = self.pause;
                self.pause = (pause * 2).min(LONGEST_PAUSE);
                let step = step.name();
                tracing::error!(%error, step, "the webhook's certificates are not as they should be; trying again in {pause:?}");
                pause
            }
        }
    }

    /// Whether so many steps were taken lately that something else has to be undoing them.
    fn is_contested(&mut self, now: Instant) -> bool {
        self.steps.retain(|step| now.saturating_duration_since(*step) < CONTESTED);
        if self.steps.len() >= MAX_STEPS {
            tracing::warn!(
                "{MAX_STEPS} changes of the webhook's Secret or bundle in {CONTESTED:?}: something else keeps changing Secret {}/{} or \
                 the caBundle of MutatingWebhookConfiguration {}; have it leave them alone",
                self.options.namespace,
                self.options.secret,
                self.options.configuration,
            );
            return true;
        }
        self.steps.push(now);
        false
    }

    /// Says once what cannot be read.
    fn report(&mut self, stored: &Stored) {
        let faults = stored.material().map(|material| &material.faults[..]).unwrap_or_default();
        let faults: Vec<_> = faults.iter().map(|(name, error)| format!("{name} {error}")).collect();
        let faults = faults.join(", ");
        if faults != self.faults && !faults.is_empty() {
            let Options { namespace, secret, .. } = &self.options;
            let owner = match stored {
                Stored::CertManager(_, certificate) => {
                    format!("cert-manager keeps it: see `kubectl -n {namespace} describe certificate {certificate}`")
                }
                _ => "the leader replaces it; nothing needs to be done unless something else writes the Secret"
                    .to_owned(),
            };
            tracing::error!("Secret {namespace}/{secret}: {faults}. The last good certificate is served on; {owner}");
        }
        self.faults = faults;
    }

    /// Tells the resolver what API servers trust.
    fn trust(&self, stored: &Stored, published: &Published) {
        let common = published.common();
        let stored = || stored.material().map(|material| material.bundle.clone()).unwrap_or_default();
        self.resolver.trust(&if common.is_empty() { stored() } else { common });
    }

    /// Serves what was chosen; how long until that is to be asked again.
    fn serve(&mut self, choice: Choice) -> Duration {
        match choice {
            Choice::Keep => REST,
            Choice::NotYet => self.options.propagation.min(REST),
            Choice::Take(serving) => {
                self.resolver.set(Arc::clone(&serving.key));
                self.observer.certificate(serving.leaf.not_after);
                self.serving = Some(*serving);
                REST
            }
        }
    }

    async fn take_step(&mut self, step: &Step, stored: Stored, now: SystemTime) -> Result<(), Error> {
        let name = &self.options.secret;
        match (step, &self.secret, &self.configuration) {
            (Step::Publish { bundle, settled }, _, Seen::Present(configuration)) => {
                let patch = published::patch(configuration, bundle, settled);
                self.patch_configuration(patch).await?;
                tracing::info!(certificates = bundle.len(), "the API server's bundle is written");
                Ok(())
            }
            (Step::Settle { settled }, _, Seen::Present(configuration)) => {
                let patch = published::settle(configuration, settled);
                self.patch_configuration(patch).await
            }
            (_, Seen::Present(secret), _) => {
                let mut changed = (**secret).clone();
                let Some(material) = apply(step, stored, &self.options, now)? else { return Ok(()) };
                write(&mut changed, &material);
                let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
                let answer = within(self.secrets.replace(name, &params, &changed)).await;
                let action = format!("update Secret {}/{name}", self.options.namespace);
                let is_done = settle(answer, &action, &self.secrets, name, &mut self.secret).await?;
                self.told(step, is_done);
                Ok(())
            }
            (_, _, _) => {
                let Some(material) = apply(step, stored, &self.options, now)? else { return Ok(()) };
                let made = secret(&self.options, material.data());
                let params = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
                let answer = within(self.secrets.create(&params, &made)).await;
                let action = format!("create Secret {}/{name}", self.options.namespace);
                let is_done = settle(answer, &action, &self.secrets, name, &mut self.secret).await?;
                self.told(step, is_done);
                Ok(())
            }
        }
    }

    async fn patch_configuration(&mut self, patch: Value) -> Result<(), Error> {
        let name = &self.options.configuration;
        let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let answer = within(self.configurations.patch(name, &params, &Patch::Strategic(patch))).await;
        let action = format!("patch MutatingWebhookConfiguration {name}");
        settle(answer, &action, &self.configurations, name, &mut self.configuration).await?;
        Ok(())
    }

    fn told(&self, step: &Step, is_done: bool) {
        let is_new = match step {
            Step::Create { retained } => retained.is_empty(),
            Step::Switch | Step::Issue => true,
            _ => false,
        };
        if !is_done {
            return;
        }
        tracing::info!(step = step.name(), "the webhook's Secret is written");
        if is_new {
            self.observer.rotation();
        }
    }
}

/// What to make of the Secret's certificate.
#[derive(Debug)]
pub(super) enum Choice {
    /// There is none, or it is served already.
    Keep,
    /// API servers may not trust it yet.
    NotYet,
    /// Serve it.
    Take(Box<Serving>),
}

/// Whether to serve the Secret's certificate, rather than what is served or nothing.
///
/// What API servers trust is served on until they have trusted the other for a while. A certificate that they would refuse is not
/// taken up, unless somebody else keeps both it and the bundle. Who begins, and serves nothing yet, takes it at once if the configuration
/// says that API servers have long known what vouches for it; else, as when somebody has put an old Secret back, it waits like the others,
/// is not ready, and leaves the answers to them.
pub(super) fn choose(current: Option<&Serving>, view: &View<'_>) -> Choice {
    let Some(candidate) = view.stored.material().and_then(|material| material.serving.as_ref()) else {
        return Choice::Keep;
    };
    let bundle = view.published.common();
    let is_better = match current {
        Some(current) if current.leaf == candidate.leaf => return Choice::Keep,
        Some(current) => candidate.is_trusted_by(&view.settled(&bundle)) || !current.is_trusted_by(&bundle),
        None => {
            let is_ours = matches!(view.stored, Stored::Own(_));
            !is_ours || bundle.is_empty() || candidate.is_trusted_by(&view.vouching(&bundle))
        }
    };
    if is_better { Choice::Take(Box::new(candidate.clone())) } else { Choice::NotYet }
}

fn take<K: ResourceExt + Clone>(known: &mut Seen<K>, seen: &Seen<K>) {
    if let (Seen::Present(old), Seen::Present(new)) = (&*known, seen)
        && version(new.as_ref()) < version(old.as_ref())
    {
        return;
    }
    if !matches!(seen, Seen::Unknown) {
        known.clone_from(seen);
    }
}

/// Versions grow with every change of anything. One that is no number is taken as it comes.
fn version(object: &impl ResourceExt) -> u64 {
    object.resource_version().and_then(|version| version.parse().ok()).unwrap_or(u64::MAX)
}

async fn within<K>(request: impl Future<Output = kube::Result<K>>) -> kube::Result<K> {
    let late = |_| kube::Error::Service(format!("no answer within {REQUEST:?}").into());
    timeout(REQUEST, request).await.map_err(late).flatten()
}

/// What a change came to: whether it was made. If somebody else was first, what they did is read instead.
async fn settle<K>(
    answer: kube::Result<K>,
    action: &str,
    api: &Api<K>,
    name: &str,
    known: &mut Seen<K>,
) -> Result<bool, Error>
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    let failed = |error| Error::Kubernetes { action: action.to_owned(), error: Box::new(error) };
    match answer {
        Ok(object) => {
            *known = Seen::Present(Box::new(object));
            Ok(true)
        }
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) && !status.message.contains("namespace") => {
            let now = within(api.get_opt(name)).await.map_err(failed)?;
            *known = now.map_or(Seen::Absent, |object| Seen::Present(Box::new(object)));
            Ok(false)
        }
        Err(error) => Err(failed(error)),
    }
}
