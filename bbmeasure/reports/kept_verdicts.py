"""Encoding of the verdicts of a build for a store: some 15 bytes a line.

Columns of numbers compress better than rows.  The value is not kept, as the store has it as a point, and neither is the
sentence of an ordinary verdict, which is made of the same numbers again.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Optional

from bbmeasure.analysis import Rules, State, Verdict
from bbmeasure.analysis.robust import fraction
from bbmeasure.capture.gates import Level
from bbmeasure.reports.verdicts import NO_LIMITS, BuildVerdicts, LineVerdict, verdict_of
from bbmeasure.storage.verdict_store import KeptBuild, Line

_VERSION = 1
#: Significant digits of a baseline.
_DIGITS = 6
_STATES = list(State)
_LEVELS = list(Level)


def encode(lines: Sequence[tuple[int, LineVerdict]], *, complete: bool) -> bytes:
    """The verdicts of the lines with those ids."""
    lines = sorted(lines, key=lambda pair: pair[0])
    ids = [id_ for id_, _ in lines]
    columns: dict[str, Any] = {
        "v": _VERSION,
        "complete": complete,
        "lines": [id_ - before for id_, before in zip(ids, [0, *ids])],
        "states": [_STATES.index(line.verdict.state) for _, line in lines],
        "levels": [_LEVELS.index(line.level) for _, line in lines],
        **{name: [_short(getattr(line.verdict, name)) for _, line in lines] for name in ("baseline", "low", "high")},
        "more": {at: more for at, (_, line) in enumerate(lines) if (more := _more(line))},
    }
    return zlib.compress(json.dumps(columns, separators=(",", ":")).encode(), 9)


def _short(value: Optional[float]) -> Optional[float]:
    if value is None or (value.is_integer() and abs(value) < 1e15):
        return value if value is None else int(value)
    return float(f"{value:.{_DIGITS}g}")


def _more(line: LineVerdict) -> dict[str, Any]:
    """Fields that few verdicts have."""
    verdict = line.verdict
    more = {
        "rule": verdict.rule,
        "confirmed": verdict.confirmed or None,
        "after": verdict.after,
        "change": verdict.change if verdict.confirmed else None,
        "since_build": line.since_build,
        "alert": line.alert,
        "muted": line.muted or None,
        "told": line.told or None,
        "limits": None if line.limits == NO_LIMITS else line.limits,
        "reason": None if verdict.reason == _ordinary(line.kind, line.unit, verdict) else verdict.reason,
    }
    return {name: value for name, value in more.items() if value is not None}


def _ordinary(kind: Any, unit: str, verdict: Verdict) -> str:
    """The sentence of a value within what is usual."""
    if verdict.state is not State.NORMAL or verdict.low is None or verdict.high is None:
        return ""
    shown = Rules(kind=kind, unit=unit).shown
    return f"{shown(verdict.value)} is within what is usual, {shown(verdict.low)} to {shown(verdict.high)}."


def decode(buildid: int, kept: KeptBuild) -> BuildVerdicts:
    """The verdicts of a build; a line whose points are deleted is left out."""
    lines = decode_lines(kept.lines, {line.id: (line, value.value) for line, value in kept.values.values})
    made = sorted((verdict for _, verdict in lines), key=lambda verdict: verdict.key)
    return BuildVerdicts(buildid, tuple(made), is_complete(kept.lines))


def is_complete(kept: bytes) -> bool:
    """Whether all lines of a build were judged."""
    return bool(json.loads(zlib.decompress(kept))["complete"])


def decode_lines(kept: bytes, values: Mapping[int, tuple[Line, float]]) -> Iterator[tuple[int, LineVerdict]]:
    """The verdicts of some lines of a build with their ids; ``values`` are the lines by id with their values."""
    columns = json.loads(zlib.decompress(kept))
    id_ = 0
    for at, delta in enumerate(columns["lines"]):
        id_ += delta
        if id_ in values:
            yield id_, _decode(columns, at, *values[id_])


def _decode(columns: dict[str, Any], at: int, line: Line, value: float) -> LineVerdict:
    more = columns["more"].get(str(at), {})
    state, baseline = _STATES[columns["states"][at]], columns["baseline"][at]
    change = more.get("change", None if baseline is None else fraction(value, baseline))
    of_verdict = {name: more[name] for name in ("rule", "confirmed", "after", "reason") if name in more}
    of_verdict.update(low=columns["low"][at], high=columns["high"][at], baseline=baseline, change=change)
    verdict = Verdict(state, value, **of_verdict)
    if "reason" not in more:
        verdict = Verdict(state, value, **{**of_verdict, "reason": _ordinary(line.kind, line.unit, verdict)})
    of_line = {name: more[name] for name in ("since_build", "alert", "muted", "told") if name in more}
    limits = tuple(more.get("limits", NO_LIMITS))
    return replace(verdict_of(line, verdict, _LEVELS[columns["levels"][at]], limits), **of_line)
