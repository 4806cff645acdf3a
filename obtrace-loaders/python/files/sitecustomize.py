"""Found first on PYTHONPATH: runs the application's own sitecustomize, if there is one, and loads obtrace_loader.py beside it.

Any Python from 2.6 on can parse this file. Our folder leaves sys.path before anything else happens, so that nothing in it
shadows what the application imports.
"""
import os
import sys


def _folder():
    return os.path.dirname(os.path.abspath(__file__))


def _leave_path(folder):
    sys.path[:] = [entry for entry in sys.path if not entry or os.path.abspath(entry) != folder]
    sys.path_importer_cache.pop(folder, None)


def _load(folder):
    try:
        namespace = {"__name__": "obtrace_loader", "__file__": os.path.join(folder, "obtrace_loader.py")}
        with open(namespace["__file__"], "rb") as source:
            code = compile(source.read(), namespace["__file__"], "exec")
        exec(code, namespace)
    except Exception:
        if os.environ.get("OBTRACE_DEBUG", "").lower() not in ("", "0", "false"):
            try:
                sys.stderr.write("[obtrace] steps aside: obtrace_loader.py: %s\n" % (sys.exc_info()[1],))
            except Exception:
                pass


def _chain():
    """Imports the next sitecustomize of the path in our place; what it raises is what `site` would see without us."""
    ours = sys.modules.pop("sitecustomize", None)
    try:
        import sitecustomize  # noqa: F401
    except ImportError:
        error = sys.exc_info()[1]
        if getattr(error, "name", None) != "sitecustomize" and str(error) != "No module named sitecustomize":
            raise
    finally:
        if "sitecustomize" not in sys.modules and ours is not None:
            sys.modules["sitecustomize"] = ours


_here = _folder()
_leave_path(_here)
try:
    _chain()
finally:
    _load(_here)
