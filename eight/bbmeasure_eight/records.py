"""Record: a measured value without builder, build and time.

The same checks as ``bbmeasure.records``, with which the tests compare this module.  Names are canonical: what an
InfluxDB cannot tell apart is one name.
"""

from __future__ import division, unicode_literals

import math
import numbers

from bbmeasure_eight import texts, units
from bbmeasure_eight.errors import MeasureError

#: The longest name of a series, tag key, tag value and text value, in characters.
LONGEST_NAME = 1000
LONGEST_TAG_KEY = 200
LONGEST_TAG_VALUE = 1000
LONGEST_TEXT = 4000
#: The most tags and samples of one record.
MOST_TAGS = 16
MOST_SAMPLES = 20000

#: Fields of a point in an InfluxDB; a tag of that name would be returned as ``NAME_1``.
FIELDS = (
    "value text build buildid revision branch project proposal machine step samples spread".split()
)
#: Tags that only the master sets, and names of fields.
RESERVED_TAGS = frozenset(FIELDS + ["builder", "worker", "result", "time", "proposed"])
KINDS = ("count", "duration", "size", "ratio", "number", "text")
DIRECTIONS = ("lower", "higher", "none")
#: Series of durations that the master measures, and prefixes of names that only the master writes.
RESERVED_SERIES = frozenset(["build_duration", "queue_duration", "lock_duration", "step_duration"])
RESERVED_PREFIXES = ("master.", "bbmeasure_")

_BREAKS = {ord("\r"): " ", ord("\n"): " ", 0: " "}

def canonical_tag(text):
    """The one form of all tag names, or values, that a server cannot tell apart."""
    return text.translate(_BREAKS).rstrip("\\")


def canonical_series(name):
    """The one form of all names of series that a server cannot tell apart."""
    name = canonical_tag(name).replace("\\", "_")
    if name[:1] in ("#", "\t"):
        name = "_" + name[1:]
    return name or "_"


def is_reserved_series(name):
    """Whether only the master may write ``name``."""
    return name in RESERVED_SERIES or name.startswith(RESERVED_PREFIXES)


def choose(known, value, what):
    """``value``; MeasureError where it is not one of ``known``."""
    value = texts.decode(value)
    if value in known:
        return value
    raise MeasureError("%s %s: expected one of %s" % (what, texts.excerpt("%s" % (value,)), ", ".join(known)))


def check_text(what, text, longest):
    """``text`` with U+FFFD for characters that a reader cannot see.

    MeasureError where it is not a text, empty, too long, or has control characters.
    """
    if not isinstance(text, type("")) or not text.strip():
        raise MeasureError("%s %r: expected a non-empty string" % (what, text))
    if texts.length(text) > longest:
        raise MeasureError("%s %s: expected at most %d characters" % (what, texts.excerpt(text), longest))
    if any(char < " " for char in text) or texts.has_lone_surrogate(text):
        raise MeasureError("%s %s: expected no control characters" % (what, texts.excerpt(text)))
    return texts.without_hidden(text)


def check_tags(tags):
    """A canonical copy of ``tags`` with numbers as strings, without empty values; MeasureError for an invalid tag."""
    if not isinstance(tags, dict):
        raise MeasureError("tags %r: expected a dictionary of strings" % (tags,))
    if len(tags) > MOST_TAGS:
        raise MeasureError("%d tags: expected at most %d" % (len(tags), MOST_TAGS))
    checked, seen = {}, set()
    for key, value in tags.items():
        key = canonical_tag(check_text("tag name", texts.decode(key), LONGEST_TAG_KEY))
        if not key or key in seen:
            why = "tag name %s: expected names that differ without trailing backslashes"
            raise MeasureError(why % texts.excerpt(key))
        seen.add(key)
        if key in RESERVED_TAGS or key.startswith("_"):
            raise MeasureError("tag %s: expected a name that is not reserved" % texts.excerpt(key))
        value = _tag_value(value)
        if value is None or value == "":
            continue
        value = canonical_tag(check_text("value of tag %s" % texts.excerpt(key), value, LONGEST_TAG_VALUE))
        if value:
            checked[key] = value
    return checked


def _tag_value(value):
    """A number or boolean as text, as Python 3 writes it."""
    if isinstance(value, float):
        return "%.0f" % value if value.is_integer() else texts.decode(repr(value))
    if isinstance(value, (bool, int, long)):  # noqa: F821
        return "%s" % value
    return texts.decode(value)


def check_number(value, what="value"):
    """``value`` as a finite float; MeasureError where it is not a number or not finite."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise MeasureError("%s %r: expected a number" % (what, value))
    try:
        number = float(value)
    except OverflowError:
        number = float("inf")
    if math.isinf(number) or math.isnan(number):
        raise MeasureError("%s %r: expected a finite number" % (what, number))
    return number


def check_kind(kind, unit):
    """MeasureError where a value in ``unit`` cannot be of ``kind``: a duration in bytes, a count in seconds."""
    found = units.find(unit)
    is_custom = found.base.startswith("{") and not found.base.endswith("/s")
    if kind in ("number", found.kind) or unit in ("", "1") or (kind == "count" and is_custom):
        return
    raise MeasureError("unit %s with kind %s: expected kind %s, or another unit" % (unit, kind, found.kind))


def median(values):
    """The median of numbers; the mean of the middle two of an even count."""
    values = sorted(values)
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


class Record(object):
    """A measured value in base units, with its kind, unit, direction and tags.

    The constructor takes ``value`` in any unit and converts it to the base unit.  ``value`` defaults to the median of
    ``samples``.  A count, duration or size is at least 0, except in a ``signed`` record, which is a difference.  Raises
    MeasureError for invalid values.
    """

    def __init__(self, name, value=None, kind=None, unit=None, better=None, tags=None, samples=(), signed=False):
        self.name = canonical_series(check_text("name", texts.decode(name), LONGEST_NAME))
        self.better = "none" if better is None else choose(DIRECTIONS, better, "better")
        self.tags = check_tags({} if tags is None else tags)
        kind = None if kind is None else choose(KINDS, kind, "kind")
        unit = texts.decode(unit)
        value = texts.decode(value)
        if isinstance(value, type("")):
            self._set_text(value, kind, unit, samples)
        else:
            self._set_number(value, kind, unit, samples)
            lowest = min((self.value,) + self.samples)
            if lowest < 0 and self.kind in ("count", "duration", "size") and not signed:
                why = "%s %.6g: expected 0 or more; kind=number allows a difference"
                raise MeasureError(why % (self.kind, lowest))

    def _set_text(self, value, kind, unit, samples):
        if kind not in (None, "text") or samples or unit not in (None, "", "1"):
            raise MeasureError("value is a string: expected a number, as a unit, samples or another kind are given")
        if texts.length(value) > LONGEST_TEXT:
            raise MeasureError("value %s: expected at most %d characters" % (texts.excerpt(value), LONGEST_TEXT))
        self.kind, self.unit, self.samples = "text", "1", ()
        self.value = texts.without_hidden(texts.replace_lone_surrogates(value))

    def _set_number(self, value, kind, unit, samples):
        if kind == "text":
            raise MeasureError("value %r: expected a string, as the kind is text" % (value,))
        if unit is not None and not isinstance(unit, type("")):
            raise MeasureError("unit %r: expected a string" % (unit,))
        unit = unit or "1"
        self.samples = _check_samples(samples, unit)
        if value is not None:
            quantity = units.to_base(check_number(value), unit)
        elif self.samples:
            middle = check_number(median(self.samples), "median of the samples")
            quantity = units.to_base(0, unit)._replace(value=middle)
        else:
            raise MeasureError("record %s: expected a value or samples" % texts.excerpt(self.name))
        self.value, self.unit = quantity.value, quantity.unit
        self.kind = kind or quantity.kind

    @property
    def spread(self):
        """The median absolute deviation of the samples from their median; None of fewer than two."""
        if len(self.samples) < 2:
            return None
        middle = median(self.samples)
        return float(median([abs(sample - middle) for sample in self.samples]))


def _check_samples(samples, unit):
    """The samples in the base unit of ``unit``."""
    if not isinstance(samples, (list, tuple)):
        raise MeasureError("samples %r: expected a list of numbers" % (samples,))
    if len(samples) > MOST_SAMPLES:
        raise MeasureError("%d samples: expected at most %d" % (len(samples), MOST_SAMPLES))
    return tuple(units.to_base(check_number(sample, "sample"), unit).value for sample in samples)
