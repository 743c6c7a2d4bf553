"""Figures with their targets, one a line."""

from __future__ import annotations

import gc
import os
import time
from typing import Any, Callable

#: The word in the line of a figure that misses its target.
MISSED = "MISSED"


class Figures:
    """Prints figures as they are measured and counts those that miss their target."""

    def __init__(self) -> None:
        self.missed = 0

    def show(self, what: str, figure: float, unit: str, most: float, beside: str = "", *, why: str = "") -> None:
        """Print a figure that should be at most ``most``; ``beside`` is text about its peer, ``why`` about a miss."""
        print(f"{what:<58} {figure:10.2f} {unit:<5} at most {most:7g}  {self._verdict(figure / most, beside, why)}")

    def show_least(self, what: str, figure: float, unit: str, least: float, beside: str = "", *, why: str = "") -> None:
        """Print a figure that should be at least ``least``."""
        print(f"{what:<58} {figure:10.2f} {unit:<5} at least {least:6g}  {self._verdict(least / figure, beside, why)}")

    def _verdict(self, excess: float, beside: str, why: str) -> str:
        if excess <= 1:
            return f"{'ok':<6} {beside}".rstrip()
        self.missed += 1
        return f"{MISSED} by {excess - 1:.0%}; {'; '.join(text for text in (why, beside) if text)}".rstrip("; ")

    @property
    def status(self) -> int:
        """The exit status: 1 if a target was missed."""
        return 1 if self.missed else 0


def load() -> str:
    """The load of the machine, the reason of a miss in wall-clock time."""
    return f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs"


def best_of(function: Callable[[], Any], times: int = 3, seconds: float = 0.1) -> float:
    """Milliseconds of the fastest call, as other work of the machine only adds time.

    At least ``times`` calls are made, and more for ``seconds``: the first calls of a short function find nothing in the
    caches of the processor.
    """
    taken: list[float] = []
    gc.collect()
    while len(taken) < times or sum(taken) < seconds:
        began = time.perf_counter()
        function()
        taken.append(time.perf_counter() - began)
    return min(taken) * 1000
