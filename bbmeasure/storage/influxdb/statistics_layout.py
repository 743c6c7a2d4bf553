"""Line protocol in the layout of ``buildbot.statistics``.

``buildbot.statistics`` writes one measurement for each builder and property (``BUILDER-PROPERTY``, fields ``name`` and
``value``), for the times of a builder's builds (``BUILDER-build-times``, fields ``duration``, ``start-time`` and
``end-time``) and for each builder and data name, with the tags ``builder_name`` and ``build_number``.  A journal's
series has one kind, so that a series holds one field: it is named ``MEASUREMENT.FIELD``, for a property
``MEASUREMENT``.  Tags that only the master sets name the field, its type and the property.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Optional

from bbmeasure.model import Point, SeriesInfo
from bbmeasure.records import canonical_series
from bbmeasure.storage.influxdb.line_protocol import (
    EARLIEST,
    LATEST,
    LineError,
    LineWriter,
    SkippedPointError,
    clean_tags,
    escape_key,
    measurement,
    quote_string,
    series_key,
)

#: Tags of a point: the field, its type unless that is float or string, and the property that is its ``name``.
FIELD, TYPE, PROPERTY = "_statistics_field", "_statistics_type", "_statistics_property"
#: Tags on the server.
BUILDER_NAME, BUILD_NUMBER = "builder_name", "build_number"
#: The field of a property's value, and the one of its name.
VALUE, NAME = "value", "name"
#: Types of a field that master.cfg can choose for numbers.
NUMBER_TYPES = ("float", "integer")
_LARGEST_INTEGER = 2.0**63


def series_of(measurement_name: str, field: str, prop: Optional[str]) -> str:
    """The journal's series of a field; ``prop`` is the name of the property, None for other data."""
    return canonical_series(measurement_name if prop is not None else f"{measurement_name}.{field}")


def measurement_of(series: str, tags: Mapping[str, str]) -> str:
    """The measurement of a point of a series that :func:`series_of` named."""
    return series if PROPERTY in tags else series[: -len(tags[FIELD]) - 1]


def field_type(field_types: Mapping[str, str], name: str, captured: str) -> str:
    """The type that ``MEASUREMENT.FIELD`` is written with: of the first pattern that matches, else as captured."""
    for pattern, chosen in field_types.items():
        if fnmatchcase(name, pattern) and captured in NUMBER_TYPES:
            return chosen
    return captured


def captured_types(infos: Iterable[SeriesInfo]) -> dict[str, str]:
    """The type of the last captured value of each ``MEASUREMENT.FIELD`` in a journal's list of series."""
    types = {}
    for info in infos:
        tags = info.last_tags or {}
        if FIELD in tags:
            default = "string" if isinstance(info.last_value, str) else "float"
            types[f"{measurement_of(info.name, tags)}.{tags[FIELD]}"] = tags.get(TYPE, default)
    return types


class StatisticsLineWriter(LineWriter):
    """Serializer of the points that :mod:`bbmeasure.compat.statistics` captures; other points are skipped.

    ``field_types`` are types (``integer`` or ``float``) by pattern of ``MEASUREMENT.FIELD``.  Values of an integer
    field are rounded where a pattern chose it, else a value that is not whole raises LineError.
    """

    def __init__(self, field_types: Optional[Mapping[str, str]] = None) -> None:
        super().__init__()
        self.field_types = dict(field_types or {})

    def line(self, point: Point) -> str:
        """Return the line of a point, without a newline."""
        field, build, time = point.tags.get(FIELD), point.build, point.time
        if field is None or build is None:
            raise SkippedPointError("expected a point of bbmeasure.compat.statistics")
        if not EARLIEST <= time <= LATEST:
            raise LineError(f"time {time}: expected nanoseconds within 64 bits")
        name = measurement_of(point.series, point.tags)
        tags = clean_tags({BUILDER_NAME: build.builder, BUILD_NUMBER: str(build.build)})
        key = series_key(measurement(name), tags)
        prop = point.tags.get(PROPERTY)
        fields = f"{escape_key(field)}={self._value(point, name, field)}"
        if prop is not None:
            fields = f"{NAME}={quote_string(prop)},{fields}"
        if "\\\\" in key:
            fields = fields.replace("\n", " ")
        return f"{key} {fields} {time}"

    def template(self, point: Point) -> tuple[str, str]:
        """Return no template: the type of a field is that of its point."""
        del point
        return "", ""

    def _value(self, point: Point, name: str, field: str) -> str:
        if isinstance(point.value, str):
            return quote_string(point.value)
        captured = point.tags.get(TYPE, "float")
        chosen = field_type(self.field_types, f"{name}.{field}", captured)
        if chosen == "boolean":
            return str(bool(point.value))
        if chosen == "float":
            return repr(float(point.value))
        whole = round(point.value)
        if abs(whole) >= _LARGEST_INTEGER or (chosen == captured and whole != point.value):
            raise LineError(f"value {point.value!r}: expected a whole number of 64 bits, as the field is an integer")
        return f"{whole}i"
