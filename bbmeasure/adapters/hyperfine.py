"""hyperfine, ``--export-json FILE``: run times of commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bbmeasure.adapters._json import Json
from bbmeasure.adapters._records import LOWER, Records
from bbmeasure.records import Record

_JSON = Json("hyperfine")


def parse(text: str) -> list[Record]:
    """The median of each command under its name (``-n``, else the command), with all runs as samples.

    A parameter (``-L``) is a tag.  ``NAME_user`` and ``NAME_system`` are the mean CPU times, ``NAME_max_rss`` is the
    largest memory of a run if the version reports it.  Of a command that failed in some runs (``--ignore-failure``) the
    other runs are used, without the means of all; one that failed in each run is left out.  The file is
    ``BenchmarkResult`` in https://github.com/sharkdp/hyperfine/blob/master/src/benchmark/benchmark_result.rs, times in
    seconds.
    """
    if not text.strip():
        return []
    document = _JSON.mapping(_JSON.load(text), "document")
    records = Records()
    results = _JSON.mappings(_JSON.required(document, "results"), "results")
    records.add_each(results, lambda result: _add(records, result))
    return records.listed


def _add(records: Records, result: Mapping[str, Any]) -> None:
    """The records of one command."""
    name = _JSON.text(result, "command")
    parameters = _JSON.inner(result, "parameters")
    tags = {parameter: _JSON.text(parameters, parameter) for parameter in parameters}
    median = _JSON.number(result, "median")
    times = _JSON.numbers(result, "times")
    statuses = _JSON.items(result.get("exit_codes"), "exit_codes")
    if any(status != 0 for status in statuses):  # null is a signal
        times = [time for time, status in zip(times, statuses) if status == 0]
        records.add(name, None, unit="s", better=LOWER, tags=tags, samples=times)
        return
    records.add(name, median, unit="s", better=LOWER, tags=tags, samples=times)
    for part in ("user", "system"):
        if result.get(part) is not None:
            records.add(name, _JSON.number(result, part), unit="s", better=LOWER, tags=tags, suffix=f"_{part}")
    memory = _JSON.numbers(result, "memory_usage_byte")
    if memory:
        records.add(name, max(memory), unit="bytes", better=LOWER, tags=tags, suffix="_max_rss")
