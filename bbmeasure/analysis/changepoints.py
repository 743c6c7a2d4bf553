"""Change points: where the level of a line changed, looking back over the whole line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from math import sqrt
from typing import NamedTuple, Optional

from bbmeasure.analysis import robust
from bbmeasure.analysis.partition import LEAST_SIDE, candidates, divide, statistic
from bbmeasure.analysis.verdict import number_of, numbers_of
from bbmeasure.errors import QueryError

#: Builds on each side of a change that are compared at most.
MOST_SIDE = 60
#: What the statistic of two neighbouring levels must reach.
LEAST_SCORE = 6.0
#: Share of pairs of two levels that rise, less the share that fall, or the reverse.
LEAST_DOMINANCE = 0.6
#: Mann and Whitney 1947: standardised rank sum of two levels.
LEAST_RANK = 3.1
#: Chance that the shorter side is drawn from the longer one: at most this.
CHANCE = 1e-4
#: Builds on each side that show whether a change is a step: they show this part of it, or hardly overlap.
STEP_BUILDS = 8
STEP_PART = 0.6
STEP_DOMINANCE = 0.95
#: Share of a side whose deviations its spread covers, and Phi^-1((1 + share) / 2); for sides of enough builds.
COVERED = 0.75
COVERED_SIGMA = 1.1503
COVERED_BUILDS = 20
#: A level of fewer builds than that is none where more than this share of the builds around it jump between two.
SHORT = 20
MOST_JUMPS = 0.2
#: Builds by which a fit may move a change.
REACH = 8


@dataclass(frozen=True)
class Change:
    """A change of level: ``index`` is the first value of the new one.

    ``before`` and ``after`` are the medians of both levels, at most 60 values of each; ``change`` is their difference
    as a fraction of ``before``, None where that is zero; ``score`` is the difference in standard errors.
    """

    index: int
    before: float
    after: float
    change: Optional[float]
    score: float


@dataclass(frozen=True)
class _Line:
    """Values brought near one, the noise of their successive differences, and the least change that counts."""

    values: Sequence[float]
    noise: float
    minimum_change: float

    def sides(self, before: int, at: int, after: int) -> tuple[Sequence[float], Sequence[float]]:
        """The values on both sides of a split, up to the neighbouring ones."""
        return self.values[max(before, at - MOST_SIDE) : at], self.values[at : min(after, at + MOST_SIDE)]


def change_points(values: Iterable[float], *, minimum_change: float = 0.02) -> list[Change]:
    """The changes of level of ``values``, oldest first.

    Those below ``minimum_change``, as a fraction of the smaller level, are left out: a change and its return count
    alike.

    Candidates are tested after a division into levels that fits the whole line best: a split that is tested while
    wrong ones beside it still cut its level short would be lost.
    """
    numbers = numbers_of(values if isinstance(values, (list, tuple)) else list(values))
    if number_of(minimum_change, "minimum_change") < 0:
        raise QueryError(f"minimum_change {minimum_change!r}: expected a fraction of at least 0, such as 0.02 for 2 %")
    if len(numbers) < 2 * LEAST_SIDE:
        return []
    power = robust.exponent(numbers)
    near_one = [robust.scaled(number, power) for number in numbers]
    noise = max(robust.difference_sigma(near_one), robust.LEAST_SPREAD * abs(robust.median(near_one)))
    line = _Line(near_one, noise, minimum_change)
    splits = _join(line, divide(near_one, candidates(near_one, noise), noise))
    splits = _join(line, _refit(line, splits))
    changes = []
    for before, at, after in _neighbours(splits, len(numbers)):
        test = _test(line, before, at, after)
        if test.certain:
            changes.append(_change(numbers, before, at, after, test.score))
    return changes


def _neighbours(splits: Sequence[int], count: int) -> Iterable[tuple[int, int, int]]:
    """Each split between the ones beside it."""
    return zip([0, *splits], splits, [*splits[1:], count])


def _change(numbers: Sequence[float], before: int, at: int, after: int, score: float) -> Change:
    left, right = _Line(numbers, 0.0, 0.0).sides(before, at, after)
    was, now = robust.median(left), robust.median(right)
    return Change(at, was, now, robust.fraction(now, was), score)


def _join(line: _Line, splits: Sequence[int]) -> list[int]:
    """The splits that separate levels, after the weakest that do not were removed one by one.

    A removal joins two levels, so its neighbours are tested again.  Splits that separate levels, but not certainly,
    stay: without them the levels beside them would be mixtures.
    """
    count = len(line.values)
    before = dict(zip(splits, [0, *splits]))
    after = dict(zip(splits, [*splits[1:], count]))
    tested = {at: _test(line, before[at], at, after[at]) for at in splits}
    weakest = [(test.score, at) for at, test in tested.items() if not test.separates]
    heapify(weakest)
    while weakest:
        score, at = heappop(weakest)
        if at not in tested or tested[at].separates or tested[at].score != score:
            continue
        del tested[at]
        for other, neighbours, beyond in ((before[at], after, after[at]), (after[at], before, before[at])):
            if other not in tested:
                continue
            neighbours[other] = beyond
            tested[other] = _test(line, before[other], other, after[other])
            if not tested[other].separates:
                heappush(weakest, (tested[other].score, other))
    return sorted(tested)


class _Test(NamedTuple):
    """Score of a split between its neighbours, whether it separates two levels, and whether that is certain."""

    score: float
    separates: bool
    certain: bool


def _test(line: _Line, before: int, at: int, after: int) -> _Test:
    left, right = line.sides(before, at, after)
    if len(left) < LEAST_SIDE or len(right) < LEAST_SIDE:
        return _Test(0.0, False, False)
    ordered1, ordered2 = sorted(left), sorted(right)
    was, now = robust.middle(ordered1), robust.middle(ordered2)
    score = statistic((was, _spread(ordered1, was), len(left)), (now, _spread(ordered2, now), len(right)), line.noise)
    dominance = abs(robust.dominance(ordered1, ordered2))
    separates = (
        score >= LEAST_SCORE
        and was != now
        and abs(now - was) >= line.minimum_change * min(abs(was), abs(now))
        and dominance >= LEAST_DOMINANCE
        and _is_step(left, right, now - was)
    )
    rank = dominance * sqrt(3.0 * len(left) * len(right) / (len(left) + len(right) + 1))
    certain = (
        separates
        and rank >= LEAST_RANK
        and not _is_mode(ordered1, ordered2)
        and (min(len(left), len(right)) >= SHORT or not _alternates(line, at, was, now))
    )
    return _Test(score, separates, certain)


def _spread(ordered: Sequence[float], center: float) -> float:
    """Spread of one side: its median absolute deviation, or what covers most of it where it has two modes."""
    deviations = sorted([abs(value - center) for value in ordered])
    spread = robust.MAD_TO_SIGMA * robust.mad_factor(len(ordered)) * robust.middle(deviations)
    if len(ordered) < COVERED_BUILDS:
        return spread
    return max(spread, deviations[round(COVERED * (len(deviations) - 1))] / COVERED_SIGMA)


def _is_step(left: Sequence[float], right: Sequence[float], change: float) -> bool:
    """Whether the builds next to the split show most of the change: it is no slope."""
    before, after = sorted(left[-STEP_BUILDS:]), sorted(right[:STEP_BUILDS])
    part = (robust.middle(after) - robust.middle(before)) / change
    return part >= STEP_PART or (part >= STEP_PART / 2 and abs(robust.dominance(before, after)) >= STEP_DOMINANCE)


def _is_mode(left: Sequence[float], right: Sequence[float]) -> bool:
    """Whether the shorter of two sorted sides has by chance the values of a mode of the longer one."""
    short, long = (left, right) if len(left) < len(right) else (right, left)
    level, center = robust.middle(long), robust.middle(short)
    share = robust.count_most_of_the_way(long, level, center) / len(long)
    return robust.chance(robust.count_most_of_the_way(short, level, center), len(short), share) > CHANCE


def _alternates(line: _Line, at: int, was: float, now: float) -> bool:
    """Whether the builds around a split jump between its levels so often that a short level is one of the jumps."""
    around = line.values[max(0, at - MOST_SIDE) : at + MOST_SIDE]
    edge = robust.MODE_REACH * (now - was)
    jumps, side = 0, 0
    for value in around:
        new = 1 if (value - was - edge) * edge > 0 else -1 if (now - value - edge) * edge > 0 else side
        jumps += side * new < 0
        side = new
    return jumps > MOST_JUMPS * len(around)


def _refit(line: _Line, splits: Sequence[int]) -> list[int]:
    """Each split moved to where the absolute deviations from the medians of both sides are least."""
    moved: list[int] = []
    for before, at, after in _neighbours(splits, len(line.values)):
        before = moved[-1] if moved else before
        left, right = line.sides(before, at, after)
        was, now = robust.median(left), robust.median(right)
        best, place = 0.0, at
        for step, edge in ((1, min(at + REACH, after - LEAST_SIDE)), (-1, max(at - REACH, before + LEAST_SIDE))):
            gain = 0.0
            for split in range(at, edge, step):
                value = line.values[split if step > 0 else split - 1]
                gain += step * (abs(value - was) - abs(value - now))
                if gain < best:
                    best, place = gain, split + step
        moved.append(place)
    return moved
