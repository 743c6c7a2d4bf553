"""Points as InfluxDB's line protocol: the same lines as ``bbmeasure.storage.influxdb.line_protocol`` writes."""

from __future__ import unicode_literals

import math

from bbmeasure_eight import texts
from bbmeasure_eight.errors import MeasureError
from bbmeasure_eight.records import FIELDS, canonical_series, canonical_tag

#: Measurement of the series' metadata, and that of the running totals of other masters.
METADATA = "bbmeasure_series"
STATE = "bbmeasure_state"
#: Maximum size of a measurement with its tags, in bytes.
MAX_KEY_BYTES = 65535

_RESERVED_TAGS = frozenset(FIELDS + ["builder", "worker", "time", "proposed"]) - frozenset(["step", "proposal", "machine"])
_KEY = {ord(","): "\\,", ord("="): "\\=", ord(" "): "\\ "}
_MEASUREMENT = {ord(","): "\\,", ord(" "): "\\ "}
_STRING = {ord("\\"): "\\\\", ord('"'): '\\"'}


def quote_string(text):
    """The quoted value of a string field."""
    return '"%s"' % text.translate(_STRING)


def series_key(measurement, tags):
    """Measurement and tags, escaped; MeasureError if they are too long or two tags are one."""
    clean = {}
    for key, value in tags.items():
        name = canonical_tag(key)
        if not name or name in clean:
            why = "tag %s: expected a name that is unique without trailing backslashes"
            raise MeasureError(why % texts.excerpt(key))
        clean[name] = canonical_tag(value)
    parts = [measurement.translate(_MEASUREMENT)]
    for name in sorted(clean, key=texts.order):
        if clean[name]:
            parts.append("%s=%s" % (name.translate(_KEY), clean[name].translate(_KEY)))
    joined = ",".join(parts)
    if len(joined.encode("utf-8")) > MAX_KEY_BYTES:
        raise MeasureError("series %s: expected at most %d bytes" % (texts.excerpt(measurement), MAX_KEY_BYTES))
    return joined


def metadata_line(name, builder, kind, unit, better, time, master):
    """The line, with its newline, that stores kind, unit and direction of a series of one builder, "" for none."""
    owner = {"builder": builder} if builder else {"outside": "yes"}
    fields = (("kind", kind), ("unit", unit), ("better", better), ("name", name), ("master", master))
    written = ",".join("%s=%s" % (field, quote_string(value)) for field, value in fields if value)
    return "%s %s %d\n" % (series_key(METADATA, texts.merged(owner, {"series": canonical_series(name)})), written, time)


def line_of(point):
    """The line of a point as ``(key, fields, time)``; MeasureError if there is none.

    ``key`` and ``time`` are the identity of the point in an InfluxDB.
    """
    if isinstance(point.value, type("")):
        first = "text=%s" % quote_string(point.value)
    elif math.isinf(point.value) or math.isnan(point.value):
        raise MeasureError("value %r: expected a finite number" % point.value)
    else:
        first = "value=%r" % float(point.value)
    measurement = canonical_series(point.series)
    if measurement in (METADATA, STATE):
        why = "series %s: expected another name, as bbmeasure reserves this one"
        raise MeasureError(why % texts.excerpt(point.series))
    key = series_key(measurement, _all_tags(point))
    fields = first + "".join(_build_fields(point)) + _sample_fields(point)
    if "\\\\" in key:  # InfluxDB then miscounts the quotes of a string with a newline
        fields = fields.replace("\n", " ")
    return key, fields, point.time


def _all_tags(point):
    tags = dict(point.tags)
    for tag in tags:
        clean = canonical_tag(tag)
        if clean in _RESERVED_TAGS or (clean in FIELDS and clean != tag):
            raise MeasureError("tag %s: expected a name other than those of fields and tags" % texts.excerpt(tag))
    if point.build is not None:
        tags["builder"], tags["worker"] = point.build.builder, point.build.worker
        if point.build.proposal:
            tags["proposed"] = "yes"
    return tags


def _build_fields(point):
    build = point.build
    if build is None:
        return
    yield ",build=%di" % build.build
    step = None if "step" in point.tags else build.step
    for name, value in (
        ("revision", build.revision),
        ("branch", build.branch),
        ("project", build.project),
        ("step", step),
        ("proposal", build.proposal),
    ):
        if value:
            yield ",%s=%s" % (name, quote_string(value))


def _sample_fields(point):
    more = ",samples=%di" % point.samples if point.samples != 1 else ""
    return more + (",spread=%r" % float(point.spread) if point.spread is not None else "")
