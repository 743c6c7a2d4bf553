"""Add the values of past builds that bbmeasure-eight exported."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Optional

from bbmeasure.capture.identity import Value, point_of
from bbmeasure.cli import arguments, config
from bbmeasure.errors import MeasureError, QueryError, RecordError
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Record
from bbmeasure.storage.sqlite.journal import Journal
from bbmeasure.storage.validation import check_point

#: Version of the lines, the longest line in bytes, and how many points are written in one transaction.
VERSION = 1
LONGEST_LINE = 64 * 1024
CHUNK = 1_000
#: Tags that only a master sets.
_MASTER_TAGS = ("result", "step")
_TEXTS = ("step", "revision", "branch", "project")
#: The most refused lines that are described.
_MOST_SHOWN = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``bbmeasure import``."""
    parser.add_argument("file", metavar="FILE", help="JSON lines of `bbmeasure-eight export`; - reads standard input")
    arguments.add_journal(parser)
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")


def run(options: argparse.Namespace) -> int:
    """Write the points of the file into the journal, which is made if there is none; returns the exit status.

    Importing a file again changes nothing: a point keeps its time.
    """
    path = config.journal_path(options)
    with _opened(options.file) as file, Journal(path) as journal:
        done = Import(journal)
        done.run(file)
    if options.json:
        print(json.dumps({"points": done.counters["points"], "refused": done.counters["refused"]}))
    else:
        print(f"{done.counters['points']} points written, {done.counters['refused']} lines refused")
        for why in done.refusals:
            print(f"  {why}", file=sys.stderr)
    return 1 if done.counters["refused"] and not done.counters["points"] else 0


def _opened(name: str) -> BinaryIO:
    if name == "-":
        return sys.stdin.buffer
    try:
        return Path(name).open("rb")
    except OSError as error:
        raise QueryError(f"{name}: {error.strerror}") from None


class Import:
    """One import into a journal; ``counters`` and ``refusals`` hold its results."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.counters: Counter[str] = Counter()
        self.refusals: list[str] = []
        self._declared: dict[tuple[str, str], SeriesInfo] = {}

    def run(self, file: Iterable[bytes]) -> None:
        """Write the points of the lines of a file."""
        points = self._points(file)
        while chunk := list(islice(points, CHUNK)):
            self.journal.write(chunk)
            self.counters["points"] += len(chunk)

    def _points(self, file: Iterable[bytes]) -> Iterator[Point]:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                value = read_line(line)
                point = point_of(value, value.time or 0)
                check_point(point)
                self._declare(value)
            except MeasureError as error:
                self.counters["refused"] += 1
                if len(self.refusals) < _MOST_SHOWN:
                    self.refusals.append(f"line {number}: {error}")
                continue
            yield point

    def _declare(self, value: Value) -> None:
        """Declare the series of a value with its first point of a builder; SeriesConflictError where it disagrees."""
        record, builder = value.record, value.context.builder if value.context else ""
        held = self._declared.get((record.name, builder))
        if held is None or record.unit != held.unit or (record.kind is not held.kind):
            info = SeriesInfo(record.name, record.kind, record.unit, record.better, builders=(builder,))
            self._declared[record.name, builder] = self.journal.declare(info)


def read_line(line: bytes) -> Value:
    """The value in a line of an export; RecordError or UnitError for an invalid one."""
    if len(line) > LONGEST_LINE:
        raise RecordError(f"line of {len(line)} bytes: expected at most {LONGEST_LINE}")
    try:
        item = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"expected a JSON object ({error})") from None
    if not isinstance(item, dict) or item.get("v") != VERSION:
        raise RecordError(f"expected an object of version {VERSION}, as `bbmeasure-eight export` writes")
    tags = item.get("tags", {})
    if not isinstance(tags, dict):
        raise RecordError("tags: expected an object")
    master_tags = {name: _text(tags, name) or "" for name in _MASTER_TAGS if name in tags}
    record = Record(
        item.get("series", ""),
        item.get("value"),
        kind=item.get("kind"),
        unit=item.get("unit"),
        better=item.get("better"),
        tags={name: value for name, value in tags.items() if name not in _MASTER_TAGS},
    )
    context = _context(item)
    return Value(record, context, _integer(item, "time"), master_tags=master_tags)


def _context(item: Mapping[str, Any]) -> BuildContext:
    """The build of a line, with an id that identifies it in a journal and that no build of another master has."""
    builder, number = _text(item, "builder"), _integer(item, "build")
    if not builder:
        raise RecordError("builder: expected a name")
    identity = json.dumps([builder, number]).encode()
    buildid = -1 - int.from_bytes(hashlib.blake2b(identity, digest_size=8).digest(), "big") % 2**53
    texts = {name: _text(item, name) for name in _TEXTS}
    proposal = _text(item, "proposal") or ""
    return BuildContext(builder, _text(item, "worker") or "", number, buildid, proposal=proposal, **texts)


def _text(item: Mapping[str, Any], name: str) -> Optional[str]:
    value = item.get(name)
    if value is not None and not isinstance(value, str):
        raise RecordError(f"{name} {value!r}: expected a text")
    return value


def _integer(item: Mapping[str, Any], name: str) -> int:
    value = item.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise RecordError(f"{name} {value!r}: expected an integer")
    return value
