"""Runs the programs in separate processes, as a build does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple, Optional

from bbmeasure import wire
from bbmeasure.records import Record

ROOT = Path(__file__).resolve().parents[3]

PYTHON = sys.executable
#: The program ``run`` under the name ``x``, and the names of its records.
RUN = [PYTHON, "-m", "bbmeasure_scripts.run", "--name", "x", "--"]
NAMES = {"x_wall", "x_cpu", "x_max_rss", "x_tree_rss", "x_read", "x_written", "x_context_switches"}


class Done(NamedTuple):
    """Exit status of a program, its records by name (the last of each), all records, and its output."""

    status: int
    records: dict[str, Record]
    all: list[Record]
    stdout: str
    stderr: str


def environment(**more: str) -> dict[str, str]:
    """The environment of a worker whose Python finds this checkout, outside a build."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("BBMEASURE", "PYTEST", "COV_"))}
    paths = os.pathsep.join([str(ROOT), str(ROOT / "scripts")])
    return {**clean, "PYTHONPATH": paths, **more}


def execute(
    command: list[str],
    folder: Path,
    *,
    sidecar: bool = True,
    text: Optional[str] = None,
    python_path: bool = True,
    **more: str,
) -> Done:
    """Run a command in ``folder`` with a sidecar file beside it, or without one."""
    file = folder.parent / f"{folder.name}.sidecar"
    file.unlink(missing_ok=True)
    variables = environment(**more)
    if sidecar:
        variables["BBMEASURE_FILE"] = str(file)
    if not python_path:
        del variables["PYTHONPATH"]
    stdin: dict[str, Any] = {"stdin": subprocess.DEVNULL} if text is None else {"input": text.encode()}
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, check=False, timeout=300, **stdin)
    stdout = done.stdout.decode("utf-8", "backslashreplace")
    found = records_of(file.read_bytes() if file.exists() else b"") if sidecar else marked(stdout)
    by_name = {record.name: record for record in found}
    return Done(done.returncode, by_name, found, stdout, done.stderr.decode("utf-8", "backslashreplace"))


def program(name: str, *arguments: str, folder: Path, **more: Any) -> Done:
    """Run ``bbmeasure_scripts.NAME``."""
    return execute([sys.executable, "-m", f"bbmeasure_scripts.{name}", *arguments], folder, **more)


def records_of(content: bytes) -> list[Record]:
    """The records of a sidecar file; none may be refused."""
    found = list(wire.read_file(content))
    assert all(isinstance(one, Record) for one in found), found
    return [one for one in found if isinstance(one, Record)]


def marked(stdout: str) -> list[Record]:
    """The marked records of an output; none may be refused."""
    scanner = wire.MarkerScanner()
    found = [*scanner.feed(stdout), *scanner.finish()]
    assert all(isinstance(one, Record) for one in found), found
    return [one for one in found if isinstance(one, Record)]
