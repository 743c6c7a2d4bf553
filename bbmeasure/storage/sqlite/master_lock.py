"""MasterLock: the advisory lock of the master that uses a journal."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Optional

from bbmeasure.storage.sqlite import schema

try:
    import fcntl
except ImportError:  # Windows, where a second master is not noticed
    fcntl = None  # type: ignore[assignment]


class MasterLock:
    """A lock on the file ``PATH.lock``, which the kernel releases when its process ends.

    Commands write a journal beside its master, without this lock.
    """

    def __init__(self, path: schema.Path) -> None:
        self._path = path
        self._descriptor: Optional[int] = None
        #: The other master that holds the lock, such as ``process 12 on ci``; None where there is none.
        self.holder: Optional[str] = None

    def acquire(self) -> bool:
        """Lock the file unless it is locked already; returns false where another master holds the lock.

        Where the file cannot be created, such as in a read-only folder, there is no lock.
        """
        if fcntl is None or self._descriptor is not None:
            return True
        self.holder = None
        try:
            descriptor = os.open(f"{os.path.realpath(self._path)}.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.holder = os.read(descriptor, 200).decode("utf-8", "replace").strip() or "another process"
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        with contextlib.suppress(OSError):  # a full disk; the lock itself needs no space
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        return True

    def release(self) -> None:
        """Unlock the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
