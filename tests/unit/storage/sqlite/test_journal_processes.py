"""The journal with several processes: killed in the middle of a write, read meanwhile, written by two."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bbmeasure import statistics
from bbmeasure.errors import StorageUnavailableError
from bbmeasure.model import Point, Query
from bbmeasure.storage.sqlite.journal import Journal, JournalReader

ROOT = Path(__file__).parents[4]


@contextmanager
def writing(path: Path, first: int) -> Iterator[subprocess.Popen[str]]:
    """A process that writes into ``path`` until this is left, when it is killed with SIGKILL."""
    command = [sys.executable, "-m", "tests.unit.storage.sqlite.writing_process", str(path), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_killed_writer_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Killed with SIGKILL five times while it writes, the file is whole and holds every point that was told of."""
    path = tmp_path / "j.sqlite"
    told: set[int] = set()
    for _ in range(5):
        with writing(path, len(told) + 1000 * len(told)) as process:
            assert process.stdout is not None
            for _ in range(300):
                told.add(int(process.stdout.readline()))
            process.kill()
            # what the pipe holds was acknowledged too; the last line may be cut
            told.update(int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n"))
        with Journal(path) as journal:
            kept = {int(point.value) for point in journal.points(Query("size"), 1_000_000)}
            assert told <= kept
            assert journal.connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            # running totals are those of a transaction that was committed whole
            assert journal.recall(["last"])["last"] == max(kept)
            counted = journal.summarize(Query("size"), statistics.find_all(["count", "sum"]))
            assert counted == {"count": float(len(kept)), "sum": float(sum(kept))}


def test_another_process_reads_while_the_master_writes(tmp_path: Path) -> None:
    """A reader sees a growing journal, at each moment without a gap, and statistics of that moment."""
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
                assert got["count"] >= len(found) >= seen
                assert got["maximum"] == got["last"] == got["count"] - 1
                seen = len(found)
                process.stdout.readline()


def test_two_processes_may_write_one_file(tmp_path: Path) -> None:
    """What another process writes, declares and forgets meanwhile is neither lost nor overwritten."""
    path = tmp_path / "j.sqlite"
    with writing(path, 0) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with Journal(path, busy_timeout=30.0) as journal:
            for number in range(1, 100):
                journal.write([Point("size", -number, -1.0, {"k": "v"}), Point(f"mine {number}", 1, 1.0)])
            journal.forget("mine 1")
        told = int(process.stdout.readline())
    with Journal(path) as journal:
        assert journal.summarize(Query("size", until=0), statistics.find_all(["count", "sum"])) == {
            "count": 99.0,
            "sum": -99.0,
        }
        assert journal.summarize(Query("size", since=0, until=told + 1), statistics.find_all(["count", "sum"])) == {
            "count": told + 1.0,
            "sum": told * (told + 1) / 2,
        }
        assert len(journal.series()) == 99


def test_the_list_of_series_is_read_again_where_anybody_wrote(tmp_path: Path) -> None:
    """As long as nobody writes it is the same list; what this or another connection writes is in the next one."""
    path = tmp_path / "j.sqlite"
    with Journal(path) as master, Journal(path) as command_line:
        for at, writer in enumerate((master, command_line, master), start=1):
            writer.write([Point("size", at, float(at))])
            for reader in (master, command_line):
                found = reader.series()
                assert [(info.count, info.last_value) for info in found] == [(at, float(at))]
                assert reader.series() is found
        command_line.forget("size")
        assert (master.series(), command_line.series()) == ([], [])


def test_a_series_that_another_process_forgets_starts_anew(tmp_path: Path) -> None:
    """A running writer that knew the series writes on, into the new one."""
    path = tmp_path / "j.sqlite"
    with Journal(path) as master, Journal(path) as command_line:
        master.write([Point("size", 1, 1.0), Point("size", 2, 2.0)])
        assert command_line.forget("size") == 2
        master.write([Point("size", 3, 3.0)])
        assert [point.value for point in command_line.points(Query("size"), 10)] == [3.0]
        assert command_line.summarize(Query("size"), statistics.find_all(["count"])) == {"count": 1.0}


def test_a_locked_file_is_said_to_be(tmp_path: Path) -> None:
    """A writer that does not get its turn in time fails with a StorageUnavailableError, and a reader is not held up."""
    path = tmp_path / "j.sqlite"
    with Journal(path) as first, Journal(path, busy_timeout=0.01) as second, JournalReader(path) as reader:
        first.write([Point("size", 1, 1.0)])
        first.connection.execute("BEGIN IMMEDIATE")
        try:
            second.write([Point("size", 2, 2.0)])
        except StorageUnavailableError as error:
            said = str(error)
        assert "locked" in said
        assert len(reader.points(Query("size"), 10)) == 1
        first.connection.execute("ROLLBACK")
        second.write([Point("size", 2, 2.0)])
        assert len(reader.points(Query("size"), 10)) == 2
