"""Runs a command and measures what it and its descendants use; what ``run`` reports.

Everything but the peak of the tree is exact: time, CPU, switches and the largest process come from ``wait4``, which
adds up the command and every descendant that was waited for; bytes read and written from the account that the kernel
keeps of waited-for children (``/proc/self/io``).  The peak of the tree is sampled.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import time
from contextlib import suppress
from typing import Any, List, NamedTuple, Optional, Sequence, Tuple

from bbmeasure import units
from bbmeasure_scripts import launcher, process_tree
from bbmeasure_scripts.module_source import get_source

#: Signals that are passed on to the command.
_FORWARDED = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
#: Signals that a terminal sends to the command itself too.
_FROM_TERMINAL = ("SIGINT", "SIGQUIT")
#: The shortest and longest time between two samples, in seconds, and the part of the time that sampling may take.
_INTERVALS = (0.005, 0.1)
_SAMPLING_SHARE = 0.02


class NotStartedError(Exception):
    """The command could not be started; ``status`` is the exit status that a shell gives then."""

    def __init__(self, command: str, number: int) -> None:
        what = os.strerror(number) if number else "no valid command"
        super().__init__(f"{command}: {what}")
        self.status = 127 if number == errno.ENOENT else 126


class Usage(NamedTuple):
    """What a command used; None for what could not be seen, which ``notes`` tell."""

    status: int
    wall: float
    cpu: Optional[float]
    max_rss: Optional[int]
    tree_rss: Optional[int]
    read: Optional[int]
    written: Optional[int]
    switches: Optional[int]
    orphans: int
    notes: Tuple[str, ...]


def measure(command: Sequence[str]) -> Usage:
    """Run a command and measure it; NotStartedError where it cannot be run."""
    return _Watch().run(command) if hasattr(os, "wait4") else _measure_portable(command)


def _dropped_variables() -> List[str]:
    """Variables that Python itself put into the environment: LC_CTYPE in the C locale (PEP 538)."""
    try:
        with open(f"{process_tree.PROC}/self/environ", "rb") as file:
            began_with = {variable.partition(b"=")[0] for variable in file.read().split(b"\0")}
    except OSError:
        return []
    return [name for name in ("LC_CTYPE",) if name in os.environ and name.encode() not in began_with]


def _bytes_of_children() -> Optional[Tuple[int, int]]:
    """Bytes that the children waited for have read and written so far; None where the kernel keeps no account.

    The process's account holds its children's, the thread's account does not.
    """
    accounts = []
    for path in (f"{process_tree.PROC}/self/io", f"{process_tree.PROC}/self/task/{os.getpid()}/io"):
        try:
            with open(path, "rb") as file:
                lines = dict(line.split(b":") for line in file.read().splitlines())
            accounts.append((int(lines[b"rchar"]), int(lines[b"wchar"])))
        except (OSError, ValueError, KeyError):
            return None
    return accounts[0][0] - accounts[1][0], accounts[0][1] - accounts[1][1]


class _Watch:
    """One run of a command, on a POSIX system."""

    def __init__(self) -> None:
        self._adopts = process_tree.adopt_orphans()
        self._tree = process_tree.tree()
        self._command = 0
        self._start = 0.0
        self._cpu = 0.0
        self._switches = 0
        self._largest = 0
        self._peak = 0
        self._orphans = 0
        self._floor = 0
        self._said = 0
        self._pending: List[int] = []

    def run(self, command: Sequence[str]) -> Usage:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        before = {number: signal.getsignal(number) for number in self._signals()}
        wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._take)
        signal.signal(signal.SIGCHLD, self._take)
        try:
            self._launch(command)
            bytes_before = _bytes_of_children()
            status = self._wait(reader)
            return self._usage(status, time.monotonic() - self._start, bytes_before)
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
            os.close(reader)
            os.close(writer)

    @staticmethod
    def _signals() -> List[int]:
        return [getattr(signal, name) for name in (*_FORWARDED, "SIGCHLD")]

    def _take(self, number: int, _frame: Any) -> None:
        if number != signal.SIGCHLD:
            self._pending.append(number)

    def _launch(self, command: Sequence[str]) -> None:
        """Start the command: by the starter where orphans come to us, else from this process."""
        ways = (self._start_small, self._fork) if self._adopts else (self._fork,)
        for way in ways:
            reader, writer = os.pipe()
            try:
                way(command, writer)
                os.close(writer)
                writer = -1
                said = b"".join(iter(lambda: os.read(reader, 4096), b""))  # noqa: B023  (read before the next round)
            finally:
                os.close(reader)
                if writer >= 0:
                    os.close(writer)
            if said:
                self._hear(command, said)
                return
        raise NotStartedError(command[0], errno.EAGAIN)

    @staticmethod
    def _start_small(command: Sequence[str], writer: int) -> None:
        """Through the starter; nothing is said on ``writer`` where there is no Python to run it."""
        flags = ["-S", "-s"] if "PYTHONHOME" in os.environ else ["-I", "-S"]
        source = get_source(launcher.__name__) + "\nmain()\n"
        arguments = [sys.executable, *flags, "-c", source, str(writer), " ".join(_dropped_variables()), *command]
        os.set_inheritable(writer, True)
        try:
            os.spawnv(os.P_WAIT, sys.executable, arguments)  # noqa: S606  (a Python, without a shell)
        except (OSError, ValueError, TypeError):  # TypeError: an embedded Python may know no program of its own
            return
        finally:
            os.set_inheritable(writer, False)

    @staticmethod
    def _fork(command: Sequence[str], writer: int) -> None:
        if os.fork() == 0:
            signal.set_wakeup_fd(-1)
            launcher.become(writer, _dropped_variables(), command)

    def _hear(self, command: Sequence[str], said: bytes) -> None:
        """Which process the command is, when it began, how large it was then, and what went wrong."""
        lines = said.split(b"\n")
        number, start, size = lines[0].split()
        self._command, self._start, self._floor = int(number), float(start), _maxrss(int(size))
        self._said = len(said)
        if len(lines) > 2:
            os.waitpid(self._command, 0)
            raise NotStartedError(command[0], int(lines[1]))

    def _wait(self, wakeups: int) -> int:
        """Sample and pass signals on until the command is done: its wait status."""
        pause = 0.0
        while True:
            select.select([wakeups], [], [], pause)
            with suppress(BlockingIOError):
                os.read(wakeups, 4096)
            self._forward()
            status = self._reap()
            if status is not None:
                self._forward()
                return status
            pause = self._sample()

    def _sample(self) -> float:
        """Take a sample; the time until the next one, longer where the machine has so many processes that it costs."""
        shortest, longest = _INTERVALS
        if self._tree is None:
            return longest
        began = time.process_time()
        sample = self._tree.sample()
        self._peak = max(self._peak, sample.total)
        self._largest = max(self._largest, sample.largest)
        pause = min(longest, max(shortest, (time.monotonic() - self._start) / 20))
        return max(pause, (time.process_time() - began) / _SAMPLING_SHARE)

    def _forward(self) -> None:
        pending, self._pending = self._pending, []
        for number in pending:
            if signal.Signals(number).name in _FROM_TERMINAL and _has_terminal():
                continue
            process_tree.kill(self._command, number)

    def _reap(self) -> Optional[int]:
        """Wait for every child that has ended; the command's wait status if it was among them."""
        status = None
        while True:
            try:
                child, child_status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return status
            if not child:
                return status
            self._cpu += used.ru_utime + used.ru_stime
            self._switches += used.ru_nvcsw + used.ru_nivcsw
            self._largest = max(self._largest, _maxrss(used.ru_maxrss))
            if child == self._command:
                status = child_status
            else:
                self._orphans += 1

    def _usage(self, status: int, wall: float, bytes_before: Optional[Tuple[int, int]]) -> Usage:
        notes: List[str] = []
        moved = _bytes_of_children()
        if moved is None or bytes_before is None:
            notes.append("bytes read and written cannot be seen: this system keeps no account of them")
        if self._tree is None:
            notes.append("the memory of the tree cannot be seen: neither /proc nor psutil is there")
        if not self._adopts:
            notes.append("processes that outlived their parent cannot be seen")
        left = [process for process in self._tree.members() if process != self._command] if self._tree else []
        if left:
            notes.append(f"{len(left)} processes of it still run; what they use from now on is not counted")
        if self._largest <= self._floor * 1.25:
            notes.append(f"a process smaller than what starts it, {units.format(self._floor, 'bytes')}, cannot be seen")
        return Usage(
            status=exit_status(status),
            wall=wall,
            cpu=self._cpu,
            max_rss=self._largest,
            tree_rss=max(self._peak, self._largest) if self._tree else None,
            read=moved[0] - bytes_before[0] if moved and bytes_before else None,
            written=moved[1] - bytes_before[1] - self._said if moved and bytes_before else None,
            switches=self._switches,
            orphans=self._orphans + len(left),
            notes=tuple(notes),
        )


def exit_status(status: int) -> int:
    """The exit status that a shell gives for a wait status: 128 and the signal's number where one ended it."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _maxrss(reported: int) -> int:
    """``ru_maxrss`` in bytes: Linux reports KiB, macOS bytes."""
    return reported if sys.platform == "darwin" else reported * 1024


def _has_terminal() -> bool:
    """Whether this process is in the foreground of a terminal, which sends its keys' signals to the command too."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


def _measure_portable(command: Sequence[str]) -> Usage:
    """For systems without ``wait4``: time alone, and what psutil can sample where it is there."""
    import subprocess

    start = time.monotonic()
    try:
        child = subprocess.Popen(list(command))
    except OSError as error:
        raise NotStartedError(command[0], error.errno or 0) from None
    tree = process_tree.tree()
    peak = largest = 0
    while True:
        try:
            status = child.wait(_INTERVALS[1] if tree else None)
            break
        except subprocess.TimeoutExpired:
            sample = tree.sample()
            peak, largest = max(peak, sample.total), max(largest, sample.largest)
        except KeyboardInterrupt:
            continue
    notes = ["CPU, bytes read and written and context switches cannot be seen on this system"]
    notes.append("memory is sampled" if tree else "memory cannot be seen: psutil is not there")
    return Usage(
        status=status if status >= 0 else 128 - status,
        wall=time.monotonic() - start,
        cpu=None,
        max_rss=largest or None,
        tree_rss=peak or None,
        read=None,
        written=None,
        switches=None,
        orphans=0,
        notes=tuple(notes),
    )
