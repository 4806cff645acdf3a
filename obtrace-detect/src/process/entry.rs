//! The file that a runtime was told to run, and what its beginning loads.

use alloc::{borrow::ToOwned as _, format, string::String, vec, vec::Vec};

use super::evidence::base;
use crate::{Process, Runtime};

/// Names that are kept of one script.
const IMPORTS: usize = 64;
/// The longest of them.
const LONGEST: usize = 128;

/// Options of interpreters whose value is the next argument.
const WITH_VALUE: &[&str] = &[
    "-r",
    "--require",
    "--import",
    "--loader",
    "--experimental-loader",
    "-W",
    "-X",
    "-I",
    "-d",
    "-c",
    "-S",
    "-t",
    "-e",
    "--env-file",
];

/// Programs that are told a module with the application in it: `gunicorn shop.wsgi:app`.
const SERVERS: &[&str] =
    &["gunicorn", "uvicorn", "hypercorn", "daphne", "granian", "waitress-serve", "celery", "flask", "fastapi", "uwsgi"];

/// Files that may hold the application, in the order in which they are to be tried. Relative ones are to the process's working
/// folder.
pub(super) fn candidates(process: &Process<'_>, runtime: Runtime) -> Vec<String> {
    match runtime {
        Runtime::CPython | Runtime::PyPy => python(process),
        Runtime::Jvm => after(process, "-jar").map(ToOwned::to_owned).into_iter().collect(),
        Runtime::CRuby | Runtime::TruffleRuby => ruby(process),
        Runtime::Php => php(process),
        Runtime::Node | Runtime::Bun | Runtime::Deno => node(process),
        _ => Vec::new(),
    }
}

/// The argument after `option`.
fn after<'a>(process: &'a Process<'_>, option: &str) -> Option<&'a str> {
    process.words().skip_while(|word| *word != option).nth(1)
}

/// The first argument that is neither the program nor an option, nor an option's value.
fn first<'a>(process: &'a Process<'_>) -> Option<&'a str> {
    let mut words = process.words().skip(1);
    while let Some(word) = words.next() {
        if WITH_VALUE.contains(&word) {
            words.next();
        } else if !word.starts_with('-') {
            return Some(word);
        }
    }
    None
}

fn python(process: &Process<'_>) -> Vec<String> {
    let module = after(process, "-m");
    let script = module.or_else(|| first(process));
    let Some(script) = script else { return Vec::new() };
    if !SERVERS.contains(&base(script)) {
        return if module.is_some() { module_files(script) } else { vec![script.to_owned()] };
    }
    // `shop.wsgi:app` as an argument; `-A shop`, `--app shop` for Celery and Flask.
    let words: Vec<&str> = process.words().skip_while(|word| *word != script).skip(1).collect();
    if let Some(file) = words.iter().find(|word| word.ends_with(".py")) {
        return vec![(*file).to_owned()];
    }
    let pick = |is: fn(&str) -> bool| words.iter().copied().find(|word| is(word));
    let option = || ["-A", "--app"].iter().find_map(|option| after(process, option));
    let module = pick(is_application).or_else(option).or_else(|| process.var("FLASK_APP")).or_else(|| pick(is_module));
    module.map(module_files).unwrap_or_default()
}

/// `shop.wsgi:app`, but no address.
fn is_application(word: &str) -> bool {
    word.split_once(':').is_some_and(|(module, object)| is_module(module) && is_module(object))
}

/// A name of Python's that is none of the servers' own commands.
fn is_module(word: &str) -> bool {
    !matches!(word, "worker" | "run" | "beat" | "dev" | "localhost")
        && word.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && word.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.')
}

/// The files that a module of Python may be in.
fn module_files(module: &str) -> Vec<String> {
    let module = module.split(':').next().unwrap_or(module);
    let module = module.strip_suffix(".py").unwrap_or(module);
    let path = module.replace('.', "/");
    vec![
        format!("{path}.py"),
        format!("{path}/__init__.py"),
        format!("{path}/__main__.py"),
        format!("{path}/celery.py"),
    ]
}

fn ruby(process: &Process<'_>) -> Vec<String> {
    let rack = || vec!["config.ru".to_owned()];
    let Some(script) = first(process) else { return rack() };
    let is_server = ["puma", "rackup", "unicorn", "thin", "falcon", "passenger", "rails"].contains(&base(script));
    let is_title = process.words().next().is_some_and(|word| !base(word).starts_with("ruby"));
    if !is_server && !is_title {
        return vec![script.to_owned()];
    }
    let named = process.words().find(|word| word.ends_with(".ru"));
    named.map(|word| vec![word.to_owned()]).unwrap_or_else(rack)
}

fn php(process: &Process<'_>) -> Vec<String> {
    if let Some(script) = first(process).filter(|script| script.ends_with(".php") || base(script) == "artisan") {
        return vec![script.to_owned()];
    }
    match after(process, "-t") {
        Some(folder) => vec![format!("{folder}/index.php")],
        None if process.words().any(|word| word == "-S") => vec!["index.php".to_owned(), "public/index.php".to_owned()],
        None => Vec::new(),
    }
}

fn node(process: &Process<'_>) -> Vec<String> {
    if process.is_title() {
        return Vec::new();
    }
    let mut words = process.words().skip(1).filter(|word| !matches!(*word, "run" | "serve"));
    let mut script = None;
    while let Some(word) = words.next() {
        if WITH_VALUE.contains(&word) {
            words.next();
        } else if !word.starts_with('-') {
            script = Some(word);
            break;
        }
    }
    match script {
        // Node.js takes `server` for `server.js`, and a folder for its `index.js`.
        Some(script) if base(script).contains('.') && base(script) != "." => vec![script.to_owned()],
        Some(script) => vec![format!("{script}.js"), format!("{script}/index.js"), script.to_owned()],
        None => Vec::new(),
    }
}

/// What the beginning of a file loads: packages of a script, or the first entries of an archive.
pub(super) fn imports(beginning: &[u8], runtime: Runtime) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        let name = name.trim_matches(|c: char| c.is_whitespace() || c == '\'' || c == '"' || c == ';');
        let is_name = !name.is_empty()
            && name.len() <= LONGEST
            && name.chars().all(|c| c.is_alphanumeric() || "@/._-\\".contains(c));
        if is_name && found.len() < IMPORTS && !found.iter().any(|known| known == name) {
            found.push(name.to_owned());
        }
    };
    if beginning.starts_with(b"PK\x03\x04") {
        archive(beginning, add);
        return found;
    }
    let text = String::from_utf8_lossy(beginning);
    for line in text.lines().map(str::trim) {
        match runtime {
            Runtime::CPython | Runtime::PyPy => python_line(line, &mut add),
            Runtime::CRuby | Runtime::TruffleRuby => ruby_line(line, &mut add),
            Runtime::Php => php_line(line, &mut add),
            _ => node_line(line, &mut add),
        }
    }
    found
}

/// `import flask, os`, `from flask.views import View`: the package's own name.
fn python_line(line: &str, add: &mut impl FnMut(&str)) {
    let package = |name: &str| name.trim().split(['.', ' ']).next().map(ToOwned::to_owned).unwrap_or_default();
    if let Some(rest) = line.strip_prefix("import ") {
        rest.split(',').for_each(|name| add(&package(name)));
    } else if let Some(rest) = line.strip_prefix("from ") {
        add(&package(rest));
    } else if line.contains("DJANGO_SETTINGS_MODULE") {
        add("django");
    }
}

fn ruby_line(line: &str, add: &mut impl FnMut(&str)) {
    let Some(rest) = line.strip_prefix("require_relative").or_else(|| line.strip_prefix("require")) else { return };
    if let Some(name) = quoted(rest) {
        add(name.trim_start_matches("./").trim_start_matches("../"));
    }
}

/// `use Illuminate\Http\Request;` and the files that WordPress loads.
fn php_line(line: &str, add: &mut impl FnMut(&str)) {
    if let Some(rest) = line.strip_prefix("use ") {
        add(rest.trim_start_matches('\\').split([' ', ';']).next().unwrap_or(rest));
    } else if line.contains("wp-blog-header.php") {
        add("wp-blog-header.php");
    } else if line.contains("Illuminate\\") {
        add("Illuminate");
    }
}

/// `require('express')`, `import x from "koa"`, `import "fastify"`, several of them in a bundled line.
fn node_line(line: &str, add: &mut impl FnMut(&str)) {
    for mark in ["require(", "from ", "from\"", "from'", "import(", "import "] {
        for (at, _) in line.match_indices(mark) {
            let rest = line.get(at + mark.trim_end_matches(['"', '\'']).len()..).unwrap_or("");
            if let Some(name) = rest.trim_start().strip_prefix(['"', '\'']).and_then(|_| quoted(rest)) {
                // Deno's and Node's own prefixes.
                add(name.trim_start_matches("npm:"));
            }
        }
    }
}

/// What stands in the first quotes.
fn quoted(text: &str) -> Option<&str> {
    let start = text.find(['"', '\''])?;
    let quote = text.get(start..)?.chars().next()?;
    text.get(start + 1..)?.split(quote).next()
}

/// Names of the first entries of a [ZIP] file, from their local headers.
///
/// [ZIP]: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
fn archive(bytes: &[u8], mut add: impl FnMut(&str)) {
    const HEADER: usize = 30;
    let starts = bytes.windows(4).enumerate().filter(|(_, mark)| *mark == b"PK\x03\x04").map(|(at, _)| at);
    for entry in starts.filter_map(|at| bytes.get(at..)) {
        let Some(length) = entry.get(26..28).and_then(|length| length.try_into().ok()).map(u16::from_le_bytes) else {
            continue;
        };
        if let Some(name) =
            entry.get(HEADER..HEADER + usize::from(length)).and_then(|name| core::str::from_utf8(name).ok())
        {
            // The folders above say enough: loaders have hundreds of classes.
            let folders: usize = name.match_indices('/').take(3).last().map_or(name.len(), |(at, _)| at);
            add(name.get(..folders).unwrap_or(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn first_candidate(runtime: Runtime, words: &[&'static str]) -> Option<String> {
        candidates(&Process::new().with_cmdline(words.iter().copied()), runtime).into_iter().next()
    }

    #[test]
    fn scripts_of_command_lines() {
        use Runtime::{CPython, CRuby, Jvm, Node, Php};
        for (runtime, words, expected) in [
            (CPython, &["python3", "-u", "app.py"][..], Some("app.py")),
            (CPython, &["python3", "-X", "dev", "app.py"], Some("app.py")),
            (CPython, &["python3", "-m", "shop.web"], Some("shop/web.py")),
            (CPython, &["python3", "/usr/bin/gunicorn", "-b", "0.0.0.0:8000", "shop.wsgi:app"], Some("shop/wsgi.py")),
            (CPython, &["python3", "/usr/bin/uvicorn", "--host", "localhost:80", "main:app"], Some("main.py")),
            (CPython, &["python3", "/usr/bin/celery", "-A", "shop", "worker"], Some("shop.py")),
            (CPython, &["python3", "/usr/bin/flask", "--app", "shop", "run"], Some("shop.py")),
            (CPython, &["python3"], None),
            (Jvm, &["java", "-Xmx1g", "-jar", "/app/app.jar", "-jar", "x"], Some("/app/app.jar")),
            (Jvm, &["java", "-cp", "/app/*", "Main"], None),
            (CRuby, &["ruby", "app.rb"], Some("app.rb")),
            (CRuby, &["puma 5.6.5 (tcp://0.0.0.0:3000) [shop]"], Some("config.ru")),
            (CRuby, &["ruby3.1", "/usr/bin/puma", "web.ru"], Some("web.ru")),
            (Php, &["php", "artisan", "serve"], Some("artisan")),
            (Php, &["php", "-S", "0.0.0.0:80", "-t", "public"], Some("public/index.php")),
            (Php, &["php-fpm: pool www"], None),
            (Node, &["node", "--require", "dd-trace/init", "dist/main"], Some("dist/main.js")),
            (Node, &["bun", "run", "index.ts"], Some("index.ts")),
            (Node, &["next-server (v15.1.0)"], None),
        ] {
            let found = first_candidate(runtime, words);
            assert_eq!(found.as_deref(), expected, "{words:?}");
        }
    }

    #[test]
    fn imports_of_scripts() {
        for (runtime, text, expected) in [
            (
                Runtime::CPython,
                "import os, flask.views as v\nfrom  fastapi import FastAPI\n#import no\n",
                "os flask fastapi",
            ),
            (Runtime::CPython, "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')", "django"),
            (
                Runtime::Node,
                "const a=require('express'),b=require(\"@nestjs/core\");import c from\"koa\"",
                "express @nestjs/core koa",
            ),
            (Runtime::Node, "import 'fastify'\nconst x = from(y)\nrequire(name)", "fastify"),
            (Runtime::Deno, "import { Hono } from \"npm:hono\"", "hono"),
            (
                Runtime::CRuby,
                "require_relative '../config/environment'\nrequire 'sinatra/base'",
                "config/environment sinatra/base",
            ),
            (
                Runtime::Php,
                "use Illuminate\\Http\\Request;\nrequire __DIR__ . '/wp-blog-header.php';",
                "Illuminate\\Http\\Request wp-blog-header.php",
            ),
        ] {
            assert_eq!(imports(text.as_bytes(), runtime).join(" "), expected, "{text}");
        }
    }

    #[test]
    fn entries_of_archives() {
        let mut bytes = Vec::new();
        for name in ["META-INF/MANIFEST.MF", "org/springframework/boot/loader/Launcher.class", "BOOT-INF/classes/"] {
            bytes.extend(b"PK\x03\x04");
            bytes.extend([0; 22]);
            bytes.write_all(&u16::try_from(name.len()).unwrap().to_le_bytes()).unwrap();
            bytes.extend([0; 2]);
            bytes.extend(name.bytes());
        }
        assert_eq!(imports(&bytes, Runtime::Jvm), ["META-INF", "org/springframework/boot", "BOOT-INF/classes"]);
        assert_eq!(imports(b"PK\x03\x04", Runtime::Jvm), [""; 0]);
    }

    proptest::proptest! {
        #[test]
        fn any_script(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..2048), is_archive in proptest::prelude::any::<bool>()) {
            let mut bytes = bytes;
            if is_archive {
                bytes.splice(..0, *b"PK\x03\x04");
            }
            for runtime in [Runtime::CPython, Runtime::Node, Runtime::CRuby, Runtime::Php, Runtime::Jvm] {
                proptest::prop_assert!(imports(&bytes, runtime).len() <= IMPORTS);
            }
        }
    }
}
