//! What the words of an image reference speak for.
//!
//! Whole tokens only, and never the registry's host: `bun` is in *ubuntu* and *bundle*, `rust` in *trust-manager*,
//! `node` in a registry `node01.example`. A name that says what the program does for another program (`node-exporter`,
//! `php-operator`) says nothing about what it is written in.

use crate::{
    ImageReference, Reason, Runtime, Source, Speaks,
    framework::lower,
    image::{tokens, word_and_version},
    opinion::{self, Opinion, Sign},
    rules,
};

/// Tokens of one component that are looked at.
const MAX_TOKENS: usize = 16;

/// A word of less than this grade decides nothing, but speaks against others.
pub(crate) const WEAK: u8 = 50;

/// Sorted. What stands beside one of these is what the program works on, not what it is.
#[rustfmt::skip]
const SERVES: &[&str] = &[
    "agent", "attacher", "autoinstrumentation", "autoscaler", "backup", "buildpack", "buildpacks", "cache", "chaos",
    "cleaner", "cni", "collector", "controller", "csi", "daemon", "dashboard", "detector", "devtools", "discovery",
    "dns", "docs", "driver", "executor", "exporter", "exporters", "forwarder", "healthcheck", "init", "initializer",
    "injector", "installer", "instrumentation", "labeler", "lib", "lint", "linter", "loadbalancer", "migrate",
    "migration", "migrations", "migrator", "mirror", "operator", "otel", "plugin", "probe", "profiler", "provisioner",
    "proxy", "pyspark", "reaper", "registrar", "registry", "reloader", "resizer", "scanner", "scraper", "shipper",
    "sidecar", "snapshotter", "spark", "static", "syncer", "tracer", "tunnel", "upgrade", "vpn", "webhook",
];

/// Sorted. A name that ends in one of these is that of the store or server beside the program.
#[rustfmt::skip]
const BESIDE: &[&str] = &[
    "cassandra", "database", "db", "elasticsearch", "haproxy", "httpd", "kafka", "mariadb", "memcached", "mongo",
    "mongodb", "mq", "mysql", "nginx", "postgres", "postgresql", "rabbitmq", "redis", "solr", "valkey", "varnish",
    "zookeeper",
];

/// Sorted. Beside one of these a word with other meanings means the language.
#[rustfmt::skip]
const TECHNICAL: &[&str] = &[
    "alpine", "api", "apis", "app", "application", "apps", "backend", "boot", "crud", "demo", "demos", "docker",
    "dummy", "example", "examples", "express", "frontend", "function", "graphql", "hello", "helloworld", "http",
    "httpserver", "javascript", "js", "lambda", "microservice", "mongodb", "quickstart", "rest", "restapi", "sample",
    "samples", "slim", "socket", "srv", "starter", "template", "test", "todo", "ts", "tutorial", "typescript", "web",
    "webapp", "webserver", "websocket", "world",
];

/// Sorted. Beside one of these, too, `node` means the language; `express-checkout` and `unicorn-shop` do not.
#[rustfmt::skip]
const BUSINESS: &[&str] = &[
    "account", "accounts", "admin", "auth", "authentication", "basic", "be", "bff", "billing", "blog", "booking",
    "bot", "cart", "catalog", "catalogue", "chat", "checkout", "cms", "consumer", "cron", "customer", "customers",
    "email", "fe", "front", "gateway", "greeter", "greeting", "inventory", "invoice", "job", "jobs", "login", "mail",
    "mailer", "notification", "notifications", "order", "orders", "payment", "payments", "portal", "producer",
    "product", "products", "profile", "scheduler", "search", "service", "services", "shipping", "shop", "simple",
    "site", "store", "svc", "ui", "user", "users", "website", "worker", "workers",
];

/// Sorted. In front of `node` these are what a machine of a cluster does: `worker-node`.
const ROLES: &[&str] = &["admin", "gateway", "scheduler", "search", "worker", "workers"];

/// What the last component of the path says.
pub(crate) fn of_name<'a>(image: &ImageReference<'a>) -> Opinion<'a> {
    let name = image.name();
    if let Some(word) = serving(name) {
        return not(word, "is what it does for other programs");
    }
    let (mut opinion, mut vague) = (Opinion::Silent, None);
    let mut end = 0;
    for (start, token) in positions(name).take(MAX_TOKENS) {
        if start < end {
            continue;
        }
        if let Some((pair, rule)) = pair(name, start, token) {
            end = start + pair.len();
            opinion = opinion.and(sign(pair, rule, opinion::word(rule.runtime), rule.grade));
            continue;
        }
        let Some((word, versioned, rule)) = ruled(token) else { continue };
        if rule.grade >= rules::PLAIN || rule.grade < WEAK {
            opinion = opinion.and(sign(token, rule, opinion::word(rule.runtime), rule.grade));
        } else if word == name || versioned && token == name {
            if alone(image, rule.runtime, versioned) {
                opinion = opinion.and(sign(token, rule, opinion::word(rule.runtime), rules::PLAIN));
            }
        } else if !(versioned || accompanied(name, start, token, rule)) {
            // It decides nothing, but beside another language's word it is a doubt.
            vague = vague.or(Some(sign(token, rule, opinion::word(rule.runtime), rule.grade)));
        } else {
            opinion = opinion.and(sign(token, rule, opinion::vague(rule.runtime), rule.grade));
        }
    }
    if let (Opinion::One(_), Some(sign)) = (opinion, vague) {
        opinion = opinion.and(sign);
    }
    if let (Opinion::One(sign), Some(last)) = (opinion, beside(name)) {
        // `django-redis` is the store of a program, `python-redis` a program that uses one.
        if sign.framework.is_some() || matches!(last, "db" | "database") {
            return not(last, "is what runs beside the program that the name is about");
        }
    }
    ahead_of_time(opinion, name, image.tag())
}

/// What the components in front of the last one say.
pub(crate) fn of_path<'a>(image: &ImageReference<'a>) -> Opinion<'a> {
    if serving(image.path()).is_some() {
        return Opinion::Silent;
    }
    let mut opinion = Opinion::Silent;
    for token in tokens(image.path()).take(MAX_TOKENS) {
        if let Some((.., rule)) = ruled(token).filter(|(.., rule)| rule.grade >= rules::PLAIN) {
            opinion = opinion.and(sign(token, rule, opinion::word(rule.runtime), 70));
        }
    }
    ahead_of_time(opinion, image.name(), image.tag())
}

/// What the tag says: `-python3.12`, `-jre17`, `-node20`.
pub(crate) fn of_tag<'a>(image: &ImageReference<'a>) -> Opinion<'a> {
    let Some(tag) = image.tag() else { return Opinion::Silent };
    let mut opinion = Opinion::Silent;
    for token in tokens(tag).take(MAX_TOKENS) {
        let Some((_, versioned, rule)) = ruled(token) else { continue };
        let grade = match (versioned, rule.grade >= rules::PLAIN) {
            (true, _) => 80,
            (false, true) => 60,
            (false, false) => continue,
        };
        opinion = opinion.and(sign(token, rule, opinion::word(rule.runtime), grade));
    }
    ahead_of_time(opinion, image.name(), Some(tag))
}

/// What a free text says that names a base image or its parts, as some labels do.
pub(crate) fn of_text<'a>(source: Source, text: &'a str) -> Opinion<'a> {
    let mut opinion = Opinion::Silent;
    for token in tokens(text).take(MAX_TOKENS) {
        let plain = |&(_, versioned, rule): &(_, bool, &rules::Rule)| rule.grade >= rules::PLAIN || versioned;
        if let Some((.., rule)) = ruled(token).filter(plain) {
            let sign = sign(token, rule, opinion::word(rule.runtime), 80);
            opinion = opinion.and(Sign { source, ..sign });
        }
    }
    opinion
}

fn ruled(token: &str) -> Option<(&str, bool, &'static rules::Rule)> {
    let (word, version) = word_and_version(token);
    let versioned = !version.is_empty();
    if let Some(rule) = rules::image_word(word) {
        return Some((word, versioned, rule));
    }
    // `flaskapp`
    let stem = ["app", "api", "service", "server"].iter().find_map(|end| word.strip_suffix(end))?;
    Some((word, true, rules::image_word(stem)?))
}

/// The last word of a name, if it is one of a store or server beside programs.
fn beside(name: &str) -> Option<&str> {
    tokens(name).skip(1).last().filter(|last| listed(BESIDE, last))
}

/// The tokens with where they begin; what separates them is one byte in a reference.
fn positions(name: &str) -> impl Iterator<Item = (usize, &str)> {
    let parts = name.split(|character: char| !character.is_ascii_alphanumeric());
    let placed = parts.scan(0, |next, part| {
        let start = *next;
        *next += part.len() + 1;
        Some((start, part))
    });
    placed.filter(|(_, part)| !part.is_empty())
}

/// A word of two parts that begins here: `spring-boot`, `node.js`.
fn pair<'a>(name: &'a str, start: usize, first: &str) -> Option<(&'a str, &'static rules::Rule)> {
    let second = tokens(name.get(start + first.len()..)?).next()?;
    let pair = name.get(start..start + first.len() + 1 + second.len()).filter(|pair| pair.ends_with(second))?;
    let mut buffer = [0_u8; 24];
    let written = lower(pair, &mut buffer)?.len();
    buffer.iter_mut().filter(|byte| matches!(**byte, b'.' | b'_')).for_each(|byte| *byte = b'-');
    let rule = rules::image_word(core::str::from_utf8(buffer.get(..written)?).ok()?)?;
    Some((pair, rule))
}

fn sign<'a>(seen: &'a str, rule: &rules::Rule, meaning: &'static str, grade: u8) -> Sign<'a> {
    Sign { source: Source::Image, seen, meaning, runtime: rule.runtime, framework: rule.framework, grade }
}

fn not<'a>(seen: &'a str, meaning: &'static str) -> Opinion<'a> {
    Opinion::Not(Reason { source: Source::Image, seen, meaning, speaks: Speaks::For })
}

fn listed(words: &[&str], word: &str) -> bool {
    words.binary_search(&word).is_ok()
}

fn serving(text: &str) -> Option<&str> {
    tokens(text).find(|token| listed(SERVES, token))
}

/// Whether a name is that of pages that a server of its own hands out, which may be built by Node.js and run without.
pub(crate) fn is_front(name: &str) -> bool {
    let pages = ["angular", "frontend", "nginx", "react", "spa", "static", "svelte", "ui", "vue"];
    tokens(name).any(|token| pages.contains(&token))
}

/// Whether a program's name says what it does for other programs: `kafka_exporter`.
pub(crate) fn serves(name: &str) -> bool {
    serving(name).is_some()
}

/// Whether the word that begins here stands beside one that makes its meaning plain.
fn accompanied(name: &str, start: usize, token: &str, rule: &rules::Rule) -> bool {
    let role = |at: usize, other: &str| at < start && listed(ROLES, other) && tokens(name).count() == 2;
    positions(name).any(|(at, other)| other != token && companion(rule, other) && !role(at, other))
}

/// Whether a word with other meanings means the language beside this one.
fn companion(rule: &rules::Rule, token: &str) -> bool {
    let word = word_and_version(token).0;
    let language = rule.framework.is_none() && (rule.runtime == Runtime::Node || !rule.runtime.language().has_sdk());
    listed(TECHNICAL, word) || (language && listed(BUSINESS, word))
}

/// Whether a word with other meanings, being the whole name, is the language's own image: `node` is also what clusters
/// and block chains call their machines. Official images have no owner; elsewhere the tag must look like a release.
fn alone(image: &ImageReference<'_>, runtime: Runtime, versioned: bool) -> bool {
    let path = image.path();
    let official = path.is_empty() || path == "library" || path.ends_with("/library");
    if official || versioned || runtime != Runtime::Node {
        return true;
    }
    let tag = image.tag().unwrap_or("");
    let major: &str = tag.split(|character: char| !character.is_ascii_digit()).next().unwrap_or("");
    tag.starts_with("lts") || major.parse::<u32>().is_ok_and(|major| (8..=40).contains(&major))
}

/// Programs compiled ahead of time say so beside their language.
fn ahead_of_time<'a>(opinion: Opinion<'a>, name: &'a str, tag: Option<&'a str>) -> Opinion<'a> {
    let Opinion::One(sign) = opinion else { return opinion };
    let runtime = match sign.runtime {
        Runtime::Jvm => (Runtime::GraalVmNative, "native"),
        Runtime::CoreClr => (Runtime::NativeAot, "aot"),
        _ => return opinion,
    };
    // Cloud-native programs are compiled like any other.
    let all = tokens(name).filter(|_| !name.contains("cloud-native"));
    let mut all = all.chain(tokens(tag.unwrap_or("")));
    match all.find(|token| *token == runtime.1) {
        Some(seen) => {
            let meaning = opinion::word(runtime.0);
            Opinion::One(Sign { seen, meaning, runtime: runtime.0, ..sign })
        }
        None => opinion,
    }
}
