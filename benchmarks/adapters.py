"""CPU of each adapter for a megabyte of output, beside json.loads or expat of the same document.

``python -m benchmarks.adapters [NAME...]``.  The documents are the recorded outputs of ``tests/tool_output``, repeated
to SIZE characters.  The peer of an adapter of lines is json.loads of a list of the same lines.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from xml.parsers import expat

from bbmeasure import adapters
from bbmeasure.adapters import _text
from bbmeasure.adapters.lint import Issue
from bbmeasure.records import Record
from benchmarks.targets import Figures

OUTPUTS = Path(__file__).resolve().parent.parent / "tests" / "tool_output"
SIZE = 2_000_000
ROUNDS = 3
MOST_TIMES, MOST_MS_OF_LINES = 3.0, 20.0
#: The commands that a build log has between the diagnostics, or the reports of GNU time, of one and the next.
COMMANDS = "".join(
    f"[{n}/900] /usr/bin/c++ -DNDEBUG -Isrc/include -O2 -Wall -std=c++17 -c ../src/module{n}.cc -o CMakeFiles/{n}.o\n"
    for n in range(100)
)
#: The element of an XML format that is repeated.
REPEATED = {"checkstyle": "file", "cobertura": "class", "cppcheck": "error", "junit": "testcase"}


def document(name: str) -> tuple[str, str]:
    """A large output of a tool and its form: ``json``, ``json-lines``, ``xml`` or ``lines``."""
    if name == "ninja":
        return _ninja(), "lines"
    path = next(path for path in sorted((OUTPUTS / name).glob("*/many.*")) if "expected" not in path.name)
    text = path.read_text()
    if text[0] == "{" and text.count("\n{"):
        return _lines(text), "json-lines"
    if text[0] in "[{":
        return _json(json.loads(text)), "json"
    if text[0] == "<":
        return _xml(text, REPEATED[name]), "xml"
    return _lines(COMMANDS + text if name in ("clang", "gcc", "time") else text), "lines"


def _ninja() -> str:
    """A log of one build."""
    began = 1_700_000_000_000
    steps = (
        f"{n * 10}\t{n * 10 + 250}\t{(began + n * 10 + 200) * 10**6}\tsrc/module{n % 90}/file{n}.o\t{n * 7919:x}\n"
        for n in range(SIZE // 70)
    )
    return "# ninja log v5\n" + "".join(steps)


def _json(value: Any) -> str:
    """A document with its longest list, or object of objects, repeated; names are made different."""
    places = list(_containers(value))
    longest = max(places, key=lambda container: len(json.dumps(container)) if container is not value else 0, default=[])
    longest = value if isinstance(value, list) else longest
    times = SIZE // len(json.dumps(longest)) + 1
    if isinstance(longest, list):
        items = list(longest)
        longest[:] = [_renamed(item, n) for n in range(times) for item in items]
    else:
        entries = list(longest.items())
        longest.update((f"{n}/{key}", item) for n in range(times) for key, item in entries)
    return json.dumps(value)


def _containers(value: Any) -> Any:
    """The lists of objects and the objects of objects in a document."""
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        if isinstance(item, (dict, list)):
            of = list(item.values()) if isinstance(item, dict) else item
            if of and all(isinstance(each, dict) for each in of):
                yield item
            yield from _containers(item)


def _renamed(item: Any, number: int) -> Any:
    renamed = {key: f"{item[key]}{number}" for key in ("name", "fullname", "command") if key in item}
    return {**item, **renamed}


def _xml(text: str, element: str) -> str:
    """A document with the elements of a name repeated where the first of them are."""
    pattern = re.compile(rf"<{element}\b[^>]*/>|<{element}\b.*?</{element}>", re.DOTALL)
    found = "\n".join(match.group() for match in pattern.finditer(text))
    first = pattern.search(text)
    assert first is not None
    return text[: first.start()] + found * (SIZE // len(found)) + text[first.start() :]


def _lines(text: str) -> str:
    """The lines again and again, with another file name or command each time."""
    times = range(SIZE // len(text) + 1)
    return "".join(re.sub(r"(Command being timed: \".|\w+(?=\.\w+:\d+))", rf"\g<1>{n}", text) for n in times)


def peer_of(text: str, form: str) -> Callable[[], object]:
    """A function that reads the same document."""
    if form == "xml":
        return lambda: _expat(text.encode())
    if form == "json-lines":
        return lambda: [json.loads(line) for line in text.splitlines()]
    if form == "lines":
        text = json.dumps(text.splitlines())
    return lambda: json.loads(text)


def _expat(content: bytes) -> None:
    parser = expat.ParserCreate()
    parser.StartElementHandler = lambda _name, _attributes: None
    parser.Parse(content, True)


def cpu(function: Callable[[], object]) -> float:
    """Milliseconds of CPU of a call."""
    begun = time.process_time()
    function()
    return (time.process_time() - begun) * 1e3


def main() -> int:
    """Print each figure with its target."""
    figures = Figures()
    for name in sys.argv[1:] or adapters.names():
        text, form = document(name)
        adapter = adapters.find(name)
        why = _why(adapter, text, form)
        spent, least = (milliseconds / len(text) * 1e6 for milliseconds in measure(adapter, text, form))
        reader = "expat" if form == "xml" else "json.loads"
        if form == "lines":
            beside = f"{spent / least:.1f} times {reader}"
            figures.show(f"{name}, lines", spent, "ms/MB", MOST_MS_OF_LINES, beside, why=why)
        else:
            beside = f"{spent:.1f} ms/MB, {reader} {least:.1f}"
            figures.show(f"{name}, {form}", spent / least, "times", MOST_TIMES, beside, why=why)
    return figures.status


def _why(adapter: adapters.Adapter, text: str, form: str) -> str:
    """The results in a megabyte, and the milliseconds to create them alone; for an adapter of lines, to read these."""
    found: Sequence[object] = adapter.issues(text) if adapter.is_linter else adapter.parse(text)
    share = 1e6 / len(text)
    what = "issues" if adapter.is_linter else "records"
    why = f"{len(found) * share:,.0f} {what} a MB, {cpu(lambda: _create(found)) * share:.1f} ms to create them"
    if form != "lines":
        return why
    lines, read = text.count("\n") * share, cpu(lambda: [*_text.lines(text)]) * share
    return f"{lines:,.0f} lines a MB, {read:.1f} ms to read them; {why}"


def _create(found: Sequence[object]) -> None:
    """Create issues or records again."""
    for each in found:
        if isinstance(each, Record):
            fields = {field: getattr(each, field) for field in ("value", "kind", "unit", "better", "tags", "samples")}
            Record(each.name, **fields)
        elif isinstance(each, Issue):
            Issue(*each)


def measure(adapter: adapters.Adapter, text: str, form: str) -> tuple[float, float]:
    """The least CPU of the adapter and of its peer, in milliseconds."""
    parse = adapter.issues if adapter.is_linter else adapter.parse
    peer = peer_of(text, form)
    pairs = [(cpu(lambda: parse(text)), cpu(peer)) for _ in range(ROUNDS)]
    return min(ours for ours, _ in pairs), min(least for _, least in pairs)


if __name__ == "__main__":
    sys.exit(main())
