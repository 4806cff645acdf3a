//! `obtrace-zero preview`: what the webhook would do, by a file alone or by what a cluster knows.

mod text;
mod world;

use std::fmt::Write as _;

use obtrace_cli::{Color, Failure, paint, say, warn, write_out};
use obtrace_patch::{Patch, Plan, Pod, Template, plan};
use serde_json::Value;
use similar::TextDiff;

use self::world::Seen;
use super::arguments::{self, Output};
use crate::{
    index::{Index, Resolution},
    manifests::{self, Document},
};

pub(super) fn run(flags: &arguments::Preview, color: Color) -> Result<(), Failure> {
    let documents = manifests::read(&flags.file).map_err(Failure::failed)?;
    #[cfg(feature = "controller")]
    let known = match flags.cluster {
        true => Some(super::cluster::run(async {
            super::cluster::world(&super::cluster::connect(&flags.connection).await?).await
        })?),
        false => None,
    };
    #[cfg(not(feature = "controller"))]
    let known = None;
    let seen = Seen::of(&documents, flags, known).map_err(Failure::failed)?;
    for note in &seen.notes {
        warn(note, color);
    }
    let workloads = workloads(&documents, flags)?;
    if flags.output == Output::Patch && workloads.len() > 1 {
        let names: Vec<_> = workloads.iter().map(|it| it.full_name()).collect();
        return Err(Failure::usage(format_args!(
            "{} holds {} workloads and a patch is for one: choose with --only one of {}",
            flags.file.display(),
            names.len(),
            names.join(", ")
        )));
    }
    let index = Index::new(seen.world);
    let mut changed = documents.clone();
    let mut out = String::new();
    for workload in &workloads {
        workload.preview(&index, flags.output, color, &mut out, &mut changed)?;
    }
    match flags.output {
        Output::Text | Output::Patch => {}
        Output::Manifest => out = whole(&changed)?,
        Output::Diff => diff(&documents, &changed, color, &mut out)?,
    }
    write_out(out.as_bytes())
}

/// A document that is a Pod or makes Pods.
struct Workload<'a> {
    /// Its place among the documents.
    index: usize,
    document: &'a Document,
    /// The namespace of the request.
    namespace: &'a str,
    json: Vec<u8>,
}

/// The workloads that are asked for.
fn workloads<'a>(documents: &'a [Document], flags: &'a arguments::Preview) -> Result<Vec<Workload<'a>>, Failure> {
    let mut found = Vec::new();
    for (index, document) in documents.iter().enumerate() {
        let json = serde_json::to_vec(&document.value).map_err(Failure::failed)?;
        let namespace = flags.namespace.as_deref().or(document.namespace()).unwrap_or("default");
        let workload = Workload { index, document, namespace, json };
        match Template::find(&workload.json) {
            Ok(Some(_)) => found.push(workload),
            Ok(None) => {}
            Err(error) => return Err(Failure::failed(format_args!("{}: {error}", workload.full_name()))),
        }
    }
    if found.is_empty() {
        let file = flags.file.display();
        return Err(Failure::failed(format_args!(
            "{file} holds nothing that makes Pods: no Pod, Deployment, StatefulSet, DaemonSet, Job or CronJob"
        )));
    }
    if let Some(only) = &flags.only {
        found.retain(|workload| workload.full_name().eq_ignore_ascii_case(only));
        if found.is_empty() {
            return Err(Failure::usage(format_args!("{} holds no {only}", flags.file.display())));
        }
    }
    Ok(found)
}

impl Workload<'_> {
    /// `Kind/name`.
    fn full_name(&self) -> String {
        format!("{}/{}", self.document.kind(), self.document.name())
    }

    /// Adds what is printed of it, and changes its document.
    fn preview(
        &self,
        index: &Index,
        output: Output,
        color: Color,
        out: &mut String,
        changed: &mut [Document],
    ) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::failed(format_args!("{}: {error}", self.full_name()));
        let pod = match Template::find(&self.json).map_err(|error| failed(&error))? {
            Some(template) => template.pod().map_err(|error| failed(&error))?,
            None => Pod::default(),
        };
        let (settings, resource) = match index.resolve(self.namespace, |name| pod.label(name)) {
            Resolution::Settings(settings, resource) => (settings, resource),
            other => {
                let why = match other {
                    Resolution::Excluded(resource) => format!("{resource} excludes Pods with such labels"),
                    _ => format!("no ObtraceInstrumentation is for it in the namespace {}", self.namespace),
                };
                self.left_alone(&why, output, color, out);
                return Ok(());
            }
        };
        let plan = plan(&pod, &settings);
        let patch = plan.patch();
        match output {
            Output::Text => text::explain(self, &resource, &plan, &patch, color, out),
            Output::Patch => {
                out.push_str(&String::from_utf8_lossy(patch.as_json()));
                out.push('\n');
            }
            Output::Manifest | Output::Diff => {}
        }
        if output != Output::Text {
            self.say_reasons(&plan, color);
        }
        if let Some(document) = changed.get_mut(self.index) {
            apply(&patch, &mut document.value).map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    /// The whole workload is left alone.
    fn left_alone(&self, why: &str, output: Output, color: Color, out: &mut String) {
        match output {
            Output::Text => text::left_alone(self, why, color, out),
            Output::Patch => out.push_str("[]\n"),
            Output::Manifest | Output::Diff => {}
        }
        if output != Output::Text {
            say(format_args!("{}: left alone: {why}", self.full_name()));
        }
    }

    /// Why something is left alone, on standard error.
    fn say_reasons(&self, plan: &Plan<'_>, color: Color) {
        let name = paint(&self.full_name(), "1", color.stderr);
        if let Some(why) = plan.skip {
            say(format_args!("{name}: left alone: {why}"));
        }
        for (container, why) in text::reasons(plan) {
            say(format_args!("{name}: container {container}: {why}"));
        }
    }
}

/// Applies a patch with another implementation of RFC 6902 than the one that made it.
fn apply(patch: &Patch, value: &mut Value) -> Result<(), String> {
    let operations: json_patch::Patch = serde_json::from_slice(patch.as_json()).map_err(|error| error.to_string())?;
    json_patch::patch(value, &operations).map_err(|error| error.to_string())
}

/// All documents, as a file.
fn whole(documents: &[Document]) -> Result<String, Failure> {
    let mut out = String::new();
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            out.push_str("---\n");
        }
        out.push_str(&manifests::to_yaml(&document.value).map_err(Failure::failed)?);
    }
    Ok(out)
}

/// What differs, as a unified diff of the documents that do.
fn diff(before: &[Document], after: &[Document], color: Color, out: &mut String) -> Result<(), Failure> {
    for (before, after) in before.iter().zip(after).filter(|(before, after)| before != after) {
        let texts = [before, after].map(|document| manifests::to_yaml(&document.value).map_err(Failure::failed));
        let [old, new] = texts;
        let (old, new) = (old?, new?);
        let name = format!("{}/{}", before.kind(), before.name());
        let diff = TextDiff::from_lines(&old, &new);
        let unified =
            diff.unified_diff().context_radius(3).header(&name, &format!("{name} (instrumented)")).to_string();
        for line in unified.lines() {
            let code = match line.as_bytes().first() {
                Some(b'+') => "32",
                Some(b'-') => "31",
                Some(b'@') => "36",
                _ => "",
            };
            let line = if code.is_empty() { line.to_owned() } else { paint(line, code, color.stdout) };
            // Writing to a String cannot fail.
            let _ = writeln!(out, "{line}");
        }
    }
    Ok(())
}
