"""Run all benchmarks, or those named: ``make bench``, ``make bench ARGS="steps program_size"``, ``ARGS=--list``.

Options and numbers after a single name are that benchmark's: ``python -m benchmarks influx_drain 1500000``.  Each
benchmark prints its figures with their targets, beside a peer's from the same run where there is a peer; the end lists
all figures that missed their targets, by how much and why.  The exit status is 1 if a benchmark failed or missed a
target.
"""

from __future__ import annotations

import ast
import signal
import subprocess
import sys
import threading
from pathlib import Path

from benchmarks.targets import MISSED

HERE = Path(__file__).resolve().parent
#: Seconds after which a benchmark without options is ended: as by a person's Ctrl-C, then killed.
LIMIT = 2 * 3600.0


def names() -> list[str]:
    """The benchmarks: the modules of this package that can be run."""
    programs = [path for path in HERE.glob("*.py") if 'if __name__ == "__main__"' in path.read_text()]
    return sorted(path.stem for path in programs if path.stem != "__main__")


def main(arguments: list[str]) -> int:
    """Run the benchmarks named, or all of them; ``--list`` prints their names and summaries."""
    known = names()
    if arguments == ["--list"]:
        for name in known:
            print(f"{name:<16} {_summary(name)}")
        return 0
    names_end = (index for index, argument in enumerate(arguments) if argument.startswith("-") or argument.isdigit())
    first = next(names_end, len(arguments))
    wanted, options = arguments[:first], arguments[first:]
    if options and len(wanted) != 1:
        print(f"{' '.join(options)}: expected one benchmark before its options", file=sys.stderr)
        return 2
    unknown = [name for name in wanted if name not in known]
    if unknown:
        print(f"{', '.join(unknown)}: expected --list or some of {', '.join(known)}", file=sys.stderr)
        return 2
    failed, missed = [], []
    for name in wanted or known:
        print(f"\n==== {name}: {_summary(name)}", flush=True)
        status, lines = _run(name, options)
        missed.extend(f"{name}: {line}" for line in lines)
        if status not in (0, 1) or (status and not lines):
            failed.append(name)
    if missed:
        print(f"\n==== {len(missed)} figures missed their targets", *missed, sep="\n")
    if failed:
        print(f"\nfailed: {', '.join(failed)}")
    return 1 if failed or missed else 0


def _run(name: str, options: list[str]) -> tuple[int, list[str]]:
    """Run a benchmark and print its output; returns its exit status and the figures that missed their targets."""
    command = [sys.executable, "-u", "-m", f"benchmarks.{name}", *options]
    missed = []
    with subprocess.Popen(command, cwd=HERE.parent, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        timers = [threading.Timer(LIMIT, child.send_signal, [signal.SIGINT]), threading.Timer(LIMIT + 60, child.kill)]
        for timer in timers if not options else ():
            timer.start()
        for line in child.stdout:
            print(line, end="", flush=True)
            if f" {MISSED} " in line:
                missed.append(line.strip())
        status = child.wait()
        for timer in timers:
            timer.cancel()
    return status, missed


def _summary(name: str) -> str:
    """The first line of a benchmark's docstring, without the command that runs it."""
    docstring = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text())) or ""
    return docstring.partition("\n")[0].partition(": ``python")[0].rstrip(".")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
