"""The outbox: what a sink has yet to ship, exactly, also after a restart."""

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
    """Unix seconds that a test sets."""

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


def waiting(journal: Any, sink: str = "influx", limit: int = 100) -> list[Any]:
    return [point.value for _, point in journal.pending(sink, limit)]


def test_only_what_is_written_after_a_sink_came_waits_for_it(journal: Journal) -> None:
    """Points are queued whole, from the moment on at which the sink is attached, in the order in which they came."""
    journal.write(points(1))
    journal.attach_exporter("influx")
    journal.write(points(3, 2))
    journal.write(points(9))
    assert [point for _, point in journal.pending("influx", 10)] == points(3, 2, 9)


def test_attaching_again_changes_nothing(journal: Journal) -> None:
    """A master that restarts attaches its sinks again, and they go on where they were."""
    journal.attach_exporter("influx")
    journal.write(points(1, 2, 3))
    journal.acknowledge("influx", journal.pending("influx", 1)[-1][0])
    journal.attach_exporter("influx")
    assert waiting(journal) == [2, 3]


def test_a_queue_survives_the_process(journal: Journal, tmp_path: Path) -> None:
    """What waits, the cursor and the dead letters are in the file."""
    journal.attach_exporter("influx")
    journal.write(points(1, 2, 3))
    journal.acknowledge("influx", journal.pending("influx", 1)[-1][0], [(points(1)[0], "why")])
    journal.close()
    with JournalReader(tmp_path / "j.sqlite") as reader:
        assert waiting(reader) == [2, 3]
        assert reader.exporters() == ["influx"]
        assert reader.backlog("influx").count == 2
        assert reader.dead_letters("influx")[0].reason == "why"


def test_each_sink_has_a_cursor_of_its_own(journal: Journal) -> None:
    """What one sink acknowledges still waits for the other."""
    for sink in ("influx", "victoria"):
        journal.attach_exporter(sink)
    journal.write(points(1, 2, 3))
    journal.acknowledge("influx", journal.pending("influx", 2)[-1][0])
    assert waiting(journal, "influx") == [3]
    assert waiting(journal, "victoria") == [1, 2, 3]


def test_numbers_are_never_given_twice(journal: Journal) -> None:
    """An acknowledgement that comes late takes nothing with it that came after."""
    journal.attach_exporter("influx")
    journal.write(points(1, 2))
    last = journal.pending("influx", 10)[-1][0]
    journal.acknowledge("influx", last)
    journal.write(points(3))
    journal.acknowledge("influx", last)
    assert waiting(journal) == [3]


def test_a_limit_gives_the_oldest(journal: Journal) -> None:
    """A batch is the oldest points, and the next one follows when they are acknowledged."""
    journal.attach_exporter("influx")
    journal.write(points(*range(10)))
    assert waiting(journal, limit=3) == [0, 1, 2]
    assert waiting(journal, limit=3) == [0, 1, 2]
    journal.acknowledge("influx", journal.pending("influx", 3)[-1][0])
    assert waiting(journal, limit=3) == [3, 4, 5]


def test_a_point_that_was_rewritten_is_shipped_as_it_is_now(journal: Journal) -> None:
    """A rewrite is queued again, and either time the later value goes out."""
    journal.attach_exporter("influx")
    journal.write([Point("size", START, 1.0)])
    journal.write([Point("size", START, 2.0)])
    assert waiting(journal) == [2.0, 2.0]


def test_what_was_forgotten_is_not_shipped(journal: Journal) -> None:
    """Points of a forgotten series are passed over, and taken away where nothing else waits."""
    journal.attach_exporter("influx")
    journal.write(points(1, 2))
    journal.write(points(3, series="other"))
    journal.write(points(4))
    journal.forget("size")
    assert waiting(journal) == [3]
    journal.skip_deleted("influx")
    assert journal.backlog("influx").count == 2
    journal.forget("other")
    assert waiting(journal) == []
    journal.skip_deleted("influx")
    assert journal.backlog("influx") == Backlog(0, None)


def test_a_backlog_counts_points_and_says_since_when(journal: Journal, clock: Clock) -> None:
    """The count is exact at any time, and the age is that of the longest wait, not of the point."""
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
    """A refused point is kept whole with the server's words, the newest first, of each sink its own."""
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


def test_the_oldest_dead_letters_make_room(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the newest refused points of a sink are kept."""
    monkeypatch.setattr(outbox, "MAX_DEAD_LETTERS", 3)
    journal.attach_exporter("influx")
    journal.acknowledge("influx", 0, [(point, "no") for point in points(*range(5))])
    assert [letter.point.value for letter in journal.dead_letters("influx")] == [4, 3, 2]


def test_detaching_takes_everything_along(journal: Journal) -> None:
    """A sink that is gone for good leaves no queue, no letter and no cost."""
    journal.attach_exporter("influx")
    journal.attach_exporter("victoria")
    journal.write(points(1))
    journal.acknowledge("influx", 1, [(points(1)[0], "no")])
    journal.write(points(2))
    journal.detach_exporter("influx")
    journal.write(points(3))
    assert journal.exporters() == ["victoria"]
    assert waiting(journal, "victoria") == [1, 2, 3]
    journal.attach_exporter("influx")
    assert waiting(journal) == []
    assert journal.dead_letters("influx") == []
    journal.detach_exporter("never attached")
    assert journal.connection.execute("SELECT count(*) FROM sinks").fetchone() == (2,)


def test_a_sink_of_the_same_name_inherits_nothing(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waited for a sink that was detached is not shipped by one attached before all of that is deleted."""
    monkeypatch.setattr(outbox, "_SLICE", 3)
    journal.attach_exporter("influx")
    journal.write(points(*range(10)))
    with journal.transaction() as ingest:
        outbox.detach(ingest, "influx")
    assert journal.clean_slice()
    journal.attach_exporter("influx")
    journal.write(points(99))
    assert waiting(journal) == [99]
    journal.clean()
    assert waiting(journal) == [99]
    assert journal.connection.execute("SELECT count(*) FROM outbox").fetchone() == (1,)


def test_an_unknown_sink_is_an_error_that_names_the_known(journal: Journal) -> None:
    """A misspelt sink is not taken for one with nothing to ship."""
    journal.attach_exporter("influx")
    with pytest.raises(StorageError, match=r"'inlfux'.*influx"):
        journal.pending("inlfux", 10)


@pytest.mark.parametrize("since", [0, 2, 4, 99])
def test_reshipping_queues_points_since_a_time_again(journal: Journal, since: int) -> None:
    """All points since then wait again, also those from before the sink came, and no others."""
    journal.write(points(1, 3, 5) + points(2, 4, series="other"))
    journal.attach_exporter("influx")
    expected = [value for value in (1, 3, 5, 2, 4) if value >= since]
    assert journal.reship("influx", START + since) == len(expected)
    assert waiting(journal) == expected
    assert journal.backlog("influx").count == len(expected)


def test_reshipping_many_points_misses_none(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it takes many slices, each point is in one of them, and new points come in between."""
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
    assert sorted(waiting(journal)) == sorted([*range(10, 50), *range(10, 30), 1000, 1000])


def test_trimming_by_bytes_drops_the_oldest(journal: Journal) -> None:
    """The queue shrinks to the cap, the newest stay, and what went is counted."""
    journal.attach_exporter("influx")
    journal.write(points(*range(10)))
    size = journal.backlog("influx").bytes
    assert journal.trim("influx", max_bytes=size) == 0
    assert journal.trim("influx", max_bytes=size // 2) == 5
    assert waiting(journal) == [5, 6, 7, 8, 9]
    assert journal.trim("influx", max_bytes=0) == 5
    assert journal.backlog("influx") == Backlog(0, None, 0, trimmed=10)


def test_trimming_by_age_counts_from_when_a_point_came(journal: Journal, clock: Clock) -> None:
    """What has waited too long goes; a back-filled point is as young as its coming."""
    journal.attach_exporter("influx")
    journal.write(points(1))
    clock.now += 100
    journal.write([Point("size", 0, 2.0)])
    assert journal.trim("influx", max_age=200) == 0
    assert journal.trim("influx", max_age=50) == 1
    assert waiting(journal) == [2.0]


def test_trimming_many_takes_many_slices(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long queue is trimmed to the same length as a short one."""
    monkeypatch.setattr(outbox, "_SLICE", 7)
    journal.attach_exporter("influx")
    journal.write(points(*range(100)))
    assert journal.trim("influx", max_bytes=journal.backlog("influx").bytes // 10) == 90
    assert journal.backlog("influx").count == 10


def test_expired_points_are_passed_over(journal: Journal) -> None:
    """What a retention deleted before it was shipped does not stop the rest."""
    journal.attach_exporter("influx")
    journal.write([Point("size", 0, 1.0), Point("size", int(1.8e9) * NANOSECONDS, 2.0)])
    assert journal.clean(retention=86400.0) == 1
    assert waiting(journal) == [2.0]


def in_slices(journal: Journal, retention: float) -> Iterator[None]:
    """Clean as a running master does, with whatever comes between two slices."""
    while journal.clean_slice(retention):
        yield


@pytest.mark.parametrize("slice_", [2_000, 3])
def test_what_expires_before_it_is_shipped_is_counted(
    journal: Journal, clock: Clock, slice_: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each sink counts what the retention took from it, also what comes while it is deleting, and nothing else."""
    monkeypatch.setattr(outbox, "_SLICE", slice_)
    new = int(clock.now) * NANOSECONDS
    journal.attach_exporter("influx")
    journal.write([Point(f"size{at % 5}", at * NANOSECONDS, 1.0) for at in range(40)])
    journal.acknowledge("influx", journal.pending("influx", 4)[-1][0])
    journal.attach_exporter("other")
    journal.write([Point("size", new + at, 2.0) for at in range(10)])
    journal.write([Point("forgotten", 7, 1.0)])
    journal.forget("forgotten")
    for came, _ in enumerate(in_slices(journal, 86_400.0)):
        if came < 4:
            journal.write([Point("late", came, 1.0), Point("size", new + 100 + came, 2.0)])
    backlog, other = journal.backlog("influx"), journal.backlog("other")
    assert (backlog.count, backlog.trimmed) == (14, 36 + 4)
    assert (other.count, other.trimmed) == (14, 4)
    assert waiting(journal) == waiting(journal, "other") == [2.0] * 14
    assert backlog.bytes == other.bytes > 0


def test_a_retention_that_cannot_be_kept_counts_nothing_twice(journal: Journal, clock: Clock) -> None:
    """A slice that fails is undone with its count, and the next begins anew."""
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


def test_no_sink_no_rows(journal: Journal) -> None:
    """Without a sink nothing is queued."""
    journal.write(points(1, 2, 3))
    assert journal.connection.execute("SELECT count(*) FROM outbox").fetchone() == (0,)


@inlineCallbacks
def test_the_same_from_the_reactor(tmp_path: Path) -> Any:
    """SQLiteStorage offers every operation of the outbox by Deferreds, beside another process' own."""
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
def test_points_go_on_while_many_are_reshipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A reshipping of many slices lets writes in between and answers at its end."""
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
