"""github-action-benchmark: JSON of custom benchmarks, and its data file."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Optional

from bbmeasure import units
from bbmeasure.adapters._json import Json
from bbmeasure.adapters._records import HIGHER, LOWER, Records
from bbmeasure.adapters._text import number
from bbmeasure.records import Direction, Kind, Record

_TOOL = "github-action-benchmark"
_JSON = Json(_TOOL)
#: The start of the data file, which is a script: SCRIPT_PREFIX in
#: https://github.com/benchmark-action/github-action-benchmark/blob/master/src/write.ts
_SCRIPT = "window.BENCHMARK_DATA ="
#: ``biggerIsBetter`` in the same file.
_BIGGER = frozenset(["customBiggerIsBetter", "pytest", "benchmarkjs"])
_SMALLER = frozenset(
    ["customSmallerIsBetter", "cargo", "go", "benchmarkluau", "googlecpp", "catch2", "julia", "jmh", "benchmarkdotnet"]
)
_PER_ITEM = frozenset(["iter", "iteration", "op", "ops", "call", "run", "query"])
_WORDS = {"kilobytes": "kB", "megabytes": "MB", "gigabytes": "GB", "kbps": "kbit/s", "mbps": "Mbit/s", "gbps": "Gbit/s"}
_WORDS |= {f"{prefix}Bps": f"{prefix}B/s" for prefix in "kKMG"}
_WORDS |= dict.fromkeys(["fps", "ips", "iops", "qps", "rps", "tps"], "1/s")
_PER_TIME = {"s": "s", "sec": "s", "second": "s", "min": "min", "minute": "min", "h": "h", "hour": "h"}
#: Times of rates such as JMH's ``ops/ms``, which :mod:`bbmeasure.units` does not have.
_PER_SHORT_TIME = frozenset(["ms", "us", "\u00b5s", "\u03bcs", "ns"])
#: What is counted as work, without a plural s.
_WORK = frozenset(["", "1", "op", "iter", "iteration", "call", "run", "query", "querie", "req", "request", "item"])
_WORK |= frozenset(["operation", "transaction", "event", "message", "msg", "frame", "element", "elem", "row", "token"])
#: What is better rare.
_TROUBLE = re.compile("error|fail|fault|miss|drop|timeout|retr", re.IGNORECASE)


class _Unit(NamedTuple):
    """A unit of :mod:`bbmeasure.units`, and the usual direction of benchmarks in this unit."""

    unit: str
    better: Direction
    #: Whether it is work per time, which is better higher whatever the tool.
    is_throughput: bool = False


def parse(text: str) -> list[Record]:
    """A series for each benchmark.

    The list for ``customSmallerIsBetter`` and ``customBiggerIsBetter`` does not contain the direction: it is lower
    for a duration, higher for a rate, and otherwise that of the step.  Of a data file (``data.js``, or the JSON of
    ``external-data-json-path``) the newest run of each suite is used, with records tagged ``suite``.  The formats:
    "Custom benchmarks" in https://github.com/benchmark-action/github-action-benchmark and ``BenchmarkResult`` in
    its src/extract.ts
    """
    document = _load(text)
    if document is None:
        return []
    records = Records()
    if isinstance(document, list):
        for bench in _JSON.mappings(document, "benchmarks"):
            _JSON.present(bench, "name", "unit", "value")
        _add(records, document, None, {})
        return records.listed
    newest = dict(_runs(document))
    return [record for suite, run in newest.items() for record in _run(suite, run).records]


class Run(NamedTuple):
    """The records of one run of a suite: when it was, in unix seconds, and the commit that was measured."""

    suite: str
    time: Optional[float]
    commit: str
    records: list[Record]


def parse_runs(text: str) -> Iterator[Run]:
    """Every run of a data file, oldest first within a suite."""
    document = _load(text)
    return iter(()) if document is None else (_run(suite, run) for suite, run in _runs(document))


def _load(text: str) -> Any:
    """The document of a list, a JSON file or a script; None if there is none."""
    text = text.strip("\ufeff \t\r\n;")
    return _JSON.load(text[len(_SCRIPT) :] if text.startswith(_SCRIPT) else text) if text else None


def _runs(document: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The suite and the object of each run."""
    entries = _JSON.mapping(_JSON.mapping(document, "document").get("entries"), "entries")
    for suite, runs in entries.items():
        for run in _JSON.mappings(runs, "suite"):
            yield suite, run


def _run(suite: str, run: Mapping[str, Any]) -> Run:
    records = Records()
    _add(records, _JSON.required(run, "benches"), _direction(_JSON.text(run, "tool")), {"suite": suite})
    date, commit = run.get("date"), run.get("commit")
    time = date / 1000 if isinstance(date, float) and math.isfinite(date) else None
    identifier = commit.get("id") if isinstance(commit, dict) else None
    return Run(suite, time, identifier if isinstance(identifier, str) else "", records.listed)


def _add(records: Records, benches: list[Any], better: Optional[Direction], tags: Mapping[str, str]) -> None:
    def add(bench: Mapping[str, Any]) -> None:
        value = bench.get("value")
        measured = number(_TOOL, value) if isinstance(value, str) else _JSON.number(bench, "value")
        unit = _unit(_string(bench, "unit"))
        direction = unit.better if unit.is_throughput else better or unit.better
        records.add(_string(bench, "name"), measured, unit=unit.unit, better=direction, tags=tags)

    records.add_each(_JSON.mappings(benches, "benchmarks"), add)


def _string(bench: Mapping[str, Any], key: str) -> str:
    """A string, or a number as a string: the action coerces the items of a list (``z.coerce`` in src/extract.ts)."""
    value = bench.get(key)
    return f"{value:.15g}" if isinstance(value, float) else _JSON.text(bench, key)


def _direction(tool: str) -> Optional[Direction]:
    """The direction of the benchmarks of a tool; None where it is unknown."""
    if tool in _BIGGER:
        return HIGHER
    return LOWER if tool in _SMALLER else None


@lru_cache(maxsize=100)
def _unit(written: str) -> _Unit:
    """The unit of ``ns/iter``, ``ops/sec``, ``Percent`` or ``MB``; an unknown unit becomes a custom one in braces."""
    numerator, _slash, denominator = written.partition("/")
    spelling = _spelling(written) or (_spelling(numerator) if denominator.lower() in _PER_ITEM else None)
    if spelling is not None:
        return _with_direction(spelling)
    if denominator.lower() in _PER_TIME:
        return _rate(numerator.strip(), denominator.lower())
    is_rate = denominator in _PER_SHORT_TIME and _is_work(numerator.strip())
    custom = "{" + "".join("_" if char.isspace() or char in '{}"\\' else char for char in written.strip())[:60] + "}"
    return _Unit(custom if units.is_known(custom) else "1", HIGHER if is_rate else Direction.NONE, is_rate)


def _is_work(counted: str) -> bool:
    """Whether more of what is counted is better: ``ops``, ``Melem``, ``M rows``."""
    without_prefix = re.sub(r"\A[kKMGT] ?(?=[a-z])", "", counted)
    return any(word.lower().rstrip("s") in _WORK for word in (counted, without_prefix))


def _rate(numerator: str, denominator: str) -> _Unit:
    """The unit of ``ops/sec`` or ``frames/s``; of another rate, such as ``errors/s``, the tool has the direction."""
    per = _PER_TIME[denominator]
    spelling = _spelling(f"{numerator}/{per}")
    if spelling is not None:
        return _with_direction(spelling)
    custom = f"{{{numerator.lower().replace(' ', '_')}}}/{per}"
    unit = custom if units.is_known(custom) else "1"
    if numerator.lower().rstrip("s") in _WORK:
        return _Unit("1/s" if per == "s" else unit, HIGHER, is_throughput=True)
    usual = Direction.NONE if _TROUBLE.search(numerator) else HIGHER
    return _Unit(unit, usual, _is_work(numerator))


def _spelling(written: str) -> Optional[str]:
    """The spelling of a unit in :mod:`bbmeasure.units`; None where it has no such unit."""
    spellings = (written, written.lower(), _WORDS.get(written) or _WORDS.get(written.lower(), "-"))
    return next((spelling for spelling in spellings if units.is_known(spelling)), None)


def _with_direction(unit: str) -> _Unit:
    """The unit with its usual direction."""
    found = units.find(unit)
    if found.kind == Kind.DURATION.value:
        return _Unit(unit, LOWER)
    is_rate = found.base.endswith("/s")
    return _Unit(unit, HIGHER if is_rate else Direction.NONE, is_rate)
