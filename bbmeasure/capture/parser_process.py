"""The program of a parser process: parses one text with an adapter or a pattern.

Standard input is the file with the text, descriptor 3 a pipe with the :class:`ParserJob` in JSON.  Standard output gets
a line for each record and a last line, see :func:`encode_end`.  Imports only the standard library, for a pattern also
``regex``, so that the process starts fast.  The text is not trusted: memory, CPU time and files are limited.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Optional

from bbmeasure import adapters
from bbmeasure.ansi import strip_ansi
from bbmeasure.errors import MeasureError
from bbmeasure.records import Record
from bbmeasure.wire import MARKER

#: The descriptor from which the process reads its job.
JOB_DESCRIPTOR = 3
#: The memory of the process, in bytes.
MAX_MEMORY = 1024 * 1024 * 1024
#: The most records and samples of one result; further records are counted, samples are left out evenly.
MAX_RECORDS = 1_001
MAX_SAMPLES = 200_000
#: The longest error message, in characters.
MAX_MESSAGE = 2_000


@dataclass(frozen=True)
class ParserJob:
    """The job of a parser process.

    With ``adapter`` it is parsed by that adapter; with ``issues`` as well, by that of a linter whose issues are counted
    under ``name``.  With ``pattern`` the text is searched for that regular expression; ``name`` is its own value.
    """

    adapter: str = ""
    pattern: str = ""
    name: str = ""
    issues: bool = False
    by_file: bool = False
    root: str = ""
    own_is_text: bool = False

    def run(self, text: str) -> list[Record]:
        """The records of ``text``; MeasureError where there are none."""
        text = text.lstrip("\ufeff")
        if self.pattern:
            from bbmeasure import patterns  # imports regex

            pattern = patterns.compile_pattern(self.pattern)
            return patterns.parse(pattern, plain_text(text), self.name, own_is_text=self.own_is_text)
        adapter = adapters.find(self.adapter)
        if not self.issues:
            return adapter.parse(text)
        return adapter.records(text, name=self.name, by_file=self.by_file, root=self.root)

    def encode(self) -> bytes:
        """The job as JSON."""
        return json.dumps(asdict(self)).encode()


def plain_text(text: str) -> str:
    """``text`` without marked lines and terminal control sequences."""
    if MARKER in text:
        text = "\n".join(line for line in text.split("\n") if MARKER not in line)
    return strip_ansi(text)


def encode_record(record: Record) -> str:
    """A record as one line of JSON."""
    fields: dict[str, Any] = {
        "name": record.name,
        "value": record.value,
        "kind": record.kind.value,
        "unit": None if isinstance(record.value, str) else record.unit,
        "better": record.better.value,
        "tags": dict(record.tags),
        "samples": record.samples,
    }
    return json.dumps(fields, separators=(",", ":"))


def decode_record(fields: Mapping[str, Any]) -> Record:
    """The record of a decoded line of :func:`encode_record`."""
    more = {key: value for key, value in fields.items() if key not in ("name", "value")}
    return Record(fields["name"], fields["value"], **more)


def encode_end(*, error: str = "", kind: str = "", dropped: int = 0) -> str:
    """The last line: the error message and its kind (``measure``, ``memory``, ``crash``), and the records left out."""
    return json.dumps({"end": True, "error": error[:MAX_MESSAGE], "kind": kind, "dropped": dropped})


def limit_resources(cpu_seconds: int) -> None:
    """Limit memory and CPU time, and forbid to write files; where the platform can."""
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = (
        ("RLIMIT_AS", MAX_MEMORY),
        ("RLIMIT_CPU", cpu_seconds),
        ("RLIMIT_FSIZE", 0),
        ("RLIMIT_CORE", 0),
    )
    for name, limit in limits:
        try:
            resource.setrlimit(getattr(resource, name), (limit, limit))
        except (AttributeError, OSError, ValueError):  # the platform has no such limit
            continue


def lines_of(records: Iterable[Record]) -> Iterable[str]:
    """The lines of the result, within its limits."""
    listed = list(records)
    kept = listed[:MAX_RECORDS]
    most = max(1, MAX_SAMPLES // max(1, sum(bool(record.samples) for record in kept)))
    for record in kept:
        step = -(-len(record.samples) // most)
        yield encode_record(replace_samples(record, step) if step > 1 else record)
    yield encode_end(dropped=len(listed) - len(kept))


def replace_samples(record: Record, step: int) -> Record:
    """``record`` with each ``step``-th sample; its value is unchanged."""
    return replace(record, samples=record.samples[::step])


def _out_of_memory(error: Optional[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, MemoryError):
            return True
        error = error.__cause__
    return False


def parse(job: bytes, text: bytes) -> Iterable[str]:
    """The lines of the result of a job."""
    try:
        yield from lines_of(ParserJob(**json.loads(job)).run(text.decode("utf-8", "replace")))
    except Exception as error:  # noqa: BLE001  (each error is a line of the result)
        if _out_of_memory(error):
            why = f"needs more than {MAX_MEMORY // 1024**2} MiB of memory: expected a smaller output"
            yield encode_end(error=why, kind="memory")
        elif isinstance(error, MeasureError):
            yield encode_end(error=str(error), kind="measure")
        else:
            yield encode_end(error=f"{type(error).__name__}: {error}", kind="crash")


def _read(descriptor: int) -> bytes:
    pieces = []
    while piece := os.read(descriptor, 1024 * 1024):
        pieces.append(piece)
    return b"".join(pieces)


def main() -> None:
    """Parse standard input as the job requires; the argument is the limit of CPU time in seconds."""
    limit_resources(int(sys.argv[-1]))
    job = _read(JOB_DESCRIPTOR)
    os.lseek(0, 0, os.SEEK_SET)
    for line in parse(job, _read(0)):
        sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
