"""Runs a command and measures the resources that it and its descendants use, for ``run``.

CPU, context switches and the largest process are exact, from ``wait4``, which includes every descendant that was waited
for; so are bytes read and written, from the kernel's counters of waited-for children (``/proc/self/io``).  The peak
memory of the process tree is sampled.
"""

from __future__ import annotations

import errno
import os
import select
import sys
import time

from bbmeasure import formatting
from bbmeasure_scripts import process_tree
from bbmeasure_scripts.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, Sequence

#: Signals that are forwarded to the command.
_FORWARDED = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2")
#: Signals that a terminal sends to the command too.
_FROM_TERMINAL = (signal.SIGINT, getattr(signal, "SIGQUIT", None))
#: The shortest and longest interval between two samples, in seconds, and the CPU share that sampling may use.
INTERVALS = (0.005, 0.1)
_SAMPLING_SHARE = 0.02


class NotStartedError(Exception):
    """The command cannot be started; ``status`` is the exit status of a shell in this case."""

    def __init__(self, command: str, number: int) -> None:
        what = os.strerror(number) if number else "not a valid command"
        super().__init__(f"{command}: {what}")
        self.status = 127 if number == errno.ENOENT else 126


class Usage:
    """The resources that a command used; None for an unknown one, which ``notes`` explain."""

    def __init__(self, status: int, wall: float) -> None:
        self.status = status
        self.wall = wall
        self.cpu: float | None = None
        self.max_rss: int | None = None
        self.tree_rss: int | None = None
        self.read: int | None = None
        self.written: int | None = None
        self.switches: int | None = None
        self.orphans = 0
        self.notes: list[str] = []


def measure(command: Sequence[str]) -> Usage:
    """Run a command and measure it; NotStartedError where it cannot be started."""
    if hasattr(os, "wait4"):
        return _MeasuredRun().run(command)
    from bbmeasure_scripts import windows_usage

    return windows_usage.measure(command)


def _dropped_variables() -> list[str]:
    """Environment variables that Python itself has set: LC_CTYPE in the C locale (PEP 538)."""
    try:
        with open(f"{process_tree.PROC}/self/environ", "rb") as file:
            initial = {variable.partition(b"=")[0] for variable in file.read().split(b"\0")}
    except OSError:
        return []
    return [name for name in ("LC_CTYPE",) if name in os.environ and name.encode() not in initial]


def _io_of_children() -> tuple[int, int] | None:
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
        self._has_children = True
        self._fork_size = 0
        self._fork_written = 0
        self._pending: list[int] = []

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
    def _signals() -> list[int]:
        return [getattr(signal, name) for name in (*_FORWARDED, "SIGCHLD")]

    def _on_signal(self, number: int, _frame: Any) -> None:
        if number != signal.SIGCHLD:
            self._pending.append(number)

    def _launch(self, command: Sequence[str]) -> None:
        """Start the command in a fork; NotStartedError where it cannot be executed."""
        reader, writer = os.pipe()
        dropped = _dropped_variables()
        try:
            self._command = os.fork()
        except OSError as error:
            raise NotStartedError(command[0], error.errno or 0) from None
        if not self._command:
            signal.set_wakeup_fd(-1)
            _execute(writer, dropped, command)
        os.close(writer)
        message = b"".join(iter(lambda: os.read(reader, 4096), b""))
        os.close(reader)
        start, size, *failed = message.split() or (b"0", b"0", b"%d" % errno.EAGAIN)
        if failed:
            os.waitpid(self._command, 0)
            raise NotStartedError(command[0], int(failed[0]))
        self._start, self._fork_size, self._fork_written = float(start), _maxrss(int(size)), len(message)

    def _wait(self, wakeups: int) -> int:
        """Sample and forward signals until the command ends; returns its wait status."""
        pause = INTERVALS[0]
        while True:
            if select.select([wakeups], [], [], pause)[0]:
                os.read(wakeups, 4096)
            self._forward()
            status = self._reap()
            if status is not None:
                self._forward()
                return status
            pause = self._sample()

    def _sample(self) -> float:
        """Take a sample; returns the interval to the next, which is longer where a sample is expensive."""
        shortest, longest = INTERVALS
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
            if number in _FROM_TERMINAL and _has_terminal():
                continue
            process_tree.kill(self._command, number)

    def _reap(self) -> int | None:
        """Wait for all children that have ended; returns the wait status of the command if it is one of them."""
        status = None
        while True:
            try:
                child, child_status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                self._has_children = False
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

    def _remaining(self) -> list[int]:
        """The descendants that still run; [] where they are unknown."""
        try:
            members = self._tree.members() if self._tree and self._has_children else []
        except OSError:
            return []
        return [process for process in members if process != self._command]

    def _usage(self, status: int, wall: float, io_before: tuple[int, int] | None) -> Usage:
        io = _io_of_children()
        remaining = self._remaining()
        usage = Usage(exit_status(status), wall)
        usage.cpu, usage.max_rss, usage.switches = self._cpu, self._largest, self._switches
        usage.tree_rss = max(self._peak, self._largest) if self._tree else None
        usage.orphans = self._orphans + len(remaining)
        if io and io_before:
            usage.read, usage.written = io[0] - io_before[0], io[1] - io_before[1] - self._fork_written
        usage.notes = self._notes(usage, len(remaining))
        return usage

    def _notes(self, usage: Usage, remaining: int) -> list[str]:
        notes: list[str] = []
        if usage.read is None:
            notes.append("bytes read and written are unknown: this system does not count them")
        if self._tree is None:
            notes.append(f"the memory of the process tree is unknown: {process_tree.why_unknown()}")
        if not self._adopts:
            notes.append("processes that outlived their parent are not counted")
        if remaining:
            notes.append(f"{remaining} of its processes still run; their further use is not counted")
        if self._largest <= self._fork_size * 1.25:
            least = formatting.format(self._fork_size, "bytes")
            notes.append(f"the largest process used at most {least}, as the one that started it")
        return notes


def _execute(descriptor: int, dropped: Sequence[str], command: Sequence[str]) -> NoReturn:
    """Replace this process, a fork, by ``command``, without the environment variables ``dropped``.

    Writes the monotonic time and its largest resident set to ``descriptor``, and the error number if ``exec`` fails.
    On Linux the largest resident set of the command is at least that of this process.
    """
    import resource

    for name in ("SIGPIPE", "SIGXFSZ"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
    environment = {key: value for key, value in os.environ.items() if key not in dropped}
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    os.write(descriptor, b"%r %d\n" % (time.monotonic(), largest))
    try:
        os.execvpe(command[0], list(command), environment)  # noqa: S606  (a command without a shell)
    except OSError as error:
        os.write(descriptor, b"%d\n" % (error.errno or 0))
    except ValueError:
        os.write(descriptor, b"0\n")
    os._exit(127)


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
