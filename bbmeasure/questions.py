"""Making a Query of what a person wrote: on the command line, in master.cfg, in an address."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from bbmeasure import times
from bbmeasure.errors import QueryError
from bbmeasure.records import check_tags
from bbmeasure.storage.base import Query
from bbmeasure.units import excerpt


def make_query(
    series: str,
    *,
    now: float,
    since: times.When = None,
    until: times.When = None,
    builder: Optional[str] = None,
    worker: Optional[str] = None,
    tags: Optional[Mapping[str, Any]] = None,
) -> Query:
    """The Query for what a person wrote; ``now`` in unix seconds.  QueryError says which argument was off."""
    for what, got in (("builder", builder), ("worker", worker)):
        if got is not None and not isinstance(got, str):
            raise QueryError(f"{what} {excerpt(str(got))}: expected a name")
    try:
        checked = check_tags(tags, reserved=False) if tags else {}
    except ValueError as error:
        raise QueryError(f"tags: {error}") from None
    begin, end = times.read(since, now, "since"), times.read(until, now, "until")
    return Query(series, begin, end, builder or None, worker or None, checked)
