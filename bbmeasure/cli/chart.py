"""Charts of one line of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bbmeasure.analysis.robust import exponent, median, scaled

BLOCKS = "\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
ASCII = "_.-=+*%#"
#: The least span of a sparkline, as a fraction of its median.
LEAST_SPAN = 0.1


def sparkline(values: Sequence[float], width: int, levels: str = BLOCKS) -> str:
    """One character a value; several values that share a column are their median.

    The characters span the middle 98 % of the columns, and at least 10 % of their median, so that noise looks small.
    """
    if not values:
        return ""
    power = exponent(values)
    columns = [median(scaled(value, power) for value in column) for column in _columns(values, width)]
    ordered = sorted(columns)
    margin = len(ordered) // 100
    least, most = ordered[margin], ordered[-1 - margin]
    missing = max(0.0, LEAST_SPAN * abs(median(ordered)) - (most - least))
    least -= missing / 2
    step = (most + missing / 2 - least) / len(levels)
    if not step:
        return levels[0] * len(columns)
    return "".join(levels[min(len(levels) - 1, max(0, int((value - least) / step)))] for value in columns)


def marks(indices: Iterable[int], count: int, width: int, mark: str = "^") -> str:
    """A line below a sparkline of ``count`` values, with a mark below each of ``indices``."""
    line = [" "] * min(width, count)
    for index in indices:
        line[index * len(line) // count] = mark
    return "".join(line).rstrip()


def _columns(values: Sequence[float], width: int) -> list[Sequence[float]]:
    count = len(values)
    size = min(width, count)
    return [values[-(-column * count // size) : -(-(column + 1) * count // size)] for column in range(size)]
