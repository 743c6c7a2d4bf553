"""JudgedLine: the detector of a line, its place in the order of the line's values, and checkpoints to replay from."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import NamedTuple, Optional, Tuple

from bbmeasure.analysis import Rules, ShiftDetector, Verdict, change_points
from bbmeasure.errors import QueryError
from bbmeasure.records import Kind
from bbmeasure.storage.verdict_store import KeptDetector, LineValue

#: Version of the encoding.
_VERSION = 1
#: Values between two checkpoints, and between the older of two checkpoints and the present.
CHECKPOINT_EVERY = 20
OLDEST_CHECKPOINT = 500
#: The newest values of a line in which its last change point is searched.
LEARNED = 200

Position = Tuple[int, int]

#: The position before each value.
_ORIGIN = (-(2**62), 0)


class Checkpoint(NamedTuple):
    """The state of a detector after ``added`` values, the last at ``position``."""

    position: Position
    added: int
    state: str


class JudgedLine:
    """The detector of a line after the value at ``position``; None where it has none.

    ``newest`` is the position of the last value that was judged, which a replay goes up to.

    A late value is judged by a replay from the newest checkpoint before it.  There is one at the last decision or at
    most OLDEST_CHECKPOINT values ago, and another at most twice CHECKPOINT_EVERY values ago.  A value before the
    older one changes nothing.
    """

    def __init__(self, rules: Rules, position: Optional[Position] = None) -> None:
        self.rules = rules
        self.detector = ShiftDetector(rules)
        self.position = position
        self.newest = position
        self.late: Optional[int] = None
        self.saved = [Checkpoint(position or _ORIGIN, 0, _dump(self.detector))]

    def add(self, value: LineValue) -> Verdict:
        """Judge the next value."""
        verdict = self.detector.add(value.value, samples=value.samples, excluded=value.excluded, build=value.build)
        self.position = value.position
        if verdict.confirmed:
            self.save_decision()
        elif self.detector.count - self.saved[-1].added >= CHECKPOINT_EVERY:
            self._save()
        return verdict

    def save_decision(self) -> None:
        """Let no replay go back beyond the present."""
        self.saved = [self._checkpoint()]

    def _checkpoint(self) -> Checkpoint:
        return Checkpoint(self.position or _ORIGIN, self.detector.count, _dump(self.detector))

    def _save(self) -> None:
        made = self._checkpoint()
        if len(self.saved) == 2:
            oldest, newest = self.saved
            self.saved = [newest if made.added - oldest.added > OLDEST_CHECKPOINT else oldest]
        self.saved.append(made)

    def rewind(self, position: Position) -> bool:
        """Return to the newest checkpoint before ``position``; false where there is none."""
        before = [one for one in self.saved if one.position < position]
        if not before:
            return False
        self.saved = before
        self.detector = ShiftDetector.from_dict(json.loads(before[-1].state), self.rules)
        self.position = before[-1].position
        return True

    def learn(self, values: Sequence[LineValue]) -> None:
        """Begin with the values since the last change point of the newest of ``values``."""
        counted = [value for value in values[-LEARNED:] if not value.excluded]
        changes = change_points([value.value for value in counted], minimum_change=self.rules.shift_change)
        first = changes[-1].index if changes else 0
        if first:
            self.saved = [self._checkpoint()._replace(position=counted[first - 1].position)]
        for value in counted[first:]:
            self.add(value)

    def encode(self, line: int) -> Optional[KeptDetector]:
        """The row of the line; None before its first value."""
        if self.position is None:
            return None
        header = [_VERSION, self.rules.unit, _kind(self.rules), [(*one.position, one.added) for one in self.saved]]
        parts = [json.dumps(header), _dump(self.detector), *(one.state for one in self.saved)]
        return KeptDetector(line, *self.position, zlib.compress("\n".join(parts).encode(), 1), self.late)

    @classmethod
    def decode(cls, kept: KeptDetector, rules: Rules) -> JudgedLine:
        """The line of a row, before the first late point.

        It begins anew after its last value where the row is of another unit, kind or version.
        """
        position = (kept.time, kept.build)
        judged = cls(rules, position)
        try:
            header, now, *states = zlib.decompress(kept.state).decode().split("\n")
            version, unit, kind, saved = json.loads(header)
            if (version, unit, kind) == (_VERSION, rules.unit, _kind(rules)):
                judged.detector = ShiftDetector.from_dict(json.loads(now), rules)
                judged.saved = [
                    Checkpoint((time, build), count, state) for (time, build, count), state in zip(saved, states)
                ]
        except (ValueError, TypeError, QueryError, zlib.error):
            judged = cls(rules, position)
        if kept.late is not None:
            judged.late = kept.late
            judged.rewind((kept.late, 0))
        return judged


def _dump(detector: ShiftDetector) -> str:
    return json.dumps(detector.to_dict(), separators=(",", ":"))


def _kind(rules: Rules) -> Optional[str]:
    return rules.kind.value if isinstance(rules.kind, Kind) else rules.kind
