"""Parsing and validation of the arguments in the URL of a request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Optional

from bbmeasure.errors import QueryError
from bbmeasure.model import (
    MOST_BUCKETS,
    SCALAR_FILTERS,
    Filters,
    OverviewQuery,
    Query,
    SeriesFilters,
    make_query,
    series_filters,
)
from bbmeasure.records import LONGEST_NAME, MOST_TAGS
from bbmeasure.units import excerpt

#: Prefix of the arguments that filter by a tag.
TAG_PREFIX = "tag."
#: The arguments that select points of a series.
FILTERS = (*SCALAR_FILTERS, "machine", TAG_PREFIX)
#: The number of points of an answer by default and at most; a larger range is read in parts by ``until``.
DEFAULT_POINTS = 10_000
MAX_POINTS = 100_000
#: The number of series of a page by default and at most, and the largest number of a page.
DEFAULT_SERIES = 500
MAX_SERIES = 10_000
MAX_PAGE = 1_000_000
#: The number of values of a row of the overview by default and at most, and the most words of a search.
DEFAULT_VALUES = 30
MAX_VALUES = 200
MAX_WORDS = 20
#: The largest id of a build.
MAX_BUILDID = 2**31 - 1

_MAX_LENGTHS = {
    "since": 40,
    "until": 40,
    "statistics": 1000,
    "limit": 20,
    "buckets": 20,
    "buildid": 20,
    "after": 20,
    "page": 20,
    "values": 20,
}
_DIGITS = re.compile(r"[0-9]{1,18}\Z", re.ASCII)


class Arguments:
    """The arguments of one request.

    QueryError for an argument that is not in ``known`` (where TAG_PREFIX stands for every tag) or is repeated.  An
    argument without a value counts as left out.
    """

    def __init__(self, raw_arguments: Mapping[bytes, Sequence[bytes]], known: Sequence[str]) -> None:
        self._texts: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        for raw_name, raw_values in raw_arguments.items():
            name = _decode("argument", raw_name)
            is_tag = name.startswith(TAG_PREFIX) and TAG_PREFIX in known
            if not is_tag and name not in known:
                expected = ", ".join(each + "KEY" if each == TAG_PREFIX else each for each in known) or "none"
                raise QueryError(f"argument {excerpt(name)}: expected one of {expected}")
            if len(raw_values) != 1:
                raise QueryError(f"{excerpt(name)}: got it {len(raw_values)} times, expected it once")
            text = _decode(name, raw_values[0])
            max_length = _MAX_LENGTHS.get(name, LONGEST_NAME)
            if len(text) > max_length:
                raise QueryError(f"{excerpt(name)}: got {len(text)} characters, expected at most {max_length}")
            if is_tag:
                self.tags[name[len(TAG_PREFIX) :]] = text
            elif text:
                self._texts[name] = text
        if len(self.tags) > MOST_TAGS:
            raise QueryError(f"{len(self.tags)} tags: expected at most {MOST_TAGS}")

    def get(self, name: str) -> Optional[str]:
        """The text of an argument; None if it is missing."""
        return self._texts.get(name)

    def require(self, name: str) -> str:
        """The text of an argument; QueryError if it is missing."""
        text = self._texts.get(name)
        if text is None:
            raise QueryError(f"{name}: expected it to be given")
        return text

    def query(self, now: float) -> Query:
        """The query for the points that match the filters; ``now`` in unix seconds."""
        filters: Filters = {
            "since": self.get("since"),
            "until": self.get("until"),
            "builder": self.get("builder"),
            "worker": self.get("worker"),
            "branch": self.get("branch"),
            "proposal": self.get("proposal"),
            "kind": self.get("kind"),
            "unit": self.get("unit"),
            "tags": self.tags,
        }
        query = make_query(self.require("series"), now=now, **filters)
        machine = self.get("machine")
        return query if machine is None else replace(query, machine=machine)

    def overview(self, now: float) -> OverviewQuery:
        """The query for one page of an overview; ``now`` in unix seconds."""
        names = {name: self.get(name) for name in ("builder", "branch", "kind", "unit", "since")}
        filters = make_query(self.get("series") or "any", now=now, **names)  # type: ignore[arg-type]  # all texts
        page = self.page() or slice(0, DEFAULT_SERIES)
        values = self.get("values")
        return OverviewQuery(
            series=filters.series if self.get("series") else None,
            search=tuple((self.get("search") or "").split()[:MAX_WORDS]),
            since=filters.since,
            builder=filters.builder,
            branch=filters.branch,
            kind=filters.kind,
            unit=filters.unit,
            offset=page.start,
            limit=page.stop - page.start,
            values=DEFAULT_VALUES if values is None else read_integer(values, "values", 0, MAX_VALUES),
        )

    def series_filter(self) -> SeriesFilters:
        """The filters of the list of series."""
        return series_filters(self.get("branch"), self.get("proposal"))

    def limit(self) -> int:
        """The maximum number of points."""
        text = self.get("limit")
        return DEFAULT_POINTS if text is None else read_integer(text, "limit", 1, MAX_POINTS)

    def page(self) -> Optional[slice]:
        """The requested page of series, from 1, each of ``limit``; None for all series."""
        page, limit = self.get("page"), self.get("limit")
        if page is None and limit is None:
            return None
        size = DEFAULT_SERIES if limit is None else read_integer(limit, "limit", 1, MAX_SERIES)
        number = 1 if page is None else read_integer(page, "page", 1, MAX_PAGE)
        return slice((number - 1) * size, number * size)

    def buckets(self) -> Optional[int]:
        """The number of buckets; None if points are requested."""
        text = self.get("buckets")
        return None if text is None else read_integer(text, "buckets", 1, MOST_BUCKETS)

    def flag(self, name: str) -> bool:
        """Whether an argument is 1; QueryError for anything but 0 and 1."""
        text = self.get(name)
        return text is not None and bool(read_integer(text, name, 0, 1))

    def buildid(self, name: str = "buildid") -> Optional[int]:
        """The id of a build."""
        text = self.get(name)
        return None if text is None else read_integer(text, name, 1, MAX_BUILDID)


def read_integer(text: str, name: str, minimum: int, maximum: int) -> int:
    """An integer in plain digits; QueryError if it is not from ``minimum`` to ``maximum``."""
    number = int(text) if _DIGITS.match(text) else -1
    if not minimum <= number <= maximum:
        raise QueryError(f"{name} {excerpt(text)}: expected a whole number from {minimum} to {maximum}")
    return number


def _decode(name: str, raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        escaped = excerpt(raw.decode("utf-8", "backslashreplace"))
        raise QueryError(f"{excerpt(name)} {escaped}: expected UTF-8") from None
