"""The journal and several processes: a killed writer, concurrent readers, two writers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bbmeasure import statistics
from bbmeasure.errors import StorageUnavailableError
from bbmeasure.model import Point, Query
from bbmeasure.storage.sqlite.journal import Journal, JournalReader

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[4]


@contextmanager
def writing(path: Path, first: int) -> Iterator[subprocess.Popen[str]]:
    """A process that writes to ``path`` and is killed with SIGKILL on exit."""
    command = [sys.executable, "-m", "tests.unit.storage.sqlite.writing_process", str(path), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_killed_writer_loses_no_acknowledged_point(tmp_path: Path) -> None:
    """After five SIGKILLs during writes the file is intact and has every acknowledged point."""
    path = tmp_path / "j.sqlite"
    acknowledged: set[int] = set()
    for _ in range(5):
        with writing(path, len(acknowledged) + 1000 * len(acknowledged)) as process:
            assert process.stdout is not None
            for _ in range(300):
                acknowledged.add(int(process.stdout.readline()))
            process.kill()
            # lines in the pipe were acknowledged too; the last may be incomplete
            acknowledged.update(
                int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")
            )
        with Journal(path) as journal:
            kept = {int(point.value) for point in journal.points(Query("size"), 1_000_000)}
            assert acknowledged <= kept
            assert journal.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            # running totals and points were committed together
            assert journal.recall(["last"])["last"] == max(kept)
            counted = journal.summarize(Query("size"), statistics.find_all(["count", "sum"]))
            assert counted == {"count": float(len(kept)), "sum": float(sum(kept))}


def test_a_reader_beside_a_writing_process(tmp_path: Path) -> None:
    """Each query sees a consistent state: no gap in the points, and statistics of the same points."""
    path = tmp_path / "j.sqlite"
    with writing(path, 0) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with JournalReader(path) as reader:
            seen = 0
            while seen < 3_000:
                found = reader.points(Query("size"), 1_000_000)
                assert [point.value for point in found] == [float(n) for n in range(len(found))]
                got = reader.summarize(Query("size"), statistics.find_all(["count", "maximum", "last"]))
                assert got["count"] >= len(found) >= seen  # type: ignore[operator]  # numbers here
                assert got["maximum"] == got["last"] == got["count"] - 1  # type: ignore[operator]  # numbers here
                seen = len(found)
                process.stdout.readline()


def test_two_processes_may_write_one_file(tmp_path: Path) -> None:
    """Concurrent writes, declarations and removals of two processes are all effective."""
    path = tmp_path / "j.sqlite"
    with writing(path, 0) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with Journal(path, busy_timeout=30.0) as journal:
            for number in range(1, 100):
                journal.write([Point("size", -number, -1.0, {"k": "v"}), Point(f"mine {number}", 1, 1.0)])
            journal.forget("mine 1")
        acknowledged = int(process.stdout.readline())
    with Journal(path) as journal:
        assert journal.summarize(Query("size", until=0), statistics.find_all(["count", "sum"])) == {
            "count": 99.0,
            "sum": -99.0,
        }
        assert journal.summarize(
            Query("size", since=0, until=acknowledged + 1), statistics.find_all(["count", "sum"])
        ) == {
            "count": acknowledged + 1.0,
            "sum": acknowledged * (acknowledged + 1) / 2,
        }
        assert len(journal.series()) == 99


def test_the_list_of_series_has_the_writes_of_every_connection(tmp_path: Path) -> None:
    """Totals that two connections update in turn are those of all points."""
    path = tmp_path / "j.sqlite"
    with Journal(path) as master, Journal(path) as command_line:
        for at, writer in enumerate((master, command_line, master), start=1):
            writer.write([Point("size", at, float(at))])
            for reader in (master, command_line):
                found = reader.series()
                assert [(info.count, info.last_value) for info in found] == [(at, float(at))]
        command_line.forget("size")
        assert (master.series(), command_line.series()) == ([], [])


def test_a_series_that_another_process_forgets_is_created_again(tmp_path: Path) -> None:
    """A writer that had cached the forgotten series writes to the new one."""
    path = tmp_path / "j.sqlite"
    with Journal(path) as master, Journal(path) as command_line:
        master.write([Point("size", 1, 1.0), Point("size", 2, 2.0)])
        assert command_line.forget("size") == 2
        master.write([Point("size", 3, 3.0)])
        assert [point.value for point in command_line.points(Query("size"), 10)] == [3.0]
        assert command_line.summarize(Query("size"), statistics.find_all(["count"])) == {"count": 1.0}


def test_a_locked_file_is_unavailable_to_writers_only(tmp_path: Path) -> None:
    """A writer fails with a StorageUnavailableError after its busy timeout; a reader is not blocked."""
    path = tmp_path / "j.sqlite"
    with Journal(path) as first, Journal(path, busy_timeout=0.01) as second, JournalReader(path) as reader:
        first.write([Point("size", 1, 1.0)])
        first.connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailableError, match="locked"):
            second.write([Point("size", 2, 2.0)])
        assert len(reader.points(Query("size"), 10)) == 1
        first.connection.execute("ROLLBACK")
        second.write([Point("size", 2, 2.0)])
        assert len(reader.points(Query("size"), 10)) == 2
