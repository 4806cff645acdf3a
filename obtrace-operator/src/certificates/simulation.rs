//! A world in which everything goes wrong, to see that what is served is what API servers trust.
//!
//! The Secret, the configuration, three replicas that see the Secret late, API servers that see the bundle late, a leader that dies between
//! steps, another one that acts on what it saw long ago, clocks that jump, and people who delete, restore, damage and edit.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant, SystemTime},
};

use k8s_openapi::{
    ByteString,
    api::{
        admissionregistration::v1::{MutatingWebhook, MutatingWebhookConfiguration},
        core::v1::Secret,
    },
};
use proptest::prelude::*;

use super::{
    Life, Options,
    authority::Authority,
    bootstrap,
    certificate::{Certificate, Serving, read_bundle, write_bundle},
    controller::{Choice, choose},
    material::{self, Material, Stored, write},
    published::{Published, SETTLED, annotation},
    secret,
    step::{Held, Step, View, apply, next_step},
};

const TICK: Duration = Duration::from_millis(500);

/// How late an API server may see the bundle.
const API_LAG: Duration = Duration::from_secs(4);

/// How late a replica may see the Secret.
const REPLICA_LAG: Duration = Duration::from_secs(9);

fn options() -> Options {
    Options {
        ca: Life::new(Duration::from_secs(3600)).renewed_after(Duration::from_secs(40)),
        serving: Life::new(Duration::from_secs(600)).renewed_after(Duration::from_secs(15)),
        propagation: Duration::from_secs(5),
        overlap: Duration::from_secs(10),
        ..Options::default()
    }
}

/// What happens next.
#[derive(Clone, Debug)]
enum Event {
    Pass(u8),
    Lead,
    LeaderDies,
    /// Another one looks, and acts only at the next `OtherLeads`.
    OtherLooks,
    OtherLeads,
    ReplicaLooks(u8),
    ReplicaRestarts(u8),
    ClockJumps(i32),
    SecretDeleted,
    SecretKept,
    SecretRestored,
    FieldDamaged(u8, u8),
    BundleEdited(u8),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        12 => any::<u8>().prop_map(|ticks| Event::Pass(ticks % 20)),
        16 => Just(Event::Lead),
        2 => Just(Event::LeaderDies),
        2 => Just(Event::OtherLooks),
        3 => Just(Event::OtherLeads),
        3 => any::<u8>().prop_map(Event::ReplicaLooks),
        1 => any::<u8>().prop_map(Event::ReplicaRestarts),
        1 => (-40_000_000..40_000_000).prop_map(Event::ClockJumps),
        1 => Just(Event::SecretDeleted),
        1 => Just(Event::SecretKept),
        1 => Just(Event::SecretRestored),
        2 => any::<(u8, u8)>().prop_map(|(field, how)| Event::FieldDamaged(field, how)),
        1 => any::<u8>().prop_map(Event::BundleEdited),
    ];
    prop::collection::vec(event, 1..120)
}

#[derive(Clone, Default)]
struct Seen {
    secret: Option<Secret>,
    configuration: MutatingWebhookConfiguration,
    versions: (u64, u64),
}

struct Replica {
    serving: Option<Serving>,
    held: Held,
    /// Since when the Secret is not as it has seen it.
    late: Option<Duration>,
    seen: Stored,
}

impl Default for Replica {
    fn default() -> Self {
        Self { serving: None, held: Held::default(), late: None, seen: Stored::Missing }
    }
}

struct World {
    options: Options,
    start: (Instant, SystemTime),
    passed: Duration,
    jump: i64,
    now: Seen,
    kept: Option<Secret>,
    leader: Held,
    other: (Held, Option<Seen>),
    replicas: [Replica; 3],
    /// The bundles, and since when.
    bundles: Vec<(Duration, Vec<u8>)>,
    /// The last of them.
    published: Published,
    /// Which certificate is trusted by which bundle.
    known: HashMap<(Vec<u8>, Vec<u8>), bool>,
    /// Somebody else took trust away, and it is not all mended.
    is_excused: bool,
}

impl World {
    fn new() -> Self {
        let mut webhook = MutatingWebhook { name: "pods.obtrace.io".to_owned(), ..MutatingWebhook::default() };
        let (secret, bundle) = bootstrap(&options()).unwrap();
        webhook.client_config.ca_bundle = Some(ByteString(bundle.clone()));
        let mut configuration = MutatingWebhookConfiguration { webhooks: Some(vec![webhook]), ..Default::default() };
        configuration.metadata.generation = Some(1);
        let published = Published::read(Some(&configuration));
        let mut world = Self {
            options: options(),
            start: (Instant::now(), SystemTime::now()),
            passed: Duration::ZERO,
            jump: 0,
            now: Seen { secret: Some(secret), configuration, versions: (1, 1) },
            kept: None,
            leader: Held::default(),
            other: (Held::default(), None),
            replicas: Default::default(),
            bundles: vec![(Duration::ZERO, bundle)],
            published,
            known: HashMap::new(),
            is_excused: false,
        };
        (0..3).for_each(|which| world.replica_looks(which));
        world
    }

    fn instant(&self) -> Instant {
        self.start.0 + self.passed
    }

    fn clock(&self) -> SystemTime {
        let now = self.start.1 + self.passed;
        let jump = Duration::from_secs(self.jump.unsigned_abs());
        if self.jump < 0 { now - jump } else { now + jump }
    }

    fn set_secret(&mut self, secret: Option<Secret>) {
        self.now.secret = secret;
        self.now.versions.0 += 1;
        let passed = self.passed;
        for replica in &mut self.replicas {
            replica.late.get_or_insert(passed);
        }
    }

    fn set_bundle(&mut self, pem: Vec<u8>) {
        let webhooks = self.now.configuration.webhooks.as_mut().unwrap();
        webhooks[0].client_config.ca_bundle = Some(ByteString(pem.clone()));
        *self.now.configuration.metadata.generation.get_or_insert_default() += 1;
        self.now.versions.1 += 1;
        self.published = Published::read(Some(&self.now.configuration));
        self.bundles.push((self.passed, pem));
        // Replicas and the leader see it at once or not at all: what they make of it is what is tested, not when.
        (0..3).for_each(|which| self.replica_decides(which));
    }

    /// Writes down what has settled, as the leader's patches do.
    fn set_settled(&mut self, settled: &[Certificate]) {
        let value = annotation(settled).map(|value| (SETTLED.to_owned(), value));
        self.now.configuration.metadata.annotations = Some(value.into_iter().collect());
        self.now.versions.1 += 1;
        self.published = Published::read(Some(&self.now.configuration));
    }

    fn replica_looks(&mut self, which: usize) {
        let replica = &mut self.replicas[which];
        (replica.seen, replica.late) = (Stored::read(self.now.secret.as_ref()), None);
        self.replica_decides(which);
    }

    fn replica_decides(&mut self, which: usize) {
        let (instant, now) = (self.instant(), self.clock());
        let replica = &mut self.replicas[which];
        replica.held.note(&replica.seen, &self.published, instant);
        let (stored, published, held, options) = (&replica.seen, &self.published, &replica.held, &self.options);
        let view = View { stored, published, held, options, instant, now };
        if let Choice::Take(serving) = choose(replica.serving.as_ref(), &view) {
            replica.serving = Some(*serving);
        }
    }

    /// One step of a leader that sees this; as at the real API server, it is refused if what it changes has changed.
    fn lead(&mut self, held: &mut Held, seen: &Seen) -> Step {
        let stored = Stored::read(seen.secret.as_ref());
        let published = Published::read(Some(&seen.configuration));
        held.note(&stored, &published, self.instant());
        let (options, instant, now) = (self.options.clone(), self.instant(), self.clock());
        let view = View { stored: &stored, published: &published, held, options: &options, instant, now };
        let step = next_step(&view);
        if let Step::Publish { settled, .. } | Step::Settle { settled } = &step
            && seen.versions.1 == self.now.versions.1
        {
            self.set_settled(settled);
            if let Step::Publish { bundle, .. } = &step {
                self.set_bundle(write_bundle(bundle));
            }
        }
        if let Some(material) = apply(&step, stored, &options, now).unwrap()
            && seen.versions.0 == self.now.versions.0
        {
            let mut changed = seen.secret.clone().unwrap_or_else(|| secret(&options, BTreeMap::new()));
            write(&mut changed, &material);
            self.set_secret(Some(changed));
        }
        step
    }

    fn leader_turn(&mut self) -> Step {
        let (mut held, seen) = (std::mem::take(&mut self.leader), self.now.clone());
        let step = self.lead(&mut held, &seen);
        self.leader = held;
        step
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Pass(ticks) => (0..*ticks).for_each(|_| self.tick()),
            Event::Lead => {
                self.leader_turn();
            }
            Event::LeaderDies => self.leader = Held::default(),
            Event::OtherLooks => self.other.1 = Some(self.now.clone()),
            Event::OtherLeads => {
                if let (mut held, Some(seen)) = std::mem::take(&mut self.other) {
                    self.lead(&mut held, &seen);
                    self.other = (held, Some(seen));
                }
            }
            Event::ReplicaLooks(which) => self.replica_looks(usize::from(which % 3)),
            Event::ReplicaRestarts(which) => {
                let which = usize::from(which % 3);
                self.replicas[which] = Replica::default();
                self.replica_looks(which);
            }
            Event::ClockJumps(seconds) => self.jump = i64::from(*seconds),
            Event::SecretDeleted => self.set_secret(None),
            Event::SecretKept => self.kept = self.now.secret.clone(),
            Event::SecretRestored => {
                if let Some(kept) = self.kept.clone() {
                    self.set_secret(Some(kept));
                }
            }
            Event::FieldDamaged(field, how) => self.damage(*field, *how),
            Event::BundleEdited(how) => self.edit_bundle(*how),
        }
        self.check();
    }

    fn tick(&mut self) {
        self.passed += TICK;
        for which in 0..3 {
            let is_late = self.replicas[which].late.is_some_and(|since| self.passed - since >= REPLICA_LAG);
            if is_late { self.replica_looks(which) } else { self.replica_decides(which) }
        }
        self.check();
    }

    fn damage(&mut self, field: u8, how: u8) {
        use material::{BUNDLE, CA_KEY, NEXT_CA, NEXT_CA_KEY, SERVING, SERVING_KEY};
        let Some(mut secret) = self.now.secret.clone() else { return };
        let fields = [SERVING, SERVING_KEY, BUNDLE, CA_KEY, NEXT_CA, NEXT_CA_KEY];
        let name = fields[usize::from(field) % fields.len()].to_owned();
        let data = secret.data.as_mut().unwrap();
        let damaged = match how % 4 {
            0 => Vec::new(),
            1 => b"-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----\n".to_vec(),
            // Half of it is lost.
            2 => data.get(&name).map(|bytes| bytes.0[..bytes.0.len() / 2].to_vec()).unwrap_or_default(),
            // It is that of something else.
            _ => bootstrap(&self.options).unwrap().0.data.unwrap().remove(&name).unwrap_or_default().0,
        };
        data.insert(name, ByteString(damaged));
        self.set_secret(Some(secret));
    }

    fn edit_bundle(&mut self, how: u8) {
        let other = || Authority::generate(&self.options, self.clock()).unwrap().certificate.pem.into_bytes();
        let bundle = match how % 4 {
            0 => Vec::new(),
            1 => b"nothing".to_vec(),
            2 => other(),
            _ => self.bundles[usize::from(how) % self.bundles.len()].1.clone(),
        };
        self.is_excused = true;
        // Two faults at once are too many: nobody leads by what was before.
        self.other = Default::default();
        self.set_bundle(bundle);
    }

    /// Every certificate that is served has to verify under every bundle that an API server may have.
    fn check(&mut self) {
        let seen_since = self.passed.saturating_sub(API_LAG);
        let ends = self.bundles.iter().skip(1).map(|(since, _)| *since).chain([Duration::MAX]);
        let visible = self.bundles.iter().zip(ends).filter(|(_, end)| *end > seen_since);
        let visible: Vec<_> = visible.map(|((_, pem), _)| pem).collect();
        let mut is_fine = true;
        for serving in self.replicas.iter().filter_map(|replica| replica.serving.as_ref()) {
            for pem in &visible {
                let key = (serving.leaf.der.to_vec(), (*pem).clone());
                is_fine &= *self.known.entry(key).or_insert_with(|| serving.is_trusted_by(&read_bundle(pem)));
            }
        }
        let was_excused = self.is_excused;
        if self.is_excused {
            let stored = Stored::read(self.now.secret.as_ref());
            let trusted = stored.material().map(Material::trusted).unwrap_or_default();
            let is_mended = !trusted.is_empty() && trusted.iter().all(|certificate| self.published.has(certificate));
            let is_seen = self.replicas.iter().all(|replica| replica.late.is_none());
            self.is_excused = !(is_fine && is_mended && is_seen);
        }
        if !was_excused {
            let served: Vec<_> = self.replicas.iter().map(|replica| &replica.serving).collect();
            let visible: Vec<_> = visible.iter().map(|pem| read_bundle(pem)).collect();
            assert!(is_fine, "at {:?}: {served:?} under {visible:?}", self.passed);
        }
    }

    /// Nothing goes wrong any more, for long enough.
    fn calm_down(&mut self) {
        let end = self.passed + self.options.propagation + self.options.overlap * 3;
        while self.passed < end {
            while !matches!(self.leader_turn(), Step::Rest(_)) {}
            self.tick();
        }
        (0..3).for_each(|which| self.replica_looks(which));
        self.check();
    }
}

#[test]
fn rotation_after_rotation_and_nobody_is_refused() {
    let mut world = World::new();
    let mut steps = BTreeMap::<_, u32>::new();
    while world.passed < Duration::from_secs(500) {
        let step = world.leader_turn();
        *steps.entry(step.name()).or_default() += 1;
        if matches!(step, Step::Rest(_)) {
            world.tick();
        }
    }
    assert!(steps["switch"] >= 10 && steps["issue"] >= 10 && steps["retire"] >= 10, "{steps:?}");
    assert!(steps["publish"] >= steps["switch"] + steps["retire"], "{steps:?}");
}

#[test]
fn who_begins_serves_at_once_before_during_and_after_rotations() {
    let mut world = World::new();
    let mut waited = 0;
    while world.passed < Duration::from_secs(200) {
        let step = world.leader_turn();
        // The Secret has what the leader just made known everywhere, and says so only with its next step.
        world.happen(&Event::ReplicaRestarts(0));
        waited += u32::from(world.replicas[0].serving.is_none());
        if matches!(step, Step::Rest(_)) {
            world.tick();
        }
    }
    assert_eq!(waited, 0);
}

#[test]
fn who_begins_after_an_old_secret_came_back_leaves_the_answers_to_the_others_until_it_is_trusted() {
    let mut world = World::new();
    world.happen(&Event::SecretKept);
    while world.bundles.last().unwrap().1 == world.bundles[0].1 || world.bundles.len() < 6 {
        while !matches!(world.leader_turn(), Step::Rest(_)) {}
        world.tick();
    }
    world.happen(&Event::SecretRestored);
    while !matches!(world.leader_turn(), Step::Publish { .. }) {}
    world.happen(&Event::ReplicaRestarts(0));
    assert!(world.replicas[0].serving.is_none());
    assert!(world.replicas[1].serving.is_some());
    // Nobody leads any more; it waits by its own clock.
    let ends = world.passed + world.options.propagation;
    while world.passed < ends {
        world.tick();
    }
    assert!(world.replicas[0].serving.is_some());
}

#[test]
fn what_others_put_into_the_bundle_leaves_it_after_the_overlap() {
    let mut world = World::new();
    world.options.ca = Life::new(Duration::from_secs(3600));
    world.leader_turn();
    let ours = world.bundles[0].1.clone();
    let other = Authority::generate(&world.options, world.clock()).unwrap().certificate;
    world.set_bundle([ours.clone(), other.pem.into_bytes()].concat());
    let leaves = world.passed + world.options.overlap * 2;
    while world.passed < leaves {
        world.leader_turn();
        world.tick();
    }
    assert_eq!(world.bundles.last().unwrap().1, ours);
    // What would lock everybody out is mended at once.
    world.edit_bundle(0);
    assert!(matches!(world.leader_turn(), Step::Publish { .. }));
    assert_eq!(world.bundles.last().unwrap().1, ours);
}

#[test]
fn cert_managers_secret_is_served_and_left_alone() {
    let mut world = World::new();
    let annotations = |name: &str, value: &str| Some(BTreeMap::from([(name.to_owned(), value.to_owned())]));
    let mut secret = world.now.secret.clone().unwrap();
    secret.metadata.annotations = annotations("cert-manager.io/certificate-name", "obtrace-zero-webhook");
    world.now.configuration.metadata.annotations = annotations("cert-manager.io/inject-ca-from", "a/b");
    world.set_secret(Some(secret));
    world.set_bundle(b"cert-manager's".to_vec());
    for _ in 0..200 {
        assert!(matches!(world.leader_turn(), Step::Rest(_)));
        world.passed += TICK;
    }
    // It went away, and what it made as well: for a while it may be about to make it anew.
    world.set_secret(None);
    assert!(matches!(world.leader_turn(), Step::Rest(_)));
    world.passed += world.options.cert_manager_grace;
    assert!(matches!(world.leader_turn(), Step::Create { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn what_is_served_is_trusted_whatever_happens(events in events()) {
        let mut world = World::new();
        for event in &events {
            world.happen(event);
        }
        world.calm_down();
        prop_assert!(!world.is_excused, "what somebody else broke is not mended");
        let stored = Stored::read(world.now.secret.as_ref());
        let material = stored.material().unwrap();
        prop_assert!(material.faults.is_empty() && material.is_served_by_authority(), "{material:?}");
        let (published, served) = (Published::read(Some(&world.now.configuration)), material.serving.as_ref().unwrap());
        prop_assert!(served.leaf.not_after > world.clock());
        prop_assert!(material.trusted().iter().all(|certificate| published.has(certificate)), "{published:?}");
        for replica in &world.replicas {
            prop_assert_eq!(&replica.serving.as_ref().unwrap().leaf, &served.leaf);
        }
    }
}
