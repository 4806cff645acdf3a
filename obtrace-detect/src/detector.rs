//! From evidence to verdict.

use crate::{
    Confidence, Detection, Evidence, Framework, ImageConfig, ImageReference, Language, Reason, Runtime, Source, Speaks,
    Strategy, buildpacks,
    catalogue::{self, Kind},
    command::{self, Seen, Trust, Words, base_name},
    environment,
    opinion::{self, Opinion, Reasons, Sign, framework},
    process::{self, Inspection},
    rules::{self, native::Native},
    tokens,
};

/// The variable by which a container names its language.
const HINT: &str = "OBTRACE_LANGUAGE";
/// The label by which a Pod does.
const LABEL: &str = "obtrace.io/language";

/// Detection with its settings.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Detector {
    /// Whether the catalogue of well-known images is asked. On by default; without it the rules stand alone.
    pub catalogue: bool,
}

impl Default for Detector {
    fn default() -> Self {
        Self { catalogue: true }
    }
}

impl Detector {
    /// The usual settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks the catalogue of well-known images, or does not.
    ///
    /// ```
    /// use obtrace_detect::{Detector, Evidence, Language};
    ///
    /// let evidence = Evidence::new().with_image("docker.elastic.co/kibana/kibana:8.13.0");
    /// assert_eq!(Detector::new().detect(&evidence).language, Language::NodeJs);
    /// assert_eq!(Detector::new().with_catalogue(false).detect(&evidence).language, Language::Unknown);
    /// ```
    #[must_use]
    pub fn with_catalogue(self, catalogue: bool) -> Self {
        Self { catalogue }
    }

    /// Says what a container runs.
    #[must_use]
    pub fn detect<'a>(&self, evidence: &Evidence<'a>) -> Detection<'a> {
        let mut reasons = Reasons::new();
        let hint = hint(evidence, &mut reasons);
        let opinions = Opinions::new(evidence, self.catalogue);
        let found = opinions.weigh();
        let (runtime, confidence) = match hint {
            Some(hinted) => (special(hinted, &found, &opinions), Confidence::HINT),
            None => (found.runtime, Confidence::from_hundredths(found.grade)),
        };
        opinions.explain(runtime.language(), &found, &mut reasons);
        Detection {
            framework: opinions.framework(runtime.language()),
            strategy: opinions.strategy(runtime),
            infrastructure: opinions.infrastructure,
            ..Detection::new(runtime, confidence, reasons.into_vec())
        }
    }
}

/// Says what a container runs, with the usual settings.
#[must_use]
pub fn detect<'a>(evidence: &Evidence<'a>) -> Detection<'a> {
    Detector::new().detect(evidence)
}

/// What the user has named; a word that nobody knows is told and passed over.
fn hint<'a>(evidence: &Evidence<'a>, reasons: &mut Reasons<'a>) -> Option<Runtime> {
    let env = evidence.env;
    let variable = env.iter().rev().find(|var| var.name == HINT).and_then(|var| var.value.as_deref());
    let label = evidence.labels.iter().find(|(name, _)| name == LABEL).map(|(_, value)| value.as_ref());
    for seen in [variable, evidence.hint, label].into_iter().flatten() {
        if let Some(runtime) = runtime_of(seen) {
            reasons.say(Source::Hint, seen, "was named by the user", Speaks::For);
            return Some(runtime);
        }
        reasons.say(Source::Hint, seen, "is no language that is known", Speaks::Neither);
    }
    None
}

/// What a hint names: a language, or a runtime of one.
fn runtime_of(hint: &str) -> Option<Runtime> {
    let same = |runtime: &&Runtime| runtime.as_str().eq_ignore_ascii_case(hint.trim());
    let runtime = Runtime::ALL.iter().find(same).copied();
    runtime.or_else(|| Language::from_hint(hint).map(Runtime::usual))
}

/// The runtime of a language that was named: the usual one, unless the evidence tells a special one.
fn special(hinted: Runtime, found: &Found<'_>, opinions: &Opinions<'_>) -> Runtime {
    if hinted != Runtime::usual(hinted.language()) {
        return hinted;
    }
    let seen = opinions.all().into_iter().find_map(|opinion| match opinion {
        Opinion::One(sign) if sign.runtime.language() == hinted.language() => Some(sign.runtime),
        _ => None,
    });
    if found.runtime.language() == hinted.language() { found.runtime } else { seen.unwrap_or(hinted) }
}

/// A verdict before the hint.
struct Found<'a> {
    runtime: Runtime,
    grade: u8,
    /// What speaks for neither side and has to be said.
    note: Option<Reason<'a>>,
}

impl<'a> Found<'a> {
    fn nothing() -> Self {
        Self { runtime: Runtime::Unknown, grade: 30, note: None }
    }

    fn doubt(source: Source, seen: &'a str, meaning: &'static str) -> Self {
        let note = Some(Reason { source, seen, meaning, speaks: Speaks::Neither });
        Self { note, ..Self::nothing() }
    }

    fn sign(sign: &Sign<'a>) -> Self {
        Self { runtime: sign.runtime, grade: sign.grade, note: None }
    }
}

/// What each source says, in the order in which they are believed.
struct Opinions<'a> {
    observed: Opinion<'a>,
    process: Option<Inspection<'a>>,
    command: Opinion<'a>,
    /// A command that could not be read.
    opaque: Option<(Source, &'a str)>,
    image_env: Opinion<'a>,
    image_labels: Opinion<'a>,
    catalogue: Opinion<'a>,
    name: Opinion<'a>,
    path: Opinion<'a>,
    tag: Opinion<'a>,
    env: Opinion<'a>,
    labels: Opinion<'a>,
    /// Whether the image's name is that of a site's pages.
    front: bool,
    /// Whether the catalogue's image is the base of the user's own program.
    base: bool,
    infrastructure: bool,
}

impl<'a> Opinions<'a> {
    fn new(evidence: &Evidence<'a>, catalogue: bool) -> Self {
        let config = evidence.image_config;
        let image = evidence.image.and_then(ImageReference::parse);
        let entry = image.filter(|_| catalogue).and_then(|image| catalogue::entry(image.repository()));
        let named = |of: fn(&ImageReference<'a>) -> Opinion<'a>| image.as_ref().map_or(Opinion::Silent, of);
        let (command, opaque, trust) = command_of(evidence);
        // Arguments alone belong to the program that the image is known for, if it is no base image.
        let service = entry.filter(|entry| entry.kind != Kind::Base && trust == Trust::Guess);
        let other = |sign: &Sign<'a>| service.is_some_and(|entry| entry.runtime.with(sign.runtime).is_none());
        let command = if matches!(&command, Opinion::One(sign) if other(sign)) { Opinion::Silent } else { command };
        let known = image.zip(entry).map(|(image, entry)| in_catalogue(&image, entry));
        Self {
            observed: evidence.observation.map_or(Opinion::Silent, |seen| {
                let meaning = opinion::observed(seen.runtime);
                let crate::Observation { runtime, framework, .. } = seen;
                let sign = Sign { source: Source::Observation, seen: "", meaning, runtime, framework, grade: 90 };
                if runtime == Runtime::Unknown { Opinion::Not(sign.reason(Speaks::For)) } else { Opinion::One(sign) }
            }),
            process: evidence.process.and_then(process::verdict),
            command,
            opaque,
            image_env: config.map_or(Opinion::Silent, |config| environment::of_image(&config.env)),
            image_labels: config
                .map_or(Opinion::Silent, |config| environment::of_labels(&config.labels, Source::ImageConfig)),
            catalogue: known.unwrap_or_default(),
            // The catalogue knows better than the words of the name.
            name: if entry.is_some() { Opinion::Silent } else { named(tokens::of_name) },
            path: if entry.is_some() { Opinion::Silent } else { named(tokens::of_path) },
            tag: named(tokens::of_tag),
            env: environment::of_pod(evidence.env),
            labels: environment::of_labels(evidence.labels, Source::Label),
            front: image.is_some_and(|image| tokens::is_front(image.name())),
            base: entry.is_some_and(|entry| entry.kind == Kind::Base),
            infrastructure: entry.is_some_and(|entry| matches!(entry.kind, Kind::Proxy | Kind::System)),
        }
    }

    fn all(&self) -> [&Opinion<'a>; 10] {
        [
            &self.observed,
            &self.command,
            &self.image_env,
            &self.image_labels,
            &self.catalogue,
            &self.name,
            &self.path,
            &self.tag,
            &self.env,
            &self.labels,
        ]
    }

    fn weigh(&self) -> Found<'a> {
        match &self.observed {
            Opinion::One(sign) => return Found::sign(sign),
            Opinion::Not(_) => return Found::nothing(),
            _ => {}
        }
        match &self.process {
            Some(Inspection { runtime: Runtime::Unknown, wrapper: None, .. }) => return Found::nothing(),
            Some(Inspection { runtime, confidence, .. }) if *runtime != Runtime::Unknown => {
                return Found { runtime: *runtime, grade: confidence.hundredths(), note: None };
            }
            _ => {}
        }
        match self.command {
            Opinion::One(sign) => return Found { runtime: self.refined(&sign), ..Found::sign(&sign) },
            Opinion::Two(first, _) => return Found::doubt(first.source, "", "two runtimes in one container"),
            Opinion::Not(_) => return Found::nothing(),
            Opinion::Silent => {}
        }
        let found = self.weigh_image();
        match self.opaque {
            // An entry point made for the image says nothing against it; another program may be anything.
            Some((_, word)) if is_script(word) => found,
            // What Quarkus' own Dockerfile for a native image runs.
            Some((_, word)) if found.runtime == Runtime::Jvm && is_native_runner(word) => {
                Found { runtime: Runtime::GraalVmNative, grade: 80, note: None }
            }
            Some((source, word)) if found.runtime.language().has_sdk() && !self.runs_on(found.runtime, word) => {
                Found::doubt(source, word, "need not be a program of the runtime that the image has")
            }
            Some(_) => Found { grade: found.grade.min(80), ..found },
            None => found,
        }
    }

    /// Whether a program that nobody knows may well run on the runtime of its image. Python and Ruby install their
    /// programs under any name wherever programs are; start scripts of the JVM's build tools lie in a `bin` of their own,
    /// .NET's launchers beside their libraries. A variable in the Pod that is made for the runtime says so as well.
    fn runs_on(&self, runtime: Runtime, word: &str) -> bool {
        let named = |opinion: &Opinion<'a>| match opinion {
            Opinion::One(sign) => sign.grade >= 80 && sign.runtime.language() == runtime.language(),
            _ => false,
        };
        if tokens::serves(base_name(word)) {
            return false;
        }
        if named(&self.env) || named(&self.labels) {
            return true;
        }
        let folder = word.rsplit_once('/').map(|(folder, _)| folder);
        let system = folder.is_none_or(|folder| {
            matches!(folder, "" | "/bin" | "/sbin" | "/usr/bin" | "/usr/sbin" | "/usr/local/bin" | "/usr/local/sbin")
        });
        let in_bin = folder.is_some_and(|folder| folder == "bin" || folder.ends_with("/bin"));
        match runtime {
            Runtime::CPython | Runtime::PyPy | Runtime::CRuby | Runtime::JRuby | Runtime::TruffleRuby => true,
            Runtime::CoreClr | Runtime::NativeAot | Runtime::GraalVmNative => !system,
            _ => !system && in_bin,
        }
    }

    /// The runtime of a command in its image: `rails` is JRuby in an image of JRuby.
    fn refined(&self, sign: &Sign<'a>) -> Runtime {
        if command::is_interpreter(sign.seen) {
            return sign.runtime;
        }
        let same = |opinion: &&Opinion<'a>| match opinion {
            Opinion::One(image) if image.runtime.language() == sign.runtime.language() => {
                sign.runtime.with(image.runtime)
            }
            _ => None,
        };
        let images = [&self.image_env, &self.catalogue, &self.name, &self.tag];
        images.iter().find_map(same).unwrap_or(sign.runtime)
    }

    /// What the image and the Pod's variables say where the command says nothing.
    fn weigh_image(&self) -> Found<'a> {
        for opinion in [&self.image_env, &self.image_labels] {
            match opinion {
                Opinion::One(sign) => return Found::sign(sign),
                Opinion::Two(first, _) => return Found::doubt(first.source, "", "two runtimes in one image"),
                Opinion::Not(_) => return Found::nothing(),
                Opinion::Silent => {}
            }
        }
        // A command of the Pod's own has replaced the program that the image is known for.
        let replaced = self.opaque.is_some_and(|(source, _)| source == Source::Command);
        match &self.catalogue {
            Opinion::One(sign) => return self.in_base(sign),
            Opinion::Not(_) if !self.base && !replaced => return Found::nothing(),
            _ => {}
        }
        self.weigh_words()
    }

    /// A well-known image; the tag of a base image may name a second runtime beside it.
    fn in_base(&self, sign: &Sign<'a>) -> Found<'a> {
        match &self.tag {
            Opinion::One(tag) if self.base => match sign.runtime.with(tag.runtime) {
                Some(runtime) => Found { runtime, ..Found::sign(sign) },
                None if tag.grade >= 80 => Found::doubt(Source::Image, tag.seen, "two runtimes in one image"),
                None => Found::sign(sign),
            },
            _ => Found::sign(sign),
        }
    }

    /// The words of the image reference, the variables and labels of the Pod: the surest counts, and another that is
    /// nearly as sure speaks against all.
    fn weigh_words(&self) -> Found<'a> {
        let words = [&self.name, &self.path, &self.tag, &self.env, &self.labels];
        let silenced = matches!(self.name, Opinion::Not(_));
        let mut best: Option<Sign<'a>> = None;
        for opinion in words {
            match opinion {
                Opinion::Two(first, _) if best.is_none_or(|best| best.grade <= first.grade + 10) => {
                    return Found::doubt(first.source, "", "words for two runtimes");
                }
                Opinion::One(sign) => {
                    if silenced && sign.source == Source::Image {
                        continue;
                    }
                    best = match best {
                        None => Some(*sign),
                        Some(best) => match best.runtime.with(sign.runtime) {
                            Some(runtime) => Some(Sign { runtime, grade: best.grade.max(sign.grade), ..best }),
                            None if sign.grade + 10 >= best.grade && best.grade + 10 >= sign.grade => {
                                return Found::doubt(sign.source, sign.seen, "speaks for another runtime");
                            }
                            None if sign.grade > best.grade => Some(*sign),
                            None => Some(best),
                        },
                    };
                }
                _ => {}
            }
        }
        let weak = |sign: &Sign<'a>| sign.grade < tokens::WEAK || (sign.grade == tokens::WEAK && self.front);
        best.filter(|sign| !weak(sign)).map_or(Found::nothing(), |sign| Found::sign(&sign))
    }

    /// The strategy that can work: the process may show that the hook does not reach it.
    fn strategy(&self, runtime: Runtime) -> Strategy {
        let inspected = self.process.as_ref().filter(|process| process.runtime == runtime);
        inspected.map_or(runtime.strategy(), |process| process.strategy)
    }

    fn framework(&self, language: Language) -> Option<Framework> {
        let inspected = self.process.as_ref().and_then(|process| process.framework);
        let mut found = inspected.filter(|framework| framework.language() == language);
        for opinion in self.all() {
            if let Opinion::One(sign) = opinion {
                let own = sign.framework.filter(|framework| framework.language() == language);
                found = framework(found, own);
            }
        }
        found
    }

    /// Says what was seen, for and against.
    fn explain(&self, verdict: Language, found: &Found<'a>, reasons: &mut Reasons<'a>) {
        if let Some(process) = &self.process {
            process.reasons.iter().for_each(|reason| reasons.push(*reason));
        }
        if let Some((source, seen)) = self.opaque {
            reasons.say(source, seen, "could be anything", Speaks::Neither);
        }
        for opinion in self.all() {
            reasons.opinion(opinion, verdict);
        }
        if let Some(note) = found.note {
            reasons.push(note);
        }
    }
}

/// The effective command line: `command` replaces the image's Entrypoint and drops its Cmd, `args` replace the Cmd.
///
/// Source: <https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/>.
fn command_of<'a>(evidence: &Evidence<'a>) -> (Opinion<'a>, Option<(Source, &'a str)>, Trust) {
    let mut words = Words::new();
    let (mut source, mut trust) = (Source::Command, Trust::Certain);
    let Evidence { command, args, image_config, process, .. } = *evidence;
    if !command.is_empty() {
        command.iter().chain(args).for_each(|word| words.push(word));
    } else if let Some(config) = image_config.filter(|config| !config.entrypoint.is_empty() || !config.cmd.is_empty()) {
        let rest = if args.is_empty() { config.cmd.as_slice() } else { args };
        config.entrypoint.iter().chain(rest).for_each(|word| words.push(word));
        if args.is_empty() || !config.entrypoint.is_empty() {
            source = Source::ImageConfig;
        }
    } else if let Some(process) = process.filter(|_| args.is_empty()) {
        process.cmdline.iter().for_each(|word| words.push(word));
        source = Source::Process;
    } else {
        args.iter().for_each(|word| words.push(word));
        trust = Trust::Guess;
    }
    let seen = match from_buildpacks(&words, image_config) {
        Some(process) => match command::read(process.as_slice(), Trust::Certain) {
            Seen::Opaque(_) => command::read(words.as_slice(), trust),
            seen => seen,
        },
        None => command::read(words.as_slice(), trust),
    };
    let opaque = match seen {
        Seen::Opaque(word) if trust == Trust::Certain => Some((source, word)),
        _ => None,
    };
    let opinion = match seen {
        Seen::Nothing | Seen::Opaque(_) => Opinion::Silent,
        Seen::Program(program) => Opinion::One(of_program(&program, source)),
        Seen::Several(first, second) => Opinion::Two(of_program(&first, source), of_program(&second, source)),
        Seen::Native(seen, native) => {
            let meaning = match native {
                Native::Idle => "only waits",
                Native::Tool => "is a tool",
                _ => "is a program of no language of ours",
            };
            Opinion::Not(Reason { source, seen, meaning, speaks: Speaks::For })
        }
    };
    (opinion, opaque, trust)
}

/// The command line of a process type, from what the buildpacks have written into the image.
fn from_buildpacks<'a>(words: &Words<'a>, config: Option<&'a ImageConfig<'a>>) -> Option<Words<'a>> {
    let process_type = buildpacks::process_type(words.as_slice())?;
    let mut labels = config?.labels.iter();
    let (_, metadata) = labels.find(|(name, _)| name == buildpacks::METADATA)?;
    buildpacks::process(metadata, process_type)
}

fn of_program<'a>(program: &command::Program<'a>, source: Source) -> Sign<'a> {
    let command::Program { word, runtime, framework, grade, .. } = *program;
    Sign { source, seen: word, meaning: opinion::runs(runtime), runtime, framework, grade }
}

fn in_catalogue<'a>(image: &ImageReference<'a>, entry: &catalogue::Entry) -> Opinion<'a> {
    let (source, seen) = (Source::Catalogue, image.repository());
    let catalogue::Entry { runtime, framework, kind, .. } = *entry;
    let meaning = if kind == Kind::Base { opinion::base(runtime) } else { opinion::known(runtime) };
    match runtime {
        Runtime::Unknown => Opinion::Not(Reason { source, seen, meaning, speaks: Speaks::For }),
        _ => Opinion::One(Sign { source, seen, meaning, runtime, framework, grade: 90 }),
    }
}

/// Whether the program is called as Quarkus calls native images.
fn is_native_runner(word: &str) -> bool {
    let name = base_name(word);
    name == "application" || name.ends_with("-runner")
}

/// Whether a program that could not be read is made for the image: a script, or what starts the programs in it.
fn is_script(word: &str) -> bool {
    let name = base_name(word);
    name.ends_with(".sh")
        || name.contains("entrypoint")
        || matches!(name, "run" | "start" | "launcher")
        || word.starts_with("/cnb/")
        || rules::native::native(name) == Some(Native::Launcher)
}
