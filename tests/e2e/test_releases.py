"""Real masters of the oldest release of Buildbot that is supported and of a middle one, and what releases lack."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from bbmeasure.testing.site import Site
from tests.buildbots import OLDEST, RELEASES, ROOT, floors, installed_release, python_with_buildbot
from tests.e2e.masters import BASE_CONFIG, series_names
from tests.mail import MailServer, text_of

CONFIG = r"""
import buildbot
from buildbot.plugins import reporters
assert buildbot.version == RELEASE, buildbot.version

f = util.BuildFactory()
f.addStep(steps.Compile(name="compile", command=["sh", "-c", "echo 'a.c:1:2: warning: one'"]))
f.addStep(steps.MeasureShellCommand(name="size", command=["sh", "-c", "echo 2 KiB; echo made 3 > made"], unit="bytes"))
f.addStep(steps.SizeOf(name="made", path="made"))
add(util.MeasuredBuilderConfig(name="measured", workernames=["worker"], factory=f, trackAll=True))
add(util.BuilderConfig(name="plain", workernames=["worker"], factory=f))
c["www"]["plugins"] = {"bbmeasure": {}}
c["services"] = [
    util.SQLiteInstance(trackBuildTimes=True, trackStepTimes=True, trackStatistics=True),
    reporters.GitHubMeasurementsComment(token="a-token"),
    reporters.MailNotifier(
        fromaddr="buildbot@example.org", sendToInterestedUsers=False, extraRecipients=["team@example.org"],
        relayhost="127.0.0.1", smtpPort=MAIL_PORT, generators=[reporters.MeasurementsGenerator(mode="all")]),
]
"""
SERIES = {"size", "made", "made_files", "warnings", "build_duration", "queue_duration", "step_duration"}


#: The releases of which each run of the tests makes an environment.
BRIEF = [name for name, release in RELEASES.items() if release.is_brief]
#: The rows of the table of releases in docs/versions.rst, with the name of each in tests/release_features.py.
ROWS = {
    "Newest Twisted": "twisted",
    "*Measurements* page and panel": "page",
    "``lock_duration``": "lock_duration",
    "``step_duration`` without the wait for locks on any builder": "locks_of_steps",
    "``MeasurementsGenerator`` in ``GerritStatusPush``": "generators_of_gerrit",
    "Workers over MsgPack": "msgpack",
    "Buildbot's test kit: several steps in a test": "several_steps",
    "Buildbot's REST API writes in the reactor": "rest_in_reactor",
}


@pytest.mark.parametrize("name", BRIEF)
def test_it_measures_tracks_and_answers(name: str, tmp_path: Path) -> None:
    """Steps of both kinds of builder are measured and tracked, and the API answers at the address it has everywhere."""
    python = python_with_buildbot(RELEASES[name].version)
    with MailServer() as mail:
        config = f"RELEASE = {RELEASES[name].version!r}\nMAIL_PORT = {mail.port}\n{BASE_CONFIG}{CONFIG}"
        with Site(tmp_path, config, python=python) as site:
            check(site, mail)


@pytest.mark.parametrize("name", sorted({*BRIEF, installed_release().name}))
def test_the_documented_table_of_releases(name: str) -> None:
    """The column of a release in docs/versions.rst lists the features that it has."""
    found = json.loads(
        output_of(python_with_buildbot(RELEASES[name].version), str(ROOT / "tests" / "release_features.py"))
    )
    words = {True: "yes", False: "no", "": "no", "base": "yes", "base_react": "``base_react``"}
    column = {row: cells[name] for row, cells in documented().items()}
    pythons = RELEASES[name].pythons
    assert column.pop("Python on the master") == f"{pythons[0]} to {pythons[-1]}"
    if column["Newest Twisted"] == "any":
        del column["Newest Twisted"]
    assert column == {row: words.get(found[ROWS[row]], found[ROWS[row]]) for row in column}
    assert {*column, "Newest Twisted"} == set(ROWS)
    assert (RELEASES[name].plugins is None) == (not found["page"])


def documented() -> dict[str, dict[str, str]]:
    """The cells of the table of releases, by row and release."""
    text = (ROOT / "docs" / "versions.rst").read_text().partition(":name: release-table\n")[2].partition("\n\n\n")[0]
    body = text.partition("\n\n")[2].split("\n\n")[0]
    rows = [re.split(r"\n     - ", row) for row in re.split(r"(?:^|\n)   \* - ", body)[1:]]
    (_, *names), *others = [[" ".join(cell.split()) for cell in row] for row in rows]
    assert names == list(RELEASES)
    return {row: dict(zip(names, cells)) for row, *cells in others}


def test_the_oldest_libraries() -> None:
    """The environment of the oldest Buildbot has the oldest supported release of each library."""
    code = "import importlib.metadata, sys; print([importlib.metadata.version(name) for name in sys.argv[1:]])"
    names, versions = zip(*(one.split("==") for one in floors()))
    installed = output_of(python_with_buildbot(OLDEST), "-c", code, *names)
    for version, wanted in zip(re.findall("'([^']*)'", installed), versions):
        assert f"{version}.0".startswith(f"{wanted}."), (names, installed)


def output_of(python: str, *arguments: str) -> str:
    """The output of a Python."""
    done = subprocess.run([python, *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def check(site: Site, mail: MailServer) -> None:
    """Build, and look at what the API and the mails have of it."""

    def api(path: str) -> Any:
        with urllib.request.urlopen(f"{site.url}plugins/bbmeasure/api/v1/{path}", timeout=60) as answer:
            return json.load(answer)

    for builder in ("measured", "plain"):
        build = site.build(builder)
        assert build["results"] == 0

        def summary(build: Any = build) -> str:
            return str(site.steps(build)["size"]["state_string"])

        site.wait_for(lambda summary=summary: summary().startswith("size: 2 KiB"), "the step's summary", 60)
        site.wait_for(lambda: site.journal.exists() and set(series_names(site.journal)) >= SERIES, "series", 300)

        def records(build: Any = build) -> set[str]:
            return {record["series"] for record in api(f"records?buildid={build['buildid']}")["records"]}

        site.wait_for(lambda records=records: records() >= SERIES, "the build's records", 300)
    site.reconfig()
    assert {name for one in api("series")["series"] for name in one["builders"]} == {"measured", "plain"}
    assert api("statistics?series=size")["statistics"]["average"] == 2048
    assert {name for name, count in api("health")["counters"].items() if count} == {"captured"}
    sinks = {sink["name"]: sink["last_error"] for sink in api("health")["sinks"]}
    assert sinks == {"GitHubMeasurementsComment": None}
    site.wait_for(lambda: len(mail.to("team@example.org")) == 2, "a mail of each build", 60)
    assert "without baseline" in text_of(mail.mails[0])
