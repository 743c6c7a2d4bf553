"""README.rst and the quick start: their code on a real master, and how the files read without being rendered."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from bbmeasure.testing.site import Site
from tests import documented
from tests.e2e.masters import BASE_CONFIG, report, run_command, series_names

README = documented.DOCS.parent / "README.rst"
QUICKSTART = documented.DOCS / "quickstart.rst"
#: Markup that shows a reader of the file less than a reader of the rendered page, or something else.
UNREADABLE = re.compile(
    r"literalinclude::|:(?:start-after|end-before|name|language):|:(?:doc|ref|term|file|class|func):`|"
    r"list-table::|toctree::|\.\. (?:raw|only|include|image|figure|csv-table)::|\|[\w ]+\||\.\. _"
)
README_PROJECT = {
    "Makefile": "all:\n\tmkdir -p build dist && echo built >build/it && echo wheel >dist/project.whl\n",
    "src/it.py": "print(1)\n",
    "project/core.py": "def foo(number):\n    return number + 1\n",
}


@pytest.mark.parametrize("page", [README, QUICKSTART], ids=lambda page: page.name)
def test_the_file_is_complete_without_being_rendered(page: Path) -> None:
    """The file has no markup that hides text; it names the address of the page and the place of the script."""
    text = page.read_text()
    assert UNREADABLE.findall(text) == []
    assert documented.blocks(page, "python")
    assert "http://localhost:8010/#/measurements" in text
    assert "scripts/size.sh" in text
    assert "repository" in text
    assert max(map(len, text.splitlines())) <= 120


def test_the_page_is_where_they_say() -> None:
    """The page's menu and route are what the quick start names."""
    entry = (documented.DOCS.parent / "www" / "src" / "index.tsx").read_text()
    assert 'route: "/measurements"' in entry
    assert 'caption: "Measurements"' in entry


def test_the_quick_start_on_a_master(tmp_path: Path) -> None:
    """A master with the blocks of the quick start measures its script in the directory of the build."""
    setup, step = documented.blocks(QUICKSTART, "python")
    (script,) = documented.blocks(QUICKSTART, "sh")
    assert script == documented.example("scripts/size.sh")
    factory = "f = util.BuildFactory()\n"
    builder = 'add(util.BuilderConfig(name="first", workernames=["worker"], factory=f))\n'
    with Site(tmp_path, BASE_CONFIG + factory + step + builder + setup) as site:
        checkout = site.folder / "worker" / "first" / "build"
        write(checkout, {"scripts/size.sh": script, "build/product": "x" * 2048})
        first, second = (site.build("first") for _ in range(2))
        assert (first["results"], second["results"]) == (0, 0)
        assert site.steps(second)["build_size"]["state_string"].startswith("build_size: 2 KiB (")
        page = requests.get(f"{site.url}plugins/bbmeasure/scripts.js", timeout=60)
        assert page.status_code == 200
        check, printed = (
            run_command(*command, "--master", str(site.master_dir)) for command in (["check"], ["report", "build_size"])
        )
        assert (check.returncode, printed.returncode) == (0, 0), check.stdout + check.stderr
        assert "2 KiB" in printed.stdout


def test_the_readme_on_a_master(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example of README.rst measures a small project with every step that it has."""
    (config,) = documented.blocks(README, "python")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    repository = tmp_path / "project"
    write(repository, {**README_PROJECT, "scripts/size.sh": documented.example("scripts/size.sh")})
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@example.org"]
    for command in (["init", "-q", "-b", "master"], ["add", "."], [*identity, "commit", "-q", "-m", "A project"]):
        subprocess.run(["git", *command], cwd=repository, check=True)
    assert "https://example.org/project.git" in config
    config = config.replace("https://example.org/project.git", repository.as_uri())
    force = 'c["schedulers"] = [schedulers.ForceScheduler("force-first_builder", builderNames=["first_builder"])]\n'
    base = BASE_CONFIG.replace('worker.Worker("worker"', 'worker.Worker("bot1"')
    with Site(tmp_path / "site", base + config + force, workers=["bot1"]) as site:
        build = site.build("first_builder")
        assert build["results"] == 0, [step["state_string"] for step in site.steps(build).values()]
        wanted = {"build_size", "wheel_size", "total_SLOC", "lint", "runtime_of_foo", "fetch", "compile"}
        site.wait_for(lambda: {*wanted, "build_duration"} <= set(series_names(site.journal)), "the series", 120)
        assert report(site.journal, "wheel_size", "--statistics", "last")["statistics"] == {"last": 6}


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files below a folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
