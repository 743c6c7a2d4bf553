"""The examples and options of docs/worker.rst are those of the programs."""

from __future__ import annotations

import importlib
import re
import shlex
import sys

import pytest

from bbmeasure_scripts.bundle import PROGRAMS
from tests import documented
from tests.unit.scripts import programs

pytestmark = pytest.mark.slow

PAGE = (documented.DOCS / "worker.rst").read_text()


@pytest.fixture
def bin_folder(tmp_path):
    """A folder with the commands of the page, as an installed bbmeasure brings them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("bbmeasure", *(f"bbmeasure-{program}" for program in PROGRAMS)):
        module = '"$@"' if name == "bbmeasure" else f'{name.partition("-")[2]} "$@"'
        shift = 'module=$1; shift; set -- "$module" "$@"; ' if name == "bbmeasure" else ""
        program = f'module=$1; shift; exec {shlex.quote(sys.executable)} -m "bbmeasure_scripts.$module" "$@"'
        (folder / name).write_text(f"#!/bin/sh\n{shift}set -- {module}\n{program}\n")
        (folder / name).chmod(0o755)
    return folder


def shell(name, folder, path="", **more):
    """Run a block of the page with sh."""
    return programs.execute(["sh", "-euc", documented.code_block(name)], folder, PATH=f"{path}:/usr/bin:/bin", **more)


def test_the_python_example_reports(tmp_path):
    """Each call of the example is a record."""
    done = programs.execute([sys.executable, "-c", documented.code_block("report")], tmp_path)
    assert done.status == 0, done.stderr
    assert list(done.records) == ["wheel", "warnings", "coverage", "startup", "load", "compiler", "link"]
    assert done.records["startup"].value == 0.30


def test_the_printf_examples_report(tmp_path):
    """The lines of printf are records, in the file and in a log."""
    done = shell("printf", tmp_path)
    assert (done.records["link_time"].value, done.records["objects"].tags) == (12.5, {"part": "core"})
    done = shell("printf-marked", tmp_path, sidecar=False)
    assert done.records["link_time"].value == 12.5


def test_the_emit_examples_report(tmp_path, bin_folder):
    """The examples of emit have the expected records."""
    folder = tmp_path / "work"
    folder.mkdir()
    done = shell("emit", folder, bin_folder)
    assert done.status == 0, done.stderr
    values = {name: record.value for name, record in done.records.items()}
    assert values == {"link_time": 12.5, "wheel": 1.2 * 1024**2, "startup": 0.3, "compiler": "gcc 12.2"}


def test_the_program_examples_report(tmp_path, bin_folder):
    """Each command of the page runs."""
    folder = tmp_path / "work"
    for name, text in {
        "Makefile": "all:\n\t@echo made\n",
        "dist/a.whl": "wheel",
        "src/a.c": "int a;\n",
        "project/core.py": "def foo(n):\n    return sum(range(n))\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    done = shell("programs", folder, bin_folder)
    assert done.status == 0, done.stderr
    assert {"link_wall", "wheel", "tree", "lines", "foo", "foo_calls"} <= set(done.records)
    assert "made" in done.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_option_of_a_program_is_on_the_page(program):
    """Each option in --help is documented."""
    text = importlib.import_module(f"bbmeasure_scripts.{program}")._parser().format_help()
    options = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", text)) - {"--help"}
    assert options
    assert {option for option in options if not re.search(rf"(?<![\w-]){option}(?![\w-])", PAGE)} == set()


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_has_help(program, tmp_path):
    """--help describes the program and exits with 0."""
    done = programs.program(program, "--help", folder=tmp_path)
    assert done.status == 0
    assert "usage: bbmeasure" in done.stdout
