"""CPU time of processes, which depends less than wall time on what else runs on the machine."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Callable

ROOT = Path(__file__).resolve().parent.parent


def used() -> float:
    """The seconds of CPU of this process and of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def of_process(pid: int) -> float:
    """The seconds of CPU of all threads of a process, those that have ended included."""
    return time.clock_gettime((~pid << 3) | 2)  # the clock of clock_getcpuclockid(3), as Linux numbers it


def best(calls: Sequence[Callable[[], object]], runs: int) -> list[float]:
    """The least seconds of CPU of each call; the calls alternate, so that other load affects all of them."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(runs):
        for call, taken in zip(calls, times):
            before = used()
            call()
            taken.append(used() - before)
    return [min(taken) for taken in times]


def environment(**more: str) -> dict[str, str]:
    """The environment of an installed program: its bytecode is cached."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "scripts")])
    kept = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": paths, **more}


def command(*arguments: str, text: str = "", **more: str) -> None:
    """Run a command with ``text`` on its standard input, and discard its output."""
    subprocess.run(arguments, env=environment(**more), input=text.encode(), capture_output=True, check=True)
