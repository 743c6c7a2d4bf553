"""Configurations of the masters that are attacked, and programs that a pull request runs."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from typing import Any, Optional

from bbmeasure.testing.site import Site
from tests.e2e.masters import BASE_CONFIG

API = "plugins/bbmeasure/api/v1/"
#: A ref that every hook and poller takes for a pull request.
PULL_REQUEST = "refs/pull/7/merge"

#: Builders ``nightly`` and ``pr`` whose only step runs the Python program in the property ``program``.
REPORTING = (
    BASE_CONFIG
    + """
import sys

c["www"]["plugins"] = {"bbmeasure": {}}
c["services"] = [util.SQLiteInstance(trackBuildTimes=True)]
c["collapseRequests"] = False


def programs(name, *more, **arguments):
    f = util.BuildFactory()
    command = [sys.executable, "-c", util.Property("program")]
    f.addStep(steps.MeasureShellCommand(name="measure", command=command, **arguments))
    for step in more:
        f.addStep(step)
    c["builders"].append(util.MeasuredBuilderConfig(name=name, workernames=["worker"], factory=f))
    program = util.StringParameter(name="program", required=True, default="", maxsize=100_000)
    c["schedulers"].append(schedulers.ForceScheduler("force-" + name, builderNames=[name], properties=[program]))


programs("nightly")
programs("pr")
"""
)


def reporting(records: Iterable[Mapping[str, Any]]) -> str:
    """A program that reports these records in the sidecar file."""
    lines = "".join(json.dumps(record) + "\n" for record in records)
    return f"import os; open(os.environ['BBMEASURE_FILE'], 'w').write({lines!r})"


def get(site: Site, path: str, headers: Optional[Mapping[str, str]] = None, **arguments: Any) -> tuple[int, Any]:
    """Status and JSON of the API's answer."""
    query = "?" + urllib.parse.urlencode(arguments) if arguments else ""
    request = urllib.request.Request(site.url + API + path + query, headers=dict(headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def values(site: Site, series: str, builder: str, **more: Any) -> list[Any]:
    """The values of a series of a builder."""
    status, answer = get(site, "points", series=series, builder=builder, **more)
    return [point["value"] for point in answer["points"]] if status == 200 else []
