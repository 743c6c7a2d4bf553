"""Look-back over a line: its levels, what is usual at each, and the changes between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Optional

from bbmeasure.analysis import change_points
from bbmeasure.analysis.baseline import Baseline

#: Builds of a line that are analysed, the newest.
MAX_BUILDS = 200
#: Lines of one request that are analysed; 200 builds take up to 10 ms.
MAX_LINES = 24
#: The least change of a level, as a fraction.
MINIMUM_CHANGE = 0.02
#: Builds of a level before what is usual can be said.
NEEDED = 5

Json = dict[str, Any]


@dataclass
class History:
    """Times (unix seconds), values and builds of a line, newest first; one value a build, the last."""

    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    builds: list[tuple[Optional[int], Optional[int], Optional[str]]] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        """Whether it has MAX_BUILDS builds."""
        return len(self.values) >= MAX_BUILDS

    def add(self, time: float, value: float, build: tuple[Optional[int], Optional[int], Optional[str]]) -> None:
        """Add an older point, with the number, id and revision of its build."""
        repeated = bool(self.builds) and build[1] is not None and self.builds[-1][1] == build[1]
        if not self.is_complete and not repeated:
            self.times.append(time)
            self.values.append(value)
            self.builds.append(build)


def look_back(histories: Sequence[History]) -> list[Json]:
    """The levels and changes of each line."""
    return [_line(history) for history in histories]


def _line(history: History) -> Json:
    times, values, builds = history.times[::-1], history.values[::-1], history.builds[::-1]
    changes = change_points(values, minimum_change=MINIMUM_CHANGE)
    starts = [0, *(change.index for change in changes)]
    ends = [*starts[1:], len(values)]
    levels = [_level(times, values, start, end) for start, end in zip(starts, ends) if end > start]
    newest = levels[-1] if levels else {"median": None, "low": None, "high": None}
    return {
        **{name: newest[name] for name in ("median", "low", "high")},
        "levels": levels,
        "changes": [
            {
                "at": times[change.index],
                "before": change.before,
                "after": change.after,
                "change": change.change,
                **_build("", builds[change.index]),
                **_build("previous_", builds[change.index - 1]),
            }
            for change in changes
        ],
    }


def _level(times: Sequence[float], values: Sequence[float], start: int, end: int) -> Json:
    baseline = Baseline(values[start:end], needed=NEEDED)
    low, high = baseline.usual(MINIMUM_CHANGE) if baseline.ready else (None, None)
    return {"since": times[start], "until": times[end - 1], "median": baseline.level, "low": low, "high": high}


def _build(prefix: str, build: tuple[Optional[int], Optional[int], Optional[str]]) -> Json:
    return dict(zip((f"{prefix}build", f"{prefix}buildid", f"{prefix}revision"), build))
