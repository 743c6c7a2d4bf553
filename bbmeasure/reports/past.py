"""The past of lines, judged once: each line's baseline begins at its last change point.

No verdict is kept, no alert is made, and nothing is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Callable, Optional

from bbmeasure.capture.gates import Gates
from bbmeasure.reports.build_judge import RESULT, SUCCESS
from bbmeasure.reports.judged_line import LEARNED, JudgedLine
from bbmeasure.storage.verdict_store import JudgingReader, KeptDetector, Line, VerdictChanges

#: Lines that are learned by one request: about a third of a second.
LINES_PER_REQUEST = 20


@dataclass(frozen=True)
class LearnRequest:
    """The next lines that are not judged yet, by id from ``after`` on, with the gates of a policy.

    With ``again`` those too that have no baseline yet, as the past of a line may have grown.  ``running`` are the ids
    of builds that have not ended.
    """

    after: int = 0
    gates: Gates = Gates()
    running: frozenset[int] = frozenset()
    again: bool = False


@dataclass(frozen=True)
class Learned:
    """The detectors of some lines: ``last`` is the id of the last one, ``more`` whether lines may come after it.

    ``total`` is the number of all lines, in the answer to the first request.
    """

    changes: VerdictChanges
    last: int = 0
    lines: int = 0
    more: bool = False
    total: int = 0


def learn(reader: JudgingReader, request: LearnRequest) -> Learned:
    """The detectors of the next lines."""
    total = 0 if request.after else reader.count_lines_to_learn(again=request.again)
    lines = reader.lines_to_learn(request.after, LINES_PER_REQUEST, again=request.again)
    wanted = [line for line in lines if line.tags.get(RESULT, SUCCESS) == SUCCESS]
    totals = reader.total_lines(wanted)
    kept = reader.detectors([line.id for line in wanted])
    detectors = []
    for line in wanted:
        if line.id not in totals:
            learned = _learned(reader, line, kept.get(line.id), request)
            detectors += [] if learned is None else [learned]
    changes = VerdictChanges(detectors=detectors, learned=True)
    last = lines[-1].id if lines else request.after
    return Learned(changes, last, len(lines), len(lines) == LINES_PER_REQUEST, total)


def _learned(
    reader: JudgingReader, line: Line, kept: Optional[KeptDetector], request: LearnRequest
) -> Optional[KeptDetector]:
    """The detector of a line; None where it has a baseline already, or no values."""
    rules = request.gates.of(line.series).rules(line.kind, line.unit, line.better)
    if kept is not None and JudgedLine.decode(kept, rules).detector.levels[-1].ready:
        return None
    judged = JudgedLine(rules)
    judged.learn(
        [
            one
            for one in reader.history(line.id, None, LEARNED)
            if one.buildid not in request.running and (kept is None or one.position <= (kept.time, kept.build))
        ]
    )
    return judged.encode(line.id)


def learn_all(
    reader: JudgingReader, keep: Callable[[VerdictChanges], None], gates: Gates, *, again: bool = False
) -> Iterator[tuple[int, int]]:
    """Learn all lines, for a command; yields how many are done, and how many there are."""
    learned, done, total = Learned(VerdictChanges(), more=True), 0, 0
    while learned.more:
        learned = learn(reader, LearnRequest(learned.last, gates, again=again))
        keep(learned.changes)
        done, total = done + learned.lines, total or learned.total
        yield done, total
