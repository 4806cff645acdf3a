//! The framework, from what a process has loaded and was told to run.

use super::{
    evidence::{Process, base},
    verdict::reason,
};
use crate::{Framework, Reason, Runtime, Speaks};

/// What a script imports, an archive holds, a Go program was built from or a crate is called; the last path components too:
/// `spring-boot` is in `/app/lib/spring-boot-3.3.5.jar`. A table's order is from what says most to what says least.
type Table = &'static [(&'static str, Framework)];

const NODE: Table = &[
    ("next", Framework::NextJs),
    ("next-server", Framework::NextJs),
    ("@next/swc", Framework::NextJs),
    ("@nestjs/core", Framework::NestJs),
    ("nest", Framework::NestJs),
    ("fastify", Framework::Fastify),
    ("koa", Framework::Koa),
    ("express", Framework::Express),
];
const PYTHON: Table = &[
    ("celery", Framework::Celery),
    ("celeryd", Framework::Celery),
    ("fastapi", Framework::FastApi),
    ("flask", Framework::Flask),
    ("django", Framework::Django),
    ("manage.py", Framework::Django),
    ("django-admin", Framework::Django),
];
/// What says so only where nothing better does.
const PYTHON_SERVERS: Table = &[
    ("uvicorn", Framework::FastApi),
    ("uvicorn.workers.UvicornWorker", Framework::FastApi),
    ("daphne", Framework::Django),
];
const JAVA: Table = &[
    ("quarkus-run", Framework::Quarkus),
    ("io.quarkus", Framework::Quarkus),
    ("io/quarkus", Framework::Quarkus),
    ("quarkus-core", Framework::Quarkus),
    ("io.micronaut", Framework::Micronaut),
    ("micronaut-core", Framework::Micronaut),
    ("micronaut-runtime", Framework::Micronaut),
    ("micronaut-inject", Framework::Micronaut),
    ("org.springframework", Framework::Spring),
    ("org/springframework", Framework::Spring),
    ("BOOT-INF", Framework::Spring),
    ("spring-boot", Framework::Spring),
    ("spring-core", Framework::Spring),
    ("spring-web", Framework::Spring),
    ("org.apache.catalina.startup", Framework::Tomcat),
    ("tomcat-embed-core", Framework::Tomcat),
    ("catalina", Framework::Tomcat),
];
const DOTNET: Table =
    &[("Microsoft.AspNetCore", Framework::AspNetCore), ("Microsoft.AspNetCore.App", Framework::AspNetCore)];
const PHP: Table = &[
    ("artisan", Framework::Laravel),
    ("Illuminate", Framework::Laravel),
    ("bin/console", Framework::Symfony),
    ("Symfony", Framework::Symfony),
    ("wp-blog-header.php", Framework::WordPress),
    ("wp-config.php", Framework::WordPress),
    ("wp-cli.phar", Framework::WordPress),
];
const RUBY: Table = &[
    ("rails", Framework::Rails),
    ("config/environment", Framework::Rails),
    ("config/application", Framework::Rails),
    ("sinatra", Framework::Sinatra),
    ("sinatra/base", Framework::Sinatra),
];
const RUBY_SERVERS: Table = &[("puma", Framework::Puma), ("puma_http11.so", Framework::Puma)];
const GO: Table = &[
    ("github.com/gin-gonic/gin", Framework::Gin),
    ("github.com/labstack/echo", Framework::Echo),
    ("github.com/gofiber/fiber", Framework::Fiber),
    ("google.golang.org/grpc", Framework::Grpc),
];
const RUST: Table = &[
    ("actix-web", Framework::Actix),
    ("actix_web", Framework::Actix),
    ("rocket", Framework::Rocket),
    ("axum", Framework::Axum),
    ("tonic", Framework::Grpc),
];

/// Variables that only one framework reads.
const VARIABLES: &[(&str, Runtime, Framework)] = &[
    ("DJANGO_SETTINGS_MODULE", Runtime::CPython, Framework::Django),
    ("FLASK_APP", Runtime::CPython, Framework::Flask),
    ("RAILS_ENV", Runtime::CRuby, Framework::Rails),
    ("SPRING_PROFILES_ACTIVE", Runtime::Jvm, Framework::Spring),
    ("MICRONAUT_ENVIRONMENTS", Runtime::Jvm, Framework::Micronaut),
    ("CATALINA_BASE", Runtime::Jvm, Framework::Tomcat),
    ("QUARKUS_PROFILE", Runtime::Jvm, Framework::Quarkus),
];

/// Whether a variable of this name says something.
#[cfg(all(feature = "proc", target_os = "linux"))]
pub(super) fn is_variable(name: &str) -> bool {
    VARIABLES.iter().any(|(known, ..)| *known == name)
}

/// The framework of a program on `runtime`, and what it was known by.
pub(super) fn find<'a>(process: &'a Process<'a>, runtime: Runtime) -> Option<(Framework, Reason<'a>)> {
    let (table, servers): (Table, Table) = match runtime {
        Runtime::Node | Runtime::Bun | Runtime::Deno => (NODE, &[]),
        Runtime::CPython | Runtime::PyPy => (PYTHON, PYTHON_SERVERS),
        Runtime::Jvm | Runtime::GraalVmNative => (JAVA, &[]),
        Runtime::CoreClr | Runtime::NativeAot | Runtime::Mono => (DOTNET, &[]),
        Runtime::Php | Runtime::Hhvm => (PHP, &[]),
        Runtime::CRuby | Runtime::JRuby | Runtime::TruffleRuby => (RUBY, RUBY_SERVERS),
        Runtime::Go => (GO, &[]),
        Runtime::Rust => (RUST, &[]),
        _ => return None,
    };
    let (framework, seen, meaning) =
        in_table(process, table).or_else(|| variables(process, runtime)).or_else(|| in_table(process, servers))?;
    Some((framework, reason(seen, meaning, Speaks::For)))
}

type Found<'a> = (Framework, &'a str, &'static str);

fn in_table<'a>(process: &'a Process<'a>, table: Table) -> Option<Found<'a>> {
    let script =
        process.script.iter().flat_map(|script| &script.imports).map(|seen| (seen.as_ref(), "is loaded by the script"));
    let modules = process
        .go
        .iter()
        .flat_map(|go| &go.modules)
        .map(|(path, _)| (path.as_ref(), "is one of the program's modules"));
    let strings = process.strings.iter().map(|seen| (seen.as_ref(), "is a source of the program"));
    let words = process.words().map(|seen| (seen, "is in the command line"));
    // Most of what is mapped is the system's.
    let is_telling = |path: &str| [".jar", ".dll", ".node", "/puma_http11.so"].iter().any(|end| path.ends_with(end));
    let maps = process.maps.iter().filter(|path| is_telling(path)).map(|seen| (seen.as_ref(), "is mapped"));
    let files = process.files.iter().map(|seen| (seen.as_ref(), "is open"));
    let symbols = process.symbols.iter().map(|seen| (seen.as_ref(), "is a symbol of the program"));
    let places = words.chain(script).chain(modules).chain(strings).chain(symbols).chain(files).chain(maps);
    let (framework, _, found) = places
        .filter_map(|(seen, meaning)| {
            let rank = table.iter().position(|(word, _)| names(seen, word))?;
            Some((table.get(rank)?.1, rank, (seen, meaning)))
        })
        .min_by_key(|(_, rank, _)| *rank)?;
    Some((framework, found.0, found.1))
}

fn variables<'a>(process: &'a Process<'a>, runtime: Runtime) -> Option<Found<'a>> {
    let (name, framework) = process.env.iter().find_map(|var| {
        let (_, _, framework) = VARIABLES.iter().find(|(name, on, _)| *on == runtime && var.name == *name)?;
        Some((var.name.as_ref(), *framework))
    })?;
    Some((framework, name, "is a variable of the framework"))
}

/// Whether `seen` is about `word`: it is it, its last path component is or begins with it, it is below it, or it is a mangled
/// symbol with it. `express-session` is not `express`, and `/home/flask/run` is not `flask`.
fn names(seen: &str, word: &str) -> bool {
    if word.contains('/') {
        // `github.com/labstack/echo/v4`, `@next/swc-linux-x64-gnu`, `/app/bin/console`.
        return seen.split_once(word).is_some_and(|(before, after)| {
            (before.is_empty() || before.ends_with('/')) && after.chars().next().is_none_or(|c| "/-.".contains(c))
        });
    }
    let file = base(seen);
    if file == word || seen == word {
        return true;
    }
    if let Some(rest) = seen.strip_prefix(word)
        && rest.starts_with(['.', '/', ':', '\\'])
    {
        return true;
    }
    // `spring-boot-3.3.5.jar`, `axum-0.8.9`, `Microsoft.AspNetCore.Http.dll`, `catalina.jar`.
    let is_versioned = |file: &str| {
        file.strip_prefix(word).is_some_and(|rest| {
            let rest = rest.strip_prefix(['-', '.']).unwrap_or("");
            rest.starts_with(|c: char| c.is_ascii_digit())
                || rest == "jar"
                || word.starts_with("Microsoft.") && rest.ends_with("dll")
        })
    };
    is_versioned(file)
        || seen.split('/').any(|part| part.ends_with(|c: char| c.is_ascii_digit()) && is_versioned(part))
        || is_mangled(seen, word)
}

/// `_ZN4axum5serve...` and `_RNv...5_4axum5serve` name the crate `axum`, with its length before it;
/// `_ZN108_$LT$actix_web..service...` is an implementation for a type of `actix_web`.
fn is_mangled(seen: &str, word: &str) -> bool {
    let counted = |rest: &str| {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (length, name) = rest.split_at(digits);
        length.parse() == Ok(word.len()) && name.starts_with(word)
    };
    if let Some(rest) = seen.strip_prefix("_ZN") {
        let name = rest.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("_$LT$");
        return counted(rest)
            || name.and_then(|name| name.strip_prefix(word)).is_some_and(|rest| rest.starts_with(".."));
    }
    seen.starts_with("_R") && seen.match_indices('_').any(|(at, _)| seen.get(at + 1..).is_some_and(counted))
}
