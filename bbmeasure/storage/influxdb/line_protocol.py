"""Points as InfluxDB's line protocol, and what of a name or a value it cannot carry.

Written by hand because the ``influxdb`` client doubles backslashes, sends NaN as it is, and takes ten times as long.
What is escaped, and how, was measured with influxd 1.6.7:

- A tag's key and value escape comma, equals and space by a backslash, a measurement only comma and space: with an
  escaped equals it is kept twice, and cannot be dropped.  A backslash elsewhere stands for itself.  At the end of any
  of them it would escape what follows: it is dropped.
- In a measurement a backslash before one of those is lost, and a leading ``#`` makes the whole line a comment: both
  become ``_``.  Blanks and NULs before the first character of a line are skipped.
- A line break ends the line everywhere but in a string field, whose quotes and backslashes are escaped; and there too
  where a tag has a backslash before a character that is escaped, as InfluxDB then loses count of the quotes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from math import isfinite
from typing import NamedTuple, Optional

from bbmeasure.errors import StorageError
from bbmeasure.model import BuildContext, Point
from bbmeasure.units import excerpt

#: Measurements that bbmeasure keeps its own knowledge in.
DECLARATIONS = "bbmeasure_series"
STATE = "bbmeasure_state"
#: The fields of a point.  A tag of such a name would be read back as ``NAME_1``.
FIELDS = ("value", "text", "build", "buildid", "revision", "branch", "project", "step", "samples", "spread")
#: The longest measurement with its tags, in bytes, and the range of times that InfluxDB takes.
LONGEST_KEY = 65_535
EARLIEST, LATEST = -9_223_372_036_854_775_806, 9_223_372_036_854_775_806
#: How many points are made into lines at one go, so that the reactor is never kept for long.
SLICE = 100

#: Step, revision, branch, project, and whether the step is a tag.
_Facts = tuple[Optional[str], Optional[str], Optional[str], Optional[str], bool]

_REFUSED_TAGS = frozenset([*FIELDS, "builder", "worker", "time"]) - {"step"}
_MOST_CACHED = 10_000
_LINE_BREAKS = str.maketrans("\r\n\0", "   ")
_KEY = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})
_MEASUREMENT = str.maketrans({",": "\\,", " ": "\\ "})
_STRING = str.maketrans({"\\": "\\\\", '"': '\\"'})


class LineError(StorageError, ValueError):
    """A point that line protocol cannot carry."""


class TextLeftOutError(LineError):
    """A text for a server that keeps numbers alone."""


def clean_text(text: str) -> str:
    """A tag's key or value as it is kept: line breaks and NUL are spaces, no backslash ends it."""
    return text.translate(_LINE_BREAKS).rstrip("\\")


def clean_series(name: str) -> str:
    """The measurement of a series; whoever asks for a series asks for this."""
    cleaned = clean_text(name).replace("\\", "_")
    if cleaned[:1] in ("#", "\t"):
        cleaned = "_" + cleaned[1:]
    return cleaned or "_"


def measurement(series: str) -> str:
    """As :func:`clean_series`; LineError for the names that bbmeasure needs for itself."""
    cleaned = clean_series(series)
    if cleaned in (DECLARATIONS, STATE):
        raise LineError(f"series {series!r}: expected another name, as bbmeasure keeps its own knowledge in this one")
    return cleaned


def clean_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """The tags as they are kept, by name; what is empty is no tag.  LineError where two become one."""
    cleaned: dict[str, str] = {}
    for key, value in tags.items():
        name, text = clean_text(key), clean_text(value)
        if not name or name in cleaned:
            raise LineError(f"tag {excerpt(key)}: expected a name that is still its own without line breaks and a \\")
        cleaned[name] = text
    return {name: cleaned[name] for name in sorted(cleaned) if cleaned[name]}


def quote_string(text: str) -> str:
    """A string field's value, in quotes."""
    return f'"{text.translate(_STRING)}"'


def key(series: str, tags: Mapping[str, str]) -> str:
    """The part of a line before its fields, for names that are clean already; LineError where it is too long."""
    parts = [series.translate(_MEASUREMENT)]
    parts.extend(f"{name.translate(_KEY)}={value.translate(_KEY)}" for name, value in tags.items())
    joined = ",".join(parts)
    if len(joined.encode("utf-8", "replace")) > LONGEST_KEY:
        raise LineError(f"series {excerpt(series)}: expected at most {LONGEST_KEY} bytes of its name and tags together")
    return joined


class LineWriter:
    """Makes lines of points, and remembers what they have in common.

    With ``tag_build_number`` the build's number is a tag and no field.  With ``numbers_only``, for servers that know
    no text, string fields are left out and a text value is a TextLeftOutError.
    """

    def __init__(self, *, tag_build_number: bool = False, numbers_only: bool = False) -> None:
        self.tag_build_number = tag_build_number
        self.numbers_only = numbers_only
        self._keys: dict[tuple[object, ...], str] = {}
        self._facts: dict[_Facts, str] = {}

    def line(self, point: Point) -> str:
        """The line of ``point``, without a line break at its end; LineError says why there is none."""
        value, time = point.value, point.time
        if isinstance(value, str):
            if self.numbers_only:
                raise TextLeftOutError("value is a text: expected a number, as the server keeps nothing else")
            first = f"text={quote_string(value)}"
        elif isfinite(value):
            first = f"value={float(value)!r}"
        else:
            raise LineError(f"value {value}: expected a finite number")
        if not EARLIEST <= time <= LATEST:
            raise LineError(f"time {time}: expected nanoseconds within 64 bits")
        head, more = self._around(point)
        if "\\\\" in head and ("\n" in first or "\n" in more):
            first, more = first.replace("\n", " "), more.replace("\n", " ")
        return f"{head} {first}{more} {time}"

    def frame(self, point: Point) -> tuple[str, str]:
        """What stands before and behind the value, a finite number, in the lines of all points that are like ``point``
        but for value and time; the time follows.  LineError as for :meth:`line`.
        """
        head, more = self._around(point)
        return f"{head} value=", f"{more} "

    def _around(self, point: Point) -> tuple[str, str]:
        """The key, and the fields behind the first with a comma before each."""
        build, tags = point.build, point.tags
        key_of: tuple[object, ...]
        more = ""
        if build is None:
            key_of = (point.series, *tags.items())
        else:
            more = self._of_build(build, "step" in tags)
            number = build.build if self.tag_build_number else None
            key_of = (point.series, build.builder, build.worker, number, *tags.items())
        if point.samples != 1:
            more += f",samples={point.samples}i"
        if point.spread is not None and isfinite(point.spread):
            more += f",spread={float(point.spread)!r}"
        return self._keys.get(key_of) or self._remember_key(key_of, point), more

    def _of_build(self, build: BuildContext, step_is_tag: bool) -> str:
        """The fields that a point has of its build, each with a comma before it."""
        facts = (build.step, build.revision, build.branch, build.project, step_is_tag)
        known = self._facts.get(facts)
        if known is None:
            known = self._remember_facts(facts)
        number = "" if self.tag_build_number else f",build={build.build}i"
        return f"{number},buildid={build.buildid}i{known}"

    def _remember_key(self, key_of: tuple[object, ...], point: Point) -> str:
        if len(self._keys) >= _MOST_CACHED:
            self._keys.clear()
        made = self._make_key(point.series, point.build, point.tags)
        self._keys[key_of] = made
        return made

    def _make_key(self, series: str, build: Optional[BuildContext], tags: Mapping[str, str]) -> str:
        for tag in tags:
            cleaned = clean_text(tag)
            if cleaned in _REFUSED_TAGS or (cleaned in FIELDS and cleaned != tag):
                raise LineError(f"tag {excerpt(tag)}: expected a name that no field and no tag of the master's has")
        everything = dict(tags)
        if build is not None:
            everything.update(builder=build.builder, worker=build.worker)
            if self.tag_build_number:
                everything["build"] = str(build.build)
        return key(measurement(series), clean_tags(everything))

    def _remember_facts(self, facts: _Facts) -> str:
        step, revision, branch, project, step_is_tag = facts
        named = {"revision": revision, "branch": branch, "project": project, "step": None if step_is_tag else step}
        made = "".join(f",{name}={quote_string(fact)}" for name, fact in named.items() if fact)
        if self.numbers_only:
            made = ""
        if len(self._facts) >= _MOST_CACHED:
            self._facts.clear()
        self._facts[facts] = made
        return made


class Refused(NamedTuple):
    """A point that no line can carry, where it stood among the others, and why."""

    at: int
    point: Point
    why: Exception


def slices(writer: LineWriter, points: Iterable[Point]) -> Iterator[tuple[bytes, list[Refused]]]:
    """For every SLICE of ``points``: their lines, and those points that cannot be lines.

    A point that is none at all (a value that is neither number nor text) is refused like the others: it must not stand
    in their way.
    """
    remaining = enumerate(points)
    make = writer.line
    while True:
        lines: list[str] = []
        refused: list[Refused] = []
        at = -1
        for at, point in islice(remaining, SLICE):
            try:
                lines.append(make(point))
            except (ValueError, TypeError, OverflowError, AttributeError) as error:
                refused.append(Refused(at, point, error))
        if at < 0:
            return
        lines.append("")
        yield "\n".join(lines).encode("utf-8", "replace"), refused
