"""Parsing of times and ages that people write.  Internally, a time is nanoseconds since 1970 in UTC."""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone
from typing import Optional, Union

from bbmeasure.errors import QueryError
from bbmeasure.units import excerpt

#: Nanoseconds of a second: points have times in nanoseconds since 1970 in UTC.
NANOSECONDS = 10**9
#: The forms of a time: unix seconds, ISO 8601, an age such as ``7d``, or a datetime.
When = Union[float, int, str, datetime, None]

_AGE = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,6})?)(?P<unit>ms|[smhdwy])\Z")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
_SECONDS_TEXT = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,9})?\Z")
#: 2200-01-01; nanoseconds in 64 bits end in 2262.
_LATEST = 7_258_118_400.0


def read_age(text: str, what: str = "age") -> float:
    """Seconds of an age such as ``90s``, ``15m``, ``12h``, ``7d``, ``3w`` or ``1y`` (365 days); else QueryError."""
    match = _AGE.match(text.strip()) if isinstance(text, str) else None
    if match is None:
        raise QueryError(f"{what} {excerpt(str(text))}: expected a number with s, m, h, d, w or y, such as 7d")
    return float(match.group("number")) * _SECONDS[match.group("unit")]


def read(when: When, now: float, what: str = "time") -> Optional[int]:
    """Nanoseconds of ``when``; None for None.  An age counts back from ``now``, in unix seconds.

    A time without a zone is UTC.  QueryError, with ``what`` as the name of the argument, if it is not a time.
    """
    if when is None:
        return None
    return nanoseconds(_seconds(when, now, what))


def nanoseconds(seconds: float) -> int:
    """Nanoseconds of finite unix seconds, exact for whole seconds."""
    whole = math.floor(seconds)
    return whole * NANOSECONDS + round((seconds - whole) * NANOSECONDS)


def seconds(nanoseconds: int) -> float:
    """Unix seconds of a time in nanoseconds."""
    return nanoseconds / NANOSECONDS


def _seconds(when: When, now: float, what: str) -> float:
    got = when
    if isinstance(when, str):
        when = _from_text(when.strip(), now)
    if isinstance(when, datetime):
        when = (when if when.tzinfo else when.replace(tzinfo=timezone.utc)).timestamp()
    if isinstance(when, (int, float)) and not isinstance(when, bool) and abs(when) < _LATEST:
        return float(when)
    raise QueryError(
        f"{what} {excerpt(str(got))}: expected ISO 8601 (2026-01-31T12:00:00Z), unix seconds, or an age such as 7d, "
        "before 2200"
    )


def _from_text(text: str, now: float) -> Union[float, datetime, None]:
    if _SECONDS_TEXT.match(text):
        return float(text)
    age = _AGE.match(text)
    if age:
        return now - float(age.group("number")) * _SECONDS[age.group("unit")]
    if len(text) > 40 or not text.isascii():
        return None
    try:
        return datetime.fromisoformat(text[:-1] + "+00:00" if text[-1:] in "Zz" and text else text)
    except ValueError:
        return None
