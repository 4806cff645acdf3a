//! What a container runs, from what its Pod says.

use std::borrow::Cow;

use obtrace_detect::{EnvVar, Evidence, Language, detect};

use crate::harness::{Goals, Group, Run};

/// A container of a Pod, and what runs in it.
struct Case {
    name: &'static str,
    image: &'static str,
    command: &'static [&'static str],
    args: &'static [&'static str],
    language: Language,
}

const CASES: [Case; 6] = [
    Case { name: "a base image", image: "node:22-alpine", command: &[], args: &[], language: Language::NodeJs },
    Case {
        name: "a shell's command",
        image: "registry.example.com:5000/payments/checkout@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        command: &["/bin/sh", "-c"],
        args: &[
            "set -e; cd /app && python manage.py migrate --noinput && exec gunicorn shop.wsgi:application -b 0.0.0.0:8000",
        ],
        language: Language::Python,
    },
    Case {
        name: "wrappers",
        image: "acme/store:2.1",
        command: &["tini", "--", "bundle", "exec", "puma", "-C", "config/puma.rb"],
        args: &[],
        language: Language::Ruby,
    },
    Case {
        name: "a well-known image",
        image: "quay.io/prometheus/node-exporter:v1.8.2",
        command: &[],
        args: &["--path.rootfs=/host"],
        language: Language::Go,
    },
    Case {
        name: "a jar",
        image: "acme/inventory:17",
        command: &["java", "-XX:MaxRAMPercentage=75", "-Dspring.profiles.active=prod", "-jar", "/app/inventory.jar"],
        args: &[],
        language: Language::Java,
    },
    Case {
        name: "nothing to know",
        image: "acme/ledger:1",
        command: &["/app/server"],
        args: &["--port=8080"],
        language: Language::Unknown,
    },
];

pub(crate) fn run(run: Run, goals: &mut Goals) {
    let words = |words: &[&'static str]| words.iter().copied().map(Cow::Borrowed).collect::<Vec<_>>();
    let env: Vec<EnvVar<'_>> = (0..20).map(|i| EnvVar::new(format!("SETTING_{i}"), "value")).collect();
    let prepared: Vec<_> = CASES.iter().map(|case| (case, words(case.command), words(case.args))).collect();
    for (case, command, args) in &prepared {
        let mut evidence = Evidence::new();
        evidence.image = Some(case.image);
        (evidence.command, evidence.args, evidence.env) = (command, args, &env);
        assert_eq!(detect(&evidence).language, case.language, "{}", case.name);
        let title = format!("Detection: {}, 20 variables", case.name);
        let outcome =
            Group::new(title, "container", 1).add("obtrace-detect", case.image.len(), || detect(&evidence)).run(run);
        goals.time(format!("detection of {}: microseconds", case.name), outcome.nanos[0] / 1000.0, 5.0);
    }
}
