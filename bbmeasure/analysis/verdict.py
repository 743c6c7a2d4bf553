"""State and Verdict of a judged value, and the Rules that a line is judged by."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

from bbmeasure import units
from bbmeasure.errors import QueryError, RecordError
from bbmeasure.records import Direction, Kind, check_number, choose, direction


class State(str, enum.Enum):
    """State of a value; also the text of that name."""

    NO_BASELINE = "no_baseline"
    NORMAL = "normal"
    UNCONFIRMED = "unconfirmed"
    WORSE = "worse"
    BETTER = "better"
    CHANGED = "changed"
    BROKEN = "broken"

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True)
class Verdict:
    """Judgement of one value against the values before it.

    ``baseline`` is the median of the accepted values, ``low`` and ``high`` bound what is usual, ``change`` is the
    fraction of the baseline by which the value (the run, where one was confirmed) is off; each is None without a
    baseline.  ``rule`` names what decided: ``shift``, ``exact``, ``limit``, ``lower_limit``, ``increase``,
    ``decrease``.  ``confirmed``: a change of level was confirmed by this value, ``after`` is its level, ``since`` the
    build where it began and ``returned`` whether it is back at the level before the last change.
    """

    state: State
    value: float
    baseline: Optional[float] = None
    low: Optional[float] = None
    high: Optional[float] = None
    change: Optional[float] = None
    since: Optional[int] = None
    rule: Optional[str] = None
    reason: str = ""
    confirmed: bool = False
    after: Optional[float] = None
    returned: bool = False


@dataclass(frozen=True)
class Rules:
    """The rules that a line is judged by.

    Fractions are plain numbers: ``minimum_change=0.02`` is 2 %.  ``history`` is how many accepted values the baseline
    holds.  ``unit`` only serves the sentences.
    """

    kind: Union[Kind, str, None] = None
    better: Union[Direction, str, None] = None
    minimum_change: Optional[float] = None
    limit: Optional[float] = None
    lower_limit: Optional[float] = None
    maximum_increase: Optional[float] = None
    maximum_decrease: Optional[float] = None
    history: int = 40
    unit: str = "1"

    def __post_init__(self) -> None:
        """Check every value, so that a mistake is found where the rules are made."""
        object.__setattr__(self, "kind", None if self.kind is None else choose(Kind, self.kind, "kind"))
        object.__setattr__(self, "better", direction(self.better))
        units.find(self.unit)
        for name in ("limit", "lower_limit"):
            _check(name, getattr(self, name), least=None)
        for name in ("minimum_change", "maximum_increase", "maximum_decrease"):
            _check(name, getattr(self, name), least=0.0)
        if isinstance(self.history, bool) or not isinstance(self.history, int) or not 10 <= self.history <= 1000:
            raise QueryError(f"history {self.history!r}: expected a whole number from 10 to 1000")

    def to_dict(self) -> dict[str, Any]:
        """The rules as data that JSON can hold."""
        return {name: getattr(value, "value", value) for name, value in vars(self).items()} | {
            "better": direction(self.better).word
        }

    @property
    def shift_change(self) -> float:
        """Least change of a confirmed shift."""
        return 0.02 if self.minimum_change is None else self.minimum_change

    @property
    def exact_change(self) -> Optional[float]:
        """Least change of a line whose values are all equal; None for a duration, which only rounding makes equal."""
        if self.kind is Kind.DURATION:
            return None
        if self.minimum_change is not None:
            return self.minimum_change
        return 0.0 if self.kind is Kind.COUNT else 0.001

    def state_of(self, rises: bool) -> State:
        """State of a confirmed change in that direction."""
        if self.better is Direction.NONE:
            return State.CHANGED
        return State.WORSE if rises == (self.better is Direction.LOWER) else State.BETTER

    def shown(self, value: float) -> str:
        """``value`` as people write it."""
        return units.format(value, self.unit, self.kind.value if isinstance(self.kind, Kind) else "")


def _check(name: str, value: Optional[float], *, least: Optional[float]) -> None:
    """Raise QueryError where ``value`` is neither None nor a finite number of at least ``least``."""
    if value is None:
        return
    number = number_of(value, name)
    if least is not None and number < least:
        raise QueryError(f"{name} {value!r}: expected a fraction of at least {least:g}, such as 0.02 for 2 %")


def number_of(value: Any, what: str = "value") -> float:
    """``value`` as a finite float; QueryError for any other value."""
    if type(value) is float and -1e308 < value < 1e308:
        return value
    try:
        return check_number(value, what)
    except RecordError as error:
        raise QueryError(str(error)) from None


def numbers_of(values: Sequence[Any], what: str = "value") -> list[float]:
    """``values`` as finite floats; QueryError names the first that is not a finite number."""
    return [number_of(value, f"{what} {index}") for index, value in enumerate(values)]
