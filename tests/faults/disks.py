"""A small disk that can be filled."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path


class SmallDisk:
    """A file system of a few megabytes under ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Take all the room there is."""
        with self._filler.open("ab", buffering=0) as filler:
            for size in (65536, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(b"x" * size)

    def free(self) -> None:
        """Give the room back."""
        self._filler.unlink()

    def is_full(self) -> bool:
        """Whether nothing more can be written."""
        try:
            with (self.folder / "probe").open("wb", buffering=0) as probe:
                probe.write(b"x" * 4096)
        except OSError as error:
            return error.errno == errno.ENOSPC
        return False


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int = 4) -> Iterator[SmallDisk]:
    """A tmpfs of that size, mounted at ``folder``, for a test that is run by root or by a user who may use sudo."""
    folder.mkdir()
    prefix = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0777", "bbmeasure-test", str(folder)]
    subprocess.run([*prefix, *mount], check=True)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run([*prefix, "umount", "--lazy", str(folder)], check=True)
