"""Master folders with a journal whose points wait for an exporter, and their configurations."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from bbmeasure.cli import main
from bbmeasure.model import BuildContext, Point
from bbmeasure.times import NANOSECONDS

SECRET = "s3cr3t-w0rd"
START = 1_700_000_000
NOW = START * NANOSECONDS
BUILD = BuildContext("first", "bot1", 1, 101)

TAC = """\
from twisted.application import service
from buildbot.master import BuildMaster
application = service.Application("buildmaster")
BuildMaster(".", "master.cfg").setServiceParent(application)
"""
CONFIG = """\
from buildbot.plugins import schedulers, secrets, util, worker
from bbmeasure import InfluxDBInstance, SQLiteInstance, VictoriaMetricsInstance

print("a master.cfg may print")
c = BuildmasterConfig = {{
    "workers": [worker.Worker("w", "p")],
    "protocols": {{"pb": {{"port": "tcp:0:interface=127.0.0.1"}}}},
    "builders": [util.BuilderConfig("b", workernames=["w"], factory=util.BuildFactory())],
    "schedulers": [schedulers.ForceScheduler("force", builderNames=["b"])],
    "buildbotNetUsageData": None,
    "secretsProviders": [secrets.SecretInAFile({secrets!r})],
    "services": [{services}],
}}
"""


def points(count: int, series: str = "size") -> list[Point]:
    """Points of one series, a second apart."""
    return [Point(series, NOW + number * 10**9, float(number), {}, BUILD) for number in range(count)]


def configure(master: Path, *services: str) -> None:
    """Write a master.cfg with these services."""
    text = CONFIG.format(secrets=str(master / "secrets"), services=", ".join(services))
    (master / "master.cfg").write_text(text)


def run_json(capsys: Any, *arguments: Any) -> tuple[int, dict[str, Any]]:
    """Run a command with ``--json``; its exit status and its answer, in which no secret may occur."""
    status = main.main([str(argument) for argument in [*arguments, "--json"]])
    out, err = capsys.readouterr()
    assert SECRET not in out + err
    return status, json.loads(out.splitlines()[-1])


def point(second: float, value: Any, series: str = "size", builder: Optional[str] = "first", **more: Any) -> Point:
    """A point of a build, or outside builds."""
    build = None if builder is None else BuildContext(builder, "bot1", 1, 101)
    return Point(series, int((START + second) * NANOSECONDS), value, build=build, **more)


Run = Callable[..., "Result"]


class Result:
    """Exit status and output of a command."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)
