//! Restarts in a small world of a Deployment, its Pods and a budget, in any order of events: the operator stops at any point and begins
//! anew knowing nothing, two act at once on what they read, somebody scales or changes the workload.

use k8s_openapi::jiff::Timestamp;
use obtrace_patch::{Configuration, marks};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::{
    Options,
    object::Workload,
    patch,
    pods::{Budget, Pod},
    record::{EXCLUDE_REASON, Phase, RESTARTED_AT, Record},
    step::{self, Asked, Begin},
    watching::{self, Watch},
};
use crate::discovery::Kind;

/// What becomes of Pods that are instrumented.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Ready,
    Crash,
    NeverReady,
    /// No webhook answers: they are not instrumented.
    NotInstrumented,
    /// They are instrumented, and by a configuration of yesterday: the webhook does not hear of resources.
    Stale,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    /// The Deployment's controller looks at it.
    Controller,
    /// What the kubelets say.
    Kubelet,
    /// A leader's turn.
    Operator,
    /// Two that both believe to lead read the same and act on it.
    Two,
    /// A leader that was stopped between reading and writing.
    Killed,
    Seconds(u16),
    Scale(u8),
    Change(u8),
    /// The resource is edited, and Pods get something else from now on.
    Configure,
    /// Another resource is edited, of which a part is inherited.
    Inherit,
    /// The resource is edited, and Pods get the same.
    Edit,
}

#[derive(Clone, Debug)]
struct Made {
    uid: u64,
    annotations: Value,
    template: Value,
    created: i64,
    ready: Option<i64>,
    crashed: bool,
    instrumented: bool,
    /// The number of the configuration that it was instrumented by.
    configuration: u32,
}

struct World {
    object: Value,
    pods: Vec<Made>,
    fate: Fate,
    now: i64,
    uids: u64,
    starts: u32,
    changed: bool,
    generation: i64,
    configuration: u32,
    edits: u32,
    options: Options,
}

fn configuration(number: u32) -> Configuration {
    format!("v1-{number:08x}-{number:08x}").parse().unwrap()
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// RFC 7396.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(name);
        } else {
            merge(&mut target[name.as_str()], value);
        }
    }
}

impl World {
    fn new(fate: Fate) -> Self {
        let template = json!({ "metadata": { "labels": { "app": "web" }, "annotations": { "team": "a" } },
            "spec": { "containers": [{ "name": "web", "image": "python:3.12" }] } });
        let object = json!({
            "metadata": { "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "1", "generation": 1 },
            "spec": { "replicas": 2, "selector": { "matchLabels": { "app": "web" } }, "template": template,
                "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 0, "maxSurge": 1 } } },
            "status": {} });
        let mut world = Self {
            object,
            pods: Vec::new(),
            fate,
            now: 1_000_000,
            uids: 0,
            starts: 0,
            changed: false,
            generation: 1,
            configuration: 1,
            edits: 0,
            options: Options::default(),
        };
        for _ in 0..2 {
            world.make(false);
        }
        world.kubelet();
        world.controller();
        world.now += 3600;
        world
    }

    fn template(&self) -> &Value {
        &self.object["spec"]["template"]
    }

    fn make(&mut self, webhook: bool) {
        let template = self.template().clone();
        let annotations = template["metadata"]["annotations"].clone();
        let excluded = annotations[marks::EXCLUDE] == "true";
        self.uids += 1;
        self.pods.push(Made {
            uid: self.uids,
            annotations,
            template,
            created: self.now,
            ready: None,
            crashed: false,
            instrumented: webhook && !excluded && self.fate != Fate::NotInstrumented,
            configuration: if self.fate == Fate::Stale { 0 } else { self.configuration },
        });
    }

    /// One more Pod than wanted at most, none less that is ready.
    fn controller(&mut self) {
        let wanted = usize::try_from(self.object["spec"]["replicas"].as_i64().unwrap()).unwrap();
        let template = self.template().clone();
        let is_new = |pod: &Made| pod.template == template;
        let ready = self.pods.iter().filter(|pod| pod.ready.is_some()).count();
        let of_template = self.pods.iter().filter(|pod| is_new(pod)).count();
        if let Some(broken) = self.pods.iter().position(|pod| !is_new(pod) && pod.ready.is_none()) {
            self.pods.remove(broken);
        } else if ready > wanted
            && let Some(old) = self.pods.iter().position(|pod| !is_new(pod)).or(Some(0))
        {
            self.pods.remove(old);
        } else if of_template < wanted && self.pods.len() <= wanted {
            // The webhook answers from then on.
            self.make(self.starts > 0);
        }
        let count = |is: &dyn Fn(&Made) -> bool| self.pods.iter().filter(|pod| is(pod)).count();
        let status = json!({ "observedGeneration": self.object["metadata"]["generation"], "replicas": self.pods.len(),
            "updatedReplicas": count(&|pod| pod.template == template), "availableReplicas": count(&|pod| pod.ready.is_some()) });
        if self.object["status"] != status {
            self.object["status"] = status;
            self.touch();
        }
    }

    fn touch(&mut self) {
        let version: u64 = self.object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
        self.object["metadata"]["resourceVersion"] = json!((version + 1).to_string());
    }

    fn kubelet(&mut self) {
        for pod in &mut self.pods {
            match self.fate {
                Fate::Crash if pod.instrumented => pod.crashed = true,
                Fate::NeverReady if pod.instrumented => {}
                _ => pod.ready = pod.ready.or(Some(self.now)),
            }
        }
    }

    /// Everything as it is read.
    fn read(&self) -> (Workload, Vec<Pod>, Vec<Budget>) {
        let pods = self.pods.iter().map(|pod| {
            let ready = json!({ "type": "Ready", "status": if pod.ready.is_some() { "True" } else { "False" },
                "lastTransitionTime": time(pod.ready.unwrap_or(pod.created)).to_string() });
            let mark = if pod.instrumented { json!({ marks::INSTRUMENTED: "true" }) } else { json!({}) };
            let mut annotations = pod.annotations.clone();
            if pod.instrumented {
                annotations[marks::CONFIGURATION] = json!(configuration(pod.configuration).to_string());
            }
            let state = if pod.crashed { json!({ "waiting": { "reason": "CrashLoopBackOff" } }) } else { json!({}) };
            serde_json::from_value(json!({
                "metadata": { "name": format!("web-{}", pod.uid), "uid": pod.uid.to_string(), "annotations": annotations,
                    "labels": mark, "creationTimestamp": time(pod.created).to_string() },
                "status": { "phase": "Running", "conditions": [ready], "containerStatuses": [{ "name": "web", "state": state }] },
            }))
            .unwrap()
        });
        let budget = json!({ "metadata": { "name": "web", "generation": 1 }, "spec": { "selector": { "matchLabels": { "app": "web" } } },
            "status": { "observedGeneration": 1, "disruptionsAllowed": 1 } });
        let workload = serde_json::from_value(self.object.clone()).unwrap();
        (workload, pods.collect(), vec![serde_json::from_value(budget).unwrap()])
    }

    /// What an operator that knows nothing but what it reads writes.
    fn decide(&self) -> Option<(Value, bool)> {
        let (workload, pods, budgets) = self.read();
        let asked = Asked {
            resource: "a/b".to_owned(),
            uid: "r".to_owned(),
            generation: self.generation,
            drifted: false,
            configuration: Some(configuration(self.configuration)),
        };
        let (kind, now) = (Kind::Deployment, time(self.now));
        match workload.record().filter(|record| record.phase.is_open()) {
            Some(record) => match watching::watch(kind, &workload, &record, &pods, &self.options, now) {
                Watch::Wait => None,
                Watch::Delete(_) => panic!("of a Deployment no Pod is deleted"),
                Watch::RollBack(why) => {
                    let record = Record { phase: Phase::RollingBack, since: now, reason: Some(why), ..record };
                    Some((patch::roll_back(&workload, &record), false))
                }
                Watch::End(phase, reason) => {
                    Some((patch::remember(&workload, &Record { phase, since: now, reason, ..record }), false))
                }
            },
            None => match step::begin(kind, &workload, &asked, (&budgets, &pods), &self.options, now) {
                Begin::Start(record) => Some((patch::start(&workload, &record, "why"), true)),
                _ => None,
            },
        }
    }

    /// Changes the object as the API server would; a patch of an older version is refused.
    fn apply(&mut self, patch: &Value) -> bool {
        if patch["metadata"]["resourceVersion"] != self.object["metadata"]["resourceVersion"] {
            return false;
        }
        let spec = self.object["spec"].clone();
        merge(&mut self.object, patch);
        if self.object["spec"] != spec {
            let generation = self.object["metadata"]["generation"].as_i64().unwrap() + 1;
            self.object["metadata"]["generation"] = json!(generation);
        }
        self.touch();
        true
    }

    fn write(&mut self, decided: Option<(Value, bool)>) {
        if let Some((patch, starts)) = decided
            && self.apply(&patch)
        {
            self.starts += u32::from(starts);
        }
    }

    fn user(&mut self, mut patch: Value) {
        patch["metadata"] = json!({ "resourceVersion": self.object["metadata"]["resourceVersion"] });
        assert!(self.apply(&patch));
    }

    fn on(&mut self, event: Event) {
        match event {
            Event::Controller => self.controller(),
            Event::Kubelet => self.kubelet(),
            Event::Operator => {
                let decided = self.decide();
                self.write(decided);
            }
            Event::Two => {
                let (one, other) = (self.decide(), self.decide());
                self.write(one);
                self.write(other);
            }
            Event::Killed => drop(self.decide()),
            Event::Seconds(seconds) => {
                self.now += i64::from(seconds);
                // Nothing stands still for so long: that would be a reason to roll back.
                self.kubelet();
                self.controller();
            }
            Event::Scale(replicas) => self.user(json!({ "spec": { "replicas": replicas } })),
            Event::Configure => {
                (self.generation, self.configuration, self.edits) =
                    (self.generation + 1, self.configuration + 1, self.edits + 1);
            }
            Event::Inherit => (self.configuration, self.edits) = (self.configuration + 1, self.edits + 1),
            Event::Edit => (self.generation, self.edits) = (self.generation + 1, self.edits + 1),
            Event::Change(number) => {
                self.changed = true;
                self.user(json!({ "spec": { "template": { "spec": { "priority": number } } } }));
            }
        }
    }

    /// Lets everybody do what there is to do.
    fn settle(&mut self) {
        for _ in 0..80 {
            for event in [Event::Controller, Event::Kubelet, Event::Operator, Event::Seconds(20)] {
                self.on(event);
            }
        }
    }

    fn check(&self, original: &Value) {
        assert!(self.starts <= 1 + self.edits, "{} restarts for {} edits", self.starts, self.edits);
        let (workload, pods, _) = self.read();
        let record = workload.record();
        assert!(record.as_ref().is_none_or(|record| !record.phase.is_open()), "{record:?} is open");
        assert!(!workload.is_marked());
        assert!(workload.is_settled(Kind::Deployment) || self.changed, "{}", self.object["status"]);
        let Some(record) = record.filter(|_| !self.changed) else { return };
        let ready = self.pods.iter().all(|pod| pod.ready.is_some());
        let wanted = match self.fate {
            Fate::Ready | Fate::Stale => Phase::Restarted,
            Fate::NotInstrumented => Phase::Unchanged,
            Fate::Crash | Fate::NeverReady => Phase::RolledBack,
        };
        assert_eq!(record.phase, wanted, "{record:?}");
        assert!(ready, "{pods:?}");
        if wanted == Phase::RolledBack {
            let mut template = self.template().clone();
            let annotations = template["metadata"]["annotations"].as_object_mut().unwrap();
            assert_eq!(annotations.remove(marks::EXCLUDE), Some(json!("true")));
            assert!(annotations.remove(EXCLUDE_REASON).is_some());
            assert_eq!(&template, original);
            assert!(self.pods.iter().all(|pod| !pod.instrumented));
        } else {
            assert!(self.template()["metadata"]["annotations"][RESTARTED_AT].is_string());
            assert_eq!(self.pods.iter().all(|pod| pod.instrumented), wanted == Phase::Restarted);
            let is_newest = |pod: &Made| pod.configuration == self.configuration;
            assert!(self.fate != Fate::Ready || self.pods.iter().all(is_newest), "{:?}", self.pods);
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(Event::Controller),
        3 => Just(Event::Kubelet),
        4 => Just(Event::Operator),
        2 => Just(Event::Two),
        1 => Just(Event::Killed),
        3 => (0..90_u16).prop_map(Event::Seconds),
        1 => (1..4_u8).prop_map(Event::Scale),
    ]
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::Ready),
        Just(Fate::Crash),
        Just(Fate::NeverReady),
        Just(Fate::NotInstrumented),
        Just(Fate::Stale)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_it_is_restarted_once_and_runs_in_the_end(fate in fate(), events in vec(event(), 0..80)) {
        let mut world = World::new(fate);
        let original = world.template().clone();
        events.into_iter().for_each(|event| world.on(event));
        world.settle();
        prop_assert_eq!(world.starts, 1);
        world.check(&original);
    }

    #[test]
    fn a_change_of_the_configuration_reaches_every_pod_and_restarts_once(
        fate in fate(),
        before in vec(event(), 0..40),
        edits in vec(prop_oneof![Just(Event::Configure), Just(Event::Inherit), Just(Event::Edit)], 1..4),
        between in vec(event(), 0..30),
    ) {
        let mut world = World::new(fate);
        let original = world.template().clone();
        before.into_iter().for_each(|event| world.on(event));
        for edit in edits {
            world.on(edit);
            between.iter().for_each(|event| world.on(*event));
        }
        // Each restart has a longer pause before it.
        for _ in 0..4 {
            world.settle();
        }
        world.check(&original);
    }

    #[test]
    fn somebody_elses_change_is_left_alone(fate in fate(), events in vec(event(), 0..40), number in 1..9_u8, more in vec(event(), 0..40)) {
        let mut world = World::new(fate);
        events.into_iter().for_each(|event| world.on(event));
        world.on(Event::Change(number));
        let changed = world.template()["spec"].clone();
        more.into_iter().for_each(|event| world.on(event));
        world.settle();
        world.check(&Value::Null);
        prop_assert_eq!(&world.template()["spec"], &changed);
    }
}

#[test]
fn another_generation_is_another_restart_and_the_same_is_none() {
    let mut world = World::new(Fate::NotInstrumented);
    world.settle();
    world.settle();
    assert_eq!(world.starts, 1);
    world.generation += 1;
    world.settle();
    assert_eq!(world.starts, 2);
}

#[test]
fn pods_of_an_older_configuration_are_made_anew_once_and_an_edit_that_changes_none_restarts_none() {
    for (fate, edit, starts) in [
        (Fate::Ready, Event::Configure, 2),
        (Fate::Ready, Event::Inherit, 2),
        (Fate::Ready, Event::Edit, 1),
        (Fate::Stale, Event::Configure, 2),
        (Fate::Stale, Event::Inherit, 2),
    ] {
        let mut world = World::new(fate);
        world.settle();
        assert_eq!(world.starts, 1, "{fate:?}");
        world.on(edit);
        world.settle();
        world.settle();
        assert_eq!(world.starts, starts, "{fate:?} {edit:?}");
    }
}
