"""Serializer of InfluxDB's line protocol.

The serializer of the ``influxdb`` client doubles backslashes, writes NaN, and takes ten times as long.  The escaping
rules were measured with influxd 1.6.7:

- In a tag's key and value, comma, equals and space are escaped by a backslash; in a measurement only comma and space,
  as InfluxDB stores a measurement with an escaped equals twice and cannot drop it.  Any other backslash is literal.  A
  trailing backslash would escape the next character: it is removed.
- In a measurement InfluxDB loses a backslash before one of these characters, and a leading ``#`` starts a comment:
  both become ``_``.  Blanks and NULs at the start of a line are skipped.
- A newline ends a line except in a string field, where quotes and backslashes are escaped.  It ends the line in a
  string field too if a tag has a backslash before an escaped character: InfluxDB then miscounts the quotes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from math import isfinite
from typing import NamedTuple, Optional

from bbmeasure.errors import StorageError
from bbmeasure.model import BuildContext, BuildNames, Point, SeriesInfo
from bbmeasure.records import canonical_series, canonical_tag, reserved_tag_error
from bbmeasure.storage.validation import check_point, check_stream, declaring_builder
from bbmeasure.units import excerpt

#: Measurements of the series' metadata, of running totals, of alerts and their decisions, and of what is usual.
METADATA = "bbmeasure_series"
STATE = "bbmeasure_state"
ALERTS = "bbmeasure_alerts"
DECISIONS = "bbmeasure_decisions"
USUAL = "bbmeasure_usual"
RESERVED = (METADATA, STATE, ALERTS, DECISIONS, USUAL)
#: Fields of a point.  InfluxDB returns a tag with the same name as ``NAME_1``.
FIELDS = (
    "value",
    "text",
    "build",
    "buildid",
    "revision",
    "branch",
    "proposal",
    "machine",
    "project",
    "step",
    "samples",
    "spread",
)
#: Tag of the points of proposals, with its only value.
PROPOSED, IS_PROPOSED = "proposed", "yes"
#: Tag of the metadata of points outside builds, with its only value.
OUTSIDE, IS_OUTSIDE = "outside", "yes"
#: Maximum size of a measurement with its tags, in bytes, and the range of InfluxDB's timestamps.
MAX_KEY_BYTES = 65_535
EARLIEST, LATEST = -9_223_372_036_854_775_806, 9_223_372_036_854_775_806
#: Points that are serialized per turn of the reactor.
SLICE = 100

#: Version 0.1 allowed tags named proposal and machine: points with these are still stored.
_RESERVED_TAGS = frozenset([*FIELDS, "builder", "worker", "time", PROPOSED]) - {"step", "proposal", "machine"}
_CACHE_SIZE = 10_000
_LINE_BREAKS = str.maketrans("\r\n\0", "   ")
_KEY = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})
_MEASUREMENT = str.maketrans({",": "\\,", " ": "\\ "})
_STRING = str.maketrans({"\\": "\\\\", '"': '\\"'})


class LineError(StorageError, ValueError):
    """A point that line protocol cannot represent."""


class SkippedPointError(LineError):
    """A point that a server does not get."""


class UnsupportedTextError(SkippedPointError):
    """A text value for a server that stores numbers only."""


def measurement(series: str) -> str:
    """Return the measurement of a series; raises LineError for the measurements that bbmeasure reserves."""
    cleaned = canonical_series(series)
    if cleaned in RESERVED:
        raise LineError(f"series {series!r}: expected another name, as bbmeasure reserves this one")
    return cleaned


def clean_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return the tags as InfluxDB stores them, sorted, without empty ones; raises LineError for equal names."""
    cleaned: dict[str, str] = {}
    for key, value in tags.items():
        name, text = canonical_tag(key), canonical_tag(value)
        if not name or name in cleaned:
            raise LineError(f"tag {excerpt(key)}: expected a name that is unique without newlines and trailing \\")
        cleaned[name] = text
    return {name: cleaned[name] for name in sorted(cleaned) if cleaned[name]}


def quote_string(text: str) -> str:
    """Return the quoted value of a string field."""
    return f'"{text.translate(_STRING)}"'


def escape_key(key: str) -> str:
    """Return the key of a tag or field, escaped."""
    return key.translate(_KEY)


def series_key(measurement: str, tags: Mapping[str, str]) -> str:
    """Return measurement and tags, escaped; raises LineError if they are too long.

    The names must be clean, see :func:`canonical_series` and :func:`clean_tags`.
    """
    parts = [measurement.translate(_MEASUREMENT)]
    parts.extend(f"{escape_key(name)}={escape_key(value)}" for name, value in tags.items())
    joined = ",".join(parts)
    if len(joined.encode("utf-8", "replace")) > MAX_KEY_BYTES:
        raise LineError(f"series {excerpt(measurement)}: expected at most {MAX_KEY_BYTES} bytes of name and tags")
    return joined


def metadata_line(info: SeriesInfo, time: int, master: str = "") -> str:
    """Return the line, with its newline, that stores kind, unit and direction of a series of one builder."""
    builder = declaring_builder(info)
    owner = {"builder": canonical_tag(builder)} if builder else {OUTSIDE: IS_OUTSIDE}
    tags = clean_tags({**owner, "series": canonical_series(info.name)})
    fields = {"kind": info.kind.value, "unit": info.unit, "better": info.better.value, "name": info.name}
    fields.update({"master": master} if master else {})
    written = ",".join(f"{name}={quote_string(value)}" for name, value in fields.items())
    return f"{series_key(METADATA, tags)} {written} {time}\n"


def state_line(key: str, value: float, time: int) -> str:
    """Return the line, with its newline, that stores a running total."""
    return f"{series_key(STATE, {'key': canonical_tag(key)})} value={float(value)!r} {time}\n"


class LineWriter:
    """Serializer of points, with caches for what points have in common.

    With ``tag_build_number`` the build's number is a tag instead of a field.  With ``numbers_only``, for servers
    without strings, string fields are omitted and a text value raises UnsupportedTextError.
    """

    def __init__(self, *, tag_build_number: bool = False, numbers_only: bool = False) -> None:
        self.tag_build_number = tag_build_number
        self.numbers_only = numbers_only
        self._keys: dict[tuple[object, ...], str] = {}
        self._builds: dict[BuildNames, str] = {}

    def line(self, point: Point) -> str:
        """Return the line of a point, without a newline; raises LineError if there is none."""
        value, time = point.value, point.time
        if isinstance(value, str):
            if self.numbers_only:
                raise UnsupportedTextError("value is a text: expected a number, as the server stores numbers only")
            first = f"text={quote_string(value)}"
        elif isfinite(value):
            first = f"value={float(value)!r}"
        else:
            raise LineError(f"value {value}: expected a finite number")
        if not EARLIEST <= time <= LATEST:
            raise LineError(f"time {time}: expected nanoseconds within 64 bits")
        key, more = self._key_and_fields(point)
        if "\\\\" in key and ("\n" in first or "\n" in more):
            first, more = first.replace("\n", " "), more.replace("\n", " ")
        return f"{key} {first}{more} {time}"

    def template(self, point: Point) -> tuple[str, str]:
        """Return the text before and after the value in the lines of all points that differ in value and time only.

        The value must be a finite number; the time follows.  Raises LineError as :meth:`line` does.
        """
        key, more = self._key_and_fields(point)
        return f"{key} value=", f"{more} "

    def _key_and_fields(self, point: Point) -> tuple[str, str]:
        """Return the series key, and the fields after the value, each after a comma."""
        build, tags = point.build, point.tags
        cache_key: tuple[object, ...]
        more = ""
        if build is None:
            cache_key = (point.series, *tags.items())
        else:
            more = self._build_fields(build, "step" in tags)
            number = build.build if self.tag_build_number else None
            cache_key = (point.series, build.builder, build.worker, number, not build.proposal, *tags.items())
        if point.samples != 1:
            more += f",samples={point.samples}i"
        if point.spread is not None and isfinite(point.spread):
            more += f",spread={float(point.spread)!r}"
        return self._keys.get(cache_key) or self._add_key(cache_key, point), more

    def _build_fields(self, build: BuildContext, step_is_tag: bool) -> str:
        names = (build.step, build.revision, build.branch, build.proposal, build.machine, build.project, step_is_tag)
        return self.build_fields(build.build, build.buildid, names)

    def build_fields(self, number: int, buildid: int, names: BuildNames) -> str:
        """Return the fields of a build, each after a comma, as they follow the value in a line."""
        strings = self._builds.get(names)
        if strings is None:
            strings = self._add_build(names)
        numbered = "" if self.tag_build_number else f",build={number}i"
        identified = f",buildid={buildid}i" if buildid > 0 else ""  # imported builds have none
        return f"{numbered}{identified}{strings}"

    def _add_key(self, cache_key: tuple[object, ...], point: Point) -> str:
        if len(self._keys) >= _CACHE_SIZE:
            self._keys.clear()
        key = self._make_key(point.series, point.build, point.tags)
        self._keys[cache_key] = key
        return key

    def _make_key(self, series: str, build: Optional[BuildContext], tags: Mapping[str, str]) -> str:
        for tag in tags:
            cleaned = canonical_tag(tag)
            if cleaned in _RESERVED_TAGS or (cleaned in FIELDS and cleaned != tag):
                raise LineError(f"tag {excerpt(tag)}: {reserved_tag_error(cleaned)}")
        all_tags = dict(tags)
        if build is not None:
            all_tags.update(builder=build.builder, worker=build.worker)
            if build.proposal:
                all_tags[PROPOSED] = IS_PROPOSED
            if self.tag_build_number:
                all_tags["build"] = str(build.build)
        return series_key(measurement(series), clean_tags(all_tags))

    def _add_build(self, names: BuildNames) -> str:
        step, revision, branch, proposal, machine, project, step_is_tag = names
        fields = {
            "revision": revision,
            "branch": branch,
            "proposal": proposal,
            "machine": machine,
            "project": project,
            "step": None if step_is_tag else step,
        }
        strings = "".join(f",{name}={quote_string(value)}" for name, value in fields.items() if value)
        if self.numbers_only:
            strings = ""
        if len(self._builds) >= _CACHE_SIZE:
            self._builds.clear()
        self._builds[names] = strings
        return strings


class InvalidPoint(NamedTuple):
    """A point that has no line, with its position and the reason."""

    position: int
    point: Point
    error: Exception


def write_slices(writer: LineWriter, points: Iterable[Point]) -> Iterator[tuple[bytes, list[InvalidPoint]]]:
    """Yield, for each SLICE of ``points``, their lines and the points without a line.

    A point whose value is neither number nor text is invalid too: it must not block the points after it.
    """
    remaining = enumerate(points)
    make = writer.line
    while True:
        lines: list[str] = []
        invalid: list[InvalidPoint] = []
        index = -1
        for index, point in islice(remaining, SLICE):
            try:
                lines.append(make(point))
            except (ValueError, TypeError, OverflowError, AttributeError) as error:
                invalid.append(InvalidPoint(index, point, error))
        if index < 0:
            return
        lines.append("")
        yield "\n".join(lines).encode("utf-8", "replace"), invalid


def request_bodies(
    writer: LineWriter, points: Sequence[Point], totals: Mapping[str, float], now: int, most: int
) -> list[bytes]:
    """Return the lines of points, ``most`` a body, and those of running totals; StorageError for an invalid point."""
    for point in points:
        check_point(point)
        check_stream(point)
    bodies = []
    for at in range(0, len(points), most):
        slices = []
        for lines, invalid in write_slices(writer, points[at : at + most]):
            for _, point, error in invalid:
                raise StorageError(f"a point of {point.series!r}: {error}")
            slices.append(lines)
        bodies.append(b"".join(slices))
    state = "".join(state_line(key, value, now) for key, value in totals.items())
    return [*bodies, state.encode("utf-8", "replace")] if state else bodies
