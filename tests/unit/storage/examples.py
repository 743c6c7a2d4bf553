"""Points, builds and hostile names that tests of stores share."""

from __future__ import annotations

from typing import Any, Optional

from bbmeasure import statistics
from bbmeasure.model import BuildContext, Point, Query
from bbmeasure.times import NANOSECONDS

START = 1_700_000_000 * NANOSECONDS

#: Names that a store might interpret instead of storing them.  Every store returns them unchanged.
HOSTILE_NAMES = (
    "a,b",
    "a=b",
    "a b",
    " leading and trailing ",
    'double"quote',
    "single'quote",
    "back\\slash in a tag",
    "per%cent %s %d %(x)s",
    "semi;colon -- comment",
    "x'; DROP TABLE points; --",
    'x" OR 1=1 --',
    "$name ${name} :name ?1 @name",
    "*",
    "_",
    "a.b/c:d{e}[f]",
    "\u00fcml\u00e4ut \u65e5\u672c\u8a9e \U0001f600",
    "SELECT",
    "time",
    "null",
    "\U0001f469\u200d\U0001f4bb" * 20,
)


def at(seconds: float) -> int:
    """The time, in nanoseconds, of a second after START."""
    return START + int(seconds * NANOSECONDS)


def in_build(
    number: int = 1, builder: str = "first", worker: str = "bot1", step: Optional[str] = "measure", **facts: Any
) -> BuildContext:
    """A build with this number and a buildid that is 100 more."""
    return BuildContext(builder, worker, number, number + 100, step, **facts)


def summarize(storage: Any, names: str, series: str = "size", **where: Any) -> Any:
    """The statistics of a comma-separated list of names."""
    return storage.summarize(Query(series, **where), statistics.find_all(names.split(",")))


def fill(storage: Any, values: Any, series: str = "size", build: Optional[BuildContext] = None, **more: Any) -> Any:
    """Write values one second apart."""
    points = [Point(series, at(second), value, build=build, **more) for second, value in enumerate(values)]
    return storage.write(points)


def values_of(points: Any) -> list[Any]:
    return [point.value for point in points]
