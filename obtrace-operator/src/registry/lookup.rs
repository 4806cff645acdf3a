//! One look-up with whatever credentials there are for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use tokio::time::timeout;

use super::{
    Ended,
    agenda::Job,
    client::{Client, Fault, Found},
    credentials::{self, Credentials},
};
use crate::{
    index::Index,
    install::{PULL_SECRETS_ANNOTATION, said},
};

/// How long a look-up may take with all of its attempts.
const LONGEST: Duration = Duration::from_secs(60);
/// The most Secrets that are read for a look-up.
const MOST_SECRETS: usize = 8;
/// The most attempts with other credentials.
const MOST_ATTEMPTS: usize = 6;

/// The pull secrets that may be read, by namespace: as `obtrace-zero allow` has marked the namespaces.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Grants(Arc<BTreeMap<String, BTreeSet<String>>>);

impl Grants {
    pub(super) fn of(index: &Index) -> Self {
        let marked = index.namespaces().iter().filter_map(|(name, about)| {
            let names = about.annotations.get(PULL_SECRETS_ANNOTATION)?.split(',').map(str::trim);
            Some((name.clone(), names.filter(|name| !name.is_empty()).take(MOST_SECRETS).map(str::to_owned).collect()))
        });
        Self(Arc::new(marked.collect()))
    }

    /// The namespaces and names of those that may be read for a job.
    fn of_job<'a>(&'a self, job: &'a Job) -> Vec<(&'a str, &'a str)> {
        let namespaces: BTreeSet<&str> = job.sources.iter().map(|source| &*source.namespace).collect();
        let mut all = Vec::new();
        for namespace in namespaces {
            let names = self.0.get(namespace).into_iter().flatten();
            all.extend(names.map(|name| (namespace, name.as_str())));
        }
        all
    }

    fn has(&self, namespace: &str, secret: &str) -> bool {
        self.0.get(namespace).is_some_and(|names| names.contains(secret))
    }
}

/// Looks an image up; with a fault comes what may be done about it.
pub(super) async fn run(
    cluster: kube::Client,
    registries: Client,
    job: Job,
    grants: Grants,
    digests: Arc<BTreeSet<String>>,
) -> Ended {
    let all = async {
        let (credentials, problem) = credentials(&cluster, &job, &grants).await;
        let result = attempts(&registries, &job, &credentials, &digests).await;
        let is_refused = matches!(result, Err(Fault::Refused(_) | Fault::Absent));
        let advice = problem.or_else(|| ask_for(&job, &grants)).filter(|_| is_refused);
        (result, advice)
    };
    let late = || (Err(Fault::Away(format!("no answer within {} s", LONGEST.as_secs()))), None);
    timeout(LONGEST, all).await.unwrap_or_else(|_| late())
}

/// With each of the credentials, then with none.
async fn attempts(
    registries: &Client,
    job: &Job,
    credentials: &[Credentials],
    digests: &BTreeSet<String>,
) -> Result<Found, Fault> {
    let mut first = None;
    for credentials in credentials.iter().take(MOST_ATTEMPTS).chain([&Credentials::Anonymous]) {
        let is_known = |digest: &str| digests.contains(digest);
        match registries.look_up(&job.reference, credentials, job.previous.as_deref(), is_known).await {
            Err(fault @ (Fault::Refused(_) | Fault::Absent)) => {
                first.get_or_insert(fault);
            }
            result => return result,
        }
    }
    Err(first.unwrap_or(Fault::Absent))
}

/// What the pull secrets that may be read have for the image, and what is wrong with the first that is no use.
async fn credentials(cluster: &kube::Client, job: &Job, grants: &Grants) -> (Vec<Credentials>, Option<String>) {
    let (mut all, mut problem) = (Vec::new(), None);
    for (namespace, name) in grants.of_job(job).into_iter().take(MOST_SECRETS) {
        let found = match Api::<Secret>::namespaced(cluster.clone(), namespace).get_opt(name).await {
            Ok(Some(secret)) => credentials::of(&secret, &job.reference).map_err(str::to_owned),
            Ok(None) => Err("is not there".to_owned()),
            Err(error) => Err(format!(
                "cannot be read ({}): run `obtrace-zero allow -n {namespace} --pull-secret {name}`",
                said(&error)
            )),
        };
        match found {
            Ok(found) => {
                for credentials in found {
                    if !all.contains(&credentials) {
                        all.push(credentials);
                    }
                }
            }
            Err(what) => {
                problem.get_or_insert(format!("the pull secret {namespace}/{name} {what}"));
            }
        }
    }
    (all, problem)
}

/// Which pull secret the Pods name that may not be read.
fn ask_for(job: &Job, grants: &Grants) -> Option<String> {
    job.sources.iter().find_map(|source| {
        let (namespace, secret) = (&source.namespace, source.secret.as_deref()?);
        (!grants.has(namespace, secret)).then(|| {
            format!(
                "its pull secret is not used: run `obtrace-zero allow -n {namespace} --pull-secret {secret}` to let it be read"
            )
        })
    })
}
