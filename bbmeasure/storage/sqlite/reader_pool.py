"""Threads that read the journal, started on first use."""

from __future__ import annotations

import contextlib
import queue
import sqlite3
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Optional, TypeVar

from twisted.internet import defer

from bbmeasure.errors import MeasureError, StorageBusyError, StorageError, StorageUnavailableError
from bbmeasure.storage.sqlite.journal import JournalReader

if TYPE_CHECKING:
    from typing_extensions import Concatenate, ParamSpec

    P = ParamSpec("P")

Result = TypeVar("Result")

#: Seconds between two attempts to open a file that is still being created.
_OPEN_INTERVAL = 0.02


@dataclass
class _Request:
    run: Callable[[JournalReader], Any]
    deferred: defer.Deferred[Any] = field(default_factory=defer.Deferred)
    cancelled: bool = False
    deadline: Optional[float] = None


class _Connection:
    """The connection of one thread.  ``lock`` is held during a request; a stale one is closed after it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.reader: Optional[JournalReader] = None
        self.stale = False

    def close(self) -> None:
        """Close it; ``lock`` must be held."""
        reader, self.reader, self.stale = self.reader, None, False
        if reader is not None:
            with contextlib.suppress(sqlite3.Error):  # nothing that a reader holds can be lost
                reader.close()


class ReaderPool:
    """Runs read requests in ``size`` threads, each with a connection of its own.

    A request that runs longer than ``timeout`` seconds fails, one whose Deferred is cancelled is interrupted, and one
    made while ``max_pending`` are pending is refused.
    """

    def __init__(
        self,
        open_reader: Callable[[Callable[[], bool]], JournalReader],
        call: Callable[..., Any],
        clock: Callable[[], float],
        may_appear: Callable[[], bool],
        *,
        name: str = "bbmeasure reader",
        size: int = 2,
        timeout: float = 10.0,
        max_pending: int = 2_000,
    ) -> None:
        """``open_reader(stop)`` opens the file.

        After a StorageUnavailableError it is called again as long as ``may_appear()`` is true.  ``call(function, ...)``
        calls a function in the reactor's thread; ``clock`` is monotonic, in seconds.
        """
        self._open = open_reader
        self._call = call
        self._clock = clock
        self._may_appear = may_appear
        self._name = name
        self._size = size
        self._timeout = timeout
        self._max_pending = max_pending
        self._requests: queue.SimpleQueue[Optional[_Request]] = queue.SimpleQueue()
        self._pending: set[int] = set()
        self._threads: list[threading.Thread] = []
        self._connections: list[_Connection] = []
        self._closed = False
        self.counters = Counter(dict.fromkeys(("refused_reads", "cancelled_reads", "read_timeouts", "failed_reads"), 0))

    def run(
        self, function: Callable[Concatenate[JournalReader, P], Result], *args: P.args, **keywords: P.kwargs
    ) -> defer.Deferred[Result]:
        """Call ``function`` with a reader in a thread; the Deferred fires with its result or a MeasureError.

        StorageUnavailableError when it was not run within the timeout.
        """
        if self._closed:
            return defer.fail(StorageUnavailableError("journal: closed"))
        if len(self._pending) >= self._max_pending:
            self.counters["refused_reads"] += 1
            return defer.fail(StorageBusyError(f"journal: {len(self._pending)} read requests are pending"))
        request = _Request(lambda reader: function(reader, *args, **keywords))
        request.deferred = defer.Deferred(lambda _: self._cancel(request))
        self._pending.add(id(request))
        self._requests.put(request)
        if len(self._threads) < self._size:
            name = f"{self._name} {len(self._threads)}"
            self._connections.append(_Connection())
            serve = threading.Thread(target=self._serve, args=(self._connections[-1],), name=name, daemon=True)
            self._threads.append(serve)
            self._threads[-1].start()
        return request.deferred

    def _cancel(self, request: _Request) -> None:
        request.cancelled = True
        self._pending.discard(id(request))
        self.counters["cancelled_reads"] += 1

    def close(self) -> None:
        """End the threads after their current requests; pending requests fail."""
        self._closed = True
        for _ in self._threads:
            self._requests.put(None)

    def close_connections(self) -> None:
        """Close each connection: at once where it is idle, else after its request.  Callable in any thread.

        The connections of a process share state in SQLite: one that was opened when the disk was read-only makes the
        writer's read-only too.
        """
        for connection in list(self._connections):
            connection.stale = True
            if connection.lock.acquire(blocking=False):
                connection.close()
                connection.lock.release()

    # in the threads

    def _serve(self, connection: _Connection) -> None:
        current: list[_Request] = []

        def stop() -> bool:
            return bool(current) and self._is_over(current[0])

        while True:
            request = self._requests.get()
            if request is None:
                break
            if request.cancelled:
                continue
            current[:] = [request]
            request.deadline = self._clock() + self._timeout
            with connection.lock:
                result = self._execute(request, connection, stop)
            current.clear()
            self._call(self._fire, request, result)
            if connection.stale:  # since the lock was held
                with connection.lock:
                    connection.close()
        with connection.lock:
            connection.close()

    def _execute(self, request: _Request, connection: _Connection, stop: Callable[[], bool]) -> Any:
        """The result or exception of a request."""
        try:
            if connection.stale or (connection.reader is not None and connection.reader.is_replaced()):
                connection.close()
            if connection.reader is None:
                connection.reader = self._open_when_created(request, stop)
            return request.run(connection.reader)
        except StorageError as error:
            connection.close()
            return self._explain(request, error)
        except MeasureError as error:
            return error
        except BaseException as error:  # noqa: BLE001  (counted, reported to the caller, and the thread goes on)
            self.counters["failed_reads"] += 1
            return StorageError(f"journal: {error!r}")

    def _is_over(self, request: _Request) -> bool:
        expired = request.deadline is not None and self._clock() > request.deadline
        return request.cancelled or self._closed or expired

    def _open_when_created(self, request: _Request, stop: Callable[[], bool]) -> JournalReader:
        while True:
            try:
                return self._open(stop)
            except StorageUnavailableError:
                if self._is_over(request) or not self._may_appear():
                    raise
            threading.Event().wait(_OPEN_INTERVAL)

    def _explain(self, request: _Request, error: StorageError) -> StorageError:
        """The error to report for one that was raised, perhaps by an interrupt."""
        if self._closed or request.cancelled:
            return StorageUnavailableError("journal: closed, or the request was cancelled")
        if self._is_over(request):
            self.counters["read_timeouts"] += 1
            return StorageUnavailableError(f"journal: no answer within {self._timeout:g} s ({error})")
        self.counters["failed_reads"] += 1
        return error

    # in the reactor

    def _fire(self, request: _Request, result: Any) -> None:
        self._pending.discard(id(request))
        if request.deferred.called:
            return  # cancelled
        if isinstance(result, Exception):
            request.deferred.errback(result)
        else:
            request.deferred.callback(result)
