"""A small file system that a test can fill."""

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
        """Use all free space."""
        with self._filler.open("ab", buffering=0) as filler:
            for size in (65536, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        filler.write(b"x" * size)

    def free(self) -> None:
        """Release the space that :meth:`fill` used."""
        self._filler.unlink()

    def set_writable(self, writable: bool) -> None:
        """Remount it; no file may be open for writing when it becomes read-only."""
        mode = "rw" if writable else "ro"
        subprocess.run([*_privileged(), "mount", "-o", f"remount,{mode}", str(self.folder)], check=True)

    def is_full(self) -> bool:
        """Whether writing fails for lack of space."""
        try:
            with (self.folder / "probe").open("wb", buffering=0) as probe:
                probe.write(b"x" * 4096)
        except OSError as error:
            return error.errno == errno.ENOSPC
        return False


def _privileged() -> list[str]:
    return [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int = 4) -> Iterator[SmallDisk]:
    """A tmpfs mounted at ``folder``; needs root or sudo without a password."""
    folder.mkdir()
    prefix = _privileged()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0777", "bbmeasure-test", str(folder)]
    subprocess.run([*prefix, *mount], check=True)
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run([*prefix, "umount", "--lazy", str(folder)], check=True)
