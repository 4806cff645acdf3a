//! What the operator may do, and whether that is what was granted.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::{Api, api::PostParams};
use serde_json::Value;

use super::{super::allow, Check};
use crate::{
    index::SYSTEM_NAMESPACE,
    install::{ApiKey, Cluster, OPERATOR, Options, list, objects, restarter, said, text},
};

/// Whether the operator has every right that an installation grants.
pub(super) async fn check(cluster: &Cluster) -> Check {
    const NAME: &str = "rights";
    let mut missing = Vec::new();
    let mut asked = 0_u32;
    let extra: Vec<_> = match cluster.get(&restarter()[0]).await {
        Ok(Some(_)) => restarter().to_vec(),
        _ => Vec::new(),
    };
    let mut options = Options::new();
    match allow::reference(cluster).await {
        Ok(reference) => options.api_key = ApiKey::Secret(reference),
        Err(failure) => return Check::warning(NAME, failure.to_string(), "check your rights in the cluster"),
    }
    for object in objects(&options).iter().chain(&extra) {
        for rule in list(object, "/rules") {
            for question in questions(object, rule) {
                asked += 1;
                match allowed(cluster, &question).await {
                    Ok(true) => {}
                    Ok(false) => missing.push(question.to_string()),
                    Err(why) => {
                        return Check::warning(NAME, why, "only who may ask for the rights of others can check them");
                    }
                }
            }
        }
    }
    if missing.is_empty() {
        return Check::ok(NAME, format!("the operator has all {asked}"));
    }
    Check::failed(
        NAME,
        format!("the operator may not {}", missing.join(", nor ")),
        "run `obtrace-zero install`: it grants them again",
    )
}

/// One right.
struct Right {
    verb: String,
    group: String,
    resource: String,
    name: String,
    namespace: String,
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if self.name.is_empty() { Ok(()) } else { write!(f, " {}", self.name) }
    }
}

/// What a rule of a Role grants, one by one.
fn questions(role: &Value, rule: &Value) -> Vec<Right> {
    let words =
        |pointer: &str| list(rule, pointer).iter().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>();
    let mut names = words("/resourceNames");
    if names.is_empty() {
        names.push(String::new());
    }
    let mut rights = Vec::new();
    for group in words("/apiGroups") {
        for resource in words("/resources") {
            for verb in words("/verbs") {
                for name in &names {
                    rights.push(Right {
                        verb: verb.clone(),
                        group: group.clone(),
                        resource: resource.clone(),
                        name: name.clone(),
                        namespace: text(role, "/metadata/namespace").to_owned(),
                    });
                }
            }
        }
    }
    rights
}

async fn allowed(cluster: &Cluster, right: &Right) -> Result<bool, String> {
    let (resource, subresource) = match right.resource.split_once('/') {
        Some((resource, subresource)) => (resource.to_owned(), Some(subresource.to_owned())),
        None => (right.resource.clone(), None),
    };
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let attributes = ResourceAttributes {
        group: Some(right.group.clone()),
        resource: Some(resource),
        subresource,
        name: given(&right.name),
        namespace: given(&right.namespace),
        verb: Some(right.verb.clone()),
        ..ResourceAttributes::default()
    };
    let spec = SubjectAccessReviewSpec {
        user: Some(format!("system:serviceaccount:{SYSTEM_NAMESPACE}:{OPERATOR}")),
        resource_attributes: Some(attributes),
        ..SubjectAccessReviewSpec::default()
    };
    let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
    let api = Api::<SubjectAccessReview>::all(cluster.client().clone());
    let answer = api.create(&PostParams::default(), &review).await.map_err(|error| said(&error))?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}
