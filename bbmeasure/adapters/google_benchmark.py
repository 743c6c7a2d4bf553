"""Google Benchmark, ``--benchmark_format=json`` (or ``--benchmark_out=FILE``): times and counters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bbmeasure.adapters._json import Json
from bbmeasure.adapters._records import HIGHER, LOWER, Records
from bbmeasure.adapters._text import clean
from bbmeasure.errors import ParseError
from bbmeasure.records import LONGEST_TAG_KEY, Direction, Record

SMALLER = "report the aggregates alone: --benchmark_report_aggregates_only=true"

_JSON = Json("google-benchmark")
_TIME_UNITS = ("ns", "us", "ms", "s")

#: The numbers of a run that are not counters.
_FIXED_NUMBERS = frozenset(
    ["family_index", "per_family_instance_index", "repetitions", "repetition_index", "threads", "iterations"]
    + ["real_time", "cpu_time"]
)
#: The suffixes of aggregates in versions before 1.4.0, which do not mark them.
_AGGREGATES = frozenset(["mean", "median", "stddev", "BigO", "RMS"])
#: Unit and direction of the built-in counters.
_COUNTERS: Mapping[str, tuple[str, Direction]] = {
    "bytes_per_second": ("bytes/s", HIGHER),
    "items_per_second": ("1/s", HIGHER),
    "allocs_per_iter": ("1", LOWER),
    "max_bytes_used": ("bytes", LOWER),
    "total_allocated_bytes": ("bytes", LOWER),
}

Run = Mapping[str, Any]


def parse(text: str) -> list[Record]:
    """The real time of each benchmark under its name, ``NAME_cpu``, and ``NAME_COUNTER`` for each counter.

    Repetitions become samples; if only aggregates are reported, the median is used.  Runs with an error, and counters
    that are NaN or infinite, are left out.  The document is written by
    https://github.com/google/benchmark/blob/main/src/json_reporter.cc
    """
    if not text.strip():
        return []
    document = _JSON.mapping(_JSON.load(text), "document")
    records = Records()
    runs_by_name = _by_name(_JSON.mappings(_JSON.required(document, "benchmarks"), "benchmarks"))
    records.add_each(runs_by_name.items(), lambda item: _add(records, *item))
    return records.listed


def _by_name(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """The runs of each benchmark: its iterations, else their median."""
    iterations: dict[str, list[Run]] = {}
    medians: dict[str, list[Run]] = {}
    for run in _without_unmarked_aggregates(list(runs)):
        name = _JSON.text(run, "run_name") or _JSON.text(run, "name")
        aggregate = _JSON.text(run, "aggregate_name")
        if run.get("error_occurred") is True or run.get("skipped") is True or aggregate not in ("", "median"):
            continue
        (medians if aggregate else iterations).setdefault(name, []).append(run)
    return {**iterations, **{name: runs for name, runs in medians.items() if name not in iterations}}


def _without_unmarked_aggregates(runs: Sequence[Run]) -> Iterator[Run]:
    """The runs without those that older versions append to the name of a benchmark: ``x_mean``, ``x_stddev``."""
    names = {_JSON.text(run, "name") for run in runs}
    for run in runs:
        benchmark, _, aggregate = _JSON.text(run, "name").rpartition("_")
        if "run_type" in run or aggregate not in _AGGREGATES or benchmark not in names:
            yield run


def _add(records: Records, name: str, runs: Sequence[Run]) -> None:
    unit = _JSON.text(runs[0], "time_unit", "ns")
    if unit not in _TIME_UNITS or any(_JSON.text(run, "time_unit", "ns") != unit for run in runs):
        raise ParseError("google-benchmark", 0, f"time_unit {unit!r}: expected one of {', '.join(_TIME_UNITS)}")
    for key, suffix in (("real_time", ""), ("cpu_time", "_cpu")):
        times = [_JSON.number(run, key) for run in runs]
        records.add(name, None, unit=unit, better=LOWER, samples=times, suffix=suffix)
    for key, values in _counters(runs).items():
        base, better = _COUNTERS.get(key, ("1", Direction.NONE))
        records.add(name, None, unit=base, better=better, samples=values, suffix="_" + clean(key, LONGEST_TAG_KEY))


def _counters(runs: Iterable[Run]) -> dict[str, list[float]]:
    """The values of each counter."""
    counters: dict[str, list[float]] = {}
    for run in runs:
        for key, value in run.items():
            if isinstance(value, float) and key not in _FIXED_NUMBERS:
                counters.setdefault(key, []).append(value)
    return counters
