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
    wanted::Told,
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
    fn of_job(&self, job: &Job) -> Vec<(Arc<str>, String)> {
        let namespaces: BTreeSet<_> = job.sources.iter().map(|source| &source.namespace).collect();
        let mut all = Vec::new();
        for namespace in namespaces {
            let names = self.0.get(&**namespace).into_iter().flatten();
            all.extend(names.map(|name| (Arc::clone(namespace), name.clone())));
        }
        all.truncate(MOST_SECRETS);
        all
    }

    fn has(&self, namespace: &str, secret: &str) -> bool {
        self.0.get(namespace).is_some_and(|names| names.contains(secret))
    }
}

/// By what an image is asked for, and whose that is.
struct Key {
    credentials: Credentials,
    namespace: Arc<str>,
}

/// Looks an image up; with a fault comes what its namespaces are told.
pub(super) async fn run(
    cluster: kube::Client,
    registries: Client,
    job: Job,
    grants: Grants,
    digests: Arc<BTreeSet<String>>,
) -> Ended {
    let all = async {
        let (keys, problems) = keys(&cluster, &job, &grants).await;
        let (result, by) = attempts(&registries, &job, &keys, &digests).await;
        let told = result.as_ref().err().map(|fault| told(fault, by, &job, &grants, problems));
        (result, told)
    };
    let late = || {
        let fault = Fault::Away(format!("no answer within {} s", LONGEST.as_secs()));
        let told = Told { others: fault.to_string().into(), ..Told::default() };
        (Err(fault), Some(told))
    };
    timeout(LONGEST, all).await.unwrap_or_else(|_| late())
}

/// With each of the keys, then with none; and whose key has led to that, if one has.
async fn attempts(
    registries: &Client,
    job: &Job,
    keys: &[Key],
    digests: &BTreeSet<String>,
) -> (Result<Found, Fault>, Option<Arc<str>>) {
    let mut first = None;
    let with_keys = keys.iter().take(MOST_ATTEMPTS).map(|key| (&key.credentials, Some(&key.namespace)));
    for (credentials, by) in with_keys.chain([(&Credentials::Anonymous, None)]) {
        let is_known = |digest: &str| digests.contains(digest);
        match registries.look_up(&job.reference, credentials, job.previous.as_deref(), is_known).await {
            Err(fault @ (Fault::Refused(_) | Fault::Absent)) => {
                first.get_or_insert((fault, by.cloned()));
            }
            result => return (result, by.cloned()),
        }
    }
    let (fault, by) = first.unwrap_or((Fault::Absent, None));
    (Err(fault), by)
}

/// What the pull secrets that may be read have for the image, and what is wrong with the first of each namespace that is no use.
async fn keys(cluster: &kube::Client, job: &Job, grants: &Grants) -> (Vec<Key>, BTreeMap<Arc<str>, String>) {
    let (mut all, mut problems) = (Vec::<Key>::new(), BTreeMap::new());
    for (namespace, name) in grants.of_job(job) {
        let found = match Api::<Secret>::namespaced(cluster.clone(), &namespace).get_opt(&name).await {
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
                    if !all.iter().any(|key| key.credentials == credentials) {
                        all.push(Key { credentials, namespace: Arc::clone(&namespace) });
                    }
                }
            }
            Err(what) => {
                let text = || format!("the pull secret {namespace}/{name} {what}");
                problems.entry(Arc::clone(&namespace)).or_insert_with(text);
            }
        }
    }
    (all, problems)
}

/// What is told of a fault: what a registry has answered to the key of a namespace, and what its Secrets are called, nobody else is told.
fn told(
    fault: &Fault,
    by: Option<Arc<str>>,
    job: &Job,
    grants: &Grants,
    mut problems: BTreeMap<Arc<str>, String>,
) -> Told {
    let others: Arc<str> = match fault {
        Fault::Odd(_) if by.is_some() => {
            "looked up with the pull secret of another namespace, it came to nothing".into()
        }
        fault => fault.to_string().into(),
    };
    let is_refused = matches!(fault, Fault::Refused(_) | Fault::Absent);
    let namespaces: BTreeSet<_> = job.sources.iter().map(|source| &source.namespace).collect();
    let of = |namespace: &Arc<str>| {
        let text = if by.as_ref() == Some(namespace) { Arc::from(fault.to_string()) } else { Arc::clone(&others) };
        let advice = problems.remove(namespace).or_else(|| ask_for(job, namespace, grants)).filter(|_| is_refused);
        let text = advice.map_or(text.clone(), |advice| format!("{text}; {advice}").into());
        (text != others).then(|| (Arc::clone(namespace), text))
    };
    Told { namespaces: namespaces.into_iter().filter_map(of).collect(), others: Arc::clone(&others) }
}

/// Which pull secret the Pods of a namespace name that may not be read.
fn ask_for(job: &Job, namespace: &Arc<str>, grants: &Grants) -> Option<String> {
    let mut own = job.sources.iter().filter(|source| source.namespace == *namespace);
    own.find_map(|source| {
        let secret = source.secret.as_deref()?;
        (!grants.has(namespace, secret)).then(|| {
            format!(
                "its pull secret is not used: run `obtrace-zero allow -n {namespace} --pull-secret {secret}` to let it be read"
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{super::wanted::Source, *};
    use crate::registry::reference::Reference;

    fn job(sources: &[(&str, Option<&str>)]) -> Job {
        let source = |(namespace, secret): &(&str, Option<&str>)| Source {
            namespace: Arc::from(*namespace),
            secret: secret.map(Arc::from),
        };
        Job {
            image: "registry.example.com/private:1".into(),
            reference: Reference::parse("registry.example.com/private:1").unwrap(),
            sources: sources.iter().map(source).collect(),
            previous: None,
        }
    }

    #[test]
    fn a_namespace_is_told_nothing_of_the_secrets_of_another() {
        let job = job(&[("ours", Some("regcred")), ("ours", None), ("theirs", Some("their-secret")), ("third", None)]);
        let grants = Grants(Arc::new([("theirs".to_owned(), ["their-secret".to_owned()].into())].into()));
        let problems = || [(Arc::from("theirs"), "the pull secret theirs/their-secret is not there".to_owned())].into();
        let refused = told(&Fault::Refused(401), None, &job, &grants, problems());
        assert_eq!(&*refused.others, "the registry refuses it (401)");
        assert!(refused.namespaces["ours"].contains("allow -n ours --pull-secret regcred"));
        assert!(refused.namespaces["theirs"].contains("theirs/their-secret is not there"));
        assert!(!refused.namespaces["ours"].contains("their") && !refused.namespaces.contains_key("third"));

        let odd = Fault::Odd("its configuration has 9 bytes".to_owned());
        let answered = told(&odd, Some("theirs".into()), &job, &grants, problems());
        assert_eq!(&*answered.namespaces["theirs"], "its configuration has 9 bytes", "that is what its key has led to");
        assert!(!answered.others.contains('9') && answered.namespaces.len() == 1);
        let open = told(&odd, None, &job, &grants, BTreeMap::new());
        assert_eq!(
            (&*open.others, open.namespaces.len()),
            ("its configuration has 9 bytes", 0),
            "anybody may ask that"
        );
    }
}
