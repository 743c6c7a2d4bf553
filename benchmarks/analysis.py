"""Verdicts and change points beside other rules: ``python -m benchmarks.analysis --series DIR``.

``DIR`` holds JSON files of real series: ``{"series": [{"name", "values", "better", "labels"}]}``, where ``labels`` are
indices of the first value of a new level.  Without it the series are made.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Optional

from bbmeasure.analysis import change_points, verdicts
from benchmarks.targets import Figures

#: Made series of each kind of noise, and the values of each: noise of 1 %, steps of 5 %.
SERIES = 200
VALUES = 100
NOISE = 0.01
STEP = 0.05
#: A change point is right within so many values of a label, an alarm within so many after it.
NEAR = 5
SOON = 10

Find = Callable[[Sequence[float], Optional[str]], list[int]]


class Method(NamedTuple):
    """A rule: the positions that it marks in a line, and where a mark of a change at 0 may lie."""

    name: str
    find: Find
    first: int
    last: int

    def hits(self, marks: Iterable[int], label: int) -> list[int]:
        """The marks that are right for a label."""
        return [mark for mark in marks if self.first <= mark - label <= self.last]


def _change_points(values: Sequence[float], _better: Optional[str]) -> list[int]:
    return [change.index for change in change_points(values)]


def _verdicts(values: Sequence[float], better: Optional[str]) -> list[int]:
    return [position for position, verdict in enumerate(verdicts(values, better=better)) if verdict.confirmed]


def _previous(values: Sequence[float], better: Optional[str]) -> list[int]:
    """More than 10 % worse than the build before, the rule of github-action-benchmark with its threshold at 110 %."""
    sign = -1 if better == "higher" else 1
    pairs = enumerate(zip(values, values[1:]), 1)
    return [position for position, (old, new) in pairs if sign * (new - old) > 0.1 * abs(old)]


def _t_test(values: Sequence[float], better: Optional[str]) -> list[int]:
    """Beyond the 99 % prediction interval of Student's t of the 64 builds before, one side: a rule of Bencher."""
    sign = -1 if better == "higher" else 1
    marks = []
    for position in range(10, len(values)):
        sample = values[max(0, position - 64) : position]
        count = len(sample)
        width = _student(0.99, count - 1) * statistics.stdev(sample) * math.sqrt(1 + 1 / count)
        if sign * (values[position] - statistics.fmean(sample)) > width:
            marks.append(position)
    return marks


@functools.cache
def _student(share: float, freedom: int) -> float:
    """Quantile of Student's t: Abramowitz and Stegun 1964, 26.7.5."""
    x: float = statistics.NormalDist().inv_cdf(share)
    terms = (
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
    )
    return x + math.fsum(term / freedom**power for power, term in enumerate(terms, 1))


OURS = (Method("change_points", _change_points, -NEAR, NEAR), Method("verdicts", _verdicts, 0, SOON))


def _methods() -> list[Method]:
    """Ours and the others; Otava where it is installed."""
    methods = [
        *OURS,
        Method("previous +10 %", _previous, 0, SOON),
        Method("t-test 99 %", _t_test, 0, SOON),
    ]
    try:
        from otava.analysis import compute_change_points  # type: ignore[import-not-found]  # need not be there
    except ImportError:
        print("apache-otava is not installed: left out")
        return methods

    def otava(values: Sequence[float], _better: Optional[str]) -> list[int]:
        points, _weak = compute_change_points(values, window_len=50, max_pvalue=0.001)
        return [int(point.index) for point in points]

    return [*methods, Method("Otava", otava, -NEAR, NEAR)]


def _normal(rng: random.Random) -> list[float]:
    return [rng.gauss(0, 1) for _ in range(VALUES)]


def _lognormal(rng: random.Random) -> list[float]:
    deviation = math.sqrt((math.exp(0.25) - 1) * math.exp(0.25))
    return [(rng.lognormvariate(0, 0.5) - math.exp(0.125)) / deviation for _ in range(VALUES)]


def _bimodal(rng: random.Random) -> list[float]:
    return [rng.choice((-0.95, 0.95)) + rng.gauss(0, 0.3) for _ in range(VALUES)]


def _spiky(rng: random.Random) -> list[float]:
    return [rng.gauss(0, 1) + (rng.uniform(5, 20) if rng.random() < 0.05 else 0) for _ in range(VALUES)]


def _autoregressive(rng: random.Random) -> list[float]:
    values = [rng.gauss(0, 1)]
    for _ in range(VALUES - 1):
        values.append(0.5 * values[-1] + math.sqrt(0.75) * rng.gauss(0, 1))
    return values


#: Each kind of noise, and the percentage of steps that change_points must find in it.
KINDS = {
    "normal": (_normal, 95),
    "lognormal": (_lognormal, 95),
    "bimodal": (_bimodal, 90),
    "spiky": (_spiky, 95),
    "AR(1) 0.5": (_autoregressive, 90),
}


def _made(figures: Figures, methods: Sequence[Method]) -> None:
    """Print how often each method marks a line without a step, and finds a step."""
    print(f"\nmade noise of 1 %, {SERIES} series of {VALUES}: with a false mark / steps of 5 % found, in %")
    rows = []
    for kind, (noise, _target) in KINDS.items():
        rng = random.Random(kind)
        quiet = [[100 * (1 + NOISE * value) for value in noise(rng)] for _ in range(SERIES)]
        steps = [_with_step(noise(rng), rng) for _ in range(SERIES)]
        cells = []
        for method in methods:
            false = sum(bool(method.find(values, "lower")) for values in quiet)
            found = sum(bool(method.hits(method.find(values, "lower"), at)) for values, at in steps)
            cells.append((100 * false / SERIES, 100 * found / SERIES))
        rows.append((kind, cells))
    _print_table(
        ["", *[method.name for method in methods]],
        [[kind, *[f"{false:.1f} / {found:.1f}" for false, found in cells]] for kind, cells in rows],
    )
    print()
    for kind, cells in rows:
        figures.show(f"change_points, {kind}: series with a false one", cells[0][0], "%", 0.5)
        figures.show(f"change_points, {kind}: steps not found", 100 - cells[0][1], "%", 100 - KINDS[kind][1])


def _with_step(noise: Sequence[float], rng: random.Random) -> tuple[list[float], int]:
    """A line that rises by a step, and where."""
    at = rng.randrange(20, VALUES - 20)
    values = [100 * (1 + NOISE * value) for value in noise]
    return [value + 100 * STEP if index >= at else value for index, value in enumerate(values)], at


def _real(figures: Figures, methods: Sequence[Method], folder: Path) -> None:
    """Print for each source how many labels each method finds, and what it marks elsewhere."""
    print("\nreal series: labels found, and other marks per 1,000 builds")
    rows = []
    for path in sorted(folder.glob("*.json")):
        lines = json.loads(path.read_text())["series"]
        count = sum(len(line["values"]) for line in lines)
        labels = sum(len(line.get("labels", ())) for line in lines)
        cells = []
        for method in methods:
            found, other = _score(method, lines)
            cells.append(f"{f'{found} of {labels}, ' if labels else ''}{1000 * other / count:.2f}")
        rows.append([f"{path.stem} ({len(lines)})", *cells])
        _show_targets(figures, path.stem, lines)
    _print_table(["", *[method.name for method in methods]], rows)


def _score(method: Method, lines: Sequence[Any]) -> tuple[int, int]:
    """The numbers of labels that the method found, and of its other marks."""
    found = other = 0
    for line in lines:
        marks = method.find(line["values"], line.get("better"))
        right = [method.hits(marks, label) for label in line.get("labels", ())]
        found += sum(map(bool, right))
        other += len(set(marks).difference(*right))
    return found, other


def _show_targets(figures: Figures, source: str, lines: Sequence[Any]) -> None:
    """Print the figures of the sources that have a target."""
    ours, gate = OURS
    if source == "sap-hana-2021":
        missed = sum(len(line["labels"]) for line in lines) - _score(ours, lines)[0]
        figures.show("SAP 2021, regressions that change_points misses", missed, "", 0)
        others = [line for line in lines if not line["labels"]]
        figures.show(f"SAP 2021, alarms of verdicts in the {len(others)} others", _score(gate, others)[1], "", 0)
    for line in lines:
        if (source, line["name"]) == ("mozilla-graphs", "runs5"):
            figures.show("Mozilla runs5 (two far modes), alarms of verdicts", _score(gate, [line])[1], "", 0)


def _print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(heads, *rows)]
    for row in (heads, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip(), flush=True)


def _cpu_time(function: Callable[[], Any]) -> float:
    """Milliseconds of processor time of the quickest of ten runs."""
    taken = []
    for _ in range(10):
        begun = time.process_time()
        function()
        taken.append(time.process_time() - begun)
    return min(taken) * 1000


def _times(figures: Figures) -> None:
    """Print how long a verdict and the change points of 200 builds take, in the slowest of some lines."""
    rng = random.Random(0)
    swings = [100 + 10 * (index // 12 % 2) + rng.gauss(0, 1) for index in range(200)]
    lines = [[100 + value for value in _normal(rng) + _normal(rng)], swings]
    verdict = max(_cpu_time(functools.partial(verdicts, line, better="lower", unit="s")) for line in lines) / 200
    points = max(_cpu_time(functools.partial(change_points, line)) for line in lines)
    print()
    figures.show("one verdict, processor time", verdict, "ms", 1)
    figures.show("change points of 200 builds, processor time", points, "ms", 10)


def main(arguments: Sequence[str]) -> int:
    """Print all tables; exit status 1 where a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.analysis")
    parser.add_argument("--series", metavar="DIR", type=Path, help="a folder of JSON files of real series")
    options = parser.parse_args(arguments)
    figures = Figures()
    methods = _methods()
    _times(figures)
    _made(figures, methods)
    if options.series is not None:
        _real(figures, methods, options.series)
    return figures.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
