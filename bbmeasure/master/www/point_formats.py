"""Formats of the points of a series: a JSON object a point, JSON columns, and CSV.

Pages of points arrive from the newest to the oldest, each of them oldest first.  A format encodes each page at once, so
that its points need not be kept, and joins the pages to a body.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Optional, Protocol

from bbmeasure import times
from bbmeasure.errors import QueryError
from bbmeasure.master.www.streaming import Fragments, encode_items, encode_with_list
from bbmeasure.model import Point, SeriesInfo
from bbmeasure.reports import serialize
from bbmeasure.reports.look_back import MAX_LINES, History
from bbmeasure.statistics import Value
from bbmeasure.units import excerpt

#: The columns of the format ``columns`` that hold numbers or null, and those that hold indexes of a list of names.
NUMBERS = ("line", "time", "value", "build", "buildid", "samples", "spread")
NAMES = {"worker": "workers", "revision": "revisions", "proposal": "proposals"}
_COLUMNS = (*NUMBERS, *NAMES)
#: Columns that are left out where every point has the same value, which is that of a point without them.
_DEFAULTS: Mapping[str, Any] = {"samples": 1, "spread": None, "proposal": None, "worker": None, "revision": None}
#: First characters with which a spreadsheet takes a text for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class PointFormat(Protocol):
    """Encoder of pages of points."""

    def page(self, points: Sequence[Point]) -> Fragments:
        """Encode a page."""
        ...

    def body(self, pages: Sequence[Sequence[bytes]]) -> Fragments:
        """Join the encoded pages, which are oldest first, to an answer."""
        ...


class ObjectsFormat:
    """A JSON object a point."""

    def __init__(self, info: SeriesInfo) -> None:
        self._fields = serialize.points_answer(info, ())

    def page(self, points: Sequence[Point]) -> Fragments:
        """Encode a page."""
        return encode_items(points, serialize.point_answer)

    def body(self, pages: Sequence[Sequence[bytes]]) -> Fragments:
        """Join the encoded pages."""
        return encode_with_list(self._fields, "points", [fragment for page in pages for fragment in page])


class _Index:
    """Numbers of different values, in the order of their first occurrence."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}

    def numbers(self, values: Iterable[Any]) -> list[Optional[int]]:
        """The number of each value; None for None."""
        known = self._numbers
        return [None if value is None else known.setdefault(value, len(known)) for value in values]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._numbers)


class ColumnsFormat:
    """JSON with one list a column, and the names that occur, each once.

    ``analyse`` sets whether the newest builds of each line are kept for :func:`~bbmeasure.reports.look_back.look_back`,
    whose results are given to ``look_backs``.
    """

    def __init__(self, info: SeriesInfo, *, analyse: bool = False) -> None:
        self._info = info
        self._lines = _Index()
        self._names = {column: _Index() for column in NAMES}
        self._used: set[str] = set()
        self._last: Optional[tuple[Mapping[str, str], Any, int]] = None
        self._analyse = analyse
        self.histories: dict[int, History] = {}
        self.look_backs: Sequence[Mapping[str, Any]] = ()

    def page(self, points: Sequence[Point]) -> Fragments:
        """Encode a page: one fragment a column."""
        builds = [point.build for point in points]
        columns: tuple[list[Any], ...] = (
            [self._line(point) for point in points],
            [point.time / times.NANOSECONDS for point in points],
            [point.value for point in points],
            [None if build is None else build.build for build in builds],
            [build.buildid if build is not None and build.buildid > 0 else None for build in builds],
            [point.samples for point in points],
            [point.spread for point in points],
            self._names["worker"].numbers(None if build is None else build.worker for build in builds),
            self._names["revision"].numbers(None if build is None else build.revision for build in builds),
            self._names["proposal"].numbers(None if build is None else build.proposal or None for build in builds),
        )
        for column, values in zip(_COLUMNS, columns):
            if column not in _DEFAULTS or values.count(_DEFAULTS[column]) < len(values):
                self._used.add(column)
            yield json.dumps(values, allow_nan=False, separators=(",", ":"))[1:-1].encode()
        if self._analyse:
            self._keep(points, columns[0])

    def _line(self, point: Point) -> int:
        """The index of the line of a point; most points are of the same line as the one before."""
        build = point.build
        facts = build and (build.builder, build.branch, build.machine_class, bool(build.proposal))
        if self._last is None or self._last[0] is not point.tags or self._last[1] != facts:
            tags = json.dumps(serialize.tags_answer(point.tags), sort_keys=True)
            line = (*(facts or (None, None, None, False)), tags)
            self._last = (point.tags, facts, self._lines.numbers([line])[0] or 0)
        return self._last[2]

    def _keep(self, points: Sequence[Point], lines: Sequence[int]) -> None:
        """Keep the points that a look-back needs: not of proposals, outside builds, or texts."""
        for point, line in zip(reversed(points), reversed(lines)):
            history = self.histories.get(line)
            if history is not None and history.is_complete:
                continue
            build = point.build
            if build is None or build.proposal or isinstance(point.value, str):
                continue
            if history is None and len(self.histories) < MAX_LINES:
                history = self.histories[line] = History()
            if history is not None:
                facts = (build.build, build.buildid if build.buildid > 0 else None, build.revision)
                history.add(point.time / times.NANOSECONDS, point.value, facts)

    def body(self, pages: Sequence[Sequence[bytes]]) -> Fragments:
        """Join the encoded pages, column by column."""
        info = self._info
        fields = {
            "series": info.name,
            "kind": info.kind.value,
            "unit": info.unit,
            "better": info.better.word,
            "lines": [_line_answer(*line) for line in self._lines],
            **{list_name: list(self._names[column]) for column, list_name in NAMES.items() if column in self._used},
        }
        if self._analyse:
            fields["analysis"] = [{"line": line, **found} for line, found in zip(self.histories, self.look_backs)]
        yield json.dumps(fields, allow_nan=False)[:-1].encode() + b', "columns": {'
        separator = b""
        for position, column in enumerate(_COLUMNS):
            if column in self._used or column not in _DEFAULTS:
                yield separator + b'"%s": [' % column.encode()
                yield b",".join(page[position] for page in pages if page[position])
                yield b"]"
                separator = b", "
        yield b"}}"


def _line_answer(
    builder: Optional[str], branch: Optional[str], machine: Optional[str], proposed: bool, tags: str
) -> serialize.Json:
    return {
        "builder": builder,
        "branch": branch,
        "machine_class": machine,
        "proposed": proposed,
        "tags": json.loads(tags),
    }


class CsvFormat:
    """CSV with a header, for spreadsheets and statistics programs: one column a field, one for each of ``tag_keys``."""

    COLUMNS = ("time", "value", "unit", "builder", "build", "buildid", "worker", "revision", "branch", "proposal")
    MORE_COLUMNS = ("samples", "spread")

    def __init__(self, info: SeriesInfo, tag_keys: Iterable[str]) -> None:
        self._unit = info.unit
        self._tag_keys = sorted(tag_keys)

    def page(self, points: Sequence[Point]) -> Fragments:
        """Encode a page."""
        yield _csv(self._row(point) for point in points)

    def _row(self, point: Point) -> list[Any]:
        answer = serialize.point_answer(point)
        moment = datetime.fromtimestamp(times.seconds(point.time), timezone.utc)
        answer.update(time=moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"), unit=self._unit)
        tags = answer["tags"]
        more = [point.samples, point.spread, *(tags.get(key) for key in self._tag_keys)]
        return [*(answer[column] for column in self.COLUMNS), *more]

    def body(self, pages: Sequence[Sequence[bytes]]) -> Fragments:
        """Join the header and the encoded pages."""
        yield _csv([[*self.COLUMNS, *self.MORE_COLUMNS, *(f"tag.{key}" for key in self._tag_keys)]])
        for page in pages:
            yield from page


def _csv(rows: Iterable[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _cell(value: Optional[Value]) -> Any:
    """A value for a cell; a text that a spreadsheet would take for a formula is quoted, as names come from workers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def read_format(name: Optional[str]) -> str:
    """The name of a format; QueryError for an unknown one."""
    formats = ("objects", "columns", "csv")
    if name is not None and name not in formats:
        raise QueryError(f"format {excerpt(name)}: expected one of {', '.join(formats)}")
    return name or "objects"
