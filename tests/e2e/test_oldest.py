"""A real master of the oldest release of Buildbot that is supported, with its own interface's web server."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from bbmeasure.testing.site import Site
from tests.buildbots import OLDEST, python_with_buildbot
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


def test_it_measures_tracks_and_answers(tmp_path: Path) -> None:
    """Steps of both kinds of builder are measured and tracked, and the API answers at the address it has everywhere."""
    python = python_with_buildbot(OLDEST)
    with MailServer() as mail:
        config = f"RELEASE = {OLDEST!r}\nMAIL_PORT = {mail.port}\n{BASE_CONFIG}{CONFIG}"
        with Site(tmp_path, config, python=python) as site:
            check(site, mail)


def check(site: Site, mail: MailServer) -> None:
    """Build, and look at what the API and the mails have of it."""

    def api(path: str) -> Any:
        with urllib.request.urlopen(f"{site.url}plugins/bbmeasure/api/v1/{path}", timeout=20) as answer:
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
