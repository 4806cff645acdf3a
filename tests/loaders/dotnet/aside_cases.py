"""The contract's section 2 on .NET: reasons to step aside, and what is none. Of other vendors' agents and of the SDK itself no package can be had
here (NuGet): files with their names and the variables of their documentation stand in."""

import json
import shutil
import signal

from dotnet.rig import HOOK, INVARIANT, NEW, UNSUPPORTED, clean, compiled, host, launch, observed, on_each, run, variables
from upstream import Upstream
from world import equal, expect

@on_each
def steps_aside(world, version):
    """An operator could not switch us off, or a tool of the SDK would be observed as if it were the application. Every reason is said
    once where OBTRACE_DEBUG is set, and nothing is said where it is not."""
    reasons = {
        "OBTRACE_DISABLED is set": {"OBTRACE_DISABLED": "true"},
        "OBTRACE_INGEST_URL": {"OBTRACE_INGEST_URL": ""},
        "no http(s) URL": {"OBTRACE_INGEST_URL": "ftp://example.com"},
        "CORECLR_PROFILER_PATH": {"CORECLR_ENABLE_PROFILING": "1", "CORECLR_PROFILER_PATH": "/opt/datadog/missing.so"},
        "ASPNETCORE_HOSTINGSTARTUPASSEMBLIES": {"ASPNETCORE_HOSTINGSTARTUPASSEMBLIES": "SkyAPM.Agent.AspNetCore"},
    }
    with observed(world) as receiver, Upstream() as upstream:
        for reason, extra in reasons.items():
            for debug in ("", "1"):
                application = launch(world, version, "Calls", "get", f"{upstream.url}/a", to=receiver, extra={**extra, "OBTRACE_DEBUG": debug})
                equal(application.wait(30), 0, f"{reason}: exit code")
                equal(application.out, "200 ok\n", f"{reason}: output")
                ours = [line for line in application.err.splitlines() if line.startswith("[obtrace] ")]
                equal(len(ours), 1 if debug else 0, f"{reason}: lines {ours}")
                expect(not debug or reason in ours[0], f"{reason}: {ours}")
        equal(receiver.requests, [], "requests")
        expect(all("traceparent" not in headers for _, headers in upstream.seen), "context is passed on")


@on_each
def switched_off_by_false_is_on(world, version):
    """`OBTRACE_DISABLED=false` would switch us off."""
    with observed(world) as receiver, Upstream() as upstream:
        run(world, version, "Calls", "get", f"{upstream.url}/a", to=receiver, extra={"OBTRACE_DISABLED": "False"})
        equal(len(receiver.spans()), 1, "spans")


def beside(world, name, *more, within=""):
    """A copy of the application's folder where it has another name, with more assemblies in it; the application's path."""
    base = world.folder / f"beside-{name}-{'-'.join(more)}".replace(".", "-")
    folder = base / within
    if not base.exists():
        shutil.copytree(compiled(world, "Calls"), folder)
        for ending in ("dll", "runtimeconfig.json"):
            (folder / f"Calls.{ending}").rename(folder / f"{name}.{ending}")
        for it in more:
            shutil.copy(folder / f"{name}.dll", folder / it)
    return folder / f"{name}.dll"


@on_each
def own_sdk(world, version):
    """An application with an OpenTelemetry SDK of its own would be told of twice. Its API alone is no reason, nor is a name that begins as those
    of tools do. `dotnet build` and its like would be observed as if they were the application, or say something else. The assemblies here have the
    SDK's and the tools' file names only: the packages cannot be had."""
    with observed(world) as receiver, Upstream() as upstream:
        for application, spans in ((beside(world, "Calls", "OpenTelemetry.dll"), 0), (beside(world, "Calls", "OpenTelemetry.Api.dll"), 1),
                                   (beside(world, "dotnet-shop"), 1),
                                   (beside(world, "dotnet-ef", within=".store/dotnet-ef/8.0.0/tools/net8.0/any"), 0),
                                   (beside(world, "MSBuild"), 0)):
            before = len(receiver.spans())
            started = world.start(host(world, version), application, "get", f"{upstream.url}/a", env=variables(world, receiver.url))
            equal(started.result(30), (0, "200 ok\n", ""), f"{application}")
            equal(len(receiver.spans()) - before, spans, f"spans of {application}")


@on_each
def own_sdk_that_comes_late(world, version):
    """An SDK that nobody lists before it is loaded, in a plugin or a single file, would tell of everything a second time."""
    sdk = compiled(world, "OpenTelemetry") / "OpenTelemetry.dll"
    with observed(world) as receiver, Upstream() as upstream:
        application = launch(world, version, "Odd", "late", f"{upstream.url}/a", sdk, to=receiver, extra={"OBTRACE_DEBUG": "1"})
        equal((application.wait(30), application.out), (0, "ok\nok\n"), "code and output")
        expect("steps aside: the application loaded an SDK of its own: OpenTelemetry\n" in application.err, f"said: {application.err}")
        equal(["traceparent" in headers for _, headers in upstream.seen], [True, False], "context is passed on before and after")
        equal((len(receiver.spans()), receiver.metrics()), (1, []), "spans and metrics")


# The variables of other vendors' agents by their documentation, and a word of the reason that they are.
VENDORS = (
    ({"CORECLR_ENABLE_PROFILING": "1", "CORECLR_PROFILER": "{846F5F1C-F9AE-4B07-969E-05C26BC060D8}"}, "CORECLR_PROFILER"),
    ({"CORECLR_ENABLE_PROFILING": "1", "CORECLR_PROFILER_PATH": "/opt/datadog/Datadog.Trace.ClrProfiler.Native.so"}, "CORECLR_PROFILER_PATH"),
    ({"CORECLR_ENABLE_PROFILING": "1", "CORECLR_PROFILER": "{36032161-FFC0-4B61-B559-F6C5D41BAE5A}"}, "CORECLR_PROFILER"),
    ({"CORECLR_ENABLE_PROFILING": "1", "CORECLR_PROFILER_PATH": "/usr/local/newrelic-dotnet-agent/libNewRelicProfiler.so"}, "CORECLR_PROFILER_PATH"),
    ({"CORECLR_ENABLE_PROFILING": "1", "CORECLR_PROFILER": "{918728DD-259F-4A6A-AC2B-B85E1B658318}"}, "CORECLR_PROFILER"),
    ({"CORECLR_ENABLE_PROFILING": "1", "CORECLR_PROFILER_PATH_64": "/otel/OpenTelemetry.AutoInstrumentation.Native.so"}, "CORECLR_PROFILER_PATH_64"),
    ({"CORECLR_ENABLE_PROFILING": "1", "CORECLR_PROFILER": "{FA65FE15-F085-4681-9B20-95E04F6C03CC}"}, "CORECLR_PROFILER"),
    ({"CORECLR_ENABLE_PROFILING": "1", "CORECLR_PROFILER": "{57e1aa68-2229-41aa-9931-a6e93bbc64d8}"}, "CORECLR_PROFILER"),
    ({"CORECLR_ENABLE_PROFILING": "1", "CORECLR_PROFILER": "{cf0d821e-299b-5307-a3d8-b283c03916dd}"}, "CORECLR_PROFILER"),
    ({"DOTNET_STARTUP_HOOKS": f"/otel/net/OpenTelemetry.AutoInstrumentation.StartupHook.dll:{HOOK}"}, "DOTNET_STARTUP_HOOKS"),
    ({"DOTNET_STARTUP_HOOKS": "/elastic/ElasticApmAgentStartupHook.dll"}, "DOTNET_STARTUP_HOOKS"),
    ({"LD_PRELOAD": "/opt/dynatrace/oneagent/agent/lib64/liboneagentproc.so"}, "LD_PRELOAD"),
    ({"DOTNET_ADDITIONAL_DEPS": "/opt/appdynamics/dotnet"}, "DOTNET_ADDITIONAL_DEPS"),
    # A profiler that is no agent, one that is switched off, a hook that is nobody's agent.
    ({"CORECLR_ENABLE_PROFILING": "1", "CORECLR_PROFILER": "{9A2B54C0-0000-4000-8000-000000000000}",
      "CORECLR_PROFILER_PATH": "/tools/coverage.so"}, None),
    ({"CORECLR_ENABLE_PROFILING": "0", "CORECLR_PROFILER_PATH": "/opt/datadog/Datadog.Trace.ClrProfiler.Native.so"}, None),
    ({"DOTNET_STARTUP_HOOKS": f"/app/Hook.dll:{HOOK}", "LD_PRELOAD": "/usr/lib/libjemalloc.so"}, None),
)


@on_each
def other_vendors(world, version):
    """Two agents would tell of the same, or one would break the other."""
    told = world.folder / "aside.json"
    told.write_text(json.dumps({"cases": [{"env": env} for env, _ in VENDORS]}))
    loader = world.volume("dotnet") / "Obtrace.AutoInstrument.dll"
    out = world.run(host(world, version), compiled(world, "Vectors") / "Vectors.dll", loader, told, **INVARIANT)
    reasons = [json.loads(line)["reason"] for line in out.splitlines()]
    equal(reasons, [name and f"another agent is there: {name}" for _, name in VENDORS], "reasons")


def unsupported_version(world):
    """An application on an old runtime would break: 2.1 does not know the variable."""
    with observed(world) as receiver, Upstream() as upstream:
        application = compiled(world, "Hop", against=UNSUPPORTED) / "Hop.dll"
        for env in (INVARIANT, variables(world, receiver.url)):
            started = world.start(host(world, UNSUPPORTED), application, f"{upstream.url}/a", env=env)
            equal(started.result(30), (0, "ok\n", ""), "code, output, errors")
        equal(receiver.requests, [], "requests")
        equal(["traceparent" in headers for _, headers in upstream.seen], [False, False], "context is passed on")


def switched_off_hooks(world):
    """An application that its build told not to read hooks, as trimming does, would break."""
    application = beside(world, "Trimmed")
    config = application.with_suffix(".runtimeconfig.json")
    told = json.loads(config.read_text())
    told["runtimeOptions"]["configProperties"] = {"System.StartupHookProvider.IsSupported": False}
    config.write_text(json.dumps(told))
    with observed(world) as receiver, Upstream() as upstream:
        started = world.start(host(world, NEW), application, "get", f"{upstream.url}/a", env=variables(world, receiver.url))
        equal((started.result(30), receiver.requests), ((0, "200 ok\n", ""), []), "code, output, errors, requests")


@on_each
def another_hook_before_ours(world, version):
    """An operator's own DOTNET_STARTUP_HOOKS would be lost, or ours; twice the same one would send everything twice."""
    hook = compiled(world, "OtherHook") / "OtherHook.dll"
    with observed(world) as receiver, Upstream() as upstream:
        application = launch(world, version, "Calls", "get", f"{upstream.url}/a", to=receiver, env={"DOTNET_STARTUP_HOOKS": hook})
        equal((application.wait(30), application.out), (0, "the other hook\n200 ok\n"), "code and output")
        equal(len(receiver.spans()), 1, "spans")
        application = launch(world, version, "Calls", "get", f"{upstream.url}/a", to=receiver, extra={"DOTNET_STARTUP_HOOKS": f"{HOOK}:{HOOK}"})
        equal((application.wait(30), application.out, application.err), (0, "200 ok\n", ""), "with ours twice")
        equal(len(receiver.spans()), 2, "spans")
        clean(receiver)


@on_each
def a_missing_file_kills(world, version):
    """What the installer and the webhook must never do: the runtime itself ends with 134 where a hook's file is missing or is half a copy, before
    anything of ours could run. If this changes, the documents say too much."""
    half = world.folder / "Half.dll"
    half.write_bytes((world.volume("dotnet") / "Obtrace.AutoInstrument.dll").read_bytes()[:20000])
    with observed(world) as receiver:
        for hook in ("/obtrace/NotThere.dll", half):
            application = launch(world, version, "Calls", "get", to=receiver, extra={"DOTNET_STARTUP_HOOKS": hook})
            expect(application.wait(30) in (134, -signal.SIGABRT), f"the runtime bears {hook}")


CASES = [steps_aside, switched_off_by_false_is_on, own_sdk, own_sdk_that_comes_late, other_vendors, unsupported_version, switched_off_hooks,
         another_hook_before_ours, a_missing_file_kills]
