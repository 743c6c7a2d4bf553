"""VerdictExporter: sends alerts and what is usual to an InfluxDB, for Grafana."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from twisted.internet import defer, task

from bbmeasure.capture.state import MasterState
from bbmeasure.errors import MeasureError
from bbmeasure.reports.judge import Judge
from bbmeasure.reports.kept_verdicts import decode_lines
from bbmeasure.reports.verdicts import BuildVerdicts
from bbmeasure.storage.influxdb.client import InfluxClient
from bbmeasure.storage.influxdb.server import ErrorKind, ServerError
from bbmeasure.storage.influxdb.verdict_lines import Usual, alert_lines, usual_line
from bbmeasure.storage.verdict_store import OPEN, RESOLVED, Alert, AlertQuery, KeptBuild, VerdictStore

Item = TypeVar("Item")

#: Seconds between two looks at the alerts, which another process may have decided, and after an error.
INTERVAL = 20.0
#: Seconds from the end of a build to the request with its verdicts, which has those of builds that end meanwhile.
DELAY = 5.0
#: Alerts that are kept up to date, the newest ones, and lines of one request, to which a build is added as a whole.
MAX_ALERTS = 1_000
MAX_BATCH = 2_000
#: Builds between two notes that they are sent.
MAX_BUILDS = 50
#: Lines that are made in one turn of the reactor, at 40 to 80 µs each.
SLICE = 25


class VerdictExporter:
    """Sends alerts whenever they change, and what is usual once for each judged value.

    Both come from the journal, so that neither a restart nor a server that is away for long loses any.  Errors are
    counted in ``counters`` of the server's exporter, whose name is ``name``.
    """

    def __init__(
        self, state: MasterState, name: str, client: InfluxClient, counters: Counter[str], *, reactor: Any
    ) -> None:
        self._state = state
        self._judge = state.component(Judge)
        self._judge.reporters[name] = False
        self._name = name
        self._client = client
        self._counters = counters
        self._reactor = reactor
        self._sent: OrderedDict[int, Alert] = OrderedDict()
        self._unsubscribe = self._judge.subscribe(self._told)
        self._sending: Any = None
        self._delayed: Any = None
        self._loop = task.LoopingCall(self._start)
        self._loop.clock = reactor

    def start(self) -> None:
        """Look for alerts now and every INTERVAL seconds."""
        self._loop.start(INTERVAL)

    def stop(self) -> None:
        """Stop at once; what waits is sent after the next start."""
        self._unsubscribe()
        if self._loop.running:
            self._loop.stop()
        self._cancel_delayed()
        if self._sending is not None:
            self._sending.cancel()

    def _told(self, verdicts: BuildVerdicts) -> None:
        """Send the verdicts of a build of no proposal that has ended, after DELAY."""
        if self._state.pipeline.branches.is_proposal(verdicts.buildid):
            return
        # the reactor's clock is the time of day: where it was set back, the timer would fire as much later
        if self._delayed is None or self._delayed.getTime() > self._reactor.seconds() + DELAY:
            self._cancel_delayed()
            self._delayed = self._reactor.callLater(DELAY, self._start)

    def _cancel_delayed(self) -> None:
        if self._delayed is not None and self._delayed.active():
            self._delayed.cancel()
        self._delayed = None

    def _start(self) -> None:
        self._cancel_delayed()
        if self._sending is None:
            self._sending = self._send()
            self._sending.addBoth(self._ended)

    def _ended(self, _: Any) -> None:
        self._sending = None

    @defer.inlineCallbacks
    def _send(self) -> Generator[Any, Any, None]:
        """Send what has changed; what could not be sent waits for the next look at the alerts."""
        store = self._judge.store
        if store is None:
            return
        try:
            yield self._send_alerts(store)
            while buildids := (yield store.untold(self._name, MAX_BUILDS)):
                yield self._send_usual(store, buildids)
                yield store.told(self._name, buildids)
        except defer.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001  (counted and logged; the next look tries again)
            self._counters["verdicts_failed"] += 1
            self._state.pipeline.count("verdicts_not_exported", f"verdicts are not exported: {error}")

    @defer.inlineCallbacks
    def _send_alerts(self, store: VerdictStore) -> Generator[Any, Any, None]:
        """Send the alerts that the server does not have, or has otherwise, oldest first.

        An open one whose series was removed from the journal becomes resolved, as nobody can decide it any more.
        """
        alerts = yield store.alerts(AlertQuery(limit=MAX_ALERTS))
        changed = [alert for alert in reversed(alerts) if self._sent.get(alert.id) != alert]
        oldest = alerts[-1].id if len(alerts) >= MAX_ALERTS else 0
        known = {alert.id for alert in alerts}
        removed = [
            replace(alert, state=RESOLVED, why="removed from the journal")
            for alert in self._sent.values()
            if alert.state == OPEN and alert.id >= oldest and alert.id not in known
        ]
        yield self._write((yield self._made(alert_lines, [*removed, *changed])))
        self._sent.update((alert.id, alert) for alert in (*removed, *changed))
        while len(self._sent) > 2 * MAX_ALERTS:
            self._sent.popitem(last=False)

    @defer.inlineCallbacks
    def _send_usual(self, store: VerdictStore, buildids: Sequence[int]) -> Generator[Any, Any, None]:
        """Send what is usual for the judged values of builds."""
        lines: list[str] = []
        for buildid in buildids:
            kept = yield store.kept_verdicts(buildid)
            if kept is not None:
                lines += yield self._made(_usual_line, _usual_of(kept))
            if len(lines) >= MAX_BATCH:
                yield self._write(lines)
                lines = []
        yield self._write(lines)

    @defer.inlineCallbacks
    def _made(self, make: Callable[[Item], str], items: Iterable[Item]) -> Generator[Any, Any, list[str]]:
        """Return the lines of items, made in slices; an item without a line is counted."""
        lines: list[str] = []
        left = iter(items)
        while part := list(islice(left, SLICE)):
            if lines:
                yield task.deferLater(self._reactor, 0)
            for item in part:
                try:
                    lines.append(make(item))
                except MeasureError as error:
                    self._counters["verdicts_refused"] += 1
                    self._state.pipeline.count("verdicts_not_exported", str(error))
        return lines

    @defer.inlineCallbacks
    def _write(self, lines: Sequence[str]) -> Generator[Any, Any, None]:
        """Write lines, in parts where the request is too large; what the server refuses for good is counted."""
        if not lines:
            return
        try:
            yield self._client.write("".join(lines).encode("utf-8", "replace"))
        except ServerError as error:
            if error.kind is ErrorKind.TOO_LARGE and len(lines) > 1:
                half = len(lines) // 2
                yield self._write(lines[:half])
                yield self._write(lines[half:])
                return
            if error.kind not in (ErrorKind.REFUSED, ErrorKind.TOO_LARGE):
                raise
            self._counters["verdicts_refused"] += len(lines)
            self._state.pipeline.count("verdicts_not_exported", f"the server refuses verdicts: {error.message}")
        else:
            self._counters["verdicts_shipped"] += len(lines)


def _usual_of(kept: KeptBuild) -> Iterator[tuple[Usual, int]]:
    """Yield what is usual for each judged value of a build, with the time of the value in nanoseconds."""
    values = {line.id: (line, value) for line, value in kept.values.values}
    lines = {id_: (line, value.value) for id_, (line, value) in values.items()}
    for id_, judged in decode_lines(kept.lines, lines):
        line, value = values[id_]
        verdict, (lower_limit, limit) = judged.verdict, judged.limits
        usual = Usual(line, value.value, verdict.state.value, verdict.low, verdict.high, limit, lower_limit)
        yield usual, value.time


def _usual_line(usual: tuple[Usual, int]) -> str:
    return usual_line(*usual)
