"""ParserPool: runs adapters and patterns in child processes, which can be ended, so that they never hold the reactor.

Decoding JSON holds the interpreter lock for a fraction of a second, in any thread.  A process for each text is started
with Twisted's process protocol: the executors of ``concurrent.futures`` start threads, cannot end a single task, and
fork the whole master.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Optional

from twisted.internet import defer, error, protocol, task
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from bbmeasure.capture import child_process, parser_process
from bbmeasure.capture.parser_input import Spool
from bbmeasure.capture.parser_process import JOB_DESCRIPTOR, ParserJob, decode_record
from bbmeasure.errors import LimitError, MeasureError
from bbmeasure.records import Record

#: The most processes at a time, and the most texts that wait.  A builder has at most one process.
MAX_PROCESSES = 3
MAX_QUEUED = 1_000
#: The largest result of a process, in bytes.
MAX_RESULT = 32 * 1024 * 1024
#: Seconds for which decoding a result may hold the reactor.
MAX_BLOCKING_SECONDS = 0.005
#: The end of the standard error of a process that is kept for the message, in bytes.
MAX_STDERR = 2_000

Count = Callable[[str, str], None]


class ParserPool:
    """At most MAX_PROCESSES parser processes of one master, fair between builders.

    A process is started for each text, at the earliest when the first one is parsed, and killed at its time limit.
    ``count`` adds to a counter: of time limits, crashes, and processes that were out of memory.
    """

    def __init__(self, reactor: Any, count: Count) -> None:
        self.reactor = reactor
        self._count = count
        #: The running process of each builder.
        self.running: dict[str, _ParserProcess] = {}
        self._waiting: OrderedDict[str, deque[_Task]] = OrderedDict()
        self._queued = 0
        self._ends_with_reactor = False

    @defer.inlineCallbacks
    def run(self, builder: str, job: ParserJob, text: Spool, seconds: float) -> Generator[Any, Any, list[Record]]:
        """The records of ``text``; MeasureError where the parser refuses it, LimitError where it exceeds a limit."""
        if not isinstance(self.reactor.getThreadPool(), ThreadPool):  # the reactor of Buildbot's test kit
            records: list[Record] = yield defer.maybeDeferred(lambda: job.run(text.read()))
            return records
        if self._queued >= MAX_QUEUED:
            raise LimitError(f"{self._queued} outputs wait for a parser: no more are accepted")
        added = _Task(builder, job, text, seconds)
        self._waiting.setdefault(builder, deque()).append(added)
        self._queued += 1
        self._start_waiting()
        lines: list[bytes] = yield added.done
        records, dropped = yield self._decode(lines)
        if dropped:
            self._count("refused", f"builder {builder}: {dropped} more records of a parser")
        return records

    def _start_waiting(self) -> None:
        """Start a process for the first text of each builder without one, in turn, while a process is free."""
        for builder in list(self._waiting):
            if len(self.running) >= MAX_PROCESSES:
                return
            if builder in self.running:
                continue
            tasks = self._waiting[builder]
            first = tasks.popleft()
            if not tasks:
                del self._waiting[builder]
            self._queued -= 1
            self._start(first)

    def _start(self, started: _Task) -> None:
        if not self._ends_with_reactor:
            self._ends_with_reactor = True
            self.reactor.addSystemEventTrigger("before", "shutdown", self.kill_all)
        process = _ParserProcess(started, self._ended, self._count)
        self.running[started.builder] = process
        try:
            process.start(self.reactor)
        except OSError as why:
            self._count("parser_crashes", f"cannot start a parser process: {why}")
            del self.running[started.builder]
            started.done.errback(LimitError(f"cannot start a parser process: {why}"))

    def _ended(self, process: _ParserProcess, result: Any) -> None:
        builder = process.task.builder
        del self.running[builder]
        if builder in self._waiting:
            self._waiting.move_to_end(builder)
        done = process.task.done
        if isinstance(result, Failure):
            done.errback(result)
        else:
            done.callback(result)
        self._start_waiting()

    def kill_all(self) -> None:
        """Kill all processes and refuse what waits; the master stops."""
        waiting, self._waiting, self._queued = self._waiting, OrderedDict(), 0
        for tasks in waiting.values():
            for refused in tasks:
                refused.done.errback(LimitError("the master stopped"))
        for process in list(self.running.values()):
            process.kill(LimitError("the master stopped"), "parser_stopped")

    @defer.inlineCallbacks
    def _decode(self, lines: list[bytes]) -> Generator[Any, Any, tuple[list[Record], int]]:
        """The records of a result and how many were left out; yields to the reactor every few milliseconds."""
        records = []
        end: dict[str, Any] = {}
        start = self.reactor.seconds()
        for line in lines:
            fields = json.loads(line)
            if "end" in fields:
                end = fields
            else:
                records.append(decode_record(fields))
            if self.reactor.seconds() - start > MAX_BLOCKING_SECONDS:
                yield task.deferLater(self.reactor, 0, lambda: None)
                start = self.reactor.seconds()
        self._raise_error(end)
        return records, int(end["dropped"])

    def _raise_error(self, end: dict[str, Any]) -> None:
        if end["kind"] == "memory":
            self._count("parser_out_of_memory", end["error"])
            raise LimitError(end["error"])
        if end["kind"] == "crash":
            self._count("parser_errors", end["error"])
            raise MeasureError(f"the parser failed: {end['error']}")
        if end["error"]:
            raise MeasureError(end["error"])


@dataclass
class _Task:
    """A text and what is done with it; ``done`` fires with the lines of the result."""

    builder: str
    job: ParserJob
    text: Spool
    seconds: float
    done: defer.Deferred[list[bytes]] = field(default_factory=defer.Deferred)


class _ParserProcess(protocol.ProcessProtocol):
    """One process that parses one text."""

    transport: Any

    def __init__(self, started: _Task, ended: Callable[[_ParserProcess, Any], None], count: Count) -> None:
        self.task = started
        self._ended = ended
        self._count = count
        self._lines: list[bytes] = []
        self._rest: list[bytes] = []
        self._received = 0
        self._stderr = b""
        self._killed: Optional[LimitError] = None
        self._deadline: Any = None

    def start(self, reactor: Any) -> None:
        """Start the process and its time limit; OSError where the system refuses."""
        descriptors = {0: self.task.text.fileno(), 1: "r", 2: "r", JOB_DESCRIPTOR: "w"}
        environment = child_process.environment()
        reactor.spawnProcess(self, sys.executable, command(self.task.seconds), env=environment, childFDs=descriptors)
        self._deadline = reactor.callLater(self.task.seconds, self._on_deadline)

    def connectionMade(self) -> None:
        """Send the job."""
        self.transport.writeToChild(JOB_DESCRIPTOR, self.task.job.encode())
        self.transport.closeChildFD(JOB_DESCRIPTOR)

    def outReceived(self, data: bytes) -> None:
        """Collect the lines of the result."""
        self._received += len(data)
        if self._received > MAX_RESULT:
            self.kill(LimitError(f"a result of more than {MAX_RESULT} bytes: expected less"), "parser_errors")
            return
        *complete, rest = data.split(b"\n")
        if complete:
            complete[0] = b"".join([*self._rest, complete[0]])
            self._rest = []
            self._lines += complete
        self._rest.append(rest)

    def errReceived(self, data: bytes) -> None:
        """Keep the end of standard error."""
        self._stderr = (self._stderr + data)[-MAX_STDERR:]

    def processEnded(self, reason: Failure) -> None:
        """Pass the result or the error to the pool."""
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        if self._killed is None and not self._is_complete(reason):
            self._killed = self._crash(reason)
        failure = None if self._killed is None else Failure(self._killed)  # type: ignore[no-untyped-call]
        self._ended(self, self._lines if failure is None else failure)

    def _is_complete(self, reason: Failure) -> bool:
        return isinstance(reason.value, error.ProcessDone) and bool(self._lines) and b'"end"' in self._lines[-1][:8]

    def _crash(self, reason: Failure) -> LimitError:
        """Count a process that ended without a result; a process that the kernel killed was out of memory."""
        stderr = self._stderr.decode("utf-8", "replace").strip()
        last = stderr.rpartition("\n")[2]
        signal = getattr(reason.value, "signal", None)
        if "MemoryError" in last or signal == 9:
            why = f"needs more than {parser_process.MAX_MEMORY // 1024**2} MiB of memory: expected a smaller output"
            self._count("parser_out_of_memory", f"builder {self.task.builder}: a parser process was out of memory")
            return LimitError(why)
        ending = f"signal {signal}" if signal else f"status {getattr(reason.value, 'exitCode', None)}"
        self._count("parser_crashes", f"builder {self.task.builder}: a parser process ended with {ending}: {last}")
        return LimitError(f"the parser process ended with {ending}: {last[:200]}")

    def _on_deadline(self) -> None:
        limit = self.task.seconds
        self.kill(LimitError(f"not done after {limit:g} s: expected it to take less"), "parser_timeouts")

    def kill(self, why: LimitError, counter: str) -> None:
        """Kill the process; ``why`` is its result."""
        if self._killed is not None:
            return
        self._killed = why
        self._count(counter, f"builder {self.task.builder}: parser: {why}")
        with contextlib.suppress(error.ProcessExitedAlready):
            self.transport.signalProcess("KILL")


def command(seconds: float) -> list[str]:
    """The command of a parser process: an isolated interpreter that imports only what it needs."""
    folders = [str(Path(parser_process.__file__).parents[2])]
    spec = find_spec("regex")
    if spec is not None and spec.origin:
        folders.append(str(Path(spec.origin).parents[1]))
    return child_process.command(parser_process.__name__, folders, str(int(seconds) + 5))
