//! Cases with what really runs in them, and the score of a detector on them. The tests use this file as well.

use std::{borrow::Cow, collections::BTreeMap, fs, io, path::Path};

use obtrace_detect::{Detection, Detector, EnvVar, Evidence, ImageConfig, Language, Process};
use serde::Deserialize;

type Text = Cow<'static, str>;

/// A container and what runs in it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) id: String,
    image: Option<String>,
    #[serde(default)]
    command: Vec<Text>,
    #[serde(default)]
    args: Vec<Text>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
    image_config: Option<Config>,
    proc: Option<Proc>,
    truth: Truth,
    accept: Vec<String>,
    never: Vec<String>,
    pub(crate) why: String,
    #[serde(rename = "source")]
    _source: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields, default)]
struct Config {
    entrypoint: Option<Vec<Text>>,
    cmd: Option<Vec<Text>>,
    env: Option<Vec<String>>,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Proc {
    cmdline: Vec<Text>,
    exe: Option<Text>,
    comm: Option<Text>,
    maps: Vec<Text>,
    env: BTreeMap<String, String>,
    symbols: Vec<Text>,
    elf_sections: Vec<Text>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Truth {
    language: String,
    runtime: Option<String>,
    framework: Option<String>,
    strategy: Option<String>,
}

/// How a verdict stands to the truth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// Language, and whatever else the truth names.
    Exact,
    /// The language is right, the runtime, the framework or the strategy is not.
    Language,
    /// An answer that harms nobody and could not be better, by the evidence.
    Acceptable,
    /// An answer that could be better.
    Missed,
    /// A hook where it does not belong.
    Harmful,
}

/// What a set of cases came to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Score {
    pub(crate) cases: usize,
    pub(crate) exact: usize,
    pub(crate) acceptable: usize,
    pub(crate) harmful: usize,
    pub(crate) sdk: usize,
    pub(crate) sdk_found: usize,
}

impl Score {
    pub(crate) fn count(&mut self, case: &Case, outcome: Outcome) {
        self.cases += 1;
        self.exact += usize::from(outcome == Outcome::Exact);
        self.acceptable += usize::from(!matches!(outcome, Outcome::Missed | Outcome::Harmful));
        self.harmful += usize::from(outcome == Outcome::Harmful);
        let sdk = case.truth.language.parse().is_ok_and(Language::has_sdk);
        self.sdk += usize::from(sdk);
        self.sdk_found += usize::from(sdk && matches!(outcome, Outcome::Exact | Outcome::Language));
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.cases += other.cases;
        self.exact += other.exact;
        self.acceptable += other.acceptable;
        self.harmful += other.harmful;
        self.sdk += other.sdk;
        self.sdk_found += other.sdk_found;
    }

    /// Whether a detector that knows the catalogue is good enough.
    pub(crate) fn reaches_goals(&self) -> bool {
        self.harmful == 0 && self.acceptable * 100 >= self.cases * 98 && self.sdk_found * 100 >= self.sdk * 90
    }
}

impl Case {
    /// Judges a detector by this case; gives the outcome and the verdict as text, with its reasons.
    pub(crate) fn judge(&self, detector: &Detector) -> (Outcome, String) {
        self.with_evidence(|evidence| {
            let detection = detector.detect(evidence);
            (self.outcome(&detection), shown(&detection))
        })
    }

    /// Makes the evidence, which borrows.
    pub(crate) fn with_evidence<T>(&self, use_it: impl FnOnce(&Evidence<'_>) -> T) -> T {
        let pairs = |map: &'_ BTreeMap<String, String>| -> Vec<EnvVar<'static>> {
            map.iter().map(|(name, value)| EnvVar::new(name.clone(), value.clone())).collect()
        };
        let env = pairs(&self.env);
        let labels: Vec<_> =
            self.labels.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into())).collect();
        let config = self.image_config.as_ref().map(Config::image_config);
        let process = self.proc.as_ref().map(|proc| {
            let mut process = Process::new()
                .with_cmdline(proc.cmdline.clone())
                .with_maps(proc.maps.clone())
                .with_env(proc.env.iter().map(|(name, value)| (name.clone(), value.clone())))
                .with_symbols(proc.symbols.clone())
                .with_elf_sections(proc.elf_sections.clone());
            process.exe.clone_from(&proc.exe);
            process.comm.clone_from(&proc.comm);
            process
        });
        let mut evidence =
            Evidence::new().with_command(&self.command).with_args(&self.args).with_env(&env).with_labels(&labels);
        evidence.image = self.image.as_deref();
        evidence.image_config = config.as_ref();
        evidence.process = process.as_ref();
        use_it(&evidence)
    }

    fn outcome(&self, detection: &Detection<'_>) -> Outcome {
        let (language, truth) = (detection.language.as_str(), &self.truth);
        let accepted = self.accept.iter().any(|accepted| accepted == language);
        let forbidden = self.never.iter().any(|never| never == language);
        let differs =
            |expected: &Option<String>, seen: &str| expected.as_ref().is_some_and(|expected| expected != seen);
        if language == truth.language {
            let framework = detection.framework.map_or("", |framework| framework.as_str());
            let wrong = differs(&truth.runtime, detection.runtime.as_str())
                || differs(&truth.framework, framework)
                || differs(&truth.strategy, detection.strategy.as_str());
            return if wrong { Outcome::Language } else { Outcome::Exact };
        }
        if forbidden || (detection.language.has_sdk() && !accepted) {
            return Outcome::Harmful;
        }
        // Neither Go, Rust nor unknown is ever given a hook.
        let no_hook = truth.language.parse().is_ok_and(|truth: Language| !truth.has_sdk());
        if accepted || no_hook { Outcome::Acceptable } else { Outcome::Missed }
    }

    /// The truth as text.
    pub(crate) fn truth(&self) -> String {
        let Truth { language, runtime, framework, strategy } = &self.truth;
        let rest = [runtime, framework, strategy].map(|field| field.as_deref().unwrap_or("-"));
        format!("{language} {}", rest.join(" "))
    }
}

impl Config {
    fn image_config(&self) -> ImageConfig<'static> {
        let variable = |line: &String| {
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            EnvVar::new(name.to_owned(), value.to_owned())
        };
        let labels = self.labels.iter().flatten();
        ImageConfig::new()
            .with_entrypoint(self.entrypoint.clone().unwrap_or_default())
            .with_cmd(self.cmd.clone().unwrap_or_default())
            .with_env(self.env.iter().flatten().map(variable).collect())
            .with_labels(labels.map(|(name, value)| (name.clone().into(), value.clone().into())).collect())
    }
}

/// The verdict and its reasons, one line each.
fn shown(detection: &Detection<'_>) -> String {
    let Detection { language, runtime, strategy, confidence, .. } = detection;
    let framework = detection.framework.map_or("-", |framework| framework.as_str());
    let mut text = format!("{language} {runtime} {framework} {strategy} {confidence}");
    for reason in &detection.evidence {
        text += &format!("\n      {reason}");
    }
    text
}

/// The cases of the files `*.jsonl` in a folder, by the file's name.
pub(crate) fn read(folder: &Path) -> io::Result<BTreeMap<String, Vec<Case>>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            files.insert(name, read_file(&path)?);
        }
    }
    Ok(files)
}

/// The images of the catalogue, by what it says itself: with it each must come out so, without it they show what names are worth.
pub(crate) fn of_catalogue(path: &Path) -> io::Result<Vec<Case>> {
    let text = fs::read_to_string(path)?;
    let rows = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    rows.map(|row| {
        let columns: Vec<&str> = row.split('\t').collect();
        let [image, language, runtime, framework, _, _, _, what, source] = columns[..] else {
            return Err(io::Error::other(format!("{}: {row:?} has not nine columns", path.display())));
        };
        let named = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Ok(Case {
            id: image.to_owned(),
            image: Some(image.to_owned()),
            truth: Truth {
                language: language.to_owned(),
                runtime: named(runtime),
                framework: named(framework),
                strategy: None,
            },
            accept: Vec::from([language.to_owned()]),
            why: what.to_owned(),
            _source: source.to_owned(),
            ..Case::default()
        })
    })
    .collect()
}

fn read_file(path: &Path) -> io::Result<Vec<Case>> {
    let text = fs::read_to_string(path)?;
    let mut cases = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let case = serde_json::from_str(line);
        cases.push(case.map_err(|error| io::Error::other(format!("{}:{}: {error}", path.display(), index + 1)))?);
    }
    Ok(cases)
}
