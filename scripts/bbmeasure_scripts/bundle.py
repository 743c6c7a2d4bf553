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
#: Reads the whole bundle at once: ``python3 -`` reads line by line, which takes 40 ms longer.  Python 2 has no buffer;
#: it reads the bundle too, which then names the version that it needs.
_READ = "import sys; exec(getattr(sys.stdin, 'buffer', sys.stdin).read())"
#: Executes the first Python of the worker with the arguments of this script.
_FIND = """\
for python in python3 python; do command -v $python >/dev/null 2>&1 && exec $python "$@"; done
echo 'neither python3 nor python was found: expected Python 3.7 or newer, or its path as python=' >&2
exit 127"""
#: The interpreters of a Windows worker, where ``python3`` and ``python`` may only open a store.
_ON_WINDOWS = ("python3", "python", "py -3")
#: The parts of a batch file: ``call`` returns from interpreters that are batch files themselves, as those of pyenv.
_TRY_ON_WINDOWS = """\
call {python} -c "import sys; sys.exit(sys.version_info < (3, 7))" <nul >nul 2>nul
if %errorlevel%==0 goto python{number}
"""
_FAIL_ON_WINDOWS = """\
echo neither python3 nor python nor py -3 is Python 3.7 or newer: expected one, or its path as python= 1>&2
exit /b 127
"""
_RUN_ON_WINDOWS = """\
:python{number}
call {python} {arguments}
exit /b %errorlevel%
"""
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


def command(python: Sequence[str], program: str) -> List[str]:
    """The command that runs a bundle of ``program`` from standard input with the interpreter ``python``."""
    return [*python, *_flags(program), "-c", _READ]


def find_command(program: str) -> List[str]:
    """The command that runs a bundle from standard input with ``python3`` or ``python``, for a POSIX shell."""
    return command(["/bin/sh", "-c", _FIND, "bbmeasure"], program)


def find_batch(program: str) -> str:
    """The batch file that runs a bundle with the first of ``python3``, ``python`` and ``py -3`` that is new enough."""
    arguments = " ".join([*_flags(program), f'-c "{_READ}"'])
    fields = [{"number": number, "python": name, "arguments": arguments} for number, name in enumerate(_ON_WINDOWS)]
    tried, run = ("".join(part.format(**each) for each in fields) for part in (_TRY_ON_WINDOWS, _RUN_ON_WINDOWS))
    return f"@echo off\n{tried}{_FAIL_ON_WINDOWS}{run}"


def _flags(program: str) -> List[str]:
    return ["-S"] if program in _WITHOUT_SITE else []


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
