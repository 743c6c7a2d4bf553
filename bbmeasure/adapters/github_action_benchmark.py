"""The JSON of github-action-benchmark: what a custom benchmark hands to it, and the data file that it keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Optional

from bbmeasure import units
from bbmeasure.adapters._json import Json
from bbmeasure.adapters._records import HIGHER, LOWER, Records
from bbmeasure.adapters._text import number
from bbmeasure.errors import UnitError
from bbmeasure.records import Direction, Kind, Record

_TOOL = "github-action-benchmark"
_JSON = Json(_TOOL)
#: The data file is a script: SCRIPT_PREFIX in
#: https://github.com/benchmark-action/github-action-benchmark/blob/master/src/write.ts
_SCRIPT = "window.BENCHMARK_DATA ="
#: ``biggerIsBetter`` in the same file.
_BIGGER = frozenset(["customBiggerIsBetter", "pytest", "benchmarkjs"])
_SMALLER = frozenset(
    ["customSmallerIsBetter", "cargo", "go", "benchmarkluau", "googlecpp", "catch2", "julia", "jmh", "benchmarkdotnet"]
)
_EACH = frozenset(["iter", "iteration", "op", "ops", "call", "run", "query"])
_WORDS = {"kilobytes": "kB", "megabytes": "MB", "gigabytes": "GB"}
_A_SECOND = frozenset(["s", "sec", "second"])


class _Unit(NamedTuple):
    """A unit of :mod:`bbmeasure.units`, and which way a benchmark in it usually wants to go."""

    unit: str
    better: Direction


def parse(text: str) -> list[Record]:
    """A series a benchmark.

    The list that ``customSmallerIsBetter`` and ``customBiggerIsBetter`` take does not say which of them it is for: a
    duration is better lower, a rate better higher, and for the rest the step's ``better=`` has to say it.  Of a data
    file (``data.js``, or the JSON of ``external-data-json-path``) the newest run of each suite counts, its records
    tagged ``suite``.  The formats: "Custom benchmarks" in
    https://github.com/benchmark-action/github-action-benchmark and ``BenchmarkResult`` in its src/extract.ts
    """
    text = text.strip("\ufeff \t\r\n;")
    if not text:
        return []
    text = text[len(_SCRIPT) :] if text.startswith(_SCRIPT) else text
    document = _JSON.load(text)
    kept = Records()
    if isinstance(document, list):
        _add(kept, document, None, {})
        return kept.listed
    entries = _JSON.mapping(_JSON.mapping(document, "document").get("entries"), "entries")
    for suite, runs in entries.items():
        for run in list(_JSON.mappings(runs, "suite"))[-1:]:
            _add(kept, _JSON.required(run, "benches"), _direction(_JSON.text(run, "tool")), {"suite": suite})
    return kept.listed


def _add(kept: Records, benches: list[Any], better: Optional[Direction], tags: Mapping[str, str]) -> None:
    for bench in _JSON.mappings(benches, "benchmarks"):
        value = bench.get("value")
        measured = number(_TOOL, value) if isinstance(value, str) else _JSON.number(bench, "value")
        unit = _unit(_word(bench, "unit"))
        kept.add(_word(bench, "name"), measured, unit=unit.unit, better=better or unit.better, tags=tags)


def _word(bench: Mapping[str, Any], key: str) -> str:
    """A text, or a number as a text: the action coerces what a list holds (``z.coerce`` in its src/extract.ts)."""
    value = bench.get(key)
    return f"{value:.15g}" if isinstance(value, float) else _JSON.text(bench, key)


def _direction(tool: str) -> Optional[Direction]:
    """Which way the tool's benchmarks want to go; None where it is not known."""
    if tool in _BIGGER:
        return HIGHER
    return LOWER if tool in _SMALLER else None


def _unit(written: str) -> _Unit:
    """The unit that ``ns/iter``, ``ops/sec``, ``Percent`` or ``MB`` stands for; a free one is kept in braces."""
    whole, _slash, each = written.partition("/")
    spelled = _spelled(written) or (_spelled(whole) if each.lower() in _EACH else None)
    if spelled is not None:
        return _judged(spelled)
    if each.lower() in _A_SECOND:
        return _judged("1/s")
    own = "{" + "".join("_" if char.isspace() or char in '{}"\\' else char for char in written.strip())[:60] + "}"
    return _Unit(own if _known(own) else "1", Direction.NONE)


def _spelled(written: str) -> Optional[str]:
    """``written`` as :mod:`bbmeasure.units` spells it; None where it has no such unit."""
    spellings = (written, written.lower(), _WORDS.get(written.lower(), "-"))
    return next((spelling for spelling in spellings if _known(spelling)), None)


def _known(unit: str) -> bool:
    try:
        units.find(unit)
    except UnitError:
        return False
    return True


def _judged(unit: str) -> _Unit:
    """A unit with its usual direction."""
    found = units.find(unit)
    if found.kind == Kind.DURATION.value:
        return _Unit(unit, LOWER)
    return _Unit(unit, HIGHER if found.base.endswith("/s") else Direction.NONE)
