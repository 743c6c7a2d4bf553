"""Writes records to the file named by ``$BBMEASURE_FILE``, else as marked lines to stdout.

Several processes may append to the file concurrently: each line is one ``write`` to a file opened with O_APPEND, which
local POSIX file systems do not interleave.
"""

from __future__ import annotations

import os
import stat
import sys
from typing import Any, Callable, Iterable, Optional

from bbmeasure import units, wire
from bbmeasure.errors import StorageError, WireError
from bbmeasure.records import Record

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT
for _name in ("O_CLOEXEC", "O_NONBLOCK", "O_NOFOLLOW", "O_BINARY"):
    _FLAGS |= getattr(os, _name, 0)


def sidecar() -> Optional[str]:
    """The path of the sidecar file; None outside a measuring step."""
    return os.environ.get(wire.FILE_VARIABLE) or None


def append(record: Record, path: str) -> None:
    """Append a record to the sidecar file; StorageError where that fails.

    Only a regular file is written to: a pipe could block.  A last line without a line break is terminated first.
    """
    line = (shorten(record, wire.LONGEST_LINE, wire.encode) + "\n").encode("ascii")
    try:
        descriptor = os.open(path, _FLAGS, 0o644)
    except (OSError, ValueError) as error:
        raise StorageError(f"{path!r}: cannot be opened for appending ({error})") from None
    try:
        _append(descriptor, line, path)
    except OSError as error:
        raise StorageError(f"{path!r}: cannot be written ({error})") from None
    finally:
        os.close(descriptor)


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


def marked(record: Record) -> str:
    """The marked line of a record, with fewer samples where it would exceed the limit of a line."""
    return shorten(record, wire.LONGEST_MARKER_LINE, wire.encode_marker)


def shorten(record: Record, limit: int, encode: Callable[[Record], str]) -> str:
    """The encoded record in less than ``limit`` characters: every second sample is dropped until it fits."""
    samples: Any = record.samples
    while True:
        try:
            line = encode(_with_samples(record, samples))
            if len(line) < limit:
                break
        except WireError:
            if not samples:
                raise
        if not samples:
            raise WireError(f"record {units.excerpt(record.name)}: expected a line of less than {limit} bytes")
        samples = samples[::2] if len(samples) > 2 else ()
    if len(samples) < len(record.samples):
        print_line(
            f"{record.name}: {len(samples)} of {len(record.samples)} samples are reported, the most that fit in a line"
        )
    return line


def _with_samples(record: Record, samples: Any) -> Record:
    if len(samples) == len(record.samples):
        return record
    return Record(
        record.name,
        record.value,
        kind=record.kind,
        unit=record.unit,
        better=record.better,
        tags=record.tags,
        samples=samples,
    )


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


def write(records: Iterable[Record], summaries: Iterable[str] = (), stdout_is_free: bool = True) -> bool:
    """Write records, and print lines for people; returns False where a record cannot be written, with a message.

    The lines for people go to stdout, or to stderr where stdout contains marked lines or the output of a command.
    """
    path = sidecar()
    people = sys.stdout if path and stdout_is_free else sys.stderr
    for line in summaries:
        print_line(line, people)
    succeeded = True
    for record in records:
        try:
            _write(record, path)
        except (StorageError, WireError, OSError) as error:
            print_line(f"bbmeasure: {record.name} cannot be reported: {error}")
            succeeded = False
    return succeeded


def _write(record: Record, path: Optional[str]) -> None:
    if path:
        append(record, path)
        return
    if sys.stdout is None:
        raise StorageError("stdout: expected it to be open")
    sys.stdout.write(marked(record) + "\n")
    sys.stdout.flush()


def summary(record: Record) -> str:
    """A record for people, such as ``wheel: 1.42 MiB``."""
    if isinstance(record.value, str):
        return f"{record.name}: {record.value}"
    tags = "".join(f" {key}={value}" for key, value in record.tags.items())
    return f"{record.name}{tags}: {units.format(record.value, record.unit, record.kind.value)}"
