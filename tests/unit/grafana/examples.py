"""Series, names and times of the tests of Grafana."""

from __future__ import annotations

from bbmeasure.model import SeriesInfo
from bbmeasure.records import Direction, Kind

START = 1_790_000_000 * 10**9
HOUR = 3600 * 10**9
#: Names with special characters of InfluxQL, regular expressions and Grafana.
HOSTILE = (
    "plain",
    'it\'s "quoted"',
    "back\\slash in\\ it",
    "a/b c",
    "^a.b*c(d)[e]{f}|g+h?i$",
    "日本 ünïcode",
    "#hash",
    "a,b=c",
)
#: Buildbot's names of masters: host and directory.
MASTERS = ("ci-1.example.org:/srv/master", "ci-2.example.org:/srv/master")
KNOWN = (
    SeriesInfo("wheel_size", Kind.SIZE, "bytes", Direction.LOWER),
    SeriesInfo('cov"erage', Kind.RATIO, "1", Direction.HIGHER),
    SeriesInfo("back\\slash", Kind.COUNT, "1", Direction.NONE),
    SeriesInfo("requests", Kind.NUMBER, "{request}", Direction.NONE),
    SeriesInfo("version", Kind.TEXT),
)


def dashboards_of(files):
    return {content["uid"]: content for name, content in files.items() if name.endswith(".json")}
