"""``bbmeasure import``: JSON lines of ``bbmeasure-eight export`` into a journal."""

from __future__ import annotations

import io
import json
import sys

import pytest

from bbmeasure.cli import main
from bbmeasure.model import Query
from bbmeasure.reports.serialize import point_answer
from bbmeasure.storage.influxdb.line_protocol import LineWriter
from bbmeasure.storage.sqlite.journal import JournalReader

LINE = {
    "v": 1,
    "series": "build_duration",
    "time": 1_795_658_093_369_599_334,
    "value": 0.5,
    "kind": "duration",
    "unit": "s",
    "better": "lower",
    "tags": {"platform": "linux", "result": "success"},
    "builder": "first",
    "worker": "bot",
    "build": 7,
    "branch": "main",
    "revision": "abc",
}


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "bbmeasure.sqlite"


def run(journal, *lines):
    file = journal.parent / "lines"
    file.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return main.main(["import", str(file), "--journal", str(journal), "--json"])


def points(journal, series="build_duration"):
    with JournalReader(journal) as reader:
        return reader.points(Query(series), 100)


def test_a_line_becomes_a_point(journal, capsys):
    assert run(journal, LINE) == 0
    assert json.loads(capsys.readouterr().out) == {"points": 1, "refused": 0}
    (point,) = points(journal)
    assert (point.time, point.value, dict(point.tags)) == (LINE["time"], 0.5, LINE["tags"])
    assert point.build is not None
    assert (point.build.builder, point.build.worker, point.build.build) == ("first", "bot", 7)
    assert (point.build.branch, point.build.revision) == ("main", "abc")
    with JournalReader(journal) as reader:
        (series,) = reader.series()
    assert (series.kind.value, series.unit, series.better.value) == ("duration", "s", "lower")


def test_importing_again_changes_nothing(journal):
    run(journal, LINE, dict(LINE, build=8, time=5))
    before = points(journal)
    run(journal, LINE, dict(LINE, build=8, time=5))
    assert points(journal) == before
    assert len(before) == 2


def test_no_server_and_no_answer_has_a_buildid(journal):
    run(journal, LINE)
    (point,) = points(journal)
    assert "buildid" not in LineWriter().line(point)
    assert "build=7i" in LineWriter().line(point)
    assert point_answer(point)["buildid"] is None


def test_a_proposal_is_one_in_the_journal_too(journal):
    run(journal, dict(LINE, proposal="try"))
    assert points(journal) == []
    with JournalReader(journal) as reader:
        (point,) = reader.points(Query("build_duration", proposal="try"), 100)
    assert point.build is not None
    assert (point.build.proposal, dict(point.tags)) == ("try", LINE["tags"])
    assert ",proposed=yes," in LineWriter().line(point)


def test_builds_with_one_number_are_apart_by_their_builders(journal):
    run(journal, LINE, dict(LINE, builder="second", branch="other"))
    ids = {point.build.buildid for point in points(journal)}
    assert len(ids) == 2
    assert max(ids) < 0


INVALID = {
    "no JSON": "nonsense",
    "no object": "[1]",
    "another version": dict(LINE, v=2),
    "no builder": dict(LINE, builder=""),
    "no time": dict(LINE, time="now"),
    "a time out of range": dict(LINE, time=10**30),
    "a number that is none": dict(LINE, build=True),
    "a unit that is none": dict(LINE, unit="furlong"),
    "no name": dict(LINE, series=""),
    "reserved tags": dict(LINE, tags={"builder": "x"}),
    "tags that are a list": dict(LINE, tags=[]),
    "a branch that is a number": dict(LINE, branch=5),
    "no value": {name: value for name, value in LINE.items() if name != "value"},
    "a line that is too long": dict(LINE, revision="x" * 70_000),
    "a nest": "[" * 60_000,
}


@pytest.mark.parametrize("what", INVALID)
def test_an_invalid_line_is_refused_and_the_others_are_imported(journal, capsys, what):
    assert run(journal, INVALID[what], LINE) == 0
    assert json.loads(capsys.readouterr().out) == {"points": 1, "refused": 1}


def test_a_series_in_another_unit_is_refused(journal, capsys):
    run(journal, LINE, dict(LINE, unit="bytes", kind="size", time=5))
    assert json.loads(capsys.readouterr().out) == {"points": 1, "refused": 1}


def test_a_file_of_invalid_lines_alone_is_an_error(journal, capsys):
    file = journal.parent / "lines"
    file.write_text("x\n" * 5)
    assert main.main(["import", str(file), "--journal", str(journal)]) == 1
    shown = capsys.readouterr()
    assert shown.out == "0 points written, 5 refused\n"
    assert len(shown.err.splitlines()) == 3


def test_a_missing_file_is_wrong_use(journal, capsys):
    assert main.main(["import", str(journal.parent / "none"), "--journal", str(journal)]) == 2
    assert "No such file" in capsys.readouterr().err


def test_standard_input(journal, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(json.dumps(LINE).encode())))
    assert main.main(["import", "-", "--journal", str(journal)]) == 0
    assert capsys.readouterr().out == "1 points written, 0 refused\n"
