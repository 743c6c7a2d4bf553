"""The past of lines, judged once: each line's baseline begins at its last change point.

No verdict is kept, no alert is made, and nothing is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bbmeasure.capture.gates import DEFAULT, Gates
from bbmeasure.reports.build_judge import RESULT, SUCCESS
from bbmeasure.reports.judged_line import LEARNED, JudgedLine
from bbmeasure.storage.verdict_store import JudgingReader, Line, VerdictChanges

#: Lines that are learned by one request: about a third of a second.
LINES_PER_REQUEST = 20


@dataclass(frozen=True)
class LearnRequest:
    """Some of the lines that are not judged yet, by id from ``after`` on; ``gates`` by builder.

    ``running`` are the ids of builds that have not ended.
    """

    after: int
    gates: Mapping[str, Gates] = field(default_factory=dict)
    running: frozenset[int] = frozenset()
    limit: int = LINES_PER_REQUEST


@dataclass(frozen=True)
class Learned:
    """The detectors of some lines; ``last`` is the id of the last of them, 0 where none is left."""

    changes: VerdictChanges
    last: int
    lines: int


def learn(reader: JudgingReader, request: LearnRequest) -> Learned:
    """The detectors of the next lines."""
    lines = reader.lines_without_detector(request.after, request.limit)
    wanted = [line for line in lines if line.tags.get(RESULT, SUCCESS) == SUCCESS]
    totals = reader.total_lines(wanted)
    detectors = []
    for line in wanted:
        if line.id in totals:
            continue
        kept = _learned(reader, line, request).encode(line.id)
        detectors += [] if kept is None else [kept]
    return Learned(VerdictChanges(detectors=detectors), lines[-1].id if lines else 0, len(lines))


def _learned(reader: JudgingReader, line: Line, request: LearnRequest) -> JudgedLine:
    gate = request.gates.get(line.builder, Gates()).of(line.series) if request.gates else DEFAULT
    judged = JudgedLine(gate.rules(line.kind, line.unit, line.better))
    values = [one for one in reader.history(line.id, None, LEARNED) if one.buildid not in request.running]
    judged.learn(values)
    return judged
