"""The documented master.cfg on a real master and worker: each example captures the documented series."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bbmeasure.testing.site import Site
from tests import documented
from tests.e2e.masters import wait_for_points

PROJECT_TEST = """
import unittest


class ProjectTest(unittest.TestCase):
    def test_it_imports(self):
        __import__("project")

    def test_it_counts(self):
        self.assertEqual(1 + 1, 2)
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git repository with the scripts of the documentation and a small project around them."""
    folder = tmp_path_factory.mktemp("project")
    files = {f"scripts/{path.name}": path.read_text() for path in (documented.EXAMPLES / "scripts").iterdir()}
    files |= {"project/__init__.py": "", "tests/test_project.py": PROJECT_TEST}
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@example.org"]
    for command in (["init", "-q", "-b", "master"], ["add", "."], [*identity, "commit", "-q", "-m", "A project"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


#: Unit and kind of each documented series.
DOCUMENTED = {
    "build_size": ("bytes", "size"),
    "tests": ("1", "number"),
    "test_time": ("s", "duration"),
    "import_time": ("s", "duration"),
    "fetch": ("s", "duration"),
    "first_builder.compile_time": ("s", "duration"),
    "build_duration": ("s", "duration"),
    "queue_duration": ("s", "duration"),
}


@pytest.fixture(scope="module")
def site(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The documented master with its worker."""
    config = documented.example("master.cfg")
    for documented_text, here in {
        '"tcp:8010:interface=127.0.0.1"': 'f"tcp:{WWW_PORT}:interface=127.0.0.1"',
        '"tcp:9989:interface=127.0.0.1"': 'f"tcp:{PB_PORT}:interface=127.0.0.1"',
        "https://example.org/project.git": repository.as_uri(),
        '"pass"': '"demo"',
    }.items():
        assert documented_text in config
        config = config.replace(documented_text, here)
    with Site(tmp_path_factory.mktemp("site"), config, workers=["bot1"]) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def builds(site: Site) -> list[Any]:
    """Two builds of the documented builder, with their values in the journal."""
    done = [site.build("first_builder") for _ in range(2)]
    wait_for_points(site, dict.fromkeys(DOCUMENTED, 2))
    return done


def ask(site: Site, *arguments: str) -> Any:
    """The JSON that the command line prints while the master runs."""
    done = subprocess.run(
        [sys.executable, "-m", "bbmeasure", *arguments, "--master", str(site.master_dir), "--json"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def test_its_builds_succeed(site: Site, builds: list[Any]) -> None:
    """Both builds and all their steps are SUCCESS."""
    for build in builds:
        steps = site.steps(build)
        assert {step["results"] for step in steps.values()} == {0}, [step["state_string"] for step in steps.values()]


@pytest.mark.parametrize("series", DOCUMENTED)
def test_each_example_gives_its_series(site: Site, series: str) -> None:
    """Every documented series has one value of each build, in its unit."""
    found = {one["name"]: one for one in ask(site, "series")["series"]}
    assert (found[series]["unit"], found[series]["kind"]) == DOCUMENTED[series]
    assert found[series]["count"] == 2
    assert found[series]["builders"] == ["first_builder"]


def test_the_values_are_what_was_measured(site: Site, repository: Path) -> None:
    """The captured size is that of the built file, and the captured number of tests is right."""
    (archive,) = Path(site.folder).rglob("project.zip")
    assert ask(site, "report", "build_size", "--statistics", "last")["statistics"] == {"last": archive.stat().st_size}
    assert ask(site, "report", "tests", "--statistics", "minimum,maximum")["statistics"] == {"minimum": 2, "maximum": 2}


def test_points_can_be_selected_by_the_documented_tags(site: Site) -> None:
    """Points have the tags of the builder, of a track method and of a record."""
    for series, tag in [
        ("build_size", "platform=linux"),
        ("first_builder.compile_time", "phase=build"),
        ("import_time", "module=project"),
    ]:
        assert ask(site, "report", series, "--tag", tag)["count"] == 2


def test_a_summary_shows_the_value_and_its_change(site: Site, builds: list[Any]) -> None:
    """The summary of the second build's step has the value and its change."""
    step = site.steps(builds[1])["build_size"]
    assert re.fullmatch(r"build_size: [\d.]+ \w+ \(\+0 %\)", step["state_string"])
