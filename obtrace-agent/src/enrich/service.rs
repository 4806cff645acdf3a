//! What a service is called: what its owner said, else what it runs.

/// The name that a command line says: the script or module that an interpreter runs, the main class or archive of a
/// Java program, the application of an application server, else the executable.
///
/// `executable` is the path of the program, `arguments` the whole command line with the program's name in front.
///
/// ```
/// use obtrace_agent::enrich::service_name;
/// assert_eq!(service_name("/usr/bin/python3.11", &["python3", "-u", "app.py"]), "app");
/// assert_eq!(service_name("/usr/bin/node", &["node", "dist/server.js"]), "server");
/// assert_eq!(service_name("/usr/lib/jvm/bin/java", &["java", "-Xmx1g", "-jar", "/opt/cart-1.2.jar"]), "cart");
/// assert_eq!(service_name("/usr/sbin/nginx", &["nginx: worker process"]), "nginx");
/// ```
#[must_use]
pub fn service_name(executable: &str, arguments: &[&str]) -> String {
    let executable = executable.strip_suffix(" (deleted)").unwrap_or(executable);
    let program = base_name(if executable.is_empty() { arguments.first().copied().unwrap_or("") } else { executable });
    let rest = arguments.get(1..).unwrap_or_default();
    titled(arguments)
        .or_else(|| interpreted(program, rest))
        .unwrap_or_else(|| if program.is_empty() { "unknown_service".to_owned() } else { called(program, arguments) })
}

/// A program that is several (busybox, redis-check-rdb that is redis-server too) goes by the name it was called by.
fn called(program: &str, arguments: &[&str]) -> String {
    let first = arguments.first().and_then(|title| title.split([' ', ':']).next()).unwrap_or_default();
    let name = base_name(first).trim_start_matches('-');
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-+".contains(&b));
    if name.is_empty() || !is_name || program.starts_with(name) { program.to_owned() } else { name.to_owned() }
}

/// `gunicorn: worker [shop.wsgi]`, `puma 6.4.2 (tcp://0.0.0.0:9292) [shop]`: servers that write their application into
/// their process title.
fn titled(arguments: &[&str]) -> Option<String> {
    let title = arguments.first()?;
    if !title.starts_with("gunicorn: ") && !title.starts_with("puma") {
        return None;
    }
    // The title may have been written over several arguments.
    let (_, rest) = arguments.iter().find_map(|argument| argument.rsplit_once('['))?;
    let name = rest.trim_end_matches(['\0', ' ']).strip_suffix(']')?;
    (!name.is_empty()).then(|| application(name))
}

fn interpreted(program: &str, arguments: &[&str]) -> Option<String> {
    let name = program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    match name {
        "python" | "pypy" => python(arguments),
        "node" | "nodejs" => script(arguments, &["-r", "--require", "--import", "--loader", "-C", "--conditions"]),
        "deno" | "bun" => script(arguments.get(usize::from(arguments.first() == Some(&"run"))..)?, &[]),
        "java" => java(arguments),
        "ruby" => script(arguments, &["-r", "-I", "-C", "-E"]),
        "php" | "perl" | "sh" | "bash" | "dash" | "dotnet" => script(arguments, &["-c", "-d", "-o"]),
        "gunicorn" | "uvicorn" | "hypercorn" | "puma" => server(name, arguments),
        _ => None,
    }
}

/// The first argument that is neither an option nor the value of one of `with_value`.
fn operand<'a>(arguments: &[&'a str], with_value: &[&str]) -> Option<(usize, &'a str)> {
    let mut at = 0;
    while let Some(argument) = arguments.get(at) {
        if with_value.contains(argument) {
            at += 2;
        } else if argument.starts_with('-') || argument.is_empty() {
            at += 1;
        } else {
            return Some((at, argument));
        }
    }
    None
}

fn script(arguments: &[&str], with_value: &[&str]) -> Option<String> {
    // What follows -c or -e is a program, not a name.
    if arguments.iter().take_while(|argument| argument.starts_with('-')).any(|a| matches!(*a, "-c" | "-e")) {
        return None;
    }
    let (at, path) = operand(arguments, with_value)?;
    of_script(path, arguments.get(at + 1..).unwrap_or_default())
}

fn python(arguments: &[&str]) -> Option<String> {
    let mut at = 0;
    while let Some(argument) = arguments.get(at) {
        match *argument {
            "-c" => return None,
            "-m" => {
                let module = arguments.get(at + 1)?;
                let rest = arguments.get(at + 2..).unwrap_or_default();
                return server(module, rest).or_else(|| Some((*module).to_owned()));
            }
            "-W" | "-X" => at += 2,
            option if option.starts_with('-') => at += 1,
            path => return of_script(path, arguments.get(at + 1..).unwrap_or_default()),
        }
    }
    None
}

/// A script by its file name, without what only says its language; a script that is a server by its application.
fn of_script(path: &str, arguments: &[&str]) -> Option<String> {
    let file = base_name(path);
    if let Some(name) = server(file, arguments) {
        return Some(name);
    }
    let stem = [".py", ".js", ".mjs", ".cjs", ".ts", ".rb", ".ru", ".php", ".pl", ".sh", ".dll", ".jar"]
        .iter()
        .find_map(|suffix| file.strip_suffix(suffix))
        .unwrap_or(file);
    // These names say nothing; their folder does.
    let folder = path.rsplit('/').nth(1).filter(|folder| !folder.is_empty() && *folder != "." && *folder != "..");
    let name = match (stem, folder) {
        ("index" | "__main__", Some(folder)) => folder,
        _ => stem,
    };
    (!name.is_empty()).then(|| name.to_owned())
}

/// The application that an application server serves.
fn server(name: &str, arguments: &[&str]) -> Option<String> {
    if !matches!(name, "gunicorn" | "uvicorn" | "hypercorn" | "daphne" | "granian" | "puma") {
        return None;
    }
    if name == "puma" {
        let tag = arguments.iter().position(|argument| *argument == "--tag").and_then(|at| arguments.get(at + 1));
        return Some((*tag.unwrap_or(&"puma")).to_owned());
    }
    // `package.module:application` is unlike a value of any option.
    let operand = arguments.iter().find(|argument| {
        let module = argument.split(':').next().unwrap_or_default();
        !argument.starts_with('-')
            && argument.split(':').count() == 2
            && !module.is_empty()
            && module.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.')
            && !module.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && argument.rsplit(':').next().is_some_and(|after| !after.bytes().all(|b| b.is_ascii_digit()))
    });
    let operand = operand.or_else(|| arguments.last().filter(|last| last.contains('.') && !last.starts_with('-')));
    Some(operand.map_or_else(|| name.to_owned(), |operand| application(operand)))
}

/// `shop.wsgi:application` is `shop`, `main:app` is `main`.
fn application(name: &str) -> String {
    let module = name.split(':').next().unwrap_or(name);
    match module.rsplit_once('.') {
        Some((package, "wsgi" | "asgi" | "app" | "main" | "application" | "server")) => {
            package.rsplit('.').next().unwrap_or(package).to_owned()
        }
        Some((_, last)) if !last.is_empty() => last.to_owned(),
        _ => module.to_owned(),
    }
}

fn java(arguments: &[&str]) -> Option<String> {
    const WITH_VALUE: [&str; 8] =
        ["-cp", "-classpath", "--class-path", "-p", "--module-path", "--add-modules", "--add-opens", "--add-exports"];
    if let Some(at) = arguments.iter().position(|argument| *argument == "-jar") {
        let file = base_name(arguments.get(at + 1)?);
        return Some(without_version(file.strip_suffix(".jar").unwrap_or(file)).to_owned());
    }
    let module = arguments.iter().position(|argument| matches!(*argument, "-m" | "--module"));
    let class = match module {
        Some(at) => arguments.get(at + 1).copied()?,
        None => operand(arguments, &WITH_VALUE)?.1,
    };
    let class = class.rsplit('/').next()?.rsplit('.').next()?;
    (!class.is_empty()).then(|| class.to_owned())
}

/// `cart-1.2.3-SNAPSHOT` is `cart`.
fn without_version(name: &str) -> &str {
    let version = name.match_indices('-').find(|(at, _)| name.as_bytes().get(at + 1).is_some_and(u8::is_ascii_digit));
    version.and_then(|(at, _)| name.get(..at)).filter(|name| !name.is_empty()).unwrap_or(name)
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default()
}

/// The pairs of an `OTEL_RESOURCE_ATTRIBUTES` value: `key=value,key=value`, percent-encoded. A pair that is not one
/// is left out; at most 64 are taken.
///
/// Source: [Resource SDK](https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable).
pub(super) fn resource_attributes(value: &str) -> impl Iterator<Item = (String, String)> {
    value.split(',').take(64).filter_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        let key = decode(key.trim());
        (!key.is_empty() && key.len() <= 255).then(|| (key, decode(value.trim())))
    })
}

fn decode(text: &str) -> String {
    let digit = |b: Option<&u8>| b.and_then(|b| char::from(*b).to_digit(16));
    let (bytes, mut out, mut at) = (text.as_bytes(), Vec::new(), 0);
    while let Some(&byte) = bytes.get(at) {
        if let (b'%', Some(high), Some(low)) = (byte, digit(bytes.get(at + 1)), digit(bytes.get(at + 2))) {
            out.extend(u8::try_from(high * 16 + low));
            at += 3;
        } else {
            out.push(byte);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_by_what_is_run() {
        for (executable, command, expected) in [
            ("/usr/bin/python3.11", "python app.py", "app"),
            ("/usr/bin/python3.11", "python3 -u -W ignore -X dev /srv/shop/front.py --port 80", "front"),
            ("/usr/bin/python3.11", "python3 -m http.server 8000", "http.server"),
            ("/usr/bin/python3.11", "python3 -m uvicorn app.main:app --port 80", "app"),
            ("/usr/bin/python3.11", "/usr/bin/python3 /usr/local/bin/uvicorn main:app --host 0.0.0.0", "main"),
            ("/usr/bin/python3.11", "/usr/bin/python3 /usr/bin/gunicorn -w 4 -b 0.0.0.0:80 shop.wsgi", "shop"),
            ("/usr/bin/python3.11", "python3 /usr/bin/gunicorn --bind 127.0.0.1:80 cart:app", "cart"),
            ("/usr/bin/python3.11", "python3 /x/__main__.py", "x"),
            ("/usr/bin/python3.11", "python3", "python3.11"),
            ("/usr/bin/python3.11", "python3 -c print()", "python3.11"),
            ("/usr/bin/node", "node server.js", "server"),
            ("/usr/bin/node", "node --require ./otel.js --max-old-space-size=99 /srv/cart/index.js", "cart"),
            ("/usr/bin/node", "node -e 1", "node"),
            ("/usr/bin/java", "java -jar x.jar", "x"),
            ("/usr/bin/java", "java -Da=b -jar /opt/cart-1.2.3-SNAPSHOT.jar --x", "cart"),
            ("/usr/bin/java", "java -cp /a:/b -Xmx1g com.example.shop.Main arg", "Main"),
            ("/usr/bin/java", "java -p mods -m shop/com.example.Shop", "Shop"),
            ("/usr/bin/ruby3.1", "ruby app.rb", "app"),
            ("/usr/bin/ruby3.1", "puma 5.6.5 (tcp://127.0.0.1:9292) [shop]", "shop"),
            ("/usr/bin/dotnet", "dotnet Shop.dll", "Shop"),
            ("/bin/dash", "sh /opt/run.sh", "run"),
            ("/usr/local/bin/cartd (deleted)", "cartd --x", "cartd"),
            ("/usr/bin/redis-check-rdb", "/usr/bin/redis-server *:6379", "redis-server"),
            ("/bin/bash", "-bash", "bash"),
            ("", "/opt/thing -d", "thing"),
            ("", "", "unknown_service"),
        ] {
            let arguments: Vec<&str> = command.split(' ').filter(|argument| !argument.is_empty()).collect();
            assert_eq!(service_name(executable, &arguments), expected, "{command}");
        }
    }

    #[test]
    fn a_title_is_one_argument_or_many() {
        assert_eq!(service_name("/usr/bin/python3", &["gunicorn: worker [shop.wsgi:application]"]), "shop");
        assert_eq!(service_name("/usr/bin/ruby", &["puma: cluster worker 0: 17 [cart]"]), "cart");
        assert_eq!(
            service_name("/usr/lib/postgresql/15/bin/postgres", &["postgres: shop db [local] idle"]),
            "postgres"
        );
    }

    #[test]
    fn resource_attributes_are_decoded() {
        let pairs: Vec<_> = resource_attributes("a=b, service.name = x%20y ,broken,=z,c=%zz%2").collect();
        let expected = [("a", "b"), ("service.name", "x y"), ("c", "%zz%2")];
        assert_eq!(pairs, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }
}
