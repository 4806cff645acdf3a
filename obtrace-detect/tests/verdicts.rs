//! Verdicts on containers as clusters run them, one test a rule.

use std::borrow::Cow;

use obtrace_detect::{
    Confidence, Detection, Detector, EnvVar, Evidence, Framework, ImageConfig, Language, Observation, Runtime, Speaks,
    detect,
};

fn words(line: &str) -> Vec<Cow<'_, str>> {
    line.split_ascii_whitespace().map(Cow::Borrowed).collect()
}

/// The runtime of a command line in an image, and of a script in a shell.
fn of_command(image: &str, line: &str) -> (Runtime, Option<Framework>) {
    let command = words(line);
    let detection = detect(&Evidence::new().with_image(image).with_command(&command));
    (detection.runtime, detection.framework)
}

fn of_script(image: &str, script: &str) -> Runtime {
    let command = ["/bin/sh".into(), "-c".into(), script.into()];
    detect(&Evidence::new().with_image(image).with_command(&command)).runtime
}

/// The runtime by the words of the image reference alone.
fn of_words(image: &str) -> Runtime {
    Detector::new().with_catalogue(false).detect(&Evidence::new().with_image(image)).runtime
}

fn of_env(image: &str, variables: &[(&str, &str)]) -> (Language, Option<Framework>) {
    let env: Vec<_> = variables.iter().map(|(name, value)| EnvVar::new(*name, *value)).collect();
    let detection = detect(&Evidence::new().with_image(image).with_env(&env));
    (detection.language, detection.framework)
}

fn says(detection: &Detection<'_>, text: &str) -> bool {
    detection.evidence.iter().any(|reason| reason.to_string().contains(text))
}

#[test]
fn every_row_of_the_vocabulary_gives_its_language() {
    for (image, language) in [
        ("node:20", Language::NodeJs),
        ("oven/bun:1", Language::NodeJs),
        ("denoland/deno:2.0.0", Language::NodeJs),
        ("python:3.12-slim", Language::Python),
        ("acme/fastapi-shop:3", Language::Python),
        ("acme/flask:1", Language::Python),
        ("acme/my-django-site", Language::Python),
        ("openjdk:17-slim", Language::Java),
        ("eclipse-temurin:21-jre", Language::Java),
        ("amazoncorretto:17", Language::Java),
        ("mcr.microsoft.com/dotnet/runtime:8.0", Language::DotNet),
        ("mcr.microsoft.com/dotnet/aspnet:8.0", Language::DotNet),
        ("php:8.3-fpm", Language::Php),
        ("acme/laravel-shop", Language::Php),
        ("acme/symfony:6", Language::Php),
        ("ruby:3.3", Language::Ruby),
        ("acme/rails-app:1", Language::Ruby),
        ("acme/puma:1", Language::Ruby),
        ("golang:1.23", Language::Go),
        ("rust:1.80", Language::Rust),
    ] {
        for catalogue in [true, false] {
            let detection = Detector::new().with_catalogue(catalogue).detect(&Evidence::new().with_image(image));
            assert_eq!(detection.language, language, "{image}, catalogue {catalogue}");
            // Without the catalogue, a word in front of the last component says less.
            let least = if catalogue || !image.contains("dotnet/runtime") { 90 } else { 70 };
            assert!(detection.confidence.hundredths() >= least, "{image}: {}", detection.confidence);
        }
    }
}

#[test]
fn words_are_whole_and_no_word_of_another_meaning_decides() {
    for image in [
        "ubuntu:22.04",
        "acme/bunny:1",
        "quay.io/jetstack/trust-manager:1",
        "acme/guardrails:2",
        "acme/denormalizer:1",
        "node01.example:5000/acme/shop:1",
        "prom/node-exporter:v1.8.0",
        "hipages/php-fpm_exporter:2",
        "calico/node:v3.28.0",
        "registry.k8s.io/sig-storage/csi-node-driver-registrar:v2.9",
        "acme/python-operator:1",
        "acme/ruby-agent",
        "acme/java-dashboard:3",
        "hyperledger/besu-node:24",
        "parity/polkadot-node:1",
        "acme/storage-node:1",
        "acme/django-db:14",
        "acme/wordpress-mysql:8",
        "acme/laravel-nginx:1",
        "acme/python-node:1",
        "acme/worker-node:1",
        "acme/express-checkout:2",
        "acme/passenger-service:1",
        "acme/unicorn-shop:1",
        "acme/mono-api:1",
    ] {
        assert_eq!(of_words(image), Runtime::Unknown, "{image}");
    }
}

#[test]
fn names_and_tags_tell_what_they_mean() {
    for (image, runtime) in [
        ("acme/web-node:1.4", Runtime::Node),
        ("acme/node-api", Runtime::Node),
        ("acme/node-worker", Runtime::Node),
        ("acme/checkout-node", Runtime::Node),
        ("acme/next-js-shop", Runtime::Node),
        ("gcr.io/distroless/nodejs20-debian12", Runtime::Node),
        ("registry.example/base/node:20-alpine", Runtime::Node),
        ("gcr.io/distroless/python3-debian12", Runtime::CPython),
        ("ubi9/python-312", Runtime::CPython),
        ("acme/api:2.3-python3.12", Runtime::CPython),
        ("acme/api:1.0-jre17", Runtime::Jvm),
        ("acme/shop:7-node20", Runtime::Node),
        ("acme/spring-boot-demo", Runtime::Jvm),
        ("acme/flaskapp:1", Runtime::CPython),
        ("acme/php-nginx:1", Runtime::Php),
        ("acme/python-redis:1", Runtime::CPython),
        ("acme/python/web:1", Runtime::CPython),
        ("acme/quarkus-shop:1.0-native", Runtime::GraalVmNative),
        ("mcr.microsoft.com/dotnet/runtime-deps:8.0-noble-chiseled-aot", Runtime::NativeAot),
        ("jruby:9.4-jre21", Runtime::JRuby),
    ] {
        assert_eq!(of_words(image), runtime, "{image}");
    }
}

#[test]
fn a_command_goes_before_the_image() {
    assert_eq!(of_command("node:20", "python app.py"), (Runtime::CPython, None));
    assert_eq!(of_command("acme/web-node", "nginx -g daemon"), (Runtime::Unknown, None));
    assert_eq!(of_command("python:3", "sleep infinity"), (Runtime::Unknown, None));
    assert_eq!(
        of_command("acme/x", "java -jar /deployments/quarkus-run.jar"),
        (Runtime::Jvm, Some(Framework::Quarkus))
    );
    assert_eq!(of_command("acme/x", "dotnet Shop.dll").0, Runtime::CoreClr);
    assert_eq!(of_command("acme/x", "/ko-app/controller").0, Runtime::Go);
    assert_eq!(of_command("acme/x", "./application -Dquarkus.http.host=0.0.0.0").0, Runtime::GraalVmNative);
    assert_eq!(of_command("acme/quarkus-shop", "./application").0, Runtime::GraalVmNative);
    assert_eq!(of_command("acme/cloud-native-java", "/entrypoint.sh").0, Runtime::Jvm);
    assert_eq!(of_command("acme/x", "/srv/shop/bin/shop -Dhttp.port=9000").0, Runtime::Jvm);
    assert_eq!(of_command("acme/x", "/opt/spark/bin/spark-submit --class Shop shop.jar").0, Runtime::Jvm);
    assert_eq!(of_command("acme/x", "/opt/spark/bin/spark-submit shop.py").0, Runtime::Unknown);
    assert_eq!(of_command("acme/x", "/opt/python-tools/bin/balancer").0, Runtime::Unknown);
    assert_eq!(of_command("acme/x", "catalina.sh run"), (Runtime::Jvm, Some(Framework::Tomcat)));
    assert_eq!(of_command("acme/x", "bun run server.ts").0, Runtime::Bun);
    assert_eq!(of_command("jruby:9", "bundle exec rails s"), (Runtime::JRuby, Some(Framework::Rails)));
    assert_eq!(of_command("acme/x", "/srv/.venv/bin/shop serve").0, Runtime::CPython);
}

#[test]
fn a_program_that_nobody_knows_leaves_it_to_the_image_only_where_it_may_be_its() {
    assert_eq!(of_command("python:3", "shop-server --port 80").0, Runtime::CPython);
    assert_eq!(of_command("node:20", "/entrypoint.sh").0, Runtime::Node);
    assert_eq!(of_command("node:20", "/usr/local/bin/litestream replicate").0, Runtime::Unknown);
    assert_eq!(of_command("eclipse-temurin:21", "/srv/shop/bin/shop").0, Runtime::Jvm);
    assert_eq!(of_command("eclipse-temurin:21", "/bin/kafka_exporter").0, Runtime::Unknown);
    assert_eq!(of_command("mcr.microsoft.com/dotnet/aspnet:8.0", "./Shop.Api").0, Runtime::CoreClr);
}

#[test]
fn wrappers_are_read_through() {
    for line in [
        "tini -- node server.js",
        "dumb-init node server.js",
        "env NODE_ENV=production node server.js",
        "gosu node node server.js",
        "/docker-entrypoint.sh node server.js",
        "doppler run -- node server.js",
        "timeout 60 nice -n 5 node server.js",
        "wait-for-it.sh db:5432 -t 30 -- node server.js",
        "./wait.sh db:5432 node server.js",
        "npx tsx server.ts",
        "pm2-runtime start ecosystem.config.js",
    ] {
        assert_eq!(of_command("alpine:3", line).0, Runtime::Node, "{line}");
    }
    assert_eq!(of_command("x", "ddtrace-run opentelemetry-instrument gunicorn shop.wsgi").1, Some(Framework::Django));
    assert_eq!(of_command("x", "poetry run shop").0, Runtime::CPython);
    assert_eq!(of_command("x", "poetry install").0, Runtime::Unknown);
    assert_eq!(of_command("x", "./bin/thrust ./bin/rails server"), (Runtime::CRuby, Some(Framework::Rails)));
    assert_eq!(of_command("x", "bunx --bun next start"), (Runtime::Bun, Some(Framework::NextJs)));
}

#[test]
fn scripts_are_read_as_far_as_they_go() {
    for (script, runtime) in [
        ("node server.js", Runtime::Node),
        ("cd /srv && PORT=80 exec node server.js", Runtime::Node),
        ("set -e\nexport A=b\nexec \"$JAVA_HOME/bin/java\" -jar 'app.jar'", Runtime::Jvm),
        ("python manage.py migrate && gunicorn shop.wsgi", Runtime::CPython),
        ("npm run build && nginx -g 'daemon off;'", Runtime::Unknown),
        ("python render.py; exec java -jar app.jar", Runtime::Jvm),
        ("php-fpm -D && nginx -g 'daemon off;'", Runtime::Php),
        ("php-fpm & nginx", Runtime::Php),
        ("case $ROLE in web|api) node web.js;; *) node worker.js ;; esac", Runtime::Node),
        ("case $ROLE in\n(web)\n  node web.js\n  ;;\n*) ruby worker.rb;;\nesac", Runtime::Unknown),
        ("case x in esac; python app.py", Runtime::CPython),
        ("$(which node) server.js", Runtime::Node),
        ("node a.js & python b.py", Runtime::Unknown),
        ("node a.js & node b.js & wait", Runtime::Node),
        ("until nc -z db 5432; do sleep 1; done; python app.py", Runtime::CPython),
        ("while true; do python job.py; sleep 60; done", Runtime::CPython),
        ("if python check.py; then java -jar app.jar; fi", Runtime::Jvm),
        ("python init.py && tail -f /dev/null", Runtime::Unknown),
        ("java -jar a.jar | tee log", Runtime::Jvm),
        ("test -f x || python app.py", Runtime::CPython),
        ("python app.py || exit 1", Runtime::CPython),
        ("node app.js || java -jar b.jar", Runtime::Unknown),
        ("(cd a && node a.js) & (cd b && ruby b.rb)", Runtime::Unknown),
        ("/opt/tomcat/bin/catalina.sh start && tail -f log", Runtime::Jvm),
        ("bash -lc 'exec su-exec app bundle exec puma'", Runtime::CRuby),
        ("cat <<EOF > x\na\nEOF\nnode x.js", Runtime::Unknown),
        ("$RUN", Runtime::Unknown),
        ("curl http://shop/ | sh", Runtime::Unknown),
    ] {
        assert_eq!(of_script("alpine:3", script), runtime, "{script}");
    }
    let command = ["sh".into(), "-c".into(), "exec \"$@\"".into(), "sh".into(), "ruby".into(), "app.rb".into()];
    assert_eq!(detect(&Evidence::new().with_command(&command)).runtime, Runtime::CRuby);
}

#[test]
fn two_runtimes_are_named_both() {
    let command = ["sh".into(), "-c".into(), "node a.js & python b.py".into()];
    let detection = detect(&Evidence::new().with_command(&command));
    assert_eq!((detection.language, detection.confidence), (Language::Unknown, Confidence::NOTHING));
    assert!(says(&detection, "Node.js") && says(&detection, "Python") && says(&detection, "two runtimes"));
}

#[test]
fn arguments_alone_are_a_command_only_if_they_look_like_one() {
    let of = |image: &str, line: &str| {
        let args = words(line);
        detect(&Evidence::new().with_image(image).with_args(&args)).runtime
    };
    assert_eq!(of("acme/shop", "python app.py"), Runtime::CPython);
    assert_eq!(of("acme/shop", "bundle exec sidekiq"), Runtime::CRuby);
    assert_eq!(of("gcr.io/distroless/nodejs20", "server.js"), Runtime::Node);
    assert_eq!(of("acme/shop", "node server.js"), Runtime::Node);
    assert_eq!(of("acme/ebs-csi", "node --endpoint=unix:/csi.sock"), Runtime::Unknown);
    assert_eq!(of("acme/shop", "node"), Runtime::Unknown);
    assert_eq!(of("acme/shop", "--port 80"), Runtime::Unknown);
    assert_eq!(of("redis:7", "--appendonly yes"), Runtime::Unknown);
    assert_eq!(of("acme/load", "run /scripts/test.js"), Runtime::Unknown);
    assert_eq!(of("mongo:7", "/scripts/init.js"), Runtime::Unknown);
}

#[test]
fn kubernetes_words_replace_those_of_the_image() {
    let config = ImageConfig::new()
        .with_entrypoint(vec!["tini".into(), "--".into()])
        .with_cmd(vec!["node".into(), "server.js".into()]);
    let of = |command: &str, args: &str| {
        let (command, args) = (words(command), words(args));
        let evidence = Evidence::new().with_image_config(&config).with_command(&command).with_args(&args);
        detect(&evidence).runtime
    };
    assert_eq!(of("", ""), Runtime::Node);
    assert_eq!(of("", "ruby app.rb"), Runtime::CRuby);
    assert_eq!(of("python", "app.py"), Runtime::CPython);
    assert_eq!(of("tini", ""), Runtime::Unknown, "command drops Cmd");
}

#[test]
fn an_image_config_tells_its_runtime() {
    let of = |variables: &[(&'static str, &'static str)]| {
        let env = variables.iter().map(|(name, value)| EnvVar::new(*name, *value)).collect();
        let config = ImageConfig::new().with_env(env).with_cmd(vec!["/entrypoint.sh".into()]);
        detect(&Evidence::new().with_image_config(&config)).runtime
    };
    assert_eq!(of(&[("PYTHON_VERSION", "3.12")]), Runtime::CPython);
    assert_eq!(of(&[("JAVA_HOME", "/x"), ("JRUBY_VERSION", "9.4")]), Runtime::JRuby);
    assert_eq!(of(&[("RUBY_VERSION", "3.3"), ("NODE_VERSION", "20")]), Runtime::Unknown);
    assert_eq!(of(&[("RUBY_VERSION", "3.3"), ("NODE_ENV", "production")]), Runtime::CRuby);
    assert_eq!(of(&[("PATH", "/bin")]), Runtime::Unknown);
}

#[test]
fn variables_tell_by_degrees() {
    let spring = (Language::Java, Some(Framework::Spring));
    assert_eq!(of_env("acme/shop", &[("SPRING_PROFILES_ACTIVE", "prod")]), spring);
    assert_eq!(of_env("acme/shop", &[("JAVA_OPTS", "-Xmx1g -Dspring.config.location=/etc")]), spring);
    assert_eq!(of_env("acme/shop", &[("RAILS_ENV", "x"), ("NODE_ENV", "x")]), (Language::Ruby, Some(Framework::Rails)));
    assert_eq!(of_env("acme/shop", &[("NODE_NAME", "x"), ("NODE_IP", "x")]), (Language::Unknown, None));
    assert_eq!(of_env("acme/shop", &[("JAVA_OPTS", ""), ("PYTHONPATH", "/x")]), (Language::Unknown, None));
    assert_eq!(of_env("postgres:16", &[("JAVA_OPTS", "")]), (Language::Unknown, None));
    assert_eq!(of_env("acme/shop", &[("NODE_ENV", "production")]), (Language::NodeJs, None));
    assert_eq!(of_env("acme/shop-ui", &[("NODE_ENV", "production")]), (Language::Unknown, None));
    assert_eq!(of_env("acme/shop", &[("ConnectionStrings__Shop", "")]), (Language::DotNet, None));
    assert_eq!(of_env("acme/shop", &[("DJANGO_API_URL", "http://x")]), (Language::Unknown, None));
}

#[test]
fn a_hint_goes_before_everything() {
    let env = [EnvVar::new("OBTRACE_LANGUAGE", "Python")];
    let labels = [("obtrace.io/language".into(), "ruby".into())];
    let evidence = Evidence::new().with_image("node:20").with_labels(&labels);
    let by_label = detect(&evidence);
    assert_eq!((by_label.language, by_label.confidence), (Language::Ruby, Confidence::HINT));
    let by_env = detect(&evidence.with_env(&env).with_hint("php"));
    assert_eq!(by_env.language, Language::Python);
    assert!(by_env.evidence.iter().any(|reason| reason.speaks == Speaks::Against), "{by_env:?}");
    // A hint names the language; which of its runtimes it is, the image knows.
    let bun = detect(&Evidence::new().with_image("oven/bun:1").with_hint("nodejs"));
    assert_eq!((bun.language, bun.runtime), (Language::NodeJs, Runtime::Bun));
    assert_eq!(detect(&Evidence::new().with_hint("jruby")).runtime, Runtime::JRuby);
    let unheard = detect(&Evidence::new().with_image("ruby:3").with_hint("cobol"));
    assert_eq!(unheard.language, Language::Ruby);
    assert!(says(&unheard, "no language that is known"));
}

#[test]
fn an_observation_goes_before_the_command() {
    let command = ["node".into(), "server.js".into()];
    let seen = Observation::new(Runtime::Bun, Some(Framework::Express));
    let detection = detect(&Evidence::new().with_command(&command).with_observation(seen));
    assert_eq!((detection.runtime, detection.framework), (Runtime::Bun, Some(Framework::Express)));
    let nothing =
        detect(&Evidence::new().with_command(&command).with_observation(Observation::new(Runtime::Unknown, None)));
    assert_eq!(nothing.language, Language::Unknown);
}

#[test]
fn infrastructure_is_said() {
    let infrastructure = |image: &str| detect(&Evidence::new().with_image(image).with_hint("nodejs")).infrastructure;
    assert!(infrastructure("docker.io/istio/proxyv2:1.22") && infrastructure("registry.k8s.io/kube-proxy:v1.31"));
    assert!(!infrastructure("node:20") && !infrastructure("acme/shop"));
}
