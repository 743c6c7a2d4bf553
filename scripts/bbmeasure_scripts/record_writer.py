"""Writes records to the file named by ``$BBMEASURE_FILE``, else as marked lines to stdout."""

from __future__ import annotations

from typing import Any, Callable, Iterable

from bbmeasure import units, wire
from bbmeasure.errors import WireError
from bbmeasure.records import Record
from bbmeasure_scripts import line_writer
from bbmeasure_scripts.line_writer import print_line


def append(record: Record, path: str) -> None:
    """Append a record to the sidecar file; WireError or StorageError where that fails."""
    line_writer.append(encode(record, False), path)


def encode(record: Record, marked: bool) -> str:
    """The line of a record for stdout or a file, with fewer samples where it would exceed the limit of a line."""
    if marked:
        return shorten(record, wire.LONGEST_MARKER_LINE, wire.encode_marker)
    return shorten(record, wire.LONGEST_LINE, wire.encode)


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


def write(records: Iterable[Record], summaries: Iterable[str] = (), stdout_is_free: bool = True) -> bool:
    """Write records, and print lines for people: see ``line_writer.write``."""
    return line_writer.write(records, encode, summaries, stdout_is_free)


def summary(record: Record) -> str:
    """A record for people, such as ``wheel: 1.42 MiB``."""
    if isinstance(record.value, str):
        return f"{record.name}: {record.value}"
    tags = "".join(f" {key}={value}" for key, value in record.tags.items())
    return f"{record.name}{tags}: {units.format(record.value, record.unit, record.kind.value)}"
