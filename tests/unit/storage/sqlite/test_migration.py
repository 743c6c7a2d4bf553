"""The migration of a journal of version 1, and how it is shown while it runs."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from pytest_twisted import inlineCallbacks
from twisted.internet import defer

from bbmeasure import statistics
from bbmeasure.errors import StorageError, StorageUnavailableError
from bbmeasure.model import Point, Query
from bbmeasure.storage.memory import MemoryStorage
from bbmeasure.storage.sqlite import copy_v1, migration
from bbmeasure.storage.sqlite.journal import Journal, JournalReader, open_for_judging
from bbmeasure.storage.verdict_store import AlertQuery
from tests.unit.storage.examples import at, in_build
from tests.unit.storage.sqlite.helpers import until
from tests.unit.storage.sqlite.migration_examples import POINTS, check, examples, migrated
from tests.unit.storage.sqlite.test_journal_like_memory import check_chunks, key
from tests.unit.storage.sqlite.version_1 import make_large_version_1, make_version_1


def test_everything_is_migrated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points, details, builds, totals, declarations, queues and running totals are in the new file."""
    monkeypatch.setattr(copy_v1, "_SLICE", 500)
    path, points, seen = tmp_path / "j.sqlite", examples(), []
    make_version_1(path, points, ["influx"])
    with Journal(path, migrate=True, progress=lambda done, total: seen.append((done, total))) as journal:
        check(journal, [migrated(point) for point in points])
        check_chunks(journal)
        assert journal.recall(['["total", "size"]']) == {'["total", "size"]': 7.5}
        assert journal.backlog("influx").count == len(points)
        assert [point for _, point in journal.pending("influx", 9)] == [migrated(point) for point in points[:9]]
        info = journal.series(frozenset(["first"]))[-1]
        assert (info.kind.value, info.unit, info.better.value, info.builders) == ("size", "bytes", "lower", ("first",))
        journal.write([migrated(points[0]), Point("size0", at(10**6), 1.0, {}, in_build(branch="main"))])
        assert journal.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert seen[0] == (0, len(points))
    assert seen[-1] == (len(points), len(points))
    assert len(seen) > 5
    assert sorted(os.listdir(tmp_path)) == ["j.sqlite", "j.sqlite.v1"]


@pytest.mark.slow
@settings(max_examples=15)
@given(POINTS)
def test_any_journal_is_migrated(tmp_path_factory: Any, points: list[Point]) -> None:
    """Builds of several builders, workers, branches and revisions keep their points."""
    path = tmp_path_factory.mktemp("v1") / "j.sqlite"
    make_version_1(path, points)
    with Journal(path, migrate=True) as journal:
        check(journal, [migrated(point) for point in points])


def test_names_become_canonical(tmp_path: Path) -> None:
    """Names that no query finds are found after the migration, and by a reader before; two of one name stay apart."""
    path = tmp_path / "j.sqlite"
    names = ["back\\slash", "#first", "back_slash", "two\\\\", "\\", "plain"]
    points = [Point(name, at(n), float(n), {}, in_build(branch="main")) for n, name in enumerate(names)]
    make_version_1(path, [*points, *(replace(point, time=at(100), build=None) for point in points)])
    connection = sqlite3.connect(path)
    keys = [json.dumps(["total", name, "first", {}], sort_keys=True) for name in names]
    connection.executemany("INSERT INTO state VALUES (?, ?)", [(key, float(n)) for n, key in enumerate(keys)])
    connection.commit()
    connection.close()
    canonical = ["back_slash_2", "_first", "back_slash", "two", "_", "plain"]
    with JournalReader(path) as reader:
        assert [[point.value for point in reader.points(Query(name), 9)] for name in canonical] == [
            [float(n)] * 2 for n in range(len(names))
        ]
    with Journal(path, migrate=True) as journal:
        assert {info.name for info in journal.series()} == {*canonical}
        for number, name in enumerate(canonical):
            assert [point.value for point in journal.points(Query(name), 9)] == [float(number)] * 2
            key_ = json.dumps(["total", name, "first", {}], sort_keys=True)
            assert journal.recall([key_]) == {key_: float(number)}
        assert journal.recall(['["total", "size"]']) == {'["total", "size"]': 7.5}
        assert journal.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_the_old_file_can_be_put_back(tmp_path: Path) -> None:
    """``PATH.v1`` is the old file, complete without others beside it, and is migrated again when it is put back."""
    path, points = tmp_path / "j.sqlite", examples(50)
    make_version_1(path, points)
    content = path.read_bytes()
    for _ in range(2):
        with Journal(path, migrate=True) as journal:
            assert journal.series()
        assert (tmp_path / "j.sqlite.v1").read_bytes() == content
        os.replace(tmp_path / "j.sqlite.v1", path)


def test_a_reader_of_an_old_file(tmp_path: Path) -> None:
    """A reader answers from a file of version 1, where every branch is unknown, and does not change it."""
    path, points = tmp_path / "j.sqlite", examples(600)
    make_version_1(path, points, ["influx"])
    content = path.read_bytes()
    unknown = [
        point if point.build is None else replace(point, build=replace(point.build, branch=None)) for point in points
    ]
    with JournalReader(path) as reader:
        memory = MemoryStorage()
        memory.write(unknown)
        assert [(info.name, info.count, info.builders) for info in reader.series()] == [
            (info.name, info.count, info.builders)
            for info in memory.series().result  # type: ignore[attr-defined]  # an attribute of this implementation
        ]
        for name in ("size1", "compiler", "load", "median"):
            assert key(reader.points(Query(name), 1_000)) == key(memory.points(Query(name), 1_000).result)
            assert len(reader.lines(Query(name))) == len(memory.lines(Query(name)).result)
        assert key(reader.records(107)) == key(memory.records(107).result)
        assert reader.backlog("influx").count == len(points)
        assert len(reader.pending("influx", 10)) == 10
        assert reader.summarize(Query("load"), statistics.find_all(["sum"])) == {"sum": 190.0}
    assert path.read_bytes() == content


def test_verdicts_of_an_old_file(tmp_path: Path) -> None:
    """A reader finds no verdicts and no alerts; nothing is judged, as the ids of the file change."""
    path = tmp_path / "j.sqlite"
    make_version_1(path, examples(20))
    with JournalReader(path) as reader:
        assert (reader.alerts(AlertQuery()), reader.mutes(), reader.alert(1)) == ([], [], None)
        assert (reader.kept_lines([1]), reader.kept_verdicts(1)) == ({}, None)
    with pytest.raises(StorageUnavailableError, match="it is migrated first"):
        open_for_judging(path)
    with Journal(path, migrate=True):
        open_for_judging(path).close()


def test_a_command_does_not_migrate(tmp_path: Path) -> None:
    """A Journal refuses an old file, as a master of the former release may still write it, and does not change it."""
    make_version_1(tmp_path / "j.sqlite", examples(20))
    content = (tmp_path / "j.sqlite").read_bytes()
    with pytest.raises(StorageUnavailableError, match="version 1, expected 2: it is migrated when a master opens it"):
        Journal(tmp_path / "j.sqlite")
    assert (tmp_path / "j.sqlite").read_bytes() == content
    assert os.listdir(tmp_path) == ["j.sqlite"]


@inlineCallbacks
def test_a_store_during_a_migration(open_storage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Values wait in memory, readers answer from the old file, and health shows the progress."""
    points = examples(900)
    make_version_1(tmp_path / "j.sqlite", points)
    monkeypatch.setattr(copy_v1, "_SLICE", 200)
    proceed: list[bool] = []
    storage = open_storage()
    report = storage._migration.report

    def wait(done: int, total: int) -> None:
        report(done, total)
        while done and not proceed:
            time.sleep(0.005)

    storage._migration.report = wait
    written = storage.write([Point("new", at(0), 1.0, {}, in_build(branch="main"))])
    yield until(lambda: storage.health().counters.get("migrated"))
    assert storage.health().counters["to_migrate"] == len(points)
    assert storage.health().backlog == 1
    assert len((yield storage.points(Query("load"), 100))) == 20
    assert not written.called
    proceed.append(True)
    yield written
    assert len((yield storage.points(Query("load"), 100))) == 20
    assert (yield storage.last(Query("new"))).value == 1.0
    assert storage.health().backlog == 0
    assert storage.health().counters["migrated"] == len(points)


@inlineCallbacks
def test_a_store_that_is_closed_during_a_migration(
    open_storage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """The migration is broken off, the value fails, and the next start migrates."""
    points = examples(900)
    make_version_1(tmp_path / "j.sqlite", points)
    monkeypatch.setattr(copy_v1, "_SLICE", 100)
    monkeypatch.setattr(migration, "_CHECK", 100)
    storage = open_storage(close_timeout=20.0)
    written = storage.write([Point("new", at(0), 1.0)])
    yield until(lambda: storage.health().counters.get("to_migrate"))
    closed = storage.close()
    results = yield defer.DeferredList([written, closed], consumeErrors=True)
    if not results[0][0]:
        assert results[0][1].check(StorageError)
        assert os.listdir(tmp_path) == ["j.sqlite"]
    with Journal(tmp_path / "j.sqlite", migrate=True) as journal:
        assert len(journal.points(Query("load"), 100)) == 20


@pytest.mark.soak
@pytest.mark.timeout(3_600)
def test_five_million_points_are_migrated(tmp_path: Path) -> None:
    """Lines of 25 points, of 100 builders, are migrated; the new file is smaller, and its totals are exact.

    BBMEASURE_MIGRATED_POINTS is another number of points, from 2,500.
    """
    path = tmp_path / "j.sqlite"
    series = int(os.environ.get("BBMEASURE_MIGRATED_POINTS", "5000000")) // 2_500
    count = make_large_version_1(path, builders=100, series=series, builds=25)
    began, spent = time.monotonic(), time.process_time()
    with Journal(path, migrate=True) as journal:
        taken, spent = time.monotonic() - began, time.process_time() - spent
        old, new = Path(f"{path}.v1").stat().st_size / count, path.stat().st_size / count
        print(
            f"{count} points in {taken:.0f} s, {spent / count * 1e6:.1f} us of CPU and {new:.1f} bytes a point, "
            f"{old:.1f} before"
        )
        assert sum(info.count for info in journal.series()) == count == 2_500 * series
        assert len(journal.lines(Query("series 7", proposal="*"))) == 200
        assert journal.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert len(journal.records(1_234)) == series
    assert new < old
