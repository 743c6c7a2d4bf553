"""Faults of the journal's files: deleted, moved, read-only, corrupt, shared; builds succeed and no value is lost."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest
import requests

from bbmeasure.errors import StorageUnavailableError
from bbmeasure.model import Query
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.testing.site import Site
from tests.e2e.masters import stop_cleanly
from tests.faults.disks import SmallDisk, small_disk
from tests.faults.masters import CONFIG, POINTS, build, bursts, committed, wait_for

#: Builds do not wait for the journal.  ``total`` adds one to a running total, ``shell`` measures with a step.
STORED = (
    CONFIG.replace("WAITS = True", "WAITS = False")
    + """
from buildbot.plugins import steps


class Total(BuildStep):
    name = "total"

    def run(self):
        bbmeasure.captureData("total", 1, accumulate=True)
        return SUCCESS


shell = steps.MeasureShellCommand(name="answer", command=["echo", "42"])
for name, step in (("total", Total()), ("shell", shell)):
    builder_config, force = builder(name, step)
    c["builders"].append(builder_config)
    c["schedulers"] += force
"""
)


def stored_in(path: Path) -> str:
    return STORED + f'c["services"].append(util.SQLiteInstance(path={str(path)!r}))\n'


def api(site: Site, path: str) -> requests.Response:
    return requests.get(f"{site.url}plugins/bbmeasure/api/v1/{path}", timeout=60)


def store_health(site: Site) -> dict[str, Any]:
    """The health of the journal as the master's API returns it."""
    found: dict[str, Any] = api(site, "health").json()["stores"][0]
    return found


def waiting(site: Site) -> int:
    """The number of values that wait in memory."""
    health = api(site, "health").json()
    return int(health["stores"][0]["backlog"] + health["counters"]["waiting"])


def values(journal: Path, series: str) -> list[Any]:
    try:
        with JournalReader(journal) as reader:
            return [point.value for point in reader.points(Query(series), 100_000)]
    except StorageUnavailableError:  # not there yet
        return []


def stored(journal: Path) -> int:
    """The number of points of builds in a journal that may not be there yet."""
    try:
        return bursts(committed(journal))
    except StorageUnavailableError:
        return 0


def all_files(journal: Path) -> list[Path]:
    return [found for end in ("", "-wal", "-shm") if (found := Path(f"{journal}{end}")).exists()]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("lost"), stored_in(Path("bbmeasure.sqlite")), workers=()) as running:
        yield running


def lose(site: Site, how: Callable[[], None]) -> None:
    """Lose files of the journal while nothing is captured, and wait until the master has begun anew."""
    before = store_health(site)["counters"]["lost_files"]
    how()
    wait_for("the loss to be noticed", lambda: store_health(site)["counters"]["lost_files"] > before)
    wait_for("the new file", site.journal.exists)


def test_a_deleted_journal(site: Site) -> None:
    """It is noticed without any capture, said in log and health, and builds write to a new file."""
    build(site)
    wait_for("the points", lambda: stored(site.journal) == POINTS)
    lose(site, lambda: [path.unlink() for path in all_files(site.journal)] and None)
    build(site)
    wait_for("the points", lambda: stored(site.journal) == POINTS)
    assert "was deleted or moved while it was open" in store_health(site)["last_error"]
    assert "was deleted or moved while it was open" in (site.folder / "master.log").read_text()
    assert site.build("shell")["results"] == 0
    wait_for("the value", lambda: values(site.journal, "answer") == [42.0])


def test_a_moved_journal(site: Site) -> None:
    """The moved file is complete although its -wal stayed behind."""
    build(site)
    wait_for("the points", lambda: stored(site.journal) == 2 * POINTS)
    moved = site.master_dir / "moved.sqlite"
    lose(site, lambda: os.rename(site.journal, moved))
    build(site)
    wait_for("the points", lambda: stored(site.journal) == POINTS)
    assert stored(moved) == 2 * POINTS


def test_a_deleted_wal_file(site: Site) -> None:
    """No point is lost when only the -wal is deleted."""
    build(site)
    wait_for("the points", lambda: stored(site.journal) == 2 * POINTS)
    lose(site, Path(f"{site.journal}-wal").unlink)
    build(site)
    wait_for("the points", lambda: stored(site.journal) == 3 * POINTS)


def test_a_journal_deleted_during_builds(site: Site) -> None:
    """What is captured after the loss is in the new file, however soon after it."""
    for path in all_files(site.journal):
        path.unlink()
    build(site)
    wait_for("the points", lambda: stored(site.journal) == POINTS)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "small") as made:
        yield made


def test_a_read_only_journal(tmp_path: Path, disk: SmallDisk) -> None:
    """On a read-only disk builds succeed and queries are answered; once it is writable all is written."""
    journal = disk.folder / "j.sqlite"
    with Site(tmp_path / "site", stored_in(journal), workers=()) as site:
        build(site)
        wait_for("the points", lambda: stored(journal) == POINTS)
        stop_cleanly(site)
        disk.set_writable(False)
        site.start_master()
        build(site, 2)
        assert site.build("shell")["results"] == 0
        wait_for("an error", lambda: store_health(site)["last_error"])
        assert waiting(site) >= 2 * POINTS
        assert api(site, "statistics?series=burst&statistics=count").json()["count"] == POINTS
        disk.set_writable(True)
        wait_for("the points", lambda: stored(journal) == 3 * POINTS)
        wait_for("the value", lambda: values(journal, "answer") == [42.0])
        wait_for("the end of the error", lambda: store_health(site)["last_error"] is None)
        wait_for(
            "the answer", lambda: api(site, "statistics?series=burst&statistics=count").json()["count"] == 3 * POINTS
        )


def make_corrupt(path: Path) -> None:
    path.write_bytes(b"no database " * 5_000)


def make_foreign(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE theirs(x)")


def make_newer(path: Path) -> None:
    Journal(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version=99")


@pytest.mark.parametrize(
    ("make", "error"),
    [(make_corrupt, "not a database"), (make_foreign, "another program"), (make_newer, "newer bbmeasure")],
)
def test_a_file_that_is_no_journal(tmp_path: Path, make: Callable[[Path], None], error: str) -> None:
    """Builds succeed, values wait, API and health say why; a stop keeps them for the next start."""
    journal = tmp_path / "own.sqlite"
    make(journal)
    content = journal.read_bytes()
    with Site(tmp_path / "site", stored_in(journal), workers=()) as site:
        build(site, 2)
        assert site.build("shell")["results"] == 0
        assert site.build("total")["results"] == 0
        assert error in store_health(site)["last_error"]
        assert waiting(site) >= 2 * POINTS
        answer = api(site, "series")
        assert answer.status_code == 503
        assert "see health" in answer.json()["message"]
        assert error in (site.folder / "master.log").read_text()
        stop_cleanly(site)
        assert journal.read_bytes() == content
        assert Path(f"{journal}.spool").exists()
        journal.rename(tmp_path / "aside")
        site.start_master()
        wait_for("the points", lambda: stored(journal) == 2 * POINTS)
        wait_for("the value", lambda: values(journal, "answer") == [42.0])
        wait_for("the spool file's end", lambda: not Path(f"{journal}.spool").exists())
        assert {info["unit"] for info in api(site, "series").json()["series"] if info["name"] == "burst"} == {"1"}


def test_a_journal_that_is_repaired_while_the_master_runs(tmp_path: Path) -> None:
    """Once a person has moved the corrupt file away, all values are written to a new one, totals too."""
    journal = tmp_path / "own.sqlite"
    make_corrupt(journal)
    with Site(tmp_path / "site", stored_in(journal), workers=()) as site:
        build(site)
        for _ in range(2):
            assert site.build("total")["results"] == 0
        journal.rename(tmp_path / "aside")
        wait_for("the points", lambda: stored(journal) == POINTS)
        wait_for("the totals", lambda: values(journal, "total") == [1.0, 2.0])


def test_two_masters_on_one_journal(tmp_path: Path) -> None:
    """The second one says so in log and health, and takes no running totals; it takes over when the first ends."""
    journal = tmp_path / "shared.sqlite"
    with Site(tmp_path / "first", stored_in(journal), workers=()) as first:
        assert first.build("total")["results"] == 0
        wait_for("the total", lambda: values(journal, "total") == [1.0])
        with Site(tmp_path / "second", stored_in(journal), workers=()) as second:
            build(second)
            assert second.build("total")["results"] == 0
            wait_for("the points", lambda: stored(journal) == POINTS)
            assert "another master uses it" in store_health(second)["last_error"]
            assert store_health(first)["last_error"] is None
            assert "takes no running totals" in (second.folder / "master.log").read_text()
            assert first.build("total")["results"] == 0
            wait_for("the total", lambda: values(journal, "total") == [1.0, 2.0])
            stop_cleanly(first)
            wait_for("the lock", lambda: store_health(second)["last_error"] is None)
            assert second.build("total")["results"] == 0
            wait_for("the total", lambda: values(journal, "total") == [1.0, 2.0, 3.0])


def test_a_killed_master_starts_again(tmp_path: Path) -> None:
    """After kill -9 the next start has the lock at once, with the totals that were committed."""
    with Site(tmp_path, stored_in(Path("own.sqlite")), workers=()) as site:
        journal = site.master_dir / "own.sqlite"
        assert site.build("total")["results"] == 0
        wait_for("the total", lambda: values(journal, "total") == [1.0])
        assert site.master is not None
        site.master.kill()
        site.start_master()
        assert site.build("total")["results"] == 0
        wait_for("the total", lambda: values(journal, "total") == [1.0, 2.0])
        assert store_health(site)["last_error"] is None
