"""Tests of GrafanaInstance: arguments and links."""

from __future__ import annotations

import pytest
from buildbot.config.errors import ConfigErrors
from buildbot.plugins import util

from bbmeasure import GrafanaInstance


def test_it_is_a_buildbot_plugin():
    """``util.GrafanaInstance`` is the class of ``bbmeasure``."""
    assert util.GrafanaInstance is GrafanaInstance


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, "expected url=, such as https://grafana.example.org"),
        ({"url": None}, "url: got NoneType: expected a URL"),
        ({"url": "https://grafana.example.org", "trackBuildTimes": True}, "unknown argument trackBuildTimes: expected"),
        ({"url": "https://grafana.example.org", "dashboards": []}, "dashboards '[]': expected a mapping"),
        ({"url": "grafana.example.org"}, "url"),
        ({"url": "https://user:pass-word@grafana.example.org"}, "has a user or password"),
        ({"url": "https://grafana.example.org", "dashboards": {"b": "abc"}}, "/d/abc/first"),
        ({"url": "https://grafana.example.org", "dashboards": {"b": "/d/{worker}"}}, "{builder}"),
    ],
)
def test_an_invalid_argument_is_a_configuration_error(arguments, named):
    """The error has the instance's name and the reason, without a password."""
    with pytest.raises(ConfigErrors) as error:
        GrafanaInstance(**arguments)
    assert error.value.errors[0].startswith("GrafanaInstance: ")
    assert named in error.value.errors[0]
    assert "pass-word" not in str(error.value)


def test_arguments_are_keyword_only():
    """A positional argument is refused."""
    with pytest.raises(TypeError):
        GrafanaInstance("https://grafana.example.org")


def test_links_follow_the_configuration():
    """Without a configuration there is no link; a reconfig replaces the links."""
    instance = GrafanaInstance(url="https://one.example.org")
    assert instance.measure_links() == {"grafana": None}
    instance.reconfigService(url="https://one.example.org/")
    assert instance.measure_links() == {"grafana": "https://one.example.org"}
    instance.reconfigService(url="https://two.example.org", dashboards={"b": "/d/x"})
    assert instance.measure_links(builder="b", since=1.0, until=2.0) == {
        "grafana": "https://two.example.org/d/x?from=1000&to=2000"
    }
