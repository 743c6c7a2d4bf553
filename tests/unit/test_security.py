"""SECURITY.rst: the documented limits are those of the code; docs/promises.rst: each promise is the name of a test."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "SECURITY.rst").read_text()
#: A promise or a limit, and the names of its tests.
ROW = re.compile(r"^ {3}\* - (.+)\n {5}- (``tests/.+(?:\n {7}``.+)*)$", re.MULTILINE)

#: Each row of the table, with the constants that it documents, in order, and their unit.
LIMITS = {
    "Line on standard output with a record": (["wire.LONGEST_MARKER_LINE"], "bytes"),
    "Sidecar file": (["wire.LARGEST_FILE"], "bytes"),
    "Records of one step": (["steps.stdout.MAX_RECORDS"], ""),
    "Output that is parsed by an adapter or a pattern; by a function of ``master.cfg``": (
        ["adapters.LONGEST_TEXT", "steps.base.MAX_OUTPUT"],
        "bytes",
    ),
    "Memory of a parser process": (["capture.parser_process.MAX_MEMORY"], "bytes"),
    "Parser processes that run at a time; that wait": (
        ["capture.parser_pool.MAX_PROCESSES", "capture.parser_pool.MAX_QUEUED"],
        "",
    ),
    "Time of a parser": (["steps.base.PARSER_TIMEOUT"], "s"),
    "Time of a regular expression for one output": (["patterns.TIME_LIMIT"], "s"),
    "Time of one file operation on a worker": (["steps.remotefiles.TIMEOUT"], "s"),
    "Lines of a build that are judged; builds that wait to be judged": (
        ["reports.build_judge.MAX_LINES", "reports.judge_queue.MAX_QUEUED"],
        "",
    ),
    "Time of judging a build; for which a build waits for verdicts": (
        ["reports.build_judge.BUDGET", "reports.judge.DEADLINE"],
        "s",
    ),
    "Proposals that wait for a comment; attempts for each": (
        ["master.reporters.comments.MAX_PENDING", "master.reporters.comments.MAX_ATTEMPTS"],
        "",
    ),
    "Time of one comment; for which a message waits for verdicts": (
        ["master.reporters.comments.UPDATE_TIMEOUT", "master.reporters.waiting.TIMEOUT"],
        "s",
    ),
    "Builds whose verdicts are sent to InfluxDB at a time": (["master.services.verdict_export.MAX_BUILDS"], ""),
    "Name of a series": (["records.LONGEST_NAME"], "characters"),
    "Tags of one record": (["records.MOST_TAGS"], ""),
    "Key of a tag; value of a tag": (["records.LONGEST_TAG_KEY", "records.LONGEST_TAG_VALUE"], "characters"),
    "Text value": (["records.LONGEST_TEXT"], "characters"),
    "Samples of one record": (["records.MOST_SAMPLES"], ""),
    "Series of one builder; with their tags": (
        ["capture.cardinality.MAX_SERIES", "capture.cardinality.MAX_LINES"],
        "",
    ),
    "Series of the proposals of one builder; with their tags": (
        ["capture.cardinality.MAX_PROPOSED_SERIES", "capture.cardinality.MAX_PROPOSED_LINES"],
        "",
    ),
    "Series with their tags of a master; of its proposals": (
        ["capture.cardinality.MAX_TOTAL", "capture.cardinality.MAX_PROPOSED_TOTAL"],
        "",
    ),
    "Objects and lists of a JSON document; elements of an XML document": (
        ["adapters._json.MAX_CONTAINERS", "adapters._xml.MAX_ELEMENTS"],
        "",
    ),
    "Points that wait in memory while the disk accepts none": (["storage.sqlite.journal_threads.MAX_PENDING"], ""),
    "Time for which a caller waits for the store": (["capture.deadlines.WRITE_TIMEOUT"], "s"),
    "Dead letters of one exporter": (["storage.sqlite.outbox.MAX_DEAD_LETTERS"], ""),
    "Response of an InfluxDB to a write; to a query": (
        ["storage.influxdb.client.MAX_WRITE_RESPONSE", "storage.influxdb.client.MAX_QUERY_RESPONSE"],
        "bytes",
    ),
    "Requests of the JSON API, by queries, lists and builds, that run at a time; that wait": (
        ["master.www.resource.MAX_PARALLEL", "master.www.resource.MAX_QUEUED"],
        "",
    ),
    "Time from a request to its response; to send it": (
        ["master.www.resource.ANSWER_TIMEOUT", "master.www.streaming.SEND_TIMEOUT"],
        "s",
    ),
    "Response of the JSON API; all responses that are being sent": (
        ["master.www.streaming.MAX_BODY_BYTES", "master.www.resource.MAX_SENDING_BYTES"],
        "bytes",
    ),
    "Points of one response; of one query in Python": (["master.www.arguments.MAX_POINTS", "model.MOST_POINTS"], ""),
}


def rows() -> dict[str, str]:
    """The rows of the table of limits."""
    return dict(re.findall(r"^ {3}\* - (.+)\n {5}- (.+)$", PAGE, re.MULTILINE)[1:])


def value_of(constant: str) -> float:
    """The value of a constant of ``bbmeasure``, or of ``bbmeasure_steps`` for a name below ``steps``."""
    module, _, name = constant.rpartition(".")
    package = f"bbmeasure_{module}" if module.startswith("steps.") else f"bbmeasure.{module}"
    return float(getattr(importlib.import_module(package), name))


def formatted(value: float, unit: str) -> str:
    """``value`` as the table has it."""
    if unit == "bytes":
        for size, name in ((2**20, "MiB"), (2**10, "KiB")):
            if value % size == 0:
                return f"{value / size:g} {name}"
    return f"{value:,.0f} {unit}".strip()


def test_every_limit_has_a_row() -> None:
    """The table has the rows that are compared with the code, and no other."""
    assert sorted(rows()) == sorted(LIMITS)


@pytest.mark.parametrize("row", sorted(LIMITS))
def test_a_documented_limit_is_that_of_the_code(row: str) -> None:
    """The cell of a limit has the values of its constants."""
    constants, unit = LIMITS[row]
    assert rows()[row] == "; ".join(formatted(value_of(constant), unit) for constant in constants)


def promises() -> dict[str, list[tuple[str, str]]]:
    """The promises, each with the files and names of its tests."""
    found = ROW.findall((ROOT / "docs" / "promises.rst").read_text())
    return {promise: re.findall(r"``(tests/[^:]+)::(\w+)``", tests) for promise, tests in found}


def test_every_limit_is_a_promise() -> None:
    """Each limit of SECURITY.rst has a row with its tests."""
    assert set(LIMITS) <= set(promises())
    assert len(promises()) > len(LIMITS) + 15


@pytest.mark.parametrize("promise", sorted(promises()))
def test_a_promise_is_the_name_of_a_test(promise: str) -> None:
    """The tests of a promise exist."""
    assert promises()[promise]
    for file, name in promises()[promise]:
        assert re.search(rf"^ *def {name}\(", (ROOT / file).read_text(), re.MULTILINE), f"{file}::{name}"
