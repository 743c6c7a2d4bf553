"""Points that wait in memory until a store is attached."""

from __future__ import annotations

from twisted.internet import task

from bbmeasure.capture.memory_migration import BATCH
from bbmeasure.capture.pipeline import Pipeline
from bbmeasure.model import BuildContext, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.memory import MemoryStorage
from bbmeasure.testing import BrokenStorage
from tests.unit.capture.stores import SlowStorage, info_of, result_of, value_of, values_in


def test_migrate(capture: Pipeline) -> None:
    """Points, declarations and totals are in the store, and memory is empty."""
    capture.capture(value_of(value=1, unit="bytes", better="lower"))
    capture.accumulate(value_of("total", 5), absolute=False)
    storage = MemoryStorage()
    assert result_of(capture.attach(storage)) is None
    assert values_in(storage) == [1]
    info = info_of(storage)
    assert info is not None
    assert (info.unit, info.better) == ("bytes", Direction.LOWER)
    capture.accumulate(value_of("total", 2), absolute=False)
    assert values_in(storage, "total") == [5, 7]
    assert capture.memory.is_empty()
    assert not capture.opted_out


def test_totals_continue_from_the_store(capture: Pipeline, clock: task.Clock) -> None:
    """After a restart, totals captured before the journal is open continue from its own."""
    storage = MemoryStorage()
    before = Pipeline(clock)
    before.attach(storage)
    for value in (90, 10):
        before.accumulate(value_of("runs", value), absolute=False)
        before.difference(value_of("level", value))
    clock.advance(60)
    capture.accumulate(value_of("runs", 1), absolute=False)
    capture.accumulate(value_of("runs", 1), absolute=False)
    capture.accumulate(value_of("runs", 1, tags={"other": "tags"}), absolute=False)
    capture.difference(value_of("level", 14))
    capture.difference(value_of("level", 12))
    capture.attach(storage)
    capture.accumulate(value_of("runs", 1), absolute=False)
    capture.difference(value_of("level", 20))
    assert values_in(storage, "runs") == [90, 100, 101, 102, 1, 103]
    assert values_in(storage, "level") == [-80, 4, -2, 8]


def test_conflicting_series(capture: Pipeline) -> None:
    """A series that the store holds to be something else is refused and counted; others are migrated."""
    storage = MemoryStorage()
    storage.declare(SeriesInfo("a", Kind.SIZE, "bytes", builders=("first",)))
    for name in ("a", "b"):
        capture.capture(value_of(name, 1, unit="s"))
    capture.attach(storage)
    assert values_in(storage, "a") == []
    assert values_in(storage, "b") == [1]
    assert capture.counters["migration_failed"] == 1


def test_what_a_proposal_declared_stays_a_proposals(capture: Pipeline) -> None:
    """The first trusted declaration after the migration replaces what a proposal said before the store was open."""
    build = BuildContext("first", "bot", 1, 1, branch="main", proposal="refs/pull/1")
    capture.capture(value_of("size", "a text", build=build))
    storage = MemoryStorage()
    capture.attach(storage)
    assert storage.proposed_series() == {("size", "first")}
    capture.capture(value_of("size", 5, unit="bytes"))
    info = info_of(storage)
    assert info is not None
    assert (info.kind, info.unit) == (Kind.SIZE, "bytes")


def test_migration_in_batches(capture: Pipeline) -> None:
    """The reactor runs between batches of points."""
    for number in range(2 * BATCH + 1):
        capture.capture(value_of(value=number))
    slow = SlowStorage()
    capture.attach(slow)
    slow.go()
    assert slow.writes == [BATCH, BATCH, 1, 0]
    assert values_in(slow) == list(range(2 * BATCH + 1))


def test_failed_migration(capture: Pipeline) -> None:
    """A store that fails loses the points, and their number is counted."""
    for number in range(5):
        capture.capture(value_of(value=number))
    assert result_of(capture.attach(BrokenStorage("fail"))) is None
    assert capture.counters["migration_failed"] == 5


def test_totals_wait_for_the_migration(capture: Pipeline) -> None:
    """Values that arrive during the migration are added after it."""
    capture.accumulate(value_of(value=5), absolute=False)
    slow = SlowStorage()
    capture.attach(slow)
    answers = [capture.accumulate(value_of(name, 1), absolute=False) for name in ["size", *map(str, range(1_000))]]
    slow.go()
    assert [result_of(answer) for answer in answers] == [None] * 1_001
    assert values_in(slow) == [5, 6]
