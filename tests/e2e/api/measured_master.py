"""Configuration and points of the master whose JSON API is tested, and a client."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request

from bbmeasure.records import Record
from tests.e2e.masters import BASE_CONFIG

CONFIG = (
    BASE_CONFIG
    + """
from buildbot.www.authz.endpointmatchers import EndpointMatcherBase, Match
from twisted.internet import defer

c["www"]["plugins"] = {"bbmeasure": {}}
c["services"] = [
    util.SQLiteInstance(trackBuildTimes=True),
    util.InfluxDBInstance(url=INFLUXDB, database="buildbot"),
    util.InfluxDBInstance(
        name="away", url="http://127.0.0.1:1", database="x", username="shipper", password="pass-word-1", timeout=1
    ),
    util.GrafanaInstance(url="https://grafana.example.org", dashboards={"open": "/d/abc/first?var-builder={builder}"}),
]


class BuildsOf(EndpointMatcherBase):
    '''Restricts the builds of builders whose name contains a text.'''

    def __init__(self, part, **kwargs):
        self.part = part
        super().__init__(**kwargs)

    @defer.inlineCallbacks
    def match_BuildsEndpoint(self, endpoint, arguments, options):
        if "builderid" in arguments:
            builder = yield self.master.data.get(("builders", arguments["builderid"]))
            return Match(self.master) if builder is not None and self.part in builder["name"] else None
        return None


c["www"]["auth"] = util.RemoteUserAuth(header="X-User", headerRegex="(?P<username>[a-z]+)")
c["www"]["authz"] = util.Authz(
    allowRules=[BuildsOf("secret", role="admins")],
    roleMatchers=[util.RolesFromUsername(roles=["admins"], usernames=["admin"])],
)


def measured(value):
    f = util.BuildFactory()
    command = ["echo", value]
    f.addStep(steps.MeasureShellCommand(name="size", command=command, better="lower", tags={"opt": "O2"}))
    return f


for name, value in (("open", util.Interpolate("%(prop:buildnumber)s0 KiB")), ("secret-builder", "7000 KiB")):
    add(util.BuilderConfig(name=name, workernames=["worker"], factory=measured(value)))
"""
)


START = 1_700_000_000


MANY = 60_000


#: A name as a Record makes it.
HOSTILE = Record("<script>alert('x')</script> \"quoted\" \\ %s \u202e\u65e5\u672c", 1).name


class Client:
    """HTTP client of one user; a call returns (status, content, headers)."""

    def __init__(self, site, user):
        self.site = site
        self.base = site.url + "plugins/bbmeasure/api/v1/"
        self.headers = {}
        request = urllib.request.Request(site.url, headers={"X-User": user})
        with urllib.request.urlopen(request, timeout=60) as answer:
            self.headers["Cookie"] = answer.headers.get_all("Set-Cookie")[-1].split(";")[0]

    def __call__(self, path, method="GET", headers=None, **arguments):
        query = "?" + urllib.parse.urlencode(arguments) if arguments else ""
        request = urllib.request.Request(self.base + path + query, method=method)
        for key, value in {**self.headers, **(headers or {})}.items():
            request.add_header(key, value)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read(), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers

    def json(self, path, **arguments):
        """The content of an answer with status 200."""
        status, content, headers = self(path, **arguments)
        assert status == 200, content
        assert headers["Content-Type"] == "application/json; charset=utf-8"
        return json.loads(content)

    def error(self, path, **arguments):
        """Status and message of an error."""
        status, content, headers = self(path, **arguments)
        assert headers["Content-Type"] == "application/json; charset=utf-8"
        answer = json.loads(content)
        assert list(answer) == ["message"]
        return status, answer["message"]
