"""The floors of the house: each module has one, and what runs on a worker needs the standard library alone.

import-linter holds the imports themselves to the floors; here stands what it does not see.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {
    "bbmeasure": ROOT / "bbmeasure",
    "bbmeasure_steps": ROOT / "steps" / "bbmeasure_steps",
    "bbmeasure_scripts": ROOT / "scripts" / "bbmeasure_scripts",
}
#: The modules that a worker's bundle is made of, beside the programs.
WORKER_FLOOR = ["bbmeasure.errors", "bbmeasure.units", "bbmeasure.records", "bbmeasure.wire"]
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
        if name in WORKER_FLOOR or (name.startswith("bbmeasure_scripts") and name not in MASTER_SIDE)
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


def listed(contract, key):
    """The modules that import-linter's ``contract`` lists under ``key``."""
    text = (ROOT / "pyproject.toml").read_text()
    block = re.search(rf'^id = "{contract}"\n.*?^{key} = \[\n(.*?)^\]', text, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"[a-z_.]+", block[1]))


def floor_names():
    """What the layers must name: the modules and packages right below ``bbmeasure``, and the two other packages."""
    below = {".".join(name.split(".")[:2]) for name, _ in modules_of("bbmeasure")}
    return (below - {"bbmeasure"}) | {"bbmeasure_steps", "bbmeasure_scripts"}


def test_every_module_has_its_floor():
    """A module that no layer of pyproject.toml names is held to nothing; a layer without a module is a leftover."""
    named = listed("floors", "layers")
    assert sorted(floor_names() - named) == [], "put it into the layers of the contract floors in pyproject.toml"
    assert sorted(named - floor_names()) == [], "take it out of the layers of the contract floors in pyproject.toml"


def test_every_module_below_steps_and_master_is_held_to_know_no_buildbot():
    """A new module is kept from Buildbot, or is one that may know it."""
    kept = listed("worker", "source_modules") | listed("buildbot", "source_modules")
    wanted = floor_names() - {"bbmeasure_steps", "bbmeasure.master", "bbmeasure.testing"}
    assert sorted(wanted - kept) == [], "put it into the contract worker or buildbot in pyproject.toml"


@pytest.mark.parametrize("name", sorted(worker_modules()))
def test_a_workers_module_speaks_python_3_7(name):
    """What runs on a worker is written in the grammar of Python 3.7, the floor of buildbot-worker."""
    path = worker_modules()[name]
    ast.parse(path.read_text(), str(path), feature_version=(3, 7))


@pytest.mark.parametrize("version", sorted(interpreters(), key=lambda version: int(version[2:])))
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


@pytest.mark.parametrize("name", ["bbmeasure", *WORKER_FLOOR, "bbmeasure_scripts"])
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
