"""Validation of the base URLs of servers, and redaction of credentials."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmeasure.errors import QueryError
from bbmeasure.urls import check_url, redact_credentials

EXAMPLE = "https://server.example.org"
PASSWORD = "hunter2"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "does not start with http:// or https://"),
        ("server.example.org", "does not start with http:// or https://"),
        ("ftp://host", "does not start with http:// or https://"),
        ("http://", "has no host, or port 0"),
        (None, "got NoneType"),
        (5, "got int"),
        ("http://host:port", "host or port cannot be read"),
        ("http://host:0", "has no host, or port 0"),
        ("http://[host", "host or port cannot be read"),
        ("https://host/?orgId=1", "has a query or fragment"),
        ("https://host/#x", "has a query or fragment"),
        ("https://host?", "has a query or fragment"),
        ("https://host name", "has spaces or control characters"),
        ("https://host\n", "has spaces or control characters"),
        (" https://host", "has spaces or control characters"),
        ("https://host/\x00", "has spaces or control characters"),
        ("https://host/a=b", "has a path with other characters"),
        ("http://user@host", "has a user or password"),
    ],
)
def test_an_invalid_url_is_refused(url: Any, reason: str) -> None:
    """The message has the name of the argument, the reason and an example."""
    with pytest.raises(QueryError) as error:
        check_url(url, "server", example=EXAMPLE)
    assert str(error.value).startswith(f"server: {reason}")
    assert str(error.value).endswith(f"expected a URL such as {EXAMPLE}")


@pytest.mark.parametrize(
    "url",
    [
        f"http://bob:{PASSWORD}@h:8086",
        f"http://bob:{PASSWORD}#x@h",
        f"http://bob:{PASSWORD}?x@h",
        f"ftp://bob:{PASSWORD}@h",
        f"bob:{PASSWORD}@h:8086",
        f"bob:{PASSWORD}",
        PASSWORD,
        f"http:/bob:{PASSWORD}@h",
        f"http:/bob:{PASSWORD}",
        f"http://bob:{PASSWORD}",
        f"http://h:8086/?u=bob&p={PASSWORD}",
        f"http://h:8086/query?api_key={PASSWORD}",
        f"http://h:8086/api_key={PASSWORD}",
        f"http://h:8086/bob:{PASSWORD}@x",
        f"http://h:8086/bob:{PASSWORD}",
        f"http://h:8086/;p={PASSWORD}",
        f"http://h:8086/#{PASSWORD}",
        f"http://{PASSWORD}@[h",
        f"https//{PASSWORD}",
        f"http://h:{PASSWORD}",
        f"http://h\n/{PASSWORD}",
    ],
)
def test_what_may_be_a_password_is_refused_and_not_shown(url: str) -> None:
    """No part of a refused URL is in the message, whatever is wrong with it."""
    with pytest.raises(QueryError, match="^server: ") as error:
        check_url(url, "server", example=EXAMPLE)
    assert PASSWORD not in str(error.value)


def message_of(url: str) -> str:
    """The message for a URL, "" for a valid one."""
    try:
        check_url(url, "server", example=EXAMPLE)
    except QueryError as error:
        return str(error)
    return ""


@given(st.text(string.ascii_letters + "0123:/@?#&=;.%[] \n", max_size=12), st.text("htp:/s@?&=;#[", max_size=12))
def test_no_refused_url_is_shown(end: str, start: str) -> None:
    """A message is the same whatever the URL has in that place."""
    assert message_of(f"{start}{PASSWORD}{end}") == message_of(f"{start}secret7{end}")


@pytest.mark.parametrize(
    "url", ["http://host:8010", "https://[::1]:8086/prefix", "HTTP://127.0.0.1", "http://h:8480/insert/0%20a/influx"]
)
def test_a_valid_url_loses_its_last_slash(url: str) -> None:
    """With and without a slash it is the same URL."""
    assert check_url(url, "server", example=EXAMPLE) == check_url(f"{url}/", "server", example=EXAMPLE) == url


@pytest.mark.parametrize(
    "text",
    [
        f"POST http://bob:{PASSWORD}@host/ failed",
        f"bob:{PASSWORD}@h:8086 refused",
        f"redirected to http://h:8086/?u=bob&p={PASSWORD}",
        f"no answer from 'https://h/x?api_key={PASSWORD}'",
        f"https://h/x?a=1&X-Api-Key={PASSWORD}&b=2",
        f"token={PASSWORD}",
        f"access_token={PASSWORD}, ok",
        f"(password={PASSWORD})",
        f"http://h/;p={PASSWORD}",
        f"http://bob:{PASSWORD}/x@host/ failed",
    ],
)
def test_credentials_are_redacted(text: str) -> None:
    """Credentials in an error are replaced, the rest of it stays."""
    redacted = redact_credentials(text)
    assert PASSWORD not in redacted
    assert "***" in redacted


@pytest.mark.parametrize(
    "text", ["10:20:30 connection to 127.0.0.1:8086 refused", "http://h:8086/write: 404", "retention policy a=b", "x@y"]
)
def test_a_text_without_credentials_stays(text: str) -> None:
    """Times, addresses and other assignments are no credentials."""
    assert redact_credentials(text) == text
