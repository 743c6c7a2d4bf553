"""Record: what a worker says it measured, with no builder, no build and no clock.

Runs on a worker's Python 3.7 too.
"""

from __future__ import annotations

import enum
import math
from collections import abc
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence, Tuple, Type, TypeVar, Union

from bbmeasure import units
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

#: Tags that only the master sets, and names that a store uses for its own fields.
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
        "project",
        "samples",
        "spread",
    ]
)


class Kind(enum.Enum):
    """What a value is.  Which statistic is asked of it is the reader's choice."""

    COUNT = "count"
    DURATION = "duration"
    SIZE = "size"
    RATIO = "ratio"
    NUMBER = "number"
    TEXT = "text"


class Direction(enum.Enum):
    """Which change of a value is the good one; NONE where neither is."""

    LOWER = "lower"
    HIGHER = "higher"
    NONE = "none"

    @property
    def word(self) -> Optional[str]:
        """``lower``, ``higher`` or None: the form outside Python."""
        return None if self is Direction.NONE else self.value


Choice = TypeVar("Choice", Kind, Direction)


def choose(choices: Type[Choice], got: Any, what: str) -> Choice:
    """The member of ``choices`` that ``got`` is or names; RecordError says which there are."""
    if isinstance(got, choices):
        return got
    for member in choices:
        if member.value == got:
            return member
    known = ", ".join(member.value for member in choices)
    raise RecordError(f"{what} {units.excerpt(str(got))}: expected one of {known}")


def direction(got: Any) -> Direction:
    """A Direction from itself, from ``"lower"`` and ``"higher"``, or from None."""
    return Direction.NONE if got is None else choose(Direction, got, "better")


def check_text(what: str, text: Any, longest: int) -> str:
    """``text`` as it is; RecordError where it is no text, empty, too long, or has what no name may have.

    Line breaks, NUL and lone surrogates are refused: no store and no page can carry them as they are.
    """
    if not isinstance(text, str) or not text.strip():
        raise RecordError(f"{what} {units.excerpt(str(text))}: expected a text that is not empty")
    if len(text) > longest:
        raise RecordError(f"{what} {units.excerpt(text)}: expected at most {longest} characters")
    if not text.isprintable() and any(char < " " or "\ud800" <= char <= "\udfff" for char in text):
        raise RecordError(f"{what} {units.excerpt(text)}: expected no control characters")
    return text


def check_tags(tags: Mapping[str, Any], *, reserved: bool = True) -> Mapping[str, str]:
    """A copy of ``tags`` with numbers and booleans as text, empty values left out; RecordError where one cannot be.

    With ``reserved=False`` those that only the master sets are taken too: to ask for them is everybody's right.
    """
    if not isinstance(tags, abc.Mapping):  # typing's own Mapping takes five times as long
        raise RecordError(f"tags {units.excerpt(str(tags))}: expected a mapping of texts to texts")
    if len(tags) > MOST_TAGS:
        raise RecordError(f"{len(tags)} tags: expected at most {MOST_TAGS}")
    checked = {}
    for key in sorted(tags, key=str):
        value = tags[key]
        check_text("tag name", key, LONGEST_TAG_KEY)
        if reserved and (key in RESERVED_TAGS or key.startswith("_")):
            raise RecordError(f"tag {key!r}: expected a name that the master does not set itself")
        if isinstance(value, float) and value.is_integer():  # JSON from a worker has no other numbers
            value = f"{value:.0f}"
        elif isinstance(value, (bool, int, float)):
            value = str(value)
        if value is None or value == "":
            continue
        checked[key] = check_text(f"value of tag {key!r}", value, LONGEST_TAG_VALUE)
    return checked


def check_number(got: Any, what: str = "value") -> float:
    """``got`` as a finite float; RecordError where it is none."""
    if isinstance(got, bool) or not (isinstance(got, (int, float)) or _is_real(got)):
        raise RecordError(f"{what} {units.excerpt(str(got))}: expected a number")
    try:
        number = float(got)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise RecordError(f"{what} {number}: expected a finite number")
    return number


def _is_real(got: Any) -> bool:
    """Whether ``got`` is a number of another type, such as a Fraction or one of numpy's."""
    from numbers import Real

    return isinstance(got, Real)


@dataclass(frozen=True, init=False)
class Record:
    """One measured value, in base units, with what it means.

    ``value`` may be given in any unit of :mod:`bbmeasure.units` and is kept in its base.  ``samples`` (same unit) are
    single measurements of the same thing, ``value`` their median unless it is given too.  ``kind`` is the unit's
    where it is not given, else NUMBER, or TEXT for a text.  RecordError or UnitError where it cannot be a record.
    """

    name: str
    value: Union[float, str]
    kind: Kind
    unit: str
    better: Direction
    tags: Mapping[str, str]
    samples: Tuple[float, ...]

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
    ) -> None:
        fields = self.__dict__  # a frozen dataclass sets itself no other way, and object.__setattr__ takes its time
        fields["name"] = check_text("name", name, LONGEST_NAME)
        fields["better"] = direction(better)
        fields["tags"] = check_tags({} if tags is None else tags)
        chosen = None if kind is None else choose(Kind, kind, "kind")
        if isinstance(value, str):
            fields["kind"] = _text_kind(chosen, unit, samples)
            fields["value"] = _check_value_text(value)
            fields["unit"] = "1"
            fields["samples"] = ()
            return
        if chosen is Kind.TEXT:
            raise RecordError(f"value {units.excerpt(str(value))}: expected a text, as its kind is text")
        if unit is not None and not isinstance(unit, str):
            raise UnitError(f"unit {units.excerpt(str(unit))}: expected a text")
        measured = _check_samples(samples, unit or "1")
        if value is None:
            if not measured:
                raise RecordError(f"record {name!r}: expected a value or samples")
            from statistics import median  # it takes 3 ms of a worker's program that has no samples

            middle = check_number(median(measured), "median of the samples")
            quantity = units.Quantity(middle, *units.to_base(0, unit or "1")[1:])
        else:
            quantity = units.to_base(check_number(value), unit or "1")
        fields["value"] = quantity.value
        fields["unit"] = quantity.unit
        fields["kind"] = chosen or Kind(quantity.kind)
        fields["samples"] = measured


def _text_kind(kind: Optional[Kind], unit: Optional[str], samples: Sequence[float]) -> Kind:
    """TEXT, where nothing speaks against it."""
    if kind not in (None, Kind.TEXT) or samples or unit not in (None, "", "1"):
        raise RecordError("value is a text: expected a number, as it has a unit, samples or a kind that is not text")
    return Kind.TEXT


def _check_value_text(value: str) -> str:
    """A text value within its limit; what UTF-8 cannot carry is replaced."""
    if len(value) > LONGEST_TEXT:
        raise RecordError(f"value {units.excerpt(value)}: expected at most {LONGEST_TEXT} characters")
    return value.encode("utf-8", "replace").decode("utf-8")


def _check_samples(samples: Sequence[float], unit: str) -> Tuple[float, ...]:
    """The samples in the base of ``unit``."""
    if not isinstance(samples, (list, tuple)):
        raise RecordError(f"samples {units.excerpt(str(samples))}: expected a list of numbers")
    if len(samples) > MOST_SAMPLES:
        raise RecordError(f"{len(samples)} samples: expected at most {MOST_SAMPLES}")
    return tuple(units.to_base(check_number(sample, "sample"), unit).value for sample in samples)
