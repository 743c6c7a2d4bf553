"""VerdictExporter: sends alerts and what is usual to an InfluxDB, for Grafana."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeVar

from twisted.internet import defer, task

from bbmeasure.capture.gates import Gates
from bbmeasure.capture.state import MasterState
from bbmeasure.errors import MeasureError
from bbmeasure.reports.judge import Judge
from bbmeasure.reports.verdicts import BuildVerdicts, LineVerdict
from bbmeasure.storage.influxdb.client import InfluxClient
from bbmeasure.storage.influxdb.server import ErrorKind, ServerError
from bbmeasure.storage.influxdb.verdict_lines import Usual, alert_line, usual_line
from bbmeasure.storage.verdict_store import Alert, AlertQuery, Line
from bbmeasure.times import NANOSECONDS

Item = TypeVar("Item")

#: Seconds between two looks at the alerts, which another process may have decided, and after an error.
INTERVAL = 20.0
#: Alerts that are kept up to date, the newest ones, and lines of one request.
MAX_ALERTS = 1_000
MAX_BATCH = 2_000
#: Judged values that wait for the server; older ones are dropped.
MAX_WAITING = 50_000
#: Lines that are made in one turn of the reactor, at 40 to 80 µs each.
SLICE = 25


class VerdictExporter:
    """Sends alerts whenever they change, and what is usual once for each judged value.

    Alerts come from the journal, so that none is lost.  Judged values wait in memory: those of a time at which the
    server was away for long are dropped, and counted in ``counters`` of the server's exporter, as are errors.
    """

    def __init__(self, state: MasterState, client: InfluxClient, counters: Counter[str], *, reactor: Any) -> None:
        self._state = state
        self._judge = state.component(Judge)
        self._client = client
        self._counters = counters
        self._reactor = reactor
        self._waiting: deque[tuple[LineVerdict, Gates, int]] = deque()
        self._sent: OrderedDict[int, Alert] = OrderedDict()
        self._unsubscribe = self._judge.subscribe(self._told)
        self._sending: Any = None
        self._loop = task.LoopingCall(self._start)
        self._loop.clock = reactor

    def start(self) -> None:
        """Look for alerts now and every INTERVAL seconds."""
        self._loop.start(INTERVAL)

    def stop(self) -> None:
        """Stop at once; what waits is dropped."""
        self._unsubscribe()
        if self._loop.running:
            self._loop.stop()
        if self._sending is not None:
            self._sending.cancel()

    def _told(self, verdicts: BuildVerdicts) -> None:
        """Take the verdicts of a build of no proposal that has ended, with the gates of its series."""
        if self._state.pipeline.branches.is_proposal(verdicts.buildid):
            return
        time = int(self._reactor.seconds() * NANOSECONDS)
        gates = self._state.gates.of_build(verdicts.buildid)
        self._waiting.extend((line, gates, time) for line in verdicts.lines)
        while len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            self._counters["verdicts_dropped"] += 1
        self._start()

    def _start(self) -> None:
        if self._sending is None:
            self._sending = self._send()
            self._sending.addBoth(self._ended)

    def _ended(self, _: Any) -> None:
        self._sending = None

    @defer.inlineCallbacks
    def _send(self) -> Generator[Any, Any, None]:
        """Send what has changed; what could not be sent waits for the next look at the alerts."""
        try:
            changed = yield self._changed_alerts()
            if changed:
                yield self._write((yield self._made(alert_line, changed)))
                self._sent.update((alert.id, alert) for alert in changed)
                while len(self._sent) > 2 * MAX_ALERTS:
                    self._sent.popitem(last=False)
            while self._waiting:
                batch = [self._waiting[at] for at in range(min(MAX_BATCH, len(self._waiting)))]
                yield self._write((yield self._made(_usual_line, batch)))
                for one in batch:
                    if self._waiting and self._waiting[0] is one:  # what was dropped meanwhile is not there
                        self._waiting.popleft()
        except defer.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001  (counted and logged; the next look tries again)
            self._counters["verdicts_failed"] += 1
            self._state.pipeline.count("verdicts_not_exported", f"verdicts are not exported: {error}")

    @defer.inlineCallbacks
    def _changed_alerts(self) -> Generator[Any, Any, list[Alert]]:
        """Return the alerts that the server does not have, or has otherwise, oldest first."""
        store = self._judge.store
        if store is None:
            return []
        alerts = yield store.alerts(AlertQuery(limit=MAX_ALERTS))
        return [alert for alert in reversed(alerts) if self._sent.get(alert.id) != alert]

    @defer.inlineCallbacks
    def _made(self, make: Callable[[Item], str], items: Sequence[Item]) -> Generator[Any, Any, list[str]]:
        """Return the lines of items, made in slices; an item without a line is counted."""
        lines = []
        for at in range(0, len(items), SLICE):
            if at:
                yield task.deferLater(self._reactor, 0)
            for item in items[at : at + SLICE]:
                try:
                    lines.append(make(item))
                except MeasureError as error:
                    self._counters["verdicts_refused"] += 1
                    self._state.pipeline.count("verdicts_not_exported", str(error))
        return lines

    @defer.inlineCallbacks
    def _write(self, lines: Sequence[str]) -> Generator[Any, Any, None]:
        """Write lines; what the server refuses for good is counted."""
        if not lines:
            return
        try:
            yield self._client.write("".join(lines).encode("utf-8", "replace"))
        except ServerError as error:
            if error.kind is not ErrorKind.REFUSED:
                raise
            self._counters["verdicts_refused"] += len(lines)
            self._state.pipeline.count("verdicts_not_exported", f"the server refuses verdicts: {error.message}")
        else:
            self._counters["verdicts_shipped"] += len(lines)


def _usual_line(judged: tuple[LineVerdict, Gates, int]) -> str:
    line, gates, time = judged
    of = Line(
        0, line.series, line.builder, line.tags, line.branch, line.machine, False, line.kind, line.unit, line.better
    )
    rules, verdict = gates.of(line.series).rules(line.kind, line.unit, line.better), line.verdict
    bounds = (verdict.low, verdict.high, rules.limit, rules.lower_limit)
    return usual_line(Usual(of, line.value, verdict.state.value, *bounds), time)
