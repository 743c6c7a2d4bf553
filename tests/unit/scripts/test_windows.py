"""The programs on Windows, with its path module, its calls and its file names in their place."""

from __future__ import annotations

import ctypes
import ntpath
import os
import re
import stat
import struct
import sys
from pathlib import Path
from typing import Any

import pytest

from bbmeasure.errors import StorageError
from bbmeasure_scripts import file_walk, line_writer, process_tree, resource_usage, run, size, windows_usage
from tests.unit.scripts import programs


class WindowsPath:
    """``ntpath`` for a drive that is a folder of this system."""

    def __init__(self, drive: Path) -> None:
        self.drive = drive

    def __getattr__(self, name: str) -> Any:
        return getattr(ntpath, name)

    def here(self, path: str) -> str:
        """The path on this system."""
        assert "/" not in path
        return str(self.drive) + ntpath.splitdrive(path)[1].replace("\\", "/")

    def lexists(self, path: str) -> bool:
        """Whether the path exists."""
        return os.path.lexists(self.here(path))

    def abspath(self, path: str) -> str:
        """The path itself: those of the tests are absolute."""
        return path


class WindowsEntry:
    """An entry of a folder; its status has no inode and no links, as that of Windows."""

    def __init__(self, entry: os.DirEntry[str], folder: str) -> None:
        self._entry = entry
        self.name = entry.name
        self.path = ntpath.join(folder, entry.name)

    def is_file(self, follow_symlinks: bool) -> bool:
        """Whether it is a file."""
        return self._entry.is_file(follow_symlinks=follow_symlinks)

    def is_dir(self, follow_symlinks: bool) -> bool:
        """Whether it is a folder; so is a junction, in place of which there is a link here."""
        return self._entry.is_dir()

    def is_symlink(self) -> bool:
        """False, as for a junction."""
        return False

    def stat(self, follow_symlinks: bool = True) -> Any:
        """The status, with a reparse tag."""
        tag = 0xA0000003 if self._entry.is_symlink() else 0

        class Status:
            st_reparse_tag, st_ino, st_dev, st_nlink, st_size = tag, 0, 0, 0, self._entry.stat().st_size

        return Status()


class WindowsOs:
    """The functions of ``os`` with paths of Windows."""

    sep, curdir, supports_fd = "\\", ".", ()

    def __init__(self, drive: Path) -> None:
        self.path = WindowsPath(drive)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def lstat(self, path: str) -> os.stat_result:
        """The status of a path."""
        return os.lstat(self.path.here(path))

    def scandir(self, folder: str) -> Any:
        """The entries of a folder."""
        here = os.scandir(self.path.here(folder))

        class Entries:
            def __enter__(self) -> Any:
                return iter([WindowsEntry(entry, folder) for entry in here])

            def __exit__(self, *_: Any) -> None:
                here.close()

        return Entries()


@pytest.fixture
def drive(tmp_path, monkeypatch):
    """Drive C: with a few files, and the module file_walk on it."""
    for name, length in {"Src/a.WHL": 3, "Src/sub/b.whl": 5, "Src/build/cache/c.obj": 7}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * length)
    monkeypatch.setattr(file_walk, "os", WindowsOs(tmp_path))
    monkeypatch.setattr(file_walk, "_WINDOWS", True)
    monkeypatch.setattr(file_walk, "_BY_DESCRIPTOR", False)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (r"C:\Src", (15, 3)),
        (r"C:\Src\*.whl", (3, 1)),
        (r"C:\Src\**\*.whl", (8, 2)),
        (r"C:/Src/s?B/*".replace("/", "\\"), (5, 1)),
        (r"C:\S[q-s]c\build\**", (7, 1)),
        (r"C:\nothing\*", (0, 0)),
    ],
)
def test_paths_and_patterns(drive, pattern, expected):
    """Paths with a drive and backslashes are walked; patterns ignore case."""
    assert size.measure([pattern])[:2] == expected


@pytest.mark.parametrize("exclude", ["build/cache", r"build\cache", r"BUILD\Cache\\", "*.OBJ", "Cache"])
def test_excluded(drive, exclude):
    """Exclude patterns may have either slash, and ignore case."""
    assert size.measure([r"C:\Src"], [exclude])[:2] == (8, 2)


def test_hard_links_and_overlapping_roots(drive):
    """Files are known by the inode number of their path, which an entry of a folder does not have."""
    os.link(drive / "Src/a.WHL", drive / "Src/sub/again.whl")
    assert size.measure([r"C:\Src"])[:2] == (15, 3)
    assert size.measure([r"C:\Src", r"C:\Src\sub", r"C:\Src\a.WHL"])[:2] == (15, 3)


def test_junctions(drive):
    """A junction, which may be circular, is not followed."""
    (drive / "Src/sub/circle").symlink_to(drive / "Src")
    assert size.measure([r"C:\Src"]) == size.Sizes(15, 3, [])
    assert size.measure([r"C:\Src\**\*.whl"]) == size.Sizes(8, 2, [])


def test_a_path_that_is_too_long(drive):
    """A path of more than 259 characters, which Windows reports as missing, is counted; a missing file is not."""
    notes = file_walk.Notes()
    missing = FileNotFoundError(2, "The system cannot find the path specified")
    file_walk.note_error(missing, "C:\\" + "d" * 256, notes)
    assert notes.counts == {}
    file_walk.note_error(missing, "C:\\" + "d" * 257, notes)
    assert notes.counts == {"unreadable (The system cannot find the path specified)": 1}


def test_allocated_size_is_refused(monkeypatch, capsys, tmp_path):
    """Without st_blocks, --allocated is exit status 2 with the reason."""
    monkeypatch.setattr(size.os, "stat_result", tuple)  # type: ignore[attr-defined]  # an import of the module
    with pytest.raises(SystemExit) as caught:
        size.main(["--allocated", str(tmp_path)])
    assert caught.value.code == 2
    assert "does not report the blocks of a file" in capsys.readouterr().err


class Msvcrt:
    """Locks of another process, which releases the file after ``refusals`` tries."""

    LK_NBLCK = 2

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.locked: list[int] = []

    def locking(self, descriptor: int, mode: int, count: int) -> None:
        """Lock a byte at the position of the descriptor."""
        assert (mode, count) == (self.LK_NBLCK, 1)
        if self.refusals:
            self.refusals -= 1
            raise PermissionError(13, "Permission denied")
        self.locked.append(os.lseek(descriptor, 0, os.SEEK_CUR))


def test_a_line_is_appended_under_a_lock(tmp_path, monkeypatch):
    """A byte behind any content is locked while a line is appended; a lock that is never released is an error."""
    path = tmp_path / "sidecar"
    path.write_bytes(b"before")
    monkeypatch.setattr(line_writer, "_LOCK_PAUSE", 0)
    monkeypatch.setattr(line_writer, "_MSVCRT", Msvcrt(3))
    line_writer.append("line", str(path))
    assert line_writer._MSVCRT.locked == [2**31 - 2]  # type: ignore[union-attr]  # that of the test
    assert path.read_bytes() == b"before\nline\n"
    monkeypatch.setattr(line_writer, "_MSVCRT", Msvcrt(10**9))
    with pytest.raises(StorageError, match="cannot be written"):
        line_writer.append("line", str(path))


class Kernel32:
    """The calls of ``kernel32`` that a job object needs; ``failing`` is the name of one that fails."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.processes: list[Any] = []

        def create(_security: None, _name: None) -> int:
            return 0 if failing == "CreateJobObjectW" else 7

        self.CreateJobObjectW = create

    def AssignProcessToJobObject(self, job: Any, process: Any) -> bool:
        """Add a process."""
        self.processes.append((job.value, process.value))
        return self.failing != "AssignProcessToJobObject"

    def QueryInformationJobObject(self, job: Any, what: int, buffer: Any, length: int, _needed: None) -> bool:
        """Fill in the accounting of a job: 1.5 s and 0.25 s of CPU, 1,000 bytes read and 2,000 written."""
        assert (job.value, what, length) == (7, 8, 96)
        buffer.raw = struct.pack("<4q4L6Q", 15_000_000, 2_500_000, 0, 0, 0, 3, 1, 0, 1, 2, 3, 1000, 2000, 3000)
        return self.failing != "QueryInformationJobObject"


def measure_here(monkeypatch, command, kernel32, tree=None):
    """Measure a command with the calls of Windows."""

    class Dlls:
        pass

    Dlls.kernel32 = kernel32  # type: ignore[attr-defined]  # set for each test
    monkeypatch.setattr(ctypes, "windll", Dlls, raising=False)
    monkeypatch.setattr(windows_usage.process_tree, "tree", lambda: tree)  # type: ignore[attr-defined]  # an import
    return windows_usage.measure(command)


def test_a_job_object_counts_the_command(monkeypatch):
    """CPU and I/O are those of a job object; what is not known is noted, and has no record."""
    kernel32 = Kernel32()
    usage = measure_here(monkeypatch, [sys.executable, "-c", "pass"], kernel32)
    assert len(kernel32.processes) == 1
    assert (usage.cpu, usage.read, usage.written) == (1.75, 1000, 2000)
    assert {record.name for record in run.records("x", usage, {})} == {"x_wall", "x_cpu", "x_read", "x_written"}
    assert usage.notes == [
        "context switches are unknown: this system does not count them",
        "memory is unknown: psutil is not installed",
    ]


@pytest.mark.parametrize("failing", ["CreateJobObjectW", "AssignProcessToJobObject", "QueryInformationJobObject"])
def test_without_a_job_object(failing, monkeypatch):
    """A command is run although a call fails; CPU and I/O are noted as unknown."""
    usage = measure_here(monkeypatch, ["sh", "-c", "exit 3"], Kernel32(failing))
    assert (usage.status, usage.cpu, usage.read) == (3, None, None)
    assert re.match("CPU and bytes read and written are unknown: the (command|job object) could not be", usage.notes[0])


def test_a_command_line_is_a_batch_file(tmp_path, monkeypatch):
    """``cmd /c LINE`` runs LINE as a batch file, as a worker runs a string; it is removed afterwards."""
    cmd = tmp_path / "cmd.exe"
    cmd.write_text('#!/bin/sh\n[ "$1" = /c ] && cat "$2" && exit 3\n')
    cmd.chmod(0o755)
    work = tmp_path / "work"
    work.mkdir()
    code = "import sys; from bbmeasure_scripts import windows_usage as w; sys.exit(w.measure(sys.argv[1:]).status)"
    line = 'for %%F in (a b) do echo "%%F" & rem \u00e9'
    done = programs.execute([sys.executable, "-c", code, "cmd", "/c", line], work, COMSPEC=str(cmd))
    assert (done.status, done.stdout) == (3, f"@echo off\n{line}\n"), done.stderr
    assert os.listdir(work) == []


def test_programs_are_found_on_the_path(tmp_path, monkeypatch):
    """A program is found as in a shell: with its extension, which CreateProcess would not add."""
    monkeypatch.setattr(windows_usage.shutil, "which", {"npm": str(tmp_path / "npm.cmd")}.get)  # type: ignore[attr-defined]  # an import
    script = tmp_path / "npm.cmd"
    script.write_text("#!/bin/sh\nexit 5\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    assert windows_usage.measure(["npm", "ci"]).status == 5
    with pytest.raises(resource_usage.NotStartedError, match="nosuch: No such file"):
        windows_usage.measure(["nosuch"])


def test_exit_statuses(monkeypatch):
    """A crash has the status that Python can exit with; a signal that of a shell."""
    assert [windows_usage.exit_status(status) for status in (0, 3, 0xC0000005, -9)] == [0, 3, -1073741819, 137]


def test_macos(monkeypatch):
    """With the units of macOS, without procfs and a subreaper, the rest is measured and noted."""
    monkeypatch.setattr(resource_usage.sys, "platform", "darwin")  # type: ignore[attr-defined]  # an import of the module
    monkeypatch.setattr(process_tree, "PROC", "/nowhere")
    monkeypatch.setattr(process_tree, "adopt_orphans", lambda: False)
    monkeypatch.setattr(process_tree, "psutil", lambda: None)
    usage = resource_usage.measure([sys.executable, "-S", "-c", "x = b'x' * 60_000_000"])
    assert usage.status == 0
    assert 60e6 < usage.max_rss * 1024 < 6e9  # type: ignore[operator]  # KiB of this system, read as bytes
    names = {record.name for record in run.records("x", usage, {})}
    assert names == {"x_wall", "x_cpu", "x_max_rss", "x_context_switches"}
    assert usage.notes[:3] == [
        "bytes read and written are unknown: this system does not count them",
        "the memory of the process tree is unknown: there is neither /proc nor psutil",
        "processes that outlived their parent are not counted",
    ]
