"""Gate: the rules that master.cfg gives a series, Gates, those of one build, and BuildGates, those of all builds."""

from __future__ import annotations

import enum
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, Optional, Union

from bbmeasure import units
from bbmeasure.analysis import Rules, State
from bbmeasure.capture.identity import Value
from bbmeasure.errors import QueryError, UnitError
from bbmeasure.records import Direction, Kind, Record, canonical_series, check_number

#: Series whose values are known only after a build.
AFTER_BUILD = ("build_duration", "queue_duration", "lock_duration")
#: The most builds whose gates are kept.
MOST_BUILDS = 1_000
#: The most repetitions of ``rerun``.
MOST_RERUNS = 20


class Level(str, enum.Enum):
    """The effect of a worse value on its build; also the text of that name."""

    INFO = "info"
    WARN = "warn"
    FAIL = "fail"

    def __str__(self) -> str:
        return self.value


class Limit(NamedTuple):
    """A limit in a base unit; ``unit`` is None for a plain number, which is in the base unit of any series."""

    value: float
    unit: Optional[str]
    kind: str
    text: str

    def misfit(self, kind: Kind, unit: str) -> bool:
        """Whether no value of a series of that kind and unit can be compared with the limit."""
        if kind is Kind.TEXT or self.unit not in (None, unit):
            return True
        return self.kind == Kind.RATIO.value and kind is Kind.COUNT


def _fraction(name: str, value: Union[float, str, None]) -> Optional[float]:
    """A fraction; QueryError for a plain number of 1 or more, which means percent or a quantity."""
    if value is None:
        return None
    expected = "expected a fraction of at least 0, such as 0.05 or '5 %'"
    if isinstance(value, str):
        quantity = _quantity(name, value)
        number, valid = quantity.value, quantity.unit == "1" and (quantity.kind == "ratio" or quantity.value < 1)
    else:
        number = check_number(value, name)
        valid = number < 1
    if not valid or number < 0:
        raise QueryError(f"{name} {value!r}: {expected}")
    return number


def _percent(fraction: Optional[float]) -> Union[float, str, None]:
    """A fraction as an argument, which is a percentage from 1 on."""
    return fraction if fraction is None or fraction < 1 else f"{fraction * 100!r} %"


def _limit(name: str, value: Union[float, str, None]) -> Optional[Limit]:
    """A limit; a number in a text without a unit is a plain number."""
    if value is None:
        return None
    if not isinstance(value, str):
        return Limit(check_number(value, name), None, Kind.NUMBER.value, str(value))
    quantity = _quantity(name, value)
    plain = quantity.unit == "1" and quantity.kind == Kind.NUMBER.value
    return Limit(quantity.value, None if plain else quantity.unit, quantity.kind, value.strip())


def _quantity(name: str, text: str) -> units.Quantity:
    try:
        return units.parse(text)
    except UnitError as error:
        raise QueryError(f"{name}: {error}") from None


def _level(value: Any) -> Level:
    try:
        return Level(value)
    except ValueError:
        raise QueryError(f"level {value!r}: expected one of {', '.join(Level)}") from None


def _count(name: str, value: Any, most: int) -> int:
    """A whole number from 0 to ``most``."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise QueryError(f"{name} {value!r}: expected a whole number from 0 to {most}")
    return value


@dataclass(frozen=True, init=False)
class Gate:
    """The rules that values of a series are judged by, and the effect of a worse value on its build.

    ``minimumChange`` (2 % by default), ``maximumIncrease`` and ``maximumDecrease`` are fractions such as ``"5 %"`` or
    0.05.  ``limit`` and ``lowerLimit`` are quantities such as ``"10 MiB"``; a plain number is in the ``unit`` of the
    step or track call, else in the base unit of the series.  ``history`` is how many accepted values the baseline
    holds.  ``level`` is ``"info"``, ``"warn"`` (the step is WARNINGS) or ``"fail"`` (FAILURE).  ``rerun`` is how often
    a measuring step measures again while its value is unconfirmed.  QueryError names what was expected.
    """

    minimum_change: Optional[float]
    limit: Optional[Limit]
    lower_limit: Optional[Limit]
    maximum_increase: Optional[float]
    maximum_decrease: Optional[float]
    history: int
    level: Level
    rerun: int

    def __init__(
        self,
        *,
        minimumChange: Union[float, str, None] = None,
        limit: Union[float, str, None] = None,
        lowerLimit: Union[float, str, None] = None,
        maximumIncrease: Union[float, str, None] = None,
        maximumDecrease: Union[float, str, None] = None,
        history: int = 40,
        level: Union[Level, str] = Level.INFO,
        rerun: int = 0,
    ) -> None:
        fields = self.__dict__
        try:
            fields["minimum_change"] = _fraction("minimumChange", minimumChange)
            fields["maximum_increase"] = _fraction("maximumIncrease", maximumIncrease)
            fields["maximum_decrease"] = _fraction("maximumDecrease", maximumDecrease)
            fields["limit"] = _limit("limit", limit)
            fields["lower_limit"] = _limit("lowerLimit", lowerLimit)
            fields["history"] = Rules(history=history).history
            fields["level"] = _level(level)
            fields["rerun"] = _count("rerun", rerun, MOST_RERUNS)
            self._check_order()
        except ValueError as error:
            raise QueryError(f"Gate: {error}") from None

    def _check_order(self) -> None:
        """QueryError for limits that no value meets."""
        upper, lower = self.limit, self.lower_limit
        if upper is None or lower is None:
            return
        if None not in (upper.unit, lower.unit) and upper.unit != lower.unit:
            raise QueryError(f"lowerLimit {lower.text}: expected one in the unit of limit {upper.text}")
        if upper.unit == lower.unit and lower.value > upper.value:
            raise QueryError(f"lowerLimit {lower.text}: expected at most limit {upper.text}")

    @property
    def has_rule(self) -> bool:
        """Whether a value can break a rule of the gate, which makes it worse in any direction."""
        bounds = (self.limit, self.lower_limit, self.maximum_increase, self.maximum_decrease)
        return any(bound is not None for bound in bounds)

    def arguments(self) -> dict[str, Any]:
        """Arguments that make an equal gate, as data that JSON can hold."""
        limits = {name: limit.text if limit.unit else limit.value for name, limit in self._limits().items()}
        return {
            "minimumChange": _percent(self.minimum_change),
            "limit": limits.get("limit"),
            "lowerLimit": limits.get("lower_limit"),
            "maximumIncrease": _percent(self.maximum_increase),
            "maximumDecrease": _percent(self.maximum_decrease),
            "history": self.history,
            "level": str(self.level),
            "rerun": self.rerun,
        }

    def in_unit(self, unit: Optional[str]) -> Gate:
        """The gate with its plain numbers in ``unit``, that of a step or track call; the same gate for None."""
        changes = {
            name: _limit(name, f"{limit.text} {unit}")
            for name, limit in self._limits().items()
            if unit not in (None, "", "1") and limit.unit is None
        }
        if not changes:
            return self
        gate = object.__new__(Gate)
        gate.__dict__.update({**vars(self), **changes})
        gate._check_order()
        return gate

    def _limits(self) -> dict[str, Limit]:
        limits = {"limit": self.limit, "lower_limit": self.lower_limit}
        return {name: limit for name, limit in limits.items() if limit is not None}

    def misfits(self, kind: Kind, unit: str) -> list[str]:
        """A message for each limit whose unit no value of a series of that kind and unit has."""
        shown = {"limit": "limit", "lower_limit": "lowerLimit"}
        of = "a text" if kind is Kind.TEXT else f"a {kind.value}" + (f" in {unit}" if unit not in ("", "1") else "")
        return [
            f"{shown[name]} {limit.text}: not applied to {of}"
            for name, limit in self._limits().items()
            if limit.misfit(kind, unit)
        ]

    def rules(self, kind: Kind, unit: str, better: Direction) -> Rules:
        """The rules for a series of that kind, unit and direction, without the limits of :meth:`misfits`."""
        limits = {name: limit.value for name, limit in self._limits().items() if not limit.misfit(kind, unit)}
        return Rules(
            kind=kind,
            better=better,
            minimum_change=self.minimum_change,
            maximum_increase=self.maximum_increase,
            maximum_decrease=self.maximum_decrease,
            history=self.history,
            unit=unit,
            **limits,
        )


#: The gate of a series for which master.cfg gives none.
DEFAULT = Gate()

#: Series and tags: what identifies a line among the values of one build.
LineKey = tuple[str, tuple[tuple[str, str], ...]]

#: Patterns of series with their gates, of which the first that matches applies.
Patterns = Sequence[tuple[str, Gate]]


def line_key(series: str, tags: Mapping[str, str]) -> LineKey:
    """The key of a line among the values of one build."""
    return series, tuple(sorted(tags.items()))


def key_of(value: Value) -> LineKey:
    """The line of a value among those of its build."""
    return line_key(value.record.name, {**value.record.tags, **(value.master_tags or {})})


class Gates:
    """The gates of the series of one build, and what its steps have measured and judged.

    A gate of a step or track call wins over the policy's patterns, of which the first that matches applies.
    ``baseline_builder`` is the builder whose lines a proposal is judged against, None for the build's own.

    ``meanings`` are kind, unit and direction of the series that were measured: a store may not have them yet.
    ``measurements`` are the values of each line that was measured several times in this build.  ``excluded`` are the
    lines whose value comes from a command that failed, which enters no baseline.  ``states`` are the states of the
    values that were judged while the build ran, ``captured`` the lines and times of tracked values that are on disk
    before the build ends.
    """

    def __init__(
        self,
        patterns: Patterns = (),
        own: Optional[Mapping[str, Gate]] = None,
        baseline_builder: Optional[str] = None,
    ) -> None:
        self.patterns = tuple(patterns)
        self.baseline_builder = baseline_builder
        self.meanings: dict[str, tuple[Kind, str, Direction]] = {}
        self.measurements: dict[LineKey, tuple[float, ...]] = {}
        self.excluded: set[LineKey] = set()
        self.states: dict[LineKey, State] = {}
        self.captured: set[tuple[LineKey, Optional[int]]] = set()
        self.own: dict[str, Gate] = {}
        for series, gate in (own or {}).items():
            self.set(series, gate)

    def __getstate__(self) -> dict[str, Any]:
        """The state for the process that judges, without what steps have left for the master."""
        return {**vars(self), "states": {}, "captured": set()}

    def measured(self, record: Record) -> None:
        """Keep what the series of a record means."""
        self.meanings[record.name] = (record.kind, record.unit, record.better)

    def set(self, series: str, gate: Optional[Gate]) -> None:
        """Give a series the gate of its step or track call; None is no gate of its own."""
        if gate is not None:
            self.own[canonical_series(series)] = gate

    def of(self, series: str) -> Gate:
        """The gate of a series."""
        found = self.own.get(series)
        if found is not None:
            return found
        return next((gate for pattern, gate in self.patterns if fnmatchcase(series, pattern)), DEFAULT)


def acts_after_build(series: str) -> bool:
    """Whether the values of a series are known only after a build, or belong to none, so that no level can act."""
    return series in AFTER_BUILD or series.startswith("master.")


class BuildGates:
    """The gates of the builds of one master.

    ``patterns``, those of the policy, apply to builds that start from now on.
    """

    def __init__(self) -> None:
        self.patterns: Patterns = ()
        self._builds: OrderedDict[int, Gates] = OrderedDict()

    def of_build(self, buildid: Optional[int], baseline_builder: Optional[str] = None) -> Gates:
        """The gates of a build, the same ones at each call; ``baseline_builder`` counts in the first call."""
        gates = None if buildid is None else self._builds.get(buildid)
        if gates is None:
            gates = Gates(self.patterns, baseline_builder=baseline_builder)
            if buildid is not None:
                self._builds[buildid] = gates
                if len(self._builds) > MOST_BUILDS:
                    self._builds.popitem(last=False)
        return gates

    def known(self, buildid: int) -> Optional[Gates]:
        """The gates of a build that is not judged yet; None for any other build."""
        return self._builds.get(buildid)

    def ended(self, buildid: int) -> None:
        """Forget the gates of a build that is judged."""
        self._builds.pop(buildid, None)


def check_gate(gate: Any) -> Optional[Gate]:
    """``gate``; QueryError where it is neither a Gate nor None."""
    if gate is None or isinstance(gate, Gate):
        return gate
    raise QueryError(f"gate {units.excerpt(str(gate))}: expected util.Gate(...)")


def read_patterns(gates: Any) -> Patterns:
    """The patterns of ``gates=`` of a policy; QueryError names what was expected."""
    if gates is None:
        return ()
    if not isinstance(gates, Mapping):
        raise QueryError(f"gates {units.excerpt(str(gates))}: expected a dict such as {{'*_time': util.Gate(...)}}")
    for pattern, gate in gates.items():
        if not isinstance(pattern, str) or not pattern:
            raise QueryError(f"gates: {units.excerpt(str(pattern))}: expected the name or pattern of series")
        if not isinstance(gate, Gate):
            raise QueryError(f"gates[{pattern!r}] {units.excerpt(str(gate))}: expected util.Gate(...)")
    return tuple(gates.items())
