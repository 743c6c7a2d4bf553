"""The streams of MemoryStorage: points that share series, builder, worker, tags, branch and machine class."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Optional

from bbmeasure.model import Point
from bbmeasure.storage.validation import canonical_tags


class StreamKey(NamedTuple):
    """The fields that the points of a stream share."""

    series: str
    builder: str
    worker: str
    tags: str
    branch: Optional[str]
    machine: Optional[str]
    proposed: bool

    @property
    def machine_class(self) -> str:
        """The machine class: values of different classes are never compared."""
        return self.worker if self.machine is None else self.machine

    @classmethod
    def of(cls, point: Point) -> StreamKey:
        """The key of the stream that a point belongs to."""
        names = (point.series, point.builder or "", point.worker or "", canonical_tags(point.tags))
        build = point.build
        if build is None:
            return cls(*names, None, None, proposed=False)
        return cls(*names, build.branch, build.machine, proposed=bool(build.proposal))


@dataclass
class Stream:
    """The points of one series, builder, worker, set of tags, branch and machine class, ordered by time."""

    number: int
    key: StreamKey
    tags: Mapping[str, str]
    times: list[int] = field(default_factory=list)
    points: list[Point] = field(default_factory=list)

    def put(self, point: Point) -> bool:
        """Insert a point; returns false when it replaced one of the same time."""
        at = bisect_left(self.times, point.time)
        if at < len(self.times) and self.times[at] == point.time:
            self.points[at] = point
            return False
        self.times.insert(at, point.time)
        self.points.insert(at, point)
        return True

    def drop(self, time: int) -> None:
        """Remove the point of that time."""
        at = bisect_left(self.times, time)
        del self.times[at], self.points[at]

    def between(self, since: Optional[int], until: Optional[int]) -> Sequence[Point]:
        """The points in [since, until)."""
        low = 0 if since is None else bisect_left(self.times, since)
        high = len(self.times) if until is None else bisect_left(self.times, until)
        return self.points[low:high]
