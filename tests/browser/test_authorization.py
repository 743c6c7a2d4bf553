"""Authorization, links to other servers, and a master without an instance."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from bbmeasure.testing.site import Site
from tests.browser.config import LINUX, SECRET, config, measure, size
from tests.browser.elements import FOUND, PANEL, line_rows, names

#: Only the user ann may see the builds of SECRET.
_RULES = f"""
from buildbot.www.authz.endpointmatchers import EndpointMatcherBase, Match


class BuildsOfSecret(EndpointMatcherBase):
    @defer.inlineCallbacks
    def _match(self, builderid):
        builder = yield self.master.data.get(("builders", builderid))
        return Match(self.master) if builder is not None and builder["name"] == {SECRET!r} else None

    def match_BuildsEndpoint(self, endpoint, arguments, options):
        return self._match(arguments["builderid"]) if "builderid" in arguments else defer.succeed(None)


c["www"]["auth"] = util.RemoteUserAuth(header="X-User", headerRegex="(?P<username>[a-z]+)")
c["www"]["authz"] = util.Authz(
    allowRules=[BuildsOfSecret(role="admins")],
    roleMatchers=[util.RolesFromUsername(roles=["admins"], usernames=["ann"])],
)
"""
_LINKS = """
    util.SQLiteInstance(),
    util.InfluxDBInstance(url="http://127.0.0.1:1", database="x", username="shipper", password="pass-word", timeout=1),
    util.GrafanaInstance(url="https://grafana.example.org"),
"""


@pytest.fixture(scope="module")
def guarded(built, tmp_path_factory):
    """A master with Grafana and InfluxDB, and a builder that only ann may see."""
    folder = tmp_path_factory.mktemp("guarded")
    with Site(folder, config(builders=(LINUX, SECRET), services=_LINKS, more=_RULES), workers=()) as running:
        requests = [measure(running, LINUX, size(1000)), measure(running, LINUX, size(900))]
        requests += [measure(running, SECRET, size(7000), {"name": "only_secret", "value": 1})]
        running.builds = [running.wait_for_build(request) for request in requests]  # type: ignore[attr-defined]  # added for the tests
        yield running


def _names(page):
    expect(page.locator(FOUND)).to_be_visible()
    return names(page)


def test_hidden_builder(open_at, guarded):
    """Series, name, values and panel of a builder are hidden from users who may not see its builds."""
    page = open_at(guarded, extra_http_headers={"X-User": "bob"}).go("/measurements")
    assert _names(page) == ["build_size"]
    page.get_by_role("link", name="build_size").first.click()
    expect(line_rows(page)).to_have_count(1)
    assert SECRET not in page.locator("main").inner_html()
    page = open_at(guarded, extra_http_headers={"X-User": "bob"}).go("/measurements/only_secret")
    expect(page.get_by_text("There is no series named")).to_be_visible()
    hidden = guarded.builds[-1]
    page = open_at(guarded, extra_http_headers={"X-User": "bob"}).go(
        f"/builders/{hidden['builderid']}/builds/{hidden['number']}"
    )
    page.wait_for_load_state("networkidle")
    assert page.locator(PANEL).count() == 0


def test_allowed_user(open_at, guarded):
    """A user with access sees the series of the builder."""
    page = open_at(guarded, extra_http_headers={"X-User": "ann"}).go("/measurements")
    assert _names(page) == ["build_size", "only_secret"]


def test_links_lead_to_grafana_and_influxdb(open_at, guarded):
    """List, series and panel link to the configured servers; no URL contains credentials."""
    build = guarded.builds[1]
    for route in ("/measurements", "/measurements/build_size", f"/builders/{LINUX}/builds/{build['number']}"):
        page = open_at(guarded, extra_http_headers={"X-User": "ann"}).go(route)
        grafana = page.get_by_role("link", name="Grafana").first
        expect(grafana).to_be_visible()
        assert grafana.get_attribute("href").startswith("https://grafana.example.org"), route
        expect(page.get_by_role("link", name="InfluxDB").first).to_have_attribute("rel", "noopener noreferrer")
        assert "pass-word" not in page.content()


def test_master_without_an_instance(open_at, built, tmp_path):
    """Without an instance there is neither a menu entry nor a panel, and the page shows an explanation."""
    with Site(tmp_path, config(services=""), workers=()) as out:
        build = out.wait_for_build(measure(out, LINUX, size(1)))
        page = open_at(out).go(f"/builders/{build['builderid']}/builds/{build['number']}")
        expect(page.get_by_role("tab", name="Build steps")).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert page.locator(PANEL).count() == 0
        assert page.get_by_role("link", name="Measurements").count() == 0
        page = open_at(out).go("/measurements")
        expect(page.get_by_text("This Buildbot keeps no measurements.")).to_be_visible()
