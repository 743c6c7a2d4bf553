"""Charts of made lines: the values, the verdict of each, and the change points.

Below the values: ``.`` no baseline, ``-`` normal, ``?`` unconfirmed, ``W`` worse, ``B`` better, ``x`` broken; and ``^``
where a level changed, as it is seen afterwards.
"""

from __future__ import annotations

import random

from bbmeasure.analysis import State, change_points, verdicts
from bbmeasure.cli import chart

LETTERS = {
    State.NO_BASELINE: ".",
    State.NORMAL: "-",
    State.UNCONFIRMED: "?",
    State.WORSE: "W",
    State.BETTER: "B",
    State.BROKEN: "x",
}


def lines() -> dict[str, list[float]]:
    """Lines of 70 values around 100, each with noise of 1 %."""
    rng = random.Random(4)
    noise = [rng.gauss(0, 1) for _ in range(70)]
    quiet = [100 + each for each in noise]
    return {
        "noise alone": quiet,
        "a step": [value + 8 * (index >= 40) for index, value in enumerate(quiet)],
        "a step, and back": [value + 8 * (25 <= index < 50) for index, value in enumerate(quiet)],
        "spikes": [value + 40 * (index in (20, 33, 34, 57)) for index, value in enumerate(quiet)],
        "two modes": [value + 30 * (rng.random() < 0.4) for value in quiet],
        "a slope": [value + 0.3 * max(0, index - 30) for index, value in enumerate(quiet)],
        "a broken measurement": [0.0 if index == 45 else value for index, value in enumerate(quiet)],
        "equal values": [100.0 if index < 40 else 101.0 for index in range(70)],
    }


def main() -> None:
    """Print the chart of each line."""
    for title, values in lines().items():
        judged = verdicts(values, better="lower")
        marks = chart.marks([change.index for change in change_points(values, minimum_change=0.005)], 70, 70)
        print(title)
        print(f"  {chart.sparkline(values, 70)}")
        print(f"  {''.join(LETTERS[verdict.state] for verdict in judged)}")
        print(f"  {marks}".rstrip())


if __name__ == "__main__":
    main()
