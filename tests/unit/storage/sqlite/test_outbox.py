"""The outbox: the pending points of exporters, exactly, also after a restart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import inlineCallbacks
from twisted.internet import reactor

from bbmeasure.errors import StorageError
from bbmeasure.model import Point, Query
from bbmeasure.storage.sqlite import outbox
from bbmeasure.storage.sqlite.journal import Journal, JournalReader, next_step
from bbmeasure.storage.sqlite.outbox import Backlog
from bbmeasure.storage.sqlite.store import SQLiteStorage
from bbmeasure.times import NANOSECONDS
from tests.unit.storage.examples import START, at, in_build


class Clock:
    """A clock that the test sets, in unix seconds."""

    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Any:
    with Journal(tmp_path / "j.sqlite", clock=clock) as made:
        yield made


def points(*values: float, series: str = "size") -> list[Point]:
    return [Point(series, START + int(value), value, {"k": "v"}, in_build()) for value in values]


def pending_values(journal: Any, name: str = "influx", limit: int = 100) -> list[Any]:
    return [point.value for _, point in journal.pending(name, limit)]


def test_points_written_after_the_attachment_are_pending(journal: Journal) -> None:
    """Points written since the exporter was attached are pending, unchanged and in the order of their arrival."""
    journal.write(points(1))
    journal.attach_exporter("influx")
    journal.write(points(3, 2))
    journal.write(points(9))
    assert [point for _, point in journal.pending("influx", 10)] == points(3, 2, 9)


def test_attaching_again_keeps_the_queue(journal: Journal) -> None:
    """An exporter that is attached again, as after a restart, continues at its cursor."""
    journal.attach_exporter("influx")
    journal.write(points(1, 2, 3))
    journal.acknowledge("influx", journal.pending("influx", 1)[-1][0])
    journal.attach_exporter("influx")
    assert pending_values(journal) == [2, 3]


def test_a_queue_survives_the_process(journal: Journal, tmp_path: Path) -> None:
    """Pending points, the cursor and the dead letters are in the file."""
    journal.attach_exporter("influx")
    journal.write(points(1, 2, 3))
    journal.acknowledge("influx", journal.pending("influx", 1)[-1][0], [(points(1)[0], "why")])
    journal.close()
    with JournalReader(tmp_path / "j.sqlite") as reader:
        assert pending_values(reader) == [2, 3]
        assert reader.exporters() == ["influx"]
        assert reader.backlog("influx").count == 2
        assert reader.dead_letters("influx")[0].reason == "why"


def test_each_exporter_has_its_own_cursor(journal: Journal) -> None:
    """Points acknowledged by one exporter are still pending for the other."""
    for name in ("influx", "victoria"):
        journal.attach_exporter(name)
    journal.write(points(1, 2, 3))
    journal.acknowledge("influx", journal.pending("influx", 2)[-1][0])
    assert pending_values(journal, "influx") == [3]
    assert pending_values(journal, "victoria") == [1, 2, 3]


def test_sequence_numbers_are_never_reused(journal: Journal) -> None:
    """A repeated acknowledgement does not remove points that were queued after the first."""
    journal.attach_exporter("influx")
    journal.write(points(1, 2))
    last = journal.pending("influx", 10)[-1][0]
    journal.acknowledge("influx", last)
    journal.write(points(3))
    journal.acknowledge("influx", last)
    assert pending_values(journal) == [3]


def test_pending_returns_the_oldest_points(journal: Journal) -> None:
    """The same points are returned until they are acknowledged, then the next."""
    journal.attach_exporter("influx")
    journal.write(points(*range(10)))
    assert pending_values(journal, limit=3) == [0, 1, 2]
    assert pending_values(journal, limit=3) == [0, 1, 2]
    journal.acknowledge("influx", journal.pending("influx", 3)[-1][0])
    assert pending_values(journal, limit=3) == [3, 4, 5]


def test_a_replaced_point_is_shipped_with_its_present_value(journal: Journal) -> None:
    """A replacement is queued again; both rows have the later value."""
    journal.attach_exporter("influx")
    journal.write([Point("size", START, 1.0)])
    journal.write([Point("size", START, 2.0)])
    assert pending_values(journal) == [2.0, 2.0]


def test_forgotten_points_are_not_shipped(journal: Journal) -> None:
    """Points of a forgotten series are not pending, and ``skip_deleted`` removes their rows."""
    journal.attach_exporter("influx")
    journal.write(points(1, 2))
    journal.write(points(3, series="other"))
    journal.write(points(4))
    journal.forget("size")
    assert pending_values(journal) == [3]
    journal.skip_deleted("influx")
    assert journal.backlog("influx").count == 2
    journal.forget("other")
    assert pending_values(journal) == []
    journal.skip_deleted("influx")
    assert journal.backlog("influx") == Backlog(0, None)


def test_the_backlog_has_count_and_age(journal: Journal, clock: Clock) -> None:
    """The count is exact, and the age is that of the oldest arrival, not of the point's own time."""
    journal.attach_exporter("influx")
    assert journal.backlog("influx") == Backlog(0, None)
    journal.write(points(1, 2))
    clock.now += 60
    journal.write(points(3))
    assert journal.backlog("influx").count == 3
    assert journal.backlog("influx").oldest_time == 1_800_000_000 * NANOSECONDS
    journal.acknowledge("influx", journal.pending("influx", 2)[-1][0])
    assert journal.backlog("influx").count == 1
    assert journal.backlog("influx").oldest_time == 1_800_000_060 * NANOSECONDS
    journal.acknowledge("influx", journal.pending("influx", 2)[-1][0])
    assert journal.backlog("influx") == Backlog(0, None)


def test_refused_points_become_dead_letters(journal: Journal, clock: Clock) -> None:
    """Each exporter's refused points are stored unchanged with the server's message, newest first."""
    journal.attach_exporter("influx")
    journal.attach_exporter("victoria")
    mixed = [*points(1, 2), Point("compiler", START, 'text "quoted"', {"\u00fc": "\U0001f600"}, None, 3, 0.5)]
    journal.write(mixed)
    seq = journal.pending("influx", 10)[-1][0]
    journal.acknowledge("influx", seq, [(mixed[0], "field type conflict"), (mixed[2], "too long")])
    letters = journal.dead_letters("influx")
    assert [(letter.point, letter.reason) for letter in letters] == [
        (mixed[2], "too long"),
        (mixed[0], "field type conflict"),
    ]
    assert letters[0].time == int(clock.now) * NANOSECONDS
    assert journal.dead_letters("influx", 1) == letters[:1]
    assert journal.dead_letters("victoria") == []


def test_only_the_newest_dead_letters_are_stored(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond MAX_DEAD_LETTERS the oldest dead letters are deleted."""
    monkeypatch.setattr(outbox, "MAX_DEAD_LETTERS", 3)
    journal.attach_exporter("influx")
    journal.acknowledge("influx", 0, [(point, "no") for point in points(*range(5))])
    assert [letter.point.value for letter in journal.dead_letters("influx")] == [4, 3, 2]


def test_detaching_removes_the_queue_and_dead_letters(journal: Journal) -> None:
    """A detached exporter leaves no queue, no dead letter and no row."""
    journal.attach_exporter("influx")
    journal.attach_exporter("victoria")
    journal.write(points(1))
    journal.acknowledge("influx", 1, [(points(1)[0], "no")])
    journal.write(points(2))
    journal.detach_exporter("influx")
    journal.write(points(3))
    assert journal.exporters() == ["victoria"]
    assert pending_values(journal, "victoria") == [1, 2, 3]
    journal.attach_exporter("influx")
    assert pending_values(journal) == []
    assert journal.dead_letters("influx") == []
    journal.detach_exporter("never attached")
    assert journal.connection.execute("SELECT count(*) FROM sinks").fetchone() == (2,)


def test_an_exporter_attached_again_has_an_empty_queue(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exporter attached before the rows of a detached one of that name are deleted does not ship them."""
    monkeypatch.setattr(outbox, "_SLICE", 3)
    journal.attach_exporter("influx")
    journal.write(points(*range(10)))
    with journal.transaction() as ingest:
        outbox.detach(ingest, "influx")
    assert journal.clean_slice()
    journal.attach_exporter("influx")
    journal.write(points(99))
    assert pending_values(journal) == [99]
    journal.clean()
    assert pending_values(journal) == [99]
    assert journal.connection.execute("SELECT count(*) FROM outbox").fetchone() == (1,)


def test_an_unknown_exporter_is_an_error(journal: Journal) -> None:
    """The StorageError names the unknown and the known exporters."""
    journal.attach_exporter("influx")
    with pytest.raises(StorageError, match=r"'inlfux'.*influx"):
        journal.pending("inlfux", 10)


@pytest.mark.parametrize("since", [0, 2, 4, 99])
def test_reshipping_queues_points_since_a_time(journal: Journal, since: int) -> None:
    """All points since the time are pending, also those from before the attachment, and no others."""
    journal.write(points(1, 3, 5) + points(2, 4, series="other"))
    journal.attach_exporter("influx")
    expected = [value for value in (1, 3, 5, 2, 4) if value >= since]
    assert journal.reship("influx", START + since) == len(expected)
    assert pending_values(journal) == expected
    assert journal.backlog("influx").count == len(expected)


def test_reshipping_in_several_slices(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each point is in one slice, and points written between the slices are queued."""
    monkeypatch.setattr(outbox, "_SLICE", 7)
    journal.write(points(*range(50)) + points(*range(30), series="other"))
    journal.attach_exporter("influx")
    slices = outbox.reship(journal.ingest, "influx", START + 10)
    with journal.transaction():
        next(slices)
    journal.write(points(1000, series="between"))
    count = None
    while count is None:
        with journal.transaction():
            count = next_step(slices)
    assert count == 61
    assert sorted(pending_values(journal)) == sorted([*range(10, 50), *range(10, 30), 1000, 1000])


def test_trimming_by_bytes_drops_the_oldest(journal: Journal) -> None:
    """The queue shrinks to the limit, the newest points stay, and dropped points are counted."""
    journal.attach_exporter("influx")
    journal.write(points(*range(10)))
    size = journal.backlog("influx").bytes
    assert journal.trim("influx", max_bytes=size) == 0
    assert journal.trim("influx", max_bytes=size // 2) == 5
    assert pending_values(journal) == [5, 6, 7, 8, 9]
    assert journal.trim("influx", max_bytes=0) == 5
    assert journal.backlog("influx") == Backlog(0, None, 0, trimmed=10)


def test_trimming_by_age_uses_the_time_of_arrival(journal: Journal, clock: Clock) -> None:
    """The age of a pending point is the time since its arrival, also of a back-filled one."""
    journal.attach_exporter("influx")
    journal.write(points(1))
    clock.now += 100
    journal.write([Point("size", 0, 2.0)])
    assert journal.trim("influx", max_age=200) == 0
    assert journal.trim("influx", max_age=50) == 1
    assert pending_values(journal) == [2.0]


def test_trimming_in_several_slices(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue longer than a slice is trimmed to the limit."""
    monkeypatch.setattr(outbox, "_SLICE", 7)
    journal.attach_exporter("influx")
    journal.write(points(*range(100)))
    assert journal.trim("influx", max_bytes=journal.backlog("influx").bytes // 10) == 90
    assert journal.backlog("influx").count == 10


def test_expired_points_are_not_shipped(journal: Journal) -> None:
    """Points that the retention deleted are not pending, later ones are."""
    journal.attach_exporter("influx")
    journal.write([Point("size", 0, 1.0), Point("size", int(1.8e9) * NANOSECONDS, 2.0)])
    assert journal.clean(retention=86400.0) == 1
    assert pending_values(journal) == [2.0]


def in_slices(journal: Journal, retention: float) -> Iterator[None]:
    """Clean in slices as a running master does; yields between them."""
    while journal.clean_slice(retention):
        yield


@pytest.mark.parametrize("slice_", [2_000, 3])
def test_points_that_expire_while_pending_are_counted(
    journal: Journal, clock: Clock, slice_: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``trimmed`` counts all pending points that the retention deleted, also those written meanwhile."""
    monkeypatch.setattr(outbox, "_SLICE", slice_)
    new = int(clock.now) * NANOSECONDS
    journal.attach_exporter("influx")
    journal.write([Point(f"size{at % 5}", at * NANOSECONDS, 1.0) for at in range(40)])
    journal.acknowledge("influx", journal.pending("influx", 4)[-1][0])
    journal.attach_exporter("other")
    journal.write([Point("size", new + at, 2.0) for at in range(10)])
    journal.write([Point("forgotten", 7, 1.0)])
    journal.forget("forgotten")
    for index, _ in enumerate(in_slices(journal, 86_400.0)):
        if index < 4:
            journal.write([Point("late", index, 1.0), Point("size", new + 100 + index, 2.0)])
    backlog, other = journal.backlog("influx"), journal.backlog("other")
    assert (backlog.count, backlog.trimmed) == (14, 36 + 4)
    assert (other.count, other.trimmed) == (14, 4)
    assert pending_values(journal) == pending_values(journal, "other") == [2.0] * 14
    assert backlog.bytes == other.bytes > 0


def test_a_failed_slice_of_the_retention_is_undone(journal: Journal, clock: Clock) -> None:
    """A failing slice changes neither the queue nor its counters; the next attempt counts each point once."""
    journal.attach_exporter("influx")
    journal.write([Point("size", at, 1.0) for at in range(3)])
    journal.connection.execute("CREATE TEMP TRIGGER no BEFORE DELETE ON points BEGIN SELECT raise(ABORT, 'no'); END")
    for _ in range(2):
        with pytest.raises(StorageError):
            journal.clean_slice(86_400.0)
    assert (journal.backlog("influx").count, journal.backlog("influx").trimmed) == (3, 0)
    journal.connection.execute("DROP TRIGGER no")
    while journal.clean_slice(86_400.0):
        pass
    assert journal.backlog("influx") == Backlog(0, None, 0, trimmed=3)


def test_nothing_is_queued_without_an_exporter(journal: Journal) -> None:
    """Without an exporter the outbox stays empty."""
    journal.write(points(1, 2, 3))
    assert journal.connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)


@inlineCallbacks
def test_the_outbox_of_sqlite_storage(tmp_path: Path) -> Any:
    """SQLiteStorage has every operation of the outbox, and sees exporters that another process attaches."""
    storage = SQLiteStorage(tmp_path / "j.sqlite", reactor=reactor)
    yield storage.attach_exporter("influx")
    yield storage.write(points(1, 2, 3))
    batch = yield storage.pending("influx", 2)
    assert [point for _, point in batch] == points(1, 2)
    yield storage.acknowledge("influx", batch[-1][0], [(batch[0][1], "no")])
    assert (yield storage.backlog("influx")).count == 1
    assert [letter.reason for letter in (yield storage.dead_letters("influx"))] == ["no"]
    assert (yield storage.reship("influx", START)) == 3
    assert (yield storage.trim("influx", max_bytes=0)) == 4
    with Journal(tmp_path / "j.sqlite") as other:
        other.attach_exporter("victoria")
    yield storage.write(points(4))
    assert [point.value for _, point in (yield storage.pending("victoria", 9))] == [4]
    yield storage.forget("size")
    assert (yield storage.pending("influx", 9)) == []
    assert (yield storage.backlog("influx")).count == 0
    yield storage.detach_exporter("influx")
    assert (yield storage.exporters()) == ["victoria"]
    with pytest.raises(StorageError, match="victoria"):
        yield storage.backlog("influx")
    yield storage.close()


@inlineCallbacks
def test_writes_between_the_slices_of_a_reshipping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A write made during a reshipping of many slices is committed before its end."""
    monkeypatch.setattr(outbox, "_SLICE", 5)
    storage = SQLiteStorage(tmp_path / "j.sqlite", reactor=reactor)
    yield storage.write([Point("size", at(n), 1.0) for n in range(200)])
    yield storage.attach_exporter("influx")
    order: list[str] = []
    shipped = storage.reship("influx", START).addCallback(lambda count: order.append(f"reshipped {count}"))
    yield storage.write([Point("later", at(-1), 1.0)]).addCallback(lambda _: order.append("written"))
    yield shipped
    assert order == ["written", "reshipped 200"]
    assert (yield storage.backlog("influx")).count == 201
    assert (yield storage.last(Query("later"))).value == 1.0
    yield storage.close()
