"""Figures with their targets, one a line."""

from __future__ import annotations

import gc
import time
from typing import Any, Callable


class Figures:
    """Prints figures as they are measured and counts those that miss their target."""

    def __init__(self) -> None:
        self.missed = 0

    def show(self, what: str, figure: float, unit: str, most: float, beside: str = "") -> None:
        """Print a figure that should be at most ``most``; ``beside`` is text about its peer."""
        verdict = "ok" if figure <= most else "MISSED"
        self.missed += figure > most
        print(f"{what:<58} {figure:10.2f} {unit:<5} at most {most:7g}  {verdict:<6} {beside}", flush=True)

    @property
    def status(self) -> int:
        """The exit status: 1 if a target was missed."""
        return 1 if self.missed else 0


def best_of(function: Callable[[], Any], times: int = 3) -> float:
    """Milliseconds of the fastest of several calls, as other work of the machine only adds time."""
    taken = []
    for _ in range(times):
        gc.collect()
        began = time.perf_counter()
        function()
        taken.append(time.perf_counter() - began)
    return min(taken) * 1000
