//! Admission: the bytes of an AdmissionReview in, the bytes of its answer out. No IO, no clock, no lock: everything comes from the
//! [`Index`]. Beside the answer goes a [`Verdict`]: what was decided, for metrics and Events.
//!
//! ```
//! use obtrace_operator::{
//!     admission,
//!     crd::{ObtraceInstrumentation, ObtraceInstrumentationSpec},
//!     index::{Index, SYSTEM_NAMESPACE, World},
//! };
//!
//! let mut resource = ObtraceInstrumentation::new("default", ObtraceInstrumentationSpec::new("https://ingest.example.com"));
//! resource.metadata.namespace = Some(SYSTEM_NAMESPACE.to_owned());
//! let mut world = World::new();
//! world.resources.push(resource);
//! let index = Index::new(world);
//!
//! let review = br#"{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
//!     "uid": "705ab4f5", "operation": "CREATE", "namespace": "shop", "kind": {"group": "", "version": "v1", "kind": "Pod"},
//!     "object": {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "web", "image": "node:22"}]}}}}"#;
//! let judged = admission::judge(review, &index);
//! assert_eq!(judged.verdict.outcome.as_str(), "injected");
//! let answer: serde_json::Value = serde_json::from_slice(&judged.body).unwrap();
//! assert_eq!(answer["response"]["uid"], "705ab4f5");
//! assert_eq!(answer["response"]["allowed"], true);
//! assert_eq!(answer["response"]["patchType"], "JSONPatch");
//! ```

mod uid;
mod verdict;

use obtrace_patch::{
    Outcome as Done, ParseError, Patch, Plan, plan,
    review::{Review, respond},
};

pub use self::verdict::{Outcome, Owner, Verdict};
use crate::index::{Index, Resolution};

/// The most warnings in an answer. Kubernetes truncates them itself beyond 4 KiB in all.
const MAX_WARNINGS: usize = 16;

/// The answer to a review, and what was decided.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The answering AdmissionReview, as JSON.
    pub body: Vec<u8>,
    /// What was decided.
    pub verdict: Verdict,
}

/// The bytes of [`judge`]'s answer, for who has no use for the verdict: its texts are not copied.
#[must_use]
pub fn answer(review: &[u8], index: &Index) -> Vec<u8> {
    match Review::parse(review) {
        Ok(request) => decide(&request, index, None),
        Err(error) => allow_unreadable(review, &error),
    }
}

/// The answer to a review. It always allows: whatever is wrong with the request, or with us, becomes a warning.
#[must_use]
pub fn judge(review: &[u8], index: &Index) -> Answer {
    let request = match Review::parse(review) {
        Ok(request) => request,
        Err(error) => {
            let body = allow_unreadable(review, &error);
            return Answer { body, verdict: Verdict::new(Outcome::Unreadable) };
        }
    };
    let mut verdict = Verdict::new(Outcome::NotAPod);
    verdict.dry_run = request.is_dry_run();
    let body = decide(&request, index, Some(&mut verdict));
    Answer { body, verdict }
}

fn allow_unreadable(review: &[u8], error: &ParseError) -> Vec<u8> {
    // The API server takes no answer without the request's id.
    let uid = uid::in_head(review).unwrap_or_default();
    allow(uid, &format!("obtrace-zero: cannot read the AdmissionReview: {error}"))
}

/// The answer that changes nothing, with a warning; `None` if the beginning of the review does not say which request it is for.
///
/// `head` is as much of the review as has come, for where the whole of it cannot be had.
#[must_use]
pub fn allow_unread(head: &[u8], warning: &str) -> Option<Vec<u8>> {
    uid::in_head(head).map(|uid| allow(uid, warning))
}

fn allow(uid: &str, warning: &str) -> Vec<u8> {
    respond(uid, &Patch::default(), &[warning])
}

fn decide(request: &Review<'_>, index: &Index, mut verdict: Option<&mut Verdict>) -> Vec<u8> {
    let mut note = |what: &dyn Fn(&mut Verdict)| verdict.as_deref_mut().into_iter().for_each(what);
    let uid = request.uid();
    let untouched = || respond(uid, &Patch::default(), &[] as &[&str]);
    let (Some("CREATE"), ("", "v1", "Pod")) = (request.operation(), request.kind()) else {
        return untouched();
    };
    let pod = match request.pod() {
        Ok(Some(pod)) => pod,
        Ok(None) => return untouched(),
        Err(error) => {
            note(&|verdict| verdict.outcome = Outcome::Unreadable);
            return allow(uid, &format!("obtrace-zero: cannot read the Pod, which is left alone: {error}"));
        }
    };
    let namespace = request.namespace().or(pod.namespace()).unwrap_or_default();
    note(&|verdict| verdict.is_about(namespace, pod));
    let settings = match index.resolve(namespace, |name| pod.label(name)) {
        Resolution::Settings(settings, resource) => {
            note(&|verdict| verdict.resource = Some((*resource).to_owned()));
            settings
        }
        Resolution::Excluded(resource) => {
            note(&|verdict| {
                verdict.resource = Some((*resource).to_owned());
                (verdict.outcome, verdict.reason) = (Outcome::Excluded, Some("resource"));
            });
            return untouched();
        }
        Resolution::NoResource => {
            note(&|verdict| verdict.outcome = Outcome::NoResource);
            return untouched();
        }
    };
    let plan = plan(pod, &settings);
    let patch = plan.patch();
    note(&|verdict| verdict.say(&plan, &patch));
    respond(uid, &patch, &warnings(&plan))
}

/// A warning for each container that a rule keeps from harm.
fn warnings(plan: &Plan<'_>) -> Vec<String> {
    let left = plan.containers.iter().filter_map(|container| match &container.outcome {
        Done::Left(reason) if reason.is_rule() => {
            Some(format!("obtrace-zero: container {} is not instrumented: {reason}", container.name))
        }
        _ => None,
    });
    left.take(MAX_WARNINGS).collect()
}

#[cfg(test)]
mod tests;
