//! What Cloud Native Buildpacks write into the images that they make.
//!
//! Source: <https://github.com/buildpacks/spec/blob/main/platform.md#iobuildpacksbuildmetadata-json>.

use crate::{
    Framework::{self, AspNetCore, Puma, Rails, Spring, Tomcat},
    Reason, Runtime, Source, Speaks,
    command::Words,
    opinion::{self, Opinion, Sign},
};

/// The label that says which buildpacks took part, and what they made.
pub(crate) const METADATA: &str = "io.buildpacks.build.metadata";
/// Longest metadata that are read, in bytes.
const MAX_LEN: usize = 64 << 10;
/// The folder of the programs that stand for process types.
const PROCESSES: &str = "/cnb/process/";
/// The program that starts a process type that it is told.
const LAUNCHER: &str = "/cnb/lifecycle/launcher";

/// Buildpacks by how their identifier ends, with what they bring.
const BUILDPACKS: &[(&str, Runtime, Option<Framework>)] = &[
    ("/native-image\"", Runtime::GraalVmNative, None),
    ("/node-engine\"", Runtime::Node, None),
    ("/nodejs\"", Runtime::Node, None),
    ("/nodejs-engine\"", Runtime::Node, None),
    ("google.nodejs.runtime\"", Runtime::Node, None),
    ("/bun\"", Runtime::Bun, None),
    ("/cpython\"", Runtime::CPython, None),
    ("/python\"", Runtime::CPython, None),
    ("google.python.runtime\"", Runtime::CPython, None),
    ("/spring-boot\"", Runtime::Jvm, Some(Spring)),
    ("/apache-tomcat\"", Runtime::Jvm, Some(Tomcat)),
    ("/bellsoft-liberica\"", Runtime::Jvm, None),
    ("/executable-jar\"", Runtime::Jvm, None),
    ("/jvm\"", Runtime::Jvm, None),
    ("/java\"", Runtime::Jvm, None),
    ("google.java.runtime\"", Runtime::Jvm, None),
    ("/dotnet-core-aspnet-runtime\"", Runtime::CoreClr, Some(AspNetCore)),
    ("/dotnet-core-runtime\"", Runtime::CoreClr, None),
    ("/dotnet-execute\"", Runtime::CoreClr, None),
    ("/dotnet\"", Runtime::CoreClr, None),
    ("google.dotnet.runtime\"", Runtime::CoreClr, None),
    ("/php-dist\"", Runtime::Php, None),
    ("/php\"", Runtime::Php, None),
    ("google.php.runtime\"", Runtime::Php, None),
    ("/puma\"", Runtime::CRuby, Some(Puma)),
    ("/rails-assets\"", Runtime::CRuby, Some(Rails)),
    ("/mri\"", Runtime::CRuby, None),
    ("/ruby\"", Runtime::CRuby, None),
    ("google.ruby.runtime\"", Runtime::CRuby, None),
    ("/go-build\"", Runtime::Go, None),
    ("/go\"", Runtime::Go, None),
    ("google.go.build\"", Runtime::Go, None),
    ("/cargo\"", Runtime::Rust, None),
];

/// Buildpacks that bring the server of a site that Node.js has only built.
const SERVERS: &[&str] = &["/nginx\"", "/httpd\""];

fn bounded(metadata: &str) -> &str {
    let mut end = metadata.len().min(MAX_LEN);
    while !metadata.is_char_boundary(end) {
        end -= 1;
    }
    metadata.get(..end).unwrap_or("")
}

/// What the buildpacks that took part speak for.
pub(crate) fn of_metadata<'a>(metadata: &'a str, source: Source) -> Opinion<'a> {
    let text = bounded(metadata);
    let found = |id: &str| text.find(id).map(|at| text.get(at..at + id.len()).unwrap_or("").trim_matches(['/', '"']));
    let mut opinion = Opinion::Silent;
    for (id, runtime, framework) in BUILDPACKS {
        if let Some(seen) = found(id) {
            let (runtime, framework, meaning) = (*runtime, *framework, opinion::label(*runtime));
            opinion = opinion.and(Sign { source, seen, meaning, runtime, framework, grade: 90 });
        }
    }
    match (opinion, SERVERS.iter().find_map(|id| found(id))) {
        (Opinion::One(Sign { runtime: Runtime::Node, .. }), Some(seen)) => {
            let meaning = "serves what Node.js has built";
            Opinion::Not(Reason { source, seen, meaning, speaks: Speaks::For })
        }
        (opinion, _) => opinion,
    }
}

/// The process type that a command line stands for: `/cnb/process/worker`; the launcher alone starts `web`.
pub(crate) fn process_type<'a>(words: &[&'a str]) -> Option<&'a str> {
    let (first, rest) = words.split_first()?;
    match first.strip_prefix(PROCESSES) {
        None if *first == LAUNCHER => Some(rest.first().copied().unwrap_or("web")),
        process => process,
    }
}

/// The command line of a process type.
///
/// The metadata are JSON as the lifecycle writes it, with a process' type in front of its command and arguments. Escapes
/// are left as they are: all they could hide is a quotation mark.
pub(crate) fn process<'a>(metadata: &'a str, process_type: &str) -> Option<Words<'a>> {
    let text = bounded(metadata);
    let processes = text.get(text.find("\"processes\":[")?..)?;
    let process = processes
        .split("{\"type\":\"")
        .skip(1)
        .find(|process| process.strip_prefix(process_type).is_some_and(|rest| rest.starts_with('"')))?;
    let mut words = Words::new();
    let script = process.contains("\"direct\":false");
    if script {
        ["sh", "-c"].into_iter().for_each(|word| words.push(word));
    }
    strings(process, "\"command\":", &mut words);
    strings(process, "\"args\":", &mut words);
    (!words.as_slice().is_empty()).then_some(words)
}

/// Takes the string, or the list of strings, behind a key.
fn strings<'a>(object: &'a str, key: &str, words: &mut Words<'a>) {
    let Some(mut rest) = object.find(key).and_then(|at| object.get(at + key.len()..)) else { return };
    let list = rest.strip_prefix('[');
    rest = list.unwrap_or(rest);
    while let Some(text) = rest.strip_prefix('"') {
        let mut escaped = false;
        let end = text.bytes().position(|byte| {
            let over = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            over
        });
        let Some(end) = end else { return };
        words.push(text.get(..end).unwrap_or(""));
        let more = text.get(end + 1..).and_then(|rest| rest.strip_prefix(','));
        rest = more.filter(|_| list.is_some()).unwrap_or("");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"{"buildpacks":[{"id":"heroku/ruby","version":"3.0.0"}],"processes":[
        {"type":"worker","command":["bundle"],"args":["exec","sidekiq"],"direct":true,"buildpackID":"x"},
        {"type":"web","command":["bash","-c"],"args":["bin/rails server --port \"$PORT\""],"direct":true},
        {"type":"old","command":"rackup -p 80","args":null,"direct":false}]}"#;

    #[test]
    fn the_process_type_gives_the_command() {
        let line = |kind| process(SAMPLE, kind).map(|words| words.as_slice().join("|"));
        assert_eq!(line("worker").as_deref(), Some("bundle|exec|sidekiq"));
        assert_eq!(line("web").as_deref(), Some(r#"bash|-c|bin/rails server --port \"$PORT\""#));
        assert_eq!(line("old").as_deref(), Some("sh|-c|rackup -p 80"));
        assert_eq!(line("we"), None);
        assert_eq!(process_type(&["/cnb/process/worker"]), Some("worker"));
        assert_eq!(process_type(&["/cnb/lifecycle/launcher"]), Some("web"));
        assert_eq!(process_type(&["/bin/sh"]), None);
    }

    #[test]
    fn buildpacks_tell_the_runtime() {
        let Opinion::One(sign) = of_metadata(SAMPLE, Source::ImageConfig) else { panic!("no opinion") };
        assert_eq!((sign.runtime, sign.seen), (Runtime::CRuby, "ruby"));
        let site = r#"[{"id":"paketo-buildpacks/node-engine"},{"id":"paketo-buildpacks/nginx"}]"#;
        assert!(matches!(of_metadata(site, Source::ImageConfig), Opinion::Not(_)));
    }

    #[test]
    fn broken_metadata_say_nothing() {
        for text in ["", "\"processes\":[", "\"processes\":[{\"type\":\"web\",\"command\":[\"a"] {
            assert!(process(text, "web").is_none(), "{text}");
        }
    }
}
