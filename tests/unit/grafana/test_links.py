"""Tests of links to Grafana, and of the check of URLs."""

from __future__ import annotations

import pytest

from bbmeasure.errors import QueryError
from bbmeasure.grafana.dashboards import BUILDER, SERIES
from bbmeasure.grafana.links import Grafana, check_dashboards
from bbmeasure.urls import check_url


def test_links_are_quoted():
    """A link to a builder or its series has quoted names, and times in milliseconds."""
    grafana = Grafana("https://grafana.example.org/sub")
    assert grafana.link() == "https://grafana.example.org/sub"
    assert grafana.link('a&b "c"/d') == (
        f"https://grafana.example.org/sub/d/{BUILDER}/builder?var-builder=a%26b%20%22c%22%2Fd"
    )
    assert grafana.link("b", "size", 1.5, 3.0) == (
        f"https://grafana.example.org/sub/d/{SERIES}/series?var-series=size&var-builder=b&from=1500&to=3000"
    )
    assert grafana.link("b", since=10.0).endswith("&from=10000&to=now")


def test_user_defined_dashboards():
    """A builder with a user-defined dashboard is linked to it, with its fields filled in."""
    grafana = Grafana("http://g", {"b 1": "/d/abc/first?var-builder={builder}", "c": "/d/x"})
    assert grafana.link("b 1", since=1.0, until=2.0) == "http://g/d/abc/first?var-builder=b%201&from=1000&to=2000"
    assert grafana.link("c", "size", 1.0, 2.0) == "http://g/d/x?from=1000&to=2000"
    assert grafana.link("c") == "http://g/d/x"
    assert grafana.link("d").startswith(f"http://g/d/{BUILDER}/")


@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "grafana.example.org",
            "ftp://g",
            "http://",
            "http://u:p@g",
            "http://u@g",
            None,
            5,
            "http://g:x",
            "http://[g",
        ),
        *(
            "https://g/?orgId=1",
            "https://g/#x",
            "https://g?",
            "https://g g",
            "https://g\n",
            " https://g",
            "https://g/\x00",
        ),
        *("http://u:p#x@g", "http://u:p?x@g", "ftp://u:p@g", "https://g/u:p@x?y"),
    ],
)
def test_invalid_urls_are_refused(url):
    """A URL that is invalid or has credentials is refused, without a password in the message."""
    with pytest.raises(QueryError) as error:
        check_url(url)
    assert "u:p" not in str(error.value)


@pytest.mark.parametrize("dashboards", [[], {"b": "d/x"}, {"b": 1}, {1: "/d/x"}, {"b": "/d/{worker}"}, {"b": "/d/{"}])
def test_dashboards_are_checked(dashboards):
    """Paths without a leading slash or with unknown fields are refused."""
    with pytest.raises(QueryError):
        check_dashboards(dashboards)
