"""pytest-benchmark, ``--benchmark-json=FILE``: a series a benchmark, in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bbmeasure.adapters._json import Json
from bbmeasure.adapters._records import LOWER, Records
from bbmeasure.records import Record

_JSON = Json("pytest-benchmark")


def parse(text: str) -> list[Record]:
    """The median of each benchmark under its full name (``tests/test_sort.py::test_sort[10]``), all rounds as samples.

    The file is what ``pytest_benchmark_generate_json`` makes in
    https://github.com/ionelmc/pytest-benchmark/blob/master/src/pytest_benchmark/plugin.py, times in seconds.  A
    benchmark that failed is not in it, and a run without any writes no file.
    """
    if not text.strip():
        return []
    document = _JSON.mapping(_JSON.load(text), "document")
    kept = Records()
    for benchmark in _JSON.mappings(_JSON.required(document, "benchmarks"), "benchmarks"):
        stats = _JSON.inner(benchmark, "stats")
        kept.add(_name(benchmark), _JSON.number(stats, "median"), unit="s", better=LOWER, samples=_rounds(stats))
    return kept.listed


def _name(benchmark: Mapping[str, Any]) -> str:
    return _JSON.text(benchmark, "fullname") or _JSON.text(benchmark, "name")


def _rounds(stats: Mapping[str, Any]) -> list[float]:
    """The single rounds; a file saved without ``--benchmark-save-data`` has none."""
    return _JSON.numbers(stats, "data")
