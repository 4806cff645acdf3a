//! The verdict on a container.

use alloc::vec::Vec;
use core::fmt;

use crate::{Framework, Language, Runtime, Strategy};

/// How sure a verdict is, from 0 to 1 in hundredths.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Confidence(u8);

impl Confidence {
    /// 1.0: somebody who knows has said so.
    pub const HINT: Self = Self(100);
    /// 0.9: solid evidence.
    pub const SOLID: Self = Self(90);
    /// 0.3: nothing that speaks for a language.
    pub const NOTHING: Self = Self(30);

    /// So many hundredths; more than 100 are 100.
    #[must_use]
    pub const fn from_hundredths(hundredths: u8) -> Self {
        Self(if hundredths > 100 { 100 } else { hundredths })
    }

    /// In hundredths.
    #[must_use]
    pub const fn hundredths(self) -> u8 {
        self.0
    }

    /// As a number from 0.0 to 1.0.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl fmt::Debug for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_f64(), f)
    }
}

/// Where a piece of evidence was found.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Source {
    /// A hint of the user.
    Hint,
    /// An earlier container of the same image.
    Observation,
    /// The running process.
    Process,
    /// The command that the container runs.
    Command,
    /// The image's configuration.
    ImageConfig,
    /// The catalogue of well-known images.
    Catalogue,
    /// The words of the image reference.
    Image,
    /// Environment variables.
    Environment,
    /// Labels.
    Label,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hint => "hint",
            Self::Observation => "observation",
            Self::Process => "process",
            Self::Command => "command",
            Self::ImageConfig => "image config",
            Self::Catalogue => "catalogue",
            Self::Image => "image",
            Self::Environment => "environment",
            Self::Label => "label",
        })
    }
}

/// On which side of the verdict a reason stands.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Speaks {
    /// For the verdict.
    For,
    /// Against it.
    Against,
    /// For neither: said so that nobody wonders.
    Neither,
}

/// One thing that was seen, and what follows from it.
///
/// As text: `image: "node" is a word for Node.js`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Reason<'a> {
    /// Where it was seen.
    pub source: Source,
    /// What was seen, as it stands there; may be empty.
    pub seen: &'a str,
    /// What follows.
    pub meaning: &'static str,
    /// On which side it stands.
    pub speaks: Speaks,
}

impl<'a> Reason<'a> {
    /// A reason.
    ///
    /// ```
    /// use obtrace_detect::{Reason, Source, Speaks};
    ///
    /// let reason = Reason::new(Source::Image, "node", "is a word for Node.js", Speaks::Against);
    /// assert_eq!(reason.to_string(), r#"image: against: "node" is a word for Node.js"#);
    /// ```
    #[must_use]
    pub const fn new(source: Source, seen: &'a str, meaning: &'static str, speaks: Speaks) -> Self {
        Self { source, seen, meaning, speaks }
    }
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.source)?;
        if self.speaks == Speaks::Against {
            f.write_str("against: ")?;
        }
        if !self.seen.is_empty() {
            write!(f, "{:?} ", self.seen)?;
        }
        f.write_str(self.meaning)
    }
}

/// What a container runs, and why that is believed.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Detection<'a> {
    /// The language.
    pub language: Language,
    /// What executes it.
    pub runtime: Runtime,
    /// The framework, if one could be told.
    pub framework: Option<Framework>,
    /// The strategy that can work for the runtime.
    pub strategy: Strategy,
    /// How sure the language is.
    pub confidence: Confidence,
    /// What was seen, and what spoke against it; never empty.
    pub evidence: Vec<Reason<'a>>,
    /// Whether this is known to be a program that must be left alone, whatever a Pod's hint says: a proxy, a sidecar of
    /// a service mesh, Kubernetes' own machinery.
    pub infrastructure: bool,
}

impl<'a> Detection<'a> {
    /// A verdict, with the strategy that can work for the runtime; for callers that know without having detected, and
    /// for tests.
    ///
    /// ```
    /// use obtrace_detect::{Confidence, Detection, Framework, Language, Runtime, Strategy};
    ///
    /// let detection = Detection::new(Runtime::CRuby, Confidence::HINT, Vec::new()).with_framework(Framework::Rails);
    /// assert_eq!((detection.language, detection.strategy), (Language::Ruby, Strategy::Sdk));
    /// ```
    #[must_use]
    pub fn new(runtime: Runtime, confidence: Confidence, evidence: Vec<Reason<'a>>) -> Self {
        let (language, strategy) = (runtime.language(), runtime.strategy());
        Self { language, runtime, framework: None, strategy, confidence, evidence, infrastructure: false }
    }

    /// With a framework.
    #[must_use]
    pub fn with_framework(self, framework: Framework) -> Self {
        Self { framework: Some(framework), ..self }
    }

    /// With another strategy than the runtime's.
    #[must_use]
    pub fn with_strategy(self, strategy: Strategy) -> Self {
        Self { strategy, ..self }
    }

    /// Marks, or does not mark, a program that must be left alone.
    #[must_use]
    pub fn with_infrastructure(self, infrastructure: bool) -> Self {
        Self { infrastructure, ..self }
    }
}
