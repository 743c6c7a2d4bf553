"""VerdictExporter: sends alerts and what is usual to an InfluxDB, for Grafana."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Generator
from dataclasses import replace
from typing import Any

from twisted.internet import defer, task

from bbmeasure.capture.state import MasterState
from bbmeasure.errors import MeasureError
from bbmeasure.reports.judge import Judge
from bbmeasure.reports.verdicts import BuildVerdicts, LineVerdict
from bbmeasure.storage.influxdb.client import InfluxClient
from bbmeasure.storage.influxdb.server import ErrorKind, ServerError
from bbmeasure.storage.influxdb.verdict_lines import Usual, alert_line, usual_line
from bbmeasure.storage.verdict_store import AlertQuery, Line
from bbmeasure.times import NANOSECONDS

#: Seconds between two looks at the alerts, which another process may have decided, and after an error.
INTERVAL = 20.0
#: Alerts that are kept up to date, the newest ones, and lines of one request.
MAX_ALERTS = 1_000
MAX_BATCH = 2_000
#: Judged values that wait for the server; older ones are dropped.
MAX_WAITING = 50_000


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
        self._waiting: deque[str] = deque()
        self._sent: OrderedDict[int, str] = OrderedDict()
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
        """Take the verdicts of a build of no proposal that has ended, while the gates of its series are known."""
        if self._state.pipeline.branches.is_proposal(verdicts.buildid):
            return
        time = int(self._reactor.seconds() * NANOSECONDS)
        gates = self._state.gates.of_build(verdicts.buildid)
        for line in verdicts.lines:
            try:
                rules = gates.of(line.series).rules(line.kind, line.unit, line.better)
                verdict = line.verdict
                usual = Usual(_line(line), line.value, verdict.state.value, verdict.low, verdict.high)
                limited = replace(usual, limit=rules.limit, lower_limit=rules.lower_limit)
                self._waiting.append(usual_line(limited, time))
            except MeasureError as error:
                self._counters["verdicts_refused"] += 1
                self._state.pipeline.count("verdicts_not_exported", f"series {line.series}: {error}")
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
                yield self._write("".join(changed.values()))
                self._sent.update(changed)
                while len(self._sent) > 2 * MAX_ALERTS:
                    self._sent.popitem(last=False)
            while self._waiting:
                batch = [self._waiting[at] for at in range(min(MAX_BATCH, len(self._waiting)))]
                yield self._write("".join(batch))
                for _ in batch:
                    self._waiting.popleft()
        except defer.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001  (counted and logged; the next look tries again)
            self._counters["verdicts_failed"] += 1
            self._state.pipeline.count("verdicts_not_exported", f"verdicts are not exported: {error}")

    @defer.inlineCallbacks
    def _changed_alerts(self) -> Generator[Any, Any, dict[int, str]]:
        """Return the lines of the alerts that the server does not have, or has otherwise."""
        store = self._judge.store
        if store is None:
            return {}
        alerts = yield store.alerts(AlertQuery(limit=MAX_ALERTS))
        lines = {alert.id: alert_line(alert) for alert in reversed(alerts)}
        return {id_: line for id_, line in lines.items() if self._sent.get(id_) != line}

    @defer.inlineCallbacks
    def _write(self, lines: str) -> Generator[Any, Any, None]:
        """Write lines; what the server refuses for good is counted."""
        try:
            yield self._client.write(lines.encode("utf-8", "replace"))
        except ServerError as error:
            if error.kind is not ErrorKind.REFUSED:
                raise
            self._counters["verdicts_refused"] += lines.count("\n")
            self._state.pipeline.count("verdicts_not_exported", f"the server refuses verdicts: {error.message}")
        else:
            self._counters["verdicts_shipped"] += lines.count("\n")


def _line(line: LineVerdict) -> Line:
    return Line(
        0, line.series, line.builder, line.tags, line.branch, line.machine, False, line.kind, line.unit, line.better
    )
