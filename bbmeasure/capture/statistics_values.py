"""Values in the layout of ``buildbot.statistics``: the fields of a point, each as a value of its own series."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bbmeasure.capture.identity import Value
from bbmeasure.errors import MeasureError, RecordError
from bbmeasure.model import BuildContext
from bbmeasure.records import LONGEST_TAG_KEY, Record, check_text
from bbmeasure.storage.influxdb import statistics_layout as layout
from bbmeasure.units import excerpt


def values_of(post_data: Any, series_name: str, context: BuildContext, time: int) -> Iterator[Value]:
    """The values of the fields of a point at one time; RecordError where there are none."""
    if not isinstance(post_data, Mapping):
        raise RecordError(f"{excerpt(series_name)}: got {excerpt(repr(post_data))}, expected a mapping of fields")
    fields = {str(name): value for name, value in post_data.items() if value is not None and value != ""}
    name = fields.get(layout.NAME)
    is_property = set(post_data) == {layout.NAME, layout.VALUE} and series_name == f"{context.builder}-{name}"
    prop = str(fields.pop(layout.NAME)) if is_property else None
    for field, value in fields.items():
        tags = {layout.FIELD: field}
        if prop is not None:
            tags[layout.PROPERTY] = prop
        if isinstance(value, (bool, int)):
            tags[layout.TYPE] = "boolean" if isinstance(value, bool) else "integer"
            value = float(value)
        try:
            check_text("field", field, LONGEST_TAG_KEY)
            record = Record(layout.series_of(series_name, field, prop), value)
        except MeasureError as error:
            raise RecordError(f"{excerpt(series_name)}: field {excerpt(field)}: {error}") from None
        yield Value(record, context, time, master_tags=tags, limited=True)
