"""JudgeQueue: requests to judge, answered one after the other by a process of their own.

Judging is Python code, which would hold the interpreter lock of the master in any thread.  The process is started at
the first request and lives on; it opens the store itself.  One that ends or takes too long is counted and replaced.
"""

from __future__ import annotations

import contextlib
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from twisted.internet import defer, error, protocol
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from bbmeasure.capture import child_process
from bbmeasure.errors import LimitError, StorageError, StorageUnavailableError
from bbmeasure.reports import judge_process
from bbmeasure.reports.build_judge import Judged
from bbmeasure.reports.judge_process import LENGTH, Answers, Failed, Lines, Opener, Request, frame

#: The most requests that wait.
MAX_QUEUED = 1_000
#: Seconds that the process may take for one request.
REQUEST_TIMEOUT = 10.0
#: Seconds of one request after which the queue accepts no other that a build waits for.
STUCK_AFTER = 5.0
#: The largest frame of the process, in bytes, and the end of its standard error that is kept.
MAX_FRAME = 64 * 1024 * 1024
MAX_STDERR = 2_000

Count = Callable[[str, str], None]


@dataclass
class _Task:
    """A request, made when its turn comes; ``then`` is called with its answer before the next request's turn."""

    opener: Opener
    make: Callable[[], Request]
    then: Callable[[Any], Any]
    done: defer.Deferred[Any] = field(default_factory=defer.Deferred)


class JudgeQueue:
    """The requests of one master, in turn of their builders."""

    def __init__(self, reactor: Any, count: Count) -> None:
        self._reactor = reactor
        self._count = count
        self._waiting: OrderedDict[str, deque[_Task]] = OrderedDict()
        self._queued = 0
        self._busy_since: Optional[float] = None
        self._process: Optional[_Process] = None
        self._ends_with_reactor = False

    def run(
        self,
        opener: Opener,
        builder: str,
        make: Callable[[], Request],
        *,
        then: Callable[[Any], Any] = lambda answer: answer,
        urgent: bool = False,
    ) -> defer.Deferred[Any]:
        """The result of ``then`` with the answer to a request; a StorageError or LimitError where there is none.

        An ``urgent`` request, which a build waits for, is refused while another takes long.
        """
        stuck = self._busy_since is not None and self._reactor.seconds() - self._busy_since > STUCK_AFTER
        if self._queued >= MAX_QUEUED or (urgent and stuck):
            return defer.fail(LimitError(f"{self._queued} builds wait to be judged: no more are accepted"))
        task = _Task(opener, make, then)
        self._waiting.setdefault(builder, deque()).append(task)
        self._queued += 1
        self._next()
        return task.done

    def _next(self) -> None:
        """Begin the next request, unless one is under way."""
        while self._busy_since is None and self._waiting:
            builder, tasks = self._waiting.popitem(last=False)
            task = tasks.popleft()
            if tasks:
                self._waiting[builder] = tasks
            self._queued -= 1
            if task.done.called:  # cancelled while it waited
                continue
            self._busy_since = self._reactor.seconds()
            self._work(task).addBoth(self._ended, task)

    @defer.inlineCallbacks
    def _work(self, task: _Task) -> Generator[Any, Any, Any]:
        answer = yield self._ask(task)
        result = yield task.then(answer)
        return result

    def _ended(self, result: Any, task: _Task) -> None:
        self._busy_since = None
        if not task.done.called:
            task.done.callback(result)
        elif isinstance(result, Failure):
            self._count("verdicts_failed", f"after its deadline: {result.value}")
        self._reactor.callLater(0, self._next)

    # the process

    def _ask(self, task: _Task) -> defer.Deferred[Any]:
        request = task.make()
        if not isinstance(self._reactor.getThreadPool(), ThreadPool):  # the reactor of Buildbot's test kit
            return defer.execute(_answer_here, task.opener, request)
        process = self._process
        if process is None or process.ended or process.opener != task.opener:
            self._end_process()
            process = self._process = _Process(self._reactor, task.opener, self._count)
            if not self._ends_with_reactor:
                self._ends_with_reactor = True
                self._reactor.addSystemEventTrigger("before", "shutdown", self.stop)
        return process.ask(request)

    @property
    def pid(self) -> Optional[int]:
        """The id of the process; None where there is none."""
        return None if self._process is None or self._process.ended else int(self._process.transport.pid)

    def stop(self) -> defer.Deferred[None]:
        """Refuse what waits, and end the process; fires when it has ended.  It is started again when needed."""
        waiting, self._waiting, self._queued = self._waiting, OrderedDict(), 0
        for task in (task for tasks in waiting.values() for task in tasks):
            if not task.done.called:
                task.done.errback(StorageUnavailableError("the master stops"))
        return self._end_process()

    def _end_process(self) -> defer.Deferred[None]:
        process, self._process = self._process, None
        return defer.succeed(None) if process is None else process.stop()


def _answer_here(opener: Opener, request: Request) -> Any:
    """The answer without another process."""
    answers = Answers(opener)
    try:
        return _Answer().of(answers.of(request))
    finally:
        answers.close()


class _Answer:
    """Collects the messages of one answer."""

    def __init__(self) -> None:
        self._lines: list[Any] = []

    def add(self, message: Any) -> Optional[Any]:
        """The answer, where ``message`` is its last."""
        if isinstance(message, Lines):
            self._lines += message.lines
            return None
        if isinstance(message, Failed):
            return Failure(StorageError(message.why))  # type: ignore[no-untyped-call]
        return judge_process.join(self._lines, message) if isinstance(message, Judged) else message

    def of(self, messages: Any) -> Any:
        """The answer of all its messages."""
        answers = [answer for message in messages if (answer := self.add(message)) is not None]
        return answers[-1]


class _Process(protocol.ProcessProtocol):
    """The process, and the request that it works on."""

    transport: Any

    def __init__(self, reactor: Any, opener: Opener, count: Count) -> None:
        self.opener = opener
        self.ended = False
        self._reactor = reactor
        self._count = count
        self._answer = _Answer()
        self._waiting: Optional[defer.Deferred[Any]] = None
        self._timer: Any = None
        self._received = bytearray()
        self._decoding = False
        self._stderr = b""
        self._stopped = False
        self._has_ended: defer.Deferred[None] = defer.Deferred()
        try:
            reactor.spawnProcess(self, sys.executable, _command(opener), env=child_process.environment())
        except OSError as why:
            self.ended = True
            self._stderr = str(why).encode()
            self._has_ended.callback(None)

    def ask(self, request: Request) -> defer.Deferred[Any]:
        """The answer to a request; StorageUnavailableError where the process ends or takes too long."""
        if self.ended:
            self._count("judge_crashes", f"cannot start the process that judges: {self._stderr!r}")
            return defer.fail(StorageUnavailableError("cannot start the process that judges"))
        self._answer = _Answer()
        waiting = self._waiting = defer.Deferred()
        self._timer = self._reactor.callLater(REQUEST_TIMEOUT, self._timed_out)
        self.transport.write(frame(request))
        return waiting

    def outReceived(self, data: bytes) -> None:
        """Collect frames."""
        self._received += data
        if not self._decoding:
            self._decode()

    def _decode(self) -> None:
        """Decode one frame, and the next one in another iteration of the reactor."""
        self._decoding = False
        if len(self._received) < LENGTH.size:
            return
        (length,) = LENGTH.unpack(self._received[: LENGTH.size])
        if length > MAX_FRAME:
            self._kill("judge_crashes", f"a frame of {length} bytes")
            return
        end = LENGTH.size + length
        if len(self._received) < end:
            return
        message = judge_process.decode(bytes(self._received[LENGTH.size : end]))
        del self._received[:end]
        answer = self._answer.add(message)
        if answer is not None:
            self._fire(answer)
        elif self._received:
            self._decoding = True
            self._reactor.callLater(0, self._decode)

    def _fire(self, answer: Any) -> None:
        waiting, self._waiting = self._waiting, None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if waiting is not None:
            waiting.callback(answer)

    def errReceived(self, data: bytes) -> None:
        """Keep the end of standard error."""
        self._stderr = (self._stderr + data)[-MAX_STDERR:]

    def processEnded(self, reason: Failure) -> None:
        """Fail the request under way."""
        self.ended = True
        if not self._stopped:
            last = self._stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
            self._count("judge_crashes", f"the process that judges ended ({reason.value}): {last[:200]}")
        self._fail("the process that judges has ended")
        self._has_ended.callback(None)

    def _timed_out(self) -> None:
        self._kill("judge_timeouts", f"no verdicts after {REQUEST_TIMEOUT:g} s")

    def _kill(self, counter: str, why: str) -> None:
        self._count(counter, f"the process that judges was killed: {why}")
        self.stop()
        self._fail(why)

    def _fail(self, why: str) -> None:
        self._fire(Failure(StorageUnavailableError(why)))  # type: ignore[no-untyped-call]

    def stop(self) -> defer.Deferred[None]:
        """Kill the process, which changes nothing itself; fires when it has ended."""
        self.ended = self._stopped = True
        with contextlib.suppress(error.ProcessExitedAlready, AttributeError):
            self.transport.signalProcess("KILL")
        ended: defer.Deferred[None] = defer.Deferred()
        self._has_ended.addCallback(ended.callback)
        return ended


def _command(opener: Opener) -> list[str]:
    """The command of the process, which finds the modules of the master."""
    folders = [str(Path(judge_process.__file__).parents[2]), *filter(None, sys.path)]
    return child_process.command(judge_process.__name__, folders, *opener)
