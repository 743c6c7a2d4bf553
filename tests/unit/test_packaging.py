"""The distribution: the wheel is complete, and works without the checkout."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

import pytest

import bbmeasure
from tests.archives import ROOT, Built, archives

SOURCES = {
    "bbmeasure": ROOT / "bbmeasure",
    "bbmeasure_steps": ROOT / "steps" / "bbmeasure_steps",
    "bbmeasure_scripts": ROOT / "scripts" / "bbmeasure_scripts",
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The source archive and the wheel."""
    return archives(tmp_path_factory.mktemp("archives"))


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment with the wheel, and with the requirements of this environment."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index", built.wheel],
        check=True,
    )
    (site,) = folder.glob("lib/python*/site-packages")
    # Python does not process .pth files in a path of a .pth file, so the editable installation stays invisible.
    (site / "requirements.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def run(python: Path, program: str) -> Any:
    """The JSON that ``program`` prints, run outside the checkout."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(python), "-c", program], cwd=python.parent, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def listed(section: str, option: str) -> list[str]:
    """The lines of an option of setup.cfg."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return setup[section][option].split()


def test_setup_cfg_lists_every_package() -> None:
    """Each folder with an ``__init__.py`` below the three roots is a package of the distribution."""
    there = {
        ".".join([package, *path.parent.relative_to(folder).parts])
        for package, folder in SOURCES.items()
        for path in folder.rglob("__init__.py")
    }
    assert sorted(listed("options", "packages")) == sorted(there)


def test_make_check_needs_no_browser_and_no_database() -> None:
    """The extras that `make check` installs name no browser and no driver of a database; `test` is all of them."""
    quick = {*listed("options.extras_require", "lint"), *listed("options.extras_require", "unit")}
    assert not quick & {"playwright", "psycopg2-binary", "pymysql", "pillow", "schemathesis>=4"}
    assert listed("options.extras_require", "test") == ["bbmeasure[lint,unit,e2e]"]


@pytest.mark.slow
def test_the_wheel_holds_every_module(built: Built) -> None:
    """The wheel contains the modules, type markers and data files of the three packages, and nothing else."""
    wanted = set()
    for package, folder in SOURCES.items():
        for path in folder.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                wanted.add(f"{package}/{path.relative_to(folder).as_posix()}")
    got = {name for name in built.names if ".dist-info/" not in name}
    assert sorted(wanted - got) == []
    assert sorted(got - wanted) == []
    assert {f"{package}/py.typed" for package in SOURCES} <= got


@pytest.mark.slow
def test_the_source_distribution_builds_itself(built: Built) -> None:
    """The source archive, from which the wheel is built, contains tests, documentation and licence."""
    with tarfile.open(built.sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.rst", "setup.cfg", "pyproject.toml", "Makefile", "docs/conf.py"} <= names
    assert {"contrib/docker/.env.example", "contrib/systemd/buildbot-master.service"} <= names
    assert "tests/unit/test_packaging.py" in names
    assert not [name for name in names if "__pycache__" in name or "node_modules" in name]


@pytest.mark.slow
def test_there_is_one_version(built: Built) -> None:
    """Module, wheel and web plugin have the same version."""
    with zipfile.ZipFile(built.wheel) as archive:
        (metadata,) = (name for name in built.names if name.endswith(".dist-info/METADATA"))
        headers = HeaderParser().parsestr(archive.read(metadata).decode())
    assert headers["Version"] == bbmeasure.__version__
    assert headers["Requires-Python"] == ">=3.9"
    assert "MIT" in (headers["License"], headers["License-Expression"])
    assert [name for name in built.names if ".dist-info/" in name and name.endswith("LICENSE")]
    assert (ROOT / "bbmeasure" / "master" / "www" / "VERSION").read_text().strip() == bbmeasure.__version__


@pytest.mark.slow
def test_every_entry_point_loads_from_the_wheel(installed: Path) -> None:
    """Every entry point loads, from the wheel."""
    program = """
import importlib.metadata, json, sys
found = {}
for point in importlib.metadata.distribution("bbmeasure").entry_points:
    loaded = point.load()
    found[f"{point.group}:{point.name}"] = sys.modules[point.value.partition(":")[0]].__file__
print(json.dumps(found))
"""
    found = run(installed, program)
    assert "console_scripts:bbmeasure" in found
    assert "buildbot.steps:MeasureShellCommand" in found
    assert {path for path in found.values() if not path.startswith(str(installed.parents[1]))} == set()


@pytest.mark.slow
def test_buildbot_plugins_have_every_entry_point(installed: Path) -> None:
    """`from buildbot.plugins import steps, util` has every name of the entry points."""
    program = """
import importlib.metadata, json
from buildbot.plugins import steps, util
points = importlib.metadata.distribution("bbmeasure").entry_points
namespaces = {"buildbot.steps": steps, "buildbot.util": util}
named = [point for point in points if point.group in namespaces]
print(json.dumps([getattr(namespaces[point.group], point.name).__name__ == point.name for point in named]))
"""
    offered = run(installed, program)
    assert offered
    assert all(offered)


@pytest.mark.slow
def test_every_public_name_imports_from_the_wheel(installed: Path) -> None:
    """`from bbmeasure import ...` and `from bbmeasure_steps import ...` work with every public name."""
    program = """
import json, bbmeasure, bbmeasure_steps, bbmeasure_scripts
for module in (bbmeasure, bbmeasure_steps):
    for name in module.__all__:
        getattr(module, name)
print(json.dumps([bbmeasure.__file__, bbmeasure_steps.__file__, bbmeasure_scripts.__file__]))
"""
    for path in run(installed, program):
        assert path.startswith(str(installed.parents[1]))


@pytest.mark.slow
def test_the_command_runs_from_the_wheel(installed: Path) -> None:
    """The command `bbmeasure` is installed and prints its version."""
    done = subprocess.run([installed.with_name("bbmeasure"), "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["bbmeasure", bbmeasure.__version__]
