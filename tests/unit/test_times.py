"""Parsing of times and ages."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bbmeasure import times
from bbmeasure.errors import QueryError
from bbmeasure.times import NANOSECONDS

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("90s", 90),
        ("15m", 900),
        ("1.5h", 5400),
        ("7d", 7 * 86400),
        ("3w", 21 * 86400),
        ("1y", 365 * 86400),
        (" 400d ", 400 * 86400),
    ],
)
def test_valid_ages(text: str, seconds: float) -> None:
    """An age is a number with the letter of its unit."""
    assert times.read_age(text) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "7 d", "-7d", "7D", "7days", "\uff17d", "7d\x00", "1e3s", None, 7])
def test_invalid_ages_are_refused(text: Any) -> None:
    """The message has the name of the argument and the expected form."""
    with pytest.raises(QueryError, match=r"retention .*: expected a number with s, m, h, d, w or y, such as 7d"):
        times.read_age(text, "retention")


@pytest.mark.parametrize(
    ("when", "seconds"),
    [
        (0, 0),
        (1_700_000_000, 1_700_000_000),
        (-5.5, -5.5),
        ("1700000000.5", 1_700_000_000.5),
        ("7d", NOW - 7 * 86400),
        (" 15m ", NOW - 900),
        ("2026-01-31\n", 1_769_817_600),
        ("2026-01-31", 1_769_817_600),
        ("2026-01-31T12:00:00", 1_769_860_800),
        ("2026-01-31T12:00:00Z", 1_769_860_800),
        ("2026-01-31T12:00:00z", 1_769_860_800),
        ("2026-01-31 14:00:00+02:00", 1_769_860_800),
        ("2026-01-31T12:00:00.250Z", 1_769_860_800.25),
        (datetime(2026, 1, 31, 12), 1_769_860_800),
        (datetime(2026, 1, 31, 12, tzinfo=timezone(timedelta(hours=-5))), 1_769_878_800),
    ],
)
def test_valid_times(when: times.When, seconds: float) -> None:
    """Unix seconds, ISO 8601, an age and a datetime become nanoseconds; a time without a zone is UTC."""
    assert times.read(when, NOW) == round(Fraction(seconds) * NANOSECONDS)


def test_none_is_an_open_end() -> None:
    """None is returned unchanged."""
    assert times.read(None, NOW) is None


@pytest.mark.parametrize(
    "when",
    [
        "",
        " ",
        "Z",
        "yesterday",
        "2026-13-01",
        "2026-01-31T25:00:00Z",
        "\uff12026-01-31",
        "1" * 400,
        "999y",
        "-5",
        "1e9",
        "nan",
        math.nan,
        math.inf,
        1e300,
        10**400,
        True,
        b"7d",
        [7],
        "9999-12-31",
        "0001-01-01",
        datetime.max,
        datetime.min,
        "2026-01-31T12:00:00Z; DROP TABLE points",
    ],
)
def test_invalid_times_are_refused(when: Any) -> None:
    """Other texts, and times that exceed 64 bits, raise a QueryError with the name of the argument."""
    with pytest.raises(QueryError, match=r"since .*: expected ISO 8601 .*, unix seconds, or an age such as 7d"):
        times.read(when, NOW, "since")


def test_a_message_has_an_excerpt_of_a_long_text() -> None:
    """The message is short even for ten megabytes of text."""
    with pytest.raises(QueryError) as caught:
        times.read("x" * 10_000_000, NOW)
    assert len(str(caught.value)) < 300


@given(st.integers(min_value=-(10**9), max_value=7 * 10**9))
def test_seconds_and_nanoseconds_are_inverse(second: int) -> None:
    """Whole seconds are converted exactly."""
    assert times.read(second, NOW) == second * NANOSECONDS
    assert times.seconds(second * NANOSECONDS) == second


@given(st.text(max_size=50))
def test_any_text_is_a_time_or_a_query_error(text: str) -> None:
    """Every text gives a time within 64 bits or raises QueryError."""
    try:
        answer = times.read(text, NOW)
    except QueryError:
        return
    assert answer is not None
    assert abs(answer) < 2**63
