"""Environments with other releases of Buildbot and this bbmeasure, as ``tests/releases.cfg`` lists them."""

from __future__ import annotations

import configparser
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Optional

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache"


@dataclass(frozen=True)
class Release:
    """A release of Buildbot; ``plugins`` is None where its page cannot show Measurements."""

    name: str
    version: str
    pythons: tuple[str, ...]
    packages: tuple[str, ...]
    plugins: Optional[str]
    is_brief: bool

    def requirements(self) -> list[str]:
        """The packages of an environment with this release."""
        own = [f"{name}=={self.version}" for name in ("buildbot", "buildbot-worker", "buildbot-www")]
        return [*own, *self.packages]


def _releases() -> dict[str, Release]:
    config = configparser.ConfigParser()
    config.read(Path(__file__).with_name("releases.cfg"))
    return {
        name: Release(
            name,
            one["buildbot"],
            tuple(one["pythons"].split()),
            tuple(one["packages"].split()),
            one.get("plugins"),
            one.getboolean("brief", fallback=False),
        )
        for name, one in config.items()
        if name != config.default_section
    }


RELEASES = _releases()
OLDEST = next(iter(RELEASES.values())).version


def release_of(version: str) -> Release:
    """The release with that version of Buildbot."""
    return next(one for one in RELEASES.values() if one.version == version)


def installed_release() -> Release:
    """The release of the Buildbot that runs the tests."""
    return release_of(installed("buildbot"))


def python_with_buildbot(version: str) -> str:
    """Return a Python with that release of Buildbot: this one, or that of an environment in ``.cache/``.

    The environment of the oldest release has the oldest supported release of each library of bbmeasure, the others have
    the newest.
    """
    if version != OLDEST and installed("buildbot") == version:
        return sys.executable
    release, current = release_of(version), "{}.{}".format(*sys.version_info)
    pinned = floors() if version == OLDEST else []
    pythons = [current] if current in release.pythons else release.pythons[::-1]
    python = next(filter(None, map(find_python, pythons)), sys.executable)
    name = f"buildbot-{version}-python-{_version(python)}"
    return environment(name, python, *release.requirements(), *pinned, "--editable", str(ROOT))


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

    return _made(f"worker-{version}-shares-{Path(oldest).parents[1].name}", oldest, oldest, install, "--without-pip")


def worker_on(python: str, version: str) -> str:
    """Return a Python of that version, which is installed, with that release of buildbot-worker and new libraries."""
    interpreter = find_python(python)
    assert interpreter is not None, f"no Python {python} was found"
    return environment(f"worker-{version}-python-{python}", interpreter, f"buildbot-worker=={version}")


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


def environment(name: str, interpreter: str, *wanted: str) -> str:
    """The Python of an environment with those packages, which is made if it does not exist or is incomplete."""
    described = "\n".join([_version(interpreter), *wanted, (ROOT / "setup.cfg").read_text()])
    return _made(name, interpreter, described, lambda python: _install(python, *wanted))


def _made(name: str, interpreter: str, described: str, install: Callable[[Path], None], *options: str) -> str:
    folder = CACHE / name
    python = folder / "bin" / "python"
    ready = folder / f"ready-{hashlib.sha256(described.encode()).hexdigest()[:16]}"
    CACHE.mkdir(exist_ok=True)
    with _locked(name):  # tests of two processes may want the same one
        if not ready.exists():
            subprocess.run([interpreter, "-m", "venv", "--clear", *options, str(folder)], check=True, timeout=300)
            install(python)
            ready.touch()
    return str(python)


@contextmanager
def _locked(name: str) -> Iterator[None]:
    """Hold a lock of this clone."""
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def find_python(version: str) -> Optional[str]:
    """A Python of that version: this one, one on the path, or one of pyenv's; None without one that runs."""
    return next(filter(lambda python: _version(python) == version, _candidates(version)), None)


def _candidates(version: str) -> Iterator[str]:
    yield sys.executable
    yield from filter(None, [shutil.which(f"python{version}")])
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from map(str, sorted(root.glob(f"versions/{version}.*/bin/python{version}")))


def _version(python: str) -> str:
    """The version of a Python that can make virtual environments; empty where it does not run."""
    code = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    return done.stdout.strip()


def floors() -> list[str]:
    """The oldest supported release of each other package that bbmeasure requires, by setup.cfg."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    required = setup["options"]["install_requires"].split("\n")
    return [
        line.replace(">=", "==") for line in required if ">=" in line and not line.startswith(("buildbot", "setup"))
    ]


def _install(python: Path, *wanted: str) -> None:
    command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-compile", *wanted]
    page = {**os.environ, "BBMEASURE_PAGE": "skip"}
    with _locked("install"):  # each editable installation writes bbmeasure.egg-info
        done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False, env=page)
    assert done.returncode == 0, done.stderr
