"""Runs a bundled program from sources in memory.

A bundle (:mod:`bbmeasure_scripts.bundle`) contains the source of this module, those of the program, and a call of
:func:`run`.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any, Sequence
else:
    ModuleSpec = type(sys.__spec__)  # importlib.machinery and typing take longer to import than this module

#: The folder of bundled modules in tracebacks.
ROOT = "<bundle>"


class BundleFinder:
    """Meta path finder and loader of bundled modules, which take precedence over installed ones."""

    def __init__(self, sources: dict[str, str]) -> None:
        self.sources = sources

    def find_spec(self, name: str, *_path_and_target: Any) -> ModuleSpec | None:
        """Return the spec of a bundled module; None for any other."""
        if name not in self.sources:
            return None
        is_package = any(other.startswith(name + ".") for other in self.sources)
        spec = ModuleSpec(name, self, origin=file_name(name), is_package=is_package)  # type: ignore[arg-type]
        spec.has_location = True
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Return None, for an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """Execute the source."""
        name = module.__name__
        source = self.sources[name]
        exec(compile(source, file_name(name), "exec", dont_inherit=True), module.__dict__)  # noqa: S102  (our own)

    def get_source(self, name: str) -> str:
        """Return the source of a bundled module."""
        return self.sources[name]


def file_name(module: str) -> str:
    """The file name of a bundled module in tracebacks."""
    return f"{ROOT}/{module.replace('.', '/')}.py"


def print_exception(sources: dict[str, str], *exception: Any) -> None:
    """Print a traceback; unlike the default hook it shows the lines of bundled modules."""
    import linecache
    import traceback

    for name, source in sources.items():
        file = file_name(name)
        linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    traceback.print_exception(*exception)


def run(program: str, argv: Sequence[str], sources: dict[str, str]) -> None:
    """Run ``bbmeasure_scripts.PROGRAM`` from ``sources`` and exit with its status.

    Standard input, which contains the bundle, is replaced by an empty one for the program and its children.
    """
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("bbmeasure", "bbmeasure_scripts")]:
        del sys.modules[name]
    sys.excepthook = lambda *exception: print_exception(sources, *exception)
    finders: list[Any] = sys.meta_path
    finders.insert(0, BundleFinder(sources))
    name = f"bbmeasure_scripts.{program}"
    __import__(name)
    sys.argv = [program, *argv]
    raise SystemExit(sys.modules[name].main(list(argv)))
