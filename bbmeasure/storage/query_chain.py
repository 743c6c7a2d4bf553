"""Chains of queries of a store: each query is made from the results of those before."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Callable, TypeVar

from twisted.internet import defer

Result = TypeVar("Result")

#: A generator that yields calls of a store's methods, such as ``methodcaller("lines", query)``, and gets their results.
QueryChain = Generator[Callable[[Any], Any], Any, Result]


def run_blocking(reader: Any, chain: QueryChain[Result]) -> Result:
    """The result of a chain by a reader whose methods return results."""
    result = None
    while True:
        try:
            call = chain.send(result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        result = call(reader)


@defer.inlineCallbacks
def run_chain(storage: Any, chain: QueryChain[Result]) -> Generator[Any, Any, Result]:
    """The result of a chain by a store whose methods return Deferreds."""
    result = None
    while True:
        try:
            call = chain.send(result)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        result = yield call(storage)
