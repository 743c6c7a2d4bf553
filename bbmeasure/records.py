"""Record: a measured value without builder, build and time.

Runs on a worker's Python 3.7 too.
"""

from __future__ import annotations

import enum
import math
from collections import abc
from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, Optional, Sequence, Set, Tuple, Type, TypeVar, Union

from bbmeasure import units
from bbmeasure.ansi import without_hidden
from bbmeasure.errors import RecordError, UnitError

#: The longest name of a series, in characters.
LONGEST_NAME = 1000
#: The longest key and value of a tag, in characters; the most tags of one record.
LONGEST_TAG_KEY = 200
LONGEST_TAG_VALUE = 1000
MOST_TAGS = 16
#: The longest text value and the most samples of one record.
LONGEST_TEXT = 4000
MOST_SAMPLES = 20_000

#: Tags that only the master sets, and names of the fields of stores.
RESERVED_TAGS = frozenset(
    [
        "builder",
        "worker",
        "result",
        "time",
        "step",
        "value",
        "text",
        "build",
        "buildid",
        "revision",
        "branch",
        "proposal",
        "proposed",
        "machine",
        "project",
        "samples",
        "spread",
    ]
)
#: Names for tags that are not facts of the build, in place of reserved ones.
_SUGGESTED_TAGS = {
    "branch": "source_branch",
    "proposal": "pull_request",
    "proposed": "pull_request",
    "machine": "host",
}


class Kind(enum.Enum):
    """Kind of a value.  It does not restrict the statistics of a query."""

    COUNT = "count"
    DURATION = "duration"
    SIZE = "size"
    RATIO = "ratio"
    NUMBER = "number"
    TEXT = "text"


class Direction(enum.Enum):
    """Direction of a change that is an improvement."""

    LOWER = "lower"
    HIGHER = "higher"
    NONE = "none"

    @property
    def word(self) -> Optional[str]:
        """``lower``, ``higher`` or None, as in JSON."""
        return None if self is Direction.NONE else self.value


#: The kinds by value; a call of Kind takes several times as long.
KINDS = {kind.value: kind for kind in Kind}

#: Line breaks and NUL, which line protocol cannot represent.
_LINE_BREAKS = str.maketrans("\r\n\0", "   ")

Choice = TypeVar("Choice", Kind, Direction)


def choose(choices: Type[Choice], value: Any, what: str) -> Choice:
    """The member of an enumeration from itself or its value; RecordError for any other value."""
    if isinstance(value, choices):
        return value
    try:
        return choices(value)
    except ValueError:
        known = ", ".join(member.value for member in choices)
        raise RecordError(f"{what} {units.excerpt(str(value))}: expected one of {known}") from None


def direction(value: Any) -> Direction:
    """A Direction from itself, ``"lower"``, ``"higher"`` or None."""
    return Direction.NONE if value is None else choose(Direction, value, "better")


def check_text(what: str, text: Any, longest: int) -> str:
    """``text`` with U+FFFD for characters that a reader cannot see: those of two names must not be all that differs.

    RecordError where it is not a string, empty, too long, or has control characters: line breaks, NUL and lone
    surrogates cannot be represented in all stores.
    """
    if not isinstance(text, str) or not text.strip():
        raise RecordError(f"{what} {units.excerpt(str(text))}: expected a non-empty string")
    if len(text) > longest:
        raise RecordError(f"{what} {units.excerpt(text)}: expected at most {longest} characters")
    if text.isascii() and text.isprintable():
        return text
    if any(char < " " or "\ud800" <= char <= "\udfff" for char in text):
        raise RecordError(f"{what} {units.excerpt(text)}: expected no control characters")
    return without_hidden(text)


def canonical_series(name: str) -> str:
    """The one name of all series names that a server cannot tell apart from ``name``.

    InfluxDB's line protocol cannot represent a trailing backslash, takes a leading ``#`` for a comment and a backslash
    for an escape: these are dropped or become ``_``; line breaks and NUL become spaces.
    """
    name = canonical_tag(name).replace("\\", "_")
    if name[:1] in ("#", "\t"):
        name = "_" + name[1:]
    return name or "_"


def canonical_tag(text: str) -> str:
    """The one form of all tag names, or values, that a server cannot tell apart: see :func:`canonical_series`."""
    return (text if text.isprintable() else text.translate(_LINE_BREAKS)).rstrip("\\")


def reserved_tag_error(key: str) -> str:
    """The message about a reserved tag, with a name to use instead where there is a usual one."""
    suggested = _SUGGESTED_TAGS.get(key)
    expected = "expected a name that is not reserved"
    return f"{expected}, such as {suggested!r}, as the master sets it for each build" if suggested else expected


def check_tags(tags: Mapping[str, Any], *, reserved: bool = True) -> Mapping[str, str]:
    """A canonical copy of ``tags`` with numbers and booleans as strings, without empty values.

    RecordError for an invalid tag, and for two names that are one in their canonical form.  ``reserved=False`` allows
    the tags that only the master sets, as in a query.
    """
    if not isinstance(tags, abc.Mapping):  # five times as fast as typing.Mapping
        raise RecordError(f"tags {units.excerpt(str(tags))}: expected a mapping of strings to strings")
    if len(tags) > MOST_TAGS:
        raise RecordError(f"{len(tags)} tags: expected at most {MOST_TAGS}")
    checked: Dict[str, str] = {}
    seen: Set[str] = set()
    for key in sorted(tags, key=str):
        value = tags[key]
        key = canonical_tag(check_text("tag name", key, LONGEST_TAG_KEY))
        if not key or key in seen:
            raise RecordError(f"tag name {units.excerpt(key)}: expected names that differ without trailing backslashes")
        seen.add(key)
        if reserved and (key in RESERVED_TAGS or key.startswith("_")):
            raise RecordError(f"tag {key!r}: {reserved_tag_error(key)}")
        if isinstance(value, float) and value.is_integer():  # the wire format decodes all numbers as floats
            value = f"{value:.0f}"
        elif isinstance(value, (bool, int, float)):
            value = str(value)
        if value is None or value == "":
            continue
        text = canonical_tag(check_text(f"value of tag {key!r}", value, LONGEST_TAG_VALUE))
        if text:
            checked[key] = text
    return checked


def check_number(value: Any, what: str = "value") -> float:
    """``value`` as a finite float; RecordError where it is not a number or not finite."""
    if isinstance(value, bool) or not (isinstance(value, (int, float)) or _is_real(value)):
        raise RecordError(f"{what} {units.excerpt(str(value))}: expected a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RecordError(f"{what} {number}: expected a finite number")
    return number


def _is_real(value: Any) -> bool:
    """Whether ``value`` is a number of another type, such as Fraction or those of numpy."""
    from numbers import Real

    return isinstance(value, Real)


#: Kinds of which a negative value is impossible, unless it is a difference.
NEVER_NEGATIVE = (Kind.COUNT, Kind.DURATION, Kind.SIZE)


def check_kind(kind: Kind, unit: str) -> None:
    """RecordError where a value in ``unit`` cannot be of ``kind``: a duration in bytes, a count in seconds.

    A number has any unit.  Any kind may be without a unit, and a count may have a custom one.
    """
    found = units.find(unit)
    is_custom = found.base.startswith("{") and not found.base.endswith("/s")
    if kind is Kind.NUMBER or found.kind == kind.value or unit in ("", "1") or (kind is Kind.COUNT and is_custom):
        return
    raise RecordError(f"unit {unit!r} with kind {kind.value!r}: expected kind {found.kind!r}, or another unit")


def check_possible(kind: Kind, values: Sequence[float]) -> None:
    """RecordError for a negative count, duration or size."""
    if kind in NEVER_NEGATIVE and values and min(values) < 0:
        raise RecordError(f"{kind.value} {min(values):.6g}: expected 0 or more; kind='number' allows a difference")


@dataclass(frozen=True, init=False)
class Record:
    """A measured value in base units, with its kind, unit, direction and tags.

    The constructor takes ``value`` in any unit of :mod:`bbmeasure.units` and converts it to the base unit.  ``samples``
    are measurements of the same value in the same unit; ``value`` defaults to their median.  ``kind`` defaults to that
    of the unit, to NUMBER without a unit, and to TEXT for a text.  A count, duration or size is at least 0, except in
    a ``signed`` record, which is a difference.  Raises RecordError or UnitError for invalid values.
    """

    name: str
    value: Union[float, str]
    kind: Kind
    unit: str
    better: Direction
    tags: Mapping[str, str]
    samples: Tuple[float, ...]
    signed: bool = field(default=False, repr=False, compare=False)

    def __init__(
        self,
        name: str,
        value: Union[float, str, None] = None,
        *,
        kind: Union[Kind, str, None] = None,
        unit: Optional[str] = None,
        better: Union[Direction, str, None] = None,
        tags: Optional[Mapping[str, Any]] = None,
        samples: Sequence[float] = (),
        signed: bool = False,
    ) -> None:
        fields = self.__dict__  # faster than object.__setattr__ in a frozen dataclass
        fields["name"] = canonical_series(check_text("name", name, LONGEST_NAME))
        fields["better"] = direction(better)
        fields["signed"] = signed
        fields["tags"] = {} if tags in (None, {}) else check_tags(tags)
        chosen = None if kind is None else choose(Kind, kind, "kind")
        if isinstance(value, str):
            fields["kind"] = _text_kind(chosen, unit, samples)
            fields["value"] = _check_value_text(value)
            fields["unit"] = "1"
            fields["samples"] = ()
            return
        if chosen is Kind.TEXT:
            raise RecordError(f"value {units.excerpt(str(value))}: expected a string, as the kind is text")
        if unit is not None and not isinstance(unit, str):
            raise UnitError(f"unit {units.excerpt(str(unit))}: expected a string")
        checked_samples = _check_samples(samples, unit or "1")
        if value is None:
            quantity = units.Quantity(_middle(name, checked_samples), *units.to_base(0, unit or "1")[1:])
        else:
            quantity = units.to_base(check_number(value), unit or "1")
        fields["value"] = quantity.value
        fields["unit"] = quantity.unit
        fields["kind"] = kind = chosen or KINDS[quantity.kind]
        fields["samples"] = checked_samples
        if not signed:
            check_possible(kind, (quantity.value, *checked_samples))


def _middle(name: str, samples: Sequence[float]) -> float:
    """The median of the samples of a record without a value."""
    if not samples:
        raise RecordError(f"record {name!r}: expected a value or samples")
    from statistics import median  # imported here: it takes 3 ms, and most records have no samples

    return check_number(median(samples), "median of the samples")


def _text_kind(kind: Optional[Kind], unit: Optional[str], samples: Sequence[float]) -> Kind:
    """TEXT; RecordError where unit, samples or kind contradict it."""
    if kind not in (None, Kind.TEXT) or samples or unit not in (None, "", "1"):
        raise RecordError("value is a string: expected a number, as a unit, samples or another kind are given")
    return Kind.TEXT


def _check_value_text(value: str) -> str:
    """A text of valid length; characters that UTF-8 cannot represent, and those that are not shown, are replaced."""
    if len(value) > LONGEST_TEXT:
        raise RecordError(f"value {units.excerpt(value)}: expected at most {LONGEST_TEXT} characters")
    return without_hidden(value.encode("utf-8", "replace").decode("utf-8"))


def _check_samples(samples: Sequence[float], unit: str) -> Tuple[float, ...]:
    """The samples in the base unit of ``unit``."""
    if not isinstance(samples, (list, tuple)):
        raise RecordError(f"samples {units.excerpt(str(samples))}: expected a list of numbers")
    if len(samples) > MOST_SAMPLES:
        raise RecordError(f"{len(samples)} samples: expected at most {MOST_SAMPLES}")
    if not samples:
        return ()
    known = units.find(unit)
    if {*map(type, samples)} == {float}:  # as from JSON: converted in a tenth of the time
        converted = tuple([sample * known.multiplier / known.divisor + 0.0 for sample in samples])
        if all(map(math.isfinite, converted)):
            return converted
    return tuple(units.to_base(check_number(sample, "sample"), unit).value for sample in samples)
