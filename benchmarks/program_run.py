"""Overhead and accuracy of the program ``run``.

The peer of its start is the start of Python itself.  A build of 200 processes is a shell that starts them one by one;
they do nothing, so that all of the overhead shows.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time

from bbmeasure_scripts import process_tree
from bbmeasure_scripts.bundle import bundle
from bbmeasure_scripts.bundle import command as bundle_command
from benchmarks import cpu
from benchmarks.targets import Figures

#: The command ``bbmeasure-run``.
PROGRAM = "import sys; from bbmeasure_scripts.run import main; sys.exit(main())"
BURN = "import time\nx = 0\nwhile time.process_time() < 1: x += 1\nprint(time.process_time())"
BUILD = ("sh", "-c", "for n in $(seq 200); do /bin/true; done")
RUNS = 15


def sample_cost(count: int = 11, samples: int = 200) -> float:
    """Milliseconds of CPU for a sample of ``count`` descendants."""
    children = [subprocess.Popen(["sleep", "60"]) for _ in range(count)]
    try:
        tree = process_tree.ProcTree(os.getpid())
        tree.sample()
        start = time.process_time()
        for _ in range(samples):
            tree.sample()
        return (time.process_time() - start) / samples * 1000
    finally:
        for child in children:
            child.kill()
            child.wait()


def start(figures: Figures) -> None:
    """CPU of the start, of a bundle as a step sends it, and of a build of many processes."""
    program = (sys.executable, "-c", PROGRAM, "--")
    sent = bundle("run", ["--name=x", "--", "true"])
    with tempfile.TemporaryDirectory() as compiled:

        def run(*arguments: str) -> None:
            cpu.command(*arguments, PYTHONPYCACHEPREFIX=compiled)

        nothing, true, of_step, usual, alone, measured = cpu.best(
            [
                lambda: run(sys.executable, "-c", "pass"),
                lambda: run(*program, "true"),
                lambda: cpu.command(*bundle_command([sys.executable], "run"), text=sent),
                lambda: run("/usr/bin/time", "true"),
                lambda: run(*BUILD),
                lambda: run(*program, *BUILD),
            ],
            RUNS,
        )
    beside = f"python -c pass {nothing * 1e3:.1f} ms, /usr/bin/time {usual * 1e3:.1f} ms"
    figures.show("run on true, CPU beside python -c pass", true / nothing, "times", 2, beside)
    figures.show("the same as a step sends it", of_step / nothing, "times", 2)
    beside = f"{measured * 1e3:.0f} and {alone * 1e3:.0f} ms"
    why = (
        f"run on true takes {true * 1e3:.0f} of the {(measured - alone) * 1e3:.0f} ms more, and the start of Python "
        f"alone is {nothing / alone:.2f} of a build whose processes do nothing"
    )
    figures.show("run on a build of 200 processes, CPU", measured / alone, "times", 1.1, beside, why=why)


def run(command: list[str]) -> tuple[dict[str, float], str]:
    """The values that ``run`` reports of a command, by name, and the output of the command."""
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "records")
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, "--name", "x", "--", *command],
            env=cpu.environment(BBMEASURE_FILE=file),
            capture_output=True,
            text=True,
            check=True,
        )
        with open(file) as lines:
            records = [json.loads(line) for line in lines]
    return {record["name"]: record["value"] for record in records}, done.stdout


def main() -> int:
    """Print each figure with its target; returns 1 where one is missed."""
    figures = Figures()
    start(figures)
    figures.show("sampling 11 processes, CPU", sample_cost(), "ms", 0.5)
    records, output = run([sys.executable, "-S", "-c", BURN])
    figures.show("CPU beside what the command measures, apart", abs(records["x_cpu"] / float(output) - 1) * 100, "%", 1)
    ballast = bytearray(300_000_000)
    ballast[:: os.sysconf("SC_PAGE_SIZE")] = b"x" * len(ballast[:: os.sysconf("SC_PAGE_SIZE")])
    largest = run(["true"])[0]["x_max_rss"] / 1e6
    figures.show(f"largest process of true from a parent of {len(ballast) / 1e6:.0f} MB", largest, "MB", 12)
    return figures.status


if __name__ == "__main__":
    raise SystemExit(main())
