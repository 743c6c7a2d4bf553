"""Runs a program of the kit from sources in memory, where nothing is installed.

:mod:`bbmeasure_scripts.bundle` puts this module's source, those of the program, and a call of :func:`run` into one
text.
"""

from __future__ import annotations

import linecache
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Dict, List, Optional, Sequence

#: Where a traceback says that a bundled module is from.
ROOT = "<bundle>"


class BundleFinder:
    """Finds the modules of a bundle, before any that are installed: one worker's leftovers must not mix in."""

    def __init__(self, sources: Dict[str, str]) -> None:
        self.sources = sources

    def find_spec(self, name: str, *_path_and_target: Any) -> Optional[ModuleSpec]:
        """The spec of a bundled module; None for any other."""
        if name not in self.sources:
            return None
        is_package = any(other.startswith(name + ".") for other in self.sources)
        spec = ModuleSpec(name, self, origin=file_name(name), is_package=is_package)  # type: ignore[arg-type]
        spec.has_location = True
        return spec

    def create_module(self, spec: ModuleSpec) -> Optional[ModuleType]:
        """None: an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the source; its lines are there for tracebacks."""
        name = module.__name__
        source, file = self.sources[name], file_name(name)
        linecache.cache[file] = (len(source), None, source.splitlines(True), file)
        exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)  # noqa: S102  (the bundle is ours)

    def get_source(self, name: str) -> str:
        """The text of a bundled module."""
        return self.sources[name]


def file_name(module: str) -> str:
    """The name under which tracebacks show a bundled module."""
    return f"{ROOT}/{module.replace('.', '/')}.py"


def show(kind: Any, error: Any, trace: Any) -> None:
    """Print a traceback with the lines of bundled modules, which no file holds."""
    import traceback

    traceback.print_exception(kind, error, trace)


def run(program: str, argv: Sequence[str], sources: Dict[str, str]) -> None:
    """Run ``bbmeasure_scripts.PROGRAM`` from ``sources`` and exit with its status.

    Standard input holds the bundle itself: it is replaced by an empty one, for the program and for what it starts.
    """
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("bbmeasure", "bbmeasure_scripts")]:
        del sys.modules[name]
    sys.excepthook = show
    finders: List[Any] = sys.meta_path
    finders.insert(0, BundleFinder(sources))
    name = f"bbmeasure_scripts.{program}"
    __import__(name)
    sys.argv = [program, *argv]
    raise SystemExit(sys.modules[name].main(list(argv)))
