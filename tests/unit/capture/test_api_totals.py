"""Totals and differences of captureData."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_twisted import inlineCallbacks
from twisted.internet import defer, threads

from bbmeasure import captureData
from bbmeasure.testing import captured_points
from tests.unit.capture.masters import Build, Master, read, stop, values_of, with_journal


@pytest.mark.usefixtures("long_deadlines")
class TestModes:
    """Totals and differences."""

    @inlineCallbacks
    def test_accumulate(self, master: Master) -> Any:
        """The running total is stored, with ``abs_value`` that of absolute values."""
        for value in (5, -2, 4):
            yield captureData("total", value, accumulate=True)
            yield captureData("travelled", value, accumulate=True, abs_value=True)
        points = captured_points(master)
        assert [point.value for point in points if point.series == "total"] == [5, 3, 7]
        assert [point.value for point in points if point.series == "travelled"] == [5, 7, 11]

    @inlineCallbacks
    def test_diff(self, master: Master) -> Any:
        """The difference from the last reported value is stored, and nothing for the first."""
        for value in (10, 13, 13, 9):
            yield captureData("level", value, diff=True)
        assert values_of(master) == [3, 0, -4]

    @inlineCallbacks
    def test_units(self, master: Master) -> Any:
        """Totals are in the base unit, whatever the unit of each value."""
        yield captureData("spent", 1, accumulate=True, unit="min")
        yield captureData("spent", 500, accumulate=True, unit="ms")
        assert values_of(master) == [60, 60.5]

    def test_accumulate_with_diff(self, master: Master) -> None:
        """The combination is a ValueError."""
        with pytest.raises(ValueError, match="expected one of them"):
            captureData("x", 1, accumulate=True, diff=True)

    @inlineCallbacks
    def test_totals_are_separate(self, master: Master) -> Any:
        """Each series, builder and set of tags has a total; workers share it."""
        for number in (1, 10):
            yield captureData("n", number, accumulate=True)
            yield captureData("other", number, accumulate=True)
            yield captureData("n", number, accumulate=True, build=Build(master))
            yield captureData("n", number, accumulate=True, build=Build(master, "second"))
            yield captureData("n", number, accumulate=True, tags={"a": 1})
        assert values_of(master) == [1] * 5 + [11] * 5

    @inlineCallbacks
    def test_restart(self, tmp_path: Any) -> Any:
        """A new master with the same journal continues totals and differences."""
        path = tmp_path / "journal.sqlite"
        for value in (5, 7):
            made = yield with_journal(path)
            yield captureData("total", value, accumulate=True, master=made)
            yield captureData("travelled", -value, accumulate=True, abs_value=True, master=made)
            yield captureData("level", value, diff=True, build=Build(made))
            yield stop(made)
        assert [point.value for point in read(path, "total")] == [5, 12]
        assert [point.value for point in read(path, "travelled")] == [5, 12]
        assert [point.value for point in read(path, "level")] == [2]

    @inlineCallbacks
    def test_values_from_before_the_journal(self, tmp_path: Any) -> Any:
        """Values captured while master.cfg is read continue the totals in the journal, at each start."""
        path = tmp_path / "journal.sqlite"
        for value in (5, 7, 11):
            yield captureData("starts", 1, accumulate=True)
            yield captureData("level", value, diff=True)
            made = yield with_journal(path)
            yield captureData("starts", 1, accumulate=True)
            yield stop(made)
        assert [point.value for point in read(path, "starts")] == [1, 2, 3, 4, 5, 6]
        assert [point.value for point in read(path, "level")] == [2, 4]

    @inlineCallbacks
    def test_concurrent_values(self, tmp_path: Any) -> Any:
        """No value is lost when totals are captured faster than they are written."""
        path = tmp_path / "journal.sqlite"
        made = yield with_journal(path)
        yield defer.gatherResults([captureData("n", 1, accumulate=True, tags={"t": i % 2}) for i in range(1_000)])
        yield stop(made)
        assert max(point.value for point in read(path, "n")) == 500

    @inlineCallbacks
    def test_forget(self, tmp_path: Any) -> Any:
        """After ``bbmeasure forget`` in another process a total starts from zero, beside a running master."""
        from bbmeasure.cli.main import main

        path = tmp_path / "journal.sqlite"
        made = yield with_journal(path)
        for _ in range(2):
            yield captureData("n", 5, accumulate=True, unit="s")
        arguments = ["forget", "n", "--yes", "--master", str(tmp_path), "--journal", str(path)]
        assert (yield threads.deferToThread(main, arguments)) == 0
        yield captureData("n", 7, accumulate=True, unit="bytes")
        assert [point.value for point in read(path, "n")] == [7]
        yield stop(made)
