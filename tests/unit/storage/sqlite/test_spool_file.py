"""What a stopped store could not write: saved beside the journal and written by the next start."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import inlineCallbacks

from bbmeasure.errors import StorageError, StorageUnavailableError
from bbmeasure.model import Point, Query, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.storage.sqlite.spool_file import Declaration, SpoolFile, Unwritten
from tests.unit.storage.examples import HOSTILE_NAMES, at, in_build
from tests.unit.storage.sqlite.helpers import LimitedStorage, large, until

SIZE = SeriesInfo("size", Kind.SIZE, "bytes", Direction.LOWER, ("first",))


@inlineCallbacks
def stop_on_a_full_disk(open_storage: Any, points: list[Point], state: dict[str, float]) -> Any:
    """Close a store that could write neither these points nor a declaration."""
    storage = open_storage(LimitedStorage)
    storage.full = True
    declared = storage.declare(SIZE)
    written = storage.write([*large(50), *points], state)
    yield until(lambda: storage.health().last_error)
    storage.release_declarations()
    yield storage.close()
    yield written
    assert (yield declared) == SIZE
    assert storage.health().counters["spooled"] == 50 + len(points)
    assert storage.health().counters["dropped"] == 0


@inlineCallbacks
def test_the_next_start_writes_them(open_storage: Any, tmp_path: Path) -> Any:
    """Points, totals and declarations are in the journal after the next start, and the file is gone."""
    points = [Point(name, at(n), 1.0, {"k": name}, in_build(n, name)) for n, name in enumerate(HOSTILE_NAMES)]
    points.append(Point("size", at(0), 2.0, {}, in_build(1, revision="r", branch="main", machine="m"), 3, 0.5))
    yield stop_on_a_full_disk(open_storage, points, {'["total", "size"]': 7.0})
    assert (tmp_path / "j.sqlite.spool").exists()
    storage = open_storage()
    assert (yield storage.recall(['["total", "size"]', "other"])) == {'["total", "size"]': 7.0}
    yield storage.write([Point("new", at(0), 1.0)])
    for point in points:
        assert (yield storage.points(Query(point.series, builder=point.builder), 10)) == [point]
    assert len((yield storage.points(Query("log"), 100))) == 50
    info = next(info for info in (yield storage.series()) if info.name == "size")
    assert (info.kind, info.unit, info.better) == (Kind.SIZE, "bytes", Direction.LOWER)
    yield until(lambda: not (tmp_path / "j.sqlite.spool").exists())
    assert (yield storage.recall(['["total", "size"]'])) == {'["total", "size"]': 7.0}


@inlineCallbacks
def test_totals_of_the_spool_file_count_before_they_are_written(open_storage: Any) -> Any:
    """While the disk is still full a total continues from the spool file, and another stop keeps everything once."""
    yield stop_on_a_full_disk(open_storage, [], {"a": 1.0, "b": 1.0})
    storage = open_storage(LimitedStorage)
    storage.full = True
    storage.write([], {"b": 2.0})
    assert (yield storage.recall(["a"])) == {"a": 1.0}
    yield until(lambda: storage.health().last_error)
    yield storage.close()
    storage = open_storage()
    yield storage.write([])
    assert (yield storage.recall(["a", "b"])) == {"a": 1.0, "b": 2.0}
    assert len((yield storage.points(Query("log"), 100))) == 50


@inlineCallbacks
def test_a_spool_file_that_cannot_be_written(open_storage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The points fail and count as dropped, and no part of a file is left."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    storage = open_storage(LimitedStorage)
    storage.full = True
    written = storage.write(large(50))
    yield until(lambda: storage.health().last_error)
    yield storage.close()
    with pytest.raises(StorageUnavailableError):
        yield written
    assert storage.health().counters["dropped"] == 50
    assert not list(tmp_path.glob("*spool*"))


@inlineCallbacks
def test_lines_that_cannot_be_read(open_storage: Any, tmp_path: Path) -> Any:
    """Good lines are written, the file is kept as .spool.bad, and health says so."""
    path = tmp_path / "j.sqlite"
    good = Unwritten(points=[Point("size", at(0), 1.0)])
    SpoolFile(path).save(good)
    with open(f"{path}.spool", "a", encoding="utf-8") as file:
        file.write('point {"series": "size"}\nother 1\nstate []\npoint {"ser')
    content = Path(f"{path}.spool").read_bytes()
    storage = open_storage()
    yield storage.write([])
    assert len((yield storage.points(Query("size"), 10))) == 1
    yield until(lambda: not Path(f"{path}.spool").exists())
    assert Path(f"{path}.spool.bad").read_bytes() == content
    assert "4 lines cannot be read" in storage.health().last_error


@inlineCallbacks
def test_a_file_of_another_format(open_storage: Any, tmp_path: Path) -> Any:
    """It is left as it is and said; what the next stop cannot write does not replace it."""
    spool = tmp_path / "j.sqlite.spool"
    spool.write_text("something else\n")
    storage = open_storage(LimitedStorage)
    yield storage.write([])
    assert "expected the line" in storage.health().last_error
    assert spool.read_text() == "something else\n"
    yield storage.close()
    storage = open_storage(LimitedStorage)
    storage.full = True
    storage.write(large(50))
    yield until(lambda: storage.health().counters["retries"])
    yield storage.close()
    assert (tmp_path / "j.sqlite.spool.bad").read_text() == "something else\n"
    assert len(SpoolFile(tmp_path / "j.sqlite").load().points) == 50


def test_declarations_keep_their_overrides(tmp_path: Path) -> None:
    """What was declared with an override is declared with it again."""
    spool = SpoolFile(tmp_path / "j.sqlite")
    spool.save(Unwritten([Declaration(SIZE, override=True), Declaration(SIZE, override_unit=True)], [], {"k": 1.5}))
    loaded = spool.load()
    assert loaded.declarations == [Declaration(SIZE, True, False), Declaration(SIZE, False, True)]
    assert loaded.state == {"k": 1.5}
    spool.remove()
    assert not spool.load()
    spool.remove()


@inlineCallbacks
def test_a_point_that_conflicts_with_the_journal(open_storage: Any, tmp_path: Path) -> Any:
    """A declaration that the journal refuses meanwhile is counted, and the points are written."""
    path = tmp_path / "j.sqlite"
    with Journal(path) as journal:
        journal.declare(SeriesInfo("size", Kind.DURATION, "s", builders=("first",)))
    SpoolFile(path).save(Unwritten([Declaration(SIZE)], [Point("size", at(0), 1.0, {}, in_build())]))
    storage = open_storage()
    yield storage.write([])
    assert len((yield storage.points(Query("size"), 10))) == 1
    assert storage.health().counters["spool_failures"] == 1


@inlineCallbacks
def test_a_spool_file_that_is_a_folder(open_storage: Any, tmp_path: Path) -> Any:
    """An error of the operating system is said, and values are written."""
    (tmp_path / "j.sqlite.spool").mkdir()
    storage = open_storage()
    yield storage.write([Point("size", at(0), 1.0)])
    assert "j.sqlite.spool" in storage.health().last_error
    with pytest.raises(StorageError):
        SpoolFile(tmp_path / "j.sqlite").load()
