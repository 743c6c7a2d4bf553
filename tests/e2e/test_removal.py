"""Removal of bbmeasure on real masters: the documented steps, and what is left over in master.cfg or in a folder."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import version as installed

import pytest
import requests

from bbmeasure.errors import MeasureError
from bbmeasure.testing.site import Site
from tests import documented
from tests.buildbots import OLDEST, python_with_buildbot, python_without_bbmeasure
from tests.e2e.masters import BASE_CONFIG, count_of, report

MEASURED = (
    BASE_CONFIG
    + """
f = util.BuildFactory([steps.MeasureShellCommand(name="size", command=["echo", "5"])])
add(util.MeasuredBuilderConfig(name="first", workernames=["worker"], factory=f))
c["services"] = [util.SQLiteInstance(trackBuildTimes=True), util.MeasurementPolicy()]
c["www"]["plugins"] = {"bbmeasure": {}}
"""
)
PLAIN = (
    BASE_CONFIG
    + """
f = util.BuildFactory([steps.ShellCommand(name="size", command=["echo", "5"])])
add(util.BuilderConfig(name="first", workernames=["worker"], factory=f))
"""
)
#: What is left over in master.cfg, and the message in the log of the master, which does not start.
LEFT_OVER = {
    'c["www"]["plugins"] = {"bbmeasure": {}}': "could not find plugin bbmeasure; is it installed?",
    "from bbmeasure import captureData": "No module named 'bbmeasure'",
    'c["services"].append(util.SQLiteInstance())': "Unknown component name: SQLiteInstance",
    'f.addStep(steps.SizeOf(name="made", path="made"))': "Unknown component name: SizeOf",
}
PAGE = (documented.DOCS / "upgrading.rst").read_text()


@pytest.fixture(scope="module", params=[OLDEST, installed("buildbot")])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A stopped master that measured a build, after the documented removal from master.cfg and the environment."""
    folder = tmp_path_factory.mktemp("removal")
    measured = Site(folder / "site", MEASURED, python=python_with_buildbot(request.param))
    with measured:
        assert measured.build("first")["results"] == 0
        measured.write_config(PLAIN)
        measured.reconfig()
        assert measured.build("first")["results"] == 0
        api = requests.get(f"{measured.url}plugins/bbmeasure/api/v1/series", timeout=60)
        assert api.status_code == 404
    measured.python = python_without_bbmeasure(request.param, folder / "bare")
    try:
        yield measured
    finally:
        measured.stop()


def test_what_stays_is_documented(site: Site) -> None:
    """The folder of the master has no file of bbmeasure that the page does not name; the journal can be read."""
    names = {path.name for path in site.master_dir.iterdir() if "bbmeasure" in path.name}
    assert "bbmeasure.sqlite" in names
    assert {name for name in names if f"``{name}``" not in PAGE} == set()
    assert report(site.journal, "size")["count"] == 1


def test_a_master_without_bbmeasure(site: Site) -> None:
    """The master starts, shows the former builds with their values, and builds; the journal does not change."""
    before = site.journal.read_bytes()
    site.write_config(PLAIN)
    site.start_master()
    assert "size: 5" in site.steps({"buildid": 1})["size"]["state_string"]
    site.start_worker("worker")
    assert site.build("first")["results"] == 0
    site.stop()
    assert site.journal.read_bytes() == before


@pytest.mark.parametrize("line", LEFT_OVER)
def test_what_is_left_over_in_the_configuration(site: Site, line: str) -> None:
    """A master with a left-over line ends at its start, and logs the documented message; checkconfig may find it."""
    message = LEFT_OVER[line]
    assert re.search(rf"``{re.escape(message)}``", PAGE)
    (site.folder / "master.log").unlink(missing_ok=True)
    site.write_config(f"{PLAIN}{line}\n")
    with pytest.raises(MeasureError, match="the master ended"):
        site.start_master()
    log = (site.folder / "master.log").read_text()
    assert message in log
    assert "BuildMaster startup failed" in log
    assert site.master is not None
    assert site.master.popen.wait(60) == 0
    program = "from buildbot.scripts.runner import run; run()"
    command = [site.python, "-c", program, "checkconfig", str(site.master_dir)]
    checked = subprocess.run(command, cwd=site.master_dir, capture_output=True, text=True, timeout=120)
    assert checked.returncode == (0 if "plugin" in message else 1), checked.stdout + checked.stderr


def test_a_new_installation_continues_the_journal(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """With bbmeasure and the former master.cfg, the next build is in the same journal."""
    count = report(site.journal, "size")["count"]
    monkeypatch.setattr(site, "python", python_with_buildbot(release_of(site.python)))
    site.write_config(MEASURED)
    site.start()
    assert site.build("first")["results"] == 0
    site.wait_for(lambda: count_of(site.journal, "size") == count + 1, "the value", 60)
    site.stop()


def release_of(python: str) -> str:
    """The release of Buildbot of an environment."""
    program = "import importlib.metadata; print(importlib.metadata.version('buildbot'))"
    return subprocess.run([python, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
