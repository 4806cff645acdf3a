//! Which configuration a Pod was instrumented by.

use std::{collections::BTreeMap, fmt, num::NonZeroU64, str::FromStr};

use crate::{
    plan::{Ebpf, Outcome, Plan},
    settings::{Placement, Resources, Settings, StrategyChoice},
};

/// Which configuration a Pod was instrumented by, as two short digests: the value of the annotation
/// [`CONFIGURATION`](crate::marks::CONFIGURATION).
///
/// One is of the words of the resource, the other of what they make of the Pod. A Pod's configuration is
/// [outdated](Self::is_outdated) where both are others: an edit that changes nothing for this Pod has not changed the second, and another
/// version of this program, which may detect more or bring another image, has not changed the first. What the namespace or the cluster
/// say (Pod Security, quotas, the version) is no part of the first either.
///
/// The digests are FNV-1a of 64 bits, folded to 32 ([RFC 9923]): they tell a change and withstand nobody, are the same on every
/// platform and for ever, and cost an admission a fraction of a microsecond. What is as by default is left out, so that a version that knows
/// one setting more digests the others as before.
///
/// ```
/// use obtrace_patch::{Configuration, Pod, Settings, plan};
///
/// let pod = Pod::parse(br#"{"spec": {"containers": [{"name": "web", "image": "python:3.12"}]}}"#)?;
/// let mut settings = Settings::new("https://ingest.example.com");
/// let before: Configuration = plan(&pod, &settings).configuration().expect("an instrumented Pod");
/// assert_eq!(before.to_string().parse(), Ok(before));
/// // Of use for other containers only.
/// settings.excluded_containers.push("proxy".to_owned());
/// assert!(!before.is_outdated(plan(&pod, &settings).configuration().unwrap()));
/// settings.sample_ratio = 0.5;
/// assert!(before.is_outdated(plan(&pod, &settings).configuration().unwrap()));
/// # Ok::<(), obtrace_patch::ParseError>(())
/// ```
///
/// [RFC 9923]: https://www.rfc-editor.org/rfc/rfc9923
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Configuration(NonZeroU64);

impl Configuration {
    /// That of a Pod that is instrumented by a plan; nothing else of the plan is asked for.
    pub(crate) fn of(plan: &Plan<'_>) -> Self {
        let settings = plan.settings;
        let mut common = Digest::new();
        common.text(Field::IngestUrl, &settings.ingest_url);
        if let Some(key) = &settings.api_key {
            common.text(Field::ApiKey, &key.name);
            common.text(Field::ApiKey, &key.key);
        }
        if settings.sample_ratio < 1.0 {
            common.bytes(Field::SampleRatio, &settings.sample_ratio.to_bits().to_le_bytes());
        }
        let mut words = common.clone();
        said(settings, &mut words);
        let is_hooked = plan.containers.iter().any(|container| container.outcome.is_hooked());
        // Nothing of all that gets into a Pod that is only marked for the agent of its node.
        let carries = is_hooked || matches!(plan.ebpf, Ebpf::Sidecar { .. });
        let mut effect = if carries { common } else { Digest::new() };
        done(plan, is_hooked, carries, &mut effect);
        Self::new(words.fold(), effect.fold())
    }

    fn new(words: u32, effect: u32) -> Self {
        let both = u64::from(words) << 32 | u64::from(effect);
        Self(NonZeroU64::new(both).unwrap_or(NonZeroU64::MIN))
    }

    /// The digests of the resource's words, and of what they make of the Pod.
    fn halves(self) -> (u32, u32) {
        let both = self.0.get();
        ((both >> 32) as u32, (both & u64::from(u32::MAX)) as u32)
    }

    /// Whether a Pod of this configuration would get something else by `now`, because the resource says something else.
    #[must_use]
    pub fn is_outdated(self, now: Self) -> bool {
        let ((words, effect), (words_now, effect_now)) = (self.halves(), now.halves());
        words != words_now && effect != effect_now
    }

    /// As it is written, without an allocation.
    pub(crate) fn text(self) -> Text {
        let mut text = *b"v1-00000000-00000000";
        let (words, effect) = self.halves();
        for (at, half) in [(3, words), (12, effect)] {
            for (digit, place) in text.iter_mut().skip(at).take(8).enumerate() {
                let nibble = half >> (28 - 4 * digit) & 0xF;
                *place = char::from_digit(nibble, 16).map_or(b'0', |digit| digit as u8);
            }
        }
        Text(text)
    }
}

impl fmt::Display for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text().as_str())
    }
}

/// A text that is no configuration, or one of another version.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UnknownConfiguration;

impl fmt::Display for UnknownConfiguration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected v1- and twice eight hexadecimal digits")
    }
}

impl std::error::Error for UnknownConfiguration {}

impl FromStr for Configuration {
    type Err = UnknownConfiguration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (words, effect) =
            text.strip_prefix("v1-").and_then(|rest| rest.split_once('-')).ok_or(UnknownConfiguration)?;
        let half = |text: &str| {
            let is_hexadecimal = text.len() == 8 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
            let digits = Some(text).filter(|_| is_hexadecimal).ok_or(UnknownConfiguration)?;
            u32::from_str_radix(digits, 16).map_err(|_| UnknownConfiguration)
        };
        Ok(Self::new(half(words)?, half(effect)?))
    }
}

/// A configuration as it is written.
pub(crate) struct Text([u8; 20]);

impl Text {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

/// What the resource says beside where telemetry goes and how much of it.
fn said(settings: &Settings, digest: &mut Digest) {
    if settings.strategy != StrategyChoice::Auto {
        digest.text(Field::Strategy, name_of_strategy(settings.strategy));
    }
    if settings.placement != Placement::Auto {
        digest.text(Field::Placement, name_of_placement(settings.placement));
    }
    digest.texts(Field::Language, settings.language.map(|language| language.as_str()));
    digest.texts(Field::Framework, settings.framework.map(|framework| framework.as_str()));
    digest.texts(Field::Container, settings.containers.iter().map(String::as_str));
    digest.texts(Field::ExcludedContainer, settings.excluded_containers.iter().map(String::as_str));
    digest.texts(Field::Environment, settings.environment.as_deref());
    digest.image(Field::AgentImage, &settings.agent_image, settings.agent_image_named);
    digest.image(Field::EbpfImage, &settings.ebpf_image, settings.ebpf_image_named);
    digest.resources(Field::InitResources, settings.init_resources.as_ref());
    digest.resources(Field::SidecarResources, settings.sidecar_resources.as_ref());
    if settings.coexist {
        digest.text(Field::Coexist, "true");
    }
    digest.pairs(Field::ImageEnv, &settings.image_env);
}

/// What is done to the Pod.
fn done(plan: &Plan<'_>, is_hooked: bool, carries: bool, digest: &mut Digest) {
    let settings = plan.settings;
    for container in plan.containers.iter().filter(|container| container.outcome.is_instrumented()) {
        digest.text(Field::Container, container.name);
        digest.text(Field::Language, container.detection.language.as_str());
        digest.text(Field::Strategy, name_of_outcome(&container.outcome));
    }
    digest.texts(Field::Framework, plan.framework().map(|framework| framework.as_str()));
    if carries {
        digest.text(Field::Environment, &plan.environment);
    }
    if is_hooked {
        digest.image(Field::AgentImage, &settings.agent_image, settings.agent_image_named);
        digest.resources(Field::InitResources, settings.init_resources(plan.pod));
        digest.pairs(Field::ImageEnv, &settings.image_env);
    }
    match plan.ebpf {
        Ebpf::Sidecar { native } => {
            digest.text(Field::Placement, if native { "native" } else { "sidecar" });
            digest.image(Field::EbpfImage, &settings.ebpf_image, settings.ebpf_image_named);
            digest.resources(Field::SidecarResources, settings.sidecar_resources.as_ref());
        }
        Ebpf::Node { .. } => digest.text(Field::Placement, "node"),
        Ebpf::Unused | Ebpf::Refused { .. } => {}
    }
}

fn name_of_strategy(strategy: StrategyChoice) -> &'static str {
    match strategy {
        StrategyChoice::Auto => "auto",
        StrategyChoice::Sdk => "sdk",
        StrategyChoice::Ebpf => "ebpf",
        StrategyChoice::Hybrid => "hybrid",
    }
}

fn name_of_placement(placement: Placement) -> &'static str {
    match placement {
        Placement::Auto => "auto",
        Placement::Sidecar => "sidecar",
        Placement::Node => "node",
    }
}

fn name_of_outcome(outcome: &Outcome<'_>) -> &'static str {
    match outcome {
        Outcome::Sdk => "sdk",
        Outcome::Ebpf => "ebpf",
        Outcome::Hybrid => "hybrid",
        Outcome::Left(_) => "",
    }
}

/// What a part of a digest is. The numbers stay as they are for ever; another one begins where these end.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Field {
    IngestUrl = 1,
    ApiKey = 2,
    SampleRatio = 3,
    Strategy = 4,
    Placement = 5,
    Language = 6,
    Framework = 7,
    Container = 8,
    ExcludedContainer = 9,
    Environment = 10,
    AgentImage = 11,
    EbpfImage = 12,
    InitResources = 13,
    SidecarResources = 14,
    Coexist = 15,
    ImageEnv = 16,
}

/// FNV-1a of 64 bits over parts, each with its field before it and a byte behind it that no text has.
#[derive(Clone)]
struct Digest(u64);

impl Digest {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn bytes(&mut self, field: Field, bytes: &[u8]) {
        self.feed(&[field as u8]);
        self.feed(bytes);
        self.feed(&[0xff]);
    }

    fn text(&mut self, field: Field, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn texts<'t>(&mut self, field: Field, texts: impl IntoIterator<Item = &'t str>) {
        texts.into_iter().for_each(|text| self.text(field, text));
    }

    fn pairs(&mut self, field: Field, pairs: &BTreeMap<String, String>) {
        self.texts(field, pairs.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]));
    }

    /// An image that somebody has named. That of this version is another in the next, and nobody's word.
    fn image(&mut self, field: Field, image: &str, is_named: bool) {
        self.texts(field, is_named.then_some(image));
    }

    fn resources(&mut self, field: Field, resources: Option<&Resources>) {
        let Some(Resources { requests, limits }) = resources else { return };
        for (name, quantities) in [("requests", requests), ("limits", limits)] {
            self.text(field, name);
            self.pairs(field, quantities);
        }
    }

    /// 32 bits of it.
    fn fold(&self) -> u32 {
        (self.0 >> 32 ^ self.0 & u64::from(u32::MAX)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SecretKey, plan, pod::Pod};

    const PYTHON: &str = r#"{"spec": {"containers": [{"name": "web", "image": "python:3.12"}]}}"#;
    const GO: &str = r#"{"spec": {"containers": [{"name": "web", "image": "golang:1.26"}]}}"#;

    /// An edit, and what it is called.
    type Change = (&'static str, fn(&mut Settings));

    fn of(pod: &str, settings: &Settings) -> Configuration {
        plan(&Pod::parse(pod.as_bytes()).unwrap(), settings).configuration().unwrap()
    }

    fn settings() -> Settings {
        let mut settings = Settings::new("https://ingest.example.com");
        settings.api_key = Some(SecretKey::new("obtrace-api-key", "api-key"));
        settings
    }

    /// Whether a Pod is outdated after a change.
    fn outdates(pod: &str, change: impl Fn(&mut Settings)) -> bool {
        let mut after = settings();
        change(&mut after);
        of(pod, &settings()).is_outdated(of(pod, &after))
    }

    #[test]
    fn digests_are_those_of_every_other_process_and_version() {
        // Of another value each Pod of every cluster would be restarted after an upgrade.
        assert_eq!(of(PYTHON, &settings()).to_string(), "v1-6f94bc31-091971c4");
        assert_eq!(of(GO, &settings()).to_string(), "v1-6f94bc31-2d7d6e3c");
    }

    #[test]
    fn the_digest_is_fnv_1a() {
        for (text, hash) in
            [("", 0xcbf2_9ce4_8422_2325_u64), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            let mut digest = Digest::new();
            digest.feed(text.as_bytes());
            assert_eq!(digest.0, hash, "{text}");
        }
    }

    #[test]
    fn what_a_pod_gets_anew_outdates_it() {
        let changes: [Change; 12] = [
            ("ingest URL", |it| it.ingest_url = "https://other.example.com".to_owned()),
            ("key", |it| it.api_key = Some(SecretKey::new("other", "api-key"))),
            ("no key", |it| it.api_key = None),
            ("ratio", |it| it.sample_ratio = 0.1),
            ("environment", |it| it.environment = Some("stage".to_owned())),
            ("strategy", |it| it.strategy = StrategyChoice::Ebpf),
            ("framework", |it| it.framework = Some(obtrace_detect::Framework::Django)),
            ("language", |it| it.language = Some(obtrace_detect::Language::Ruby)),
            ("image", |it| {
                (it.agent_image, it.agent_image_named) =
                    ("mirror.example.com/obtrace-zero-agent:0.1.0".to_owned(), true);
            }),
            ("resources", |it| it.init_resources = Some(Resources::new().with_limit("memory", "1Gi"))),
            ("other resources", |it| it.init_resources = Some(Resources::new().with_request("memory", "1Gi"))),
            ("variable", |it| drop(it.image_env.insert("PYTHONPATH".to_owned(), "/app".to_owned()))),
        ];
        for (what, change) in changes {
            assert!(outdates(PYTHON, change), "{what}");
        }
        assert!(outdates(GO, |it| it.sidecar_resources = Some(Resources::sidecar())));
        assert!(outdates(GO, |it| it.placement = Placement::Node));
    }

    #[test]
    fn what_changes_nothing_for_a_pod_does_not() {
        let changes: [Change; 10] = [
            ("nothing", |_| {}),
            ("strategy that it has anyway", |it| it.strategy = StrategyChoice::Sdk),
            ("another container", |it| it.excluded_containers.push("proxy".to_owned())),
            ("its container by name", |it| it.containers.push("web".to_owned())),
            ("language that it has anyway", |it| it.language = Some(obtrace_detect::Language::Python)),
            ("sidecar", |it| it.sidecar_resources = Some(Resources::sidecar())),
            ("image of the sidecar", |it| (it.ebpf_image, it.ebpf_image_named) = ("other".to_owned(), true)),
            ("beside other agents", |it| it.coexist = true),
            ("quota", |it| it.bounded = true),
            ("images known", |it| it.namespace = Some("shop".to_owned())),
        ];
        for (what, change) in changes {
            assert!(!outdates(PYTHON, change), "{what}");
        }
        // The Pod is only marked: where telemetry goes the agent of the node knows.
        let node = |settings: &mut Settings| settings.placement = Placement::Node;
        let (mut before, mut after) = (settings(), settings());
        [&mut before, &mut after].into_iter().for_each(node);
        after.ingest_url = "https://other.example.com".to_owned();
        assert!(!of(GO, &before).is_outdated(of(GO, &after)));
    }

    #[test]
    fn what_another_version_makes_of_the_same_words_does_not() {
        let now = of(PYTHON, &settings());
        let (words, effect) = now.halves();
        assert!(!Configuration::new(words, effect ^ 1).is_outdated(now));
        assert!(Configuration::new(words ^ 1, effect ^ 1).is_outdated(now));
    }

    #[test]
    fn only_what_is_written_is_read() {
        for text in [
            "",
            "v1",
            "v1-",
            "v1-1-2",
            "v2-00000001-00000002",
            "v1-0000000g-00000002",
            "v1-+0000001-00000002",
            "v1-00000001-000000002",
        ] {
            assert_eq!(text.parse::<Configuration>(), Err(UnknownConfiguration), "{text}");
        }
        for halves in [(0, 1), (u32::MAX, u32::MAX), (0x0123_4567, 0x89ab_cdef)] {
            let configuration = Configuration::new(halves.0, halves.1);
            assert_eq!(configuration.to_string().parse(), Ok(configuration));
            assert_eq!(configuration.halves(), halves);
        }
        assert_eq!(Configuration::new(0x0123_4567, 0x89ab_cdef).to_string(), "v1-01234567-89abcdef");
    }
}
