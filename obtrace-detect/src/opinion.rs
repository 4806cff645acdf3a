//! What one source of evidence makes of a container.

use alloc::vec::Vec;

use crate::{Framework, Language, Reason, Runtime, Source, Speaks};

/// Reasons of one verdict; more than this nobody reads.
const MAX_REASONS: usize = 24;

/// A thing that was seen and what it speaks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sign<'a> {
    pub(crate) source: Source,
    pub(crate) seen: &'a str,
    pub(crate) meaning: &'static str,
    pub(crate) runtime: Runtime,
    pub(crate) framework: Option<Framework>,
    /// How sure it is, in hundredths.
    pub(crate) grade: u8,
}

impl<'a> Sign<'a> {
    pub(crate) fn reason(&self, speaks: Speaks) -> Reason<'a> {
        Reason { source: self.source, seen: self.seen, meaning: self.meaning, speaks }
    }
}

/// What a source says, all things in it considered.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Opinion<'a> {
    /// Nothing.
    #[default]
    Silent,
    /// One runtime.
    One(Sign<'a>),
    /// Two runtimes, so none.
    Two(Sign<'a>, Sign<'a>),
    /// That it is none of ours.
    Not(Reason<'a>),
}

impl<'a> Opinion<'a> {
    /// Joins two signs of the same source and weight.
    pub(crate) fn and(self, sign: Sign<'a>) -> Self {
        match self {
            Self::Silent => Self::One(sign),
            Self::One(first) => match first.runtime.with(sign.runtime) {
                Some(runtime) => {
                    let better = if runtime == first.runtime { first } else { sign };
                    let framework = framework(first.framework, sign.framework);
                    Self::One(Sign { runtime, framework, grade: first.grade.max(sign.grade), ..better })
                }
                None => Self::Two(first, sign),
            },
            decided => decided,
        }
    }

    /// Joins two signs of the same source, of which the surer counts; two that are as sure and differ are two.
    pub(crate) fn or_surer(self, sign: Sign<'a>) -> Self {
        match self {
            Self::One(first) if first.runtime.with(sign.runtime).is_none() && first.grade != sign.grade => {
                Self::One(if first.grade > sign.grade { first } else { sign })
            }
            Self::Two(first, _) if sign.grade > first.grade => Self::One(sign),
            Self::Two(..) => self,
            _ => self.and(sign),
        }
    }
}

/// The framework of two that says more.
pub(crate) fn framework(first: Option<Framework>, second: Option<Framework>) -> Option<Framework> {
    match (first, second) {
        (Some(server), Some(second)) if server.is_server() && server.language() == second.language() => Some(second),
        (Some(first), _) => Some(first),
        (None, second) => second,
    }
}

/// Collects reasons, up to a bound, each once.
#[derive(Debug)]
pub(crate) struct Reasons<'a>(Vec<Reason<'a>>);

impl<'a> Reasons<'a> {
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(8))
    }

    pub(crate) fn push(&mut self, reason: Reason<'a>) {
        if self.0.len() < MAX_REASONS && !self.0.contains(&reason) {
            self.0.push(reason);
        }
    }

    pub(crate) fn say(&mut self, source: Source, seen: &'a str, meaning: &'static str, speaks: Speaks) {
        self.push(Reason { source, seen, meaning, speaks });
    }

    /// Says what an opinion says, for or against a verdict.
    pub(crate) fn opinion(&mut self, opinion: &Opinion<'a>, verdict: Language) {
        let side = |runtime: Runtime| if runtime.language() == verdict { Speaks::For } else { Speaks::Against };
        match opinion {
            Opinion::Silent => {}
            Opinion::One(sign) => self.push(sign.reason(side(sign.runtime))),
            Opinion::Two(first, second) => {
                self.push(first.reason(side(first.runtime)));
                self.push(second.reason(side(second.runtime)));
            }
            Opinion::Not(reason) => {
                let speaks = if verdict == Language::Unknown { Speaks::For } else { Speaks::Against };
                self.push(Reason { speaks, ..*reason });
            }
        }
    }

    pub(crate) fn into_vec(mut self) -> Vec<Reason<'a>> {
        if self.0.is_empty() {
            self.say(Source::Image, "", "nothing speaks for a language", Speaks::Neither);
        }
        self.0
    }
}

/// Makes a function from a runtime to a sentence about it.
macro_rules! sentences {
    ($(#[$meta:meta] $name:ident: $before:literal $after:literal;)*) => {
        $(
            #[$meta]
            pub(crate) const fn $name(runtime: Runtime) -> &'static str {
                match runtime {
                    Runtime::Node => concat!($before, "Node.js", $after),
                    Runtime::Bun => concat!($before, "Bun", $after),
                    Runtime::Deno => concat!($before, "Deno", $after),
                    Runtime::CPython => concat!($before, "Python", $after),
                    Runtime::PyPy => concat!($before, "PyPy", $after),
                    Runtime::Jvm => concat!($before, "Java", $after),
                    Runtime::GraalVmNative => concat!($before, "GraalVM's native images", $after),
                    Runtime::CoreClr => concat!($before, ".NET", $after),
                    Runtime::NativeAot => concat!($before, ".NET compiled ahead of time", $after),
                    Runtime::Mono => concat!($before, "Mono", $after),
                    Runtime::Php => concat!($before, "PHP", $after),
                    Runtime::Hhvm => concat!($before, "HHVM", $after),
                    Runtime::CRuby => concat!($before, "Ruby", $after),
                    Runtime::JRuby => concat!($before, "JRuby", $after),
                    Runtime::TruffleRuby => concat!($before, "TruffleRuby", $after),
                    Runtime::Go => concat!($before, "Go", $after),
                    Runtime::Rust => concat!($before, "Rust", $after),
                    Runtime::Unknown => concat!($before, "no language of ours", $after),
                }
            }
        )*
    };
}

sentences! {
    /// Of a program in a command line.
    runs: "is a program of " "";
    /// Of a word in a name.
    word: "is a word for " "";
    /// Of a word that has other meanings as well.
    vague: "is a word for " ", with what stands beside it";
    /// Of an image in the catalogue.
    known: "is known to be a program of " "";
    /// Of a base image in the catalogue.
    base: "is known to be an image for programs of " "";
    /// Of a variable.
    variable: "is a variable of " "";
    /// Of a label.
    label: "is a label of " "";
    /// Of what an agent has seen.
    observed: "an earlier container of the image ran " "";
}
