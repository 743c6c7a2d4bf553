"""Tests of Server: URL and equality."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bbmeasure.errors import QueryError
from bbmeasure.storage.influxdb.server import Server
from tests.unit.storage.influxdb.client_helpers import SECRET


@pytest.mark.parametrize(
    "url",
    [
        "",
        "influx.example.org:8086",
        "ftp://influx.example.org",
        "http://",
        "http://host:port",
        "http://host/?db=x",
        "http://host/#x",
        "http://ho st",
        "http://h\u00f6st",
        None,
    ],
)
def test_an_invalid_url_is_refused(url: Any) -> None:
    """A server with an invalid URL raises QueryError."""
    with pytest.raises(QueryError, match="url"):
        Server(url, "t")


@pytest.mark.parametrize(
    "url", [f"http://me:{SECRET}@host:8086", f"http://{SECRET}@host", f"http://me:{SECRET}@host:x"]
)
def test_a_password_in_a_url_is_refused_without_showing_it(url: str) -> None:
    """A password in the URL raises QueryError without it, as a URL is shown in logs and pages."""
    with pytest.raises(QueryError, match="url") as caught:
        Server(url, "t")
    assert SECRET not in str(caught.value)


def test_servers_are_equal_by_value() -> None:
    """Equal configurations are equal, so that a reconfig detects changes."""
    one = Server("http://host:8086", "t", password=SECRET)
    assert one == Server("http://host:8086", "t", password=SECRET)
    assert one != replace(one, password="other")
