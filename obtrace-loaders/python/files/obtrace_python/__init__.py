"""The Python loader of Obtrace Zero: spans, logs and metrics of an application that was not changed.

Standard library only, Python 3.8 and later. `start` is all that is called from outside; the modules below are loaded when
they are first needed, by a finder that reads the sources and writes nothing.
"""

import sys

VERSION = "0.1.0"


class Finder:
    """Loads the modules of this package, and tells `hooks` of imports it waits for. It stands first on sys.meta_path, so
    what it does for other names has to be next to nothing."""

    def __init__(self, folder):
        self.folder = folder
        self.hooks = {}
        self.embedded = False

    def find_spec(self, name, path=None, target=None):
        if "uwsgi" in sys.modules and not self.embedded:
            self.in_uwsgi()
        if name in self.hooks:
            return self.watched(name, path, target)
        if name.startswith("obtrace_python."):
            return self.own(name)
        return None

    def in_uwsgi(self):
        """uWSGI makes its module after this package was loaded, and imports the application then."""
        self.embedded = True
        from obtrace_python import settings

        try:
            from obtrace_python.libraries import uwsgi

            uwsgi.install(sys.modules["uwsgi"], self)
        except Exception as error:
            settings.fault("uwsgi", error)

    def watch_files(self):
        """uWSGI runs the code of a file that it was told by itself; of importlib it asks only what `_fix_up_module` does before."""
        from importlib import _bootstrap_external as importing

        prepare = importing._fix_up_module

        def fix_up_module(namespace, name, *rest):
            prepare(namespace, name, *rest)
            if name.startswith("uwsgi_file_") and "uwsgi" in sys.modules:
                self.find_spec(name)
                from obtrace_python import settings

                try:
                    from obtrace_python.libraries import uwsgi

                    uwsgi.file(sys.modules["uwsgi"], name)
                except Exception as error:
                    settings.fault("uwsgi", error)

        importing._fix_up_module = fix_up_module

    def tell(self, name, hook):
        """Calls `hook` with a module once it is imported, after what else waits for it."""
        before = self.hooks.get(name)

        def told(module):
            if before is not None:
                before(module)
            try:
                hook(module)
            except Exception as error:
                from obtrace_python import settings

                settings.fault("not instrumented: " + name, error)

        if name in sys.modules:
            told(sys.modules[name])
        else:
            self.hooks[name] = told

    def own(self, name):
        from importlib.machinery import ModuleSpec, SourceFileLoader

        class Loader(SourceFileLoader):
            def get_code(self, fullname):
                return self.source_to_code(self.get_data(self.path), self.path)

        path = self.folder + "/" + name.split(".", 1)[1].replace(".", "/")
        package = name == "obtrace_python.libraries"
        path += "/__init__.py" if package else ".py"
        spec = ModuleSpec(name, Loader(name, path), origin=path, is_package=package)
        spec.has_location = True
        if package:
            spec.submodule_search_locations = []
        return spec

    def watched(self, name, path, target):
        """The specification that the others find, with a loader that tells when the module is there."""
        hook = self.hooks.pop(name)
        for finder in sys.meta_path:
            find = None if finder is self else getattr(finder, "find_spec", None)
            spec = find and find(name, path, target)
            if spec is not None:
                break
        else:
            self.hooks[name] = hook
            return None
        loader = spec.loader
        execute = getattr(loader, "exec_module", None)
        if execute is None:
            return spec

        def exec_module(module):
            if module.__name__ == name:
                vars(loader).pop("exec_module", None)
                execute(module)
                hook(module)
            else:
                execute(module)

        try:
            loader.exec_module = exec_module
        except (AttributeError, TypeError):
            pass
        return spec


def start(folder):
    """Begins to observe; the reason if this process is to be left alone."""
    finder = Finder(folder)
    sys.meta_path.insert(0, finder)
    try:
        from obtrace_python import aside

        reason = aside.reason()
        if reason is None:
            from obtrace_python import loader

            loader.begin(finder)
    except BaseException:
        sys.meta_path.remove(finder)
        raise
    if reason is not None:
        sys.meta_path.remove(finder)
    return reason
