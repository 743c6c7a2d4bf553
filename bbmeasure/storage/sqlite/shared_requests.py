"""Requests that several callers share, and work in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Optional, TypeVar

from twisted.internet import defer

from bbmeasure.errors import MeasureError, StorageError
from bbmeasure.storage.sqlite.journal import JournalReader
from bbmeasure.storage.sqlite.reader_pool import ReaderPool

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    P = ParamSpec("P")

Result = TypeVar("Result")


class SharedRequests:
    """Runs requests in a pool; a request equal to one under way, with no commit between them, shares its result."""

    def __init__(self, pool: ReaderPool, commits: Callable[[], int]) -> None:
        """``commits()`` is the number of commits so far."""
        self.pool = pool
        self._commits = commits
        self._shared: dict[Hashable, _Shared] = {}

    def run(
        self,
        key: Hashable,
        function: Callable[Concatenate[JournalReader, P], Result],
        *args: P.args,
        **keywords: P.kwargs,
    ) -> defer.Deferred[Result]:
        """The result of ``function``; ``key`` is equal for requests with an equal result."""
        key = (key, self._commits())
        shared = self._shared.get(key)
        if shared is not None:
            return shared.wait()
        shared = self._shared[key] = _Shared()
        result = shared.wait()
        shared.request = self.pool.run(function, *args, **keywords)
        shared.request.addBoth(self._fire, key)
        return result

    def _fire(self, result: Any, key: Hashable) -> None:
        for waiting in self._shared.pop(key).waiting:
            waiting.callback(result)


class _Shared:
    """A request under way, and the Deferreds of its callers; it is interrupted when the last of them is cancelled."""

    def __init__(self) -> None:
        self.request: Optional[defer.Deferred[Any]] = None
        self.waiting: list[defer.Deferred[Any]] = []

    def wait(self) -> defer.Deferred[Any]:
        """A further Deferred for the result."""
        self.waiting.append(defer.Deferred(self._cancel))
        return self.waiting[-1]

    def _cancel(self, cancelled: defer.Deferred[Any]) -> None:
        self.waiting.remove(cancelled)
        if not self.waiting and self.request is not None:
            self.request.cancel()


def in_thread(
    call: Callable[..., Any], function: Callable[P, Result], *args: P.args, **keywords: P.kwargs
) -> defer.Deferred[Result]:
    """Call a blocking function in a daemon thread; ``call`` calls a function in the reactor's thread."""
    result: defer.Deferred[Result] = defer.Deferred()

    def run() -> None:
        try:
            call(result.callback, function(*args, **keywords))
        except MeasureError as error:
            call(result.errback, error)
        except BaseException as error:  # noqa: BLE001  (reported to the caller)
            call(result.errback, StorageError(f"journal: {error!r}"))

    threading.Thread(target=run, name="bbmeasure file", daemon=True).start()
    return result
