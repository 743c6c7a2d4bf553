"""Layers: every module is in one, and worker modules need only the standard library.

import-linter checks the imports; these tests check what it does not.
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
#: The modules of a bundle, in addition to the programs.
WORKER_MODULES = ["bbmeasure.ansi", "bbmeasure.errors", "bbmeasure.units", "bbmeasure.records", "bbmeasure.wire"]
#: The modules of bbmeasure_scripts that run on the master.
MASTER_SIDE = {"bbmeasure_scripts.bundle"}


def modules_of(package):
    """The names and files of all modules of a package, including itself."""
    folder = PACKAGES[package]
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        yield ".".join([package, *(part for part in parts if part != "__init__")]), path


def worker_modules():
    """The names and files of the modules that run on a worker."""
    everything = [*modules_of("bbmeasure"), *modules_of("bbmeasure_scripts")]
    return {
        name: path
        for name, path in everything
        if name in WORKER_MODULES or (name.startswith("bbmeasure_scripts") and name not in MASTER_SIDE)
    }


def adapter_modules():
    """The names and files of the adapters."""
    return {name: path for name, path in modules_of("bbmeasure") if name.startswith("bbmeasure.adapters")}


def interpreters():
    """This Python, and each Python 3.7 or newer of pyenv, by version."""
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
    return next(contract for contract in contracts if contract["id"] == identifier)


def top_level_names():
    """The modules and packages directly below ``bbmeasure``, and the two other packages."""
    below = {".".join(name.split(".")[:2]) for name, _ in modules_of("bbmeasure")}
    return (below - {"bbmeasure"}) | {"bbmeasure_steps", "bbmeasure_scripts"}


def test_every_module_is_in_a_layer():
    """The layers contract lists every module and package, and no other."""
    named = {name for line in contract("layers")["layers"] for name in re.findall(r"[a-z_.]+", line)}
    assert named == top_level_names()


def test_every_package_has_a_rule_about_importing_buildbot():
    """Each package either must not import Buildbot, or is one of those that may."""
    kept = {*contract("worker")["source_modules"], *contract("buildbot")["source_modules"]}
    may = {"bbmeasure_steps", "bbmeasure.compat", "bbmeasure.master", "bbmeasure.testing", "bbmeasure.__main__"}
    assert top_level_names() - may == {name for name in kept if not name.startswith("bbmeasure.testing.")}


@pytest.mark.parametrize("name", sorted(worker_modules()))
def test_a_worker_module_uses_the_grammar_of_python_3_7(name):
    """The modules of a worker use the grammar of Python 3.7, the oldest that buildbot-worker supports."""
    path = worker_modules()[name]
    ast.parse(path.read_text(), str(path), feature_version=(3, 7))


@pytest.mark.parametrize("version", sorted(interpreters(), key=lambda version: int(version[2:])))  # type: ignore[index]  # a value that can be indexed here
def test_worker_modules_import_with_only_the_standard_library(version):
    """The modules of a worker can be imported on each Python without any package installed."""
    program = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'scripts')!r}]\n"
        f"import importlib\nfor name in {sorted(worker_modules())!r}: importlib.import_module(name)\n"
    )
    subprocess.run([interpreters()[version], "-I", "-S", "-B", "-c", program], check=True)


def test_adapters_import_with_only_the_standard_library():
    """The adapters can be imported without any package installed."""
    program = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}]\n"
        f"import importlib\nfor name in {sorted(adapter_modules())!r}: importlib.import_module(name)\n"
    )
    subprocess.run([sys.executable, "-I", "-S", "-B", "-c", program], check=True)


@pytest.mark.parametrize("name", ["bbmeasure", *WORKER_MODULES, "bbmeasure_scripts"])
def test_importing_the_lower_layers_imports_no_twisted(name):
    """Importing a lower layer imports neither Twisted nor Buildbot."""
    program = (
        f"import sys, {name}; print(sorted({{'twisted', 'buildbot', 'treq', 'influxdb', 'zope'}} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "scripts")])}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_loads():
    """Each public name of ``bbmeasure`` can be imported, and any other name is an AttributeError."""
    import bbmeasure

    for name in bbmeasure.__all__:
        assert getattr(bbmeasure, name).__name__ == name
        assert name in dir(bbmeasure)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = bbmeasure.no_such_name
