//! What is to be done next: decided anew each time from the Secret, from the configuration and from how long both have been so. Nothing
//! else is remembered, so a new leader goes on wherever the last one ended.
//!
//! ```text
//! Create   there is no Secret                 → a CA and what it signs
//! Stage    the CA is to be replaced           → a new CA beside it in the Secret
//! Publish  API servers do not know a CA yet   → the bundle has the old and the new
//!   (wait: propagation)
//! Settle   by now they do                     → the configuration says so, to replicas that begin
//! Switch   they do                            → a certificate of the new CA is what replicas serve
//! Issue    only that is to be replaced        → another one by the same CA
//!   (wait: overlap)
//! Retire   nothing of the old CA is served    → the Secret forgets it, and so does the bundle
//! ```
//!
//! Waits are measured on the monotonic clock of the process that saw them begin: a jump of the clock or a change of the leader makes
//! them longer, never shorter.

use std::{
    collections::HashMap,
    time::{Duration, Instant, SystemTime},
};

use super::{
    Error, Options,
    authority::Authority,
    certificate::{Certificate, merge},
    material::{MAX_BUNDLE, Material, Stored},
    published::Published,
};

/// The longest rest: then everything is looked at again, whatever the clocks said.
const LONGEST_REST: Duration = Duration::from_secs(60);

/// What is to be done.
#[derive(Debug)]
pub(super) enum Step {
    /// Make the Secret. `retained` is what API servers trust already, and what replicas may still serve something of.
    Create { retained: Vec<Certificate> },
    /// Put a new CA into the Secret, beside what is there.
    Stage { bundle: Vec<Certificate> },
    /// Give API servers this bundle; of `settled` all of them have learnt.
    Publish { bundle: Vec<Certificate>, settled: Vec<Certificate> },
    /// Write down that every API server has learnt of these.
    Settle { settled: Vec<Certificate> },
    /// Serve a certificate of the next CA, which becomes the one in use.
    Switch,
    /// Serve another certificate of the CA in use.
    Issue,
    /// Forget every CA but the one in use.
    Retire,
    /// Write the Secret without what cannot be read.
    Tidy,
    /// Nothing for that long, unless something changes.
    Rest(Duration),
}

impl Step {
    /// Its name in the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Create { .. } => "create",
            Self::Stage { .. } => "stage",
            Self::Publish { .. } => "publish",
            Self::Settle { .. } => "settle",
            Self::Switch => "switch",
            Self::Issue => "issue",
            Self::Retire => "retire",
            Self::Tidy => "tidy",
            Self::Rest(_) => "rest",
        }
    }
}

/// Since when what is so has been so.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// By CA: since when every webhook's bundle has had it.
    trusted: HashMap<Vec<u8>, Instant>,
    /// Since when the Secret has had a certificate to serve that these vouch for.
    served: Option<(Vec<Certificate>, Instant)>,
    missing: Option<Instant>,
}

impl Held {
    /// Notes what is seen now.
    pub(super) fn note(&mut self, stored: &Stored, published: &Published, now: Instant) {
        let mut common = published.common();
        if matches!(published, Published::Missing) {
            common = stored.material().map(Material::trusted).unwrap_or_default();
        }
        self.trusted.retain(|der, _| common.iter().any(|it| it.der.as_ref() == der.as_slice()));
        for certificate in common {
            self.trusted.entry(certificate.der.to_vec()).or_insert(now);
        }
        let anchors = stored.material().and_then(Material::anchors);
        self.served = anchors.map(|anchors| match self.served.take() {
            Some((same, since)) if same == anchors => (same, since),
            _ => (anchors, now),
        });
        self.missing = matches!(stored, Stored::Missing).then(|| self.missing.unwrap_or(now));
    }

    fn served_since(&self) -> Option<Instant> {
        self.served.as_ref().map(|(_, since)| *since)
    }

    /// Since when all of these have been trusted.
    fn trusted_since(&self, certificates: &[Certificate]) -> Option<Instant> {
        let mut latest = None;
        for certificate in certificates {
            latest = latest.max(Some(*self.trusted.get(certificate.der.as_ref())?));
        }
        latest
    }
}

/// What a decision is made of.
#[derive(Clone, Copy, Debug)]
pub(super) struct View<'a> {
    pub(super) stored: &'a Stored,
    pub(super) published: &'a Published,
    pub(super) held: &'a Held,
    pub(super) options: &'a Options,
    /// The monotonic clock.
    pub(super) instant: Instant,
    /// The wall clock, by which certificates end.
    pub(super) now: SystemTime,
}

/// What is to be done next.
pub(super) fn next_step(view: &View<'_>) -> Step {
    match view.stored {
        Stored::Missing => view.without_secret(),
        Stored::Own(material) => view.with_own(material),
        Stored::CertManager(_, _) if view.published.is_injected() => Step::Rest(LONGEST_REST),
        // Nobody else tells API servers what to trust.
        Stored::CertManager(material, _) => {
            view.publish(&material.bundle).unwrap_or_else(|| view.trim(&material.bundle))
        }
    }
}

impl View<'_> {
    fn without_secret(&self) -> Step {
        if self.published.is_injected() {
            let left = self.left_of(self.held.missing, self.options.cert_manager_grace);
            if !left.is_zero() {
                return Step::Rest(left.min(LONGEST_REST));
            }
        }
        Step::Create { retained: self.published.all() }
    }

    fn with_own(&self, material: &Material) -> Step {
        if self.can_issue(material) {
            return Step::Issue;
        }
        if material.next.is_none() && material.authority.as_ref().is_none_or(|authority| self.is_due(authority)) {
            return Step::Stage { bundle: self.retained(material) };
        }
        let trusted = material.trusted();
        if let Some(publish) = self.publish(&trusted) {
            return publish;
        }
        let left = self.left_of(self.held.trusted_since(&trusted), self.options.propagation);
        if !left.is_zero() {
            return Step::Rest(left);
        }
        if let Some(settle) = self.settle() {
            return settle;
        }
        if material.next.is_some() {
            return Step::Switch;
        }
        if !material.faults.is_empty() {
            return Step::Tidy;
        }
        if material.bundle.len() > 1 {
            let left = self.left_of(self.held.served_since(), self.options.overlap);
            return if left.is_zero() { Step::Retire } else { Step::Rest(left.min(self.until_due(material))) };
        }
        match self.trim(&trusted) {
            Step::Rest(rest) => Step::Rest(rest.min(self.until_due(material))),
            step => step,
        }
    }

    /// Whether only the serving certificate is to be replaced, and API servers trust the CA in use.
    fn can_issue(&self, material: &Material) -> bool {
        let Some(authority) = &material.authority else {
            return false;
        };
        let trusted = self.held.trusted_since(std::slice::from_ref(&authority.certificate));
        self.is_serving_due(material)
            && self.outlives_serving(authority)
            && self.left_of(trusted, self.options.propagation).is_zero()
    }

    fn is_serving_due(&self, material: &Material) -> bool {
        let Some(serving) = &material.serving else {
            return true;
        };
        let names = self.options.names();
        self.options.serving.is_due(serving.leaf.not_after, self.now)
            || names.iter().any(|name| !serving.names.contains(name))
            || !material.is_served_by_authority()
    }

    fn is_due(&self, authority: &Authority) -> bool {
        self.options.ca.is_due(authority.certificate.not_after, self.now) || !self.outlives_serving(authority)
    }

    /// Whether a certificate by this CA, made now, would last as long as it should.
    fn outlives_serving(&self, authority: &Authority) -> bool {
        authority.certificate.not_after.duration_since(self.now).is_ok_and(|left| left >= self.options.serving.valid)
    }

    /// The bundle beside a new CA: what the Secret vouches for, and what API servers trust already.
    fn retained(&self, material: &Material) -> Vec<Certificate> {
        let first = material.authority.iter().map(|authority| authority.certificate.clone());
        merge(first.chain(material.bundle.iter().cloned()).chain(self.published.all()), MAX_BUNDLE - 1)
    }

    /// Adds to the bundles what they lack. Nothing leaves them by that.
    fn publish(&self, trusted: &[Certificate]) -> Option<Step> {
        let lacks = trusted.iter().any(|certificate| !self.published.has(certificate));
        lacks.then(|| self.publishing(merge(trusted.iter().cloned().chain(self.published.all()), MAX_BUNDLE)))
    }

    /// The step that publishes this. What is new in it has to settle first, unless nobody trusts anything: waiting would win nothing.
    fn publishing(&self, bundle: Vec<Certificate>) -> Step {
        let is_first = self.published.all().is_empty();
        let settled = if is_first { bundle.clone() } else { self.vouching(&bundle) };
        Step::Publish { bundle, settled }
    }

    /// Writes down which CAs have settled, if that is not known yet.
    fn settle(&self) -> Option<Step> {
        let settled = self.vouching(&self.published.common());
        let is_news = settled.iter().any(|certificate| !self.published.has_settled(certificate));
        is_news.then_some(Step::Settle { settled })
    }

    /// Takes out of the bundles what is not ours, once everything that is ours has been in them and served for the overlap.
    fn trim(&self, trusted: &[Certificate]) -> Step {
        if trusted.is_empty() || self.published.is(trusted) {
            return Step::Rest(LONGEST_REST);
        }
        let waits = [self.held.trusted_since(trusted), self.held.served_since()];
        let left = waits
            .map(|since| self.left_of(since, self.options.overlap))
            .into_iter()
            .fold(Duration::ZERO, Duration::max);
        if left.is_zero() { self.publishing(trusted.to_vec()) } else { Step::Rest(left.min(LONGEST_REST)) }
    }

    fn until_due(&self, material: &Material) -> Duration {
        let serving = material.serving.iter().map(|it| self.options.serving.until_due(it.leaf.not_after, self.now));
        let authority =
            material.authority.iter().map(|it| self.options.ca.until_due(it.certificate.not_after, self.now));
        serving.chain(authority).fold(LONGEST_REST, Duration::min)
    }

    /// Those that API servers have trusted for as long as a change needs to reach all of them.
    pub(super) fn settled(&self, certificates: &[Certificate]) -> Vec<Certificate> {
        let has_settled = |certificate: &&Certificate| {
            let since = self.held.trusted_since(std::slice::from_ref(*certificate));
            self.left_of(since, self.options.propagation).is_zero()
        };
        certificates.iter().filter(has_settled).cloned().collect()
    }

    /// Those that API servers have trusted for that long by the configuration's own words, or as this process has seen it.
    pub(super) fn vouching(&self, certificates: &[Certificate]) -> Vec<Certificate> {
        let seen = self.settled(certificates);
        let vouches = |it: &&Certificate| seen.contains(it) || self.published.has_settled(it);
        certificates.iter().filter(vouches).cloned().collect()
    }

    /// What is left of a wait that began then; all of it if it has not begun.
    fn left_of(&self, since: Option<Instant>, wait: Duration) -> Duration {
        since.map_or(wait, |since| wait.saturating_sub(self.instant.saturating_duration_since(since)))
    }
}

/// The Secret's content after a step that changes it.
pub(super) fn apply(
    step: &Step,
    stored: Stored,
    options: &Options,
    now: SystemTime,
) -> Result<Option<Material>, Error> {
    let mut material = match stored {
        Stored::Own(material) => material,
        Stored::Missing | Stored::CertManager(..) => Material::default(),
    };
    match step {
        Step::Publish { .. } | Step::Settle { .. } | Step::Rest(_) => return Ok(None),
        // Nobody trusts anything: nobody is lost by serving at once.
        Step::Create { retained } if retained.is_empty() => material = Material::generate(options, now)?,
        Step::Create { retained: bundle } | Step::Stage { bundle } => {
            material.next = Some(Authority::generate(options, now)?);
            material.bundle = merge(bundle.iter().cloned(), MAX_BUNDLE - 1);
        }
        Step::Switch => {
            let Some(next) = material.next.take() else { return Ok(None) };
            material.serving = Some(next.issue(options, now)?);
            let first = std::iter::once(next.certificate.clone());
            material.bundle = merge(first.chain(material.bundle.iter().cloned()), MAX_BUNDLE);
            material.authority = Some(next);
        }
        Step::Issue => {
            let Some(authority) = &material.authority else { return Ok(None) };
            material.serving = Some(authority.issue(options, now)?);
        }
        Step::Tidy => {}
        Step::Retire => {
            let Some(authority) = &material.authority else { return Ok(None) };
            material.bundle = vec![authority.certificate.clone()];
        }
    }
    Ok(Some(material))
}
