"""Runs a bundled program from sources in memory.

A bundle (:mod:`bbmeasure_scripts.bundle`) contains the source of this module, those of the program, and a call of
:func:`run`.
"""

from __future__ import annotations

import linecache
import os
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Dict, List, Optional, Sequence

#: The folder of bundled modules in tracebacks.
ROOT = "<bundle>"


class BundleFinder:
    """Meta path finder and loader of bundled modules, which take precedence over installed ones."""

    def __init__(self, sources: Dict[str, str]) -> None:
        self.sources = sources

    def find_spec(self, name: str, *_path_and_target: Any) -> Optional[ModuleSpec]:
        """Return the spec of a bundled module; None for any other."""
        if name not in self.sources:
            return None
        is_package = any(other.startswith(name + ".") for other in self.sources)
        spec = ModuleSpec(name, self, origin=file_name(name), is_package=is_package)  # type: ignore[arg-type]
        spec.has_location = True
        return spec

    def create_module(self, spec: ModuleSpec) -> Optional[ModuleType]:
        """Return None, for an ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """Execute the source, and cache its lines for tracebacks."""
        name = module.__name__
        source, file = self.sources[name], file_name(name)
        linecache.cache[file] = (len(source), None, source.splitlines(True), file)
        exec(compile(source, file, "exec", dont_inherit=True), module.__dict__)  # noqa: S102  (source of this project)

    def get_source(self, name: str) -> str:
        """Return the source of a bundled module."""
        return self.sources[name]


def file_name(module: str) -> str:
    """The file name of a bundled module in tracebacks."""
    return f"{ROOT}/{module.replace('.', '/')}.py"


def print_exception(kind: Any, error: Any, trace: Any) -> None:
    """Print a traceback; unlike the default hook it shows the lines of bundled modules."""
    import traceback

    traceback.print_exception(kind, error, trace)


def run(program: str, argv: Sequence[str], sources: Dict[str, str]) -> None:
    """Run ``bbmeasure_scripts.PROGRAM`` from ``sources`` and exit with its status.

    Standard input, which contains the bundle, is replaced by an empty one for the program and its children.
    """
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("bbmeasure", "bbmeasure_scripts")]:
        del sys.modules[name]
    sys.excepthook = print_exception
    finders: List[Any] = sys.meta_path
    finders.insert(0, BundleFinder(sources))
    name = f"bbmeasure_scripts.{program}"
    __import__(name)
    sys.argv = [program, *argv]
    raise SystemExit(sys.modules[name].main(list(argv)))
