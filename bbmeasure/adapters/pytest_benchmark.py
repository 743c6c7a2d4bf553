"""pytest-benchmark, ``--benchmark-json=FILE``: times of benchmarks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bbmeasure.adapters._json import Json
from bbmeasure.adapters._records import LOWER, Records
from bbmeasure.records import Record

#: Tests failed; the file has the benchmarks that passed: https://docs.pytest.org/en/stable/reference/exit-codes.html
MEASURED_STATUSES = frozenset([1])
#: The rounds are left out by --benchmark-save, not by --benchmark-json.
SMALLER = "save the statistics alone: --benchmark-save=NAME --benchmark-storage=file://FOLDER"

_JSON = Json("pytest-benchmark")


def parse(text: str) -> list[Record]:
    """The median of each benchmark under its full name, such as ``tests/test_sort.py::test_sort[10]``.

    All rounds are samples.  The file is written by ``pytest_benchmark_generate_json`` in
    https://github.com/ionelmc/pytest-benchmark/blob/master/src/pytest_benchmark/plugin.py, times in seconds.  It does
    not contain failed benchmarks, and is not written without any benchmark.
    """
    if not text.strip():
        return []
    document = _JSON.mapping(_JSON.load(text), "document")
    records = Records()
    benchmarks = _JSON.mappings(_JSON.required(document, "benchmarks"), "benchmarks")
    records.add_each(benchmarks, lambda benchmark: _add(records, benchmark))
    return records.listed


def _add(records: Records, benchmark: Mapping[str, Any]) -> None:
    if benchmark.get("has_error") is True:
        return
    stats = _JSON.inner(benchmark, "stats")
    records.add(_name(benchmark), _JSON.number(stats, "median"), unit="s", better=LOWER, samples=_rounds(stats))


def _name(benchmark: Mapping[str, Any]) -> str:
    return _JSON.text(benchmark, "fullname") or _JSON.text(benchmark, "name")


def _rounds(stats: Mapping[str, Any]) -> list[float]:
    """The rounds; a file saved without ``--benchmark-save-data`` has none."""
    return _JSON.numbers(stats, "data")
