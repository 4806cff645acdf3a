//! `obtrace-zero detect`.

mod question;

use std::{
    io::{self, BufRead, Read},
    path::Path,
};

use obtrace_cli::{Color, Failure, paint, write_out};
use obtrace_detect::{Detection, Detector, Evidence, Speaks, process};
use obtrace_patch::Template;
use serde::Serialize;
use serde_json::{Value, json};

use self::question::Question;
use super::arguments;
use crate::manifests;

/// The longest line of standard input, in bytes.
const MAX_LINE: u64 = 16 << 20;

pub(super) fn run(flags: &arguments::Detect, color: Color) -> Result<(), Failure> {
    let detector = Detector::new().with_catalogue(!flags.no_catalogue);
    if flags.stdin {
        return stdin(&detector);
    }
    if let Some(pid) = flags.pid {
        return process(&detector, pid, flags.json, color);
    }
    if let Some(file) = &flags.file {
        return manifest(&detector, file, flags.json, color);
    }
    let question = Question::of(flags)?;
    let known = question.known().map_err(Failure::failed)?;
    let detection = detector.detect(&known.evidence());
    if flags.json {
        return write_out(&line(&Answer { id: None, detection: &detection }));
    }
    write_out(human(&detection, color.stdout).as_bytes())
}

/// Says what a running process is, and what else shows of it.
fn process(detector: &Detector, pid: u32, json: bool, color: Color) -> Result<(), Failure> {
    let process = process::read(pid).map_err(Failure::failed)?;
    let inspection = process::inspect(&process);
    let detection = detector.detect(&Evidence::new().with_process(&process));
    let more = ProcessAnswer {
        answer: Answer { id: None, detection: &detection },
        pid,
        version: inspection.version,
        libc: inspection.libc.map(|libc| libc.as_str()),
        architecture: inspection.architecture,
        agents: inspection.agents.iter().map(|agent| agent.vendor).collect(),
        wrapper: inspection.wrapper,
    };
    if json {
        return write_out(&line(&more));
    }
    let mut text = human(&detection, color.stdout);
    let facts = [("version", more.version), ("C library", more.libc), ("architecture", more.architecture)];
    for (name, fact) in facts.into_iter().filter_map(|(name, fact)| Some((name, fact?))) {
        text.push_str(&format!("  {name}: {fact}\n"));
    }
    for agent in &more.agents {
        text.push_str(&format!("  an agent or SDK is inside already: {agent}\n"));
    }
    if let Some(wrapper) = more.wrapper {
        text.push_str(&format!("  {wrapper} only starts other programs: look at its children\n"));
    }
    write_out(text.as_bytes())
}

/// Says it of every container of a manifest.
fn manifest(detector: &Detector, file: &Path, json: bool, color: Color) -> Result<(), Failure> {
    let documents = manifests::read(file).map_err(Failure::failed)?;
    let mut out = Vec::new();
    for document in &documents {
        let name = format!("{}/{}", document.kind(), document.name());
        let failed = |error: &dyn std::fmt::Display| Failure::failed(format_args!("{name}: {error}"));
        let text = serde_json::to_vec(&document.value).map_err(|error| failed(&error))?;
        let Some(template) = Template::find(&text).map_err(|error| failed(&error))? else { continue };
        let pod = document.value.pointer(template.prefix()).unwrap_or(&Value::Null);
        let labels = pod.pointer("/metadata/labels").unwrap_or(&Value::Null);
        let containers =
            ["/spec/initContainers", "/spec/containers"].into_iter().filter_map(|list| pod.pointer(list)?.as_array());
        for container in containers.flatten() {
            let question = Question::of_container(container, labels).map_err(|error| failed(&error))?;
            let known = question.known().map_err(|error| failed(&error))?;
            let detection = detector.detect(&known.evidence());
            let container = container.get("name").and_then(Value::as_str).unwrap_or_default();
            let id = format!("{name}/{container}");
            if json {
                out.extend(line(&Answer { id: Some(&Value::String(id)), detection: &detection }));
            } else {
                out.extend(format!("{id}: {}", human(&detection, color.stdout)).into_bytes());
            }
        }
    }
    if out.is_empty() {
        return Err(Failure::failed(format_args!("{} holds nothing that makes Pods", file.display())));
    }
    write_out(&out)
}

/// Answers each line of standard input. A line that cannot be answered gets one that says why, and the command fails at the end.
fn stdin(detector: &Detector) -> Result<(), Failure> {
    let mut input = io::stdin().lock();
    let mut text = Vec::new();
    let mut refused = 0_u64;
    loop {
        text.clear();
        let cannot_read = |error| Failure::failed(format_args!("cannot read standard input: {error}"));
        if (&mut input).take(MAX_LINE).read_until(b'\n', &mut text).map_err(cannot_read)? == 0 {
            break;
        }
        if text.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let answer = answer(detector, &text).unwrap_or_else(|(id, error)| {
            refused += 1;
            line(&json!({ "id": id, "error": error }))
        });
        write_out(&answer)?;
    }
    match refused {
        0 => Ok(()),
        1 => Err(Failure::failed("a line of standard input could not be read: its answer says why")),
        _ => Err(Failure::failed(format_args!(
            "{refused} lines of standard input could not be read: their answers say why"
        ))),
    }
}

/// The answer to a line, or its id and what is wrong with it.
fn answer(detector: &Detector, text: &[u8]) -> Result<Vec<u8>, (Value, String)> {
    let question: Question = serde_json::from_slice(text).map_err(|error| (Value::Null, error.to_string()))?;
    let known = question.known().map_err(|error| (question.id.clone(), error))?;
    let detection = detector.detect(&known.evidence());
    Ok(line(&Answer { id: Some(&question.id), detection: &detection }))
}

/// A verdict in JSON: the contract of `detect --json` and `--stdin`.
#[derive(Serialize)]
struct Answer<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Value>,
    #[serde(flatten)]
    detection: &'a Detection<'a>,
}

/// A verdict on a process, with what else shows of it.
#[derive(Serialize)]
struct ProcessAnswer<'a> {
    #[serde(flatten)]
    answer: Answer<'a>,
    pid: u32,
    version: Option<&'a str>,
    libc: Option<&'static str>,
    architecture: Option<&'a str>,
    agents: Vec<&'a str>,
    wrapper: Option<&'a str>,
}

/// A line of JSON.
fn line(value: &impl Serialize) -> Vec<u8> {
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    text
}

/// The verdict, then the reasons.
fn human(detection: &Detection<'_>, color: bool) -> String {
    let mut text = paint(detection.language.as_str(), "1", color);
    let mut more = Vec::new();
    if detection.runtime.as_str() != detection.language.as_str() {
        more.push(format!("runtime {}", detection.runtime));
    }
    if let Some(framework) = detection.framework {
        more.push(format!("framework {framework}"));
    }
    more.push(format!("strategy {}", detection.strategy));
    more.push(format!("confidence {}", detection.confidence));
    text.push_str("  ");
    text.push_str(&more.join(", "));
    text.push('\n');
    for reason in &detection.evidence {
        let (mark, tone) = match reason.speaks {
            Speaks::For => ("+", "32"),
            Speaks::Against => ("-", "31"),
            _ => (" ", "0"),
        };
        text.push_str(&format!("  {} {reason}\n", paint(mark, tone, color)));
    }
    text
}
