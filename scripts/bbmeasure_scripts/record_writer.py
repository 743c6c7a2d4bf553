"""How the kit hands records over: into the file that ``$BBMEASURE_FILE`` names, else as marked lines on stdout.

Many processes may append to one file at once: each line is one ``write`` to a file opened with O_APPEND, which a
local POSIX file system keeps whole.
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
    """The file that records go to; None outside a measuring step."""
    return os.environ.get(wire.FILE_VARIABLE) or None


def append(record: Record, path: str) -> None:
    """Add a record to the sidecar file; StorageError says why it could not be.

    Only a regular file is written: a pipe in its place would block.  A line that another program left without its line
    break is ended first, so that both can be read.
    """
    line = (shorten(record, wire.LONGEST_LINE, wire.encode) + "\n").encode("ascii")
    try:
        descriptor = os.open(path, _FLAGS, 0o644)
    except (OSError, ValueError) as error:
        raise StorageError(f"{path!r}: expected a file to append to ({error})") from None
    try:
        _append(descriptor, line, path)
    except OSError as error:
        raise StorageError(f"{path!r}: could not be written ({error})") from None
    finally:
        os.close(descriptor)


def _append(descriptor: int, line: bytes, path: str) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        raise StorageError(f"{path!r}: expected a regular file")
    if found.st_size:
        os.lseek(descriptor, -1, os.SEEK_END)
        if os.read(descriptor, 1) != b"\n":
            line = b"\n" + line
    written = os.write(descriptor, line)
    if written < len(line):
        raise StorageError(f"{path!r}: took {written} of {len(line)} bytes")


def marked(record: Record) -> str:
    """The line of a record for stdout, with fewer samples or none where a worker would cut it."""
    return shorten(record, wire.LONGEST_MARKER_LINE, wire.encode_marker)


def shorten(record: Record, limit: int, encode: Callable[[Record], str]) -> str:
    """The encoded record in less than ``limit`` characters: of its samples every second is left out until it fits."""
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
        say(f"{record.name}: {len(samples)} of {len(record.samples)} samples reported, as a line holds no more")
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


def say(text: str, stream: Any = None) -> None:
    """A line for people, on stderr where no stream is given; what its encoding cannot carry is escaped.

    A stream that is closed is no reason to fail, the records matter more: stderr is tried in its place.
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


def deliver(records: Iterable[Record], human: Iterable[str] = (), stdout_is_ours: bool = True) -> bool:
    """Hand records over, with lines for people; False where one could not be, which is said on stderr.

    The lines for people go to stdout where it holds nothing else, to stderr where marked lines need it or where it is
    another command's.
    """
    path = sidecar()
    people = sys.stdout if path and stdout_is_ours else sys.stderr
    for line in human:
        say(line, people)
    delivered = True
    for record in records:
        try:
            _hand_over(record, path)
        except (StorageError, WireError, OSError) as error:
            say(f"bbmeasure: {record.name} is not reported: {error}")
            delivered = False
    return delivered


def _hand_over(record: Record, path: Optional[str]) -> None:
    if path:
        append(record, path)
        return
    if sys.stdout is None:
        raise StorageError("standard output is closed")
    sys.stdout.write(marked(record) + "\n")
    sys.stdout.flush()


def human(record: Record) -> str:
    """A record as people read it: ``wheel: 1.42 MiB``."""
    if isinstance(record.value, str):
        return f"{record.name}: {record.value}"
    tags = "".join(f" {key}={value}" for key, value in record.tags.items())
    return f"{record.name}{tags}: {units.format(record.value, record.unit, record.kind.value)}"
