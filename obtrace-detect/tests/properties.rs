//! What holds for any evidence at all.

use std::borrow::Cow;

use obtrace_detect::{
    Confidence, Detector, EnvVar, Evidence, ImageConfig, ImageReference, Language, Runtime, Speaks,
    Strategy as Instrumentation,
};
use proptest::{collection::vec, prelude::*};

/// Words that mean something, so that what is drawn gets past the first look.
const WORDS: &[&str] = &[
    "sh",
    "-c",
    "-lc",
    "bash",
    "env",
    "A=b",
    "tini",
    "--",
    "exec",
    "node",
    "server.js",
    "python3.12",
    "-m",
    "flask",
    "java",
    "-jar",
    "app.jar",
    "bundle",
    "puma",
    "rails",
    "npx",
    "poetry",
    "run",
    "nginx",
    "sleep",
    "infinity",
    "&&",
    "||",
    ";",
    "|",
    "&",
    "(",
    ")",
    "{",
    "}",
    "if",
    "then",
    "fi",
    "while",
    "do",
    "done",
    "'",
    "\"",
    "`",
    "$(",
    "${",
    "\\",
    "<<EOF",
    ">",
    "$@",
    "/docker-entrypoint.sh",
    "timeout",
    "5",
    "su",
    "postgres",
    "\n",
    "#",
    "/cnb/process/web",
    "\u{e4}",
    "-",
    "--x=y",
];
const IMAGES: &[&str] = &[
    "node",
    "library",
    "php",
    "-",
    "/",
    ":",
    "@",
    ".",
    "_",
    "registry.example:5000",
    "python3",
    "exporter",
    "native",
    "java",
    "jre17",
    "sha256:ab",
    "aot",
    "dotnet",
    "express",
    "js",
    "app",
    "20",
    "\u{20ac}",
    "calico",
    "docker.io",
];
const VARIABLES: &[&str] = &[
    "NODE_ENV",
    "JAVA_OPTS",
    "RAILS_ENV",
    "PYTHONPATH",
    "OBTRACE_LANGUAGE",
    "GOMEMLIMIT",
    "PATH",
    "",
    "ASPNETCORE_URLS",
];

fn words() -> impl Strategy<Value = Vec<Cow<'static, str>>> {
    let word = prop_oneof![
        4 => prop::sample::select(WORDS).prop_map(Cow::Borrowed),
        2 => vec(prop::sample::select(WORDS), 0..12).prop_map(|words| Cow::Owned(words.join(" "))),
        1 => any::<String>().prop_map(Cow::Owned),
    ];
    vec(word, 0..8)
}

fn image() -> impl Strategy<Value = String> {
    prop_oneof![3 => vec(prop::sample::select(IMAGES), 0..10).prop_map(|parts| parts.concat()), 1 => any::<String>()]
}

fn env() -> impl Strategy<Value = Vec<EnvVar<'static>>> {
    let name = prop_oneof![3 => prop::sample::select(VARIABLES).prop_map(String::from), 1 => any::<String>()];
    let value = prop_oneof![Just("ruby".to_owned()), Just("-Dspring.x=y".to_owned()), any::<String>()];
    vec((name, value).prop_map(|(name, value)| EnvVar::new(name, value)), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_verdict_is_always_whole(
        (image, command, args) in (image(), words(), words()),
        (env, entrypoint, cmd, metadata) in (env(), words(), words(), any::<String>()),
        catalogue in any::<bool>(),
    ) {
        let labels = vec![("io.buildpacks.build.metadata".into(), metadata.into())];
        let config = ImageConfig::new().with_entrypoint(entrypoint).with_cmd(cmd).with_env(env.clone()).with_labels(labels);
        let evidence = Evidence::new().with_image(&image).with_command(&command).with_args(&args).with_env(&env);
        for evidence in [evidence, evidence.with_image_config(&config)] {
            let detection = Detector::new().with_catalogue(catalogue).detect(&evidence);
            prop_assert_eq!(detection.language, detection.runtime.language());
            prop_assert_eq!(detection.strategy, detection.runtime.strategy());
            prop_assert!(detection.framework.is_none_or(|framework| framework.language() == detection.language));
            prop_assert!(!detection.evidence.is_empty() && detection.evidence.len() <= 24);
            prop_assert!(detection.confidence <= Confidence::HINT && detection.confidence >= Confidence::NOTHING);
            if detection.language.has_sdk() {
                prop_assert!(detection.evidence.iter().any(|reason| reason.speaks == Speaks::For), "{:?}", detection);
                prop_assert!(detection.confidence > Confidence::NOTHING);
            }
            if detection.runtime == Runtime::Unknown {
                prop_assert_eq!(detection.strategy, Instrumentation::Ebpf);
            }
        }
    }

    #[test]
    fn a_hint_always_wins((image, command, env) in (image(), words(), env()), index in 0..9_usize) {
        let language = Language::ALL[index];
        let env: Vec<_> = env.into_iter().filter(|var| var.name != "OBTRACE_LANGUAGE").collect();
        let evidence = Evidence::new().with_image(&image).with_command(&command).with_env(&env).with_hint(language.as_str());
        let detection = Detector::new().detect(&evidence);
        prop_assert_eq!((detection.language, detection.confidence), (language, Confidence::HINT));
    }

    #[test]
    fn a_reference_is_taken_apart_into_what_it_holds(reference in image()) {
        if let Some(image) = ImageReference::parse(&reference) {
            prop_assert!(!image.name().is_empty() && image.repository().ends_with(image.name()));
            prop_assert!(!image.name().contains(['/', ':', '@']));
            for part in [Some(image.repository()), image.tag(), image.digest()].into_iter().flatten() {
                prop_assert!(reference.contains(part));
            }
        }
    }

    #[cfg(feature = "oci")]
    #[test]
    fn no_configuration_is_too_broken(bytes in vec(any::<u8>(), 0..200), words in words(), text in any::<String>()) {
        let _ = ImageConfig::parse(&bytes);
        let blob = serde_json::json!({ "config": { "Entrypoint": words, "Env": [text], "Labels": { "a": text } } });
        let config = ImageConfig::parse(blob.to_string().as_bytes()).unwrap();
        prop_assert_eq!(&config.entrypoint, &words);
        prop_assert_eq!(config.env[0].value.is_some(), true);
    }

    #[test]
    fn a_registry_says_nothing(image in "[a-z]{1,12}(/[a-z]([a-z-]{0,10}[a-z])?){0,2}", command in words()) {
        let detect = |image: &str| {
            let detection = Detector::new().detect(&Evidence::new().with_image(image).with_command(&command));
            (detection.runtime, detection.framework)
        };
        let there = format!("node01-python.example:5000/{image}");
        let elsewhere = format!("registry.example/{image}");
        prop_assert_eq!(detect(&there), detect(&elsewhere));
    }
}
