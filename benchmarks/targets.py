"""Figures beside their targets, one a line; what the benchmarks of the stores print."""

from __future__ import annotations

import gc
import time
from typing import Any, Callable


class Figures:
    """Prints figures as they come, and remembers whether one missed its target."""

    def __init__(self) -> None:
        self.missed = 0

    def show(self, what: str, figure: float, unit: str, most: float, beside: str = "") -> None:
        """One figure that should be at most ``most``; ``beside`` is its peer's."""
        verdict = "ok" if figure <= most else "MISSED"
        self.missed += figure > most
        print(f"{what:<58} {figure:10.2f} {unit:<5} at most {most:7g}  {verdict:<6} {beside}", flush=True)

    @property
    def status(self) -> int:
        """The exit status: 1 where a target was missed."""
        return 1 if self.missed else 0


def best_of(question: Callable[[], Any], times: int = 3) -> float:
    """Milliseconds of the quickest of some runs: a shared machine adds, never takes."""
    taken = []
    for _ in range(times):
        gc.collect()
        begun = time.perf_counter()
        question()
        taken.append(time.perf_counter() - begun)
    return min(taken) * 1000
