"""Bundles: running a program where nothing is installed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bbmeasure_scripts import bundle as bundling
from bbmeasure_scripts.bundle import PROGRAMS, bundle
from bbmeasure_scripts.module_source import get_source
from tests.unit.scripts import programs

pytestmark = pytest.mark.slow

VERSIONS = ("3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14")


def pythons():
    """The installed Pythons from 3.7 on by version."""
    found = {".".join(map(str, sys.version_info[:2])): sys.executable}
    root = ""
    if shutil.which("pyenv"):
        root = subprocess.run(["pyenv", "root"], capture_output=True, text=True, check=False).stdout.strip()
    for folder in (root, os.environ.get("PYENV_ROOT", ""), os.path.expanduser("~/.pyenv")):
        for path in sorted(Path(folder, "versions").glob("*/bin/python")) if folder else ():
            found.setdefault(".".join(path.parts[-3].split(".")[:2]), str(path))
    for version in {*VERSIONS}.difference(found):
        program = shutil.which(f"python{version}")
        if program and subprocess.run([program, "-c", ""], capture_output=True, check=False).returncode == 0:
            found[version] = program
    return {version: path for version, path in found.items() if version in VERSIONS}


PYTHONS = pythons()
#: The installed versions.
INSTALLED = [version for version in VERSIONS if version in PYTHONS]


def feed(program, arguments, folder, python=sys.executable, **more):
    """Run a bundle with a Python that cannot import this checkout."""
    return programs.execute(
        bundling.command([python], program), folder, text=bundle(program, arguments), python_path=False, **more
    )


@pytest.fixture
def sources(tmp_path):
    """A folder with source files."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "module.py").write_text('"""Doc."""\n\n\ndef double(n):\n    return 2 * n  # twice\n')
    return folder


RUNS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "emit": (["made", "3 ms"], {"made": 0.003}),
    "size": (["module.py", "--name", "s"], {"s": 54.0, "s_files": 1.0}),
    "sloc": (["--tool", "builtin", "--name", "lines", "module.py"], {"lines": 2.0, "lines_tool": "builtin"}),
    "run": (["--name", "cat", "--", "cat"], {"cat_read": None, "cat_max_rss": None}),
    "timefunc": (["module:double", "--args=[4]", "--min-time=0.001", "--calls"], {"double": None, "double_calls": 1.0}),
}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("version", INSTALLED)
def test_every_program_runs_from_a_bundle(version, program, sources):
    """Each Python runs each program from standard input.

    A json.py, argparse.py or profile.py in the current folder does not hide the standard library's.
    """
    arguments, expected = RUNS[program]
    for name in ("argparse", "fnmatch", "json", "profile", "psutil", "resource", "statistics", "typing"):
        (sources / f"{name}.py").write_text("raise SystemExit('not of the library')\n")
    before = os.listdir(sources)
    done = feed(program, arguments, sources, PYTHONS[version])
    assert done.status == 0, done.stderr
    values = {name: done.records[name].value for name in expected}
    assert {name: value for name, value in values.items() if expected[name] is not None} == {
        name: value for name, value in expected.items() if value is not None
    }
    assert set(os.listdir(sources)) <= {*before, "__pycache__"}


@pytest.mark.parametrize("version", INSTALLED)
def test_every_python_reads_patterns_alike(version, sources):
    """An invalid range in a pattern matches nothing, with each Python."""
    assert feed("size", ["[z-a]*"], sources, PYTHONS[version]).status == 1
    done = feed("size", ["module.py", "--exclude=[z-a]*", "--exclude=x"], sources, PYTHONS[version])
    assert (done.status, done.records["size_files"].value) == (0, 1.0)
    assert feed("emit", ["name", "3", "--unit=--"], sources, PYTHONS[version]).status == 2


def test_a_bundle_is_small_and_ascii():
    """A bundle is ASCII, and small enough for a message of each protocol."""
    for program in PROGRAMS:
        text = bundle(program, ["\u00e9\udcff"])
        assert text.isascii()
        assert len(text) < 150_000


def test_arguments_are_unchanged(tmp_path):
    """Quotes, line breaks and undecodable names are passed on unchanged."""
    name = "a'b\"c\\d {e} %s \u00e9 \u4e2d"
    done = feed("emit", [name, "3"], tmp_path)
    assert list(done.records) == [name.replace("\\", "_")]  # as every record's name
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n"))
    strange.write_bytes(b"1234")
    assert feed("size", [str(strange)], tmp_path).records["size"].value == 4.0


def test_standard_input_is_empty_for_what_is_started(tmp_path):
    """The standard input of a command is empty."""
    done = feed("run", ["--name", "x", "--", "sh", "-c", "cat; echo end"], tmp_path)
    assert done.stdout == "end\n"


def test_exit_status_is_the_programs(tmp_path):
    """The exit status of the program is that of the interpreter."""
    assert feed("run", ["--", "sh", "-c", "exit 7"], tmp_path).status == 7
    assert feed("size", ["nothing"], tmp_path).status == 1
    assert feed("size", [], tmp_path).status == 2


def test_an_installed_bbmeasure_is_not_used(tmp_path):
    """An installed bbmeasure of another version is not used."""
    other = tmp_path / "other"
    for package in ("bbmeasure", "bbmeasure_scripts"):
        (other / package).mkdir(parents=True)
        (other / package / "__init__.py").write_text("raise SystemExit('the wrong one')")
    done = programs.execute(
        bundling.command([sys.executable], "emit"), tmp_path, text=bundle("emit", ["x", "3"]), PYTHONPATH=str(other)
    )
    assert (done.status, done.records["x"].value) == (0, 3.0)


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("path", [".", ":nowhere"])
def test_modules_on_pythonpath_do_not_hide_others(path, program, sources):
    """Modules on PYTHONPATH do not hide the standard library's, in which an empty entry is the current folder."""
    arguments, expected = RUNS[program]
    for name in ("argparse", "json", "profile", "resource", "statistics"):
        (sources / f"{name}.py").write_text("raise SystemExit('not of the library')\n")
    done = programs.execute(
        bundling.command([sys.executable], program), sources, text=bundle(program, arguments), PYTHONPATH=path
    )
    assert (done.status, set(expected) - set(done.records)) == (0, set()), done.stderr


def test_the_function_sees_what_is_installed(tmp_path):
    """The measured function imports the installed bbmeasure, not that of the bundle."""
    (tmp_path / "bbmeasure.py").write_text("def answer():\n    return 42\n")
    done = feed("timefunc", ["bbmeasure:answer", "--min-time=0.001"], tmp_path)
    assert "answer" in done.records, done.stderr


def test_a_traceback_shows_the_bundles_lines(tmp_path):
    """A traceback shows the module and the line of a bundled module."""
    broken = bundle("emit", ["x", "3"]).replace("def make(", "def gone(")
    done = programs.execute(bundling.command([sys.executable], "emit"), tmp_path, text=broken, python_path=False)
    assert done.status == 1
    assert 'File "<bundle>/bbmeasure_scripts/emit.py"' in done.stderr
    assert "record = make(" in done.stderr


def test_an_old_python_prints_the_required_version(tmp_path):
    """A Python before 3.7 prints the required version."""
    text = bundle("emit", ["x", "3"]).replace("sys.version_info <", "(3, 6) <")
    done = programs.execute(bundling.command([sys.executable], "emit"), tmp_path, text=text, python_path=False)
    assert done.status == 1
    assert "expected 3.7 or newer" in done.stderr


def find(program, arguments, folder, pythons):
    """Run a bundle with a PATH on which only the interpreters ``pythons`` are, by their names."""
    path = folder.parent / "path"
    path.mkdir()
    for name, target in pythons.items():
        (path / name).write_text(f'#!/bin/sh\necho "as {name}" >&2\nexec {shlex.quote(target)} "$@"\n')
        (path / name).chmod(0o755)
    return programs.execute(
        bundling.find_command(program), folder, text=bundle(program, arguments), python_path=False, PATH=str(path)
    )


@pytest.mark.parametrize("names", [["python3"], ["python"], ["python3", "python"]])
def test_the_first_python_of_the_worker_is_used(names, sources):
    """python3 runs the program, python where there is no python3."""
    done = find("size", ["module.py"], sources, dict.fromkeys(names, sys.executable))
    assert (done.status, done.records["size"].value) == (0, 54.0)
    assert done.stderr == f"as {names[0]}\n"


def test_a_worker_without_python(sources):
    """Without an interpreter the exit status is that of a missing command, and the last line names the remedy."""
    done = find("size", ["module.py"], sources, {})
    assert (done.status, done.all) == (127, [])
    assert done.stderr.endswith("expected Python 3.7 or newer, or its path as python=\n")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_bundle_brings_all_it_imports_and_no_twisted(program):
    """A bundle contains the modules that the program imports, and none of the master."""
    names = {name for name, _ in bundling._sources(f"bbmeasure_scripts.{program}")}
    assert {"bbmeasure.errors", "bbmeasure.units", "bbmeasure.records", "bbmeasure.wire"} <= names
    for name in names:
        source = get_source(name) if name != "bbmeasure" else ""
        assert "twisted" not in source
        assert set(bundling._imports(source)) <= names


def test_an_unknown_program_is_refused():
    """Only known programs can be bundled."""
    with pytest.raises(ValueError, match="expected one of emit, run, size, sloc, timefunc"):
        bundle("os", [])


def test_sources_are_found_in_a_wheel(tmp_path):
    """A bundle can be made from a zip archive."""
    archive = tmp_path / "programs.whl"
    with zipfile.ZipFile(archive, "w") as whole:
        for root in (programs.ROOT, programs.ROOT / "scripts"):
            for package in ("bbmeasure", "bbmeasure_scripts"):
                for path in sorted((root / package).glob("*.py")):
                    whole.write(path, f"{package}/{path.name}")
    code = "from bbmeasure_scripts import bundle; print(bundle.__file__); print(len(bundle.bundle('sloc', [])))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": str(archive)}, capture_output=True, text=True, check=True
    )
    place, length = done.stdout.split()
    assert place.startswith(str(archive))
    assert int(length) == len(bundle("sloc", []))


def test_a_module_without_source_is_an_import_error():
    """A module without source is an ImportError."""
    with pytest.raises(ImportError, match="expected its source"):
        get_source("_socket")
    with pytest.raises(ImportError, match="expected its source"):
        get_source("bbmeasure_scripts.nothing")
