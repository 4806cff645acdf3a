use alloc::{format, string::String, vec::Vec};

use super::{GoBuildInfo, Libc, Script, inspect, verdict};
use crate::{Confidence, Framework, Process, Runtime, Speaks, Strategy};

const GLIBC: &str = "/usr/lib/x86_64-linux-gnu/libc.so.6";

fn runtime(process: &Process<'_>) -> (Runtime, Confidence) {
    let inspection = inspect(process);
    assert!(!inspection.reasons.is_empty());
    (inspection.runtime, inspection.confidence)
}

fn is(process: &Process<'_>, runtime: Runtime) {
    let inspection = inspect(process);
    assert_eq!(inspection.runtime, runtime, "{:#?}", inspection.reasons);
    if runtime != Runtime::Unknown {
        assert!(inspection.reasons.iter().any(|reason| reason.speaks == Speaks::For), "{:#?}", inspection.reasons);
    }
}

#[test]
fn nothing_known_is_said_so() {
    let process = Process::new();
    assert_eq!(runtime(&process), (Runtime::Unknown, Confidence::NOTHING));
    assert_eq!(verdict(&process), None);
}

#[test]
fn names_of_executables() {
    for (exe, expected) in [
        ("/usr/local/bin/node", Runtime::Node),
        ("/usr/bin/python3.11", Runtime::CPython),
        ("/usr/bin/python3-dbg", Runtime::CPython),
        ("/opt/pypy/bin/pypy3.10", Runtime::PyPy),
        ("/usr/sbin/php-fpm8.2", Runtime::Php),
        ("/usr/bin/php82", Runtime::Php),
        ("/usr/bin/ruby3.1", Runtime::CRuby),
        ("/usr/share/dotnet/dotnet", Runtime::CoreClr),
        ("/usr/bin/mono-sgen", Runtime::Mono),
        ("/usr/local/bin/bun", Runtime::Bun),
        ("/usr/bin/deno", Runtime::Deno),
        ("/usr/local/bin/node (deleted)", Runtime::Node),
        ("/usr/local/bin/node_exporter", Runtime::Unknown),
        ("/usr/bin/javac-proxy", Runtime::Unknown),
        ("/usr/bin/phpunit", Runtime::Unknown),
        ("/usr/bin/pythonic", Runtime::Unknown),
    ] {
        is(&Process::new().with_exe(exe), expected);
    }
}

#[test]
fn content_beats_the_name() {
    let go = Process::new().with_exe("/srv/node").with_cmdline(["node", "server.js"]).with_elf_sections([".gopclntab"]);
    assert_eq!(runtime(&go), (Runtime::Go, Confidence::SOLID));
    assert!(inspect(&go).reasons.iter().any(|reason| reason.speaks == Speaks::Against && reason.seen == "node"));
    is(&Process::new().with_exe("/srv/python").with_symbols(["rust_panic"]), Runtime::Rust);
    is(&Process::new().with_exe("/srv/java").with_elf_sections([".svm_heap"]), Runtime::GraalVmNative);
    let aot = Process::new().with_exe("/app/Api").with_symbols(["DotNetRuntimeDebugHeader"]);
    assert_eq!((inspect(&aot).runtime, inspect(&aot).strategy), (Runtime::NativeAot, Strategy::Ebpf));
}

#[test]
fn runtimes_written_in_rust_are_not_rust_programs() {
    let comments = ["rustc version 1.95.0 (59807616e 2026-04-14)", "GCC: (Ubuntu 7.3.0-16ubuntu3) 7.3.0"];
    let deno =
        Process::new().with_comments(comments).with_elf_sections([".text"]).with_symbols(["napi_module_register"]);
    is(&deno.clone().with_exe("/usr/bin/deno"), Runtime::Deno);
    let bun = Process::new().with_comments(comments).with_elf_sections([".text", ".bun"]);
    is(&bun.clone().with_exe("/usr/local/bin/bun"), Runtime::Bun);
    // A program that Bun has packed into one file.
    assert_eq!(runtime(&bun.with_exe("/app/server")), (Runtime::Bun, Confidence::from_hundredths(80)));
}

#[test]
fn a_runtime_inside_another_program_is_not_its_language() {
    for (exe, library) in [
        ("/usr/bin/gdb", "/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0"),
        ("/usr/lib/postgresql/15/bin/postgres", "/usr/lib/x86_64-linux-gnu/libpython3.11.so.1.0"),
        ("/usr/lib/libreoffice/program/soffice.bin", "/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so"),
        ("/usr/bin/vim.nox", "/usr/lib/x86_64-linux-gnu/libruby-3.1.so.3.1"),
    ] {
        let process = Process::new().with_exe(exe).with_maps([GLIBC, library]);
        assert_eq!(runtime(&process), (Runtime::Unknown, Confidence::from_hundredths(50)));
        let inspection = inspect(&process);
        assert!(inspection.reasons.iter().any(|reason| reason.seen == library && reason.speaks == Speaks::Against));
    }
    // Python that starts a JVM in its own process.
    let both = Process::new().with_exe("/usr/bin/python3.11").with_maps(["/opt/jdk/lib/server/libjvm.so"]);
    assert_eq!(runtime(&both), (Runtime::CPython, Confidence::from_hundredths(70)));
}

#[test]
fn hosts_and_launchers() {
    let python = ["/usr/lib/libpython3.11.so.1.0"];
    is(&Process::new().with_exe("/usr/bin/uwsgi-core").with_maps(python), Runtime::CPython);
    is(
        &Process::new().with_exe("/usr/sbin/apache2").with_maps(["/usr/lib/apache2/modules/libphp8.2.so"]),
        Runtime::Php,
    );
    // Two languages in one server.
    let both = ["/usr/lib/apache2/modules/libphp8.2.so", "/usr/lib/libpython3.11.so.1.0"];
    is(&Process::new().with_exe("/usr/sbin/apache2").with_maps(both), Runtime::Unknown);
    let jpackage = ["/opt/shop/lib/runtime/lib/server/libjvm.so", "/opt/shop/lib/runtime/lib/libjli.so"];
    is(&Process::new().with_exe("/opt/shop/bin/shop").with_maps(jpackage), Runtime::Jvm);
    let apphost = [
        "/usr/share/dotnet/host/fxr/8.0.4/libhostfxr.so",
        "/usr/share/dotnet/shared/Microsoft.NETCore.App/8.0.4/libcoreclr.so",
    ];
    let process = Process::new().with_exe("/app/Shop").with_maps(apphost);
    assert_eq!((inspect(&process).runtime, inspect(&process).version), (Runtime::CoreClr, Some("8.0.4")));
    // A Go program that carries PHP.
    let franken = Process::new().with_exe("/usr/local/bin/frankenphp").with_maps(["/usr/local/lib/libphp.so"]);
    is(&franken.with_elf_sections([".go.buildinfo"]), Runtime::Php);
}

#[test]
fn titles_and_wrappers() {
    let puma = Process::new()
        .with_cmdline(["puma 5.6.5 (tcp://0.0.0.0:3000) [shop]"])
        .with_maps(["/usr/lib/libruby-3.1.so.3.1"]);
    assert_eq!((inspect(&puma).runtime, inspect(&puma).framework), (Runtime::CRuby, Some(Framework::Puma)));
    assert_eq!(inspect(&puma).version, Some("3.1"));
    let fpm = Process::new().with_cmdline(["php-fpm: pool www"]);
    assert_eq!(runtime(&fpm), (Runtime::Php, Confidence::from_hundredths(60)));
    let tini = Process::new().with_exe("/usr/bin/tini").with_cmdline(["tini", "--", "node", "x.js"]);
    let inspection = inspect(&tini);
    assert_eq!((inspection.runtime, inspection.wrapper), (Runtime::Unknown, Some("tini")));
    assert!(verdict(&tini).is_some());
    let busybox = |words: &[&'static str]| Process::new().with_exe("/bin/busybox").with_cmdline(words.iter().copied());
    assert_eq!(inspect(&busybox(&["/bin/sh", "-c", "x"])).wrapper, Some("sh"));
    assert_eq!(inspect(&busybox(&["httpd", "-f"])).wrapper, None);
    let npm = Process::new().with_exe("/usr/bin/node").with_cmdline(["node", "/usr/bin/npm", "start"]);
    let inspection = inspect(&npm);
    assert_eq!((inspection.runtime, inspection.wrapper), (Runtime::Node, Some("npm")));
    assert!(inspection.confidence < Confidence::SOLID);
    let jruby =
        Process::new().with_exe("/opt/java/bin/java").with_cmdline(["java", "-cp", "x", "org.jruby.Main", "app.rb"]);
    is(&jruby, Runtime::JRuby);
}

#[test]
fn titles_of_several_words() {
    let title = "[celeryd: celery@worker-0:MainProcess] -active- (-A shop worker -c 1)";
    let celery = Process::new().with_exe("/usr/local/bin/python3.11").with_cmdline([title, "", "", ""]);
    assert_eq!(inspect(&celery).framework, Some(Framework::Celery));
    let master = Process::new().with_cmdline(["gunicorn: master [shop:app]"]);
    assert_eq!(runtime(&master), (Runtime::CPython, Confidence::from_hundredths(60)));
    let next = Process::new().with_exe("/usr/local/bin/node").with_cmdline(["next-server (v15.1.0)"]);
    assert_eq!(inspect(&next).framework, Some(Framework::NextJs));
}

#[test]
fn a_launcher_of_the_jvm_and_a_program_with_one_inside() {
    let jvm = "/usr/lib/jvm/java-17-openjdk-amd64/lib/server/libjvm.so";
    let java = "/usr/lib/jvm/java-17-openjdk-amd64/lib/libjava.so";
    let launcher = Process::new().with_exe("/opt/shop").with_maps(["/opt/shop", GLIBC, jvm, java]);
    assert_eq!(runtime(&launcher), (Runtime::Jvm, Confidence::from_hundredths(60)));
    let maps = ["/opt/database", GLIBC, jvm, java, "/opt/lib/libstorage.so.3"];
    is(&Process::new().with_exe("/opt/database").with_maps(maps), Runtime::Unknown);
    is(
        &Process::new().with_exe("/opt/impala/bin/impalad").with_maps(["/opt/impala/bin/impalad", GLIBC, jvm]),
        Runtime::Unknown,
    );
}

#[test]
fn dotnet_in_one_file() {
    let is_sdk = |process: &Process<'_>| (inspect(process).runtime, inspect(process).strategy);
    let host = Process::new().with_exe("/app/shop").with_symbols(["DotNetRuntimeInfo"]).with_maps(["/app/shop"]);
    assert_eq!(is_sdk(&host), (Runtime::CoreClr, Strategy::Ebpf), "it may have been trimmed");
    // Without symbols the image's variable is left.
    let env = [("DOTNET_RUNNING_IN_CONTAINER", "true")];
    let stripped = |exe| Process::new().with_exe(exe).with_maps([GLIBC, "/usr/lib/libstdc++.so.6"]).with_env(env);
    assert_eq!(is_sdk(&stripped("/app/shop")), (Runtime::CoreClr, Strategy::Ebpf));
    is(&stripped("/usr/sbin/nginx"), Runtime::Unknown);
}

#[test]
fn frameworks() {
    let java = |word: &'static str| Process::new().with_exe("/usr/bin/java").with_cmdline(["java", "-jar", word]);
    let python =
        |words: &[&'static str]| Process::new().with_exe("/usr/bin/python3").with_cmdline(words.iter().copied());
    let script = |import: &'static str| Script::new("app.x", [import]);
    let go = |module: &'static str| {
        Process::new().with_go(GoBuildInfo::new("go1.26.0").with_modules([("shop", "(devel)"), (module, "v1.0.0")]))
    };
    let rust = |string: &'static str| Process::new().with_comments(["rustc version 1.95.0"]).with_strings([string]);
    let symbols = |symbol: &'static str| Process::new().with_symbols(["rust_panic", symbol]);
    for (process, expected) in [
        (java("/app/quarkus-run.jar"), Some(Framework::Quarkus)),
        (java("app.jar").with_files(["/app/lib/spring-boot-3.3.5.jar"]), Some(Framework::Spring)),
        (java("app.jar").with_script(script("org/springframework/boot/loader/")), Some(Framework::Spring)),
        (java("org.apache.catalina.startup.Bootstrap"), Some(Framework::Tomcat)),
        (java("springfield.jar"), None),
        (python(&["python3", "manage.py", "runserver"]), Some(Framework::Django)),
        (python(&["python3", "/usr/bin/uvicorn", "main:app"]), Some(Framework::FastApi)),
        (python(&["python3", "/usr/bin/uvicorn", "main:app"]).with_script(script("django")), Some(Framework::Django)),
        (python(&["python3", "-m", "celery", "worker"]), Some(Framework::Celery)),
        (python(&["python3", "/home/flask/run.py"]), None),
        (python(&["python3", "app.py"]).with_env([("FLASK_APP", "app")]), Some(Framework::Flask)),
        (Process::new().with_exe("/bin/node").with_script(script("express-session")), None),
        (Process::new().with_exe("/bin/node").with_script(script("@nestjs/core")), Some(Framework::NestJs)),
        (
            Process::new().with_exe("/usr/share/dotnet/dotnet").with_maps(["/x/Microsoft.AspNetCore.Http.dll"]),
            Some(Framework::AspNetCore),
        ),
        (go("github.com/gin-gonic/gin"), Some(Framework::Gin)),
        (go("github.com/labstack/echo/v4"), Some(Framework::Echo)),
        (go("github.com/gofiber/fiberless"), None),
        (rust("registry/src/index.crates.io-1949cf8c6b5b557f/axum-0.8.9/src/lib.rs"), Some(Framework::Axum)),
        (rust("registry/src/index.crates.io-1949cf8c6b5b557f/axum-core-0.5.6/src/lib.rs"), None),
        (symbols("_ZN4axum5serve17h0123456789abcdefE"), Some(Framework::Axum)),
        (symbols("_ZN5axums5serve17h0123456789abcdefE"), None),
        (symbols("_RNvNtCs1_6rocket6ignite"), Some(Framework::Rocket)),
        (symbols("_ZN108_$LT$actix_web..service..Factory$GT$8register17h0E"), Some(Framework::Actix)),
    ] {
        assert_eq!(inspect(&process).framework, expected, "{process:?}");
    }
}

#[test]
fn agents() {
    let vendors =
        |process: &Process<'_>| -> Vec<&str> { inspect(process).agents.iter().map(|agent| agent.vendor).collect() };
    let java = Process::new().with_cmdline(["java", "-javaagent:/opt/dd-java-agent.jar", "-jar", "x.jar"]);
    assert_eq!(vendors(&java), ["datadog"]);
    let hook = |name: &'static str, value: &'static str| Process::new().with_env([(name, value)]);
    assert_eq!(vendors(&hook("NODE_OPTIONS", "--require dd-trace/init")), ["datadog"]);
    assert_eq!(vendors(&hook("JAVA_TOOL_OPTIONS", "-javaagent:/otel/opentelemetry-javaagent.jar")), ["opentelemetry"]);
    assert_eq!(vendors(&hook("CORECLR_PROFILER", "{918728DD-259F-4A6A-AC2B-B85E1B658318}")), ["opentelemetry"]);
    assert_eq!(vendors(&hook("NODE_OPTIONS", "--require /obtrace/obtrace-loader.js")), ["obtrace"]);
    assert_eq!(vendors(&hook("PYTHONPATH", "/obtrace:/app")), ["obtrace"]);
    assert!(vendors(&hook("PYTHONPATH", "/home/obtrace:/obtraces")).is_empty());
    assert_eq!(vendors(&hook("LD_PRELOAD", "/opt/dynatrace/oneagent/agent/lib64/liboneagentproc.so")), ["dynatrace"]);
    assert!(vendors(&hook("API_URL", "https://newrelic.example")).is_empty());
    // What stands beside it may be a secret.
    let keyed = hook("JAVA_TOOL_OPTIONS", "-Xmx1g -javaagent:/opt/newrelic.jar -Dkey=secret");
    assert_eq!(inspect(&keyed).agents[0].seen, "/opt/newrelic.jar");
    let anaconda = Process::new().with_maps(["/opt/instanaconda/lib/libz.so"]);
    assert!(vendors(&anaconda).is_empty());
    let go = |module| Process::new().with_go(GoBuildInfo::new("go1.26").with_modules([(module, "v1.0.0")]));
    assert_eq!(vendors(&go("go.opentelemetry.io/otel/sdk")), ["opentelemetry"]);
    assert!(vendors(&go("go.opentelemetry.io/otel/trace")).is_empty(), "the interface alone observes nothing");
}

#[test]
fn versions_and_c_libraries() {
    let java = Process::new().with_exe("/opt/java/openjdk/bin/java").with_env([("JAVA_VERSION", "jdk-21.0.2+13")]);
    assert_eq!(inspect(&java).version, Some("21.0.2"));
    let php = Process::new().with_exe("/usr/sbin/php-fpm").with_maps(["/usr/lib/php/20220829/opcache.so"]);
    assert_eq!(inspect(&php).version, Some("8.2"));
    let rust = Process::new().with_comments(["rustc version 1.95.0 (59807616e 2026-04-14)"]);
    assert_eq!(inspect(&rust).version, Some("1.95.0"));
    let libc = |process: &Process<'_>| inspect(process).libc;
    assert_eq!(libc(&Process::new().with_interpreter("/lib64/ld-linux-x86-64.so.2")), Some(Libc::Glibc));
    assert_eq!(libc(&Process::new().with_maps(["/lib/ld-musl-x86_64.so.1"])), Some(Libc::Musl));
    assert_eq!(libc(&Process::new().with_elf_sections([".text"])), Some(Libc::Static));
    assert_eq!(libc(&Process::new()), None);
}

#[test]
fn reasons_read_well() {
    let process = Process::new().with_exe("/usr/local/bin/node").with_cmdline(["node", "server.js"]);
    let lines: Vec<String> = inspect(&process).reasons.iter().map(|reason| format!("{reason}")).collect();
    assert_eq!(lines, ["process: \"node\" is the executable's name"]);
}
