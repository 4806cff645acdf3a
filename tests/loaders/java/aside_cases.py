"""Where the loader must do nothing: switched off, tools, agents of others, an SDK of the application's own."""

from java.rig import AGENT, APPS, QUICK, VERSIONS, artifact, compiled, dependencies, environment, jdk, main_classes, ours
from world import equal, expect

# The vendors' own agents, as Maven Central has them, and what keeps each from waiting for a receiver that is not there.
AGENTS = (
    ("Elastic APM", "co.elastic.apm:elastic-apm-agent:1.55.1", {"ELASTIC_APM_DISABLE_SEND": "true", "ELASTIC_APM_CLOUD_PROVIDER": "NONE"}),
    ("Datadog", "com.datadoghq:dd-java-agent:1.68.1",
     {"DD_TRACE_AGENT_URL": "http://127.0.0.1:9", "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false"}),
    ("New Relic", "com.newrelic.agent.java:newrelic-agent:8.19.0",
     {"NEW_RELIC_LICENSE_KEY": "0" * 40, "NEW_RELIC_APP_NAME": "orders", "NEW_RELIC_HOST": "127.0.0.1", "NEW_RELIC_PORT": "9",
      "NEW_RELIC_LOG": "STDOUT"}),
    ("OpenTelemetry", "io.opentelemetry.javaagent:opentelemetry-javaagent:2.33.1",
     {"OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}),
)


def without_us(env):
    """The same variables but for our agent; options of others stay."""
    left = {**env, "JAVA_TOOL_OPTIONS": env["JAVA_TOOL_OPTIONS"].replace(AGENT, "").strip()}
    return {name: value for name, value in left.items() if name != "JAVA_TOOL_OPTIONS" or value}


def aside(world, env, what, *command, reason, same=lambda text: text):
    """A run with us that steps aside: its debug line says why, and it is as it is without us; what it said on standard error."""
    runs = [world.start(*command, env={**env, "OBTRACE_DEBUG": "1"}), world.start(*command, env=without_us(env))]
    equal([run.wait(120) for run in runs], [0, 0], f"exit codes: {what}: {runs[0].err[-800:]}")
    equal(same(runs[0].out), same(runs[1].out), f"output: {what}")
    said = ours(runs[0].err)
    equal(len(said), 1, f"debug lines of {what} in {runs[0].err[:800]}")
    expect(said[0].startswith("[obtrace] steps aside: ") and reason in said[0], f"{what}: {said}")
    return [run.err for run in runs]


def alone(world, *arguments, **more):
    """As above, where nobody else adds to the boot class path."""
    err, _ = aside(world, *arguments, **more)
    expect("Sharing is only" not in err, f"the boot class path was changed: {err}")


def steps_aside(world):
    """OBTRACE_DISABLED, no URL, and on every runtime of the tests `java -version` and the JDK's tools: untouched, and said."""
    world.mount(world.volume("java"))
    env = environment(world, "http://127.0.0.1:9", ["java", "Main"])
    main = (jdk(world), "-cp", main_classes(world), "Main", "return")
    alone(world, {**env, "OBTRACE_DISABLED": "True"}, "disabled", *main, reason="OBTRACE_DISABLED")
    for url in ("", "ftp://x"):
        alone(world, {**env, "OBTRACE_INGEST_URL": url}, "no URL", *main, reason="OBTRACE_INGEST_URL")
    for version in VERSIONS:
        alone(world, env, "a question", jdk(world, version), "-version", reason="question")
        alone(world, env, "keytool", jdk(world, version, "keytool"), "-help", reason="is a tool")
    alone(world, env, "javac", jdk(world, tool="javac"), "-version", reason="is a tool")
    alone(world, env, "jcmd", jdk(world, tool="jcmd"), "-h", reason="is a tool")
    return f"on {', '.join(map(str, VERSIONS))}"


def of_the_program(text):
    """What the program itself printed, none of its agent's words."""
    return [line for line in text.splitlines() if line in ("begins", "ends", "flavour null", "said by a child", "child 7")]


def real_agents(world):
    """The agents of Elastic, Datadog, New Relic and OpenTelemetry: before the class path and behind it on the command line, in a file of
    options, before us in JAVA_TOOL_OPTIONS. Two agents would rewrite the same classes: theirs starts as without us, ours says why it does not."""
    world.mount(world.volume("java"))
    classes, file = main_classes(world), world.folder / "options"
    for index, (vendor, coordinates, variables) in enumerate(AGENTS):
        option = f"-javaagent:{artifact(world, coordinates)}"
        env = {**environment(world, "http://127.0.0.1:9", ["java", "Main"]), **variables}
        file.write_text(f'-Xmx256m\n"{option}"\n')
        places = ((option, "-cp", classes), ("-cp", classes, option), (f"@{file}", "-cp", classes), ("-cp", classes))
        if index == len(places) - 1:
            env["JAVA_TOOL_OPTIONS"] = f"-Xmx256m -Dtext=$(NOT_EXPANDED) {option} {AGENT}"
        command = (jdk(world), *QUICK, *places[index], "Main", "return")
        errors = aside(world, env, vendor, *command, reason=f"{vendor}'s agent is there", same=of_the_program)
        equal(*("Sharing is only" in error for error in errors), f"{vendor}'s agent starts with us as without")
    return ", ".join(vendor for vendor, _, _ in AGENTS)


def own_sdk(world):
    """An application with an OpenTelemetry SDK of its own, on the class path or in an executable jar: its spans reach its exporter, all
    of them and with ids of its own, and nothing is sent by us."""
    world.mount(world.volume("java"))
    env = environment(world, "http://127.0.0.1:9", ["java", "Main"])
    jars = dependencies(world, APPS / "sdk")
    classes = compiled(world, "sdk", APPS / "sdk/Own.java", f"{jars}/*")
    alone(world, env, "own SDK", jdk(world), "-cp", f"{classes}:{jars}/*", "Own", reason="OpenTelemetrySdk")
    sdk = next(jars.glob("opentelemetry-sdk-1*.jar"))
    fat = world.folder / "fat"
    (fat / "BOOT-INF/lib").mkdir(parents=True)
    (fat / "BOOT-INF/lib" / sdk.name).write_bytes(sdk.read_bytes())
    (fat / "Main.class").write_bytes((main_classes(world) / "Main.class").read_bytes())
    world.run(jdk(world, tool="jar"), "--create", "--file", world.folder / "fat.jar", "--main-class", "Main", "-C", fat, ".")
    alone(world, env, "own SDK in a jar", jdk(world), "-jar", world.folder / "fat.jar", "return", reason=sdk.name)
    out = world.applications[0].out
    equal(out, "exported work below call\nexported call\n", "what its exporter got")
    return "class path, executable jar"


CASES = [steps_aside, real_agents, own_sdk]
