"""The program ``emit``: one value from a command line."""

from __future__ import annotations

import pytest

from bbmeasure.records import Direction, Kind
from tests.unit.scripts import programs

pytestmark = pytest.mark.slow

CASES = [
    (["42"], (42.0, Kind.NUMBER, "1")),
    (["1.5 MiB"], (1572864.0, Kind.SIZE, "bytes")),
    (["250ms"], (0.25, Kind.DURATION, "s")),
    (["85 %"], (0.85, Kind.RATIO, "1")),
    (["-3.5"], (-3.5, Kind.NUMBER, "1")),
    (["-1e-06"], (-1e-6, Kind.NUMBER, "1")),
    (["-.5"], (-0.5, Kind.NUMBER, "1")),
    (["-5%", "-7%", "-6%"], (-0.06, Kind.RATIO, "1")),
    (["250", "--unit", "ms"], (0.25, Kind.DURATION, "s")),
    (["7", "--kind", "count"], (7.0, Kind.COUNT, "1")),
    (["3", "--unit", "{request}"], (3.0, Kind.NUMBER, "{request}")),
    (["gcc", "12.2", "--kind", "text"], ("gcc 12.2", Kind.TEXT, "1")),
    (["1 s", "500 ms", "3 s"], (1.0, Kind.DURATION, "s")),
]


@pytest.mark.parametrize(("arguments", "expected"), CASES)
def test_a_command_line_becomes_a_record(arguments, expected, tmp_path):
    """Numbers, quantities, units, kinds, texts and samples become records."""
    done = programs.program("emit", "name", *arguments, folder=tmp_path)
    assert done.status == 0, done.stderr
    record = done.records["name"]
    assert (record.value, record.kind, record.unit) == expected
    assert done.stdout.startswith("name: ")


def test_direction_tags_and_samples_are_kept(tmp_path):
    """Options are in the record; outside a step it is a marked line, with the summary on stderr."""
    arguments = ["link", "3", "1", "2", "--unit", "s", "--better", "lower", "--tag", "a=b", "--tag", "c=d=e"]
    done = programs.program("emit", *arguments, folder=tmp_path, sidecar=False)
    record = done.records["link"]
    assert (record.samples, record.better, record.tags) == ((3.0, 1.0, 2.0), Direction.LOWER, {"a": "b", "c": "d=e"})
    assert done.stdout.startswith("##bbmeasure ")
    assert done.stderr == "link a=b c=d=e: 2 s\n"


WRONG = [
    ["name", "many"],
    ["name", "nan"],
    ["name", "1,5"],
    ["name", "3", "--unit", "parsecs"],
    ["name", "3 ms", "--unit", "s"],
    ["name", "3 ms", "4 bytes"],
    ["name", "-.5ms"],
    ["name", "three", "--kind", "text", "--unit", "s"],
    ["name", "3", "--tag", "nothing"],
    ["name", "3", "--tag", "builder=mine"],
    ["", "3"],
    ["name"],
]


@pytest.mark.parametrize("arguments", WRONG)
def test_invalid_records_are_status_2(arguments, tmp_path):
    """An invalid value, unit or tag is exit status 2, with the expected value."""
    done = programs.program("emit", *arguments, folder=tmp_path)
    assert (done.status, done.all) == (2, [])
    assert "expected" in done.stderr or "required" in done.stderr


def test_a_file_that_cannot_be_written_is_a_failure(tmp_path):
    """If the record cannot be written, the exit status is 1."""
    done = programs.program("emit", "name", "3", folder=tmp_path, sidecar=False, BBMEASURE_FILE=str(tmp_path))
    assert done.status == 1
    assert "name cannot be reported" in done.stderr
