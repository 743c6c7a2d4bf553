"""What an InfluxDB answers, read as what a store answers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Optional

from bbmeasure.model import Bucket, BuildContext, Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.statistics import Moments, Statistic, Value
from bbmeasure.storage.influxdb import influxql
from bbmeasure.storage.influxdb.line_protocol import (
    DECLARATIONS,
    FIELDS,
    STATE,
    clean_series,
    clean_text,
    key,
    quote_string,
)
from bbmeasure.storage.influxdb.server import ODD

#: The series of one statement's answer.
Answer = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Declared:
    """What was said of a series, when, and by which master; nobody's name is empty."""

    info: SeriesInfo
    time: int
    master: str = ""


def declaration(info: SeriesInfo, time: int, master: str = "") -> str:
    """The line that says what a series is."""
    facts = {"kind": info.kind.value, "unit": info.unit, "better": info.better.value, "name": info.name}
    facts.update({"master": master} if master else {})
    fields = ",".join(f"{name}={quote_string(fact)}" for name, fact in facts.items())
    return f"{key(DECLARATIONS, {'series': clean_series(info.name)})} {fields} {time}\n"


def read_declared(answer: Iterable[Mapping[str, Any]]) -> dict[str, Declared]:
    """What was said of series, by their measurements; what is no such thing is passed over."""
    found = {}
    for one in answer:
        try:
            time, kind, unit, better, name, master = one["values"][0]
            measured = str(one["tags"]["series"])
            info = SeriesInfo(str(name or measured), Kind(kind), str(unit or "1"), Direction(better))
            found[measured] = Declared(info, int(time), str(master or ""))
        except ODD:  # another program's measurement of that name
            continue
    return found


def read_points(series: str, piece: Mapping[str, Any]) -> list[Point]:
    """The points in a piece of an answer to :func:`influxql.points` or :func:`influxql.records`."""
    columns: list[str] = piece["columns"]
    fields = {name: columns.index(influxql.PREFIX + name) for name in FIELDS}
    tags = [(at, name) for at, name in enumerate(columns) if at and not name.startswith(influxql.PREFIX)]
    made = []
    for row in piece["values"]:
        held = {name: row[at] for name, at in fields.items()}
        value: Value = held["text"] if held["value"] is None else held["value"]
        if value is None:
            continue
        own = {name: row[at] for at, name in tags if row[at]}
        build = _build(own, held)
        made.append(
            Point(
                series,
                row[0],
                value if isinstance(value, str) else float(value),
                own,
                build,
                1 if held["samples"] is None else held["samples"],
                None if held["spread"] is None else float(held["spread"]),
            )
        )
    return made


def _build(tags: dict[str, str], fields: Mapping[str, Any]) -> Optional[BuildContext]:
    """The build of a point; takes what the master set out of ``tags``."""
    builder, worker, tagged = (tags.pop(name, "") for name in ("builder", "worker", "build"))
    number = tagged if fields["build"] is None else fields["build"]
    if fields["buildid"] is None and not builder:
        return None
    return BuildContext(
        builder,
        worker,
        int(number or 0),
        int(fields["buildid"] or 0),
        fields["step"] or tags.get("step"),
        fields["revision"],
        fields["branch"],
        fields["project"],
    )


def count_of(answer: Sequence[Mapping[str, Any]]) -> int:
    """The sum of the counts in an answer."""
    return sum(count or 0 for one in answer for row in one["values"] for count in row[1:])


def statistics_of(row: Sequence[Any], statistics: Sequence[Statistic]) -> dict[str, Optional[Value]]:
    """The statistics in a row of the answer to :func:`influxql.summarize`; an empty row is no data."""
    numbers, texts, *values = row or [0, 0]
    of_numbers = values[: len(statistics)]
    of_texts = iter(values[len(statistics) :])
    found: dict[str, Optional[Value]] = {}
    for at, statistic in enumerate(statistics):
        number = of_numbers[at] if numbers else None
        text = next(of_texts, None) if statistic.of_text else None
        if statistic.name == "count":
            found[statistic.name] = float((numbers or 0) + (texts or 0))
        elif number is None:
            found[statistic.name] = text
        else:
            found[statistic.name] = float(number)
    return found


def fill_in(
    infos: Mapping[str, SeriesInfo], held: Sequence[Answer], only: Optional[frozenset[str]] = None
) -> list[SeriesInfo]:
    """What was said of series, by their measurements, with what they hold: the answers to :func:`influxql.held`.

    A measurement of which nothing was said is a series of numbers or texts if it has some.  Where ``only`` some
    builders were asked for, what holds nothing of theirs is left out.
    """
    shown = None if only is None else {clean_text(name) for name in only}
    counts, builders, *ends = held
    by_name: dict[str, SeriesInfo] = dict(infos)
    for one in counts:
        name, count = one["name"], count_of([one])
        if not count or name in (DECLARATIONS, STATE):
            continue
        kind = Kind.NUMBER if one["values"][0][1] else Kind.TEXT
        by_name[name] = replace(by_name.get(name) or SeriesInfo(name, kind), count=count)
    for one in builders:
        if one["name"] in by_name:
            names = tuple(sorted(row[1] for row in one["values"] if row[1] and (shown is None or row[1] in shown)))
            by_name[one["name"]] = replace(by_name[one["name"]], builders=names)
    for at, answer in enumerate(ends):
        for one in answer:
            if one["name"] in by_name:
                time, value = one["values"][0]
                by_name[one["name"]] = _at_end(by_name[one["name"]], time, value, is_last=at % 2 == 1)
    return [info for info in by_name.values() if info.count or only is None]


def _at_end(info: SeriesInfo, time: int, value: Value, *, is_last: bool) -> SeriesInfo:
    if not is_last:
        return replace(info, first=time if info.first is None else min(info.first, time))
    if info.last is not None and info.last >= time:
        return info
    return replace(info, last=time, last_value=value if isinstance(value, str) else float(value))


def small_buckets(edges: Sequence[int], points: Sequence[Point]) -> list[Bucket]:
    """Points, in the order of their time, in the buckets between ``edges``."""
    times = [point.time for point in points]
    marks = [bisect_left(times, edge) for edge in edges]
    made = []
    for at, edge in enumerate(edges[:-1]):
        inside = points[marks[at] : marks[at + 1]]
        moments = Moments.of(point.value for point in inside if not isinstance(point.value, str))
        spread = (moments.mean, moments.minimum, moments.maximum) if moments.count else (None, None, None)
        made.append(Bucket(edge, len(inside), *spread))
    return made


def large_buckets(edges: Sequence[int], width: int, rows: Sequence[Sequence[Any]]) -> list[Bucket]:
    """The buckets of the server's ``rows``; what falls behind the last, as the width was rounded, belongs to it."""
    made = [Bucket(edge, 0, None, None, None) for edge in edges[:-1]]
    for time, numbers, texts, average, minimum, maximum in rows:
        at = min((time - edges[0]) // width, len(made) - 1)
        numbers, before = numbers or 0, made[at]
        here = Moments(numbers, average or 0.0, 0.0, *((minimum, maximum) if numbers else ()))
        if before.average is not None:
            earlier = before.count
            here = Moments(earlier, before.average, 0.0, before.minimum or 0.0, before.maximum or 0.0).merge(here)
        spread = (float(here.mean), float(here.minimum), float(here.maximum)) if here.count else (None, None, None)
        made[at] = Bucket(edges[at], before.count + numbers + (texts or 0), *spread)
    return made
