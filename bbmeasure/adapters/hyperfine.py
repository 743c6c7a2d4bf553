"""hyperfine, ``--export-json FILE``: a series a command, in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bbmeasure.adapters._json import Json
from bbmeasure.adapters._records import LOWER, Records
from bbmeasure.records import Record

_JSON = Json("hyperfine")


def parse(text: str) -> list[Record]:
    """The median of each command under its name (``-n``, else the command itself), all runs as samples.

    A parameter (``-L``) is a tag, as many commands share a name then.  ``NAME_user`` and ``NAME_system`` are the mean
    CPU times, ``NAME_max_rss`` the largest memory of a run where the version reports it.  The file is
    ``BenchmarkResult`` in https://github.com/sharkdp/hyperfine/blob/master/src/benchmark/benchmark_result.rs, times in
    seconds.
    """
    if not text.strip():
        return []
    document = _JSON.mapping(_JSON.load(text), "document")
    kept = Records()
    for result in _JSON.mappings(_JSON.required(document, "results"), "results"):
        _add(kept, result)
    return kept.listed


def _add(kept: Records, result: Mapping[str, Any]) -> None:
    """The records of one command."""
    name = _JSON.text(result, "command")
    parameters = _JSON.inner(result, "parameters")
    tags = {parameter: _JSON.text(parameters, parameter) for parameter in parameters}
    times = _JSON.numbers(result, "times")
    kept.add(name, _JSON.number(result, "median"), unit="s", better=LOWER, tags=tags, samples=times)
    for part in ("user", "system"):
        if result.get(part) is not None:
            kept.add(name, _JSON.number(result, part), unit="s", better=LOWER, tags=tags, suffix=f"_{part}")
    memory = _JSON.numbers(result, "memory_usage_byte")
    if memory:
        kept.add(name, max(memory), unit="bytes", better=LOWER, tags=tags, suffix="_max_rss")
