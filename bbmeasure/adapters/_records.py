"""Collector of the records of one output, which tolerates invalid names and values."""

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
    """The records of one output, in the order of :meth:`add`.

    Leaves out values that are not finite (some tools print NaN).  Of several records with the same name and tags the
    first is kept, or with ``latest`` the last.
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
        latest: bool = False,
    ) -> None:
        """Add a record named ``name`` plus ``suffix``; a value of None is the median of the samples.

        Excess samples are dropped evenly; a single sample is the value, and not a sample.
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
    """At most ``most`` of ``samples``, evenly spaced, including the first."""
    if len(samples) <= most:
        return tuple(samples)
    return tuple(samples[number * len(samples) // most] for number in range(most))


def _is_finite(value: float, unit: str) -> bool:
    """Whether ``value`` is finite, also after conversion to its base unit."""
    if not math.isfinite(value):
        return False
    try:
        units.to_base(value, unit)
    except UnitError:
        return False
    return True
