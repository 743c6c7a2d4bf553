"""Validation of server URLs."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from bbmeasure.errors import QueryError
from bbmeasure.units import excerpt


def check_url(url: Any, name: str = "url", *, example: str = "https://influx.example.org:8086") -> str:
    """Return the URL of a server without a trailing slash.

    Raises QueryError unless it is an http or https URL without credentials, query and fragment.  The message starts
    with ``name`` and omits a URL that may contain a password.
    """
    if not isinstance(url, str):
        raise QueryError(f"{name} {excerpt(str(url))}: expected a URL such as {example}")
    shown = name if "@" in url else f"{name} {excerpt(url)}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise QueryError(f"{shown}: expected a URL such as {example}") from None
    if parts.username is not None or parts.password is not None:
        raise QueryError(f"{name}: expected a URL without user and password")
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or any(char <= " " for char in url):
        raise QueryError(f"{shown}: expected a URL such as {example}")
    if "?" in url or "#" in url:
        raise QueryError(f"{shown}: expected a URL without query and fragment")
    return url.rstrip("/")
