"""What the replay tests have from outside: Python's packages, jars, Node.js' packages, programs in Go. All of it is kept in a cache folder."""

import hashlib
import os
import pathlib
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).resolve().parent
MONGO_JAVA_VERSION, PYMONGO_VERSION = "1.46.0", "4.6.3"
KAFKA_VERSION, KAFKAJS_VERSION, SLF4J_VERSION = "3.9.1", "2.2.4", "1.7.36"
GRPC_JS_VERSION, MYSQL2_VERSION, MONGODB_JS_VERSION, MQTT_JS_VERSION = "1.14.7", "3.24.6", "7.9.0", "5.16.0"


def python():
    """The interpreter with the clients' libraries: kept in a cache folder, made again when the list changes."""
    folder, wanted = cache() / "replay-venv", (HERE / "requirements.txt").read_text()
    done = folder / "requirements.txt"
    if not done.exists() or done.read_text() != wanted:
        print(f"installing the clients into {folder}", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "-r", HERE / "requirements.txt"], check=True)
        done.write_text(wanted)
    return folder / "bin/python"


def cache():
    return pathlib.Path(os.environ.get("OBTRACE_CACHE") or pathlib.Path.home() / ".cache/obtrace-zero")


def from_maven(name, version, *artifacts):
    """The folder with these jars and what they need, kept in a cache folder; an artifact is `group:name:version`."""
    folder = cache() / name / version
    if not (folder / "done").exists():
        folder.mkdir(parents=True, exist_ok=True)
        parts = (artifact.split(":") for artifact in artifacts)
        wanted = "".join(f"<dependency><groupId>{group}</groupId><artifactId>{one}</artifactId><version>{at}</version></dependency>" for group, one, at in parts)
        project = f"""<project><modelVersion>4.0.0</modelVersion><groupId>test</groupId><artifactId>{name}</artifactId><version>1</version>
            <dependencies>{wanted}</dependencies></project>"""
        (folder / "pom.xml").write_text(project)
        subprocess.run(["mvn", "-q", "dependency:copy-dependencies", f"-DoutputDirectory={folder / 'lib'}"], cwd=folder, check=True)
        (folder / "done").write_text(version)
    return folder / "lib"


def kafka_jars():
    return from_maven("kafka", KAFKA_VERSION, f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}")


def kafka_client():
    """The Java client, and what writes its log."""
    return from_maven("kafka-client", KAFKA_VERSION, f"org.apache.kafka:kafka-clients:{KAFKA_VERSION}", f"org.slf4j:slf4j-simple:{SLF4J_VERSION}")


def from_npm(package, version):
    """The folder in which Node.js finds this package, kept in a cache folder."""
    folder = cache() / package.replace("/", "-") / version
    if not (folder / "node_modules" / package).exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "install", "--silent", "--prefix", folder, f"{package}@{version}"], check=True, stdin=subprocess.DEVNULL, timeout=300)
    return folder / "node_modules"


def kafkajs():
    return from_npm("kafkajs", KAFKAJS_VERSION)


def from_go(name):
    """A Go program of ours in `servers`, built in a cache folder when its files changed."""
    source = HERE / "servers" / name
    text = "".join((source / file).read_text() for file in ("go.mod", "go.sum", "main.go"))
    folder = cache() / name / hashlib.sha256(text.encode()).hexdigest()[:16]
    if not (folder / name).exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["go", "build", "-mod=readonly", "-o", folder / name, "."], cwd=source, check=True)
    return folder / name


def grpc_go():
    return from_go("grpc_go")


def grpc_js():
    return from_npm("@grpc/grpc-js", GRPC_JS_VERSION)


def mysql2():
    return from_npm("mysql2", MYSQL2_VERSION)


def mongodb_js():
    return from_npm("mongodb", MONGODB_JS_VERSION)


def mqtt_js():
    return from_npm("mqtt", MQTT_JS_VERSION)


def mongo_java_server():
    return from_maven("mongo-java-server", MONGO_JAVA_VERSION, f"de.bwaldvogel:mongo-java-server:{MONGO_JAVA_VERSION}")


def older_pymongo():
    """The last PyMongo that speaks with it."""
    folder = cache() / "pymongo" / PYMONGO_VERSION
    if not (folder / "pymongo").exists():
        subprocess.run([python(), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", folder, f"pymongo=={PYMONGO_VERSION}"], check=True)
    return folder


# What comes from outside, by what is played.
PARTS = {
    "grpc-go": (grpc_go,), "grpc-node": (grpc_js,), "kafka": (kafka_jars, kafkajs), "kafka-sasl": (kafka_jars, kafkajs, kafka_client),
    "mongodb-java": (mongo_java_server, older_pymongo), "mongodb-node": (mongodb_js,), "mqtt-node": (mqtt_js,), "mysql-node": (mysql2,),
}


def prepare(names):
    """Has everything here that is needed. In the namespace there is no way to the outside."""
    for part in dict.fromkeys(part for name in names for part in PARTS.get(name, ())):
        part()
    return python()
