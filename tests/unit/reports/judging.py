"""A journal whose builds are judged one after the other, without another process."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from bbmeasure.capture.gates import Gate, Gates
from bbmeasure.model import BuildContext, Point, SeriesInfo
from bbmeasure.records import Direction, Kind
from bbmeasure.reports.build_judge import BuildJudge, Judged, JudgeRequest
from bbmeasure.reports.verdicts import BuildVerdicts, LineVerdict
from bbmeasure.storage.sqlite.journal import Journal, JournalReader
from bbmeasure.storage.verdict_store import Alert, AlertQuery
from bbmeasure.times import NANOSECONDS

START = 1_700_000_000


def noise(count: int, level: float = 100.0, *, seed: int = 1) -> list[float]:
    """Values with a spread of a hundredth of their level."""
    made = random.Random(seed)
    return [made.gauss(level, level / 100) for _ in range(count)]


class Judging:
    """Builds of one master, by number; the id of a build is its number plus 100 and its time is number minutes."""

    def __init__(self, folder: Path, *, kind: Kind = Kind.NUMBER, better: str = "lower") -> None:
        self.path = folder / "j.sqlite"
        self.journal = Journal(self.path)
        self.reader = JournalReader(self.path)
        self.gates: dict[str, Gate] = {}
        self.number = 0
        self.kind, self.better = kind, Direction.LOWER if better == "lower" else Direction(better)

    def close(self) -> None:
        self.journal.close()
        self.reader.close()

    def declare(self, series: str, builder: str = "b") -> None:
        self.journal.declare(SeriesInfo(series, self.kind, "1", self.better, (builder,)))

    def build(self, number: int, **more: Any) -> BuildContext:
        fields = {"builder": "b", "worker": "w", "branch": "main", **more}
        return BuildContext(build=number, buildid=number + 100, **fields)

    def store(
        self, values: Mapping[str, Any], number: int, *, minute: Optional[float] = None, **more: Any
    ) -> BuildContext:
        """Write the values of a build."""
        build = self.build(number, **more)
        for series in values:
            self.declare(series, build.builder)
        time = int((START + 60 * (number if minute is None else minute)) * NANOSECONDS)
        self.journal.write([Point(series, time, value, build=build) for series, value in values.items()])
        return build

    def ask(self, build: BuildContext, *, gates: Optional[Gates] = None, **more: Any) -> Judged:
        """The answer to a request, without writing it."""
        gates = Gates(own=self.gates) if gates is None else gates
        return BuildJudge(self.reader).judge(JudgeRequest(build, gates, START, **more))

    def finish(self, build: BuildContext, **more: Any) -> BuildVerdicts:
        """Judge a build at its end, and keep what changes."""
        judged = self.ask(build, finish=True, **more)
        if judged.changes is not None:
            self.journal.keep_verdicts(judged.changes)
        return judged.verdicts

    def run(self, value: float, series: str = "size", **more: Any) -> LineVerdict:
        """The verdict of the next build of one value."""
        self.number += 1
        return self.finish(self.store({series: value}, self.number, **more)).lines[0]

    def runs(self, values: Sequence[float], **more: Any) -> list[LineVerdict]:
        return [self.run(value, **more) for value in values]

    def alerts(self, **query: Any) -> list[Alert]:
        """Alerts, newest first."""
        return self.reader.alerts(AlertQuery(**query))

    def states(self, verdicts: Sequence[LineVerdict]) -> list[str]:
        return [verdict.verdict.state.value for verdict in verdicts]
