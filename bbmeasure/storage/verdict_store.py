"""The VerdictStore protocol: what a store that keeps verdicts and alerts provides.

The master writes and lists through :class:`VerdictStore`.  The values of a build are judged in another process, which
opens the same store by its ``opener`` and reads through :class:`JudgingReader`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Optional, Protocol, runtime_checkable

from bbmeasure.records import Direction, Kind

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

#: States of an alert.
OPEN, ACCEPTED, IGNORED, RESOLVED = STATES = ("open", "accepted", "ignored", "resolved")


class Line(NamedTuple):
    """A line of a store; ``id`` is 0 for a line that the store does not have yet."""

    id: int
    series: str
    builder: str
    tags: Mapping[str, str]
    branch: Optional[str]
    machine: Optional[str]
    proposed: bool
    kind: Kind
    unit: str
    better: Direction


class LineValue(NamedTuple):
    """The value of one build in a line, the last by time.

    ``samples`` are the measurements of a build that measured several times.  An ``excluded`` value is that of a command
    that failed.
    """

    time: int
    build: int
    buildid: int
    value: float
    samples: Sequence[float] = ()
    excluded: bool = False

    @property
    def position(self) -> tuple[int, int]:
        """The place in the order of a line: time, then build number."""
        return self.time, self.build


class BuildValues(NamedTuple):
    """Measurements of a build: its values, its texts by series, and its worker."""

    values: Sequence[tuple[Line, LineValue]]
    texts: Mapping[str, str]
    worker: str


@dataclass(frozen=True)
class Alert:
    """A confirmed change of a line, or a passed limit, that is worked off.

    ``build``, ``buildid`` and ``time`` (nanoseconds) are those of the first build at the new level, ``opened`` is the
    id of the build that confirmed it.  ``outcome`` is worse, better or changed.  ``who`` and ``why`` belong to the last
    decision, which the line's detector knows where ``applied`` is set.

    ``facts`` has ``low`` and ``high`` (what was usual before), ``bound`` (of a broken rule), ``confirmed`` (as a change
    of level), ``reason``, ``last_buildid`` (the last build of the old level), ``suspects``, ``differs``, and
    ``decided``, the time of :attr:`decided`.
    """

    id: int
    line: Line
    rule: str
    state: str
    outcome: str
    build: int
    buildid: int
    time: int
    opened: int
    before: Optional[float]
    after: float
    change: Optional[float]
    who: str = ""
    why: str = ""
    applied: bool = True
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def decided(self) -> Optional[int]:
        """The time at which an open alert was decided or came back, in nanoseconds; None if it was not."""
        time: Optional[int] = self.facts.get("decided")
        return time


class Mute(NamedTuple):
    """Silence of a series, of every builder where ``builder`` is "", until a unix second."""

    series: str
    builder: str
    until: int
    who: str
    why: str

    def covers(self, line: Line, now: float) -> bool:
        """Whether alerts of a line are told to nobody."""
        return now < self.until and self.series == line.series and self.builder in ("", line.builder)


class KeptDetector(NamedTuple):
    """The state of a line's detector, up to the value at ``time`` of the build with the number ``build``.

    ``late`` is the time of the earliest point that was written or deleted behind it since.
    """

    line: int
    time: int
    build: int
    state: bytes
    late: Optional[int] = None


class Remark(NamedTuple):
    """Facts that a replay needs beside the point of a build: its measurements, and whether its command failed."""

    line: int
    buildid: int
    samples: Sequence[float]
    excluded: bool


@dataclass(frozen=True)
class AlertQuery:
    """A selection of alerts; ``since`` is in nanoseconds, ``builders`` are those whose alerts may be shown."""

    state: Optional[str] = None
    series: Optional[str] = None
    builder: Optional[str] = None
    branch: Optional[str] = None
    since: Optional[int] = None
    builders: Optional[frozenset[str]] = None
    limit: int = 1_000


@dataclass(frozen=True)
class VerdictChanges:
    """Changes by the judgement of a build, written in one transaction; ``lines`` are the verdicts, encoded.

    A ``learned`` detector does not replace one that has judged another value meanwhile.  ``untold`` are the reporters
    that are to tell the verdicts.
    """

    buildid: Optional[int] = None
    lines: bytes = b""
    detectors: Sequence[KeptDetector] = ()
    remarks: Sequence[Remark] = ()
    alerts: Sequence[Alert] = ()
    learned: bool = False
    untold: Sequence[str] = ()


class KeptBuild(NamedTuple):
    """The verdicts of a build as they are kept, with the values that they are of."""

    lines: bytes
    values: BuildValues


@runtime_checkable
class VerdictStore(Protocol):
    """A store that keeps verdicts, for the master.  Every Deferred fails with a StorageError only."""

    @property
    def opener(self) -> tuple[str, str, str]:
        """Module, function and argument that give another process a :class:`JudgingReader`."""
        ...

    def keep_verdicts(self, changes: VerdictChanges) -> Deferred[None]:
        """Write what judging a build has changed; an alert that was decided meanwhile keeps its state."""
        ...

    def kept_verdicts(self, buildid: int) -> Deferred[Optional[KeptBuild]]:
        """The verdicts of a build; None where none are kept."""
        ...

    def kept_lines(self, buildids: Sequence[int]) -> Deferred[dict[int, bytes]]:
        """The encoded verdicts of builds, without their values."""
        ...

    def untold(self, reporter: str, limit: int) -> Deferred[list[int]]:
        """The oldest builds whose verdicts a reporter has not told."""
        ...

    def told(self, reporter: str, buildids: Sequence[int]) -> Deferred[None]:
        """Note that a reporter has told the verdicts of builds."""
        ...

    def keep_reporters(self, reporters: Collection[str]) -> Deferred[None]:
        """Delete the builds that other reporters than these have not told."""
        ...

    def alert(self, id_: int) -> Deferred[Optional[Alert]]:
        """The alert of an id."""
        ...

    def alerts(self, query: AlertQuery) -> Deferred[list[Alert]]:
        """Alerts, newest first."""
        ...

    def mutes(self) -> Deferred[list[Mute]]:
        """All mutes, some of which may have ended."""
        ...

    def decide(self, alert: int, state: str, who: str, why: str) -> Deferred[bool]:
        """Decide an open alert; false where there is no open one of that id."""
        ...


class JudgingReader(Protocol):
    """Blocking read access for the process that judges; every error is a StorageError."""

    def is_replaced(self) -> bool:
        """Whether the store has to be opened anew."""
        ...

    def close(self) -> None:
        """Close the store."""
        ...

    def build_values(self, buildid: int) -> BuildValues:
        """The measurements of a build so far."""
        ...

    def kept_verdicts(self, buildid: int) -> Optional[KeptBuild]:
        """The verdicts of a build; None where none are kept."""
        ...

    def find_line(self, line: Line) -> Optional[Line]:
        """The line of these names that the store has."""
        ...

    def detectors(self, lines: Collection[int]) -> dict[int, KeptDetector]:
        """The kept detectors of lines."""
        ...

    def history(self, line: int, since: Optional[int], limit: int) -> list[LineValue]:
        """The newest values of a line from ``since`` on (nanoseconds), one a build, in their order."""
        ...

    def line_alerts(self, lines: Collection[int]) -> dict[int, list[Alert]]:
        """The alerts of lines that are open or whose decision is not applied."""
        ...

    def mutes(self) -> list[Mute]:
        """All mutes, some of which may have ended."""
        ...

    def total_lines(self, lines: Collection[Line]) -> set[int]:
        """The ids of those lines that hold running totals."""
        ...

    def next_alert(self) -> int:
        """The id of the next alert."""
        ...

    def lines_to_learn(self, after: int, limit: int, *, again: bool) -> list[Line]:
        """Lines of builds without a detector, with ``again`` all lines, by id after ``after``."""
        ...

    def count_lines_to_learn(self, *, again: bool) -> int:
        """The number of these lines."""
        ...
