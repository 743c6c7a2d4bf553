"""Other processes that have a file open with SQLite, as Linux tells of the locks that they hold."""

from __future__ import annotations

import os
from pathlib import Path

from bbmeasure.storage.sqlite import schema

_LOCKS = Path("/proc/locks")


def processes_using(path: schema.Path) -> list[int]:
    """The numbers of other processes with a lock on a file; empty where the system does not tell.

    A connection to a file in WAL mode holds a lock from its first query to its end, whether it reads or writes.
    """
    try:
        status, locks = os.stat(path), _LOCKS.read_text()
    except OSError:
        return []
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    # 1: POSIX  ADVISORY  READ 1234 fe:00:5678 1073741826 1073742335
    rows = [line.split() for line in locks.splitlines()]
    found = {int(row[-4]) for row in rows if len(row) >= 8 and row[-3] == device and row[-4].isdigit()}
    return sorted(found - {0, os.getpid()})
