"""Validation of the base URLs of servers."""

from __future__ import annotations

from typing import Any

import pytest

from bbmeasure.errors import QueryError
from bbmeasure.urls import check_url

EXAMPLE = "https://server.example.org"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "server.example.org",
        "ftp://host",
        "http://",
        None,
        5,
        "http://host:port",
        "http://host:0",
        "http://[host",
        "https://host/?orgId=1",
        "https://host/#x",
        "https://host?",
        "https://host name",
        "https://host\n",
        " https://host",
        "https://host/\x00",
    ],
)
def test_an_invalid_url_is_refused(url: Any) -> None:
    """The message has the name of the argument and the URL."""
    with pytest.raises(QueryError, match="^server '.*': expected a URL"):
        check_url(url, "server", example=EXAMPLE)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:password@host",
        "http://user@host",
        "http://user:password#x@host",
        "http://user:password?x@host",
        "ftp://user:password@host",
        "https://host/user:password@x?y",
    ],
)
def test_a_url_with_credentials_is_refused_without_showing_them(url: str) -> None:
    """The message has the name of the argument alone."""
    with pytest.raises(QueryError, match="^server: expected") as error:
        check_url(url, "server", example=EXAMPLE)
    assert "user:password" not in str(error.value)


@pytest.mark.parametrize("url", ["http://host:8010", "https://[::1]:8086/prefix", "HTTP://127.0.0.1"])
def test_a_valid_url_loses_its_last_slash(url: str) -> None:
    """With and without a slash it is the same URL."""
    assert check_url(url, "server", example=EXAMPLE) == check_url(f"{url}/", "server", example=EXAMPLE) == url
