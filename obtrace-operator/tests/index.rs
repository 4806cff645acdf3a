//! Which resource is for which Pods.
#![cfg(feature = "admission")]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::BTreeMap;

use obtrace_detect::Language;
use obtrace_operator::{
    crd::ObtraceInstrumentation,
    index::{Changed, DEFAULT_INGEST_URL, Index, Namespace, Resolution, SYSTEM_NAMESPACE, World},
};
use obtrace_patch::{PodSecurity, StrategyChoice};
use serde_json::{Value, json};

fn resource(namespace: &str, name: &str, spec: Value) -> ObtraceInstrumentation {
    let mut all = json!({ "ingestUrl": "https://ingest.example.com" });
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let resource = json!({
        "apiVersion": "obtrace.io/v1alpha1", "kind": "ObtraceInstrumentation",
        "metadata": { "name": name, "namespace": namespace }, "spec": all,
    });
    let resource: ObtraceInstrumentation = serde_json::from_value(resource).unwrap();
    resource.check().unwrap();
    resource
}

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn index(resources: Vec<ObtraceInstrumentation>) -> Index {
    let mut world = World::new();
    world.resources = resources;
    let enforce = labels(&[("team", "shop"), (PodSecurity::LABEL, "restricted")]);
    world.namespaces.insert("shop".to_owned(), Namespace::new(enforce, BTreeMap::new()));
    let excluded = labels(&[("obtrace.io/exclude", "true")]);
    world.namespaces.insert("quiet".to_owned(), Namespace::new(BTreeMap::new(), excluded));
    Index::new(world)
}

/// The resource that is for a Pod with the label `app`, or why there is none.
fn chosen(index: &Index, namespace: &str, app: &str) -> String {
    match index.resolve(namespace, |name| (name == "app").then_some(app)) {
        Resolution::Settings(_, resource) => resource.into_owned(),
        Resolution::Excluded(resource) => format!("excluded by {resource}"),
        _ => "none".to_owned(),
    }
}

#[test]
fn the_nearest_resource_wins() {
    let by_app = |app: &str| json!({ "selector": { "matchLabels": { "app": app } } });
    let index = index(vec![
        resource(SYSTEM_NAMESPACE, "a-default", json!({})),
        resource(SYSTEM_NAMESPACE, "z-team", json!({ "namespaceSelector": { "matchLabels": { "team": "shop" } } })),
        resource(SYSTEM_NAMESPACE, "b-web", by_app("web")),
        resource("shop", "own-b", json!({})),
        resource("shop", "own-a", json!({})),
        resource("shop", "own-pay", by_app("pay")),
        resource("other", "other", json!({})),
    ]);
    // Its own namespace first: with a selector, else by name.
    assert_eq!(chosen(&index, "shop", "pay"), "shop/own-pay");
    assert_eq!(chosen(&index, "shop", "web"), "shop/own-a");
    assert_eq!(chosen(&index, "other", "web"), "other/other");
    // Else the whole cluster's: with a selector, else by name; also for namespaces that nobody has heard of.
    for namespace in ["quiet", "new"] {
        assert_eq!(chosen(&index, namespace, "web"), "obtrace-system/b-web");
        assert_eq!(chosen(&index, namespace, "pay"), "obtrace-system/a-default");
    }
}

#[test]
fn a_selector_of_namespaces_means_their_labels_and_their_name() {
    let team = json!({ "namespaceSelector": { "matchLabels": { "team": "shop" } } });
    let named = json!({ "namespaceSelector": { "matchExpressions": [
        { "key": "kubernetes.io/metadata.name", "operator": "In", "values": ["new"] } ] } });
    let index =
        index(vec![resource(SYSTEM_NAMESPACE, "team", team.clone()), resource(SYSTEM_NAMESPACE, "named", named)]);
    assert_eq!(chosen(&index, "shop", "web"), "obtrace-system/team");
    assert_eq!(chosen(&index, "new", "web"), "obtrace-system/named");
    assert_eq!(chosen(&index, "quiet", "web"), "none");
    // Elsewhere than in obtrace-system it is ignored.
    let index = self::index(vec![resource("quiet", "own", team)]);
    assert_eq!(chosen(&index, "quiet", "web"), "quiet/own");
    assert_eq!(chosen(&index, "shop", "web"), "none");
}

#[test]
fn the_first_override_that_sets_something_counts() {
    let index = index(vec![resource(
        SYSTEM_NAMESPACE,
        "default",
        json!({ "strategy": "sdk", "overrides": [
            { "selector": { "matchLabels": { "app": "web" } }, "language": "ruby", "imageEnv": { "RUBYOPT": "-W0" } },
            { "language": "python", "strategy": "hybrid", "imageEnv": { "RUBYOPT": "-W1", "PYTHONPATH": "/app" } },
        ] }),
    )]);
    let settings = |app: &'static str| match index.resolve("shop", |name| (name == "app").then_some(app)) {
        Resolution::Settings(settings, _) => settings.into_owned(),
        other => panic!("{other:?}"),
    };
    let web = settings("web");
    assert_eq!((web.language, web.strategy), (Some(Language::Ruby), StrategyChoice::Hybrid));
    assert_eq!(web.image_env, labels(&[("PYTHONPATH", "/app"), ("RUBYOPT", "-W0")]));
    let pay = settings("pay");
    assert_eq!((pay.language, pay.strategy), (Some(Language::Python), StrategyChoice::Hybrid));
}

#[test]
fn what_is_known_of_the_namespace_and_the_resource_is_in_the_settings() {
    let spec = json!({
        "apiKeySecretRef": { "name": "key", "key": "token" }, "samplingRatio": 0.5, "environment": "blue", "coexist": true,
        "containers": ["app"], "exclude": { "containers": ["no"], "namespaces": ["gone"] },
        "images": { "agent": "registry.example/agent:2" },
        "resources": { "init": { "requests": { "cpu": "10m" }, "limits": { "memory": "32Mi" } } },
    });
    let index = index(vec![resource(SYSTEM_NAMESPACE, "default", spec)]);
    let Resolution::Settings(settings, _) = index.resolve("shop", |_| None) else { panic!() };
    assert_eq!(settings.namespace.as_deref(), Some("shop"));
    assert_eq!((settings.pod_security, settings.namespace_excluded), (PodSecurity::Restricted, false));
    let key = settings.api_key.as_ref().unwrap();
    assert_eq!((&*key.name, &*key.key), ("key", "token"));
    assert_eq!((settings.sample_ratio, settings.environment.as_deref(), settings.coexist), (0.5, Some("blue"), true));
    assert_eq!(
        (&settings.containers, &settings.excluded_containers),
        (&vec!["app".to_owned()], &vec!["no".to_owned()])
    );
    assert_eq!(settings.excluded_namespaces, ["gone"]);
    assert_eq!(settings.agent_image, "registry.example/agent:2");
    let init = settings.init_resources.as_ref().unwrap();
    assert_eq!((&init.requests["cpu"], &init.limits["memory"]), (&"10m".to_owned(), &"32Mi".to_owned()));
    let Resolution::Settings(settings, _) = index.resolve("quiet", |_| None) else { panic!() };
    assert!(settings.namespace_excluded);
}

#[test]
fn a_resource_can_exclude_pods_by_their_labels() {
    let spec = json!({ "exclude": { "selector": { "matchLabels": { "app": "db" } } } });
    let index = index(vec![resource("shop", "own", spec), resource(SYSTEM_NAMESPACE, "default", json!({}))]);
    assert_eq!(chosen(&index, "shop", "web"), "shop/own");
    assert_eq!(chosen(&index, "shop", "db"), "excluded by shop/own");
}

#[test]
fn the_url_is_inherited_from_the_cluster() {
    let without = |namespace: &str, name: &str| {
        let mut resource = resource(namespace, name, json!({}));
        resource.spec.ingest_url = None;
        resource
    };
    let url = |index: &Index| match index.resolve("shop", |_| None) {
        Resolution::Settings(settings, _) => settings.ingest_url.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        url(&index(vec![without("shop", "own"), resource(SYSTEM_NAMESPACE, "default", json!({}))])),
        "https://ingest.example.com"
    );
    assert_eq!(url(&index(vec![without("shop", "own"), resource("shop", "z", json!({}))])), DEFAULT_INGEST_URL);
}

#[test]
fn resources_that_are_for_the_same_pods_as_much_are_a_tie() {
    let by = |label: &str, value: &str| json!({ "selector": { "matchLabels": { label: value } } });
    let index = index(vec![
        resource(SYSTEM_NAMESPACE, "default", json!({})),
        resource("shop", "a", json!({})),
        resource("shop", "b", json!({})),
        resource("other", "only", json!({})),
        resource("picky", "a", by("app", "web")),
        resource("picky", "b", by("app", "web")),
        resource("picky", "c", json!({})),
    ]);
    let rival = |namespace: &str, app: &str| {
        let rival = index.rival(namespace, |name| (name == "app").then_some(app));
        rival.map(|rival| rival.into_owned())
    };
    assert_eq!(rival("shop", "web").as_deref(), Some("shop/b"));
    assert_eq!(rival("other", "web"), None, "one of the cluster is farther");
    assert_eq!(rival("unknown", "web"), None);
    assert_eq!(rival("picky", "web").as_deref(), Some("picky/b"));
    assert_eq!(rival("picky", "db"), None, "only one without a selector is left");
    assert_eq!(index.ties().into_iter().collect::<Vec<_>>(), [("shop/a", "shop/b")]);
}

#[test]
fn what_has_changed_is_told_by_namespaces_where_it_can_be() {
    let old = || vec![resource(SYSTEM_NAMESPACE, "default", json!({})), resource("shop", "a", json!({}))];
    let changed = |resources, more: &str| {
        let mut world = World::new();
        world.resources = resources;
        world.namespaces.insert(more.to_owned(), Namespace::default());
        Index::new(world).changed_since(&index(old()))
    };
    assert_eq!(index(old()).changed_since(&index(old())), Changed::Nothing);
    let Changed::Namespaces(names) = changed(old(), "new") else { panic!("everything") };
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["new", "quiet", "shop"]);
    let other = vec![old().remove(0), resource("shop", "a", json!({ "strategy": "ebpf" }))];
    assert_eq!(index(other).changed_since(&index(old())), Changed::Namespaces(["shop".to_owned()].into()));
    let mut bounded = World::new();
    (bounded.resources, bounded.bounded) = (old(), ["shop".to_owned()].into());
    let bounded = Index::new(bounded);
    let Changed::Namespaces(names) = bounded.changed_since(&index(old())) else { panic!("everything") };
    assert!(names.contains("shop"));
    let Resolution::Settings(settings, _) = bounded.resolve("shop", |_| None) else { panic!() };
    assert!(settings.bounded);
    let mut incomplete = World::new();
    (incomplete.resources, incomplete.incomplete) = (old(), true);
    let incomplete = Index::new(incomplete);
    assert_eq!(incomplete.changed_since(&index(old())), Changed::All);
    let Resolution::Settings(settings, _) = incomplete.resolve("shop", |_| None) else { panic!() };
    assert!(settings.bounded, "whether something bounds it is not known");
    let none = vec![resource("shop", "a", json!({}))];
    assert_eq!(index(none).changed_since(&index(old())), Changed::All);
}
