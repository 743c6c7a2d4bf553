"""Runs other counters of source lines that are installed on the worker.

Each has its own definition of a source line: ``Counted.tool`` names the one that counted, which a series keeps.  A new
tool is a row in ``TOOLS``.
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

#: The largest output of a tool, in bytes.
LARGEST_OUTPUT = 64 * 1024 * 1024
#: The most lines of a language: the largest integer that is exact in a float.
_MAX_LINES = 2**53
#: Patterns that have the same meaning here and for tokei, which uses those of gitignore.
_PLAIN_NAME = re.compile(r"[^/!#\\{}]+/*\Z")
_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+)+")


class Counted(NamedTuple):
    """Lines by language, and the name and version of the tool that counted; the version may be empty."""

    lines: Dict[str, int]
    tool: str
    version: str


class Tool(NamedTuple):
    """A counter: its definition of a source line, a function that runs it, and the patterns that it can exclude."""

    definition: str
    counter: Callable[[Sequence[str], Sequence[str]], Dict[str, int]]
    excludes: Callable[[str], bool] = lambda _pattern: False
    is_module: bool = False

    def can_exclude(self, exclude: Sequence[str]) -> bool:
        """Whether it supports all these patterns with the same meaning."""
        return all(map(self.excludes, exclude))


def is_installed(name: str) -> bool:
    """Whether a tool is installed."""
    if TOOLS[name].is_module:
        return any(finder.find_spec(name, None) is not None for finder in sys.meta_path)
    folders = os.get_exec_path()
    suffixes = os.environ.get("PATHEXT", "").split(os.pathsep) if os.name == "nt" else [""]
    return any(os.access(os.path.join(folder, name + suffix), os.X_OK) for folder in folders for suffix in suffixes)


def run(name: str, roots: Sequence[str], exclude: Sequence[str] = ()) -> Counted:
    """Run a tool on ``roots``; ParseError where it fails or its output is unexpected."""
    paths_to_count = [os.path.abspath(root) for root in roots]
    lines = TOOLS[name].counter(paths_to_count, exclude)
    return Counted({language: count for language, count in lines.items() if count}, name, version(name))


def version(name: str) -> str:
    """The version of a tool; empty where it reports none."""
    if TOOLS[name].is_module:
        module: Any = importlib.import_module(name)
        return str(getattr(module, "__version__", ""))
    match = _VERSION.search(_output(name, ["--version"]).decode("utf-8", "replace"))
    return match.group() if match else ""


def _output(name: str, arguments: Sequence[str]) -> bytes:
    """The standard output of a command; ParseError where it fails or its output is too large."""
    import subprocess  # imported here: it slows the start, and the bundled counter does not need it

    try:
        child = subprocess.Popen([name, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    except OSError as error:
        raise ParseError(name, 0, f"cannot be run: {error.strerror}") from None
    with child:
        assert child.stdout is not None
        stdout = child.stdout.read(LARGEST_OUTPUT + 1)
        if len(stdout) > LARGEST_OUTPUT:
            child.kill()
            raise ParseError(name, 0, f"more than {LARGEST_OUTPUT >> 20} MiB: expected a smaller output")
    if child.returncode and name != "sloccount":  # its status is 1 where it finds no source code
        raise ParseError(name, 0, f"exit status {child.returncode}: expected 0")
    return stdout


def _json(name: str, arguments: Sequence[str]) -> Any:
    stdout = _output(name, arguments).strip() or b"null"
    try:
        return json.loads(stdout.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise ParseError(name, 0, f"expected JSON ({error})") from None


def _checked_all(name: str, counts: Iterator[Tuple[Any, Any]]) -> Dict[str, int]:
    """Lines by language; ParseError where they are invalid, or the output has another structure."""
    try:
        return dict(_checked(language, lines) for language, lines in counts)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise ParseError(name, 0, f"expected lines by language ({error!r})") from None


def _checked(language: Any, lines: Any) -> Tuple[str, int]:
    if not 0 <= check_number(lines, "lines") <= _MAX_LINES:
        raise ValueError(f"{lines} lines: expected 0 to {_MAX_LINES}")
    return check_text("language", language, LONGEST_TAG_VALUE), int(lines)


def _scc(roots: Sequence[str], _exclude: Sequence[str]) -> Dict[str, int]:
    return _checked_all("scc", _read_scc(_json("scc", ["--format", "json", *roots])))


def _read_scc(found: Any) -> Iterator[Tuple[Any, Any]]:
    for language in found or ():
        yield language["Name"], language["Code"]


def _tokei(roots: Sequence[str], exclude: Sequence[str]) -> Dict[str, int]:
    excludes = [part for pattern in exclude for part in ("--exclude", pattern)]
    return _checked_all("tokei", _read_codes(_json("tokei", ["--output", "json", *excludes, *roots])))


def _read_codes(found: Any) -> Iterator[Tuple[Any, Any]]:
    """The counts of tokei and cloc: an object for each language, beside sums under other keys."""
    for language, of in (found or {}).items():
        if language not in ("header", "SUM", "Total"):
            yield language, of["code"]


def _cloc(roots: Sequence[str], exclude: Sequence[str]) -> Dict[str, int]:
    if not exclude:
        return _checked_all("cloc", _read_codes(_json("cloc", ["--json", "--quiet", *roots])))
    import tempfile

    with tempfile.TemporaryDirectory(prefix="bbmeasure-") as temporary:
        path = os.path.join(temporary, "files.txt")
        with open(path, "wb") as listed:  # closed before cloc opens it, which Windows requires
            for folder, names, _ in file_walk.walk(roots, file_walk.Excluded(exclude), file_walk.Notes()):
                listed.writelines(os.fsencode(os.path.join(folder, name)) + b"\n" for name in names if "\n" not in name)
        return _checked_all("cloc", _read_codes(_json("cloc", ["--json", "--quiet", f"--list-file={path}"])))


def _sloccount(roots: Sequence[str], _exclude: Sequence[str]) -> Dict[str, int]:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="bbmeasure-") as folder:
        stdout = _output("sloccount", ["--datadir", folder, *roots]).decode("utf-8", "replace")
    if "SLOC total is zero" in stdout:
        return {}
    totals = stdout.partition("Totals grouped by language")[2].partition("Total Physical")[0]
    found = re.findall(r"^([^\s:]+):\s+([0-9]+) \(", totals, re.MULTILINE)
    if not found:
        raise ParseError("sloccount", 0, "expected totals by language")
    return _checked_all("sloccount", ((language, int(lines)) for language, lines in found))


def _pygount(roots: Sequence[str], _exclude: Sequence[str]) -> Dict[str, int]:
    return _checked_all("pygount", _read_pygount(_json("pygount", ["--format", "json", *roots])))


def _read_pygount(found: Any) -> Iterator[Tuple[Any, Any]]:
    for language in (found or {}).get("languages", ()):
        if not language.get("isPseudoLanguage"):
            yield language["language"], language["sourceCount"]


def _pytokei(roots: Sequence[str], exclude: Sequence[str]) -> Dict[str, int]:
    module: Any = importlib.import_module("pytokei")
    languages = module.Languages()
    languages.get_statistics(list(roots), list(exclude), module.Config())
    return _checked_all("pytokei", _read_codes(languages.report_compact_plain()))


def _is_plain_name(pattern: str) -> bool:
    return bool(_PLAIN_NAME.match(pattern))


#: The tools by name, in the order in which ``auto`` tries them: fast ones first.
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
    """The installed tools that support the patterns in ``exclude``; ``first`` before all others."""
    names = sorted(TOOLS, key=lambda name: name != first)
    return [name for name in names if TOOLS[name].can_exclude(exclude) and is_installed(name)]
