"""``make test-matrix``: the tests with each release of Buildbot on each Python, and a table of what ran and passed.

``python -m tests.matrix [--brief] [--jobs 3] [--stages unit,steps] [NAME ...]``, with names such as ``4.0`` and
``4.0-3.12``.  ``tests/releases.cfg`` lists the environments, which are made in ``.cache/``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from xml.etree import ElementTree

from tests.buildbots import CACHE, RELEASES, ROOT, Release, environment, find_python

#: The folders of tests, with the options of pytest for a brief run.
STAGES: dict[str, tuple[str, ...]] = {
    "unit": ("-m", "not soak and not slow and not server", "--hypothesis-profile=quick"),
    "steps": (),
    "e2e": ("-k", "test_build or test_reporters or test_tracking or test_gate or documented_table"),
    "browser": ("-k", "test_panel or test_list"),
}


@dataclass(frozen=True)
class Row:
    """Result of the tests of one folder in one environment; ``reason`` says why they did not run."""

    release: Release
    python: str
    stage: str
    passed: int = 0
    failed: tuple[str, ...] = ()
    skipped: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    reason: str = ""

    @property
    def is_good(self) -> bool:
        """Whether tests ran and none failed, or none can run."""
        return not self.failed and bool(self.passed or self.reason)

    def __str__(self) -> str:
        counts = [str(self.passed), str(len(self.failed)), str(sum(self.skipped.values())), f"{self.seconds:.0f} s"]
        cells = [f"{name:>8}" for name in (["-"] * 3 if self.reason else counts)]
        first = f"{self.release.version:<9} {self.python:<7} {self.stage:<8}"
        return " ".join([first, *cells, self.reason]).rstrip()


HEADER = f"{'Buildbot':<9} {'Python':<7} {'tests':<8}   passed   failed  skipped     time"


def main(arguments: Sequence[str]) -> int:
    """Run the tests in the named environments, by default in all; 1 where a test failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="RELEASE[-PYTHON]")
    parser.add_argument("--brief", action="store_true", help="leave out slow tests")
    parser.add_argument("--jobs", type=int, default=1, help="environments at a time, which share the processors")
    parser.add_argument("--list", action="store_true", help="list the environments")
    parser.add_argument("--stages", default=",".join(STAGES), help="default: %(default)s")
    options = parser.parse_args(arguments)
    chosen, stages = environments(options.names), options.stages.split(",")
    if not chosen or not set(stages) <= set(STAGES) or options.jobs < 1:
        parser.error(f"expected names of --list, stages of {', '.join(STAGES)}, and 1 job or more")
    if options.list:
        print("\n".join(f"{release.name}-{python}" for release, python in chosen))
        return 0
    # see tests/tools/stages.sh
    os.environ.setdefault("JOBS", str(max(1, (os.cpu_count() or 1) // options.jobs)))

    def rows_of(one: tuple[Release, str]) -> list[Row]:
        rows = []
        for row in run(*one, stages, brief=options.brief):
            rows.append(row)
            print("\n".join([str(row), *(f"    FAILED {name}" for name in row.failed)]), flush=True)
        return rows

    with ThreadPoolExecutor(options.jobs) as executor:
        rows = list(chain.from_iterable(executor.map(rows_of, chosen)))
    print(table(rows))
    return 0 if all(row.is_good for row in rows) else 1


def environments(names: Sequence[str]) -> list[tuple[Release, str]]:
    """The environments that ``names`` select."""
    found = [(release, python) for release in RELEASES.values() for python in release.pythons]
    known = {name for release, python in found for name in (release.name, f"{release.name}-{python}")}
    if not set(names) <= known:
        return []
    return [one for one in found if not names or {one[0].name, f"{one[0].name}-{one[1]}"} & set(names)]


def run(release: Release, python: str, stages: Sequence[str], *, brief: bool) -> Iterator[Row]:
    """Make the environment, and run the tests of each folder in it."""
    interpreter = find_python(python)
    if interpreter is None:
        yield from (Row(release, python, stage, reason=f"no Python {python} was found") for stage in stages)
        return
    print(f"Buildbot {release.version}, Python {python} ...", flush=True)
    name = f"matrix-{release.name}-{python}"
    try:
        environment(name, interpreter, *release.requirements(), "--editable", f"{ROOT}[test]")
    except AssertionError as error:
        yield from (Row(release, python, stage, failed=(f"pip: {error}"[:2_000],)) for stage in stages)
        return
    for stage in stages:
        if stage == "browser" and release.plugins is None:
            yield Row(release, python, stage, reason="its page cannot show plugins of this kind")
        else:
            yield run_stage(Row(release, python, stage), CACHE / name, STAGES[stage] if brief else ())


def run_stage(row: Row, folder: Path, options: Sequence[str]) -> Row:
    """Run the tests of one folder; their output is in a file beside the environment."""
    log, report = (folder.with_name(f"{folder.name}-{row.stage}.{end}") for end in ("log", "xml"))
    report.unlink(missing_ok=True)
    command = ["sh", "tests/tools/stages.sh", "folder", row.stage, f"--junitxml={report}", *options]
    started = time.monotonic()
    with log.open("w") as output:
        status = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "VENV": str(folder), "CI": "1", "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    passed, failed, skipped = read_report(report) if report.exists() else (0, [], Counter())
    if status and not failed:
        failed = [f"exit status {status}, see {log.relative_to(ROOT)}"]
    return Row(row.release, row.python, row.stage, passed, tuple(failed), skipped, time.monotonic() - started)


def read_report(path: Path) -> tuple[int, list[str], Counter[str]]:
    """The number of tests that passed, the names of those that failed, and the reasons of those that were skipped."""
    passed, failed, skipped = 0, [], Counter[str]()
    for case in ElementTree.parse(path).iter("testcase"):
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed.append(f"{case.get('classname')}::{case.get('name')}")
        elif skip is not None:
            skipped[skip.get("message") or "without a reason"] += 1
        else:
            passed += 1
    return passed, failed, skipped


def table(rows: Sequence[Row]) -> str:
    """The results of all environments."""
    lines = ["", HEADER, *map(str, rows)]
    for row in rows:
        lines += [f"    FAILED {row.release.name}-{row.python} {name}" for name in row.failed]
        lines += [f"    skipped {row.release.name}-{row.python} {n} x: {why}" for why, n in row.skipped.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
