//! What an index is made of when there is more than is kept.

use http::{Request, Response};
use kube::client::Body;
use serde_json::{from_value, json};

use super::*;
use crate::index::Resolution;

/// A watch that knows a resource for the whole cluster, and keeps so many quotas.
fn watch(quotas: usize) -> Watch {
    let never = |_: Request<Body>| std::future::pending::<Result<Response<Body>, std::io::Error>>();
    let client = Client::new(tower::service_fn(never), "default");
    let mut watch = Watch::new(client, Arc::default(), None, Arc::new(Metrics::new()));
    watch.quotas = Listing::new(quotas);
    watch.version = Some(Version::new(1, 34));
    let resource = json!({ "apiVersion": "obtrace.io/v1alpha1", "kind": "ObtraceInstrumentation",
        "metadata": { "name": "default", "namespace": "obtrace-system" }, "spec": {} });
    watch.on_namespace(Ok(Event::Init));
    watch.on_namespace(Ok(Event::InitDone));
    for event in [Event::Init, Event::InitApply(from_value(resource).unwrap()), Event::InitDone] {
        watch.on_resource(Ok(event));
    }
    watch.on_bounds(Seen::Range(Ok(Event::Init)));
    watch.on_bounds(Seen::Range(Ok(Event::InitDone)));
    watch
}

/// Tells of a whole list of quotas, one in each of these namespaces, and of the namespaces that count as bounded after that.
fn bounded<'n>(watch: &mut Watch, quotas: &[&str], namespaces: &[&'n str]) -> Vec<&'n str> {
    let quota = |namespace: &&str| {
        from_value(json!({ "metadata": { "name": "q", "namespace": namespace }, "spec": { "hard": { "cpu": "1" } } }))
    };
    let all = quotas.iter().map(|namespace| Event::InitApply(quota(namespace).unwrap()));
    for event in [Event::Init].into_iter().chain(all).chain([Event::InitDone]) {
        watch.on_bounds(Seen::Quota(Ok(event)));
    }
    assert!(watch.rebuild());
    let index = watch.index.load();
    let is_bounded = |namespace: &&str| match index.resolve(namespace, |_| None) {
        Resolution::Settings(settings, _) => settings.bounded,
        _ => panic!("no resource is for {namespace}"),
    };
    namespaces.iter().copied().filter(is_bounded).collect()
}

#[tokio::test]
async fn more_quotas_than_are_kept_bound_every_namespace_and_are_counted() {
    let mut watch = watch(2);
    let namespaces = ["a", "b", "c", "d"];
    assert_eq!(bounded(&mut watch, &["a", "b"], &namespaces), ["a", "b"]);
    assert_eq!(
        bounded(&mut watch, &["a", "b", "c"], &namespaces),
        namespaces,
        "whose the third is nobody knows any more"
    );
    let counted = r#"obtrace_zero_objects_left_out_total{kind="resourcequotas"} 1"#;
    assert!(watch.metrics.encode().unwrap().lines().any(|line| line == counted));
    assert_eq!(bounded(&mut watch, &["b"], &namespaces), ["b"]);
}
