"""Descendants of this process: their memory, adoption of orphans, termination.

Reads ``/proc`` where it exists, else uses psutil if it is installed, else has no information.
"""

from __future__ import annotations

import os
import sys
import time

from bbmeasure_scripts.signals import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

#: The mount point of procfs.
PROC = "/proc"
_PR_SET_CHILD_SUBREAPER = 36
#: After so many samples other processes are checked again, as their process IDs may have been reused.
_RECHECK_INTERVAL = 50


class Sample:
    """The resident memory of all descendants and of the largest of them, in bytes, and their number."""

    def __init__(self, sizes: list[int]) -> None:
        self.total = sum(sizes)
        self.largest = max(sizes, default=0)
        self.processes = len(sizes)


def adopt_orphans() -> bool:
    """Make this process the subreaper of its descendants (Linux); returns False where that is not possible."""
    try:
        from _ctypes import call_function, dlopen, dlsym  # of ctypes, which takes 4 ms to import

        prctl = dlsym(dlopen(None, 0), "prctl")  # type: ignore[arg-type]  # None is this process
        return bool(call_function(prctl, (_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) == 0)
    except (ImportError, OSError, AttributeError, TypeError):
        return False


def psutil() -> Any:
    """The module psutil; None where it is not installed, or cannot be imported without procfs."""
    if sys.flags.no_site:
        import site

        site.main()  # adds the folders of installed packages
    try:
        import psutil as module
    except (ImportError, OSError, RuntimeError):
        return None
    return module


def has_own_proc() -> bool:
    """Whether procfs shows the process IDs of this process's PID namespace.

    In a PID namespace with the procfs of another one, which a container may have, ``/proc/PID`` is another process.
    """
    try:
        return os.readlink(f"{PROC}/self") == str(os.getpid())
    except OSError:
        return False


def has_foreign_proc() -> bool:
    """Whether procfs is that of another PID namespace."""
    return os.path.lexists(f"{PROC}/self") and not has_own_proc()


def tree(root: int | None = None) -> Any:
    """A sampler of the descendants of process ``root``, by default this one; None where there is no information."""
    root = os.getpid() if root is None else root
    if has_own_proc() and os.path.exists(f"{PROC}/{root}/stat"):
        return ProcTree(root)
    module = psutil()
    if module is None or has_foreign_proc():  # psutil reads procfs too
        return None
    try:
        sampler = PsutilTree(root)
        sampler.sample()
    except (module.Error, OSError, RuntimeError, ValueError):  # psutil on Linux without procfs
        return None
    return sampler


def why_unknown() -> str:
    """The reason for which :func:`tree` has no information."""
    return "/proc is that of another PID namespace" if has_foreign_proc() else "there is neither /proc nor psutil"


def _read(path: str) -> bytes:
    """A small file of procfs; empty where the process has ended."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 4096)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def parent_of(process: str) -> str:
    """The process ID of a parent, empty where the process has ended; its name may contain blanks and brackets."""
    fields = _read(f"{PROC}/{process}/stat").rpartition(b")")[2].split(None, 2)
    return fields[1].decode("ascii", "replace") if len(fields) > 1 else ""


class ProcTree:
    """Descendants of a process from procfs.

    Reads the parent only of processes that are new since the previous sample, so that a sample is cheap on a machine
    with hundreds of other processes.
    """

    def __init__(self, root: int) -> None:
        self._root = str(root)
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._members: set[str] = set()
        self._others: set[str] = set()
        self._samples = 0

    def members(self) -> list[int]:
        """The process IDs of all descendants, zombies included."""
        self._samples += 1
        if self._samples % _RECHECK_INTERVAL == 0:
            self._others.clear()
        present = {name for name in os.listdir(PROC) if name.isdigit() and name.isascii()}
        self._members &= present
        self._others &= present
        parents = {name: parent_of(name) for name in present - self._members - self._others}
        self._classify(parents)
        return [int(name) for name in self._members]

    def _classify(self, parents: dict[str, str]) -> None:
        grown = True
        while grown:
            children = [name for name, parent in parents.items() if parent == self._root or parent in self._members]
            self._members.update(children)
            for name in children:
                del parents[name]
            grown = bool(children)
        self._others.update(parents)

    def sample(self) -> Sample:
        """The resident memory now; memory that processes share is counted for each."""
        return Sample([self._resident(process) for process in self.members()])

    def _resident(self, process: int) -> int:
        fields = _read(f"{PROC}/{process}/statm").split(None, 2)
        return int(fields[1]) * self._page if len(fields) > 1 and fields[1].isdigit() else 0


class PsutilTree:
    """Descendants of a process from psutil, for systems without procfs."""

    def __init__(self, root: int) -> None:
        self._psutil = psutil()
        self._root = self._psutil.Process(root)

    def _children(self) -> list[Any]:
        try:
            return list(self._root.children(recursive=True))
        except self._psutil.Error:
            return []

    def members(self) -> list[int]:
        """The process IDs of all descendants."""
        return [child.pid for child in self._children()]

    def sample(self) -> Sample:
        """The resident memory now."""
        sizes = []
        for child in self._children():
            try:
                sizes.append(child.memory_info().rss)
            except self._psutil.Error:
                continue
        return Sample(sizes)


def kill(process: int, number: int = getattr(signal, "SIGKILL", signal.SIGTERM)) -> None:
    """Send a signal to a process; ignores one that has ended or belongs to another user."""
    try:
        os.kill(process, number)
    except OSError:  # of a process that has ended Windows reports an invalid parameter
        return


def descendants() -> set[int]:
    """The process IDs of the known descendants of this process."""
    sampler = tree()
    return set(sampler.members()) if sampler else set()


def kill_new(before: set[int]) -> int:
    """Kill all descendants that are not in ``before``, also those started meanwhile; returns how many."""
    killed: set[int] = set()
    for _ in range(20):
        alive = {process for process in descendants() - before if not _is_zombie(process)}
        if not alive:
            break
        for process in alive:
            kill(process)
        killed |= alive
        time.sleep(0.005)
    return len(killed)


def _is_zombie(process: int) -> bool:
    return _read(f"{PROC}/{process}/stat").rpartition(b")")[2].split(None, 1)[:1] == [b"Z"]
