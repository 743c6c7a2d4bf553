"""A user who may not see a builder sees nothing of it, at once."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from typing import Any

import pytest

from bbmeasure.testing.site import Site
from tests.attacks.masters import get
from tests.e2e.masters import BASE_CONFIG, points_of

#: ``HIDDEN`` are the builders that guests may not see; the rules are those of a subclass without rules of its own.
CONFIG = (
    BASE_CONFIG
    + """
from buildbot.www.authz.authz import Forbidden
from buildbot.process.buildstep import BuildStep
from buildbot.process.results import SUCCESS
from twisted.internet import defer, reactor
import time


class Rules(util.Authz):
    @defer.inlineCallbacks
    def assertUserAllowed(self, endpoint, action, options, user):
        if endpoint[0] == "builders" and user.get("username") != "admin":
            builder = yield self.master.data.get(("builders", int(endpoint[1])))
            if builder["name"] in HIDDEN:
                raise Forbidden(b"hidden")


class SetClockBack(BuildStep):
    name = "clock"

    def run(self):
        reactor.seconds = lambda: time.time() - 3600.0
        return SUCCESS


c["www"]["plugins"] = {"bbmeasure": {}}
c["www"]["auth"] = util.RemoteUserAuth(header="X-User", headerRegex="(?P<username>[a-z]+)")
c["www"]["authz"] = Rules()
c["services"] = [util.SQLiteInstance(trackBuildTimes=True)]


def measured(name, *more, command=("echo", "7 KiB"), step="size", **arguments):
    f = util.BuildFactory([steps.MeasureShellCommand(name=step, command=list(command)), *more])
    add(util.BuilderConfig(name=name, workernames=["worker"], factory=f, **arguments))


measured("open")
measured("clock", SetClockBack())
measured("real", properties={"virtual_builder_name": "virtual"})
measured("impostor", properties={"virtual_builder_name": "open"})
measured("secret", command=("echo", "3 s"), step="hidden_series")
if MORE:
    measured("new", command=("echo", "9 KiB"))
"""
)
GUEST, ADMIN = {"X-User": "guest"}, {"X-User": "admin"}


def config(*hidden: str, more: bool = False) -> str:
    """The configuration that hides these builders, with or without the builder ``new``."""
    return f"HIDDEN, MORE = {set(hidden)!r}, {more!r}\n{CONFIG}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A master that hides the virtual builder ``virtual`` and the builder ``secret`` from guests."""
    with Site(tmp_path_factory.mktemp("site"), config("virtual", "secret")) as running:
        for builder in ("open", "real", "impostor", "secret"):
            assert running.build(builder)["results"] == 0
        running.wait_for(lambda: len(durations(running)) == 4, "the builds' durations", 60)
        yield running


def durations(site: Site) -> list[Any]:
    """The durations of builds in the journal."""
    return [point for point in points_of(site.journal) if point.series == "build_duration"]


def cookie(site: Site, user: dict[str, str]) -> dict[str, str]:
    """The session of a user."""
    connection = http.client.HTTPConnection("127.0.0.1", site.ports["WWW_PORT"], timeout=60)
    connection.request("GET", "/", headers=user)
    cookies = connection.getresponse().headers.get_all("Set-Cookie") or [""]
    session = cookies[-1].split(";")[0]
    connection.close()
    return {"Cookie": session}


def builders_seen(site: Site, user: dict[str, str]) -> set[str]:
    """The builders whose values a user gets anywhere."""
    session = cookie(site, user)
    seen: set[str] = set()
    for series in ("size", "hidden_series", "build_duration"):
        status, answer = get(site, "points", session, series=series)
        seen |= {point["builder"] for point in answer["points"]} if status == 200 else set()
    status, answer = get(site, "series", session)
    assert status == 200
    return seen | {builder for one in answer["series"] for builder in one["builders"]}


def test_a_hidden_virtual_builder(site: Site) -> None:
    """Values of a virtual builder that is hidden are shown by no name, and add nothing to another builder's."""
    assert builders_seen(site, GUEST) == {"open"}
    shown = {"open", "virtual", "open (virtual builder of impostor)", "secret"}
    assert builders_seen(site, ADMIN) == shown
    guest = cookie(site, GUEST)
    for builder in ("real", "virtual", "impostor", "open (virtual builder of impostor)"):
        status, answer = get(site, "statistics", guest, series="size", builder=builder)
        assert status == 403 or answer["count"] == 0, builder
    assert get(site, "statistics", guest, series="size")[1]["count"] == 1


@pytest.mark.parametrize("path", ["statistics", "points"])
def test_a_hidden_series_asked_for_with_an_open_builder(site: Site, path: str) -> None:
    """Unit and kind of a series that only hidden builders have are not told."""
    status, answer = get(site, path, cookie(site, GUEST), series="hidden_series", builder="open")
    assert (status, list(answer)) == (403, ["message"])
    assert get(site, path, cookie(site, ADMIN), series="hidden_series", builder="open")[1]["unit"] == "s"


def test_a_builder_that_a_reconfiguration_adds_or_hides(site: Site) -> None:
    """A new hidden builder, and one that is hidden from now on, are hidden in the next request, whatever the clock."""
    assert site.build("clock")["results"] == 0
    assert builders_seen(site, GUEST) == {"open", "clock"}
    site.write_config(config("virtual", "secret", "new", "open", more=True))
    site.reconfig()
    assert site.build("new")["results"] == 0
    assert builders_seen(site, GUEST) == {"clock"}
    assert "new" in builders_seen(site, ADMIN)
    site.write_config(config("virtual", more=True))
    site.reconfig()
    assert builders_seen(site, GUEST) == {"open", "clock", "new", "secret"}


@pytest.mark.parametrize(
    "path",
    ["plugins/bbmeasure/", "plugins/bbmeasure/%00", "plugins/bbmeasure/a%00b", "plugins/bbmeasure/../bbmeasure/"]
    + ["plugins/bbmeasure/api/v1/%00", "plugins/bbmeasure/api/%00/series", "plugins/bbmeasure/%ff", "plugins/%00"]
    + ["plugins/bbmeasure/" + "x" * 5_000, "plugins/bbmeasure/api/v1/series/%00", "plugins/bbmeasure/.."],
)
def test_paths_that_are_no_files(site: Site, path: str) -> None:
    """No folder is listed, and no path is an internal error."""
    connection = http.client.HTTPConnection("127.0.0.1", site.ports["WWW_PORT"], timeout=60)
    connection.request("GET", "/" + path)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    assert answer.status in (400, 403, 404), content[:200]
    assert b"scripts.js" not in content
    assert b"Traceback" not in content


@pytest.mark.parametrize(
    "name", ["series", "builder", "worker", "branch", "proposal", "tag.k", "source", "since", "by"]
)
@pytest.mark.parametrize("path", ["statistics", "points", "records", "links", "series"])
def test_nul_and_others_in_arguments(site: Site, path: str, name: str) -> None:
    """An argument with NUL, a line break or characters that are not shown is no internal error."""
    for value in ("\x00", "a\x00b", "\r\n", "\u202e", "'\"\\", "\U0010ffff"):
        arguments = {"series": "size", name: value} if path != "records" else {"buildid": value}
        assert get(site, path, cookie(site, ADMIN), **arguments)[0] in (200, 400, 403, 404)
