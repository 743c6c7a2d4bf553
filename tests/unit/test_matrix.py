"""The environments of `make test-matrix`, and its table."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from tests import matrix
from tests.buildbots import RELEASES, find_python, floors

REPORT = """<testsuites><testsuite>
  <testcase classname="tests.a" name="test_good"/>
  <testcase classname="tests.a" name="test_bad"><failure message="no"/></testcase>
  <testcase classname="tests.a" name="test_broken"><error message="no"/></testcase>
  <testcase classname="tests.a" name="test_other"><skipped message="needs Buildbot 4.1"/></testcase>
</testsuite></testsuites>"""


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["3.11"], ["3.11-3.9", "3.11-3.10", "3.11-3.11", "3.11-3.12"]),
        (["4.2-3.13", "3.7-3.9"], ["3.7-3.9", "4.2-3.13"]),
        (["3.7-3.13"], []),
        (["4.2", "nonsense"], []),
    ],
)
def test_names_select_environments(names, found):
    """A release selects all of its Pythons; without names all environments are selected; a wrong name is an error."""
    assert [f"{release.name}-{python}" for release, python in matrix.environments(names)] == found
    assert len(matrix.environments([])) == sum(len(release.pythons) for release in RELEASES.values())


def test_a_wrong_name_or_folder_is_wrong_use(capsys):
    """Exit status 2, with what is expected."""
    for arguments in (["nonsense"], ["--stages=nonsense"], ["--jobs=0"]):
        with pytest.raises(SystemExit) as caught:
            matrix.main(arguments)
        assert caught.value.code == 2
        assert "expected names of --list, stages of unit, steps, e2e, browser, and 1 job" in capsys.readouterr().err


def test_the_table_has_what_ran_and_why_something_did_not(tmp_path):
    """Counts, the names of failed tests, and the reasons of skipped ones and of environments that do not exist."""
    (tmp_path / "report.xml").write_text(REPORT)
    passed, failed, skipped = matrix.read_report(tmp_path / "report.xml")
    assert (passed, failed, skipped) == (
        1,
        ["tests.a::test_bad", "tests.a::test_broken"],
        Counter({"needs Buildbot 4.1": 1}),
    )
    release = RELEASES["3.7"]
    ran = matrix.Row(release, "3.9", "unit", passed, tuple(failed), skipped, 7.4)
    absent = matrix.Row(release, "3.10", "unit", reason="no Python 3.10 was found")
    assert (ran.is_good, absent.is_good, matrix.Row(release, "3.9", "unit").is_good) == (False, True, False)
    lines = matrix.table([ran, absent]).splitlines()
    assert lines[2].split() == ["3.7.0", "3.9", "unit", "1", "2", "1", "7", "s"]
    assert lines[3].split()[:6] == ["3.7.0", "3.10", "unit", "-", "-", "-"]
    assert lines[3].endswith("no Python 3.10 was found")
    assert "    FAILED 3.7-3.9 tests.a::test_bad" in lines
    assert "    skipped 3.7-3.9 1 x: needs Buildbot 4.1" in lines


def test_environments_run_side_by_side_and_are_listed_in_their_order(monkeypatch, capsys):
    """Two jobs run two environments at a time; the first waits here for the second."""
    second = threading.Event()

    def run(release, python, stages, *, brief):
        if python == "3.9":
            assert second.wait(60)
        second.set()
        yield matrix.Row(release, python, stages[0], passed=1)

    monkeypatch.setattr(matrix, "run", run)
    monkeypatch.setenv("JOBS", "1")
    assert matrix.main(["--jobs=2", "--stages=unit", "3.7-3.9", "3.7-3.10"]) == 0
    listed = capsys.readouterr().out.partition(matrix.HEADER)[2].splitlines()[1:]
    assert [line.split()[1] for line in listed] == ["3.9", "3.10"]


def test_a_python_that_does_not_exist_is_reported(monkeypatch):
    """Its rows have the reason, and nothing is installed."""
    monkeypatch.setattr(matrix, "find_python", lambda version: None)
    rows = list(matrix.run(RELEASES["4.3"], "3.13", ["unit", "steps"], brief=True))
    assert [(row.stage, row.reason) for row in rows] == [
        ("unit", "no Python 3.13 was found"),
        ("steps", "no Python 3.13 was found"),
    ]
    assert find_python("9.99") is None


def test_each_library_has_a_floor():
    """The floors are those of setup.cfg, one a library."""
    assert [one.partition("==")[0] for one in floors()] == ["hyperlink", "influxdb", "regex", "treq"]
