"""Collector of the records of one output, which tolerates invalid names and values."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Callable, Optional, TypeVar

from bbmeasure import units
from bbmeasure.adapters._text import clean, clean_tags
from bbmeasure.errors import ParseError
from bbmeasure.records import KINDS, LONGEST_NAME, MOST_SAMPLES, NEVER_NEGATIVE, Direction, Kind, Record

Item = TypeVar("Item")

LOWER = Direction.LOWER
HIGHER = Direction.HIGHER


class Records:
    """The records of one output, in the order of :meth:`add`.

    Leaves out values that are not finite (some tools print NaN), and negative counts, durations and sizes.  Of several
    records with the same name and tags the first is kept.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, tuple[tuple[str, str], ...]], Record] = {}

    @property
    def listed(self) -> list[Record]:
        """The records that were added."""
        return list(self._kept.values())

    def add(
        self,
        name: str,
        value: Optional[float],
        *,
        unit: str = "1",
        kind: Optional[Kind] = None,
        better: Direction = Direction.NONE,
        tags: Optional[Mapping[str, str]] = None,
        samples: Sequence[float] = (),
        suffix: str = "",
    ) -> None:
        """Add a record named ``name`` plus ``suffix``; a value of None is the median of the samples.

        Excess samples are dropped evenly; a single sample is the value, and not a sample.
        """
        named = clean(name, LONGEST_NAME - len(suffix)) + suffix
        cleaned = clean_tags(tags) if tags else {}
        key = named, tuple(sorted(cleaned.items())) if cleaned else ()
        if key in self._kept or not units.is_known(unit):
            return
        known = units.find(unit)
        least = 0.0 if (kind or KINDS[known.kind]) in NEVER_NEGATIVE else -math.inf
        finite = _possible(samples, known, least) if samples else []
        if value is None:
            value = statistics.median(finite) if finite else math.nan
        if not (value >= least and math.isfinite(value * known.multiplier / known.divisor)):
            return
        self._kept[key] = Record(
            named,
            value,
            unit=unit,
            kind=kind,
            better=better,
            tags=cleaned,
            samples=thin(finite, MOST_SAMPLES) if len(finite) > 1 else (),
        )

    def add_each(self, items: Iterable[Item], add: Callable[[Item], None]) -> None:
        """Call ``add`` with each benchmark; an invalid one is left out.  ParseError where there is no record then."""
        refused: Optional[ParseError] = None
        for item in items:
            try:
                add(item)
            except ParseError as error:
                refused = refused or error
        if refused is not None and not self._kept:
            raise refused

    def add_coverage(self, what: str, rate: Optional[float], counts: Optional[tuple[float, float]]) -> None:
        """Add ``coverage_WHAT`` and ``coverage_missing_WHAT`` from the covered and all ``counts``, else from the rate.

        Leaves out what is unknown or NaN.  ValueError for a rate that is not within 0 and 1, and for more covered than
        all.
        """
        if rate is not None and math.isfinite(rate):
            check_rate(rate)
        else:
            rate = None
        if counts is not None:
            covered, total = counts
            if not 0 <= covered <= total:
                raise ValueError(f"{covered:.6g} covered {what} of {total:.6g}: expected 0 to {total:.6g}")
            rate = covered / total if total else rate
        if rate is not None:
            self.add(f"coverage_{what}", min(rate, 1.0), kind=Kind.RATIO, better=HIGHER)
        if counts is not None:
            self.add(f"coverage_missing_{what}", total - covered, kind=Kind.COUNT, better=LOWER)


def check_rate(rate: float) -> None:
    """ValueError for a coverage that is not within 0 and 1, apart from rounding."""
    if not 0 <= rate <= 1 + 1e-9:
        raise ValueError(f"coverage {rate:.6g}: expected 0 to 1")


def thin(samples: Sequence[float], most: int) -> tuple[float, ...]:
    """At most ``most`` of ``samples``, evenly spaced, including the first."""
    if len(samples) <= most:
        return tuple(samples)
    return tuple(samples[number * len(samples) // most] for number in range(most))


def _possible(values: Sequence[float], unit: units.Unit, least: float) -> list[float]:
    """The values that a record can have: at least ``least``, and finite in the base unit of ``unit``."""
    multiplier, divisor = unit.multiplier, unit.divisor
    return [value for value in values if value >= least and math.isfinite(value * multiplier / divisor)]
