"""The threads that read the journal: a few, made at first use, so that a slow question holds up nobody else's."""

from __future__ import annotations

import queue
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Optional

from twisted.internet import defer

from bbmeasure.errors import MeasureError, StorageError, StorageUnavailableError
from bbmeasure.storage.sqlite.journal import JournalReader

#: Seconds between two looks for a file that is still being made.
_LOOK_AGAIN = 0.02


@dataclass
class _Question:
    run: Callable[[JournalReader], Any]
    deferred: defer.Deferred[Any] = field(default_factory=defer.Deferred)
    cancelled: bool = False
    until: Optional[float] = None


class ReaderPool:
    """Answers questions in ``size`` threads, each with a connection of its own.

    A question that takes longer than ``limit`` seconds fails, one whose Deferred is cancelled is broken off, and one
    that comes while ``most_waiting`` wait is refused.
    """

    def __init__(
        self,
        open_reader: Callable[[Callable[[], bool]], JournalReader],
        call: Callable[..., Any],
        clock: Callable[[], float],
        may_come: Callable[[], bool],
        *,
        name: str = "bbmeasure reader",
        size: int = 2,
        limit: float = 10.0,
        most_waiting: int = 2_000,
    ) -> None:
        """``open_reader(stop)`` opens the file; where it fails with StorageUnavailableError and the file
        ``may_come``, that is tried again.

        ``call(function, ...)`` has it called in the reactor, ``clock`` is a monotonic one in seconds.
        """
        self._open = open_reader
        self._call = call
        self._clock = clock
        self._may_come = may_come
        self._name = name
        self._size = size
        self._limit = limit
        self._most_waiting = most_waiting
        self._questions: queue.SimpleQueue[Optional[_Question]] = queue.SimpleQueue()
        self._waiting: set[int] = set()
        self._threads: list[threading.Thread] = []
        self._closed = False
        self.counters = Counter(dict.fromkeys(("refused_questions", "cancelled_questions", "slow_questions"), 0))
        self.counters["failed_questions"] = 0

    def ask(self, run: Callable[[JournalReader], Any]) -> defer.Deferred[Any]:
        """The answer of ``run``; fails with a MeasureError, StorageUnavailableError where there was no time for it."""
        if self._closed:
            return defer.fail(StorageUnavailableError("journal: closed"))
        if len(self._waiting) >= self._most_waiting:
            self.counters["refused_questions"] += 1
            return defer.fail(StorageUnavailableError(f"journal: {len(self._waiting)} questions wait already"))
        question = _Question(run)
        question.deferred = defer.Deferred(lambda _: self._cancel(question))
        self._waiting.add(id(question))
        self._questions.put(question)
        if len(self._threads) < self._size:
            name = f"{self._name} {len(self._threads)}"
            self._threads.append(threading.Thread(target=self._run, name=name, daemon=True))
            self._threads[-1].start()
        return question.deferred

    def _cancel(self, question: _Question) -> None:
        question.cancelled = True
        self._waiting.discard(id(question))
        self.counters["cancelled_questions"] += 1

    def close(self) -> None:
        """Have the threads end when they are done with what they do; what waits is refused."""
        self._closed = True
        for _ in self._threads:
            self._questions.put(None)

    # in the threads

    def _run(self) -> None:
        reader: Optional[JournalReader] = None
        current: list[_Question] = []

        def stop() -> bool:
            return bool(current) and self._is_over(current[0])

        while True:
            question = self._questions.get()
            if question is None:
                break
            if question.cancelled:
                continue
            current[:] = [question]
            question.until = self._clock() + self._limit
            reader, answer = self._answer(question, reader, stop)
            current.clear()
            self._call(self._fire, question, answer)
        if reader is not None:
            reader.close()

    def _answer(
        self, question: _Question, reader: Optional[JournalReader], stop: Callable[[], bool]
    ) -> tuple[Optional[JournalReader], Any]:
        """The answer, or the error there was, and the reader for the next question: none where this one broke."""
        try:
            if reader is None:
                reader = self._wait_for_file(question, stop)
            return reader, question.run(reader)
        except StorageError as error:
            if reader is not None:
                reader.close()
            return None, self._explain(question, error)
        except MeasureError as error:
            return reader, error
        except BaseException as error:  # noqa: BLE001  (counted, told to who asked, and the thread lives on)
            self.counters["failed_questions"] += 1
            return reader, StorageError(f"journal: {error!r}")

    def _is_over(self, question: _Question) -> bool:
        return question.cancelled or self._closed or (question.until is not None and self._clock() > question.until)

    def _wait_for_file(self, question: _Question, stop: Callable[[], bool]) -> JournalReader:
        while True:
            try:
                return self._open(stop)
            except StorageUnavailableError:
                if self._is_over(question) or not self._may_come():
                    raise
            threading.Event().wait(_LOOK_AGAIN)

    def _explain(self, question: _Question, error: StorageError) -> StorageError:
        if self._closed or question.cancelled:
            return StorageUnavailableError("journal: closed, or the question was taken back")
        if self._is_over(question):
            self.counters["slow_questions"] += 1
            return StorageUnavailableError(f"journal: no answer within {self._limit:g} s ({error})")
        self.counters["failed_questions"] += 1
        return error

    # in the reactor

    def _fire(self, question: _Question, answer: Any) -> None:
        self._waiting.discard(id(question))
        if question.deferred.called:
            return  # it was cancelled
        if isinstance(answer, Exception):
            question.deferred.errback(answer)
        else:
            question.deferred.callback(answer)
