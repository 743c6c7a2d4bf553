"""A judge of made lines, for tests of steps without a journal."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from twisted.internet import defer

from bbmeasure.analysis import ShiftDetector
from bbmeasure.capture.gates import Gates, line_key
from bbmeasure.model import BuildContext, Point
from bbmeasure.records import Direction, Kind
from bbmeasure.reports.verdicts import BuildVerdicts, LineVerdict

#: Ten values with noise of about 1 %, and ten equal ones.
NOISY = (1.0, 1.01, 0.99, 1.005, 0.995, 1.0, 1.01, 0.99, 1.0, 1.002)
EQUAL = (100.0,) * 10


@dataclass
class MadeLines:
    """Judges each value against the history of its series; ``asked`` are the pending values of each call.

    It is late with all verdicts unless ``complete``.
    """

    histories: Mapping[str, Sequence[float]]
    kind: Kind = Kind.NUMBER
    unit: str = "1"
    better: Direction = Direction.LOWER
    asked: list[dict[str, Any]] = field(default_factory=list)
    complete: bool = True

    def preview(
        self,
        build: BuildContext,
        gates: Gates,
        *,
        series: Optional[Collection[str]] = None,
        pending: Sequence[Point] = (),
    ) -> Any:
        """The verdicts of the pending values."""
        self.asked.append({point.series: point.value for point in pending})
        lines = [self._line(build, gates, point) for point in pending if self.complete]
        assert series in (None, {point.series for point in pending})
        return defer.succeed(BuildVerdicts(build.buildid, lines, self.complete))

    def _line(self, build: BuildContext, gates: Gates, point: Point) -> LineVerdict:
        gate = gates.of(point.series)
        detector = ShiftDetector(gate.rules(self.kind, self.unit, self.better))
        detector.replay(self.histories.get(point.series, ()))
        samples = gates.measurements.get(line_key(point.series, point.tags), ())
        verdict = detector.judge(float(point.value), samples=samples)
        where = (build.builder, point.tags, build.branch, build.machine_class)
        what = (self.kind, self.unit, self.better, float(point.value), verdict)
        return LineVerdict(point.series, *where, *what, level=gate.level)
