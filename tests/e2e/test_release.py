"""Both archives installed into new environments without npm and git, with a master that serves the page."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

import bbmeasure
from bbmeasure.testing.site import Site
from tests.archives import PAGE, Built, archives, released
from tests.e2e.masters import BASE_CONFIG

CONFIG = """
add(util.BuilderConfig(name="measured", workernames=["worker"], factory=util.BuildFactory([
    steps.MeasureShellCommand(name="size", command=["sh", "-c", "echo 5 KiB; echo 5 KiB >made"]),
    steps.SizeOf(name="made", path="made"),
])))
c["www"]["plugins"] = {"bbmeasure": {}}
c["services"] = [util.SQLiteInstance(trackBuildTimes=True)]
"""
#: What steps run on a worker, beside Python.
POSIX_TOOLS = ("dd", "od", "rm", "sh")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The source archive and the wheel."""
    return archives(tmp_path_factory.mktemp("archives"))


@pytest.fixture(scope="module", params=["wheel", "sdist"])
def python(request: pytest.FixtureRequest, built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Python of a new environment with one of the archives; the PATH of its processes has no npm and no git.

    Its requirements are installed from the package index for a release, else those of this environment serve.
    """
    folder = tmp_path_factory.mktemp(request.param)
    tools, environment = folder / "tools", folder / "environment"
    tools.mkdir()
    for name in POSIX_TOOLS:
        (tools / name).symlink_to(f"/bin/{name}")
    path = f"{environment / 'bin'}:{tools}"
    assert (shutil.which("npm", path=path), shutil.which("git", path=path)) == (None, None)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True, timeout=300)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", path)
        patch.delenv("PYTHONPATH", raising=False)
        install(environment, getattr(built, request.param))
        yield environment / "bin" / "python"


def install(environment: Path, archive: Path) -> None:
    """Install an archive with pip."""
    command = [sys.executable, "-m", "pip", "--python", str(environment / "bin" / "python"), "install", "-q"]
    if released():
        command += ["--disable-pip-version-check", str(archive), "buildbot-worker>=3.7", "buildbot-www>=3.7"]
    else:
        (site,) = environment.glob("lib/python*/site-packages")
        # Python does not process .pth files in a path of a .pth file, so the editable installation stays invisible.
        (site / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n")
        command += ["--no-deps", "--no-index", "--no-build-isolation", "--force-reinstall", str(archive)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def run(python: Path, *command: str) -> str:
    """The output of a program of the environment."""
    program = [str(python.with_name(command[0])), *command[1:]]
    done = subprocess.run(program, cwd=python.parent, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_package_is_that_of_the_archive(python: Path) -> None:
    """The imported package is in the environment and not the checkout, and the command prints its version and help."""
    where = run(python, "python", "-c", "import bbmeasure; print(bbmeasure.__file__)")
    assert where.startswith(str(python.parents[1]))
    assert run(python, "bbmeasure", "--version").split() == ["bbmeasure", bbmeasure.__version__]
    assert "backfill" in run(python, "bbmeasure", "--help")


def test_the_page_is_installed(python: Path) -> None:
    """Each file of the page is installed with the same content."""
    built = {path.name: path.read_bytes() for path in PAGE.rglob("*") if path.is_file()}
    assert "scripts.js" in built, "the page is not built: run `make www`"
    (static,) = python.parents[1].glob("lib/python*/site-packages/bbmeasure/master/www/static")
    assert {path.name: path.read_bytes() for path in static.rglob("*") if path.is_file()} == built


def test_a_master_measures_and_serves_the_page(python: Path, tmp_path: Path) -> None:
    """A build is measured, the page and the JSON API are served, and ``bbmeasure check`` accepts the master."""
    with Site(tmp_path, BASE_CONFIG + CONFIG, python=str(python)) as site:
        build = site.build("measured")
        steps = site.steps(build)
        assert build["results"] == 0, {name: step["state_string"] for name, step in steps.items()}
        plugin = f"{site.url}plugins/bbmeasure"
        served = requests.get(f"{plugin}/scripts.js", timeout=60)
        assert served.content == (PAGE / "scripts.js").read_bytes()
        for series in ("size", "made"):
            answer = requests.get(f"{plugin}/api/v1/statistics", {"series": series}, timeout=60).json()
            assert answer["statistics"]["last"] in (5120, 6)
        assert "SQLiteInstance" in run(python, "bbmeasure", "check", "--master", str(site.master_dir))
        assert "5 KiB" in run(python, "bbmeasure", "report", "size", "--master", str(site.master_dir))
    assert os.environ["PATH"].startswith(str(python.parent))
