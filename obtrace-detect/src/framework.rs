//! Frameworks, as a command line names them.

use crate::{Framework, Runtime, rules};

/// Words of a command line that are looked at; the program and its script stand in front.
const MAX_WORDS: usize = 24;
/// Tokens of one word; a class path has more, and says nothing.
const MAX_TOKENS: usize = 12;

/// The framework that a program's command line names, `own` being that of the program itself.
///
/// A server gives way to the framework on top of it: `puma` runs Rails if anything says so.
pub(crate) fn of_command(own: Option<Framework>, runtime: Runtime, arguments: &[&str]) -> Option<Framework> {
    let mut server = own;
    if let Some(framework) = own.filter(|framework| !framework.is_server()) {
        return Some(framework);
    }
    for word in arguments.iter().take(MAX_WORDS) {
        match of_word(word).filter(|framework| framework.language() == runtime.language()) {
            Some(framework) if framework.is_server() => server = server.or(Some(framework)),
            Some(framework) => return Some(framework),
            None => {}
        }
    }
    server
}

/// The framework that options in a variable name (`JAVA_OPTS=-Dspring.profiles.active=prod`).
pub(crate) fn of_text(runtime: Runtime, text: &str) -> Option<Framework> {
    let mut words = text.split_ascii_whitespace().take(MAX_WORDS).filter_map(of_word);
    words.find(|framework| framework.language() == runtime.language())
}

fn of_word(word: &str) -> Option<Framework> {
    if word.starts_with("-javaagent") || word.contains("://") {
        return None;
    }
    if is_django(word) {
        return Some(Framework::Django);
    }
    if word == "bin/console" || word.ends_with("/bin/console") {
        return Some(Framework::Symfony);
    }
    let word = word.strip_prefix("-D").unwrap_or(word);
    let mut server = None;
    for token in crate::image::tokens(word).take(MAX_TOKENS) {
        let mut buffer = [0_u8; 24];
        match lower(token, &mut buffer).and_then(rules::framework_word) {
            Some(framework) if framework.is_server() => server = Some(framework),
            Some(framework) => return Some(framework),
            None => {}
        }
    }
    server
}

/// What Django's project template makes: `manage.py`, `shop.wsgi`, `shop.asgi:application`.
fn is_django(word: &str) -> bool {
    let module = word.strip_suffix(":application").unwrap_or(word);
    let file = word.rsplit('/').next().unwrap_or(word);
    file == "manage.py" || module.ends_with(".wsgi") || module.ends_with(".asgi")
}

/// The token in lower case, without an allocation; `None` if it is longer than any word that is known.
pub(crate) fn lower<'b>(token: &str, buffer: &'b mut [u8; 24]) -> Option<&'b str> {
    let target = buffer.get_mut(..token.len())?;
    target.copy_from_slice(token.as_bytes());
    target.make_ascii_lowercase();
    core::str::from_utf8(target).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(own: Option<Framework>, runtime: Runtime, line: &str) -> Option<Framework> {
        of_command(own, runtime, &line.split(' ').collect::<alloc::vec::Vec<_>>())
    }

    #[test]
    fn words_of_the_command_line_name_the_framework() {
        for (runtime, line, framework) in [
            (Runtime::Jvm, "-jar /deployments/quarkus-run.jar", Framework::Quarkus),
            (Runtime::Jvm, "org.springframework.boot.loader.launch.JarLauncher", Framework::Spring),
            (Runtime::Jvm, "-Dspring.profiles.active=prod -jar app.jar", Framework::Spring),
            (Runtime::CPython, "manage.py runserver", Framework::Django),
            (Runtime::CPython, "-b :80 shop.wsgi:application", Framework::Django),
            (Runtime::CPython, "-m flask run", Framework::Flask),
            (Runtime::CPython, "-k uvicorn.workers.UvicornWorker main:app", Framework::FastApi),
            (Runtime::Node, "node_modules/.bin/next start", Framework::NextJs),
            (Runtime::CRuby, "bin/rails server", Framework::Rails),
            (Runtime::Php, "artisan queue:work", Framework::Laravel),
        ] {
            assert_eq!(of(None, runtime, line), Some(framework), "{line}");
        }
    }

    #[test]
    fn a_server_gives_way_and_a_framework_does_not() {
        assert_eq!(of(Some(Framework::Puma), Runtime::CRuby, "-C config/puma.rb"), Some(Framework::Puma));
        assert_eq!(of(Some(Framework::FastApi), Runtime::CPython, "shop.asgi:application"), Some(Framework::Django));
        assert_eq!(of(Some(Framework::Celery), Runtime::CPython, "-A django worker"), Some(Framework::Celery));
    }

    #[test]
    fn frameworks_of_other_languages_and_urls_say_nothing() {
        assert_eq!(of(None, Runtime::Go, "--backend django"), None);
        assert_eq!(of(None, Runtime::CPython, "app.py --url http://flask/"), None);
        assert_eq!(of(None, Runtime::Jvm, "-javaagent:/spring.jar -jar app.jar"), None);
    }
}
