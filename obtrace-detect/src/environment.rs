//! What environment variables and labels speak for.

use alloc::borrow::Cow;

use crate::{
    EnvVar, Runtime, Source, buildpacks,
    framework::of_text,
    opinion::{self, Opinion, Sign},
    rules::{self, Rule},
    tokens,
};

/// The grade from which on a variable of an image shows that the runtime is in it.
const RUNTIME: u8 = 70;
/// Variables of one container that are looked at; a Pod may hold thousands.
const MAX_VARIABLES: usize = 512;

/// What a Pod's variables say; the surest counts.
pub(crate) fn of_pod<'a>(env: &'a [EnvVar<'a>]) -> Opinion<'a> {
    let mut opinion = Opinion::Silent;
    for var in env.iter().take(MAX_VARIABLES) {
        if let Some(rule) = rules::variable(&var.name) {
            opinion = opinion.or_surer(sign(var, rule, Source::Environment));
        }
    }
    opinion
}

/// What the variables of an image's own configuration say: base images name the version of what they hold.
pub(crate) fn of_image<'a>(env: &'a [EnvVar<'a>]) -> Opinion<'a> {
    let (mut opinion, mut weak) = (Opinion::Silent, Opinion::Silent);
    for var in env.iter().take(MAX_VARIABLES) {
        let Some(rule) = rules::image_variable(&var.name) else { continue };
        // `NODE_ENV` is no runtime beside Ruby's: what builds the pages reads it.
        let counted = if rule.grade >= RUNTIME { &mut opinion } else { &mut weak };
        *counted = counted.and(sign(var, rule, Source::ImageConfig));
    }
    if opinion == Opinion::Silent { weak } else { opinion }
}

fn sign<'a>(var: &'a EnvVar<'a>, rule: &Rule, source: Source) -> Sign<'a> {
    let Rule { runtime, framework, grade, .. } = *rule;
    // `JAVA_OPTS=-Dspring.config.location=/etc` names the framework.
    let named = || of_text(runtime, var.value.as_deref().unwrap_or(""));
    let framework = framework.or_else(|| if runtime == Runtime::Jvm { named() } else { None });
    Sign { source, seen: &var.name, meaning: opinion::variable(runtime), runtime, framework, grade }
}

/// A label as evidence holds it.
pub(crate) type Label<'a> = (Cow<'a, str>, Cow<'a, str>);

/// What labels say: those of Pods (OpenShift's and Knative's runtimes) and those of images.
pub(crate) fn of_labels<'a>(labels: &'a [Label<'a>], source: Source) -> Opinion<'a> {
    let mut opinion = Opinion::Silent;
    for (name, value) in labels.iter().take(MAX_VARIABLES) {
        let said = match name.as_ref() {
            "app.openshift.io/runtime"
            | "function.knative.dev/runtime"
            | "app.kubernetes.io/runtime"
            | "app.kubernetes.io/language"
            | "org.opencontainers.image.base.name"
            | "io.openshift.tags"
            | "com.redhat.component"
            | "io.openshift.s2i.build.image"
            | "runtime"
            | "language" => tokens::of_text(source, value),
            // They are long; a name stands once among labels.
            buildpacks::METADATA if opinion == Opinion::Silent => buildpacks::of_metadata(value, source),
            "camel.apache.org/integration" => opinion_of(name, Runtime::Jvm, source),
            _ => Opinion::Silent,
        };
        opinion = match said {
            Opinion::One(sign) => opinion.and(sign),
            Opinion::Two(first, second) => opinion.and(first).and(second),
            Opinion::Not(_) if opinion == Opinion::Silent => said,
            _ => opinion,
        };
    }
    opinion
}

fn opinion_of<'a>(seen: &'a str, runtime: Runtime, source: Source) -> Opinion<'a> {
    let meaning = opinion::label(runtime);
    Opinion::One(Sign { source, seen, meaning, runtime, framework: None, grade: 80 })
}
