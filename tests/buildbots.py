"""Environments with other releases of Buildbot and this bbmeasure."""

from __future__ import annotations

import configparser
import fcntl
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version as installed
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST = "3.7.0"
#: What older releases of Buildbot need.
_OLDER = ("Twisted<24.10", "setuptools>=78.1,<82")


def python_with_buildbot(version: str) -> str:
    """Return a Python with that release of Buildbot: this one, or that of an environment in ``.cache/``."""
    if installed("buildbot") == version:
        return sys.executable

    def install(python: Path) -> None:
        buildbot = [f"{package}=={version}" for package in ("buildbot", "buildbot-worker", "buildbot-www")]
        _install(python, *buildbot, *_OLDER, "wheel", *floors())
        _install(python, "--no-build-isolation", "--editable", str(ROOT))

    return _environment(f"buildbot-{version}", install)


def python_with_worker(version: str) -> str:
    """Return a Python with that release of buildbot-worker: this one, or that of an environment in ``.cache/``.

    The environment shares the libraries of the one with the oldest Buildbot, so that it is made in seconds.
    """
    if installed("buildbot-worker") == version:
        return sys.executable
    oldest = python_with_buildbot(OLDEST)
    if version == OLDEST:
        return oldest

    def install(python: Path) -> None:
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        own, shared = (subprocess.check_output([name, "-c", code], text=True).strip() for name in (python, oldest))
        # releases before 3.1 need future
        _install(Path(oldest), "--no-deps", f"--target={own}", f"buildbot-worker=={version}", "future")
        Path(own, "shared.pth").write_text(f"{shared}\n")

    return _environment(f"worker-{version}", install, "--without-pip")


def python_without_bbmeasure(version: str, folder: Path) -> str:
    """Return a Python with that release of Buildbot in a new environment, as after ``pip uninstall bbmeasure``."""
    measured = python_with_buildbot(version)
    subprocess.run([measured, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=300)
    (installed_packages,) = Path(measured).parents[1].glob("lib/python*/site-packages")
    (packages,) = folder.glob("lib/python*/site-packages")
    for entry in installed_packages.iterdir():
        if "bbmeasure" not in entry.name:
            (packages / entry.name).symlink_to(entry)
    return str(folder / "bin" / "python")


def _environment(name: str, install: Callable[[Path], None], *options: str) -> str:
    """The Python of an environment, which is made if it does not exist or is incomplete."""
    folder = ROOT / ".cache" / name
    python, ready = folder / "bin" / "python", folder / "ready-with-floors"
    folder.parent.mkdir(exist_ok=True)
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests of two processes may want the same one
        if not ready.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", *options, str(folder)], check=True, timeout=300)
            install(python)
            ready.touch()
    return str(python)


def floors() -> list[str]:
    """The oldest supported release of each other package that bbmeasure requires, by setup.cfg."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    required = setup["options"]["install_requires"].split("\n")
    return [
        line.replace(">=", "==") for line in required if ">=" in line and not line.startswith(("buildbot", "setup"))
    ]


def _install(python: Path, *wanted: str) -> None:
    command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *wanted]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
