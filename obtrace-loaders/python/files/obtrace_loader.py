"""Decides whether this process is one to observe, and loads obtrace_python if so.

Any Python from 2.6 on can parse this file. It is run by sitecustomize.py, and by PYTHONSTARTUP at the interactive prompt,
where it runs in the user's own namespace and leaves nothing behind.
"""


def _obtrace_load():
    import os
    import sys

    def on(name):
        return os.environ.get(name, "").lower() not in ("", "0", "false")

    def say(text):
        if on("OBTRACE_DEBUG"):
            try:
                sys.stderr.write("[obtrace] steps aside: " + text + "\n")
            except Exception:
                pass

    if "obtrace_python" in sys.modules:
        return
    if on("OBTRACE_DISABLED"):
        return say("OBTRACE_DISABLED is set")
    if not os.environ.get("OBTRACE_INGEST_URL", "").startswith(("http://", "https://")):
        return say("OBTRACE_INGEST_URL is no http:// or https:// URL")
    if sys.version_info < (3, 8) or sys.implementation.name != "cpython":
        return say("this Python is not supported: " + sys.version.split()[0])
    try:
        folder = os.path.dirname(os.path.abspath(__file__))
    except NameError:
        # PYTHONSTARTUP of Python before 3.13 has no __file__.
        folder = os.path.dirname(os.path.abspath(os.environ.get("PYTHONSTARTUP", "")))
    try:
        folder = os.path.join(folder, "obtrace_python")
        path = os.path.join(folder, "__init__.py")
        with open(path, "rb") as source:
            code = compile(source.read(), path, "exec", dont_inherit=True)
        package = type(sys)("obtrace_python")
        package.__file__ = path
        package.__package__ = "obtrace_python"
        # Found by our own finder alone, which never writes a .pyc.
        package.__path__ = []
        sys.modules["obtrace_python"] = package
        exec(code, package.__dict__)
        reason = package.start(folder)
    except BaseException:
        reason = "%s: %s" % (sys.exc_info()[0].__name__, sys.exc_info()[1])
    if reason:
        for name in [name for name in sys.modules if name.split(".")[0] == "obtrace_python"]:
            del sys.modules[name]
        say(reason)


_obtrace_load()
del _obtrace_load
