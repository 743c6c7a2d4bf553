"""Other counters of source lines, where the worker has them.

Each counts by a definition of its own, so that a series keeps the tool that it began with: ``Counted.tool`` says which
one gave the number.  A new tool is a row in ``TOOLS``.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from bbmeasure.errors import ParseError
from bbmeasure.records import LONGEST_TAG_VALUE, check_number, check_text
from bbmeasure_scripts import file_walk

#: No more of a tool's output is read.
LARGEST_OUTPUT = 64 * 1024 * 1024
#: More lines than anyone has, and few enough to be exact in any store.
_MOST_LINES = 2**53
#: Patterns that mean the same here and to tokei, which takes those of gitignore, below the current folder.
_PLAIN_NAME = re.compile(r"[^/!#\\{}]+/*\Z")
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)+")


class Counted(NamedTuple):
    """Lines by language, and by which tool: its name, and its version where it tells one."""

    lines: Dict[str, int]
    tool: str
    version: str


class Tool(NamedTuple):
    """A counter: by which definition it counts, how it is run and read, and which patterns it can leave out."""

    definition: str
    counter: Callable[[Sequence[str], Sequence[str]], Dict[str, int]]
    leaves_out: Callable[[str], bool] = lambda _pattern: False
    is_module: bool = False

    def can_leave_out(self, exclude: Sequence[str]) -> bool:
        """Whether it takes all these patterns as they are meant here."""
        return all(map(self.leaves_out, exclude))


def is_there(name: str) -> bool:
    """Whether the worker has a tool."""
    if TOOLS[name].is_module:
        return any(finder.find_spec(name, None) is not None for finder in sys.meta_path)
    folders = os.get_exec_path()
    suffixes = os.environ.get("PATHEXT", "").split(os.pathsep) if os.name == "nt" else [""]
    return any(os.access(os.path.join(folder, name + suffix), os.X_OK) for folder in folders for suffix in suffixes)


def run(name: str, roots: Sequence[str], exclude: Sequence[str] = ()) -> Counted:
    """What a tool counts below ``roots``; ParseError where it fails or says what nobody expects."""
    found = [os.path.abspath(root) for root in roots]
    lines = TOOLS[name].counter(found, exclude)
    return Counted({language: count for language, count in lines.items() if count}, name, version(name))


def version(name: str) -> str:
    """The version that a tool says it has; empty where it says none."""
    if TOOLS[name].is_module:
        module: Any = importlib.import_module(name)
        return str(getattr(module, "__version__", ""))
    match = _VERSION.search(_output(name, ["--version"]).decode("utf-8", "replace"))
    return match.group() if match else ""


def _output(name: str, arguments: Sequence[str]) -> bytes:
    """The standard output of a command that succeeds, whole; ParseError where it fails or says too much."""
    import subprocess  # late: most workers count by the bundled counter, and start faster without it

    try:
        child = subprocess.Popen([name, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    except OSError as error:
        raise ParseError(name, 0, f"could not be run: {error.strerror}") from None
    with child:
        assert child.stdout is not None
        said = child.stdout.read(LARGEST_OUTPUT + 1)
        if len(said) > LARGEST_OUTPUT:
            child.kill()
            raise ParseError(name, 0, f"more than {LARGEST_OUTPUT >> 20} MiB: expected a summary")
    if child.returncode and name != "sloccount":  # which exits with 1 for nothing found
        raise ParseError(name, 0, f"exit status {child.returncode}")
    return said


def _json(name: str, arguments: Sequence[str]) -> Any:
    said = _output(name, arguments).strip() or b"null"
    try:
        return json.loads(said.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise ParseError(name, 0, f"expected JSON ({error})") from None


def _numbers(name: str, found: Iterator[Tuple[Any, Any]]) -> Dict[str, int]:
    """Lines by language, each of them checked; ParseError where what they are read from has another shape."""
    try:
        return dict(_checked(language, lines) for language, lines in found)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ParseError(name, 0, f"expected languages with their lines ({error!r})") from None


def _checked(language: Any, lines: Any) -> Tuple[str, int]:
    if not 0 <= check_number(lines, "lines") <= _MOST_LINES:
        raise ValueError(f"{lines} lines")
    return check_text("language", language, LONGEST_TAG_VALUE), int(lines)


def _scc(roots: Sequence[str], _exclude: Sequence[str]) -> Dict[str, int]:
    return _numbers("scc", _read_scc(_json("scc", ["--format", "json", *roots])))


def _read_scc(found: Any) -> Iterator[Tuple[Any, Any]]:
    for language in found or ():
        yield language["Name"], language["Code"]


def _tokei(roots: Sequence[str], exclude: Sequence[str]) -> Dict[str, int]:
    excludes = [part for pattern in exclude for part in ("--exclude", pattern)]
    return _numbers("tokei", _read_codes(_json("tokei", ["--output", "json", *excludes, *roots])))


def _read_codes(found: Any) -> Iterator[Tuple[Any, Any]]:
    """As tokei and cloc have it: an object by language, and in it what is no language but a sum."""
    for language, of in (found or {}).items():
        if language not in ("header", "SUM", "Total"):
            yield language, of["code"]


def _cloc(roots: Sequence[str], exclude: Sequence[str]) -> Dict[str, int]:
    if not exclude:
        return _numbers("cloc", _read_codes(_json("cloc", ["--json", "--quiet", *roots])))
    import tempfile

    with tempfile.NamedTemporaryFile("w", prefix="bbmeasure-", suffix=".txt", errors="surrogateescape") as listed:
        for folder, names, _ in file_walk.walk(roots, file_walk.Excluded(exclude), file_walk.Notes()):
            listed.writelines(os.path.join(folder, name) + "\n" for name in names if "\n" not in name)
        listed.flush()
        return _numbers("cloc", _read_codes(_json("cloc", ["--json", "--quiet", f"--list-file={listed.name}"])))


def _sloccount(roots: Sequence[str], _exclude: Sequence[str]) -> Dict[str, int]:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="bbmeasure-") as folder:
        said = _output("sloccount", ["--datadir", folder, *roots]).decode("utf-8", "replace")
    if "SLOC total is zero" in said:
        return {}
    totals = said.partition("Totals grouped by language")[2].partition("Total Physical")[0]
    found = re.findall(r"^([^\s:]+):\s+([0-9]+) \(", totals, re.MULTILINE)
    if not found:
        raise ParseError("sloccount", 0, "expected totals by language")
    return _numbers("sloccount", ((language, int(lines)) for language, lines in found))


def _pygount(roots: Sequence[str], _exclude: Sequence[str]) -> Dict[str, int]:
    return _numbers("pygount", _read_pygount(_json("pygount", ["--format", "json", *roots])))


def _read_pygount(found: Any) -> Iterator[Tuple[Any, Any]]:
    for language in (found or {}).get("languages", ()):
        if not language.get("isPseudoLanguage"):
            yield language["language"], language["sourceCount"]


def _pytokei(roots: Sequence[str], exclude: Sequence[str]) -> Dict[str, int]:
    module: Any = importlib.import_module("pytokei")
    languages = module.Languages()
    languages.get_statistics(list(roots), list(exclude), module.Config())
    return _numbers("pytokei", _read_codes(languages.report_compact_plain()))


def _is_plain_name(pattern: str) -> bool:
    return bool(_PLAIN_NAME.match(pattern))


#: By name, in the order in which ``auto`` takes them: the fast ones first.
TOOLS: Dict[str, Tool] = {
    "scc": Tool("neither blank nor comment; docstrings are comments", _scc),
    "tokei": Tool("neither blank nor comment; docstrings are code", _tokei, _is_plain_name),
    "pytokei": Tool("neither blank nor comment; docstrings are code", _pytokei, _is_plain_name, is_module=True),
    "cloc": Tool("neither blank nor comment; docstrings are comments; equal files once", _cloc, lambda _pattern: True),
    "sloccount": Tool(
        "neither blank nor comment; lines that begin with quotes are comments; equal files once", _sloccount
    ),
    "pygount": Tool("neither blank nor comment; docstrings are comments", _pygount),
}


def available(exclude: Sequence[str], first: Optional[str] = None) -> List[str]:
    """The tools that the worker has and that can leave out what is to be left out; ``first`` before all others."""
    names = sorted(TOOLS, key=lambda name: name != first)
    return [name for name in names if TOOLS[name].can_leave_out(exclude) and is_there(name)]
