"""Parsing and validation of the arguments in the URL of a request."""

from __future__ import annotations

import pytest

from bbmeasure.errors import QueryError
from bbmeasure.master.www.arguments import DEFAULT_POINTS, Arguments


def arguments(**texts: str) -> Arguments:
    return Arguments({name.encode(): [text.encode()] for name, text in texts.items()}, ["limit", "buckets", "buildid"])


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "x", "100001", "9" * 18, "\u0661", "1e3", " 5"])
def test_an_invalid_limit_is_refused(text: str) -> None:
    """Anything but plain digits from 1 to 100,000 raises a QueryError that names the argument."""
    with pytest.raises(QueryError, match="^limit .*: expected a whole number from 1 to 100000"):
        arguments(limit=text).limit()


def test_integers_within_their_bounds() -> None:
    """Limit, buckets and buildid are the integers in the URL; without a limit there is a default."""
    given = arguments(limit="100000", buckets="2000", buildid="2147483647")
    assert (given.limit(), given.buckets(), given.buildid()) == (100_000, 2_000, 2**31 - 1)
    missing = arguments()
    assert (missing.limit(), missing.buckets(), missing.buildid()) == (DEFAULT_POINTS, None, None)


@pytest.mark.parametrize("name", ["buckets", "buildid"])
@pytest.mark.parametrize("text", ["0", "2147483648", "one"])
def test_other_integers_out_of_bounds_are_refused(name: str, text: str) -> None:
    """The message names the argument."""
    with pytest.raises(QueryError, match=f"^{name} "):
        getattr(arguments(**{name: text}), name)()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({b"unknown": [b"1"]}, "argument 'unknown': expected one of limit, buckets, buildid"),
        ({b"tag.os": [b"linux"]}, "argument 'tag.os': expected one of"),
        ({b"limit": [b"1", b"2"]}, "'limit': got it 2 times, expected it once"),
        ({b"limit": [b"9" * 21]}, "'limit': got 21 characters, expected at most 20"),
        ({b"limit": [b"\xff"]}, "expected UTF-8"),
        ({b"\xff": [b"1"]}, "expected UTF-8"),
    ],
)
def test_invalid_arguments_are_refused(raw: dict[bytes, list[bytes]], message: str) -> None:
    """An argument that is unknown, repeated, too long or not UTF-8 raises QueryError."""
    with pytest.raises(QueryError) as error:
        Arguments(raw, ["limit", "buckets", "buildid"])
    assert message in str(error.value)


def test_a_required_argument_that_is_missing() -> None:
    """The message names the argument; an empty argument counts as missing."""
    with pytest.raises(QueryError, match="buildid: expected it to be given"):
        arguments(buildid="").require("buildid")
