"""Verdicts of builds: one LineVerdict for each line that a build has measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from bbmeasure.analysis import State, Verdict
from bbmeasure.capture.gates import Level, LineKey, line_key
from bbmeasure.records import Direction, Kind
from bbmeasure.storage.verdict_store import Line

#: The order in which states decide that of a build.
STATES = (
    State.BROKEN,
    State.WORSE,
    State.CHANGED,
    State.UNCONFIRMED,
    State.BETTER,
    State.NORMAL,
    State.NO_BASELINE,
)


#: The least and the largest value that a gate allows.
Limits = tuple[Optional[float], Optional[float]]
NO_LIMITS: Limits = (None, None)


@dataclass(frozen=True)
class LineVerdict:
    """Judgement of the value of one line.

    While an alert of the line is open, ``verdict`` of a value at the new level is worse, ``alert`` is its id and
    ``since_build`` the number of the first build at that level.  A ``muted`` verdict is told to nobody, and its
    ``level`` has no effect.  ``told`` is set where this build has opened an alert that is not muted.  ``limits`` are
    the least and the largest value that the gate of the line allows, None for none.
    """

    series: str
    builder: str
    tags: Mapping[str, str]
    branch: Optional[str]
    machine: Optional[str]
    kind: Kind
    unit: str
    better: Direction
    value: float
    verdict: Verdict
    alert: Optional[int] = None
    since_build: Optional[int] = None
    level: Level = Level.INFO
    muted: bool = False
    told: bool = False
    limits: Limits = NO_LIMITS

    @property
    def key(self) -> LineKey:
        """Series and tags."""
        return line_key(self.series, self.tags)

    @property
    def acts(self) -> bool:
        """Whether the value makes its step or build WARNINGS or FAILURE, by its level."""
        return self.verdict.state is State.WORSE and self.level is not Level.INFO and not self.muted


def verdict_of(line: Line, verdict: Verdict, level: Level, limits: Limits = NO_LIMITS) -> LineVerdict:
    """The verdict of the value of a line, without what belongs to alerts and mutes."""
    return LineVerdict(
        line.series,
        line.builder,
        line.tags,
        line.branch,
        line.machine,
        line.kind,
        line.unit,
        line.better,
        verdict.value,
        verdict,
        level=level,
        limits=limits,
    )


@dataclass(frozen=True)
class BuildVerdicts:
    """Verdicts of a build; not ``complete`` where some could not be made in time."""

    buildid: int
    lines: Sequence[LineVerdict] = ()
    complete: bool = True

    @property
    def state(self) -> State:
        """The first of broken, worse, changed, unconfirmed, better, normal, no_baseline that a line has."""
        states = {line.verdict.state for line in self.lines}
        return next((state for state in STATES if state in states), State.NO_BASELINE)

    @property
    def worse(self) -> tuple[str, ...]:
        """The names of the series that are worse."""
        return tuple(dict.fromkeys(line.series for line in self.lines if line.verdict.state is State.WORSE))

    @property
    def level(self) -> Level:
        """The highest level of the lines that act."""
        levels = {line.level for line in self.lines if line.acts}
        return next((level for level in (Level.FAIL, Level.WARN) if level in levels), Level.INFO)

    def of(self, series: str) -> tuple[LineVerdict, ...]:
        """The verdicts of a series."""
        return tuple(line for line in self.lines if line.series == series)
