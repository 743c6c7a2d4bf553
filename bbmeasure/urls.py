"""Validation of server URLs, and redaction of credentials in messages."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from bbmeasure.errors import QueryError

#: A path without characters that separate credentials from the rest.
_PATH = re.compile(r"[A-Za-z0-9._~/%+-]*\Z")
#: A user and password before a host, and a parameter whose name is that of a secret, or of InfluxDB's user or password.
#: The bounds keep the time linear in the length of a text that a server sent.
_USER_INFO = re.compile(r"(?<=//)\S{1,500}@|[^\s/@:'\"(]{1,200}:(?!//)[^\s@]{1,300}@")
_PARAMETER = re.compile(
    r"(\b[\w.-]{0,40}(?:key|token|secret|passw(?:or)?d|pwd|auth|credentials?|signature)\b|(?<=[?&;])[up])"
    r"=[^\s&;,'\")]+",
    re.IGNORECASE,
)


def check_url(url: Any, name: str = "url", *, example: str = "https://influx.example.org:8086") -> str:
    """Return the URL of a server without a trailing slash.

    Raises QueryError unless it is an http or https URL without credentials, query and fragment.  The message starts
    with ``name``, has the reason, and never a part of the URL: whatever is wrong with it, any part may be a password.
    """
    reason = _why_invalid(url)
    if reason:
        raise QueryError(f"{name}: {reason}: expected a URL such as {example}")
    return str(url).rstrip("/")


def _why_invalid(url: Any) -> str:
    """The reason for which ``url`` is refused, "" for none."""
    if not isinstance(url, str):
        return f"got {type(url).__name__}"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "host or port cannot be read"
    checks = (
        (parts.scheme in ("http", "https"), "does not start with http:// or https://"),
        (not (parts.username or parts.password or "@" in url), "has a user or password"),
        (not any(char <= " " for char in url), "has spaces or control characters"),
        (bool(parts.hostname) and port != 0, "has no host, or port 0"),
        ("?" not in url and "#" not in url, "has a query or fragment"),
        (_PATH.match(parts.path), "has a path with other characters than letters, digits and ._~/%+-"),
    )
    return next((reason for is_valid, reason in checks if not is_valid), "")


def redact_credentials(text: str) -> str:
    """``text`` with ``***`` in place of what may be credentials: ``user:password@``, ``?p=...``, ``api_key=...``."""
    return _PARAMETER.sub(r"\1=***", _USER_INFO.sub("***@", text))
