"""The processes that descend from this one: adopting orphans, their memory, ending them.

Reads ``/proc`` where there is one, else asks psutil where that is there, else sees nothing.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any, Dict, List, NamedTuple, Optional, Set

#: Where the kernel shows its processes.
PROC = "/proc"
_PR_SET_CHILD_SUBREAPER = 36
#: Processes seen to be none of ours are looked at again after so many samples: their numbers may have been reused.
_FORGET_AFTER = 50


class Sample(NamedTuple):
    """The memory of all descendants and of the largest of them, in bytes, and how many they are."""

    total: int
    largest: int
    processes: int


def adopt_orphans() -> bool:
    """Make this process the parent of descendants whose own parent exits (Linux); False where that cannot be."""
    try:
        import ctypes

        return bool(ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError, TypeError):
        return False


def psutil() -> Any:
    """The module where it is installed, else None."""
    try:
        import psutil as module
    except ImportError:
        return None
    return module


def tree(root: Optional[int] = None) -> Any:
    """What can sample the descendants of process ``root``, this one where not said; None where nothing can."""
    root = os.getpid() if root is None else root
    if os.path.exists(f"{PROC}/{root}/stat"):
        return ProcTree(root)
    return PsutilTree(root) if psutil() else None


def _read(path: str) -> bytes:
    """A small file of /proc; empty where the process is gone."""
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
    """The number of the parent of a process, empty where it is gone; its own name may hold blanks and brackets."""
    fields = _read(f"{PROC}/{process}/stat").rpartition(b")")[2].split(None, 2)
    return fields[1].decode("ascii", "replace") if len(fields) > 1 else ""


class ProcTree:
    """The descendants of a process through /proc.

    Only processes that were not there at the sample before are asked for their parent, so that a sample costs little
    also where a machine runs hundreds of others.
    """

    def __init__(self, root: int) -> None:
        self._root = str(root)
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._members: Set[str] = set()
        self._others: Set[str] = set()
        self._samples = 0

    def members(self) -> List[int]:
        """The numbers of all descendants that live now or are zombies."""
        self._samples += 1
        if self._samples % _FORGET_AFTER == 0:
            self._others.clear()
        present = {name for name in os.listdir(PROC) if name.isdigit() and name.isascii()}
        self._members &= present
        self._others &= present
        parents = {name: parent_of(name) for name in present - self._members - self._others}
        self._sort_in(parents)
        return [int(name) for name in self._members]

    def _sort_in(self, parents: Dict[str, str]) -> None:
        grown = True
        while grown:
            mine = [name for name, parent in parents.items() if parent == self._root or parent in self._members]
            self._members.update(mine)
            for name in mine:
                del parents[name]
            grown = bool(mine)
        self._others.update(parents)

    def sample(self) -> Sample:
        """What the descendants hold now; memory that processes share is counted for each."""
        sizes = [self._resident(process) for process in self.members()]
        return Sample(sum(sizes), max(sizes, default=0), len(sizes))

    def _resident(self, process: int) -> int:
        fields = _read(f"{PROC}/{process}/statm").split(None, 2)
        return int(fields[1]) * self._page if len(fields) > 1 and fields[1].isdigit() else 0


class PsutilTree:
    """The descendants of a process through psutil, for systems without /proc."""

    def __init__(self, root: int) -> None:
        self._psutil = psutil()
        self._root = self._psutil.Process(root)

    def _children(self) -> List[Any]:
        try:
            return list(self._root.children(recursive=True))
        except self._psutil.Error:
            return []

    def members(self) -> List[int]:
        """The numbers of all descendants."""
        return [child.pid for child in self._children()]

    def sample(self) -> Sample:
        """What the descendants hold now."""
        sizes = []
        for child in self._children():
            try:
                sizes.append(child.memory_info().rss)
            except self._psutil.Error:
                continue
        return Sample(sum(sizes), max(sizes, default=0), len(sizes))


def kill(process: int, number: int = getattr(signal, "SIGKILL", signal.SIGTERM)) -> None:
    """Send a signal to a process that may be gone or another user's."""
    try:
        os.kill(process, number)
    except (ProcessLookupError, PermissionError):
        return


def descendants() -> Set[int]:
    """All that descends from this process, as far as it can be seen."""
    found = tree()
    return set(found.members()) if found else set()


def kill_new(before: Set[int]) -> int:
    """End every descendant that is not in ``before``, those too that are started meanwhile; how many there were."""
    killed: Set[int] = set()
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
