"""Buildbot 3's interface in AngularJS, which shows no plugin of React."""

from __future__ import annotations

from playwright.sync_api import expect

from bbmeasure.testing.site import Site
from tests.browser.config import LINUX, config, get_json, measure, size
from tests.buildbots import OLDEST, python_with_buildbot


def test_it_is_unchanged(open_at, built, tmp_path):
    """The pages of a builder and of a build are complete, without a script error; the JSON API answers."""
    with Site(tmp_path, config(builders=(LINUX,)), workers=(), python=python_with_buildbot(OLDEST)) as site:
        build = site.wait_for_build(measure(site, LINUX, size(1_048_576)))
        visit = open_at(site)
        page = visit.go(f"/builders/{build['builderid']}/builds/{build['number']}")
        expect(page.get_by_text("capture").first).to_be_visible()
        assert page.evaluate("angular.module('bbmeasure').name") == "bbmeasure"
        expect(visit.go("/builders").get_by_text(LINUX).first).to_be_visible()
        assert get_json(site, "records", buildid=build["buildid"])["records"][0]["series"] == "build_size"
