"""Runs a command and measures the resources that it and its descendants use, for ``run``.

CPU, context switches and the largest process are exact, from ``wait4``, which includes every descendant that was waited
for; so are bytes read and written, from the kernel's counters of waited-for children (``/proc/self/io``).  The peak
memory of the process tree is sampled.
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

#: Signals that are forwarded to the command.
_FORWARDED = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
#: Signals that a terminal sends to the command too.
_FROM_TERMINAL = ("SIGINT", "SIGQUIT")
#: The shortest and longest interval between two samples, in seconds, and the CPU share that sampling may use.
_INTERVALS = (0.005, 0.1)
_SAMPLING_SHARE = 0.02


class NotStartedError(Exception):
    """The command cannot be started; ``status`` is the exit status of a shell in this case."""

    def __init__(self, command: str, number: int) -> None:
        what = os.strerror(number) if number else "not a valid command"
        super().__init__(f"{command}: {what}")
        self.status = 127 if number == errno.ENOENT else 126


class Usage(NamedTuple):
    """The resources that a command used; None for an unknown one, which ``notes`` explain."""

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
    """Run a command and measure it; NotStartedError where it cannot be started."""
    return _MeasuredRun().run(command) if hasattr(os, "wait4") else _measure_portable(command)


def _dropped_variables() -> List[str]:
    """Environment variables that Python itself has set: LC_CTYPE in the C locale (PEP 538)."""
    try:
        with open(f"{process_tree.PROC}/self/environ", "rb") as file:
            initial = {variable.partition(b"=")[0] for variable in file.read().split(b"\0")}
    except OSError:
        return []
    return [name for name in ("LC_CTYPE",) if name in os.environ and name.encode() not in initial]


def _io_of_children() -> Optional[Tuple[int, int]]:
    """Bytes that waited-for children have read and written so far; None where the kernel does not count them.

    The counters of the process include its children, those of the thread do not.
    """
    counters = []
    if not process_tree.has_own_proc():
        return None
    for path in (f"{process_tree.PROC}/self/io", f"{process_tree.PROC}/self/task/{os.getpid()}/io"):
        try:
            with open(path, "rb") as file:
                lines = dict(line.split(b":") for line in file.read().splitlines())
            counters.append((int(lines[b"rchar"]), int(lines[b"wchar"])))
        except (OSError, ValueError, KeyError):
            return None
    return counters[0][0] - counters[1][0], counters[0][1] - counters[1][1]


class _MeasuredRun:
    """One run of a command on a POSIX system."""

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
        self._launcher_size = 0
        self._launcher_written = 0
        self._pending: List[int] = []

    def run(self, command: Sequence[str]) -> Usage:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(writer, False)
        before = {number: signal.getsignal(number) for number in self._signals()}
        wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._on_signal)
        signal.signal(signal.SIGCHLD, self._on_signal)
        try:
            self._launch(command)
            io_before = _io_of_children()
            status = self._wait(reader)
            return self._usage(status, time.monotonic() - self._start, io_before)
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler if handler is not None else signal.SIG_DFL)
            os.close(reader)
            os.close(writer)

    @staticmethod
    def _signals() -> List[int]:
        return [getattr(signal, name) for name in (*_FORWARDED, "SIGCHLD")]

    def _on_signal(self, number: int, _frame: Any) -> None:
        if number != signal.SIGCHLD:
            self._pending.append(number)

    def _launch(self, command: Sequence[str]) -> None:
        """Start the command: with the launcher if this process is the subreaper, else by a fork of this process."""
        starts = (self._start_launcher, self._fork) if self._adopts else (self._fork,)
        for start in starts:
            reader, writer = os.pipe()
            try:
                start(command, writer)
                os.close(writer)
                writer = -1
                message = b"".join(iter(lambda: os.read(reader, 4096), b""))  # noqa: B023  (called in this iteration)
            finally:
                os.close(reader)
                if writer >= 0:
                    os.close(writer)
            if message:
                self._read_launcher(command, message)
                return
        raise NotStartedError(command[0], errno.EAGAIN)

    @staticmethod
    def _start_launcher(command: Sequence[str], writer: int) -> None:
        """Start it with the launcher; writes nothing to ``writer`` where there is no Python to run that."""
        flags = ["-S", "-s"] if "PYTHONHOME" in os.environ else ["-I", "-S"]
        source = get_source(launcher.__name__) + "\nmain()\n"
        arguments = [sys.executable, *flags, "-c", source, str(writer), " ".join(_dropped_variables()), *command]
        os.set_inheritable(writer, True)
        try:
            os.spawnv(os.P_WAIT, sys.executable, arguments)  # noqa: S606  (a Python without a shell)
        except (OSError, ValueError, TypeError):  # TypeError: sys.executable of an embedded Python may be None
            return
        finally:
            os.set_inheritable(writer, False)

    @staticmethod
    def _fork(command: Sequence[str], writer: int) -> None:
        if os.fork() == 0:
            signal.set_wakeup_fd(-1)
            launcher.execute(writer, _dropped_variables(), command)

    def _read_launcher(self, command: Sequence[str], message: bytes) -> None:
        """Read what the launcher wrote: process ID, start, resident set size, and an error number if exec failed."""
        lines = message.split(b"\n")
        number, start, size = lines[0].split()
        self._command, self._start, self._launcher_size = int(number), float(start), _maxrss(int(size))
        self._launcher_written = len(message)
        if len(lines) > 2:
            os.waitpid(self._command, 0)
            raise NotStartedError(command[0], int(lines[1]))

    def _wait(self, wakeups: int) -> int:
        """Sample and forward signals until the command ends; returns its wait status."""
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
        """Take a sample; returns the interval to the next, which is longer where a sample is expensive."""
        shortest, longest = _INTERVALS
        if self._tree is None:
            return longest
        start = time.process_time()
        try:
            sample = self._tree.sample()
        except OSError:  # procfs was unmounted
            self._tree = None
            return longest
        self._peak = max(self._peak, sample.total)
        self._largest = max(self._largest, sample.largest)
        pause = min(longest, max(shortest, (time.monotonic() - self._start) / 20))
        return max(pause, (time.process_time() - start) / _SAMPLING_SHARE)

    def _forward(self) -> None:
        pending, self._pending = self._pending, []
        for number in pending:
            if signal.Signals(number).name in _FROM_TERMINAL and _has_terminal():
                continue
            process_tree.kill(self._command, number)

    def _reap(self) -> Optional[int]:
        """Wait for all children that have ended; returns the wait status of the command if it is one of them."""
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

    def _remaining(self) -> List[int]:
        """The descendants that still run; [] where they are unknown."""
        try:
            members = self._tree.members() if self._tree else []
        except OSError:
            return []
        return [process for process in members if process != self._command]

    def _usage(self, status: int, wall: float, io_before: Optional[Tuple[int, int]]) -> Usage:
        notes: List[str] = []
        io = _io_of_children()
        if io is None or io_before is None:
            notes.append("bytes read and written are unknown: this system does not count them")
        if self._tree is None:
            notes.append(f"the memory of the process tree is unknown: {_why_unknown()}")
        if not self._adopts:
            notes.append("processes that outlived their parent are not counted")
        remaining = self._remaining()
        if remaining:
            notes.append(f"{len(remaining)} of its processes still run; their further use is not counted")
        if self._largest <= self._launcher_size * 1.25:
            notes.append(
                f"the largest process used at most {units.format(self._launcher_size, 'bytes')}, as the launcher"
            )
        return Usage(
            status=exit_status(status),
            wall=wall,
            cpu=self._cpu,
            max_rss=self._largest,
            tree_rss=max(self._peak, self._largest) if self._tree else None,
            read=io[0] - io_before[0] if io and io_before else None,
            written=io[1] - io_before[1] - self._launcher_written if io and io_before else None,
            switches=self._switches,
            orphans=self._orphans + len(remaining),
            notes=tuple(notes),
        )


def _why_unknown() -> str:
    if process_tree.has_foreign_proc():
        return "/proc is that of another PID namespace"
    return "there is neither /proc nor psutil"


def exit_status(status: int) -> int:
    """The exit status of a shell for a wait status: 128 plus the number of the signal that ended the process."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _maxrss(reported: int) -> int:
    """``ru_maxrss`` in bytes: Linux reports KiB, macOS bytes."""
    return reported if sys.platform == "darwin" else reported * 1024


def _has_terminal() -> bool:
    """Whether this process is in the foreground of a terminal, which then sends signals to the command too."""
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
    """Measure on a system without ``wait4``: wall time, and memory if psutil is installed."""
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
    notes = ["CPU, bytes read and written and context switches are unknown on this system"]
    notes.append("memory is sampled" if tree else "memory is unknown: psutil is not installed")
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
