"""ParserPool: real processes, limits, crashes, fairness."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

from twisted.internet import defer, reactor
from twisted.trial import unittest

from bbmeasure.capture import parser_pool
from bbmeasure.capture.parser_input import Spool
from bbmeasure.capture.parser_pool import MAX_PROCESSES, ParserPool
from bbmeasure.capture.parser_process import MAX_RECORDS, ParserJob
from bbmeasure.errors import LimitError, MeasureError
from tests.steps.live import pause

FLAKE8 = "a.py:1:1: F401 'os' imported but unused\n"
#: The time limit of a parser in tests that do not test it, in seconds.
LONG = 100


class PoolCase(unittest.TestCase):
    """A test case with a pool, on the real reactor."""

    timeout = 120

    def setUp(self) -> None:
        self.counters: Counter[str] = Counter()
        self.pool = ParserPool(reactor, lambda counter, _: self.counters.update([counter]))
        self.addCleanup(self.pool.kill_all)

    def spool(self, text: str) -> Spool:
        """A finished spool."""
        spool = Spool(str)
        spool.write(text)
        spool.finish()
        self.addCleanup(spool.close)
        return spool

    def parse(self, text: str, job: ParserJob, builder: str = "b", seconds: float = LONG) -> defer.Deferred[Any]:
        """Parse a text in a process."""
        return self.pool.run(builder, job, self.spool(text), seconds)

    def replace_program(self, source: str) -> None:
        """Run ``source`` as the parser processes."""
        self.patch(parser_pool, "command", lambda _: [sys.executable, "-I", "-S", "-c", source])

    @defer.inlineCallbacks
    def failure(self, parsing: defer.Deferred[Any], kind: type[Exception]) -> Any:
        """The message with which ``parsing`` fails."""
        error = yield self.assertFailure(parsing, kind)
        return str(error)


class TestResults(PoolCase):
    """What a process returns."""

    @defer.inlineCallbacks
    def test_adapter(self) -> Any:
        """The records of an adapter are those that it returns in this process."""
        text = (
            '{"benchmarks": [{"fullname": "a", "stats": {"median": 0.5, "data": [0.25, 0.5, 0.75]}},'
            ' {"fullname": "caf\\u00e9", "stats": {"median": 1.5}}]}'
        )
        job = ParserJob("pytest-benchmark")
        records = yield self.parse(text, job)
        assert records == job.run(text)
        assert [record.samples for record in records] == [(0.25, 0.5, 0.75), ()]

    @defer.inlineCallbacks
    def test_linter(self) -> Any:
        """The issues of a linter are counted under the name of the step, by category and by file."""
        job = ParserJob("flake8", name="lint", issues=True, by_file=True)
        records = yield self.parse(FLAKE8, job)
        assert records == job.run(FLAKE8)
        assert {record.name for record in records} == {"lint", "lint_by_category", "lint_by_file"}

    @defer.inlineCallbacks
    def test_pattern(self) -> Any:
        """A pattern is matched without marked lines and colors; its own value may be a text."""
        text = '##bbmeasure {"name":"version","value":"9"}\n\x1b[1mversion 1.2\x1b[0m\n'
        (record,) = yield self.parse(text, ParserJob(pattern=r"version \W*([\d.]+)", name="version", own_is_text=True))
        assert (record.name, record.value) == ("version", "1.2")

    @defer.inlineCallbacks
    def test_refusal(self) -> Any:
        """The message of a parser that refuses the text is that of the adapter."""
        message = yield self.failure(self.parse("no JSON", ParserJob("ruff")), MeasureError)
        assert message.startswith("ruff output, line 1: 'no JSON': expected JSON")
        assert not self.counters

    @defer.inlineCallbacks
    def test_number_of_records(self) -> Any:
        """One record more than a step may have is returned, the others are counted."""
        text = "".join(f"##teamcity[buildStatisticValue key='k{n}' value='1']\n" for n in range(MAX_RECORDS + 5))
        records = yield self.parse(text, ParserJob("teamcity"))
        assert len(records) == MAX_RECORDS
        assert self.counters == {"refused": 1}


class TestLimits(PoolCase):
    """Processes that hang, crash or take too much."""

    @defer.inlineCallbacks
    def test_time_limit(self) -> Any:
        """A process that passes its limit is killed, and the next text is parsed."""
        with_patch = parser_pool.command
        self.replace_program("import time; time.sleep(600)")
        message = yield self.failure(self.parse("", ParserJob("junit"), seconds=0.2), LimitError)
        assert message == "not done after 0.2 s: expected it to take less"
        assert self.counters == {"parser_timeouts": 1}
        self.patch(parser_pool, "command", with_patch)
        assert (yield self.parse("", ParserJob("junit"))) == []

    @defer.inlineCallbacks
    def test_crash(self) -> Any:
        """A process that ends without a result is counted; the message has the last line of its stderr."""
        self.replace_program("import sys; sys.exit('broken')")
        message = yield self.failure(self.parse("", ParserJob("junit")), LimitError)
        assert message == "the parser process ended with status 1: broken"
        assert self.counters == {"parser_crashes": 1}

    @defer.inlineCallbacks
    def test_signal(self) -> Any:
        """A process that dies of a signal is counted."""
        self.replace_program("import os; os.abort()")
        message = yield self.failure(self.parse("", ParserJob("junit")), LimitError)
        assert "ended with signal 6" in message
        assert self.counters == {"parser_crashes": 1}

    @defer.inlineCallbacks
    def test_memory(self) -> Any:
        """A parser that needs more memory than the limit is refused and counted."""
        source = parser_pool.command(LONG)[4].replace("main()", "import bbmeasure.capture.parser_process as p;")
        source += " p.MAX_MEMORY = 100 * 1024**2; main()"
        self.patch(parser_pool, "command", lambda _: [sys.executable, "-I", "-S", "-c", source, "100"])
        text = "[" + ",".join('{"filename": "a", "code": "E1"}' for _ in range(500_000)) + "]"
        message = yield self.failure(self.parse(text, ParserJob("ruff")), LimitError)
        assert "MiB of memory: expected a smaller output" in message
        assert self.counters == {"parser_out_of_memory": 1}

    @defer.inlineCallbacks
    def test_result_that_is_too_large(self) -> Any:
        """A process that writes endlessly is killed."""
        self.patch(parser_pool, "MAX_RESULT", 1_000_000)
        self.replace_program("import sys\nwhile True: sys.stdout.write('x' * 100_000)")
        message = yield self.failure(self.parse("", ParserJob("junit")), LimitError)
        assert message == "a result of more than 1000000 bytes: expected less"

    @defer.inlineCallbacks
    def test_a_builder_does_not_hold_another(self) -> Any:
        """While the texts of one builder hang, those of others are parsed."""
        real = parser_pool.command
        self.replace_program("import time; time.sleep(600)")
        hanging = [self.parse("", ParserJob("junit"), "pr") for _ in range(6)]
        self.patch(parser_pool, "command", real)
        for builder in ("nightly", "weekly"):
            assert len((yield self.parse(FLAKE8, ParserJob("flake8"), builder)))
        assert not any(one.called for one in hanging)
        self.pool.kill_all()
        yield self.failure(hanging[0], LimitError)
        for one in hanging[1:]:
            yield self.failure(one, LimitError)

    @defer.inlineCallbacks
    def test_builders_take_turns(self) -> Any:
        """A builder with many texts waits behind builders with a single one."""
        self.patch(parser_pool, "MAX_PROCESSES", 1)
        order: list[str] = []
        parsing = [
            self.parse("", ParserJob("junit"), builder).addCallback(lambda _, name=builder: order.append(name))
            for builder in ("a", "a", "a", "b", "c")
        ]
        yield defer.gatherResults(parsing)
        assert order == ["a", "b", "c", "a", "a"]

    @defer.inlineCallbacks
    def test_number_of_processes(self) -> Any:
        """At most MAX_PROCESSES run at a time; a process is started when the first text is parsed."""
        started: list[int] = []
        largest: list[int] = []
        spawn = reactor.spawnProcess  # type: ignore[attr-defined]

        def count(*arguments: Any, **more: Any) -> Any:
            started.append(1)
            largest.append(len(self.pool.running))
            return spawn(*arguments, **more)

        self.patch(reactor, "spawnProcess", count)
        yield pause()
        assert not started
        yield defer.gatherResults([self.parse("", ParserJob("junit"), f"b{n}") for n in range(2 * MAX_PROCESSES)])
        assert len(started) == 2 * MAX_PROCESSES
        assert max(largest) <= MAX_PROCESSES

    @defer.inlineCallbacks
    def test_queue_is_bounded(self) -> Any:
        """At most MAX_QUEUED texts wait."""
        self.patch(parser_pool, "MAX_QUEUED", 1)
        first = [self.parse("", ParserJob("junit")) for _ in range(2)]
        message = yield self.failure(self.parse("", ParserJob("junit")), LimitError)
        assert message == "1 outputs wait for a parser: no more are accepted"
        yield defer.gatherResults(first)
