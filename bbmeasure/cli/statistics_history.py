"""Points that ``buildbot.statistics`` wrote to an InfluxDB, as values for the journal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from glob import escape
from typing import Any, Optional

from bbmeasure import units
from bbmeasure.capture.identity import Value
from bbmeasure.capture.statistics_values import values_of
from bbmeasure.cli.influxdb_client import BlockingClient
from bbmeasure.cli.journal_import import imported_buildid
from bbmeasure.errors import QueryError
from bbmeasure.model import BuildContext
from bbmeasure.records import Record
from bbmeasure.storage.influxdb import influxql
from bbmeasure.storage.influxdb.influxql import Statement
from bbmeasure.storage.influxdb.statistics_layout import BUILD_NUMBER, BUILDER_NAME, NAME, VALUE
from bbmeasure.units import excerpt

#: Points that are read at a time.
PAGE = 5_000


@dataclass(frozen=True)
class Rename:
    """A line of the map of names: fields that match a pattern become a series, or are left out where it is empty.

    ``pattern`` is matched with ``MEASUREMENT.FIELD``; ``{builder}`` in it stands for the builder's name.  A ``unit``
    converts the value.
    """

    pattern: str
    series: str
    unit: Optional[str] = None

    @classmethod
    def read(cls, text: str) -> Rename:
        """Read ``PATTERN=SERIES`` or ``PATTERN=SERIES:UNIT``; QueryError for anything else."""
        pattern, equals, target = text.partition("=")
        series, colon, unit = target.partition(":")
        if not pattern or not equals:
            raise QueryError(f"--map {excerpt(text)}: expected PATTERN=SERIES or PATTERN=SERIES:UNIT")
        if colon:
            units.find(unit)
        return cls(pattern, series, unit if colon else None)

    def record(self, value: Any) -> Record:
        """The record of a value of the field."""
        if isinstance(value, str):
            return Record(self.series, value)
        return Record(self.series, float(value), unit=self.unit)

    def matches(self, name: str, builder: str) -> bool:
        """Whether the field ``MEASUREMENT.FIELD`` of a builder becomes the series."""
        return fnmatchcase(name, self.pattern.replace("{builder}", escape(builder)))


class History:
    """The points of ``buildbot.statistics`` in the database of ``client``."""

    def __init__(self, client: BlockingClient, renames: Sequence[Rename] = ()) -> None:
        self._client = client
        self._renames = renames

    def measurements(self) -> list[str]:
        """The measurements whose points have a builder and a build as tags."""
        tags = self._keys("SHOW TAG KEYS")
        return sorted(name for name, keys in tags.items() if {BUILDER_NAME, BUILD_NUMBER} <= keys.keys())

    def points(self, measurement: str) -> Iterator[tuple[str, Callable[[], list[Value]]]]:
        """The points of a measurement, oldest first, each with what reads its values or raises MeasureError."""
        types = self._keys("SHOW FIELD KEYS", measurement)[measurement]
        for row in self._rows(measurement):
            fields = {name: _typed(row[name], kind) for name, kind in types.items() if row.get(name) is not None}
            yield f"{measurement} at {row['time']}", partial(self._values, measurement, fields, row)

    def _values(self, measurement: str, fields: Mapping[str, Any], row: Mapping[str, Any]) -> list[Value]:
        builder, number = str(row.get(BUILDER_NAME) or ""), str(row.get(BUILD_NUMBER) or "")
        if not builder or not number.isdecimal():
            raise QueryError(f"{excerpt(measurement)}: a point has no {BUILDER_NAME} and {BUILD_NUMBER}")
        context = BuildContext(builder, "", int(number), imported_buildid(builder, int(number)))
        values, kept = [], {}
        for field, value in fields.items():
            rename = self._rename(f"{measurement}.{field}", builder)
            if rename is None:
                kept[field] = value
            elif rename.series:
                values.append(Value(rename.record(value), context, row["time"]))
        if kept.keys() == {NAME} and VALUE in fields:
            return values  # the name of the property whose value is renamed
        return [*values, *values_of(kept, measurement, context, row["time"])]

    def _rename(self, name: str, builder: str) -> Optional[Rename]:
        return next((one for one in self._renames if one.matches(name, builder)), None)

    def _rows(self, measurement: str) -> Iterator[dict[str, Any]]:
        """The points in pages by time; those of the last time of a page are read again with the next and skipped."""
        since: Optional[int] = None
        seen: set[tuple[Any, ...]] = set()
        while True:
            page = self._client.query(influxql.rows(measurement, since, PAGE).text)
            for row in page:
                key = row["time"], row.get(BUILDER_NAME), row.get(BUILD_NUMBER)
                if key not in seen:
                    yield row
            if len(page) < PAGE:
                return
            last = page[-1]["time"]
            if last == since:
                raise QueryError(f"{excerpt(measurement)}: over {PAGE} points at the time {last}")
            since = last
            seen = {(row["time"], row.get(BUILDER_NAME), row.get(BUILD_NUMBER)) for row in page if row["time"] == last}

    def _keys(self, statement: str, measurement: Optional[str] = None) -> dict[str, dict[str, str]]:
        """Names, with types where the answer has them, by measurement."""
        origin = "" if measurement is None else f" FROM {influxql.identifier(measurement)}"
        (found,) = self._client.execute(Statement(statement + origin))
        with self._client.expected_response(found):
            return {
                series["name"]: {row[0]: row[1] if len(row) > 1 else "" for row in series.get("values", ())}
                for series in found
            }


def _typed(value: Any, kind: str) -> Any:
    """A value as the field's type, as JSON does not tell a whole float from an integer."""
    if kind == "float":
        return float(value)
    return int(value) if kind == "integer" else value
