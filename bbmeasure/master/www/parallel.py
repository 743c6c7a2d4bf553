"""Queries of one request that run in parallel."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Callable, TypeVar

from twisted.internet import defer

#: Queries that one request has running at a time.
MAX_PARALLEL_QUERIES = 8

Item = TypeVar("Item")
Result = TypeVar("Result")


@defer.inlineCallbacks
def map_parallel(
    function: Callable[[Item], defer.Deferred[Result]], items: Sequence[Item]
) -> Generator[Any, Any, list[Result]]:
    """The results for ``items`` in their order, MAX_PARALLEL_QUERIES at a time; the first error is raised."""
    results: list[Result] = []
    for start in range(0, len(items), MAX_PARALLEL_QUERIES):
        batch = [function(item) for item in items[start : start + MAX_PARALLEL_QUERIES]]
        try:
            results += yield defer.gatherResults(batch, consumeErrors=True)
        except defer.FirstError as error:
            cause: Any = error.subFailure.value
            raise cause from None
    return results
