"""OpenFiles: the files of an open journal by device and inode, to notice that they were deleted, moved or replaced."""

from __future__ import annotations

import contextlib
import os
from typing import Optional

from bbmeasure.errors import StorageUnavailableError
from bbmeasure.storage.sqlite import schema

#: Device and inode.
Identity = tuple[int, int]


class LostFileError(StorageUnavailableError):
    """The open file of a journal was deleted, moved or replaced, or its ``-wal`` was."""


def identity(path: schema.Path) -> Optional[Identity]:
    """The file that a path names now; None for a missing one."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class OpenFiles:
    """The files that the paths of a journal named when a connection had opened them."""

    def __init__(self, path: schema.Path) -> None:
        self._path = path
        # SQLite puts the other files beside the target of a symbolic link
        target = os.path.realpath(path)
        self._wal_path, self._shm_path = f"{target}-wal", f"{target}-shm"
        #: The journal's own file.
        self.main = identity(path)
        self._wal, self._shm = identity(self._wal_path), identity(self._shm_path)

    def is_gone(self) -> bool:
        """Whether the path of the journal's own file names no file, or another one."""
        return identity(self._path) != self.main

    def are_replaced(self) -> bool:
        """Whether a path names another file now; false where there is none."""
        return identity(self._path) not in (None, self.main) or identity(self._wal_path) not in (None, self._wal)

    def check(self) -> None:
        """Raise LostFileError unless the paths still name the open files."""
        main, wal = identity(self._path), identity(self._wal_path)
        if main != self.main:
            how = "was deleted or moved" if main is None else "was replaced by another file"
            raise LostFileError(f"journal {os.fspath(self._path)}: {how} while it was open")
        if wal != self._wal:
            how = "was deleted or moved" if wal is None else "was replaced"
            raise LostFileError(f"journal {os.fspath(self._path)}: its -wal file {how} while it was open")

    def remove_remains(self) -> None:
        """Delete the ``-wal`` and ``-shm`` that a deleted or moved file left behind.

        SQLite would apply them to a new file.  Those of a file that took its place are not deleted.
        """
        if not self.is_gone():
            return
        for path, before in ((self._wal_path, self._wal), (self._shm_path, self._shm)):
            if before is not None and identity(path) == before:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
