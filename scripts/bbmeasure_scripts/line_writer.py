"""Writes lines to the file named by ``$BBMEASURE_FILE``, else as marked lines to stdout, and lines for people.

Several processes may append to the file concurrently: each line is one ``write`` to a file opened with O_APPEND, which
local POSIX file systems do not interleave.  On Windows, where such writes overwrite each other, a byte of the file is
locked meanwhile.  Imports little, as the start of ``run`` counts for each command.
"""

from __future__ import annotations

import os
import stat
import sys
import time

from bbmeasure.errors import MeasureError, StorageError
from bbmeasure.plain_wire import FILE_VARIABLE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT
for _name in ("O_CLOEXEC", "O_NONBLOCK", "O_NOFOLLOW", "O_BINARY"):
    _FLAGS |= getattr(os, _name, 0)

#: The module that locks files on Windows; None elsewhere.
_MSVCRT = __import__("msvcrt") if os.name == "nt" else None
#: The offset of the locked byte, beyond any content, and how often and how long to wait for it, in seconds.
_LOCKED = 2**31 - 2
_LOCK_TRIES, _LOCK_PAUSE = 2000, 0.005


def sidecar() -> str | None:
    """The path of the sidecar file; None outside a measuring step."""
    return os.environ.get(FILE_VARIABLE) or None


def append(line: str, path: str) -> None:
    """Append a line of ASCII to the sidecar file; StorageError where that fails.

    Only a regular file is written to: a pipe could block.  A last line without a line break is terminated first.
    """
    try:
        descriptor = os.open(path, _FLAGS, 0o644)
    except (OSError, ValueError) as error:
        raise StorageError(f"{path!r}: cannot be opened for appending ({error})") from None
    try:
        _lock(descriptor)
        _append(descriptor, (line + "\n").encode("ascii"), path)
    except OSError as error:
        raise StorageError(f"{path!r}: cannot be written ({error})") from None
    finally:
        os.close(descriptor)  # releases the lock


def _lock(descriptor: int) -> None:
    """On Windows, wait for the lock of a regular file; OSError where other processes keep it for long."""
    if _MSVCRT is None:
        return
    for tries_left in reversed(range(_LOCK_TRIES)):
        os.lseek(descriptor, _LOCKED, os.SEEK_SET)
        try:
            _MSVCRT.locking(descriptor, _MSVCRT.LK_NBLCK, 1)
            return
        except OSError:
            if not tries_left:
                raise
            time.sleep(_LOCK_PAUSE)


def _append(descriptor: int, line: bytes, path: str) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise StorageError(f"{path!r}: expected a regular file, got mode {status.st_mode:o}")
    if status.st_size:
        os.lseek(descriptor, -1, os.SEEK_END)
        if os.read(descriptor, 1) != b"\n":
            line = b"\n" + line
    written = os.write(descriptor, line)
    if written < len(line):
        raise StorageError(f"{path!r}: {written} of {len(line)} bytes were written")


def print_line(text: str, stream: Any = None) -> None:
    """Print a line, by default to stderr; characters that its encoding lacks are escaped.

    Never raises: if the stream is closed, the line is printed to stderr, else dropped.
    """
    for target in (stream, sys.stderr):
        if target is None:
            continue
        encoding = getattr(target, "encoding", None) or "ascii"
        try:
            target.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
            target.flush()
            return
        except (OSError, ValueError) as error:
            text = f"{text} ({error})"


def write(
    named: Iterable[Any],
    encode: Callable[[Any, bool], str],
    summaries: Iterable[str] = (),
    stdout_is_free: bool = True,
) -> bool:
    """Write objects that have a ``name``, and print lines for people; returns False where one cannot be written.

    ``encode`` takes an object, and whether its line must be a marked one for stdout.  The lines for people go to
    stdout, or to stderr where stdout contains marked lines or the output of a command.
    """
    path = sidecar()
    people = sys.stdout if path and stdout_is_free else sys.stderr
    for line in summaries:
        print_line(line, people)
    succeeded = True
    for one in named:
        try:
            if path:
                append(encode(one, False), path)
            else:
                _print_marked(encode(one, True))
        except (MeasureError, OSError) as error:
            print_line(f"bbmeasure: {one.name} cannot be reported: {error}")
            succeeded = False
    return succeeded


def _print_marked(line: str) -> None:
    if sys.stdout is None:
        raise StorageError("stdout: expected it to be open")
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
