//! What discovery keeps of a workload: the verdict, not the template.

use std::sync::Arc;

use obtrace_detect::{Confidence, Detection, Framework, Language, Source, Speaks, Strategy};
use obtrace_patch::{Configuration, Outcome, Plan, PodSkip, Template, marks, plan};

use super::{candidate::Id, images, kind::Kind};
use crate::{
    index::{Index, Resolution},
    registry::Wanted,
    restart::EXCLUDE_REASON,
};

/// The longest reason that is kept, in bytes.
const LONGEST_REASON: usize = 256;

/// What admission does to a workload's Pods, and why.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Finding {
    /// The resource that is for them, as `namespace/name`.
    pub(super) resource: Option<Arc<str>>,
    /// Another that is for them as much, and does not count only by its name.
    pub(super) rival: Option<Arc<str>>,
    /// What the main container runs.
    pub(super) language: Language,
    /// Its framework.
    pub(super) framework: Option<Framework>,
    /// How sure that is.
    pub(super) confidence: Confidence,
    /// What is done; `None`: they are left alone.
    pub(super) strategy: Option<Strategy>,
    /// By which configuration; nothing of what is left alone, or carries the patch in its template: a restart changes nothing there.
    pub(super) configuration: Option<Configuration>,
    /// Why they are left alone, or some of their containers; else what their image said, if that told the language.
    pub(super) reason: Option<Box<str>>,
}

impl Finding {
    fn none(reason: Option<&str>) -> Self {
        Self {
            resource: None,
            rival: None,
            language: Language::Unknown,
            framework: None,
            confidence: Confidence::NOTHING,
            strategy: None,
            configuration: None,
            reason: reason.map(clipped),
        }
    }

    /// With why their images could not be looked up, where that keeps them from being instrumented.
    fn but(mut self, fault: Option<&str>) -> Self {
        if let (Some(fault), false) = (fault, self.instruments()) {
            let reason = self.reason.as_deref().unwrap_or("nothing says what it runs");
            self.reason = Some(clipped(&format!("{reason}; looking the image up failed: {fault}")));
        }
        self
    }

    /// Whether another differs from it by the configuration only, which nobody is told of.
    pub(super) fn is_but_configured_as(&self, other: &Self) -> bool {
        *self == Self { configuration: self.configuration, ..other.clone() }
    }

    /// Whether Pods that are made now are instrumented.
    pub(super) fn instruments(&self) -> bool {
        self.strategy.is_some()
    }
}

/// By which configuration the Pods of a workload are instrumented that are made now.
pub(crate) fn configuration(id: &Id, template: &str, index: &Index) -> Option<Configuration> {
    find(id.kind, &id.namespace, &id.name, template, index, None).configuration
}

/// What admission would say of the Pods of a workload: its own code is asked. `images` is told which images more should be known of.
pub(super) fn find(
    kind: Kind,
    namespace: &str,
    name: &str,
    template: &str,
    index: &Index,
    images: Option<&Wanted>,
) -> Finding {
    let manifest = manifest(kind, namespace, name, template);
    let found = Template::find(manifest.as_bytes());
    let pod = match found.and_then(|template| template.map(|template| template.pod()).transpose()) {
        Ok(Some(pod)) => pod,
        Ok(None) => return Finding::none(Some("its template cannot be read")),
        Err(error) => return Finding::none(Some(&format!("its template cannot be read: {error}"))),
    };
    let label = |name: &str| pod.label(name);
    let rival = index.rival(namespace, label).map(|rival| Arc::from(&*rival));
    let finding = match index.resolve(namespace, label) {
        Resolution::NoResource => return Finding::none(Some("no resource is for it")),
        Resolution::Excluded(resource) => {
            Finding { resource: Some(Arc::from(&*resource)), ..Finding::none(Some("excluded by the resource")) }
        }
        Resolution::Settings(settings, resource) => {
            let plan = plan(&pod, &settings);
            let mut finding = of_plan(&plan, pod.annotation(marks::DETECTED_LANGUAGE).as_deref());
            if let (Some(PodSkip::Excluded), Some(why)) = (&plan.skip, pod.annotation(EXCLUDE_REASON)) {
                finding.reason = Some(clipped(&format!("{}: {why}", PodSkip::Excluded)));
            }
            let finding = Finding { resource: Some(Arc::from(&*resource)), ..finding };
            let fault = images.and_then(|wanted| images::want(wanted, &plan, namespace, template));
            finding.but(fault.as_deref())
        }
    };
    Finding { rival, ..finding }
}

/// The manifest as obtrace-patch reads it. Names are Kubernetes' own, which need no escapes.
fn manifest(kind: Kind, namespace: &str, name: &str, template: &str) -> String {
    let (open, close) = if kind == Kind::CronJob { (r#"{"jobTemplate":{"spec":"#, "}}") } else { ("", "") };
    let kind = kind.template();
    format!(
        r#"{{"kind":"{kind}","metadata":{{"name":"{name}","namespace":"{namespace}"}},"spec":{open}{{"template":{template}}}{close}}}"#
    )
}

fn of_plan(plan: &Plan<'_>, marked: Option<&str>) -> Finding {
    match plan.skip {
        // The template carries the patch already: its Pods are what they should be.
        Some(PodSkip::Injected) => {
            let language = marked.and_then(|name| name.parse().ok()).unwrap_or(Language::Unknown);
            let strategy = Some(if language.has_sdk() { Strategy::Sdk } else { Strategy::Ebpf });
            let reason = Some("its template is instrumented already".into());
            Finding { language, strategy, reason, confidence: Confidence::HINT, ..Finding::none(None) }
        }
        Some(skip) => Finding::none(Some(&skip.to_string())),
        None => of_containers(plan),
    }
}

fn of_containers(plan: &Plan<'_>) -> Finding {
    let left = || {
        plan.containers.iter().filter_map(|container| match &container.outcome {
            Outcome::Left(reason) => Some((container, reason)),
            _ => None,
        })
    };
    let rule = || left().find(|(_, reason)| reason.is_rule());
    let with_name = |name: &str, reason: &dyn ToString| match plan.containers.len() {
        1 => reason.to_string(),
        _ => format!("container {name}: {}", reason.to_string()),
    };
    if let Some(main) = plan.main() {
        let rule = rule().map(|(container, reason)| clipped(&with_name(container.name, reason)));
        let reason = rule.or_else(|| of_image(&main.detection));
        return Finding {
            strategy: plan.strategy,
            configuration: plan.configuration(),
            reason,
            framework: plan.framework(),
            ..seen(&main.detection)
        };
    }
    let told =
        rule().or_else(|| left().find(|(container, _)| !container.detection.infrastructure)).or_else(|| left().next());
    match told {
        Some((container, reason)) => {
            Finding { reason: Some(clipped(&with_name(container.name, reason))), ..seen(&container.detection) }
        }
        None => Finding::none(Some("its template has no containers")),
    }
}

/// What an image's configuration said, if it told the language.
fn of_image(detection: &Detection<'_>) -> Option<Box<str>> {
    let mut evidence = detection.evidence.iter();
    let told = evidence.find(|reason| reason.speaks == Speaks::For)?;
    (told.source == Source::ImageConfig).then(|| clipped(&told.to_string()))
}

fn seen(detection: &Detection<'_>) -> Finding {
    Finding {
        language: detection.language,
        framework: detection.framework,
        confidence: detection.confidence,
        ..Finding::none(None)
    }
}

fn clipped(text: &str) -> Box<str> {
    let end = (0..=LONGEST_REASON.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use obtrace_detect::ImageConfig;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        crd::{ObtraceInstrumentation, ObtraceInstrumentationSpec},
        index::{Namespace, SYSTEM_NAMESPACE, World},
        registry::Told,
    };

    fn index() -> Index {
        let mut world = World::new();
        let mut resource = ObtraceInstrumentation::new("default", ObtraceInstrumentationSpec::default());
        resource.metadata.namespace = Some(SYSTEM_NAMESPACE.to_owned());
        resource.spec.exclude.selector =
            Some(serde_json::from_value(json!({ "matchLabels": { "no": "thanks" } })).unwrap());
        world.resources.push(resource);
        let out = [("obtrace.io/exclude".to_owned(), "true".to_owned())].into();
        world.namespaces.insert("quiet".to_owned(), Namespace::new(out, Default::default()));
        Index::new(world)
    }

    fn ask(kind: Kind, namespace: &str, template: Value) -> Finding {
        find(kind, namespace, "web", &template.to_string(), &index(), None)
    }

    fn image(image: &str) -> Value {
        json!({ "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [{ "name": "web", "image": image }] } })
    }

    #[test]
    fn every_kind_gets_the_verdict_of_its_template() {
        for kind in Kind::ALL {
            let found = ask(kind, "shop", image("python:3.12"));
            assert_eq!((found.language, found.strategy), (Language::Python, Some(Strategy::Sdk)), "{kind:?}");
            assert_eq!(found.resource.as_deref(), Some("obtrace-system/default"));
            assert_eq!(found.reason, None);
        }
    }

    #[test]
    fn what_is_left_alone_has_the_reason() {
        let excluded =
            json!({ "metadata": { "labels": { "no": "thanks" } }, "spec": { "containers": [{ "name": "a" }] } });
        let mut two = image("python:3.12");
        two["spec"]["containers"][0]["envFrom"] = json!([{ "secretRef": { "name": "s" } }]);
        two["spec"]["containers"]
            .as_array_mut()
            .unwrap()
            .push(json!({ "name": "proxy", "image": "envoyproxy/envoy:v1" }));
        for (namespace, template, word) in [
            ("quiet", image("node:22"), "the namespace is excluded"),
            ("kube-system", image("node:22"), "never instrumented"),
            ("shop", excluded, "excluded by the resource"),
            ("shop", image("example.com/thing:1"), "nothing says what it runs"),
            ("shop", two, "container web: PYTHONPATH may come from the Secret s"),
            ("shop", json!({ "spec": { "containers": "none" } }), "cannot be read"),
            ("shop", json!([]), "cannot be read"),
            ("shop", json!({ "spec": {} }), "no containers"),
        ] {
            let found = ask(Kind::Deployment, namespace, template);
            let reason = found.reason.as_deref().unwrap_or_default();
            assert!(!found.instruments() && reason.contains(word), "{word}: {reason}");
        }
    }

    #[test]
    fn a_template_that_was_patched_before_counts_as_instrumented() {
        let mut template = image("anything");
        template["metadata"]["annotations"] =
            json!({ "obtrace.io/injected": "true", "obtrace.io/detected-language": "java" });
        let found = ask(Kind::Deployment, "shop", template);
        assert_eq!((found.language, found.strategy), (Language::Java, Some(Strategy::Sdk)));
        assert_eq!(found.configuration, None, "its Pods are what the template says, whoever restarts it");
    }

    #[test]
    fn what_admission_writes_on_a_pod_is_the_configuration_of_its_workload() {
        let template = image("python:3.12");
        let found = ask(Kind::Deployment, "shop", template.clone()).configuration.unwrap().to_string();
        let mut pod = template;
        pod["metadata"]["labels"]["pod-template-hash"] = json!("7d9f8b6c5d");
        pod["metadata"]["generateName"] = json!("web-7d9f8b6c5d-");
        pod["metadata"]["ownerReferences"] = json!([{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d9f8b6c5d", "uid": "1", "controller": true }]);
        pod["spec"]["volumes"] = json!([{ "name": "kube-api-access", "projected": { "sources": [] } }]);
        let json = pod.to_string();
        let (index, pod) = (index(), obtrace_patch::Pod::parse(json.as_bytes()).unwrap());
        let Resolution::Settings(settings, _) = index.resolve("shop", |name| pod.label(name)) else { panic!("none") };
        let patch = plan(&pod, &settings).patch();
        let written =
            patch.operations().any(|it| it.value.is_some_and(|it| String::from_utf8_lossy(it).contains(&found)));
        assert!(written, "{found}: {}", String::from_utf8_lossy(patch.as_json()));
    }

    #[test]
    fn what_an_image_says_is_asked_for_where_nothing_else_tells_and_judged_by_once_it_is_known() {
        let (wanted, index) = (Wanted::new(), index());
        let ask = |template: &Value, index: &Index| {
            find(Kind::Deployment, "shop", "web", &template.to_string(), index, Some(&wanted))
        };
        let mut template = image("example.com/thing:1");
        template["spec"]["imagePullSecrets"] = json!([{ "name": "regcred" }]);
        template["spec"]["containers"].as_array_mut().unwrap().extend([
            json!({ "name": "proxy", "image": "envoyproxy/envoy:v1" }),
            json!({ "name": "sure", "image": "example.com/sure:1", "command": ["python", "a.py"] }),
        ]);
        ask(&template, &index);
        let asked: Vec<_> = wanted.all().into_iter().map(|ask| ask.image).collect();
        assert_eq!(asked, [Arc::from("example.com/thing:1")]);
        template["spec"]["containers"].as_array_mut().unwrap().truncate(1);
        wanted.say("example.com/thing:1", Some(Told { others: "no such image".into(), ..Told::default() }));
        let found = ask(&template, &index);
        let reason = "nothing says what it runs; looking the image up failed: no such image";
        assert!(found.reason.as_deref().is_some_and(|it| it.contains(reason)), "{:?}", found.reason);
        let config = ImageConfig::new().with_cmd(vec!["node".into(), "a.js".into()]);
        let mut world = World::new();
        world.resources = index.resources().to_vec();
        world.images = Arc::new([("example.com/thing:1".to_owned(), config)].into());
        let knows = Index::new(world);
        assert_eq!(knows.changed_since(&index), crate::index::Changed::All);
        let found = ask(&template, &knows);
        assert_eq!((found.language, found.confidence), (Language::NodeJs, Confidence::SOLID));
        assert!(found.reason.as_deref().is_some_and(|it| it.starts_with("image config: ")), "{:?}", found.reason);
    }

    #[test]
    fn reasons_are_short() {
        assert_eq!(clipped(&"é".repeat(200)).len(), LONGEST_REASON);
        assert_eq!(&*clipped("short"), "short");
    }
}
