"""Bundles: one Python source that runs a program on a worker where only Python 3.7 or newer is installed.

A step sends it to :func:`command` on standard input: no file is installed or uploaded.  Runs on the master.
"""

from __future__ import annotations

import ast
from functools import cache
from typing import Dict, Iterator, List, Sequence, Tuple

from bbmeasure_scripts.module_source import get_source

#: The programs that can be bundled.
PROGRAMS = ("emit", "run", "size", "sloc", "timefunc")

_PACKAGES = ("bbmeasure", "bbmeasure_scripts")
#: Reads the whole bundle at once: ``python3 -`` reads line by line, which takes 40 ms longer.
_READ = "import sys; exec(sys.stdin.buffer.read())"
#: Programs that start without site-packages, whose ``.pth`` files may take longer than all else.
_WITHOUT_SITE = ("run", "size")
#: Modules that are empty in a bundle: the ``__init__`` of the library is for the master.
_EMPTY = {"bbmeasure": ""}

_TEXT = """\
import os, sys
if sys.version_info < (3, 7):
    sys.exit("bbmeasure: Python %s: expected 3.7 or newer" % sys.version.split()[0])
# the current folder must not hide modules of the standard library, nor must PYTHONPATH
last = [os.path.abspath(folder) for folder in (os.environ.get("PYTHONPATH") or os.devnull).split(os.pathsep)]
sys.path[:] = sorted([folder for folder in sys.path if folder], key=lambda folder: os.path.abspath(folder) in last)
sources = {{
{sources}
}}
loader = {{"__name__": "bundle_loader"}}
exec(compile(sources[{loader!r}], "<bundle>/bundle_loader.py", "exec"), loader)
loader["run"]({program!r}, {argv}, sources)
"""


def command(python: str, program: str) -> List[str]:
    """The command that runs a bundle of ``program`` from standard input."""
    flags = ["-S"] if program in _WITHOUT_SITE else []
    return [python, *flags, "-c", _READ]


def bundle(program: str, argv: Sequence[str]) -> str:
    """The source that runs ``program`` with the arguments ``argv``; always ASCII."""
    if program not in PROGRAMS:
        raise ValueError(f"program {program!r}: expected one of {', '.join(PROGRAMS)}")
    sources = "\n".join(f"    {name!r}: {ascii(source)}," for name, source in _sources(f"bbmeasure_scripts.{program}"))
    return _TEXT.format(
        sources=sources,
        loader="bbmeasure_scripts.bundle_loader",
        program=program,
        argv=ascii([str(argument) for argument in argv]),
    )


@cache
def _sources(main: str) -> Tuple[Tuple[str, str], ...]:
    """The names and sources of the modules that ``main`` imports, directly or indirectly."""
    found: Dict[str, str] = dict(_EMPTY)
    wanted: List[str] = [main, "bbmeasure_scripts.bundle_loader", "bbmeasure_scripts"]
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        found[name] = get_source(name)
        wanted.extend(_imports(found[name]))
    return tuple(sorted(found.items()))


def _imports(source: str) -> Iterator[str]:
    """The modules of this project that a source imports, also within functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module in _PACKAGES:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in _PACKAGES:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] in _PACKAGES)
