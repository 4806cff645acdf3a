//! A leader's work against an API server that is played: one Deployment, its Pods, and answers that are refused or lost.

use std::{
    collections::VecDeque,
    io,
    sync::{Mutex, MutexGuard},
};

use arc_swap::ArcSwap;
use http::{Request, Response};
use kube::client::Body;
use obtrace_patch::marks;
use serde_json::json;
use tower::service_fn;

use super::{
    super::{
        record::{RESTART, RESTARTED_AT, RESTARTING},
        simulation::merge,
    },
    *,
};
use crate::{
    crd::{ObtraceInstrumentation, ObtraceInstrumentationSpec},
    index::{Index, SYSTEM_NAMESPACE, World},
    server::health::Readiness,
};

/// What becomes of a patch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Say {
    Conflict,
    Forbidden,
    Fail,
    /// It is done, and nobody hears of it.
    Lost,
    /// Another's webhook labels the template.
    Twist,
    /// Both.
    TwistLost,
}

struct Api {
    workload: Value,
    pods: Vec<Value>,
    events: Vec<(String, String)>,
    /// Of the next patches; those after them are done.
    say: VecDeque<Say>,
    requests: usize,
    patches: usize,
}

impl Api {
    fn new() -> Self {
        let workload = json!({
            "metadata": { "name": "web", "namespace": "shop", "uid": "u", "resourceVersion": "1", "generation": 1 },
            "spec": { "replicas": 1, "selector": { "matchLabels": { "app": "web" } },
                "template": { "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [{ "name": "web" }] } } },
            "status": {} });
        let (say, events) = (VecDeque::new(), Vec::new());
        let mut api = Self { workload, pods: Vec::new(), events, say, requests: 0, patches: 0 };
        api.roll(false);
        api
    }

    /// The controller and the kubelet have done all that there is to do.
    fn roll(&mut self, instrumented: bool) {
        self.pods = vec![self.pod("web-h-1", instrumented)];
        let generation = &self.workload["metadata"]["generation"];
        self.workload["status"] =
            json!({ "observedGeneration": generation, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1 });
    }

    fn pod(&self, name: &str, instrumented: bool) -> Value {
        let mut labels = json!({ "app": "web", "pod-template-hash": "h" });
        if instrumented {
            labels[marks::INSTRUMENTED] = json!("true");
        }
        json!({
            "metadata": { "name": name, "namespace": "shop", "uid": name, "labels": labels,
                "annotations": self.workload["spec"]["template"]["metadata"]["annotations"],
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-h", "uid": "1", "controller": true }] },
            "status": { "phase": "Running", "conditions": [
                { "type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" }] } })
    }

    fn answer(&mut self, method: &str, path: &str, query: &str, body: &Value) -> Option<(u16, Value)> {
        self.requests += 1;
        let list = |items: Vec<Value>| Some((200, json!({ "metadata": {}, "items": items })));
        let is_marked = self.workload["metadata"]["labels"][RESTARTING] == "true";
        match (method, path.rsplit('/').next().unwrap_or_default()) {
            ("GET", "web") => Some((200, self.workload.clone())),
            ("PATCH", "web") => self.patch(body),
            ("GET", "pods") => list(self.pods.clone()),
            ("GET", "deployments") if query.contains("labelSelector") && is_marked => list(vec![self.workload.clone()]),
            ("GET", _) => list(Vec::new()),
            ("POST", "events") => {
                let text = |name: &str| body[name].as_str().unwrap().to_owned();
                self.events.push((text("reason"), text("note")));
                Some((201, body.clone()))
            }
            other => panic!("{other:?}"),
        }
    }

    /// `None`: no answer comes.
    fn patch(&mut self, patch: &Value) -> Option<(u16, Value)> {
        let status = |code: u16, message: &str| {
            Some((code, json!({ "kind": "Status", "status": "Failure", "code": code, "message": message })))
        };
        let say = self.say.pop_front();
        let version = &patch["metadata"]["resourceVersion"];
        let is_old = !version.is_null() && *version != self.workload["metadata"]["resourceVersion"];
        match say {
            Some(Say::Forbidden) => {
                return status(
                    403,
                    "deployments.apps \"web\" is forbidden: User \"o\" cannot patch resource \"deployments\" in API group \"apps\"",
                );
            }
            Some(Say::Fail) => return status(500, "etcd has no leader"),
            Some(Say::Conflict) => return status(409, "the object has been modified"),
            _ if is_old => return status(409, "the object has been modified"),
            _ => {}
        }
        self.patches += 1;
        let spec = self.workload["spec"].clone();
        merge(&mut self.workload, patch);
        if matches!(say, Some(Say::Twist | Say::TwistLost)) {
            self.workload["spec"]["template"]["metadata"]["labels"]["policy"] = json!("checked");
        }
        let metadata = &mut self.workload["metadata"];
        metadata["resourceVersion"] = json!(format!("{}0", metadata["resourceVersion"].as_str().unwrap()));
        if self.workload["spec"] != spec {
            let generation = self.workload["metadata"]["generation"].as_i64().unwrap();
            self.workload["metadata"]["generation"] = json!(generation + 1);
        }
        if matches!(say, Some(Say::Lost | Say::TwistLost)) { None } else { Some((200, self.workload.clone())) }
    }

    fn record(&self) -> Option<Record> {
        serde_json::from_str(self.workload["metadata"]["annotations"][RESTART].as_str()?).ok()
    }

    fn phase(&self) -> Option<Phase> {
        self.record().map(|record| record.phase)
    }

    fn template(&self) -> &Value {
        &self.workload["spec"]["template"]["metadata"]
    }

    fn said(&self) -> Vec<&str> {
        self.events.iter().map(|(reason, _)| reason.as_str()).collect()
    }
}

struct Rig {
    api: Arc<Mutex<Api>>,
    told: watch::Receiver<Arc<Told>>,
    restarter: Restarter,
}

impl Rig {
    fn new() -> Self {
        Self::of(Arc::new(Mutex::new(Api::new())))
    }

    /// A leader that knows nothing but what there is.
    fn of(api: Arc<Mutex<Api>>) -> Self {
        let server = Arc::clone(&api);
        let service = service_fn(move |request: Request<Body>| {
            let api = Arc::clone(&server);
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect_bytes().await.unwrap();
                let body = serde_json::from_slice(&body).unwrap_or_default();
                let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
                let answer = api.lock().unwrap().answer(head.method.as_str(), path, query, &body);
                let (code, answer) = answer.ok_or_else(|| io::Error::other("the connection was lost"))?;
                let response = Response::builder().status(code).body(Body::from(answer.to_string().into_bytes()));
                Ok::<_, io::Error>(response.unwrap())
            }
        });
        let mut resource = ObtraceInstrumentation::new("default", ObtraceInstrumentationSpec::default());
        resource.metadata.namespace = Some(SYSTEM_NAMESPACE.to_owned());
        (resource.metadata.uid, resource.metadata.generation) = (Some("r".to_owned()), Some(1));
        resource.spec.rollout_restart = RolloutRestart::OnChange;
        let mut world = World::new();
        world.resources.push(resource);
        let candidate = Candidate {
            id: Id::new(Kind::Deployment, "shop", "web"),
            resource: format!("{SYSTEM_NAMESPACE}/default"),
            drifted: false,
        };
        let (_, candidates) = watch::channel(Arc::from([candidate]));
        let index = Arc::new(ArcSwap::from_pointee(Index::new(world)));
        let sources = Sources::new(index, candidates, Readiness::new());
        let (tell, told) = watch::channel(Arc::default());
        let options = Options {
            every: Duration::ZERO,
            steady: Duration::ZERO,
            retry: Duration::ZERO,
            caution: Duration::ZERO,
            poll: Duration::ZERO,
            ..Options::default()
        };
        let client = Client::new(service, "default");
        let restarter = Restarter::new(&client, &options, &sources, &tell, &Arc::new(Metrics::new()));
        Self { api, told, restarter }
    }

    fn api(&self) -> MutexGuard<'_, Api> {
        self.api.lock().unwrap()
    }

    /// Each asks for itself: of two at once in a statement the second would wait for the first.
    fn phase(&self) -> Option<Phase> {
        self.api().phase()
    }

    fn patches(&self) -> usize {
        self.api().patches
    }

    fn pod(&self, name: &str) -> Value {
        self.api().pod(name, false)
    }

    async fn turn(&mut self) {
        self.restarter.turn().await;
    }
}

#[tokio::test]
async fn a_workload_is_restarted_and_seen_through() {
    let mut rig = Rig::new();
    rig.turn().await;
    assert_eq!(rig.phase(), Some(Phase::Restarting));
    assert!(rig.api().template()["annotations"][RESTARTED_AT].is_string());
    rig.turn().await;
    assert_eq!(rig.phase(), Some(Phase::Restarting), "its controller has not looked at it");
    rig.api().roll(true);
    rig.turn().await;
    assert_eq!(rig.phase(), Some(Phase::Restarted));
    assert_eq!(rig.api().said(), ["Restarting", "Restarted"]);
    assert_eq!(rig.patches(), 2);
    rig.turn().await;
    assert_eq!(rig.patches(), 2, "there is nothing left to do");
}

#[tokio::test]
async fn a_leader_that_begins_goes_on_with_what_another_has_begun() {
    let mut rig = Rig::new();
    rig.turn().await;
    let before = rig.api().record().unwrap();
    let mut next = Rig::of(Arc::clone(&rig.api));
    drop(rig);
    next.restarter.adopt().await;
    assert_eq!(next.restarter.open.len(), 1);
    next.turn().await;
    next.api().roll(true);
    next.turn().await;
    let after = next.api().record().unwrap();
    assert_eq!((after.phase, after.started_at), (Phase::Restarted, before.started_at));
    assert!(next.restarter.open.is_empty());
    assert_eq!(next.patches(), 2);
}

#[tokio::test]
async fn what_was_changed_meanwhile_is_read_again() {
    let mut rig = Rig::new();
    rig.api().say.push_back(Say::Conflict);
    rig.turn().await;
    assert_eq!((rig.phase(), rig.restarter.open.len()), (None, 0));
    rig.turn().await;
    assert_eq!((rig.phase(), rig.patches()), (Some(Phase::Restarting), 1));
}

#[tokio::test]
async fn without_the_right_nothing_is_asked_for_a_while_and_it_is_told() {
    let mut rig = Rig::new();
    rig.api().say.push_back(Say::Forbidden);
    rig.turn().await;
    let why = rig.told.borrow_and_update().refused.clone().unwrap();
    assert!(why.contains("cannot patch") && why.contains("--allow-restarts"), "{why}");
    assert!(rig.restarter.open.is_empty());
    let requests = rig.api().requests;
    rig.turn().await;
    assert_eq!(rig.api().requests, requests);
    rig.restarter.refused = None;
    rig.turn().await;
    assert_eq!(rig.phase(), Some(Phase::Restarting));
    assert_eq!(rig.told.borrow_and_update().refused, None);
}

#[tokio::test]
async fn a_restart_whose_answer_is_lost_is_watched_and_not_repeated() {
    let mut rig = Rig::new();
    rig.api().say.push_back(Say::Lost);
    rig.turn().await;
    let began = rig.api().template()["annotations"][RESTARTED_AT].clone();
    assert_eq!((began.is_string(), rig.restarter.open.len()), (true, 1));
    rig.api().roll(true);
    rig.turn().await;
    assert_eq!(rig.phase(), Some(Phase::Restarted));
    assert_eq!(rig.api().template()["annotations"][RESTARTED_AT], began);
}

#[tokio::test]
async fn a_restart_that_never_arrived_is_begun_again() {
    let mut rig = Rig::new();
    rig.api().say.push_back(Say::Fail);
    rig.turn().await;
    assert_eq!(rig.phase(), None);
    rig.turn().await;
    rig.turn().await;
    assert_eq!((rig.phase(), rig.patches()), (Some(Phase::Restarting), 1));
}

#[tokio::test]
async fn what_anothers_webhook_adds_to_the_template_is_no_change_of_somebody_else() {
    for say in [
        &[Say::Twist][..],
        &[Say::Twist, Say::Fail],
        &[Say::Twist, Say::Lost],
        &[Say::TwistLost],
        &[Say::TwistLost, Say::Conflict],
    ] {
        let mut rig = Rig::new();
        rig.api().say.extend(say);
        rig.turn().await;
        assert_eq!(rig.api().template()["labels"]["policy"], "checked");
        rig.turn().await;
        rig.turn().await;
        assert_eq!(rig.phase(), Some(Phase::Restarting), "{say:?}");
        rig.api().roll(true);
        rig.turn().await;
        assert_eq!(rig.phase(), Some(Phase::Restarted), "{say:?}");
    }
    // Later it is.
    let mut rig = Rig::new();
    rig.turn().await;
    rig.turn().await;
    rig.api().workload["spec"]["template"]["metadata"]["labels"]["policy"] = json!("checked");
    rig.turn().await;
    assert_eq!(rig.phase(), Some(Phase::Superseded));
}

#[tokio::test]
async fn pods_of_others_with_the_same_labels_do_not_count() {
    let mut rig = Rig::new();
    let (mut bare, mut other) = (rig.pod("bare"), rig.pod("other"));
    bare["metadata"]["ownerReferences"] = json!([]);
    other["metadata"]["ownerReferences"][0]["name"] = json!("other-h");
    for pod in [&mut bare, &mut other] {
        pod["status"] =
            json!({ "containerStatuses": [{ "name": "a", "state": { "waiting": { "reason": "CrashLoopBackOff" } } }] });
    }
    rig.turn().await;
    rig.api().roll(true);
    for pod in [&mut bare, &mut other] {
        pod["metadata"]["annotations"] = rig.api().template()["annotations"].clone();
    }
    rig.api().pods.extend([bare, other]);
    rig.turn().await;
    assert_eq!(rig.phase(), Some(Phase::Restarted));
}

#[tokio::test]
async fn a_rollback_that_somebody_undoes_is_told_and_not_fought_for() {
    let mut rig = Rig::new();
    rig.turn().await;
    rig.api().roll(true);
    rig.api().pods[0]["status"] =
        json!({ "containerStatuses": [{ "name": "a", "state": { "waiting": { "reason": "CrashLoopBackOff" } } }] });
    rig.turn().await;
    assert_eq!(rig.phase(), Some(Phase::RollingBack));
    assert_eq!(rig.api().template()["annotations"][marks::EXCLUDE], "true");
    // As it is in somebody's repository.
    rig.api().workload["spec"]["template"]["metadata"]["annotations"] = json!({});
    rig.turn().await;
    let record = rig.api().record().unwrap();
    assert_eq!(record.phase, Phase::RolledBack);
    assert!(record.reason.is_some_and(|why| why.contains("CrashLoopBackOff") && why.contains("undone")));
    assert_eq!(rig.api().said(), ["Restarting", "RolledBack", "RolledBack"]);
    assert!(rig.api().events[2].1.contains("undone by whoever manages its template"));
    let patches = rig.patches();
    rig.turn().await;
    rig.turn().await;
    assert_eq!(rig.patches(), patches);
}
