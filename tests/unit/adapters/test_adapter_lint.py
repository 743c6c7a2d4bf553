"""Counts of issues, in total, by category and by file."""

from __future__ import annotations

import pytest

from bbmeasure.adapters import lint
from bbmeasure.adapters.lint import Issue
from bbmeasure.records import Direction, Kind, Record


def counts(records, series):
    """The values of a series by its only tag."""
    return {next(iter(record.tags.values()), ""): record.value for record in records if record.name == series}


def count(name, value, **tags):
    """The record of a count of issues."""
    return Record(name, value, kind=Kind.COUNT, better=Direction.LOWER, tags=tags)


def test_issues_are_counted_in_all_and_by_category():
    """There is one record of all issues and one of each category, sorted, with lower as better."""
    issues = [Issue("style", "a.py"), Issue("error", "a.py", 3, "error"), Issue("style", "b.py")]
    assert lint.records("lint", issues) == [
        count("lint", 3),
        count("lint_by_category", 1, category="error"),
        count("lint_by_category", 2, category="style"),
    ]


def test_by_file():
    """With ``by_file`` each file has a record; an issue without a file counts under a dash."""
    records = lint.records("lint", [Issue("c", "a.py"), Issue("c"), Issue("c", "a.py")], by_file=True)
    assert records[2:] == [count("lint_by_file", 1, file="-"), count("lint_by_file", 2, file="a.py")]


def test_no_issue_is_a_count_of_zero():
    """Without an issue the total is 0, and so is each fixed category."""
    assert lint.records("lint", [], True) == [count("lint", 0)]
    records = lint.records("lint", [Issue("error")], categories=("error", "info"))
    assert counts(records, "lint_by_category") == {"error": 1, "info": 0}


@pytest.mark.parametrize(
    ("groups", "own", "other"), [(199, 199, None), (200, 200, None), (201, 199, 2), (900, 199, 701)]
)
def test_the_smallest_groups_are_summed_up(groups, own, other):
    """Beyond 200 categories or files the smallest are summed up as ``other``."""
    issues = [Issue(f"rule {n:03}", f"file {n:03}") for n in range(groups)] + [Issue("rule 150", "file 150")] * 5
    records = lint.records("lint", issues, by_file=True)
    for series in ("lint_by_category", "lint_by_file"):
        by_group = counts(records, series)
        assert by_group.pop("other", None) == other
        assert len(by_group) == own
        assert max(by_group.values()) == 6
        assert sum(by_group.values()) + (other or 0) == len(issues) == records[0].value


def test_a_category_that_is_called_other_is_counted_in_too():
    """A category named ``other`` and the rest are added up in one record."""
    issues = [Issue("other")] * 3 + [Issue(f"rule {n}") for n in range(300)]
    by_category = counts(lint.records("lint", issues), "lint_by_category")
    assert sum(by_category.values()) == 303
    assert by_category["other"] == 3 + 300 - 198


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("/bot/build/src/a.py", "src/a.py"),
        ("file:///bot/build/src/a.py", "src/a.py"),
        ("file:src/a.py", "file:src/a.py"),
        ("./src/a.py", "src/a.py"),
        ("src\\a.py", "src/a.py"),
        ("/bot/builder/a.py", "/bot/builder/a.py"),
        ("/bot/build", "/bot/build"),
    ],
)
def test_files_are_relative_to_the_root(written, shown):
    """The tag of a file is relative to the root, without URL scheme and with forward slashes."""
    for root in ("/bot/build", "/bot/build/"):
        (record,) = lint.records("lint", [Issue("c", written)], by_file=True, root=root)[2:]
        assert record.tags == {"file": shown}


def test_a_root_on_windows_is_removed():
    """A root with backslashes is removed too."""
    (record,) = lint.records("lint", [Issue("c", "C:\\bot\\a\\b.py")], by_file=True, root="C:\\bot")[2:]
    assert record.tags == {"file": "a/b.py"}


def test_a_long_series_name_keeps_its_suffix():
    """A long name is truncated before its suffix."""
    names = {record.name for record in lint.records("x" * 1000, [Issue("c", "f")], by_file=True)}
    assert len(names) == 3
    assert {len(name) for name in names} == {1000}
