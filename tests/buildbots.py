"""Environments with other releases of Buildbot and this bbmeasure."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from importlib.metadata import version as installed
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST = "3.7.0"


def python_with_buildbot(version: str) -> str:
    """Return a Python with that release of Buildbot: this one, or that of an environment in ``.cache/``."""
    if installed("buildbot") == version:
        return sys.executable
    folder = ROOT / ".cache" / f"buildbot-{version}"
    python = folder / "bin" / "python"
    folder.parent.mkdir(exist_ok=True)
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests of two processes may want the same one
        _make(folder, python, version)
    return str(python)


def _make(folder: Path, python: Path, version: str) -> None:
    """Make the environment if it does not exist or is incomplete."""
    ready = folder / "ready-with-bbmeasure"
    if not ready.exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True, timeout=300)
        buildbot = [f"{package}=={version}" for package in ("buildbot", "buildbot-worker", "buildbot-www")]
        _install(python, *buildbot, "Twisted<24.10", "setuptools>=78.1,<82", "wheel", "hyperlink", "treq", "influxdb")
        _install(python, "regex", "--no-build-isolation", "--editable", str(ROOT))
        ready.touch()


def _install(python: Path, *wanted: str) -> None:
    command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
