"""The layers: every module is in one, and what runs on a worker needs the standard library alone.

import-linter checks the imports themselves; these tests check what it does not see.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "bbmeasure": ROOT / "bbmeasure",
    "bbmeasure_steps": ROOT / "steps" / "bbmeasure_steps",
    "bbmeasure_scripts": ROOT / "scripts" / "bbmeasure_scripts",
}
#: The modules that a worker's bundle is made of, beside the programs.
WORKER_MODULES = ["bbmeasure.ansi", "bbmeasure.errors", "bbmeasure.units", "bbmeasure.records", "bbmeasure.wire"]
#: What in the worker's package is run by the master: it makes the bundle.
MASTER_SIDE = {"bbmeasure_scripts.bundle"}


def modules_of(package):
    """The names of all modules of a package, itself too, with their files."""
    folder = PACKAGES[package]
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        yield ".".join([package, *(part for part in parts if part != "__init__")]), path


def worker_modules():
    """The modules that run on a worker, with their files."""
    everything = [*modules_of("bbmeasure"), *modules_of("bbmeasure_scripts")]
    return {
        name: path
        for name, path in everything
        if name in WORKER_MODULES or (name.startswith("bbmeasure_scripts") and name not in MASTER_SIDE)
    }


def adapter_modules():
    """The adapters, which are as pure."""
    return {name: path for name, path in modules_of("bbmeasure") if name.startswith("bbmeasure.adapters")}


def interpreters():
    """This Python, and each Python 3.7 or newer of pyenv, by its version: the oldest is the one that matters."""
    found = {}
    home = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    for path in sorted(home.glob("versions/3.*/bin/python")):
        version = re.match(r"3\.(\d+)", path.parents[1].name)
        if version and int(version[1]) >= 7:
            found[f"3.{version[1]}"] = str(path)
    found[f"3.{sys.version_info[1]}"] = sys.executable
    return found


def contract(identifier):
    """The import-linter contract of pyproject.toml with that id."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    return next(one for one in contracts if one["id"] == identifier)


def top_level_names():
    """The modules and packages directly below ``bbmeasure``, and the two other packages."""
    below = {".".join(name.split(".")[:2]) for name, _ in modules_of("bbmeasure")}
    return (below - {"bbmeasure"}) | {"bbmeasure_steps", "bbmeasure_scripts"}


def test_every_module_is_in_a_layer():
    """The layers contract names every module and package, and nothing that does not exist."""
    named = {name for line in contract("layers")["layers"] for name in re.findall(r"[a-z_.]+", line)}
    assert named == top_level_names()


def test_every_module_below_steps_and_master_must_not_import_buildbot():
    """Each package is kept from importing Buildbot, or is one of those that may."""
    kept = {*contract("worker")["source_modules"], *contract("buildbot")["source_modules"]}
    may = {"bbmeasure_steps", "bbmeasure.master", "bbmeasure.testing", "bbmeasure.__main__"}
    assert top_level_names() - may == {name for name in kept if not name.startswith("bbmeasure.testing.")}


@pytest.mark.parametrize("name", sorted(worker_modules()))
def test_a_workers_module_speaks_python_3_7(name):
    """What runs on a worker is written in the grammar of Python 3.7, the floor of buildbot-worker."""
    path = worker_modules()[name]
    ast.parse(path.read_text(), str(path), feature_version=(3, 7))


@pytest.mark.parametrize("version", sorted(interpreters(), key=lambda version: int(version[2:])))  # type: ignore[index]  # a value that can be indexed here
def test_a_workers_modules_import_with_the_standard_library_alone(version):
    """On each Python that is here, the worker's modules import where no package is installed at all."""
    program = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'scripts')!r}]\n"
        f"import importlib\nfor name in {sorted(worker_modules())!r}: importlib.import_module(name)\n"
    )
    subprocess.run([interpreters()[version], "-I", "-S", "-B", "-c", program], check=True)


def test_adapters_import_with_the_standard_library_alone():
    """An adapter is pure: it imports where no package is installed."""
    program = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}]\n"
        f"import importlib\nfor name in {sorted(adapter_modules())!r}: importlib.import_module(name)\n"
    )
    subprocess.run([sys.executable, "-I", "-S", "-B", "-c", program], check=True)


@pytest.mark.parametrize("name", ["bbmeasure", *WORKER_MODULES, "bbmeasure_scripts"])
def test_importing_the_lower_floors_loads_no_twisted(name):
    """Who imports a lower floor loads neither Twisted nor Buildbot, also where they are installed."""
    program = (
        f"import sys, {name}; print(sorted({{'twisted', 'buildbot', 'treq', 'influxdb', 'zope'}} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "scripts")])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_loads():
    """Each name that ``bbmeasure`` offers is where it says, and a name that it does not offer is an AttributeError."""
    import bbmeasure

    for name in bbmeasure.__all__:
        assert getattr(bbmeasure, name).__name__ == name
        assert name in dir(bbmeasure)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = bbmeasure.no_such_name
