"""Judge: has the builds of a master judged, and keeps and tells their verdicts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Optional

from twisted.internet import defer, task
from twisted.logger import Logger

from bbmeasure.capture.gates import Gates
from bbmeasure.capture.state import MasterState
from bbmeasure.errors import MeasureError
from bbmeasure.model import BuildContext, Point
from bbmeasure.reports import kept_verdicts
from bbmeasure.reports.build_judge import Judged, JudgeRequest
from bbmeasure.reports.judge_queue import JudgeQueue
from bbmeasure.reports.past import Learned, LearnRequest
from bbmeasure.reports.verdicts import BuildVerdicts
from bbmeasure.storage.verdict_store import Alert, VerdictChanges, VerdictStore

log = Logger()

#: Seconds within which a caller gets an answer, complete or not.
DEADLINE = 5.0
#: Seconds for which the suspects of the alerts between two builds are searched.
EXPLAIN_TIMEOUT = 20.0

#: The newest builds without values that are remembered: the store keeps nothing of them.
MAX_EMPTY = 1_000
#: Verdicts that are decoded in one iteration of the reactor.
LINES_PER_TURN = 50

Listener = Callable[[BuildVerdicts], Any]
#: Suspects of an alert: a Deferred of facts to add to it, and to all others between the same two builds.
Explain = Callable[[Alert], "defer.Deferred[Mapping[str, Any]]"]


class Judge:
    """The verdicts of one master's builds.

    Values are judged in another process, see :mod:`~.judge_queue`.  No method fails, and each fires within DEADLINE
    seconds: what goes wrong is counted, and the verdicts are then not complete.  A master that keeps its points in
    memory judges nothing.
    """

    def __init__(self, state: MasterState) -> None:
        self.state = state
        self._pipeline = state.pipeline
        self._queue = JudgeQueue(state.pipeline.clock, state.pipeline.count)
        self._storage: object = None
        self._store: Optional[VerdictStore] = None
        self._listeners: list[Listener] = []
        self._finishing: set[int] = set()
        self._empty: OrderedDict[int, BuildVerdicts] = OrderedDict()
        #: Reporters whose untold builds the store keeps: whether they tell builds of proposals, or the others.
        self.reporters: dict[str, bool] = {}
        #: Finds the suspects of an alert.
        self.explain: Optional[Explain] = None

    @property
    def store(self) -> Optional[VerdictStore]:
        """The store that keeps verdicts; None where the master has none."""
        storage = self._pipeline.storage
        if storage is not self._storage:
            self._storage = storage
            self._store = storage if isinstance(storage, VerdictStore) else None  # a check of each of its attributes
        return self._store

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call ``listener`` with the verdicts of each build that has ended; returns what ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def keep_reporters(self, names: Collection[str]) -> defer.Deferred[None]:
        """Forget other reporters than these, with the builds that they have not told.  StorageError from the store."""
        self.reporters = {name: proposals for name, proposals in self.reporters.items() if name in names}
        return defer.succeed(None) if self.store is None else self.store.keep_reporters(names)

    # judging

    def preview(
        self,
        build: BuildContext,
        gates: Gates,
        *,
        series: Optional[Collection[str]] = None,
        pending: Sequence[Point] = (),
    ) -> defer.Deferred[BuildVerdicts]:
        """The verdicts of what a running build has so far, of some ``series`` or of all; it changes nothing.

        ``pending`` are points that are not stored yet.
        """
        wanted = None if series is None else frozenset(series)
        request = self._request(build, gates, series=wanted, pending=tuple(pending))
        work = self._judge(request, urgent=True).addCallback(lambda judged: judged.verdicts)
        return self._in_time(self._counted(work, build), build)

    def finish(self, build: BuildContext, gates: Gates) -> defer.Deferred[BuildVerdicts]:
        """Judge a build at its end, after its points are on disk: keep its verdicts and alerts, and tell them.

        The work goes on after the deadline.  A build is judged once; later calls return what was kept.
        """
        answer: defer.Deferred[BuildVerdicts] = defer.Deferred()
        self._finishing.add(build.buildid)
        self._pipeline.begin()
        work = self._finish(self._request(build, gates, finish=True))
        self._counted(work, build).addCallback(self._finished, answer)
        return self._in_time(answer, build)

    def tell_empty(self, buildid: int) -> None:
        """Tell that a build has ended without values to judge."""
        self._empty[buildid] = verdicts = BuildVerdicts(buildid)
        if len(self._empty) > MAX_EMPTY:
            self._empty.popitem(last=False)
        self._tell(verdicts)

    def _finished(self, verdicts: BuildVerdicts, answer: defer.Deferred[BuildVerdicts]) -> None:
        self._finishing.discard(verdicts.buildid)
        self.state.gates.ended(verdicts.buildid)
        self._pipeline.end()
        answer.callback(verdicts)

    def _request(self, build: BuildContext, gates: Gates, **fields: Any) -> JudgeRequest:
        build = build if build.step is None else replace(build, step=None)
        return JudgeRequest(build, gates, float(self._pipeline.clock.seconds()), **fields)

    def _judge(self, request: JudgeRequest, *, urgent: bool = False) -> defer.Deferred[Judged]:
        store = self.store
        if store is None:
            return defer.succeed(Judged(BuildVerdicts(request.build.buildid)))

        def keep(judged: Judged) -> Any:
            if judged.changes is None:
                return judged
            is_proposal = bool(request.build.proposal)
            untold = [name for name, proposals in self.reporters.items() if proposals == is_proposal]
            return store.keep_verdicts(replace(judged.changes, untold=untold)).addCallback(lambda _: judged)

        def make() -> JudgeRequest:
            return replace(request, running=self._running(request.build.buildid))

        return self._queue.run(store.opener, request.build.builder, make, then=keep, urgent=urgent)

    def learn(self, request: LearnRequest) -> defer.Deferred[Learned]:
        """Judge the past of some lines; fires when their detectors are kept.  MeasureError where it fails."""
        store = self.store
        if store is None:
            return defer.succeed(Learned(VerdictChanges()))

        def keep(learned: Learned) -> Any:
            return store.keep_verdicts(learned.changes).addCallback(lambda _: learned)

        def make() -> LearnRequest:
            return replace(request, running=self._running(None))

        return self._queue.run(store.opener, "", make, then=keep)

    def _running(self, buildid: Optional[int]) -> frozenset[int]:
        """The builds but one whose values do not count yet: those that have not ended or wait for their verdicts."""
        botmaster = getattr(self.state.master, "botmaster", None)
        builders = getattr(botmaster, "builders", {})
        building = (build.buildid for builder in builders.values() for build in builder.building)
        return frozenset({*building, *self._finishing}) - {buildid, None}

    @defer.inlineCallbacks
    def _finish(self, request: JudgeRequest) -> Generator[Any, Any, BuildVerdicts]:
        store = self.store
        judged: Judged = yield self._judge(request)
        if store is None or judged.changes is None:
            return judged.verdicts
        if judged.verdicts.lines:
            self._tell(judged.verdicts)
        elif judged.verdicts.complete:
            self.tell_empty(request.build.buildid)
        by_builds: dict[Any, list[Alert]] = {}
        for alert in judged.to_explain:
            by_builds.setdefault((alert.buildid, alert.facts.get("last_buildid")), []).append(alert)
        for alerts in by_builds.values():
            yield self._explain(store, alerts)
        return judged.verdicts

    @defer.inlineCallbacks
    def _explain(self, store: VerdictStore, alerts: Sequence[Alert]) -> Generator[Any, Any, None]:
        """Add the suspects to alerts between the same two builds."""
        if self.explain is None:
            return
        try:
            facts = yield self.explain(alerts[0]).addTimeout(EXPLAIN_TIMEOUT, self._pipeline.clock)
            explained = [replace(alert, facts={**alert.facts, **facts}) for alert in alerts]
            yield store.keep_verdicts(VerdictChanges(alerts=explained))
        except Exception as error:  # noqa: BLE001  (counted; the alerts stay without suspects)
            ids = ", ".join(str(alert.id) for alert in alerts)
            self._pipeline.count("suspects_failed", f"alerts {ids}: suspects: {error!r}", len(alerts))

    def _tell(self, verdicts: BuildVerdicts) -> None:
        for listener in list(self._listeners):
            try:
                listener(verdicts)
            except Exception as error:  # noqa: BLE001  (counted; the other listeners are called)
                self._pipeline.count("verdict_listeners_failed", f"build {verdicts.buildid}: {error!r}")

    def _counted(self, work: defer.Deferred[BuildVerdicts], build: BuildContext) -> defer.Deferred[BuildVerdicts]:
        """The verdicts; after an error, which is counted, none that are not complete."""

        def failed(why: Any) -> BuildVerdicts:
            if not why.check(defer.CancelledError):
                self._pipeline.count("verdicts_failed", f"verdicts of build {build.buildid}: {why.value}")
            if not why.check(MeasureError, defer.CancelledError):
                log.failure("bbmeasure: verdicts", failure=why)
            return BuildVerdicts(build.buildid, (), complete=False)

        return work.addErrback(failed)

    def _in_time(self, work: defer.Deferred[BuildVerdicts], build: BuildContext) -> defer.Deferred[BuildVerdicts]:
        """The verdicts, or at the deadline none that are not complete."""

        def timed_out(_: Any, seconds: float) -> BuildVerdicts:
            self._pipeline.count("verdicts_late", f"build {build.buildid}: no verdicts within {seconds:g} s")
            return BuildVerdicts(build.buildid, (), complete=False)

        return work.addTimeout(DEADLINE, self._pipeline.clock, timed_out)

    @property
    def pid(self) -> Optional[int]:
        """The id of the process that judges; None before the first request."""
        return self._queue.pid

    def stop(self) -> defer.Deferred[None]:
        """End the process that judges; fires when it has ended.  The next request starts another."""
        return self._queue.stop()

    # kept verdicts

    @defer.inlineCallbacks
    def verdicts_of(self, buildid: int) -> Generator[Any, Any, Optional[BuildVerdicts]]:
        """The verdicts of a build that has ended; None where none are kept.  StorageError from the store."""
        if buildid in self._empty:
            return self._empty[buildid]
        store = self.store
        kept = None if store is None else (yield store.kept_verdicts(buildid))
        if kept is None:
            return None
        values = {line.id: (line, value.value) for line, value in kept.values.values}
        decoded, made = kept_verdicts.decode_lines(kept.lines, values), []
        while part := list(islice(decoded, LINES_PER_TURN)):
            made += [verdict for _, verdict in part]
            yield task.deferLater(self._pipeline.clock, 0)
        made.sort(key=lambda verdict: verdict.key)
        return BuildVerdicts(buildid, tuple(made), kept_verdicts.is_complete(kept.lines))
