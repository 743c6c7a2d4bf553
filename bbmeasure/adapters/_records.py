"""Collects an adapter's records so that one odd name or value does not lose the others."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Optional

from bbmeasure import units
from bbmeasure.adapters._text import clean, clean_tags
from bbmeasure.errors import UnitError
from bbmeasure.records import LONGEST_NAME, MOST_SAMPLES, Direction, Kind, Record

LOWER = Direction.LOWER
HIGHER = Direction.HIGHER


class Records:
    """The records of one output in the order of :meth:`add`; ``listed`` has them.

    A value that is not finite (some tools print NaN) is left out, and so is one whose name came before with the same
    tags, unless it is ``latest``: then it takes the place of the earlier one.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, tuple[tuple[str, str], ...]], Record] = {}

    @property
    def listed(self) -> list[Record]:
        """The records so far."""
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
        latest: bool = False,
    ) -> None:
        """Keep a record called ``name`` and ``suffix``; its value is the median of its samples where it is None.

        Samples beyond what a record may have are thinned out evenly; a single one is the value and no sample.
        """
        finite = [sample for sample in samples if _is_finite(sample, unit)]
        if value is None:
            value = statistics.median(finite) if finite else math.nan
        if not _is_finite(value, unit):
            return
        named = clean(name, LONGEST_NAME - len(suffix)) + suffix
        cleaned = clean_tags(tags or {})
        key = named, tuple(sorted(cleaned.items()))
        if key in self._kept and not latest:
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


def thin(samples: Sequence[float], most: int) -> tuple[float, ...]:
    """At most ``most`` of ``samples``, evenly spaced, the first among them."""
    if len(samples) <= most:
        return tuple(samples)
    return tuple(samples[number * len(samples) // most] for number in range(most))


def _is_finite(value: float, unit: str) -> bool:
    """Whether ``value`` is a finite number, in the base of its unit too."""
    if not math.isfinite(value):
        return False
    try:
        units.to_base(value, unit)
    except UnitError:
        return False
    return True
