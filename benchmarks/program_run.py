"""Overhead and accuracy of the program ``run``.

Targets: sampling eleven processes in at most 0.5 ms; CPU within 1 % of what the command measures itself; the
largest process of ``true``, started from a parent of 300 MB, under 10 MB.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from bbmeasure_scripts import process_tree  # noqa: E402

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "scripts")])}
BURN = "import time\nx = 0\nwhile time.process_time() < 1: x += 1\nprint(time.process_time())"


def sample_cost(count: int = 11, samples: int = 200) -> float:
    """Milliseconds for a sample of ``count`` descendants."""
    children = [subprocess.Popen(["sleep", "60"]) for _ in range(count)]
    try:
        tree = process_tree.ProcTree(os.getpid())
        tree.sample()
        start = time.perf_counter()
        for _ in range(samples):
            tree.sample()
        return (time.perf_counter() - start) / samples * 1000
    finally:
        for child in children:
            child.kill()
            child.wait()


def run(command: list[str]) -> tuple[dict[str, float], str]:
    """The values that ``run`` reports of a command, by name, and the output of the command."""
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "records")
        done = subprocess.run(
            [sys.executable, "-m", "bbmeasure_scripts.run", "--name", "x", "--", *command],
            env={**ENVIRONMENT, "BBMEASURE_FILE": file},
            capture_output=True,
            text=True,
            check=True,
        )
        with open(file) as lines:
            records = [json.loads(line) for line in lines]
    return {record["name"]: record["value"] for record in records}, done.stdout


def main() -> int:
    """Print each figure with its target; returns 1 where one is missed."""
    cost = sample_cost()
    records, output = run([sys.executable, "-S", "-c", BURN])
    cpu = records["x_cpu"] / float(output)
    ballast = bytearray(300_000_000)
    ballast[:: os.sysconf("SC_PAGE_SIZE")] = b"x" * len(ballast[:: os.sysconf("SC_PAGE_SIZE")])
    largest = run(["true"])[0]["x_max_rss"] / 1e6
    print(f"sampling 11 processes: {cost:.3f} ms a sample, target at most 0.5")
    print(f"CPU: ratio {cpu:.4f} to the CPU time that the command measures, target 0.99 to 1.01")
    print(f"largest process of true from a parent of {len(ballast) / 1e6:.0f} MB: {largest:.1f} MB, target under 10")
    return 0 if cost <= 0.5 and 0.99 <= cpu <= 1.01 and largest < 10 else 1


if __name__ == "__main__":
    raise SystemExit(main())
