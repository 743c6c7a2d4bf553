"""The documentation names every command, option, program, step, service and function."""

from __future__ import annotations

import configparser
import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import bbmeasure
import bbmeasure_steps
from bbmeasure.cli import main
from bbmeasure_scripts import bundle

ROOT = Path(__file__).resolve().parents[2]
PAGES = "\n".join(path.read_text() for path in sorted((ROOT / "docs").rglob("*.rst")))


def is_named(name: str) -> bool:
    """Whether some page has ``name`` as a word of its own."""
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", PAGES) is not None


def print_help(*command: str) -> None:
    """Print the help of ``bbmeasure COMMAND``, which may be printed by another process."""
    try:
        status: object = main.main([*command, "--help"])
    except SystemExit as error:
        status = error.code or 0
    assert status == 0


def commands() -> list[str]:
    """The commands of ``bbmeasure``, as its help lists them."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        print_help()
    listed = printed.getvalue().partition("commands:")[2]
    found = re.findall(r"^    ([a-z][\w-]*)(?: |$)", listed, re.MULTILINE)
    assert found
    return found


def entry_points() -> Iterator[str]:
    """The entry points of the distribution, as ``group:name``."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    for group, lines in setup["options.entry_points"].items():
        for line in lines.strip().splitlines():
            yield f"{group}:{line.partition('=')[0].strip()}"


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_every_command_is_documented_with_its_options(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    """The pages name each command of ``bbmeasure`` and each of its options."""
    assert is_named(f"bbmeasure {command}")
    print_help(command)
    options = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", capfd.readouterr().out)) - {"--help"}
    assert options
    assert {option for option in options if not is_named(option)} == set()


@pytest.mark.parametrize("point", sorted(entry_points()))
def test_every_entry_point_is_documented(point: str) -> None:
    """The pages name each step, service and command that is an entry point."""
    assert is_named(point.partition(":")[2])


@pytest.mark.parametrize("program", bundle.PROGRAMS)
def test_every_bundled_program_is_documented(program: str) -> None:
    """The pages name each program that can run on a worker."""
    assert any(name in PAGES for name in (f"``{program}``", f"bbmeasure {program}", f"bbmeasure_scripts.{program}"))


@pytest.mark.parametrize("name", sorted({*bbmeasure.__all__, *bbmeasure_steps.__all__}))
def test_every_public_name_is_documented(name: str) -> None:
    """The pages name each public name of the packages."""
    assert is_named(name)


def test_removal_names_every_plugin() -> None:
    """The steps of the removal name each plugin that a master.cfg can have."""
    page = (ROOT / "docs" / "upgrading.rst").read_text()
    steps = page.partition("\nRemoving\n")[2].partition("Buildbot's database")[0]
    plugins = {point.partition(":")[2] for point in entry_points() if point.startswith("buildbot.")}
    assert plugins
    assert {name for name in plugins if f"``{name}``" not in steps and f'``"{name}"``' not in steps} == set()


def test_every_make_target_is_documented() -> None:
    """CONTRIBUTING.rst names each target of the Makefile that `make help` lists."""
    targets = set(re.findall(r"^## make ([\w-]+)", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert targets == set(re.findall(r"``make ([\w-]+)", (ROOT / "CONTRIBUTING.rst").read_text()))


#: What a page may name although it does not exist: the example adapter, and what `make docs` builds.
ABSENT = re.compile(r"codespell|docs/_build/")
RST = [*sorted((ROOT / "docs").rglob("*.rst")), *sorted(ROOT.glob("*.rst"))]


@pytest.mark.parametrize("page", [path.relative_to(ROOT).as_posix() for path in RST])
def test_every_path_on_a_page_exists(page: str) -> None:
    """Each path that a page names exists in the repository or among the examples."""
    text = (ROOT / page).read_text()
    named = set(re.findall(r"``((?:bbmeasure|benchmarks|contrib|docs|scripts|steps|tests|www)/[\w/.-]*)``", text))
    places = (ROOT, ROOT / "docs" / "examples")
    absent = {path for path in named if not any((place / path).exists() for place in places)}
    assert {path for path in absent if not ABSENT.search(path)} == set()
