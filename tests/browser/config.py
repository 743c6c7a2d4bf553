"""Configuration and builds of the master that the browser tests use."""

from __future__ import annotations

import json
import math
import random
import time
import urllib.parse
import urllib.request
from typing import Any

from bbmeasure.testing.site import Site
from tests.buildbots import installed_release

LINUX, WINDOWS = "linux", "windows"
#: The builder whose series have hostile names.
ODD = "odd"
#: A builder that anonymous users may not see.
SECRET = "secret-builder"
BUILDS = 14

HOSTILE = {
    "script": "<script>window.pwned = 1</script>",
    "quotes": "quote\" apostrophe' & <b>bold</b>",
    "right to left": "RTL \u05d0\u05d1\u05d2 mark",
    "long": "x" * 500,
    "address": "a/b%41?c#d&e=f+g",
}
HOSTILE_TAGS = {"<img src=x onerror='window.pwned=2'>": "\u202e\"'><i>", "long": "y" * 500}

_CONFIG = """
import json
import math

from buildbot.plugins import schedulers, steps, util, worker
from buildbot.process import buildstep, results
from twisted.internet import defer

from bbmeasure import captureData


class Capture(buildstep.BuildStep):
    name = "capture"

    @defer.inlineCallbacks
    def run(self):
        for record in json.loads(self.getProperty("records")):
            yield captureData(build=self, **record)
        return results.SUCCESS


class Bulk(buildstep.BuildStep):
    name = "bulk"

    @defer.inlineCallbacks
    def run(self):
        count = int(self.getProperty("bulk"))
        begin = float(self.getProperty("begin"))
        yield defer.gatherResults([
            captureData("bulk", 12 + math.sin(n / 300) + (n * 7919 % 101) / 100, build=self, unit="s", better="lower",
                        time=begin + 60 * n)
            for n in range(count)
        ])
        return results.SUCCESS


c = BuildmasterConfig = {{}}
c["title"] = "Example"
c["titleURL"] = c["buildbotURL"] = f"http://127.0.0.1:{{WWW_PORT}}/"
c["protocols"] = {{"null": {{}}}}
c["workers"] = [worker.LocalWorker("bot1")]
c["buildbotNetUsageData"] = None
c["collapseRequests"] = False
names = {builders!r}
f = util.BuildFactory([Capture(), Bulk(doStepIf=lambda step: step.getProperty("bulk") != "0")])
c["builders"] = [util.BuilderConfig(name=name, workernames=["bot1"], factory=f) for name in names]
c["schedulers"] = [
    schedulers.ForceScheduler("force-" + name, builderNames=[name], properties=[
        util.StringParameter(name="records", default="[]"), util.StringParameter(name="bulk", default="0"),
        util.StringParameter(name="begin", default="0"),
    ]) for name in names
]
c["www"] = {{"port": f"tcp:{{WWW_PORT}}:interface=127.0.0.1", "plugins": {{{plugins}}}}}
c["services"] = [{services}]
{more}
"""


def config(
    *,
    builders: tuple[str, ...] = (LINUX, WINDOWS, ODD),
    plugins: str = '"bbmeasure": {}',
    services: str = "util.SQLiteInstance()",
    more: str = "",
) -> str:
    """A master.cfg whose builders capture the records in the property ``records`` of a build."""
    plugins = (installed_release().plugins or "") + plugins
    return _CONFIG.format(builders=builders, plugins=plugins, services=services, more=more)


def measure(site: Site, builder: str, *records: dict[str, Any], **parameters: Any) -> int:
    """Request a build that captures ``records``; the id of the build request."""
    return site.force(builder, records=json.dumps(records), **parameters)


def size(value: float, **more: Any) -> dict[str, Any]:
    """A record of the series ``build_size``."""
    return {"name": "build_size", "value": value, "unit": "bytes", "better": "lower", **more}


def seed(site: Site) -> None:
    """Run builds with sizes, times, ratios, lines by language, texts and hostile names."""
    chance = random.Random(42)
    begin = time.time() - BUILDS * 86400
    requests = []
    for number in range(BUILDS):
        for builder, factor in ((LINUX, 1.0), (WINDOWS, 1.3)):
            at = begin + number * 86400
            requests.append(measure(site, builder, *_records(chance, number, factor, at)))
    at = begin + BUILDS * 86400 - 600
    hostile = [
        {"name": name, "value": 1000.0 + at_ % 7, "tags": HOSTILE_TAGS, "time": at + at_}
        for name in HOSTILE.values()
        for at_ in (0, 1)
    ]
    last = [size(1_400_000), {"name": "coverage", "value": 0.79, "unit": "ratio", "better": "higher"}]
    requests.append(measure(site, ODD, *hostile))
    requests.append(measure(site, LINUX, *last, bulk="10000", begin=str(begin - 10_000 * 60)))
    requests.append(measure(site, LINUX, size(1_260_000), {"name": "coverage", "value": 0.771, "unit": "ratio"}))
    for request in requests:
        site.wait_for_build(request)


def _records(chance: random.Random, number: int, factor: float, at: float) -> list[dict[str, Any]]:
    wave = math.sin(number / 3) * 0.03 + chance.gauss(0, 0.01)
    lines = {"Python": 21_000, "TypeScript": 4_800, "Shell": 900, "CSS": 420}
    return [
        size(round(1_350_000 * factor * (1 + wave)), time=at),
        {"name": "compile_time", "value": 93 * factor * (1 + 3 * wave), "unit": "s", "better": "lower", "time": at + 1},
        {
            "name": "runtime_of_foo", "value": 0.0123 * factor * (1 - 2 * wave), "unit": "s", "better": "lower",
            "time": at + 2,
        },
        {"name": "coverage", "value": 0.78 + wave / 2, "unit": "ratio", "better": "higher", "time": at + 3},
        {"name": "requests", "value": 5200 * (1 + wave), "unit": "{request}", "better": "higher", "time": at + 4},
        {"name": "compiler", "value": "gcc 12.2.0" if number < 9 else "gcc 13.1.0", "time": at + 5},
        *(
            {
                "name": "lines_by_language", "value": round(count * (1 + number / 90)), "kind": "count",
                "tags": {"language": language}, "time": at + 6,
            }
            for language, count in lines.items()
        ),
    ]  # fmt: skip


def get_json(site: Site, path: str, **arguments: Any) -> Any:
    """The answer of the JSON API."""
    query = urllib.parse.urlencode(arguments)
    with urllib.request.urlopen(f"{site.url}plugins/bbmeasure/api/v1/{path}?{query}", timeout=60) as answer:
        return json.load(answer)
