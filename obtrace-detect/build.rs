//! Makes the catalogue of well-known images into a sorted table, with only what is needed at run time.

use std::{env, fmt::Write as _, fs, path::PathBuf, process::ExitCode};

const SOURCE: &str = "data/catalogue.tsv";
/// What stands before images without an owner; they have a table of their own, without it.
const OFFICIAL: &str = "library/";

fn main() -> ExitCode {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-changed=build.rs");
    match write_table() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("cargo::error={SOURCE}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write_table() -> Result<(), String> {
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?).join("catalogue.rs");
    let text = fs::read_to_string(folder.join(SOURCE)).map_err(|error| error.to_string())?;
    let mut entries = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if !line.is_empty() && !line.starts_with('#') {
            entries.push(entry(line).map_err(|error| format!("line {}: {error}", index + 1))?);
        }
    }
    entries.sort();
    if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        return Err(format!("{} stands there twice", pair[0].0));
    }
    let (official, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|(image, _)| image.starts_with(OFFICIAL));
    let mut tables = String::new();
    for (name, entries) in [("OFFICIAL", official), ("ENTRIES", others)] {
        let code: String = entries.iter().map(|(_, code)| code.as_str()).collect();
        writeln!(tables, "static {name}: [Entry; {}] = [\n{code}];", entries.len())
            .map_err(|error| error.to_string())?;
    }
    fs::write(&out, tables).map_err(|error| format!("{}: {error}", out.display()))
}

/// The image's name and the entry as Rust code.
fn entry(line: &str) -> Result<(String, String), String> {
    let columns: Vec<&str> = line.split('\t').collect();
    let [image, language, runtime, framework, kind, sets, ..] = columns[..] else {
        return Err(format!("{} columns", columns.len()));
    };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"/._-".contains(&byte);
    if image.is_empty() || !image.bytes().all(plain) {
        return Err(format!("{image:?} is no repository"));
    }
    let runtime = match runtime {
        "" => format!("Runtime::usual(Language::{})", variant(LANGUAGES, language)?),
        _ => format!("Runtime::{}", variant(RUNTIMES, runtime)?),
    };
    let framework = match framework {
        "" => "None".to_owned(),
        _ => format!("Some(Framework::{})", variant(FRAMEWORKS, framework)?),
    };
    let kind = variant(KINDS, kind)?;
    let mut sets: Vec<&str> = sets.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    sets.sort_unstable();
    let name = image.strip_prefix(OFFICIAL).unwrap_or(image);
    let mut code = String::new();
    writeln!(
        code,
        "    Entry {{ image: {name:?}, runtime: {runtime}, framework: {framework}, kind: Kind::{kind}, sets: &{sets:?} }},"
    )
    .map_err(|error| error.to_string())?;
    Ok((image.to_owned(), code))
}

fn variant(names: &[(&str, &'static str)], name: &str) -> Result<&'static str, String> {
    let found = names.iter().find(|(known, _)| *known == name);
    found.map(|(_, variant)| *variant).ok_or_else(|| format!("{name:?} is not a word of its column"))
}

const KINDS: &[(&str, &str)] = &[("base", "Base"), ("service", "Service"), ("proxy", "Proxy"), ("system", "System")];

const LANGUAGES: &[(&str, &str)] = &[
    ("nodejs", "NodeJs"),
    ("python", "Python"),
    ("java", "Java"),
    ("dotnet", "DotNet"),
    ("php", "Php"),
    ("ruby", "Ruby"),
    ("go", "Go"),
    ("rust", "Rust"),
    ("unknown", "Unknown"),
];

const RUNTIMES: &[(&str, &str)] = &[
    ("bun", "Bun"),
    ("deno", "Deno"),
    ("pypy", "PyPy"),
    ("jruby", "JRuby"),
    ("truffleruby", "TruffleRuby"),
    ("graalvm-native", "GraalVmNative"),
    ("nativeaot", "NativeAot"),
    ("mono", "Mono"),
    ("hhvm", "Hhvm"),
];

const FRAMEWORKS: &[(&str, &str)] = &[
    ("express", "Express"),
    ("fastify", "Fastify"),
    ("nestjs", "NestJs"),
    ("nextjs", "NextJs"),
    ("koa", "Koa"),
    ("fastapi", "FastApi"),
    ("flask", "Flask"),
    ("django", "Django"),
    ("celery", "Celery"),
    ("spring", "Spring"),
    ("quarkus", "Quarkus"),
    ("micronaut", "Micronaut"),
    ("tomcat", "Tomcat"),
    ("aspnetcore", "AspNetCore"),
    ("laravel", "Laravel"),
    ("symfony", "Symfony"),
    ("wordpress", "WordPress"),
    ("rails", "Rails"),
    ("sinatra", "Sinatra"),
    ("puma", "Puma"),
    ("gin", "Gin"),
    ("echo", "Echo"),
    ("fiber", "Fiber"),
    ("grpc", "Grpc"),
    ("actix", "Actix"),
    ("axum", "Axum"),
    ("rocket", "Rocket"),
];
