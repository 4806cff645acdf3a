//! Versions: this program's, the operator's and that of the definition in the cluster.
//!
//! They differ while an upgrade is under way, after one that was taken back, and where another administrator has another program. Versions
//! that are one minor apart work together. A definition is never replaced by an older one: the API server would drop the fields that only
//! the newer one has from every resource that is written next.

use std::fmt;

use obtrace_cli::Failure;
use serde_json::{Value, json};

use crate::{
    crd::VERSION_ANNOTATION,
    index::SYSTEM_NAMESPACE,
    install::{Cluster, LEASE},
};

/// This program's version.
pub(super) const OURS: &str = env!("CARGO_PKG_VERSION");

/// A version of [semantic versioning](https://semver.org), without what may follow its three numbers.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Version {
    major: u64,
    minor: u64,
    patch: u64,
}

impl Version {
    /// Reads `MAJOR.MINOR.PATCH`; `None` if it is something else.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let numbers = text.trim_start_matches('v').split(['-', '+']).next()?;
        let mut numbers = numbers.split('.').map(|number| number.parse().ok());
        let version = Self { major: numbers.next()??, minor: numbers.next()??, patch: numbers.next()?? };
        numbers.next().is_none().then_some(version)
    }

    /// This program's.
    pub(super) fn ours() -> Option<Self> {
        Self::parse(OURS)
    }

    /// Whether both work together.
    fn is_near(self, other: Self) -> bool {
        self.major == other.major && self.minor.abs_diff(other.minor) <= 1
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// The version that an object is marked with.
fn version_of(object: &Value) -> Option<Version> {
    let annotations = object.pointer("/metadata/annotations")?;
    annotations.get(VERSION_ANNOTATION)?.as_str().and_then(Version::parse)
}

/// What the cluster has.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Versions {
    /// That of the operator that leads, or led last.
    pub(super) operator: Option<Version>,
    /// That of the definition.
    pub(super) definition: Option<Version>,
}

/// What is wrong with versions, and what to do.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Skew {
    /// Whether they are so far apart that nobody has tried it.
    pub(super) too_far: bool,
    /// What to do.
    pub(super) advice: String,
}

impl Versions {
    /// Asks the cluster.
    pub(super) async fn of(cluster: &Cluster) -> Result<Self, Failure> {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": { "name": LEASE, "namespace": SYSTEM_NAMESPACE },
        });
        let lease = cluster.get(&lease).await.map_err(Failure::failed)?;
        let definition = cluster.get(&definition()).await.map_err(Failure::failed)?;
        Ok(Self { operator: lease.as_ref().and_then(version_of), definition: definition.as_ref().and_then(version_of) })
    }

    /// What they say of a program of version `ours`; `None` if there is nothing to do. What does not say its version is not judged.
    pub(super) fn skew(self, ours: Version) -> Option<Skew> {
        let operator = self.operator.filter(|operator| *operator != ours);
        if let Some(operator) = operator {
            let advice = if operator < ours {
                format!("`obtrace-zero upgrade` brings the operator to {ours}")
            } else {
                format!("use obtrace-zero {operator} with this cluster: it knows what the operator does")
            };
            return Some(Skew { too_far: !operator.is_near(ours), advice });
        }
        let (operator, definition) = (self.operator?, self.definition?);
        // The other way round is how every upgrade begins.
        (definition < operator).then(|| Skew {
            too_far: !operator.is_near(definition),
            advice: format!(
                "the API server drops fields that the definition does not have: \
                 `obtrace-zero crd | kubectl apply --server-side --force-conflicts -f -` brings it to {ours}"
            ),
        })
    }

    /// Both, for people.
    pub(super) fn describe(self) -> String {
        let name = |version: Option<Version>| version.map_or("of no known version".to_owned(), |it| it.to_string());
        match (self.operator, self.definition) {
            (operator, definition) if operator == definition => {
                format!("{OURS}; the operator and the definition are {}", name(operator))
            }
            (operator, definition) => {
                format!("{OURS}; the operator is {}, the definition {}", name(operator), name(definition))
            }
        }
    }
}

/// The definition of the custom resource, by its name.
fn definition() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": { "name": "obtraceinstrumentations.obtrace.io" },
    })
}

/// The version of the definition in the cluster, if that is newer than `object`, which is to be applied.
pub(super) async fn newer_definition(cluster: &Cluster, object: &Value) -> Result<Option<Version>, Failure> {
    if object["kind"] != "CustomResourceDefinition" {
        return Ok(None);
    }
    let found = cluster.get(object).await.map_err(Failure::failed)?;
    Ok(found.as_ref().and_then(version_of).filter(|found| version_of(object).is_some_and(|ours| *found > ours)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn versions_are_read_and_compared_by_their_numbers() {
        assert!(version("0.10.0") > version("0.9.12"));
        assert_eq!(version("v1.2.3-rc.1+abc").to_string(), "1.2.3");
        for text in ["", "1", "1.2", "1.2.3.4", "latest", "1.x.3"] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
        assert_eq!(Version::ours().map(|ours| ours.to_string()).as_deref(), Some(OURS));
    }

    #[test]
    fn what_to_do_is_said_of_versions_that_differ() {
        let ours = version("0.3.0");
        let skew = |operator: &str, definition: &str| {
            Versions { operator: Version::parse(operator), definition: Version::parse(definition) }.skew(ours)
        };
        assert_eq!(skew("0.3.0", "0.3.0"), None);
        assert_eq!(skew("0.3.0", "0.4.0"), None, "an upgrade that was taken back");
        assert_eq!(skew("", "0.2.0"), None, "an operator that is not there yet");
        for (operator, definition, too_far, word) in [
            ("0.2.0", "0.3.0", false, "`obtrace-zero upgrade` brings the operator to 0.3.0"),
            ("0.1.0", "0.1.0", true, "`obtrace-zero upgrade`"),
            ("0.3.1", "0.3.1", false, "use obtrace-zero 0.3.1"),
            ("1.0.0", "1.0.0", true, "use obtrace-zero 1.0.0"),
            ("0.3.0", "0.2.0", false, "drops fields"),
        ] {
            let found = skew(operator, definition).unwrap();
            assert_eq!(
                (found.too_far, found.advice.contains(word)),
                (too_far, true),
                "{operator} {definition}: {found:?}"
            );
        }
    }
}
